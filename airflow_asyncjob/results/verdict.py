"""What refused records mean for a job: an error, a warning, or nothing; and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.models.rejects import share_of
from airflow_asyncjob.definition.problems import counted
from airflow_asyncjob.errors import AllRejectedError, RejectsError, UnknownRejectsError

if TYPE_CHECKING:
    from airflow_asyncjob.definition.models.result import Result
    from airflow_asyncjob.results.manifest import Manifest

__all__ = ["Verdict", "rejects_text", "rejects_told", "verdict_on"]


@dataclass(frozen=True)
class Verdict:
    """What ``result.on_rejects`` makes of the rejects of a job.

    :param error: to be raised, now that all is written; None: there is none.
    :param warning: for the log; empty: there is none.
    """

    error: RejectsError | None = None
    warning: str = ""


def verdict_on(result: Result, manifest: Manifest) -> Verdict:
    """Return what the rejects of a job mean.

    That all records were refused, or that rejects name records which nobody sent, is never tolerated.
    """
    rejects = manifest.rejects
    if not rejects or not rejects["records"] or result.on_rejects == "ignore":
        return Verdict()
    kind, problem = _problem(result, manifest, rejects)
    told = f"{rejects_told(manifest)}{problem}"
    if kind is None or result.on_rejects == "warn":
        return Verdict(warning=told)
    return Verdict(kind(told))


def rejects_text(rejects: Mapping[str, Any]) -> str:
    """Return the counts in short, such as ``997 accepted, 3 rejected``."""
    accepted = "" if rejects["accepted"] is None else f"{rejects['accepted']:,} accepted, "
    return f"{accepted}{rejects['records']:,} rejected"


def rejects_told(manifest: Manifest) -> str:
    """Return how many records were refused by whom, and where the reasons are."""
    rejects = manifest.rejects or {}
    if not rejects.get("records"):
        return "No records were refused."
    total = _total(manifest, rejects)
    count = counted(rejects["records"], "record") if total is None else f"{rejects['records']:,} of {total:,}"
    stages = [f"{_BY[stage]} {number:,}" for stage, number in rejects["by_stage"].items() if number]
    where = f" The reasons are in {rejects['uri']}." if rejects["uri"] else ""
    return f"Refused: {count} ({', '.join(stages)}).{where}"


_BY = {"local": "before sending", "upload": "by the upload", "job": "by the job"}


def _problem(
    result: Result, manifest: Manifest, rejects: Mapping[str, Any]
) -> tuple[type[RejectsError] | None, str]:
    """Return the error that rejects are with ``on_rejects: fail`` (None: they are tolerated), and what to
    do.
    """
    total = _total(manifest, rejects)
    accepted = manifest.records if rejects["sent"] is None else rejects["accepted"]
    if total is not None and not accepted:
        return AllRejectedError, " Not one was accepted: correct how the records are made or sent."
    if rejects["unmatched"]:
        unknown = f" {counted(rejects['unmatched'], 'reject')} named no record that was sent"
        return UnknownRejectsError, f"{unknown}: correct key, index or index_base of the rejects."
    share, tolerated = share_of(result.tolerated), result.tolerated
    if share is not None and total is None:
        return RejectsError, f" Whether that is {tolerated} nobody counted: tolerate a number of records."
    most = share * (total or 0) if share is not None else int(tolerated)
    return (None if rejects["records"] <= most else RejectsError), (
        f" Tolerated: {tolerated}." if most else ""
    )


def _total(manifest: Manifest, rejects: Mapping[str, Any]) -> int | None:
    """Return how many records there were, refused ones included; None: nobody knows."""
    if rejects["sent"] is not None:
        return int(rejects["sent"]) + int(rejects["by_stage"]["local"])
    if manifest.records is None or not manifest.uris:
        return None
    return manifest.records + int(rejects["records"])
