"""Everything that removes secrets from what people see: logs, traces, errors, trigger arguments.

A secret is recognised in two ways. By value: the password of the connection and the other secret values it
holds, in every spelling in which they travel (percent, Base64 of ``login:password``, JSON, XML). By place: a
header, a query parameter, a JSON or XML field whose name says so, user and password in front of a host,
``Bearer`` and ``Basic`` credentials. The second way finds what nobody declared, such as the signature of a
pre-signed URL in a status answer.

What it does NOT do: a value shorter than four characters is recognised by its place only, since replacing
every ``a`` in a text would destroy it; a secret in the path of a URL that the connection does not hold is not
recognised.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

__all__ = ["HIDDEN", "Redactor", "is_sensitive_name", "parts_of_target"]

HIDDEN = "***"
_SHORTEST = 4
_LONG = 8
_FOREIGN_SHOWN = 12

# Names are compared in lower case, without - _ . and spaces.
_SENSITIVE = re.compile(
    "password|passwd|passphrase|secret|token|authorization|apikey|accesskey|privatekey|authkey|credential|"
    "subscriptionkey|signature|cookie|sessionid|bearer|connectionstring|webhookurl|serviceaccount|keyfile|hmac"
)
# Places in a list and the like, not credentials: a reader of a trace needs them.
_HARMLESS = re.compile(
    "(next|page|continuation|cursor|sync|marker|pagination).*token|tokentype|tokenexp|tokens$"
)
_SENSITIVE_WHOLE = frozenset({"pwd", "pass", "jwt"})
# As a field of a body these are too common to mean a secret: the key of an object in a store.
_SENSITIVE_IN_REQUESTS = frozenset({"key", "sig", "auth", "xauth", "authheader"})
# Only these are refused in arguments by their name alone; a capture may well be called ``upload_token``.
_SENSITIVE_ARGUMENTS = frozenset(
    [
        *("password", "passwd", "passphrase", "secret", "clientsecret", "apikey", "privatekey"),
        *("accesstoken", "refreshtoken", "authtoken", "sessiontoken", "bearertoken", "authorization"),
    ]
)

_USERINFO = re.compile(r"(?P<lead>\b[a-zA-Z][a-zA-Z0-9+.\-]*://)(?P<user>[^/?#\s\"'<>@]+)@")
_QUERY = re.compile(r"(?P<lead>(?:[?&;]|&amp;|\\u0026)(?P<name>[\w.\-~%\[\]$]+)=)(?P<value>[^&\s\"'<>\\#]+)")
_QUOTED = re.compile(
    r"(?P<lead>(?P<q>[\"'])(?P<name>[\w.\- ]{1,80})(?P=q)\s*[:=]\s*(?P=q))"
    r"(?P<value>(?:\\.|(?!(?P=q)).)+)",
    re.DOTALL,
)
_QUOTED_TWICE = re.compile(
    r"(?P<lead>\\\"(?P<name>[\w.\- ]{1,80})\\\"\s*:\s*\\\")(?P<value>(?:(?!\\\").)+)", re.DOTALL
)
_ELEMENT = re.compile(r"(?P<lead><(?:[\w\-.]+:)?(?P<name>[\w\-.]+)(?:\s[^<>]*)?>)(?P<value>[^<>]+)(?=</)")
# ``auth.headers.X-Session: the value is ...`` is a place in a definition.
_HEADER_LINE = re.compile(
    r"(?<!headers\.)(?P<lead>\b(?P<name>(?:[Pp]roxy-)?[Aa]uthorization|(?:[Ss]et-)?[Cc]ookie|[Xx]-[\w\-]+):"
    r"[ \t]*)(?P<value>[^\r\n\"'<>]+)"
)
_BODY_PLACES = (_QUOTED, _QUOTED_TWICE, _ELEMENT)
# "Basic authentication required" is no credential: it has a digit, or is long.
_CREDENTIALS = re.compile(
    r"\b(?P<lead>(?:Bearer|Basic|Token|ApiKey)\s+)(?=\S*\d|\S{24})[A-Za-z0-9._~+/=\-]{8,}", re.IGNORECASE
)
_SCHEME = re.compile(r"(?:Bearer|Basic|Token|ApiKey|Digest|AWS4-HMAC-SHA256)\s", re.IGNORECASE)


@lru_cache(maxsize=4096)
def is_sensitive_name(name: str, *, in_body: bool = False) -> bool:
    """Return whether a name says that its value is a secret.

    :param name: of a header, a query parameter, a key of a connection's extra, or a field of a body.
    :param in_body: it is a field of a body, where a bare ``key`` means other things.
    """
    plain = _plain(name)
    if plain in _SENSITIVE_WHOLE or (plain in _SENSITIVE_IN_REQUESTS and not in_body):
        return True
    return _SENSITIVE.search(plain) is not None and _HARMLESS.search(plain) is None


def parts_of_target(target: str) -> frozenset[str]:
    """Return what of a download target that is a secret must not be seen: all but scheme and host.

    Its long parts are secrets by themselves: the link to a next page repeats them in another order.
    """
    parts = urlsplit(target)
    if not parts.netloc and "/" not in target:
        return frozenset({target})
    whole = parts.path + (f"?{parts.query}" if parts.query else "")
    pieces = {*parts.path.split("/"), *re.split("[&=]", parts.query)}
    pieces |= {value for _, value in parse_qsl(parts.query)}
    return frozenset({whole} | {piece for piece in pieces if len(piece) > _FOREIGN_SHOWN})


class Redactor:
    """Removes the secrets of one connection, and of what is asked beside it.

    :param secrets: values that must not be seen, see ``ConnectionSettings.secrets()``; those shorter than 4
        characters are ignored.
    :param names: further names of headers and query parameters that carry secrets, such as an API key's.
    """

    def __init__(self, secrets: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._targets: frozenset[str] = frozenset()
        self._values: re.Pattern[str] | None = None
        self._own_values: re.Pattern[str] | None = None
        self._longest = 0
        self._names: frozenset[str] = frozenset()
        self.learn(secrets, names)

    def learn(self, secrets: Iterable[str], names: Iterable[str] = ()) -> None:
        """Hide these too from now on, such as a token that was just fetched; nothing is ever forgotten."""
        self._names |= {_plain(name) for name in names}
        self._know(self._secrets.union(secrets), self._targets)

    def learn_target(self, target: str) -> None:
        """Hide a download target that is a secret. Unlike the connection's secrets, it may go to any host."""
        self._know(self._secrets, self._targets | parts_of_target(target))

    def _know(self, secrets: frozenset[str], targets: frozenset[str]) -> None:
        secrets, targets = (
            frozenset(value for value in values if len(value) >= _SHORTEST) for values in (secrets, targets)
        )
        if (secrets, targets) == (self._secrets, self._targets):
            return
        self._secrets, self._targets = secrets, targets
        self._values = _any_of(secrets | targets)
        self._own_values = _any_of(secret for secret in secrets if len(secret) >= _LONG)
        self._longest = max(len(form) for value in secrets | targets for form in _spellings(value))

    def __repr__(self) -> str:
        return "<Redactor>"

    def holds_secret(self, text: str, *, own: bool = False) -> bool:
        """Return whether a secret value is in the text, in any of its spellings.

        :param own: look only for those of the connection, and only for those of 8 characters and more: a
            shorter one may stand there by chance.
        """
        values = self._own_values if own else self._values
        return values is not None and values.search(text) is not None

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        if self._values is not None:
            text = self._values.sub(HIDDEN, text)
        text = _USERINFO.sub(_without_user, text)
        for pattern in (_QUERY, _HEADER_LINE, *_BODY_PLACES):
            text = pattern.sub(self._without_value, text)
        return _CREDENTIALS.sub(rf"\g<lead>{HIDDEN}", text)

    def excerpt(self, body: bytes, limit: int, encoding: str | None = None) -> str:
        """Return the first ``limit`` characters of a body as text without secrets.

        It is cut after they are removed, so that no start of a secret stays at its end.
        """
        room = (limit + self._longest + 256) * 4
        try:
            text = body[:room].decode(encoding or "utf-8", "replace")
        except (LookupError, ValueError):  # a charset that nobody knows, or that is none: undefined, idna
            text = body[:room].decode("utf-8", "replace")
        safe = self.text("".join(c if c.isprintable() or c in "\r\n\t" else "\ufffd" for c in text))
        return safe if len(safe) <= limit else safe[:limit] + "…"

    def url(self, url: str, *, foreign: bool = False) -> str:
        """Return a URL for people.

        :param foreign: it is not of the connection's own origin, perhaps pre-signed: long values of its query
            are hidden too.
        """
        safe = self.text(url)
        if not foreign:
            return safe

        def shorten(match: re.Match[str]) -> str:
            return match[0] if len(match["value"]) <= _FOREIGN_SHOWN else f"{match['lead']}{HIDDEN}"

        return _QUERY.sub(shorten, safe)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers for people; of an authorization header the scheme is kept."""
        return {name: self._header(name, value) for name, value in headers.items()}

    def would_change(self, value: Any) -> list[str]:
        """Return the paths of what may not be stored in a JSON-like value, such as ``headers.Authorization``.

        Used before a defer: trigger arguments lie in the database as plain text. A string found by its name
        alone is reported when the name is unmistakable (``password``, ``access_token``); templates are not
        reported for their place.
        """
        found: list[str] = []
        self._walk(value, "", found)
        return found

    def _walk(self, value: Any, path: str, found: list[str]) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                here = f"{path}.{key}" if path else str(key)
                if self.text(str(key)) != str(key) or self._is_secret_argument(str(key), item):
                    found.append(here)
                else:
                    self._walk(item, here, found)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for number, item in enumerate(value):
                self._walk(item, f"{path}[{number}]", found)
        elif isinstance(value, str) and self._is_secret_text(value):
            found.append(path or "value")

    def _is_secret_text(self, text: str) -> bool:
        return self.holds_secret(text) or (not _is_template(text) and self.text(text) != text)

    def _is_secret_argument(self, name: str, value: Any) -> bool:
        named = _plain(name) in _SENSITIVE_ARGUMENTS or _plain(name) in self._names
        return named and isinstance(value, str) and value != "" and not _is_template(value)

    def _is_sensitive(self, name: str, in_body: bool = False) -> bool:
        return is_sensitive_name(name, in_body=in_body) or _plain(name) in self._names

    def _header(self, name: str, value: str) -> str:
        if not self._is_sensitive(name):
            return self.text(value)
        scheme = _SCHEME.match(value)
        return f"{scheme[0]}{HIDDEN}" if scheme else HIDDEN

    def _without_value(self, match: re.Match[str]) -> str:
        hidden = self._is_sensitive(match["name"], match.re in _BODY_PLACES)
        return f"{match['lead']}{HIDDEN}" if hidden else match[0]


def _without_user(match: re.Match[str]) -> str:
    """Hide who stands before a host, but not the connection before a bucket: ``s3://aws_lake@bucket``.

    A user of HTTP without a password is a token as often as a name.
    """
    is_name = "http" not in match["lead"].lower() and re.fullmatch(r"[\w.\-]+", match["user"])
    return match[0] if is_name else f"{match['lead']}{HIDDEN}@"


def _plain(name: str) -> str:
    return re.sub(r"[-_.\s]", "", name).lower()


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _any_of(secrets: Iterable[str]) -> re.Pattern[str] | None:
    forms = sorted({form for secret in secrets for form in _spellings(secret)}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, forms))) if forms else None


@lru_cache(maxsize=256)
def _spellings(secret: str) -> frozenset[str]:
    """Return the forms in which a secret travels."""
    percent = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    percent |= {re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), form) for form in percent}
    forms = {secret, repr(secret)[1:-1], html.escape(secret), html.escape(secret, quote=False)}
    forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    raw = secret.encode()
    forms |= percent | {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return frozenset(form for form in forms if len(form) >= _SHORTEST)
