"""Input: one parameter of a definition."""

from __future__ import annotations

from typing import Any

from pydantic import Field, StrictBool, model_validator

from airflow_asyncjob.definition.models.base import Json, Model, mistakes
from airflow_asyncjob.definition.values import InputType, check_format, typed

__all__ = ["Input"]


class Input(Model):
    """One parameter of a definition, given for each job."""

    type: InputType = Field(default="string", description="What values are taken.")
    format: str | None = Field(
        default=None,
        description="With datetime: how it is sent, as strftime text or iso, unix, unix_ms; null: ISO 8601.",
    )
    default: Json = Field(
        default=None, description="Value when none is given; with a default the input is not required."
    )
    description: str = Field(default="", description="What it is, for people.")
    required: StrictBool | None = Field(
        default=None, description="null: required exactly when there is no default."
    )

    @property
    def is_required(self) -> bool:
        """Whether a job without this input is an error."""
        return "default" not in self.model_fields_set if self.required is None else self.required

    @model_validator(mode="after")
    def _consistent(self) -> Input:
        found: list[tuple[str, str]] = []
        if self.format is not None and self.type != "datetime":
            found.append(
                ("format", f"would be ignored: it goes with type datetime, and `type` is {self.type}")
            )
        elif self.format is not None:
            found += _as_mistake("format", check_format, self.format)
        if self.required and "default" in self.model_fields_set:
            found.append(("default", "would be ignored, since `required` is true; remove one of them"))
        if self.default is not None:
            found += _as_mistake("default", typed, self.type, self.default)
        if found:
            raise mistakes(found)
        return self


def _as_mistake(field: str, check: Any, *args: Any) -> list[tuple[str, str]]:
    try:
        check(*args)
    except ValueError as error:
        return [(field, str(error))]
    return []
