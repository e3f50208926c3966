"""Request: one HTTP request as a definition says it, before its templates are rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    field_validator,
    model_validator,
)

from airflow_asyncjob.definition.models.auth_kinds import RequestAuth
from airflow_asyncjob.definition.models.base import Json, Model, ShortForm, mistakes
from airflow_asyncjob.definition.models.multipart import PartField
from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.definition.values import plain

__all__ = ["BODY_KINDS", "Request", "ResponseKind"]

BODY_KINDS = ("json", "form", "xml", "text", "multipart", "file", "part")
ResponseKind = Literal["auto", "json", "xml", "text", "none"]
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def _flat_fields(value: Any) -> Any:
    """Check that each parameter is one value or a list of values, which every API reads the same way."""
    if not isinstance(value, Mapping):
        return value
    for name, item in value.items():
        inner = item if isinstance(item, (list, tuple)) else [item]
        if isinstance(item, Mapping) or any(isinstance(part, (Mapping, list, tuple)) for part in inner):
            raise ValueError(
                f"{shown(name)} is {shown(item)}; a parameter is one value or a list of values; the filter "
                "tojson in a template writes a mapping as JSON"
            )
    return plain(value)


def _text_or_tree(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{shown(value)} is {kind_of(value)}; XML is text, or a mapping with one root element"
        )
    roots = list(value)
    if len(roots) != 1:
        raise ValueError(
            f"XML has one root element; this mapping has {len(roots)}: {', '.join(map(str, roots))}"
        )
    return plain(value)


def _some_field(fields: dict[str, Any]) -> dict[str, Any]:
    if not fields:
        raise ValueError("there is no field; give one or more, as name: text or name: {file: ...}")
    return fields


def _word_or_object(value: Any) -> str:
    return "word" if isinstance(value, str) else "object"


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.lower()}]" for letter in word)


# An editor offers the usual spelling, and marks no other case of it: the loader takes them all.
Method = Annotated[
    Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
    BeforeValidator(_upper),
    ShortForm({"type": "string", "pattern": f"^({'|'.join(map(_any_case, _METHODS))})$"}),
]
Fields = Annotated[dict[str, Any], BeforeValidator(_flat_fields)]
AuthWord = Literal["connection", "none"]
AuthField = Annotated[
    Annotated[AuthWord, Tag("word")] | Annotated[RequestAuth, Tag("object")],
    Discriminator(_word_or_object),
]


HeadersField = Annotated[
    Annotated[str, Tag("word")] | Annotated[dict[str, str], Tag("object")],
    Discriminator(_word_or_object),
]


class Request(Model):
    """One request. Every string in it is a template, rendered when the request is sent."""

    method: Method = Field(default="GET", description="HTTP method.")
    url: str = Field(
        default="",
        description="Relative to the connection's address, or absolute. Values are percent-encoded, unless "
        "the whole "
        "URL is one expression.",
    )
    params: Fields = Field(
        default_factory=dict,
        description="Query parameters; a list repeats the parameter, null leaves it out.",
    )
    headers: HeadersField = Field(
        default_factory=dict,
        description="Headers; they win over the connection's. Or one template of a mapping, such as "
        "'{{ captures.headers }}', for those that an answer named.",
    )
    json_body: Json = Field(default=None, alias="json", description="JSON body, any value.")
    form: Fields | None = Field(
        default=None, description="Body as application/x-www-form-urlencoded; as params."
    )
    xml: Annotated[str | dict[str, Any] | None, BeforeValidator(_text_or_tree)] = Field(
        default=None,
        description="XML body: text with templates (values are escaped), or a tree with attributes as "
        "@name and text "
        "as #text.",
    )
    text: str | None = Field(default=None, description="Body as plain text.")
    multipart: Annotated[dict[str, PartField], AfterValidator(_some_field)] | None = Field(
        default=None,
        description="Body as multipart/form-data, in this order. Name: text, or {file: ..., filename: ..., "
        "content_type: ...}; files are streamed.",
    )
    file: str | None = Field(
        default=None,
        description="Body that is a file, streamed: path or URI, as a template over inputs, item and the "
        "names of the run. Its Content-Type is as the file's name says, unless headers give one.",
    )
    part: StrictBool = Field(
        default=False,
        description="true: the body is a part of `submit.upload`. Its Content-Type is as the upload's format "
        "says, unless headers give one.",
    )
    response: ResponseKind = Field(
        default="auto",
        description="How to read the answer; auto: by its content, whatever the content type says.",
    )
    auth: AuthField = Field(
        default="connection",
        description="none: send no credentials, although the connection has them. Or an object: its own "
        "credentials, such as {connection: my_store, type: bearer}.",
    )

    @field_validator("headers")
    @classmethod
    def _whole_template(cls, value: Any) -> Any:
        if isinstance(value, str) and not (value.strip().startswith("{{") and value.strip().endswith("}}")):
            raise ValueError(
                f"{shown(value)} is text; headers are a mapping, or one template of a mapping, such as "
                "'{{ captures.headers }}'"
            )
        return value

    @model_validator(mode="after")
    def _one_body(self) -> Request:
        given = [kind for kind in BODY_KINDS if self.has_body(kind)]
        if len(given) > 1:
            raise mistakes(
                [("", f"a request has one body, and {' and '.join(f'`{kind}`' for kind in given)} are given")]
            )
        return self

    def has_body(self, kind: str) -> bool:
        """Return whether a body of this kind (one of :data:`BODY_KINDS`) is given; ``json: null`` is one."""
        if kind == "json":
            return "json_body" in self.model_fields_set
        return getattr(self, kind) not in (None, False)
