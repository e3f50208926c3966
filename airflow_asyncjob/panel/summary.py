"""Summary: one job as one task instance knows it, in a line of a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from airflow_asyncjob.panel.sizes import cut, size_of

__all__ = ["SUMMARY_BYTES", "Summary"]

SUMMARY_BYTES = 2048
"""Of a summary as Airflow's task state store counts them, at most."""
_VERSION = 1
_MESSAGE_CHARACTERS = 500
_TIGHTER = (400, 200, 100, 50)
_LONG = ("message", "trouble", "raw_status", "progress", "remote_url", "submission_id", "definition", "of")


@dataclass(frozen=True)
class Summary:
    """One job as one task instance knows it. Times are seconds since the epoch; None: not known, or not yet.

    :param kind: of the task: ``submit``, ``wait`` or ``fetch``.
    :param of: names the submission that it is about: the idempotency key, or the submission ID where the task
        did not submit. With another one, what was kept before is of another job.
    :param definition: its name; empty: it has none.
    :param state: ``submitting``, ``running``, ``done``, ``no_data``, ``partial``, ``failed``, ``timed_out``,
        ``cancelled``, ``error`` (ours: the job may be well), ``downloading`` or ``downloaded``.
    :param raw_status: the API's own word, as last seen.
    :param message: the API's message, up to 500 characters.
    :param progress: as the API gave it last.
    :param started_at: when this task instance first took up the job.
    :param updated_at: when this was written; the newest summary counts.
    :param deadline: of the wait.
    :param ended_at: when the job, or the download, ended.
    :param polls: all of them. ``failed_polls`` and ``unknown``: in a row, as of now.
    :param remote_url: the job's page at the remote, without secrets.
    :param can_cancel: whether the definition says how to cancel the job.
    :param download: ``{records, bytes, seconds, uris, files, rejects, sha256, format}``; ``uris`` are the
        first ones of ``files`` when they are many; ``records`` and ``rejects`` are None where nobody counted.
    :param trouble: what is wrong, as one sentence; None: nothing is.
    """

    kind: str
    of: str = ""
    definition: str = ""
    conn_id: str = ""
    submission_id: str | None = None
    state: str = "submitting"
    raw_status: Any = None
    message: str | None = None
    progress: Any = None
    submitted_at: float | None = None
    started_at: float = 0.0
    updated_at: float = 0.0
    next_poll_at: float | None = None
    deadline: float | None = None
    ended_at: float | None = None
    polls: int = 0
    failed_polls: int = 0
    unknown: int = 0
    remote_url: str | None = None
    can_cancel: bool = False
    download: Mapping[str, Any] | None = None
    trouble: str | None = None

    @classmethod
    def from_dict(cls, plain: Any) -> Summary | None:
        """Return what :meth:`to_dict` wrote; None for anything else. Fields that a later version added are
        passed over.
        """
        if not isinstance(plain, Mapping) or not isinstance(plain.get("kind"), str):
            return None
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in plain.items() if name in names})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON within ``SUMMARY_BYTES``: texts of unusual length are cut."""
        message = self.message[:_MESSAGE_CHARACTERS] if self.message else None
        bounded = replace(self, message=message)
        for limit in _TIGHTER:
            plain = {"version": _VERSION, **asdict(bounded)}
            if size_of(plain) <= SUMMARY_BYTES:
                return plain
            shorter = {name: cut(getattr(bounded, name), limit) for name in _LONG}
            bounded = replace(bounded, **shorter, download=_fewer(bounded.download, limit))
        return {"version": _VERSION, **asdict(bounded)}

    def differs(self, other: Summary | None) -> bool:
        """Return whether people want to see it at once, and not at the next turn: another state or status,
        trouble that came or went, or the first summary at all. A message, as progress, may be another one at
        every poll; it does not count, nor do counts and times.
        """
        if other is None or bool(self.trouble) != bool(other.trouble):
            return True
        return any(getattr(self, name) != getattr(other, name) for name in _NEWS)

    def after(self, older: Summary) -> Summary:
        """Return this one with what only the older one of the same job knows: no process knows everything."""
        blank = [name for name in _LASTING if getattr(self, name) is None]
        if self.polls == older.polls:
            blank += [name for name in _OF_A_POLL if getattr(self, name) is None]
        known = {name: getattr(older, name) for name in blank}
        return replace(self, **known, started_at=min(self.started_at, older.started_at))


_NEWS = ("of", "submission_id", "state", "raw_status", "ended_at")
_LASTING = ("remote_url", "submitted_at", "submission_id", "deadline", "download")
_OF_A_POLL = ("raw_status", "message", "progress")


def _fewer(download: Mapping[str, Any] | None, limit: int) -> Mapping[str, Any] | None:
    """Return a download with as many URIs as fit in twice the limit."""
    if download is None:
        return None
    kept: list[str] = []
    for uri in download.get("uris") or ():
        if size_of([*kept, uri]) > 2 * limit:
            break
        kept.append(uri)
    return {**download, "uris": kept}
