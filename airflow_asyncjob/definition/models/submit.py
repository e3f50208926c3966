"""Submit: the section that creates a job."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, StrictBool, model_validator

from airflow_asyncjob.definition.models.base import Model, mistakes
from airflow_asyncjob.definition.models.extractor import ExtractorField
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.steps import Step, Steps
from airflow_asyncjob.definition.models.upload import Upload

__all__ = ["Submit"]


class Submit(Model):
    """The request that creates a job, or the steps that do, and what to keep of the answer."""

    request: Request | None = Field(
        default=None,
        description="The request; its method is POST unless it says another. Instead of steps.",
    )
    steps: Steps | None = Field(
        default=None,
        description="Requests in a row where one is not enough, such as create, upload, start; their method "
        "is POST unless they say another. What a step captures is known to the steps after it, to id and to "
        "capture. Each step is stored when it is done, and a retry carries on after it.",
    )
    id: ExtractorField = Field(
        description="Where the submission ID lies in the answer (of the last step), or a template that makes "
        "it."
    )
    capture: dict[str, ExtractorField] = Field(
        default_factory=dict,
        description="Name: value of the answer (of the last step) that a later request needs, as "
        "{{ captures.name }}.",
    )
    upload: Upload | None = Field(
        default=None,
        description="Records that are sent, cut into parts: by the step with each: '{{ parts }}' and part: "
        "true, or where there are no steps by the request.",
    )
    idempotency: StrictBool | None = Field(
        default=None,
        description="Whether the API makes no second job of a submit that comes again with the same "
        "{{ idempotency_key }}; null: it does where a request has the key, unless list.marker reads the key: "
        "then the list is asked for the job.",
    )
    on_uncertain: Literal["resubmit", "fail"] = Field(
        default="resubmit",
        description="A submit whose answer was lost, on an API without an idempotency key and without a list "
        "that tells: whether the retry of the task submits again (a job may exist twice) or fails (a person "
        "must look).",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_method(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        posted = dict(data)
        if "request" in data:
            posted["request"] = _posted(data["request"])
        if isinstance(data.get("steps"), (list, tuple)):
            posted["steps"] = [_posted_step(step) for step in data["steps"]]
        return posted

    @model_validator(mode="after")
    def _one_way(self) -> Submit:
        if self.request is None and self.steps is None:
            said = "required: the request that creates the job (or `steps`, where one is not enough)"
            raise mistakes([("request", said)])
        if self.request is not None and self.steps is not None:
            raise mistakes([("", "give either `request` or `steps`; both are given")])
        if self.steps is not None and self.steps[-1].each is not None:
            name = self.steps[-1].name
            said = f"the last step, {name}, has `each` and so no one answer; give a template over captures"
            read = {"id": self.id, **{f"capture.{key}": value for key, value in self.capture.items()}}
            found = [(place, said) for place, value in read.items() if value.template is None]
            if found:
                raise mistakes(found)
        return self

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request of the submit, in their order."""
        if self.request is not None:
            return (self.request,)
        return tuple(step.request for step in self.steps or ())

    @property
    def names_md5(self) -> bool:
        """Whether a request may name the MD5 of its part: the word stands somewhere in the submit."""
        return "md5" in self.model_dump_json()


def _posted(request: Any) -> Any:
    """Return a request with the method of a submit where it says none."""
    if isinstance(request, Request) and "method" not in request.model_fields_set:
        return {**request.model_dump(by_alias=True, exclude_unset=True), "method": "POST"}
    if isinstance(request, dict) and "method" not in request:
        return {**request, "method": "POST"}
    return request


def _posted_step(step: Any) -> Any:
    if isinstance(step, Step) and "method" not in step.request.model_fields_set:
        step = step.model_dump(by_alias=True, exclude_unset=True)
    return (
        {**step, "request": _posted(step["request"])}
        if isinstance(step, dict) and "request" in step
        else step
    )
