"""Who sent an event: the habits of senders, with the samples that they publish where they publish any."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_asyncjob.definition.models.webhook import WebhookAuth
from airflow_asyncjob.definition.signature import Keys, ReceivedEvent, is_authentic

NOW = 1_800_000_000.0
BODY = '{"event":"job:finished","name":"Žluťoučký kůň"}\n'.encode()
SECRET = "It's a Secret to Everybody"
STANDARD = {
    "type": "hmac",
    "header": {"header": "webhook-signature", "regex": r"v1,(\S+)"},
    "encoding": "base64",
    "secret_encoding": "base64",
    "signed": "{{ headers['webhook-id'] }}.{{ timestamp }}.{{ body }}",
    "timestamp": "webhook-timestamp",
}
STRIPE = {
    "type": "hmac",
    "header": {"header": "stripe-signature", "regex": r"v1=([0-9a-f]+)"},
    "signed": "{{ timestamp }}.{{ body }}",
    "timestamp": {"header": "stripe-signature", "regex": r"t=(\d+)"},
}
SENDGRID = {
    "type": "ecdsa",
    "header": "X-Twilio-Email-Event-Webhook-Signature",
    "timestamp": "X-Twilio-Email-Event-Webhook-Timestamp",
    "signed": "{{ timestamp }}{{ body }}",
}
SHOPTET = {"type": "hmac", "header": "Shoptet-Webhook-Signature", "algorithm": "sha1"}


def accepted(
    auth: dict[str, Any],
    headers: dict[str, str],
    secret: Any = SECRET,
    *,
    body: bytes = BODY,
    now: float = NOW,
    path: str = "",
    key: str = "webhook_secret",
) -> bool:
    event = ReceivedEvent(headers, body, path)
    return is_authentic(WebhookAuth(**auth), event, Keys.of({key: secret}), now)


def signed(secret: str | bytes, data: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.digest(secret if isinstance(secret, bytes) else secret.encode(), data, algorithm)


def test_the_sample_that_github_publishes() -> None:
    auth = {"type": "hmac", "header": {"header": "X-Hub-Signature-256", "regex": "sha256=([0-9a-f]+)"}}
    found = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"X-Hub-Signature-256": f"sha256={found}"}
    assert accepted(auth, headers, body=b"Hello, World!")
    assert not accepted(auth, headers, body=b"Hello, World?")
    assert not accepted(auth, {"X-Hub-Signature-256": found}, body=b"Hello, World!"), "without its prefix"
    assert not accepted(auth, headers, "another", body=b"Hello, World!")


def test_the_sample_that_standard_webhooks_publishes() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,AAAA v1a,xx v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    assert accepted(STANDARD, headers, secret, body=body, now=1614265330.0 + 299)
    assert not accepted(STANDARD, headers, secret, body=body, now=1614265330.0 + 301), "an old event"
    assert not accepted(STANDARD, headers, secret, body=body, now=1614265330.0 - 301), "one of the future"
    for name in headers:
        rest = {key: value for key, value in headers.items() if key != name}
        assert not accepted(STANDARD, rest, secret, body=body, now=1614265330.0), f"without {name}"


def test_a_time_and_several_signatures_in_one_header() -> None:
    told = f"{NOW:.0f}".encode()
    good, old = (signed(secret, told + b"." + BODY).hex() for secret in (SECRET, "old"))
    assert accepted(STRIPE, {"Stripe-Signature": f"t={NOW:.0f},v1={old},v1={good},v0=aa"})
    assert not accepted(STRIPE, {"Stripe-Signature": f"t={NOW:.0f},v1={old},v0={good}"})
    assert not accepted(STRIPE, {"Stripe-Signature": f"t={NOW + 1:.0f},v1={good}"}), "the time is signed"
    assert accepted(STRIPE, {"Stripe-Signature": f"t={NOW:.0f},v1={old}"}, [SECRET, "old"]), "two secrets"


def test_the_signature_of_a_shop() -> None:
    headers = {"shoptet-webhook-signature": signed(SECRET, BODY, "sha1").hex()}
    assert accepted(SHOPTET, headers)
    assert not accepted(SHOPTET, headers, body=BODY.strip()), "each byte counts"


def test_any_bytes_are_signed_as_they_came() -> None:
    body = bytes(range(256)) * 3 + b"{{ body }} {% raw %}"
    assert accepted(SHOPTET, {"Shoptet-Webhook-Signature": signed(SECRET, body, "sha1").hex()}, body=body)


@pytest.mark.parametrize("form", ["base64", "pem"])
def test_a_signature_that_a_public_key_verifies(form: str) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = pem if form == "pem" else base64.b64encode(der).decode()
    told = f"{NOW:.0f}"
    signature = private.sign(told.encode() + BODY, ec.ECDSA(SHA256()))
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": told,
    }
    assert accepted(SENDGRID, headers, key, key="webhook_public_key")
    assert not accepted(SENDGRID, headers, key, key="webhook_public_key", body=BODY + b" ")
    assert not accepted(SENDGRID, headers, key, key="webhook_secret"), "a public key is no secret"
    for wrong in ("", "no key", base64.b64encode(b"no key").decode(), "-----BEGIN PUBLIC KEY-----\nx"):
        assert not accepted(SENDGRID, headers, wrong, key="webhook_public_key")
    other = rsa.generate_private_key(65537, 2048).public_key()
    strange = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert not accepted(SENDGRID, headers, strange, key="webhook_public_key")


def test_a_shared_secret_in_a_header_the_path_or_a_login() -> None:
    header = {"type": "header", "header": {"header": "Authorization", "regex": "Bearer (.+)"}}
    assert accepted(header, {"authorization": f"Bearer {SECRET}"})
    assert not accepted(header, {"authorization": SECRET})
    assert accepted({"type": "header", "header": "X-Token"}, {"x-token": SECRET})
    assert not accepted({"type": "header", "header": "X-Token"}, {"x-token": SECRET + "x"})
    assert accepted({"type": "path"}, {}, path=SECRET)
    assert not accepted({"type": "path"}, {}, path="")
    login = base64.b64encode(b"shop:pass:word").decode()
    assert accepted({"type": "basic"}, {"Authorization": f"basic {login}"}, "shop:pass:word")
    assert not accepted({"type": "basic"}, {"Authorization": f"Bearer {login}"}, "shop:pass:word")


@pytest.mark.parametrize("auth", [STANDARD, STRIPE, SENDGRID, SHOPTET, {"type": "path"}, {"type": "basic"}])
@pytest.mark.parametrize("secret", [None, "", 5, {"a": "b"}, [], ["", None]])
def test_without_a_secret_nothing_is_believed(auth: dict[str, Any], secret: Any) -> None:
    empty = hmac.digest(b"", BODY, hashlib.sha1).hex()
    headers = {"Shoptet-Webhook-Signature": empty, "Authorization": "Basic "}
    assert not accepted(auth, headers, secret)
    assert not accepted(auth, headers, secret, key="webhook_public_key")


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-1", "9" * 200, "2027-01-15", "٣"])
def test_a_strange_time_is_not_now(text: str) -> None:
    given = signed(SECRET, text.encode("utf-8") + b"." + BODY).hex()
    auth = {**STRIPE, "header": "X-Sig", "timestamp": "X-Time"}
    assert not accepted(auth, {"X-Sig": given, "X-Time": text})


@pytest.mark.parametrize("text", ["1800000000", "1800000000123", "2027-01-15T08:00:00Z", "1800000000.5"])
def test_the_ways_to_write_a_time(text: str) -> None:
    given = signed(SECRET, text.encode() + b"." + BODY).hex()
    auth = {**STRIPE, "header": "X-Sig", "timestamp": "X-Time"}
    assert accepted(auth, {"X-Sig": given, "X-Time": text})


@pytest.mark.parametrize("text", ["x" * 40, "Zm9v!", "é", "", "0" * 39])
def test_a_signature_that_is_none_is_refused(text: str) -> None:
    assert not accepted(SHOPTET, {"Shoptet-Webhook-Signature": text})


def test_the_text_form_shows_no_secret() -> None:
    keys = Keys.of({"webhook_secret": ["one-secret", "two"], "webhook_public_key": "k"})
    assert repr(keys) == "<Keys: 2 secrets, 1 public keys>"
