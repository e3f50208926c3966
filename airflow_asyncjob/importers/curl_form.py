"""The fields of curl's -F: text or a file, with a name and a type of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["FormField", "read_field"]

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|([^;,]*)')
_SETTING = re.compile(r';\s*(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^;]*(?:;\s*(?:charset|boundary)=[^;]*)?))')


@dataclass(frozen=True)
class FormField:
    """One field of a multipart body.

    :param text: its value; None: it is a file.
    :param file: path of the file, as written; None: it is text.
    :param filename: name that the API gets; None: the file's own, and of a text none.
    :param content_type: media type; None: by the file's name, and of a text none.
    """

    name: str
    text: str | None = None
    file: str | None = None
    filename: str | None = None
    content_type: str | None = None


def read_field(option: str, *, literal: bool = False) -> FormField:
    """Return what curl sends for one ``-F`` (curl(1), --form).

    :param literal: it is ``--form-string``, whose value has no special characters.
    :raises ValueError: it is none, or one that a definition cannot say; the message says why.
    """
    name, equals, value = option.partition("=")
    if not equals or not name:
        raise ValueError("a field is NAME=VALUE")
    if literal:
        return FormField(name, text=value)
    if value.startswith("<"):
        raise ValueError("reads its value from a file; paste the file's content in its place")
    if value.startswith("("):
        raise ValueError("has parts within a part, which no definition can say")
    is_file = value.startswith("@")
    if not is_file and not value.startswith('"') and ";" not in value:
        return FormField(name, text=value)
    word = _WORD.match(value, 1 if is_file else 0)
    assert word is not None
    content, rest = _unquoted(word[1], word[2]), value[word.end() :]
    if not is_file and rest.startswith(","):
        content, comma, rest = value.partition(";")
        rest = f"{comma}{rest}"
    given = dict(_settings(rest))
    kinds = {"filename": given.get("filename"), "content_type": given.get("type")}
    return FormField(name, file=content, **kinds) if is_file else FormField(name, text=content, **kinds)


def _settings(rest: str) -> Iterator[tuple[str, str]]:
    """Yield what follows a value: ``;type=...``, ``;filename=...``."""
    if rest.startswith(","):
        raise ValueError("sends several files in one field; give each of them a field of its own")
    at = 0
    while at < len(rest):
        found = _SETTING.match(rest, at)
        if found is None or found[1] not in ("type", "filename"):
            raise ValueError(
                f"has {rest[at:][:30]!r} after its value, which is neither ;type= nor ;filename=; a value "
                "with a semicolon stands in double quotes, or in --form-string"
            )
        yield found[1], _unquoted(found[2], found[3]).strip()
        at = found.end()


def _unquoted(quoted: str | None, plain: str | None) -> str:
    return plain or "" if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
