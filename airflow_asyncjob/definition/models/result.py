"""Result: the section that downloads what a job made."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool, StrictInt, model_validator

from airflow_asyncjob.definition.models.base import mistakes
from airflow_asyncjob.definition.models.extractor import ExtractorField
from airflow_asyncjob.definition.models.paginate import Paginate
from airflow_asyncjob.definition.models.records import RECORD_SETTINGS, Records
from airflow_asyncjob.definition.models.rejects import OnRejects, Rejects, Tolerated
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.steps import Steps

__all__ = ["Result"]

_PLACES = ("from_", "steps", "target", "request")


class Result(Records):
    """Where the result lies and how it is read. With ``rejects`` alone the job has none, as an import."""

    section: ClassVar[str] = "result"
    """Its name in the definition, for messages."""

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

    preview_rows: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        default=0,
        description="So many of the first rows are kept in Airflow's database, for the tab of the task; 0: "
        "none, since they may be data of people. A raw result has none.",
    )

    rejects: Rejects | None = Field(
        default=None, description="Which records the API refused; null: it does not say."
    )
    on_rejects: OnRejects = Field(
        default="warn",
        description="Where records were refused: fail, once all is written; warn, in the log; ignore: only "
        "count them.",
    )
    tolerated: Tolerated = Field(
        default=0,
        description="With fail: up to so many refused records, or such a share of all as text (1%), only "
        "warn.",
    )

    @property
    def is_there(self) -> bool:
        """Whether the job has a result of its own; else only its rejects are fetched."""
        return self.rejects is None or any(getattr(self, name) is not None for name in _PLACES)

    @model_validator(mode="after")
    def _from_one_place(self) -> Result:
        given = [name for name in _PLACES[1:] if getattr(self, name) is not None]
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

    def _contradictions(self) -> list[tuple[str, str]]:
        found = super()._contradictions()
        if self.on_rejects != "fail" and self.tolerated:
            what = f"it goes with on_rejects: fail, and `on_rejects` is {self.on_rejects}"
            found.append(("tolerated", f"would be ignored: {what}"))
        if not self.is_there:
            said = (
                "would be ignored: with `rejects` alone the job has no result. Say where it lies: `target`, "
                "`request`, such as {url: '{{ download_target }}'}, or `steps`"
            )
            settings = ("encoding", "member", "paginate", *RECORD_SETTINGS)
            found += [(name, said) for name in settings if getattr(self, name)]
            found += [("format", said)] if self.format != "raw" else []
        return found
