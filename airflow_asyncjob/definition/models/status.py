"""Status: the section that asks how a job is doing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt, WithJsonSchema, model_validator

from airflow_asyncjob.definition.models.base import Duration, Model, PositiveDuration, mistakes
from airflow_asyncjob.definition.models.extractor import ExtractorField
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.rules import STATES, State, StatusRule
from airflow_asyncjob.definition.models.webhook import Webhook
from airflow_asyncjob.definition.problems import kind_of, shown

__all__ = ["Log", "Scalar", "Status", "StatusValues"]

_HOUR = 3600.0


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"{shown(value)} is {kind_of(value)}; a status is text, a number, true, false or null")


Scalar = Annotated[
    bool | int | float | str | None,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"]}),
]
"""A raw status; its type counts: 1, 1.0, true and "1" are four."""


def _words(value: Any) -> Any:
    if value is None:
        raise ValueError(
            "is null; give the API's word or a list of words (for a status that is null in JSON: [null])"
        )
    return [value] if isinstance(value, (bool, int, float, str)) else value


ScalarWords = Annotated[
    tuple[Scalar, ...],
    BeforeValidator(_words),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}},
            ]
        }
    ),
]


class StatusValues(Model):
    """The API's own words for each state, compared exactly: case and type."""

    running: ScalarWords = ()
    done: ScalarWords = ()
    no_data: ScalarWords = ()
    partial: ScalarWords = ()
    failed: ScalarWords = ()
    timed_out: ScalarWords = ()
    cancelled: ScalarWords = ()

    @model_validator(mode="after")
    def _once(self) -> StatusValues:
        found: list[tuple[str, str]] = []
        seen: dict[tuple[type, Scalar], str] = {}
        for state in STATES:
            for value in getattr(self, state):
                key = (type(value), value)
                if key in seen:
                    both = "twice" if seen[key] == state else f"to `{seen[key]}` and to `{state}`"
                    found.append((state, f"{shown(value)} is mapped {both}; a word means one state, once"))
                seen.setdefault(key, state)
        if found:
            raise mistakes(found)
        return self

    def state_of(self, raw: Any) -> State | None:
        """Return the state that a raw status means; None when it is not mapped."""
        for state in STATES:
            if _is_among(raw, getattr(self, state)):
                return state
        return None


def _is_among(raw: Any, words: tuple[Scalar, ...]) -> bool:
    return any(type(raw) is type(word) and raw == word for word in words)


class Log(Model):
    """Where the log of a job that failed lies; its end, at most 2,000 characters, is shown in the error."""

    request: Request | None = Field(
        default=None,
        description="Sent once when the job has failed; null: the log is in the status answer. What comes of "
        "it does not change how the job ended.",
    )
    path: ExtractorField | None = Field(
        default=None, description="Where the log lies in the answer; null: the whole answer, as text."
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Log:
        if self.request is None and self.path is None:
            said = "give `request` (an answer that is the log), `path` (in the status answer), or both"
            raise mistakes([("", said)])
        return self


class Status(Model):
    """How to ask for the state of a job, how often, and how to read the answer."""

    request: Request | None = Field(
        default=None, description="The poll; required, unless the answer to the submit always says the end."
    )
    from_: Literal["submit"] | None = Field(
        default=None,
        alias="from",
        description="submit: the answer to the submit is read first, as a poll would be, by path, values and "
        "rules; where it says that the job has ended, nobody waits.",
    )
    path: ExtractorField | None = Field(default=None, description="Where the raw status lies.")
    values: StatusValues = Field(default_factory=StatusValues, description="State: the API's words for it.")
    rules: tuple[StatusRule, ...] = Field(
        default=(), description="Asked before path and values; the first that is true decides."
    )
    unknown: Literal["fail", "running"] = Field(
        default="fail",
        description="A status that is not mapped: fail at once, or read as running for unknown_times polls "
        "in a row.",
    )
    unknown_times: StrictInt = Field(
        default=10, ge=1, description="With unknown: running, how many in a row are accepted."
    )
    message: ExtractorField | None = Field(default=None, description="Where the API's own message lies.")
    log: Log | None = Field(default=None, description="Where the log of a job that failed lies.")
    progress: ExtractorField | None = Field(
        default=None, description="Where the progress lies, in the API's own unit."
    )
    expires_at: ExtractorField | None = Field(
        default=None, description="Where the time lies until which the result can be fetched."
    )
    capture: dict[str, ExtractorField] = Field(
        default_factory=dict,
        description="Name: value that a later request needs, as {{ captures.name }}.",
    )
    initial_wait: Duration = Field(default=0.0, description="From submitted_at to the first poll.")
    poll_wait: PositiveDuration = Field(default=30.0, description="Between polls.")
    growth: float = Field(
        default=1.0, strict=True, ge=1.0, le=10.0, description="Each wait is this many times the one before."
    )
    longest_wait: PositiveDuration | None = Field(
        default=None,
        description="Waits grow up to this; null: ten minutes, or poll_wait if longer.",
    )
    jitter: float = Field(
        default=0.1,
        strict=True,
        ge=0.0,
        le=1.0,
        description="Up to this share is added to a wait, so that many jobs spread.",
    )
    timeout: PositiveDuration = Field(default=24 * _HOUR, description="From submitted_at to the deadline.")
    queued: ScalarWords = Field(
        default=(), description="Those of the words for running that mean: not started yet."
    )
    queue_timeout: PositiveDuration | None = Field(
        default=None,
        description="From submitted_at; a job that is still queued then has timed out, and is cancelled. "
        "null: no limit but timeout.",
    )
    poll_error_budget: StrictInt = Field(
        default=10, ge=0, description="How many polls in a row may fail before the task gives up."
    )
    webhook: Webhook | None = Field(
        default=None,
        description="The API says by itself when a job has ended; in Airflow a deferred task then polls at "
        "once, and less often meanwhile.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Status:
        found = [
            *self._can_be_asked(),
            *self._state_can_be_told(),
            *self._waits_fit(),
            *self._queue_can_be_told(),
        ]
        if found:
            raise mistakes(found)
        return self

    def _can_be_asked(self) -> list[tuple[str, str]]:
        if self.request is None and self.from_ is None:
            said = "required: the poll; only with from: submit may it be absent"
            return [("request", said)]
        return []

    def _state_can_be_told(self) -> list[tuple[str, str]]:
        mapped = [state for state in STATES if getattr(self.values, state)]
        if self.path is None and mapped:
            return [("path", "required: `values` are mapped, and nothing says where the raw status lies")]
        if self.path is not None and not mapped:
            return [
                (
                    "values",
                    f"required: `path` is given, and no word is mapped to a state: {', '.join(STATES)}",
                )
            ]
        if self.path is None and not self.rules:
            return [("", "give `path` with `values`, or `rules`, so that the state can be told")]
        if set(mapped) <= {"running"} and all(rule.state == "running" for rule in self.rules):
            return [("values", "nothing ever ends the job: no value and no rule; map at least one to done")]
        return []

    def is_queued(self, raw: Any) -> bool:
        """Return whether a raw status says that the job has not started yet."""
        return _is_among(raw, self.queued)

    def _queue_can_be_told(self) -> list[tuple[str, str]]:
        found = [
            ("queued", f"{shown(word)} is not mapped to running: add it to `values` running too")
            for word in self.queued
            if self.values.state_of(word) != "running"
        ]
        if self.queue_timeout is None:
            if self.queued:
                found.append(("queued", "would be ignored: it goes with `queue_timeout`"))
            return found
        if not self.queued:
            found.append(("queued", "required with `queue_timeout`: the words that mean: not started yet"))
        if self.queue_timeout >= self.timeout:
            said = f"{self.queue_timeout:g} s is not before the end of `timeout` ({self.timeout:g} s)"
            found.append(("queue_timeout", said))
        return found

    def _waits_fit(self) -> list[tuple[str, str]]:
        found = []
        if self.initial_wait >= self.timeout:
            found.append(
                (
                    "initial_wait",
                    f"{self.initial_wait:g} s is not before the end of `timeout` ({self.timeout:g} s): no "
                    f"poll would be sent",
                )
            )
        if self.longest_wait is not None and self.longest_wait < self.poll_wait:
            found.append(
                (
                    "longest_wait",
                    f"{self.longest_wait:g} s is shorter than `poll_wait` ({self.poll_wait:g} s)",
                )
            )
        if self.webhook is not None and (self.webhook.poll_wait or self.poll_wait) < self.poll_wait:
            said = f"{self.webhook.poll_wait:g} s is shorter than `poll_wait` ({self.poll_wait:g} s)"
            found.append(("webhook.poll_wait", f"{said}: with events there is less to ask"))
        return found
