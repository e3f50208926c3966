"""Credentials of pasted requests: moved out, so that no secret lands in a definition.

What is taken for a credential is decided by its name, and rather once too often: a value that was moved out
by mistake is put back by hand in a minute, a key in a repository is there for ever.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.importers.curl import CurlRequest
from airflow_asyncjob.transport.redact import is_sensitive_name

__all__ = ["Credentials", "Template"]

_XML_LEAF = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)(?:\s[^<>]*)?>([^<>]+)</")
_IDEMPOTENCY = re.compile(r"^(?:x-)?(?:idempotency-key|idempotence-key|idempotent-key)$", re.IGNORECASE)


class Template(str):
    """Text that is a template already, and is not to be escaped."""

    __slots__ = ()


@dataclass
class Credentials:
    """What was moved out of the requests, and where it belongs.

    :param auth: the definition's ``auth`` section; None: no credentials were seen.
    :param extras: names of the fields that the connection's extra needs, besides.
    :param notes: for people.
    """

    auth: dict[str, Any] | None = None
    extras: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def move_out(self, request: CurlRequest) -> None:
        """Remove every credential from a request; what is sent in a place of its own becomes a template."""
        if request.scheme:
            self._note(f"{request.scheme} authentication is not among none, basic, bearer and api_key")
        if request.user is not None:
            self._set({"type": "basic"})
        if request.bearer is not None:
            self._set({"type": "bearer"})
        request.user = request.bearer = None
        request.headers = [pair for name, value in request.headers for pair in self._header(name, value)]
        request.params = [pair for name, value in request.params for pair in self._param(name, value)]

    def of_body(self, value: Any, name: str = "") -> Any:
        """Return a body's value with templates in the places of secrets."""
        if isinstance(value, dict):
            return {key: self.of_body(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.of_body(item, name) for item in value]
        if isinstance(value, str) and value and name.lower() != "key" and is_sensitive_name(name):
            return self._extra(name)
        return value

    def of_xml(self, text: str) -> list[str]:
        """Return the pieces of an XML text; a secret's is a template."""
        pieces: list[str] = []
        at = 0
        for found in _XML_LEAF.finditer(text):
            if is_sensitive_name(found.group(1)):
                pieces += [text[at : found.start(2)], self._extra(found.group(1))]
                at = found.end(2)
        return [*pieces, text[at:]]

    def setup(self, base_url: str) -> list[str]:
        """Return lines that say what the connection needs, and a command that has it."""
        kind = self.auth["type"] if self.auth else "none"
        lines = {
            "none": ["Credentials: none were in the commands."],
            "basic": ["Credentials: basic. The connection's login and password."],
            "bearer": ["Credentials: a bearer token. It is the connection's password, without a login."],
            "api_key": ["Credentials: an API key. It is the connection's password, without a login."],
        }[kind]
        fields: dict[str, Any] = {} if kind == "none" else {"password": "..."}
        if kind == "basic":
            fields = {"login": "...", **fields}
        if self.extras:
            listed = ", ".join(self.extras)
            lines.append(f"In the extra of a connection of type asyncjob, as JSON: {listed}.")
            fields |= {"conn_type": "asyncjob", "extra": dict.fromkeys(self.extras, "...")}
        given = f"ASYNCJOB_CONN='{json.dumps(fields)}' " if fields else ""
        return [*lines, f"Try it: {given}asyncjob run THIS_FILE --base-url {base_url}"]

    def _set(self, auth: dict[str, Any]) -> bool:
        """Take this as the way to authenticate; False when another one was seen before."""
        if self.auth is None:
            self.auth = auth
        return self.auth == auth

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _extra(self, name: str) -> Template:
        key = re.sub(r"\W+", "_", name).strip("_").lower()
        if key not in self.extras:
            self.extras.append(key)
        return Template("{{ connection.extra." + key + " }}")

    def _header(self, name: str, value: str) -> list[tuple[str, str]]:
        lowered = name.lower()
        if lowered in ("cookie", "proxy-authorization"):
            self._note(f"the header {name} was left out: it is a credential of a browser session or a proxy")
            return []
        if _IDEMPOTENCY.match(name):
            return [(name, Template("{{ idempotency_key }}"))]
        if lowered == "authorization":
            return self._authorization(name, value)
        if is_sensitive_name(name):
            return [] if self._set({"type": "api_key", "header": name}) else [(name, self._extra(name))]
        return [(name, value)]

    def _authorization(self, name: str, value: str) -> list[tuple[str, str]]:
        scheme, blank, _ = value.partition(" ")
        if scheme.lower() in ("basic", "bearer"):
            auth: dict[str, Any] = {"type": scheme.lower()}
        else:
            auth = {"type": "api_key", "header": name}
            if blank:
                auth["prefix"] = f"{scheme} "
        if not self._set(auth):
            self._note(f"the commands authenticate in different ways; only {self.auth} was kept")
        return []

    def _param(self, name: str, value: str) -> list[tuple[str, str]]:
        if not is_sensitive_name(name):
            return [(name, value)]
        return [] if self._set({"type": "api_key", "query": name}) else [(name, self._extra(name))]
