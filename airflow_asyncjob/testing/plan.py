"""The plan of a job of the generic fake API: what its submit body says, and what it is at a given time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from airflow_asyncjob.testing.rows import RowFormat

__all__ = ["ENDS", "End", "Job", "Plan", "Stage"]

End = Literal["done", "failed", "no_data", "partial", "cancelled", "expired"]
ENDS: tuple[End, ...] = get_args(End)
Stage = Literal["queued", "running", "done", "failed", "no_data", "partial", "cancelled", "expired"]

_WORDS: dict[Stage, str] = {"done": "succeeded"}
_MOST_FILES = 1000


@dataclass(frozen=True)
class Plan:
    """How a job goes. The submit body is a JSON object with any of these fields; an empty body has none.

    :param queue_for: seconds in which it is queued.
    :param run_for: seconds in which it then runs.
    :param ends: how it ends.
    :param rows: rows of the result, in all files together.
    :param format: ``csv``, ``json`` or ``jsonl``.
    :param files: number of result files.
    :param gzip: whether they are gzip files.
    :param message: the job's message once it has ended; null: one that fits the end, or none.
    :param tag: goes into every row, so that a result shows whose it is.
    :param rejects: the records that it refuses, as ``GET /jobs/ID/rejects`` names them: a list of any
        objects; or a number: so many from the first on, as ``{index, id, code, reason}``.
    :param words: stage: raw status to use for it instead of the usual word; any JSON value. Stages are
        ``queued``, ``running`` and the ends. The usual word is the stage itself, and ``succeeded`` for
        ``done``.
    :param notify: URL to which ``{"job": ID, "status": word}`` is sent when it has ended; empty: nowhere.
    """

    queue_for: float = 0.0
    run_for: float = 0.0
    ends: End = "done"
    rows: int = 3
    format: RowFormat = "csv"
    files: int = 1
    gzip: bool = False
    message: str | None = None
    tag: str = ""
    rejects: int | list[dict[str, Any]] = 0
    words: Mapping[str, Any] = field(default_factory=dict)
    notify: str = ""

    @classmethod
    def parse(cls, body: bytes) -> Plan:
        """Read a submit body.

        :raises ValueError: with a message that names the valid fields or values.
        """
        try:
            given = json.loads(body or b"{}")
        except ValueError as error:
            raise ValueError(f"the body is not JSON: {error}") from error
        if not isinstance(given, dict):
            raise ValueError(f"the body is a JSON object, not {type(given).__name__}")
        valid = [f.name for f in dataclasses.fields(cls)]
        unknown = sorted(set(given) - set(valid))
        if unknown:
            raise ValueError(f"unknown field {', '.join(unknown)}; valid: {', '.join(valid)}")
        plan = cls(**given)
        plan._check()
        return plan

    def _check(self) -> None:
        for name in ("queue_for", "run_for", "rows", "files"):
            value = getattr(self, name)
            whole = name in ("rows", "files")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value < 0:
                raise ValueError(f"{name} is a {'whole ' if whole else ''}number of 0 or more, not {value!r}")
        if not 1 <= self.files <= _MOST_FILES:
            raise ValueError(f"files is 1 to {_MOST_FILES}, not {self.files!r}")
        for name, valid in (("ends", ENDS), ("format", get_args(RowFormat))):
            if getattr(self, name) not in valid:
                raise ValueError(f"{name} is one of {', '.join(valid)}, not {getattr(self, name)!r}")
        if not isinstance(self.gzip, bool):
            raise ValueError(f"gzip is true or false, not {self.gzip!r}")
        if not isinstance(self.tag, str) or not isinstance(self.message, str | None):
            raise ValueError("tag and message are texts")
        if not isinstance(self.notify, str) or not (self.notify == "" or self.notify.startswith("http://")):
            raise ValueError("notify is an address that begins with http://")
        given = self.rejects if isinstance(self.rejects, list) else []
        count = len(given) if isinstance(self.rejects, list) else self.rejects
        whole = isinstance(count, int) and not isinstance(count, bool) and count >= 0
        if not whole or not all(isinstance(one, dict) for one in given):
            raise ValueError("rejects is a whole number of 0 or more, or a list of objects")
        if not isinstance(self.words, dict) or not set(self.words) <= set(get_args(Stage)):
            raise ValueError(f"words is an object whose keys are of {', '.join(get_args(Stage))}")


@dataclass
class Job:
    """One accepted job.

    :param created_at: seconds since the epoch.
    :param cancelled_at: when it was cancelled; None: it was not.
    """

    id: str
    plan: Plan
    created_at: float
    cancelled_at: float | None = None

    @property
    def ended_at(self) -> float:
        """When it ends or was cancelled, seconds since the epoch."""
        if self.cancelled_at is not None:
            return self.cancelled_at
        return self.created_at + self.plan.queue_for + self.plan.run_for

    def stage(self, now: float) -> Stage:
        """Return what it is at this time."""
        if self.cancelled_at is not None:
            return "cancelled"
        if now < self.created_at + self.plan.queue_for:
            return "queued"
        return "running" if now < self.ended_at else self.plan.ends

    def ended(self, now: float) -> bool:
        """Whether nothing can happen to it any more."""
        return self.stage(now) not in ("queued", "running")

    def word(self, now: float) -> Any:
        """Return the raw status."""
        stage = self.stage(now)
        return self.plan.words.get(stage, _WORDS.get(stage, stage))

    def progress(self, now: float) -> int:
        """Return the progress in percent, 100 only when it has ended with a result."""
        stage = self.stage(now)
        if stage in ("done", "no_data", "partial"):
            return 100
        ran = now - self.created_at - self.plan.queue_for
        return max(0, min(99, int(100 * ran / self.plan.run_for))) if self.plan.run_for else 0

    def message(self, now: float) -> str | None:
        """Return the job's own message; None when it has none."""
        if not self.ended(now):
            return None
        usual = {
            "failed": "the job failed as it was told to",
            "cancelled": "the job was cancelled",
            "expired": "the job took too long",
            "partial": "some rows were refused",
        }
        return self.plan.message if self.plan.message is not None else usual.get(self.stage(now))
