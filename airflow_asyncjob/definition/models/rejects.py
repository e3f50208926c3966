"""Rejects: the section that asks which records the API refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from airflow_asyncjob.definition.models.base import mistakes
from airflow_asyncjob.definition.models.extractor import ExtractorField
from airflow_asyncjob.definition.models.paginate import Paginate
from airflow_asyncjob.definition.models.records import Layout
from airflow_asyncjob.definition.models.refusal import Refusal
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.steps import Steps
from airflow_asyncjob.definition.problems import shown

__all__ = ["OnRejects", "Rejects", "Tolerated", "share_of"]

OnRejects = Literal["fail", "warn", "ignore"]

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def _tolerated(value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and value >= 0:
        return value
    share = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if share is not None and float(share[1]) <= 100:
        return value.strip()
    raise ValueError(f'{shown(value)} is neither a number of records nor a share of them, such as "1%"')


Tolerated = Annotated[
    int | str,
    BeforeValidator(_tolerated),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}),
]
"""A number of records, or a share of them such as ``"1%"``."""


def share_of(tolerated: int | str) -> float | None:
    """Return a tolerated share, 0 to 1; None: it is a number of records."""
    return float(tolerated.rstrip("% ")) / 100 if isinstance(tolerated, str) else None


class Rejects(Layout, Refusal):
    """Which records the API refused, fetched when the job has ended."""

    from_: Literal["status", "upload"] | None = Field(
        default=None,
        alias="from",
        description="status: the last status answer holds them; status.request is sent once more. upload: "
        "the job itself refuses none; there are those that were not sent, and those that the answers to "
        "the upload refused. null: as request and steps say.",
    )
    steps: Steps | None = Field(
        default=None, description="Requests that come first; a repeat must do no harm. null: none do."
    )
    target: ExtractorField | None = Field(
        default=None,
        description="In the answer of the last step: where the rejects lie, one or many. null: as request "
        "says.",
    )
    request: Request | None = Field(
        default=None, description="Asks for them; null: GET the target that the steps lead to."
    )
    paginate: Paginate | None = Field(
        default=None, description="How they go on in further pages; null: it is one answer."
    )
    of_failed: StrictBool = Field(
        default=False,
        description="true: the API names the rejects of a job that failed, too. They are fetched then where "
        "the fetch task runs in spite of that; see the how-to page Rejected records.",
    )
    format: Literal["json", "jsonl", "csv", "tsv", "xml"] = Field(
        default="json", description="How the list of refused records is written."
    )

    @model_validator(mode="after")
    def _from_one_place(self) -> Rejects:
        found = []
        if self.from_ == "upload":
            given = sorted(self.model_fields_set - {"from_"})
            found += [
                (name, "would be ignored, since `from` says that the job refuses none") for name in given
            ]
        elif self.from_ is not None:
            said = "would be ignored, since `from` says that the status answer holds the rejects"
            found += [(name, said) for name in ("steps", "target", "request") if getattr(self, name)]
        elif self.request is None and (self.steps is None or self.target is None):
            said = "required: what asks for the refused records; or steps with `target`, or from: status"
            found.append(("request", said))
        if self.target is not None and self.steps is None and self.from_ is None:
            said = "would be ignored: it lies in the answer of the last of `steps`; give the `request` a URL"
            found.append(("target", said))
        if self.index is None and self.index_base:
            found.append(("index_base", "would be ignored: it goes with `index`"))
        if found:
            raise mistakes(found)
        return self
