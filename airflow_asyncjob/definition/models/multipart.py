"""Multipart: one field of a body as multipart/form-data."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from airflow_asyncjob.definition.models.base import Model, ShortForm, mistakes

__all__ = ["PartField"]


class Part(Model):
    """One field of a multipart body: text, or a file."""

    text: str | None = Field(default=None, description="The value. Instead of file.")
    file: str | None = Field(
        default=None,
        description="Path or URI of a file, as a template over inputs, item and the names of the run: an "
        "answer of the API must not choose a file here.",
    )
    filename: str | None = Field(
        default=None, description="Name that the API gets. null: the file's own; of a text: none."
    )
    content_type: str | None = Field(
        default=None, description="Media type. null: as the file's name says; of a text: none."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Part:
        if (self.text is None) == (self.file is None):
            given = "both are given" if self.text is not None else "neither is given"
            raise mistakes([("", f"a field has either `text` or `file`; {given}")])
        return self


def _long_form(value: Any) -> Any:
    if isinstance(value, (str, bool, int, float)):
        return {"text": value if isinstance(value, str) else json.dumps(value)}
    return value


PartField = Annotated[Part, BeforeValidator(_long_form), ShortForm({"type": ["string", "number", "boolean"]})]
"""In a file a text is the value; a mapping is the long form."""
