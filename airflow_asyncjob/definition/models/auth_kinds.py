"""The kinds of authentication, with the fields that each of them has."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from airflow_asyncjob.definition.imported import CALLABLE_PATH
from airflow_asyncjob.definition.models.base import Model, mistakes
from airflow_asyncjob.definition.problems import not_a, shown

__all__ = ["AuthKinds", "Kind", "RequestAuth"]

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "basic": (),
    "bearer": (),
    "api_key": ("header", "query", "prefix"),
    "headers": ("headers",),
    "aws_sigv4": ("service", "region"),
    "oauth2": ("token_url", "grant", "scope", "params", "client_auth"),
    "session": ("login", "headers", "query"),
    "callable": ("callable",),
}
"""The fields of each kind. One in another kind would be ignored, and is a mistake."""
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "headers": ("headers",),
    "aws_sigv4": ("service",),
    "oauth2": ("token_url",),
    "session": ("login",),
    "callable": ("callable",),
}
Kind = Literal["none", "basic", "bearer", "api_key", "headers", "aws_sigv4", "oauth2", "callable"]


def _text_or_mapping(value: Any) -> Any:
    if value is None or isinstance(value, (str, Mapping)):
        return value
    raise ValueError(not_a(value, "text, nor a mapping of names to values"))


class AuthKinds(Model):
    """The fields of all kinds. The secrets themselves stay in the Airflow connection."""

    type: str | None = Field(default=None, description="Kind of authentication.")
    header: str | None = Field(
        default=None, description="api_key: header that carries the connection's password."
    )
    query: Annotated[str | dict[str, str] | None, BeforeValidator(_text_or_mapping)] = Field(
        default=None,
        description="api_key: query parameter that carries the connection's password. session: name "
        "and value of each.",
    )
    prefix: str = Field(default="", description="api_key in a header: text before the key, such as 'Token '.")
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="headers, session: name and value of each; templates see {{ connection.password }}, "
        "{{ connection.login }} and {{ connection.extra.NAME }}, and with session {{ captures.NAME }}.",
    )
    service: str | None = Field(
        default=None, description="aws_sigv4: the service as AWS signs it, such as athena, states or s3."
    )
    region: str | None = Field(
        default=None,
        description="aws_sigv4: region, such as eu-central-1; null: region_name in the connection's extra.",
    )

    token_url: str | None = Field(
        default=None,
        description="oauth2: the token endpoint, relative to the connection's address, or absolute.",
    )
    grant: Literal["client_credentials", "refresh_token"] = Field(
        default="client_credentials",
        description="oauth2: login is the client ID, password the client secret; a refresh token is "
        "refresh_token in the connection's extra.",
    )
    scope: str | None = Field(default=None, description="oauth2: scopes, with spaces between them.")
    params: dict[str, str] = Field(
        default_factory=dict, description="oauth2: further fields of the token request, such as audience."
    )
    client_auth: Literal["basic", "body"] = Field(
        default="basic",
        description="oauth2: whether the client ID and secret go to the token endpoint by basic "
        "authentication or as fields.",
    )

    callable: str | None = Field(
        default=None,
        description="callable: code of the team's own as package.module:name, called with the connection "
        "(a ConnectionSettings); it returns an httpx.Auth. Only in a definition, never in a connection.",
    )

    @model_validator(mode="after")
    def _fits(self) -> AuthKinds:
        kind = self.type
        own = _FIELDS.get(kind or "", ())
        found = [
            (name, f"would be ignored: it goes with type {_kinds_with(name)}, and `type` is {kind or 'null'}")
            for name in type(self).model_fields
            if name not in ("type", "connection", *own) and self._is_given(name)
        ]
        found += [
            (name, f"required with type {kind}: {type(self).model_fields[name].description}")
            for name in _REQUIRED.get(kind or "", ())
            if not self._is_given(name)
        ]
        found += [
            ("query", f"a {words} with type {kind}")
            for kinds, shape, words in (
                ("api_key", str, "name"),
                ("session", dict, "mapping of names to values"),
            )
            if kind == kinds and self.query is not None and not isinstance(self.query, shape)
        ]
        if kind == "callable" and self.callable:
            found += _wrong_path(self.callable)
        if kind == "session" and not self.headers and not self.query:
            found.append(("", "session needs `headers` or `query`, which carry what the login gave"))
        if kind == "api_key":
            found += self._key_place()
        if found:
            raise mistakes(found)
        return self

    def _is_given(self, name: str) -> bool:
        return name in self.model_fields_set and getattr(self, name) not in (None, "", {}, ())

    def _key_place(self) -> list[tuple[str, str]]:
        if (self.header is None) == (self.query is None):
            return [("", "api_key needs exactly one place: `header` or `query`")]
        if self.prefix and self.header is None:
            return [("prefix", "would be ignored: it goes before the key in a `header`")]
        return []


def _wrong_path(path: str) -> list[tuple[str, str]]:
    if not CALLABLE_PATH.fullmatch(path):
        return [("callable", f"{shown(path)} is not a callable's path, such as package.module:name")]
    if re.split(r"[.:]", path)[0] in sys.stdlib_module_names:
        said = "is of Python's own library; credentials are made by code of the team's own"
        return [("callable", f"{shown(path)} {said}")]
    return []


def _kinds_with(name: str) -> str:
    return " or ".join(kind for kind, fields in _FIELDS.items() if name in fields)


class RequestAuth(AuthKinds):
    """The credentials of one request, where they are not those of the job's connection."""

    connection: str | None = Field(
        default=None,
        description="Another Airflow connection: the request goes to its address, with its credentials. "
        "null: that of the job.",
    )
    type: Kind | None = Field(
        default=None, description="Kind of authentication; null: as that connection says."
    )

    @model_validator(mode="after")
    def _says_something(self) -> RequestAuth:
        if self.connection is None and self.type is None:
            raise mistakes([("", "give `connection` or `type`, or both")])
        return self
