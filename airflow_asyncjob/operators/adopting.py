"""A job that a person names by its ID, so that a submit task carries it on instead of submitting."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.hooks.records import submission_given

if TYPE_CHECKING:
    from airflow_asyncjob.hooks.state import Found
    from airflow_asyncjob.protocol import Submission

__all__ = ["adopted_by_hand"]


def adopted_by_hand(given: Any, found: Found | None, log: Any) -> Submission | None:
    """Return the job that a submit task was given by hand and does not know yet; None: it was given none.

    A job that the task knows already (a retry) is carried on from what is stored; and one that failed, after
    which another one is submitted, is not adopted again.

    :param given: ``submission_id`` of the task, rendered.
    :param found: what the task has stored.
    :raises DefinitionError: it is neither an ID nor a mapping with one.
    """
    from airflow_asyncjob.protocol import Submission

    named = submission_given(given, time.time())
    job = named if isinstance(named, Submission) else Submission(named, time.time())
    if not job.id:
        return None
    if job.id == "None":
        raise DefinitionError(
            "submission_id is the text 'None', as a template gives where there is nothing. Write "
            "{{ params.submission_id or '' }}, so that nothing is adopted then"
        )
    if found is not None and found.current:
        stored = found.data["checkpoint"]
        known = str((stored.get("submission") or {}).get("id", ""))
        if known == job.id or stored.get("attempt", 1) > 1:
            return None
        if known:
            log.warning("An earlier try of this task submitted job %s, which is left as it is.", known)
    log.warning("Job %s was given by hand: nothing is submitted, and it is carried on.", job.id)
    return job
