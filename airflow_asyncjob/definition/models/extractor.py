"""Extractor: how one value is read from a response."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool, model_validator

from airflow_asyncjob.definition.models.base import Model, ShortForm, mistakes

__all__ = ["SOURCES", "Extractor", "ExtractorField", "long_form"]

SOURCES = ("path", "header", "code", "expr", "template")


class Extractor(Model):
    """Where a value lies: exactly one of ``path``, ``header``, ``code``, ``expr``, ``template``."""

    path: str | None = Field(
        default=None,
        description="JMESPath into the body; with a leading / a path of XML local names, one or many.",
    )
    header: str | None = Field(default=None, description="Name of a response header, in any case.")
    code: StrictBool = Field(default=False, description="true: the HTTP status code.")
    expr: str | None = Field(default=None, description="Expression over code, headers, body, captures, url.")
    template: str | None = Field(
        default=None,
        description="Template over the names of a request, for a value that the client chooses itself.",
    )
    regex: str | None = Field(
        default=None,
        description="Applied to the text found; its first group (or the whole match) is the value.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Extractor:
        given = [name for name in SOURCES if getattr(self, name) not in (None, False)]
        if len(given) != 1:
            raise mistakes(
                [("", f"give exactly one of {', '.join(SOURCES)}; given: {', '.join(given) or 'none'}")]
            )
        return self

    def describe(self) -> str:
        """Return a short text for messages, such as ``path 'status.state'``."""
        name = next(name for name in SOURCES if getattr(self, name) not in (None, False))
        source = "the HTTP status code" if self.code else f"{name} {getattr(self, name)!r}"
        return source + (f" with regex {self.regex!r}" if self.regex else "")


def long_form(value: Any) -> Any:
    """Return the mapping that a short text stands for: a template where it has ``{{``, else a path."""
    if isinstance(value, str):
        return {"template": value} if "{{" in value or "{%" in value else {"path": value}
    return value


ExtractorField = Annotated[Extractor, BeforeValidator(long_form), ShortForm({"type": "string"})]
"""In a file a string is a path (or, with ``{{``, a template); a mapping is the long form."""
