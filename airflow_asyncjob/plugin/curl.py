"""A request of the trace as a curl command, to be tried in a shell. It holds no secrets, as the trace."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

__all__ = ["curl_of"]

# What curl adds on its own, and what belongs to one connection only.
_OWN = frozenset(
    {"host", "content-length", "connection", "accept-encoding", "transfer-encoding", "user-agent"}
)
_FILES = {"json": "body.json", "xml": "body.xml", "csv": "body.csv"}


def curl_of(exchange: Mapping[str, Any]) -> str:
    """Return the command for a POSIX shell, one option to a line.

    Secrets stand as ``***``, as in the trace; the trace has no request bodies, so that a body is read from a
    file, which the user writes.

    :param exchange: as ``Exchange.to_dict`` gives it.
    """
    method = str(exchange.get("method") or "GET")
    lines = [f"curl {'' if method == 'GET' else f'-X {shlex.quote(method)} '}{_word(exchange.get('url'))}"]
    headers = exchange.get("request_headers")
    content_type = ""
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        if name.lower() == "content-type":
            content_type = str(value)
        if name.lower() not in _OWN:
            lines.append(f"-H {_word(f'{name}: {value}')}")
    if exchange.get("request_bytes"):
        lines.append(f"--data-binary @{_file(content_type)}")
    return " \\\n  ".join(lines)


def _word(text: Any) -> str:
    """Quote one word; a line break in it would end the line for a person who reads, so it becomes a space."""
    return shlex.quote(" ".join(str(text or "").splitlines()))


def _file(content_type: str) -> str:
    return next((name for kind, name in _FILES.items() if kind in content_type.lower()), "body.bin")
