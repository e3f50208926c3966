"""Whether an event was sent by the API: signatures and shared secrets, compared in constant time.

Habits of senders that the fields of ``status.webhook.auth`` cover, each in the tests by a sample of its own:

- Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
  HMAC-SHA256 over ``id.timestamp.body``, the secret in Base64 after ``whsec_``, several signatures.
- GitHub (https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries): over the body, in
  hex after ``sha256=``.
- Stripe (https://docs.stripe.com/webhooks/signature): ``t=`` and ``v1=`` in one header, over ``t.body``.
- Shoptet (https://developers.shoptet.com/webhooks/): HMAC-SHA1 over the body, in hex.
- SendGrid's signed event webhook
  (https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features):
  ECDSA with SHA-256 over the timestamp and the body, in Base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from airflow_asyncjob.definition.extract import Headers
from airflow_asyncjob.definition.models.webhook import HeaderText, WebhookAuth
from airflow_asyncjob.definition.templates import render
from airflow_asyncjob.errors import DefinitionError

__all__ = ["Keys", "ReceivedEvent", "is_authentic", "text_to_sign"]

_MILLISECONDS = 100_000_000_000
"""A number of seconds that is as large as this is milliseconds: it would be the year 5138."""
_MOST_SIGNATURES = 10
_LONGEST_TIMESTAMP = 64


@dataclass(frozen=True)
class ReceivedEvent:
    """One event as it came.

    :param headers: names in any case; values as HTTP has them, one character a byte.
    :param body: as it came, byte by byte.
    :param path_secret: the end of the address behind the connection; empty: there is none.
    """

    headers: Mapping[str, str]
    body: bytes
    path_secret: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", Headers(self.headers))


@dataclass(frozen=True, repr=False)
class Keys:
    """What the connection's extra holds of webhooks. Its text form shows none of it.

    :param secrets: ``webhook_secret``: any of them is right, so that one can be replaced by another without a
        gap.
    :param public_keys: ``webhook_public_key``, the same; PEM, or the Base64 of DER.
    :param callback_base_url: ``callback_base_url``; empty: the address of the API server counts.
    """

    secrets: tuple[str, ...] = ()
    public_keys: tuple[str, ...] = ()
    callback_base_url: str = field(default="")

    @classmethod
    def of(cls, extra: Mapping[str, object]) -> Keys:
        """Return those of a connection.

        :param extra: its extra, as a mapping. A value that is neither text nor a list of texts is none.
        """
        base = extra.get("callback_base_url")
        return cls(
            _texts(extra.get("webhook_secret")),
            _texts(extra.get("webhook_public_key")),
            base if isinstance(base, str) else "",
        )

    def __bool__(self) -> bool:
        """Return whether any event can be verified."""
        return bool(self.secrets or self.public_keys)

    def __repr__(self) -> str:
        return f"<Keys: {len(self.secrets)} secrets, {len(self.public_keys)} public keys>"


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple(text for text in values if isinstance(text, str) and text)


def is_authentic(auth: WebhookAuth, event: ReceivedEvent, keys: Keys, now: float) -> bool:
    """Return whether the API sent an event; False also where nothing is there to compare with.

    :param keys: of the connection.
    :param now: seconds since the epoch.
    """
    if auth.type == "path":
        return _is_any(keys.secrets, [event.path_secret])
    given = _values(auth.header, event) if auth.header is not None else []
    if auth.type == "header":
        return _is_any(keys.secrets, given)
    if auth.type == "basic":
        scheme, _, value = event.headers.get("authorization", "").partition(" ")
        login = _decoded(value.strip(), "base64") if scheme.lower() == "basic" else b""
        return _is_any(keys.secrets, [login.decode("utf-8", "replace")])
    timestamp = _values(auth.timestamp, event)[:1] if auth.timestamp is not None else [""]
    if not timestamp or (auth.timestamp is not None and not _is_now(timestamp[0], now, auth.tolerance)):
        return False
    try:
        signed = text_to_sign(auth, event, timestamp[0])
    except DefinitionError:  # it needs a header that this event does not have
        return False
    encoding = auth.encoding or ("base64" if auth.type == "ecdsa" else "hex")
    signatures = [found for text in given if (found := _decoded(text, encoding))]
    if auth.type == "ecdsa":
        return any(_is_signed_by(key, signed, found) for key in keys.public_keys for found in signatures)
    expected = [hmac.digest(_key(auth, secret), signed, auth.algorithm) for secret in keys.secrets]
    compared = [hmac.compare_digest(one, found) for one in expected for found in signatures]
    return any(compared)


def text_to_sign(auth: WebhookAuth, event: ReceivedEvent, timestamp: str) -> bytes:
    """Return the bytes that are signed.

    The template sees each byte of the body as one character, so that any body comes out as it went in.

    :param timestamp: as the header has it; empty: there is none.
    :raises TemplateError: a header that the template names is not there.
    """
    names = {"body": event.body.decode("latin-1"), "timestamp": timestamp, "headers": event.headers}
    text = render(auth.signed, names, where="status.webhook.auth.signed")
    return str(text).encode("latin-1", "replace")


def _is_any(secrets: Iterable[str], given: Iterable[str]) -> bool:
    # Each pair is compared: the time must not tell which of them was nearly right.
    found = [hmac.compare_digest(_hashed(secret), _hashed(one)) for secret in secrets for one in given]
    return any(found)


def _hashed(text: str) -> bytes:
    """Return a text of a fixed length for another: its length is then no secret either."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _values(place: HeaderText, event: ReceivedEvent) -> list[str]:
    text = event.headers.get(place.header, "").strip()
    if not text:
        return []
    if place.regex is None:
        return [text]
    matches = re.finditer(place.regex, text)
    return [
        (match[1] if match.re.groups else match[0]) or ""
        for match, _ in zip(matches, range(_MOST_SIGNATURES), strict=False)
    ]


def _decoded(text: str, encoding: str) -> bytes:
    """Return the bytes of hex or Base64, also with its URL alphabet; none where it is something else."""
    if encoding not in ("hex", "base64"):
        return b""
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        standard = text.translate(str.maketrans("-_", "+/"))
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (ValueError, binascii.Error):
        return b""


def _key(auth: WebhookAuth, secret: str) -> bytes:
    decoded = _decoded(secret.removeprefix("whsec_"), auth.secret_encoding)
    return decoded or secret.encode()


def _is_now(text: str, now: float, tolerance: float) -> bool:
    if len(text) > _LONGEST_TIMESTAMP:
        return False
    try:
        moment = float(text)
        moment = moment / 1000 if moment >= _MILLISECONDS else moment
    except ValueError:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            return False
        moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    return abs(now - moment) <= tolerance


def _is_signed_by(public_key: str, signed: bytes, signature: bytes) -> bool:
    # Not at the top: every DAG file pays for the imports, and only an API server verifies.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

    try:
        if "BEGIN" in public_key:
            key = load_pem_public_key(public_key.encode())
        else:
            key = load_der_public_key(_decoded("".join(public_key.split()), "base64"))
        if not isinstance(key, EllipticCurvePublicKey):
            return False
        key.verify(signature, signed, ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
