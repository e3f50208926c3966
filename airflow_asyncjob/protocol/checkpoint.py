"""The checkpoint: the little, versioned, secret-free JSON that lets any process carry a job on.

What each crash leaves behind, and what the next process does with it:

=============  ======================================  ====================================================
phase          last thing known for sure               the next process
=============  ======================================  ====================================================
(none)         nothing was sent                        submits
``idle``       nothing that was sent was accepted      submits, not before ``not_before``
``intent``     a submit may have been accepted         same key again where the API knows it; else asks the
                                                       API's list for the job, where that can tell; else as
                                                       ``on_uncertain`` says: submits again, and says so, or
                                                       stops
``submitted``  the job exists                          polls, not before ``next_poll_at``
``cancelling`` the job is to be stopped                sends ``cancel`` again, then ends with ``outcome``
``ended``      how the job ended                       ends with ``outcome``, without a request
=============  ======================================  ====================================================

Of a submit by steps, ``step`` and ``item`` say which request ``idle`` and ``intent`` speak of; those before
it are done, and are not sent again. Where it uploads, ``upload`` says how the records were cut: a process
that goes on cuts them again, and finds out whether they are the same.

Version 1 only ever grows by fields with a default, which says what was so before there was the field: what an
older version of this package wrote is read. What a newer one wrote, with a field that is not known here, is
refused: it would be lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from airflow_asyncjob.definition.models.base import Model
from airflow_asyncjob.errors import CheckpointError
from airflow_asyncjob.protocol.messages import Outcome, Submission

__all__ = ["VERSION", "Checkpoint", "Cut", "Durable", "is_between_steps"]

VERSION = 1
_ADVICE = (
    "Let the version of airflow-asyncjob that wrote it finish the job, or start a new job (clear the submit "
    "task); look at the API first, since a job may be running there."
)

Durable = Literal["idle", "intent", "submitted", "cancelling", "ended"]
"""What is known for sure about a job, as far as a later process needs it."""


class Cut(Model):
    """How an upload was cut; none of its records, and nothing of where they lie."""

    model_config = ConfigDict(strict=True)

    mark: str = Field(description="Fingerprint of the source and of how it is cut.")
    parts: int = Field(ge=0, description="How many parts there are.")
    records: int = Field(ge=0, description="How many records are in them.")
    rejected: int | None = Field(
        None, ge=0, description="How many records of the source are in none; null: not known."
    )


class Checkpoint(Model):
    """What is stored of one job. Times are seconds since the epoch.

    It holds no request, no answer and no credentials. A download target in ``outcome`` and captures are kept
    as the API gave them: they are as confidential as the task's return value.
    """

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    version: Literal[1] = 1
    phase: Durable = Field(description="See the table above.")
    at: float | None = Field(None, description="When it was written; shows a clock that was set back.")
    key: str = Field(
        "", description="The idempotency key that every submit of this job carries; empty: adopted by ID."
    )
    attempt: int = Field(1, ge=1, description="Rises when a failed job is submitted anew.")
    since: float | None = Field(
        None, description="First submit of this job; bounds how long a refusal is waited out."
    )
    tries: int = Field(
        0, ge=0, description="Submits (or, once it is to be stopped, cancels) that did not work so far."
    )
    not_before: float | None = Field(None, description="The API's last Retry-After.")
    settled_at: float | None = Field(
        None,
        description="Of a submit whose outcome is not known, where the API's list can tell: from when on the "
        "list is believed when it does not have the job.",
    )
    list_answered: bool = Field(
        False, description="Of the same: whether the list has answered since, so that the API works again."
    )
    left_at: float | None = Field(
        None,
        description="Of a submit in steps that begins anew after a refusal, where the API's list can tell: "
        "when it was refused. What the list has from before is left there; null: nothing is.",
    )
    step: str = Field(
        "", description="Name of the step of the submit that comes next; empty: the first, or there are none."
    )
    item: int = Field(0, ge=0, description="Items of that step (each) that are done.")
    step_captures: dict[str, Any] = Field(
        default_factory=dict, description="What the steps that are done captured."
    )
    upload: Cut | None = Field(
        None, description="How the upload was cut whose requests step and item count; null: there is none."
    )
    submission: Submission | None = None
    deadline: float | None = Field(None, description="null: nobody has waited yet.")
    next_poll_at: float | None = Field(None, description="null: as submitted_at and the initial wait say.")
    last_poll_at: float | None = Field(None, description="null: no poll yet.")
    looks: int = Field(0, ge=0, description="Polls so far, failed ones too; waits grow with it.")
    polls: int = Field(0, ge=0, description="Good polls so far.")
    errors: int = Field(0, ge=0, description="Failed polls in a row.")
    unknown: int = Field(0, ge=0, description="Unknown statuses in a row.")
    captures: dict[str, Any] = Field(default_factory=dict, description="Those of the status answers.")
    outcome: Outcome | None = Field(
        None, description="How the job ended, or what it ends as once it is cancelled."
    )

    @model_validator(mode="after")
    def _complete(self) -> Checkpoint:
        known = self.phase in ("submitted", "cancelling")
        if known and self.submission is None:
            raise ValueError(f"phase {self.phase} needs a submission")
        if self.phase in ("idle", "intent") and self.submission is not None:
            raise ValueError(f"phase {self.phase} cannot have a submission")
        if self.phase in ("cancelling", "ended") and self.outcome is None:
            raise ValueError(f"phase {self.phase} needs an outcome")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON, without what is at its default."""
        return {"version": VERSION, **self.model_dump(mode="json", exclude_defaults=True)}

    def due(self, now: float) -> Checkpoint:
        """Return the checkpoint of a wait that somebody woke: the next poll is due now, all else stays.

        :param now: seconds since the epoch.
        """
        return self.model_copy(update={"next_poll_at": now})

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Checkpoint:
        """Read what :meth:`to_dict` wrote.

        :raises CheckpointError: another version, an unknown phase or field, a value of the wrong type.
            Nothing is guessed: a job that exists must not be submitted again.
        """
        version = stored.get("version") if isinstance(stored, Mapping) else None
        if version != VERSION:
            raise CheckpointError(
                f"The stored checkpoint has version {version!r}; this one reads {VERSION}. {_ADVICE}"
            )
        try:
            return cls.model_validate(stored)
        except ValidationError as error:
            said = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'checkpoint'}: {e['msg']}"
                for e in error.errors(include_input=False)
            )
            raise CheckpointError(f"The stored checkpoint cannot be read: {said}. {_ADVICE}") from None


def is_between_steps(stored: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint says that a part of the submit is done, and not all of it.

    Whoever drives the job may stop there without losing an answer.
    """
    return stored["phase"] in ("idle", "intent") and bool(stored.get("step") or stored.get("item"))
