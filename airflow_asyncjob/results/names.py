"""Names of files that come from an API, made safe for every storage."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["safe_name"]

_LONGEST = 200
_UNSAFE = re.compile(r'[<>:"|?*\[\]]')
_EDGES = re.compile(r"^[.\s]+|[.\s]+$")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)", re.IGNORECASE)
_FALLBACK = "result"


def safe_name(name: str, taken: set[str]) -> str:
    """Return a file name that stays in its folder, and that was not used before.

    Only what follows the last slash or backslash counts. Control and other invisible characters are removed,
    characters with a meaning in a shell pattern or on Windows become ``_``, so do names that Windows
    reserves; leading dots (hidden files) and trailing dots and blanks go. A name is at most 200 bytes long
    and keeps its suffix. A name that was used gets ``-2``, ``-3`` before its suffix; capitals do not make a
    difference.

    :param name: as it came; empty or all unsafe: ``result``.
    :param taken: the names used so far in lower case; the new one is added.
    """
    text = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    text = "".join(c for c in text if not unicodedata.category(c).startswith("C"))
    text = _EDGES.sub("", _UNSAFE.sub("_", text)) or _FALLBACK
    if _RESERVED.match(text):
        text = f"_{text}"
    stem, suffix = _parts(text)
    safe, number = _fitted(stem, suffix), 1
    while safe.lower() in taken:
        number += 1
        safe = _fitted(stem, f"-{number}{suffix}")
    taken.add(safe.lower())
    return safe


def _parts(text: str) -> tuple[str, str]:
    stem, dot, suffix = text.rpartition(".")
    if not dot or len(suffix.encode()) > 20:
        return text, ""
    inner, dot, second = stem.rpartition(".")
    if suffix.lower() == "gz" and dot and inner and len(second.encode()) <= 20:
        return inner, f".{second}.{suffix}"
    return stem, f".{suffix}"


def _fitted(stem: str, suffix: str) -> str:
    room = _LONGEST - len(suffix.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip() + suffix
