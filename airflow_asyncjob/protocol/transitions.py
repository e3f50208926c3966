"""The protocol as data: what follows when, in a phase, something turns out to be so.

All of the protocol's order of events is in ``TABLE`` (and, for the steps to a result, in
``HOPS_TABLE``, for one download, in ``DOWNLOAD_TABLE``, for the list of jobs, in ``LIST_TABLE``); nowhere
else does a phase follow another. The way through it:

* ``Phase`` is what the machine waits for; each but ``START`` and ``FINISHED`` has one command outstanding.
* ``Verdict`` is what the answer to that command means, counters, budgets, deadline and goal considered.
* ``Action`` is what the machine notes before it enters the next phase; entering gives the next command.

A phase may find that it has nothing to do (a wait that is over, a checkpoint that is stored already, a
``cancel`` that the definition does not have). It then yields its verdict at once, without a command.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DOWNLOAD_TABLE", "HOPS_TABLE", "LIST_TABLE", "TABLE", "Action", "Phase", "Step", "Verdict"]


class Phase(enum.StrEnum):
    """What the machine waits for."""

    START = "start"
    PLAN = "plan"
    """Cutting the upload of a submit into its parts, once in a process."""
    RECORD_INTENT = "record_intent"
    """Storing that a submit is about to be sent."""
    SUBMIT = "submit"
    SUBMIT_REFRESH = "submit_refresh"
    RECORD_PAUSE = "record_pause"
    """Storing what is known before the wait for the next submit."""
    SUBMIT_PAUSE = "submit_pause"
    RECORD_STEP = "record_step"
    """Storing that a step of the submit is done, and that the next is about to be sent."""
    RECORD_SEARCH = "record_search"
    """Storing until when the list is not believed, before the wait for the look at it."""
    SEARCH_PAUSE = "search_pause"
    SEARCH = "search"
    """Looking in the API's list for the job that a submit may have made. The commands are those of the list's
    own machine, with its own repeats (``LIST_TABLE``)."""
    RECORD_SUBMISSION = "record_submission"
    POLL_PAUSE = "poll_pause"
    POLL = "poll"
    POLL_REFRESH = "poll_refresh"
    RECORD_NEXT = "record_next"
    """Storing what a later process needs for the next poll: how long the API wants none, what has moved."""
    LOG = "log"
    """Asking for the log of a job that failed."""
    RECORD_CANCEL = "record_cancel"
    """Storing that the job is to be stopped, and what it ends as."""
    CANCEL = "cancel"
    CANCEL_REFRESH = "cancel_refresh"
    CANCEL_PAUSE = "cancel_pause"
    TARGET = "target"
    """Asking a job that has ended for its download target."""
    TARGET_REFRESH = "target_refresh"
    TARGET_PAUSE = "target_pause"
    RECORD_END = "record_end"
    DELETE = "delete"
    DELETE_REFRESH = "delete_refresh"
    DELETE_PAUSE = "delete_pause"
    FETCH = "fetch"
    FETCH_REFRESH = "fetch_refresh"
    FETCH_PAUSE = "fetch_pause"
    RECEIVE = "receive"
    """Handing the body of a download on."""
    RECORD_FAILURE = "record_failure"
    """Storing what is known before giving up, so that a later process starts from there."""
    FINISHED = "finished"


class Verdict(enum.StrEnum):
    """What the answer to the outstanding command means."""

    # At the start.
    FRESH = "fresh"
    """Nothing that was sent was accepted."""
    LOST = "lost"
    """An earlier submit may have been accepted, and the request carries its key: the same again is safe."""
    RISKED = "risked"
    """An earlier submit may have been accepted; the definition takes the risk of a second job."""
    SOUGHT = "sought"
    """An earlier submit may have been accepted, and the API's list can tell."""
    BARRED = "barred"
    """An earlier submit may have been accepted; the definition does not take the risk."""
    KNOWN = "known"
    """The submission is known, and that was the goal."""
    ATTACH = "attach"
    """The submission is known, and is waited for."""
    NOTHING = "nothing"
    """The submission is known, and the API said that there is nothing to wait for."""
    EARLY = "early"
    """The submission is known, and the submit's own answer said how the job ended."""
    MUTE = "mute"
    """The submission is known, and there is no request that asks how the job is doing."""
    LOOK = "look"
    """The goal is to see whether an old job still runs."""
    SEEK = "seek"
    """The goal is the download target of a job that has ended, as it is now."""
    STOPPING = "stopping"
    """The job was being stopped."""
    DISCARD = "discard"
    """The goal is that the API forgets the job."""
    OVER = "over"
    """It is known how the job ended."""

    # Of the driver.
    STORED = "stored"
    WOKEN = "woken"
    CHANGED = "changed"
    UNCHANGED = "unchanged"

    # Of an upload.
    PLANNED = "planned"
    """Its parts are known (or the submit has none)."""

    # Of an answer to any request.
    DENIED = "denied"
    """The credentials were refused, and may have changed."""
    REFUSED = "refused"
    """Asking again is pointless."""
    AGAIN = "again"
    """It did not work; another try is allowed."""
    EXHAUSTED = "exhausted"
    """It did not work; no other try is allowed."""

    # Of an answer to a submit.
    ACCEPTED = "accepted"
    STEPPED = "stepped"
    """A step of the submit is done (or had nothing to do), and another one follows."""
    FORBIDDEN = "forbidden"
    """The API wants no request before a time that is later than this job may wait."""
    UNSURE = "unsure"
    """It may have been accepted, and this process must not repeat it."""
    SETTLED = "settled"
    """It was certainly not accepted: the list does not have the job, long after the submit."""
    ILLEGIBLE = "illegible"
    """It was accepted, as it seems, and no ID can be read."""

    # Of an answer to a poll.
    RUNNING = "running"
    ENDED = "ended"
    OVERDUE = "overdue"
    """Still running as far as can be seen, and the deadline is over."""
    UNSTARTED = "unstarted"
    """Still queued, and the time for that is over."""
    STRANGE = "strange"
    """A status, or a target of an ended job, that the definition cannot read."""
    VANISHED = "vanished"
    """The API knew the job, and does not know it any more."""
    GONE = "gone"
    """The old job that was looked for does not exist any more."""

    # Of an answer to a request for a log, a cancel or a delete.
    DONE = "done"
    ABSENT = "absent"
    """The definition has no such request."""

    # Of a download.
    OPEN = "open"
    """The answer is good, and its body can be read; of a list: it goes on."""
    WHOLE = "whole"
    """The body (of a list: the last page) was read to its end."""

    # From outside: somebody wishes the job to stop ...
    STOP = "stop"
    """... and it is known."""
    STOP_UNSENT = "stop_unsent"
    """... and there certainly is none."""
    STOP_UNSURE = "stop_unsure"
    """... and it is not known whether there is one."""


class Action(enum.StrEnum):
    """What the machine notes on the way from one phase to the next."""

    NOTHING = "nothing"
    SAY_REPEATED = "say_repeated"
    """Say in the log that the same submit is sent again, with the same key."""
    TAKE_RISK = "take_risk"
    """Say in the log that a second job may come to be."""
    BAR = "bar"
    """End: an earlier submit may have been accepted."""
    SAY_SOUGHT = "say_sought"
    """Say in the log that the list is asked for the job."""
    SAY_NOT_THERE = "say_not_there"
    """Say in the log that the list does not have the job, and that it is submitted again."""
    FORBID = "forbid"
    """End: the API asks to wait longer than this job may."""
    COUNT_TRY = "count_try"
    """Count a request that did not work, and set the time of the next."""
    KEEP_STEP = "keep_step"
    KEEP_SUBMISSION = "keep_submission"
    NO_DATA = "no_data"
    KEEP_EARLY_END = "keep_early_end"
    """Note how the job ended, as the submit's own answer said."""
    FAIL_MUTE = "fail_mute"
    """End: only the submit's answer could have told how the job ended, and did not."""
    FAIL = "fail"
    """End with the error that the last answer gave."""
    FAIL_TRIES = "fail_tries"
    """End: no submit is left."""
    FAIL_TARGET = "fail_target"
    """End: no look for the target is left."""
    FAIL_BUDGET = "fail_budget"
    """End: too many polls in a row failed."""
    PLAN_FIRST = "plan_first"
    """Set the time of the first poll of this process."""
    PLAN_NEXT = "plan_next"
    """Note what a poll said, or that it failed, and set the time of the next."""
    KEEP_END = "keep_end"
    TIME_OUT = "time_out"
    TIME_OUT_QUEUED = "time_out_queued"
    STOP_JOB = "stop_job"
    """The job ends as cancelled."""
    STOP_UNSENT = "stop_unsent"
    """The job ends as cancelled, and never began."""
    STOP_BLIND = "stop_blind"
    """End: there may be a job, and nobody knows its ID."""
    KEEP_LOG = "keep_log"
    SAY_NO_LOG = "say_no_log"
    """Say that the log could not be read; the job ended all the same."""
    SAY_GONE = "say_gone"
    SAY_CANCELLED = "say_cancelled"
    SAY_NOT_CANCELLED = "say_not_cancelled"


Step = tuple[Phase, Action]
P, V, A = Phase, Verdict, Action

_NOT_SUBMITTED: Mapping[Verdict, Step] = {
    V.STOP_UNSENT: (P.RECORD_FAILURE, A.STOP_UNSENT),
    V.STOP_UNSURE: (P.RECORD_FAILURE, A.STOP_BLIND),
}
_SUBMITTED: Mapping[Verdict, Step] = {V.STOP: (P.RECORD_CANCEL, A.STOP_JOB)}

_TABLE: Mapping[Phase, Mapping[Verdict, Step]] = {
    P.START: {
        **_NOT_SUBMITTED,
        **_SUBMITTED,
        V.FRESH: (P.SUBMIT_PAUSE, A.NOTHING),
        V.LOST: (P.SUBMIT_PAUSE, A.SAY_REPEATED),
        V.RISKED: (P.SUBMIT_PAUSE, A.TAKE_RISK),
        V.SOUGHT: (P.SEARCH_PAUSE, A.SAY_SOUGHT),
        V.BARRED: (P.RECORD_FAILURE, A.BAR),
        V.FORBIDDEN: (P.RECORD_FAILURE, A.FORBID),
        V.KNOWN: (P.FINISHED, A.NOTHING),
        V.ATTACH: (P.POLL_PAUSE, A.PLAN_FIRST),
        V.NOTHING: (P.RECORD_END, A.NO_DATA),
        V.EARLY: (P.LOG, A.KEEP_EARLY_END),
        V.MUTE: (P.RECORD_FAILURE, A.FAIL_MUTE),
        V.OVERDUE: (P.RECORD_FAILURE, A.TIME_OUT),
        V.LOOK: (P.POLL, A.NOTHING),
        V.SEEK: (P.TARGET, A.NOTHING),
        V.STOPPING: (P.CANCEL_PAUSE, A.NOTHING),
        V.DISCARD: (P.DELETE, A.NOTHING),
        V.OVER: (P.FINISHED, A.NOTHING),
    },
    # Submit. What an upload sends is known before the first request; the intent is stored before each, and
    # what came of it before each wait.
    P.PLAN: {
        **_NOT_SUBMITTED,
        V.PLANNED: (P.RECORD_INTENT, A.NOTHING),
        V.REFUSED: (P.RECORD_FAILURE, A.FAIL),
    },
    P.RECORD_INTENT: {**_NOT_SUBMITTED, V.STORED: (P.SUBMIT, A.NOTHING)},
    P.SUBMIT: {
        **_NOT_SUBMITTED,
        V.ACCEPTED: (P.RECORD_SUBMISSION, A.KEEP_SUBMISSION),
        V.STEPPED: (P.RECORD_STEP, A.KEEP_STEP),
        V.AGAIN: (P.RECORD_PAUSE, A.COUNT_TRY),
        V.SOUGHT: (P.RECORD_SEARCH, A.COUNT_TRY),
        V.EXHAUSTED: (P.RECORD_FAILURE, A.FAIL_TRIES),
        V.FORBIDDEN: (P.RECORD_FAILURE, A.FORBID),
        V.UNSURE: (P.RECORD_FAILURE, A.FAIL),
        V.ILLEGIBLE: (P.RECORD_FAILURE, A.FAIL),
        V.REFUSED: (P.RECORD_FAILURE, A.FAIL),
        V.DENIED: (P.SUBMIT_REFRESH, A.NOTHING),
    },
    P.SUBMIT_REFRESH: {
        **_NOT_SUBMITTED,
        V.CHANGED: (P.SUBMIT, A.NOTHING),
        V.UNCHANGED: (P.RECORD_FAILURE, A.FAIL),
    },
    P.RECORD_PAUSE: {**_NOT_SUBMITTED, V.STORED: (P.SUBMIT_PAUSE, A.NOTHING)},
    P.SUBMIT_PAUSE: {**_NOT_SUBMITTED, V.WOKEN: (P.PLAN, A.NOTHING)},
    # Look for a job whose submit had no answer. The list may lag, and a request may still be on its way: that
    # the job is not there counts only after a time.
    P.RECORD_SEARCH: {
        V.STOP_UNSURE: _NOT_SUBMITTED[V.STOP_UNSURE],
        V.STORED: (P.SEARCH_PAUSE, A.SAY_SOUGHT),
    },
    P.SEARCH_PAUSE: {
        V.STOP_UNSURE: _NOT_SUBMITTED[V.STOP_UNSURE],
        V.WOKEN: (P.SEARCH, A.NOTHING),
    },
    P.SEARCH: {
        V.STOP_UNSURE: _NOT_SUBMITTED[V.STOP_UNSURE],
        V.OPEN: (P.SEARCH, A.NOTHING),
        V.ACCEPTED: (P.RECORD_SUBMISSION, A.KEEP_SUBMISSION),
        V.STEPPED: (P.RECORD_STEP, A.KEEP_STEP),
        V.AGAIN: (P.SEARCH_PAUSE, A.NOTHING),
        V.SETTLED: (P.SUBMIT_PAUSE, A.SAY_NOT_THERE),
        V.EXHAUSTED: (P.RECORD_FAILURE, A.FAIL_TRIES),
        V.REFUSED: (P.RECORD_FAILURE, A.FAIL),
    },
    P.RECORD_STEP: {
        V.STOP_UNSURE: _NOT_SUBMITTED[V.STOP_UNSURE],
        V.STORED: (P.SUBMIT_PAUSE, A.NOTHING),
        V.FORBIDDEN: (P.RECORD_FAILURE, A.FORBID),
    },
    P.RECORD_SUBMISSION: {
        **_SUBMITTED,
        V.KNOWN: (P.FINISHED, A.NOTHING),
        V.ATTACH: (P.POLL_PAUSE, A.PLAN_FIRST),
        V.NOTHING: (P.RECORD_END, A.NO_DATA),
        V.EARLY: (P.LOG, A.KEEP_EARLY_END),
        V.MUTE: (P.RECORD_FAILURE, A.FAIL_MUTE),
    },
    # Wait. Between polls only captures that have moved, and a Retry-After that outlasts the usual wait, are
    # stored.
    P.POLL_PAUSE: {
        **_SUBMITTED,
        V.WOKEN: (P.POLL, A.NOTHING),
        V.OVERDUE: (P.RECORD_CANCEL, A.TIME_OUT),
    },
    P.POLL: {
        **_SUBMITTED,
        V.RUNNING: (P.RECORD_NEXT, A.PLAN_NEXT),
        V.AGAIN: (P.RECORD_NEXT, A.PLAN_NEXT),
        V.EXHAUSTED: (P.RECORD_FAILURE, A.FAIL_BUDGET),
        V.ENDED: (P.LOG, A.KEEP_END),
        V.OVERDUE: (P.RECORD_CANCEL, A.TIME_OUT),
        V.UNSTARTED: (P.RECORD_CANCEL, A.TIME_OUT_QUEUED),
        V.STRANGE: (P.RECORD_FAILURE, A.FAIL),
        V.VANISHED: (P.RECORD_FAILURE, A.FAIL),
        V.REFUSED: (P.RECORD_FAILURE, A.FAIL),
        V.DENIED: (P.POLL_REFRESH, A.NOTHING),
        V.GONE: (P.RECORD_END, A.SAY_GONE),
    },
    P.POLL_REFRESH: {
        **_SUBMITTED,
        V.CHANGED: (P.POLL, A.NOTHING),
        V.UNCHANGED: (P.RECORD_FAILURE, A.FAIL),
    },
    P.RECORD_NEXT: {**_SUBMITTED, V.STORED: (P.POLL_PAUSE, A.NOTHING)},
    # The log of a job that failed is asked for once: the end is known, and no log changes it.
    P.LOG: {
        V.DONE: (P.RECORD_END, A.KEEP_LOG),
        V.REFUSED: (P.RECORD_END, A.SAY_NO_LOG),
        V.ABSENT: (P.RECORD_END, A.NOTHING),
    },
    # Stop. What the job ends as is stored before the request, so that a restart does not ask how it ended.
    P.RECORD_CANCEL: {V.STORED: (P.CANCEL, A.NOTHING)},
    P.CANCEL: {
        V.DONE: (P.RECORD_END, A.SAY_CANCELLED),
        V.GONE: (P.RECORD_END, A.SAY_GONE),
        V.AGAIN: (P.CANCEL_PAUSE, A.COUNT_TRY),
        V.EXHAUSTED: (P.RECORD_END, A.SAY_NOT_CANCELLED),
        V.REFUSED: (P.RECORD_END, A.SAY_NOT_CANCELLED),
        V.DENIED: (P.CANCEL_REFRESH, A.NOTHING),
        V.ABSENT: (P.RECORD_END, A.SAY_NOT_CANCELLED),
    },
    P.CANCEL_REFRESH: {
        V.CHANGED: (P.CANCEL, A.NOTHING),
        V.UNCHANGED: (P.RECORD_END, A.SAY_NOT_CANCELLED),
    },
    P.CANCEL_PAUSE: {V.WOKEN: (P.CANCEL, A.NOTHING)},
    # Look for the target of a job that has ended. Nothing is stored, and nothing is cancelled.
    P.TARGET: {
        V.ENDED: (P.FINISHED, A.KEEP_END),
        V.AGAIN: (P.TARGET_PAUSE, A.COUNT_TRY),
        V.EXHAUSTED: (P.FINISHED, A.FAIL_TARGET),
        V.REFUSED: (P.FINISHED, A.FAIL),
        V.DENIED: (P.TARGET_REFRESH, A.NOTHING),
    },
    P.TARGET_REFRESH: {
        V.CHANGED: (P.TARGET, A.NOTHING),
        V.UNCHANGED: (P.FINISHED, A.FAIL),
    },
    P.TARGET_PAUSE: {V.WOKEN: (P.TARGET, A.NOTHING)},
    # Delete. Nothing is stored: the result is safe already.
    P.DELETE: {
        V.DONE: (P.FINISHED, A.NOTHING),
        V.GONE: (P.FINISHED, A.NOTHING),
        V.AGAIN: (P.DELETE_PAUSE, A.COUNT_TRY),
        V.EXHAUSTED: (P.FINISHED, A.FAIL),
        V.REFUSED: (P.FINISHED, A.FAIL),
        V.DENIED: (P.DELETE_REFRESH, A.NOTHING),
    },
    P.DELETE_REFRESH: {
        V.CHANGED: (P.DELETE, A.NOTHING),
        V.UNCHANGED: (P.FINISHED, A.FAIL),
    },
    P.DELETE_PAUSE: {V.WOKEN: (P.DELETE, A.NOTHING)},
    P.RECORD_END: {V.STORED: (P.FINISHED, A.NOTHING)},
    P.RECORD_FAILURE: {V.STORED: (P.FINISHED, A.NOTHING)},
    P.FINISHED: {},
}
TABLE: Mapping[Phase, Mapping[Verdict, Step]] = MappingProxyType(_TABLE)

_HOPS: Mapping[Phase, Mapping[Verdict, Step]] = {
    P.START: {V.FRESH: (P.FETCH, A.NOTHING)},
    P.FETCH: {
        V.STEPPED: (P.FETCH, A.KEEP_STEP),
        V.ENDED: (P.FINISHED, A.KEEP_END),
        V.NOTHING: (P.FINISHED, A.NO_DATA),
        V.DENIED: (P.FETCH_REFRESH, A.NOTHING),
        V.AGAIN: (P.FETCH_PAUSE, A.COUNT_TRY),
        V.EXHAUSTED: (P.FINISHED, A.FAIL_TRIES),
        V.REFUSED: (P.FINISHED, A.FAIL),
    },
    P.FETCH_REFRESH: {
        V.CHANGED: (P.FETCH, A.NOTHING),
        V.UNCHANGED: (P.FINISHED, A.FAIL),
    },
    P.FETCH_PAUSE: {V.WOKEN: (P.FETCH, A.NOTHING)},
    P.FINISHED: {},
}
HOPS_TABLE: Mapping[Phase, Mapping[Verdict, Step]] = MappingProxyType(_HOPS)

_DOWNLOAD: Mapping[Phase, Mapping[Verdict, Step]] = {
    P.START: {V.FRESH: (P.FETCH, A.NOTHING)},
    P.FETCH: {
        V.OPEN: (P.RECEIVE, A.NOTHING),
        V.NOTHING: (P.FINISHED, A.NO_DATA),
        V.DENIED: (P.FETCH_REFRESH, A.NOTHING),
        V.AGAIN: (P.FETCH_PAUSE, A.COUNT_TRY),
        V.EXHAUSTED: (P.FINISHED, A.FAIL_TRIES),
        V.REFUSED: (P.FINISHED, A.FAIL),
    },
    P.FETCH_REFRESH: {
        V.CHANGED: (P.FETCH, A.NOTHING),
        V.UNCHANGED: (P.FINISHED, A.FAIL),
    },
    P.FETCH_PAUSE: {V.WOKEN: (P.FETCH, A.NOTHING)},
    P.RECEIVE: {
        V.WHOLE: (P.FINISHED, A.KEEP_END),
        V.AGAIN: (P.FETCH_PAUSE, A.COUNT_TRY),
        V.EXHAUSTED: (P.FINISHED, A.FAIL_TRIES),
    },
    P.FINISHED: {},
}
DOWNLOAD_TABLE: Mapping[Phase, Mapping[Verdict, Step]] = MappingProxyType(_DOWNLOAD)

_LIST: Mapping[Phase, Mapping[Verdict, Step]] = {
    P.START: {V.FRESH: (P.FETCH, A.NOTHING)},
    P.FETCH: {
        V.OPEN: (P.FETCH, A.NOTHING),
        V.WHOLE: (P.FINISHED, A.KEEP_END),
        V.DENIED: (P.FETCH_REFRESH, A.NOTHING),
        V.AGAIN: (P.FETCH_PAUSE, A.COUNT_TRY),
        V.EXHAUSTED: (P.FINISHED, A.FAIL_TRIES),
        V.REFUSED: (P.FINISHED, A.FAIL),
    },
    P.FETCH_REFRESH: {
        V.CHANGED: (P.FETCH, A.NOTHING),
        V.UNCHANGED: (P.FINISHED, A.FAIL),
    },
    P.FETCH_PAUSE: {V.WOKEN: (P.FETCH, A.NOTHING)},
    P.FINISHED: {},
}
LIST_TABLE: Mapping[Phase, Mapping[Verdict, Step]] = MappingProxyType(_LIST)
