"""Result: the section that downloads what a job made."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictBool, model_validator

from airflow_asyncjob.definition.models.base import mistakes
from airflow_asyncjob.definition.models.extractor import ExtractorField
from airflow_asyncjob.definition.models.paginate import Paginate
from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.steps import Steps

__all__ = ["Result"]


class Result(Records):
    """Where the result lies and how it is read."""

    from_: Literal["status"] | None = Field(
        default=None,
        alias="from",
        description="status: the last status answer holds the records; status.request is sent once more for "
        "them. null: as target and request say.",
    )
    steps: Steps | None = Field(
        default=None,
        description="Requests that lead to the target, sent by the download; a repeat must do no harm. null: "
        "the status answer names it.",
    )
    target: ExtractorField | None = Field(
        default=None,
        description="In the last status answer, or in that of the last step: a URL, a relative path, an ID, "
        "an S3 URI, or a list of them.",
    )
    secret: StrictBool = Field(
        default=False,
        description="true: who has the target has the result, such as a pre-signed URL. It is then neither "
        "kept nor handed on: the download asks status.request once more for a fresh one.",
    )
    request: Request | None = Field(
        default=None,
        description="The download; null: GET the target. {{ download_target }} is the target, one at a time.",
    )
    paginate: Paginate | None = Field(
        default=None, description="How each target goes on in further pages; null: it is one answer."
    )

    @model_validator(mode="after")
    def _from_one_place(self) -> Result:
        given = [name for name in ("steps", "target", "request") if getattr(self, name) is not None]
        if self.from_ is not None and given:
            said = "would be ignored, since `from` says that the status answer is the result"
            raise mistakes([(name, said) for name in given])
        if self.secret and self.target is None:
            raise mistakes([("secret", "would be ignored: it goes with `target`, which is then kept secret")])
        if self.steps is not None and self.target is None and self.request is None:
            said = (
                "required: where the answer of the last step says that the result lies, or a template of the "
                "`steps`' captures; or give `request`"
            )
            raise mistakes([("target", said)])
        if self.secret and self.steps is not None:
            said = "would be ignored: what `steps` lead to stays within the download anyway"
            raise mistakes([("secret", said)])
        return self
