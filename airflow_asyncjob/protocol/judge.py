"""From what an answer says to what it means here: counters, budgets, the deadline and the goal considered.

Pure functions: the machine hands in what it has counted, and gets one verdict for the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_asyncjob.definition.models.status import Status
from airflow_asyncjob.protocol.answers import Answer, Reading
from airflow_asyncjob.protocol.transitions import Verdict

__all__ = [
    "LATE_LOOKS",
    "PollCounts",
    "judge_look",
    "judge_poll",
    "judge_stop",
    "judge_submit",
    "judge_target",
]

LATE_LOOKS = 3
"""An exchange that failed is no look: the last look is tried so often, if the poll-error budget allows."""


def judge_submit(
    reading: Reading,
    *,
    keyed: bool,
    tries_left: int,
    until: float,
    latest: float,
    refreshed: bool,
    findable: bool = False,
) -> Verdict:
    """Return what the answer to a submit means.

    :param keyed: the request carries its idempotency key, so that a repeat is harmless.
    :param tries_left: how many more may be sent.
    :param until: when the next one could be sent, seconds since the epoch.
    :param latest: how long this job may wait to be accepted, seconds since the epoch.
    :param refreshed: the credentials were fetched again already.
    :param findable: the API's list shows whether the job was made.
    """
    match reading.answer:
        case Answer.GARBLED | Answer.UNSETTLED if findable and not keyed:
            return Verdict.SOUGHT if until <= latest else Verdict.FORBIDDEN
        case Answer.GOOD:
            return Verdict.STEPPED if reading.submission is None else Verdict.ACCEPTED
        case Answer.DENIED:
            return Verdict.REFUSED if refreshed else Verdict.DENIED
        case Answer.REFUSED:
            return Verdict.REFUSED
        case Answer.NO_MATCH:
            return Verdict.ILLEGIBLE
        case Answer.GARBLED if not keyed:
            return Verdict.ILLEGIBLE
        case Answer.UNSETTLED if not keyed:
            return Verdict.UNSURE
    if tries_left <= 0:
        return Verdict.EXHAUSTED
    return Verdict.AGAIN if until <= latest else Verdict.FORBIDDEN


_LONGEST_LOOK_WAIT = 3600.0
"""Seconds between two looks for a target at most; more is for a later process."""


@dataclass(frozen=True)
class PollCounts:
    """What the machine has counted, this poll not included.

    :param polls: good polls.
    :param errors: failed polls in a row.
    :param late: failed looks since the deadline.
    :param unknown: unknown statuses in a row.
    """

    polls: int
    errors: int
    late: int
    unknown: int


def judge_poll(
    reading: Reading,
    status: Status,
    counts: PollCounts,
    *,
    overdue: bool,
    refreshed: bool,
    waited_in_queue: bool = False,
) -> Verdict:
    """Return what the answer to a poll means.

    :param overdue: the deadline is over.
    :param refreshed: the credentials were fetched again since the last good poll.
    :param waited_in_queue: the time in which the job has to start is over.
    """
    match reading.answer:
        case Answer.ENDED:
            return Verdict.ENDED
        case Answer.RUNNING if overdue:
            return Verdict.OVERDUE
        case Answer.RUNNING:
            queued = reading.look is not None and reading.look.queued
            return Verdict.UNSTARTED if queued and waited_in_queue else Verdict.RUNNING
        case Answer.UNKNOWN:
            if status.unknown == "fail" or counts.unknown >= status.unknown_times:
                return Verdict.STRANGE
            return Verdict.OVERDUE if overdue else Verdict.RUNNING
        case Answer.BROKEN:
            return Verdict.STRANGE
        case Answer.DENIED:
            return Verdict.REFUSED if refreshed else Verdict.DENIED
        case Answer.REFUSED:
            return Verdict.REFUSED
        case Answer.GONE:
            return Verdict.VANISHED
        case Answer.MISSING if counts.polls > 0:
            return Verdict.VANISHED
    spent = counts.errors >= status.poll_error_budget
    if overdue:
        return Verdict.OVERDUE if spent or counts.late + 1 >= LATE_LOOKS else Verdict.AGAIN
    return Verdict.EXHAUSTED if spent else Verdict.AGAIN


def judge_look(reading: Reading, *, refreshed: bool) -> Verdict:
    """Return what one look at a job that is not waited for means: is there something left to stop?"""
    match reading.answer:
        case Answer.ENDED:
            return Verdict.ENDED
        case Answer.MISSING | Answer.GONE:
            return Verdict.GONE
        case Answer.DENIED:
            return Verdict.REFUSED if refreshed else Verdict.DENIED
    return Verdict.STOP


def judge_target(reading: Reading, *, tries_left: int, refreshed: bool, wait: float) -> Verdict:
    """Return what one look for the target of a job that has ended means.

    A job that runs again as it seems (a copy of the API that lags behind) is looked at again.

    :param wait: seconds until the next look could be.
    """
    match reading.answer:
        case Answer.ENDED:
            return Verdict.ENDED
        case Answer.DENIED:
            return Verdict.REFUSED if refreshed else Verdict.DENIED
        case Answer.RUNNING | Answer.NOT_DONE | Answer.UNSETTLED | Answer.GARBLED | Answer.NO_MATCH:
            return Verdict.AGAIN if tries_left > 0 and wait <= _LONGEST_LOOK_WAIT else Verdict.EXHAUSTED
    return Verdict.REFUSED


def judge_stop(reading: Reading, *, tries_left: int, refreshed: bool, wait: float, longest: float) -> Verdict:
    """Return what the answer to a cancel or a delete means.

    :param wait: seconds until it could be sent again.
    :param longest: seconds that are waited at most: nobody waits hours to say good-bye.
    """
    match reading.answer:
        case Answer.GOOD:
            return Verdict.DONE
        case Answer.GONE:
            return Verdict.GONE
        case Answer.DENIED:
            return Verdict.REFUSED if refreshed else Verdict.DENIED
        case Answer.NOT_DONE | Answer.UNSETTLED:
            return Verdict.AGAIN if tries_left > 0 and wait <= longest else Verdict.EXHAUSTED
    return Verdict.REFUSED
