"""Steps: several requests in a row, wherever one is not enough."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, field_validator

from airflow_asyncjob.definition.models.base import Model
from airflow_asyncjob.definition.models.extractor import ExtractorField
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.upload import Rejected
from airflow_asyncjob.definition.problems import shown
from airflow_asyncjob.definition.templates import whole_name

__all__ = ["Step", "Steps"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Step(Model):
    """One request of several, and what to keep of its answer."""

    name: str = Field(
        description="What the step is called in the log and in errors, such as login or upload."
    )
    request: Request = Field(description="What is sent.")
    each: str | None = Field(
        default=None,
        description="Template of a list, such as '{{ captures.parts }}': the step is repeated for each item, "
        "which its request and captures see as {{ item }}; each capture is then a list. '{{ parts }}': for "
        "each part of submit.upload, seen as {{ part }}. null: once.",
    )
    again: StrictBool | None = Field(
        default=None,
        description="Whether it may be sent again when its answer was lost; null: as its method says (RFC "
        "9110: PUT and DELETE may, POST may not), or its idempotency key.",
    )
    rejects: Rejected | None = Field(
        default=None,
        description="In a step that sends a part: the records of it that the answer refuses. null: it "
        "refuses none.",
    )
    capture: dict[str, ExtractorField] = Field(
        default_factory=dict,
        description="Name: value that a later request needs, as {{ captures.name }}.",
    )

    @property
    def each_part(self) -> bool:
        """Whether it is repeated for each part of the upload."""
        return self.each is not None and whole_name(self.each) == "parts"

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            valid = "a name has letters, digits and _, and begins with a letter"
            raise ValueError(f"{shown(value)} cannot name a step: {valid}")
        return value


def _named_apart(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    if not steps:
        raise ValueError("there is no step in the list; give one or more")
    seen: set[str] = set()
    for step in steps:
        if step.name in seen:
            raise ValueError(f"two steps are called {shown(step.name)}; each has a name of its own")
        seen.add(step.name)
    return steps


Steps = Annotated[tuple[Step, ...], AfterValidator(_named_apart), Field(min_length=1)]
"""One step or more, each with a name of its own."""
