"""Webhook: the API says by itself that a job has changed, instead of being asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from airflow_asyncjob.definition.models.base import Model, PositiveDuration, ShortForm, mistakes
from airflow_asyncjob.definition.models.extractor import ExtractorField

__all__ = ["HeaderText", "Webhook", "WebhookAuth"]

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "hmac": ("header", "algorithm", "encoding", "secret_encoding", "signed", "timestamp", "tolerance"),
    "ecdsa": ("header", "encoding", "signed", "timestamp", "tolerance"),
    "header": ("header",),
    "path": (),
    "basic": (),
}
"""The fields of each kind. One in another kind would be ignored, and is a mistake."""


class HeaderText(Model):
    """A header of an event, or texts in it."""

    header: str = Field(description="Name of the header, in any case.")
    regex: str | None = Field(
        default=None,
        description="The first group of each match (or the whole match) is a value, such as v1=(\\w+); null: "
        "the whole header.",
    )


def _named(value: Any) -> Any:
    return {"header": value} if isinstance(value, str) else value


HeaderField = Annotated[HeaderText, BeforeValidator(_named), ShortForm({"type": "string"})]
"""In a file text is the name of a header; a mapping is the long form."""


class WebhookAuth(Model):
    """How it is known that the API sent an event. The secret itself is in the connection's extra."""

    type: Literal["hmac", "ecdsa", "header", "path", "basic"] = Field(
        description="hmac: the body is signed with webhook_secret of the connection's extra; ecdsa: it is "
        "signed so that webhook_public_key of the extra verifies it; header, path: webhook_secret is sent in "
        "a header, or is the end of the address; basic: webhook_secret is LOGIN:PASSWORD."
    )
    header: HeaderField | None = Field(
        default=None,
        description="hmac, ecdsa: header that holds the signature, or several of which one is enough. "
        "header: the one that holds the secret.",
    )
    algorithm: Literal["sha256", "sha1", "sha512"] = Field(default="sha256", description="hmac: the hash.")
    encoding: Literal["hex", "base64"] | None = Field(
        default=None,
        description="hmac, ecdsa: how the signature is written; null: hex for hmac, base64 for ecdsa.",
    )
    secret_encoding: Literal["text", "base64"] = Field(
        default="text",
        description="hmac: how the secret is written; base64: it is decoded first, after whsec_ if it begins "
        "with that.",
    )
    signed: str = Field(
        default="{{ body }}",
        description="hmac, ecdsa: template of what is signed, over body (each byte as it came), timestamp "
        "and headers.",
    )
    timestamp: HeaderField | None = Field(
        default=None,
        description="hmac, ecdsa: header with the time of sending, in seconds or milliseconds since 1970 or "
        "ISO 8601; null: there is none, and an old event can be sent again.",
    )
    tolerance: PositiveDuration = Field(
        default=300.0, description="How far that time may be from the API server's clock."
    )

    @model_validator(mode="after")
    def _fits(self) -> WebhookAuth:
        own = _FIELDS[self.type]
        found = [
            (name, f"would be ignored: it goes with type {_kinds_with(name)}, and `type` is {self.type}")
            for name in type(self).model_fields
            if name not in ("type", *own) and name in self.model_fields_set
        ]
        if "header" in own and self.header is None:
            what = "the secret" if self.type == "header" else "the signature"
            found.append(("header", f"required with type {self.type}: the header that holds {what}"))
        if self.timestamp is None and "tolerance" in own and "tolerance" in self.model_fields_set:
            found.append(("tolerance", "would be ignored: it goes with `timestamp`"))
        if found:
            raise mistakes(found)
        return self


def _kinds_with(name: str) -> str:
    return " or ".join(kind for kind, fields in _FIELDS.items() if name in fields)


class Webhook(Model):
    """An event that the API sends when a job has changed: the waiting task wakes, and polls at once.

    The event is a hint and never the truth: what became of the job is learned from the poll. Where the
    connection has no secret for events, the job is polled as if there were no webhook.
    """

    id: ExtractorField | None = Field(
        default=None,
        description="Where the submission ID lies in the event, or a list of them; not needed where the "
        "submit sends {{ callback_url }}, which names the task.",
    )
    when: str | None = Field(
        default=None,
        description="Expression over headers and body; an event for which it is not true is ignored. null: "
        "each counts.",
    )
    auth: WebhookAuth | None = Field(
        default=None,
        description="How events are authenticated; null only where the submit sends {{ callback_url }}, a "
        "signed address.",
    )
    poll_wait: PositiveDuration | None = Field(
        default=None,
        description="Between the polls that go on as the net for events that get lost; null: ten times the "
        "poll_wait of the section. Waits grow from there as ever.",
    )
