"""Rules: ordered decisions where a word is not enough."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from airflow_asyncjob.definition.models.base import Duration, Model, mistakes

__all__ = ["STATES", "ErrorRule", "Errors", "State", "StatusRule"]

State = Literal["running", "done", "no_data", "partial", "failed", "timed_out", "cancelled"]
_OF_A_STOP = "retry, fail, accept"
STATES: tuple[State, ...] = get_args(State)


class StatusRule(Model):
    """The first rule whose ``when`` is true decides the state."""

    when: str = Field(description="Expression over code, headers, body, captures, url.")
    state: State = Field(description="What the job is then.")
    message: str | None = Field(
        default=None, description="Template over the same names; null: the section's message."
    )


class ErrorRule(Model):
    """What one answer of the API means, before the usual reading of HTTP codes."""

    when: str = Field(description="Expression over code, headers, body, captures, url.")
    then: Literal["retry", "fail", "accept", "no_data"] = Field(
        description="retry: it was certainly not done, ask again; fail: final; accept: read it as a good "
        "answer; "
        "no_data: the job is finished and has no data."
    )
    wait: Duration | None = Field(
        default=None, description="With retry: seconds until then; null: the usual backoff."
    )
    message: str | None = Field(default=None, description="Template over the same names, for the error.")

    @model_validator(mode="after")
    def _wait_of_retry(self) -> ErrorRule:
        if self.wait is not None and self.then != "retry":
            raise mistakes(
                [("wait", f"would be ignored: it goes with then: retry, and `then` is {self.then}")]
            )
        return self


class Errors(Model):
    """Error rules of each section; the first whose ``when`` is true decides."""

    submit: tuple[ErrorRule, ...] = Field(default=(), description="Rules for the answer to the submit.")
    status: tuple[ErrorRule, ...] = Field(default=(), description="Rules for the answer to a poll.")
    result: tuple[ErrorRule, ...] = Field(
        default=(),
        description="Rules for the answer to a download, and to each of result.steps. Of a download that is "
        "answered 2xx they see code and headers, since the body is the result; of any other answer the whole "
        "body, where it is not larger than limits.response_bytes.",
    )
    rejects: tuple[ErrorRule, ...] = Field(
        default=(),
        description="Rules for the head of an answer with refused records; no_data: there are none.",
    )
    cancel: tuple[ErrorRule, ...] = Field(
        default=(),
        description="Rules for the answer to a cancel; accept: the job is stopped, or is not there any more.",
    )
    delete: tuple[ErrorRule, ...] = Field(
        default=(),
        description="Rules for the answer to a delete; accept: the API has forgotten the job.",
    )
    list: tuple[ErrorRule, ...] = Field(
        default=(),
        description="Rules for the answer with the list of jobs; no_data: there are no jobs.",
    )

    @model_validator(mode="after")
    def _data_where_there_are_some(self) -> Errors:
        found = [
            (f"{section}.{position}.then", f"no_data means nothing for a {section}; valid: {_OF_A_STOP}")
            for section in ("cancel", "delete")
            for position, rule in enumerate(getattr(self, section))
            if rule.then == "no_data"
        ]
        if found:
            raise mistakes(found)
        return self
