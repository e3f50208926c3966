"""Every row of the table: a scenario that takes it, where it leads, and what is asked of the driver next.

The rows are written down here a second time on purpose: who changes the table says so twice.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_asyncjob.protocol import Command, Finish, Goal, Outcome, Refresh, Send, Store, Submission, Wait
from airflow_asyncjob.protocol.job import Job
from airflow_asyncjob.protocol.transitions import (
    DOWNLOAD_TABLE,
    HOPS_TABLE,
    LIST_TABLE,
    TABLE,
    Action,
    Phase,
    Verdict,
)
from tests.protocol.driving import (
    ACCEPTED,
    BAD_URL,
    BUSY,
    CHANGED,
    DENIED,
    HTML,
    LISTED,
    LISTED_STEPS,
    LOST,
    NO_CANCEL,
    NO_KEY,
    NO_KEY_FAIL,
    NOT_SENT,
    NOW,
    OURS,
    READY,
    SLOW_DOWN,
    SORRY,
    SUBMISSION,
    UNCHANGED,
    Drive,
    S,
    W,
    answer,
    polling,
    waiting,
)
from tests.protocol.test_submit_parts import ONCE, PLANNED

THERE = answer(200, {"jobs": [{"id": 3, "name": "another"}, OURS]})
NOT_THERE = answer(200, {"jobs": []})
PAGED = {"list": {"paginate": {"next": "next"}, "request": {"params": {"after": "{{ next }}"}}}}
P, V = Phase, Verdict
Scenario = Callable[[], Drive]
INTENT = {"phase": "intent"}
CANCELLING = {
    "phase": "cancelling",
    "submission": SUBMISSION.to_dict(),
    "outcome": {"state": "timed_out", "target": []},
}
ENDED = {**CANCELLING, "phase": "ended"}
NOTHING_TO_DO = {"errors": {"submit": [{"when": "code == 204", "then": "no_data"}]}}
ONLY_THE_SUBMIT = {"status": {"from": "submit", "request": None}}
QUEUE = {"status": {"queued": ["busy"], "queue_timeout": 900}}
LOG = {"status": {"log": {"request": {"url": "/jobs/{{ submission_id }}/log"}}}}
BROKEN = answer(200, {"status": "broken"})
ENDED_AT_ONCE = Submission("7", NOW, outcome=Outcome("done", "/files/7"))
STEPS = {
    "submit": {
        "request": None,
        "steps": [
            {"name": "create", "request": {"url": "/jobs"}, "capture": {"job": "id"}},
            {"name": "start", "request": {"url": "/jobs/{{ captures.job }}/start"}},
        ],
        "id": "{{ captures.job }}",
    }
}
CREATED = answer(201, {"id": 7})
NEVER = {"limits": {"retries": 0}}
NO_BUDGET = {"status": {"poll_error_budget": 0}}
LATE = NOW + 10_000


def submitting(*changes: dict[str, object], goal: Goal = Goal.ENDED) -> Drive:
    return Drive(*changes, goal=goal).tell(S)  # type: ignore[arg-type]


def submit_paused(*changes: dict[str, object]) -> Drive:
    return submitting(*changes).tell_all(NOT_SENT, S)


def cancelling(*changes: dict[str, object]) -> Drive:
    return Drive(*changes, goal=Goal.CANCELLED, submission=SUBMISSION)  # type: ignore[arg-type]


def deleting(*changes: dict[str, object]) -> Drive:
    return Drive(*changes, goal=Goal.DELETED, submission=SUBMISSION)  # type: ignore[arg-type]


def seeking(*changes: dict[str, object]) -> Drive:
    return Drive(*changes, goal=Goal.TARGET, submission=SUBMISSION)  # type: ignore[arg-type]


def poll_paused() -> Drive:
    return polling().tell(BUSY)


def told_late(event: object) -> Drive:
    drive = polling()
    drive.now = LATE
    return drive.tell(event)  # type: ignore[arg-type]


def held_until_the_deadline() -> Drive:
    far = answer(429, {}, {"retry-after": "999999"})
    return polling().tell_all(far, S, W)


def seeking_job(*changes: dict[str, object], settled: bool = False) -> Drive:
    """Return a drive that asks the list for a job that an earlier process may have submitted."""
    settled_at = {"settled_at": NOW - 1 if settled else NOW + 320, "list_answered": settled}
    return Drive(LISTED, *changes, checkpoint={"phase": "intent", **settled_at})  # type: ignore[arg-type]


def stop_before(drive: Drive, event: object) -> Drive:
    """Wish to stop while something is outstanding, and then tell what came of it."""
    drive.job.cancel(drive.now)
    drive.job.tell(event, drive.now)  # type: ignore[arg-type]
    return drive


ROWS: list[tuple[Phase, Verdict, Phase, type[Command], Scenario]] = [
    # The start.
    (P.START, V.FRESH, P.SUBMIT_PAUSE, Store, lambda: Drive()),
    (P.START, V.LOST, P.SUBMIT_PAUSE, Store, lambda: Drive(checkpoint=INTENT)),
    (P.START, V.RISKED, P.SUBMIT_PAUSE, Store, lambda: Drive(NO_KEY, checkpoint=INTENT)),
    (P.START, V.BARRED, P.RECORD_FAILURE, Finish, lambda: Drive(NO_KEY_FAIL, checkpoint=INTENT)),
    (P.START, V.SOUGHT, P.SEARCH_PAUSE, Send, lambda: seeking_job()),
    (
        P.START,
        V.FORBIDDEN,
        P.RECORD_FAILURE,
        Finish,
        lambda: Drive(checkpoint={"phase": "idle", "not_before": NOW + 1e6}),
    ),
    (P.START, V.OVERDUE, P.RECORD_FAILURE, Finish, lambda: Drive(deadline=NOW)),
    (P.START, V.KNOWN, P.FINISHED, Finish, lambda: Drive(goal=Goal.SUBMITTED, submission=SUBMISSION)),
    (P.START, V.ATTACH, P.POLL_PAUSE, Send, lambda: waiting()),
    (P.START, V.NOTHING, P.RECORD_END, Store, lambda: waiting(submission=Submission("", NOW, no_data=True))),
    (P.START, V.EARLY, P.LOG, Store, lambda: waiting(submission=ENDED_AT_ONCE)),
    (P.START, V.MUTE, P.RECORD_FAILURE, Store, lambda: waiting(ONLY_THE_SUBMIT)),
    (P.START, V.LOOK, P.POLL, Send, lambda: waiting(goal=Goal.REPLACED)),
    (P.START, V.SEEK, P.TARGET, Send, lambda: seeking()),
    (P.START, V.STOPPING, P.CANCEL_PAUSE, Send, lambda: Drive(checkpoint=CANCELLING)),
    (P.START, V.DISCARD, P.DELETE, Send, lambda: deleting()),
    (P.START, V.OVER, P.FINISHED, Finish, lambda: Drive(checkpoint=ENDED)),
    (P.START, V.STOP, P.RECORD_CANCEL, Send, lambda: cancelling()),
    (P.START, V.STOP_UNSENT, P.RECORD_FAILURE, Finish, lambda: Drive(goal=Goal.CANCELLED)),
    (P.START, V.STOP_UNSURE, P.RECORD_FAILURE, Finish, lambda: Drive(goal=Goal.CANCELLED, checkpoint=INTENT)),
    # Submit.
    (P.PLAN, V.PLANNED, P.RECORD_INTENT, Store, lambda: Drive(ONCE).tell(PLANNED)),
    (P.PLAN, V.REFUSED, P.RECORD_FAILURE, Finish, lambda: Drive(ONCE).tell(BAD_URL)),
    (P.PLAN, V.STOP_UNSENT, P.RECORD_FAILURE, Finish, lambda: Drive(ONCE).stop()),
    (P.PLAN, V.STOP_UNSURE, P.RECORD_FAILURE, Finish, lambda: Drive(ONCE, checkpoint=INTENT).stop()),
    (P.RECORD_INTENT, V.STORED, P.SUBMIT, Send, lambda: submitting()),
    (P.RECORD_INTENT, V.STOP_UNSENT, P.RECORD_FAILURE, Store, lambda: Drive().stop()),
    (P.RECORD_INTENT, V.STOP_UNSURE, P.RECORD_FAILURE, Store, lambda: Drive(checkpoint=INTENT).stop()),
    (P.SUBMIT, V.ACCEPTED, P.RECORD_SUBMISSION, Store, lambda: submitting().tell(ACCEPTED)),
    (P.SUBMIT, V.STEPPED, P.RECORD_STEP, Store, lambda: submitting(STEPS).tell(CREATED)),
    (P.SUBMIT, V.AGAIN, P.RECORD_PAUSE, Store, lambda: submitting().tell(NOT_SENT)),
    (P.SUBMIT, V.SOUGHT, P.RECORD_SEARCH, Store, lambda: submitting(LISTED).tell(LOST)),
    (P.SUBMIT, V.EXHAUSTED, P.RECORD_FAILURE, Store, lambda: submitting(NEVER).tell(NOT_SENT)),
    (
        P.SUBMIT,
        V.FORBIDDEN,
        P.RECORD_FAILURE,
        Store,
        lambda: submitting().tell(answer(429, {}, {"retry-after": "9999"})),
    ),
    (P.SUBMIT, V.UNSURE, P.RECORD_FAILURE, Store, lambda: submitting(NO_KEY).tell(LOST)),
    (P.SUBMIT, V.ILLEGIBLE, P.RECORD_FAILURE, Store, lambda: submitting().tell(answer(200, {"job": 7}))),
    (P.SUBMIT, V.REFUSED, P.RECORD_FAILURE, Store, lambda: submitting().tell(answer(400))),
    (P.SUBMIT, V.DENIED, P.SUBMIT_REFRESH, Refresh, lambda: submitting().tell(DENIED)),
    (P.SUBMIT, V.STOP_UNSENT, P.RECORD_FAILURE, Store, lambda: stop_before(submitting(), NOT_SENT)),
    (P.SUBMIT, V.STOP_UNSURE, P.RECORD_FAILURE, Store, lambda: submitting().stop()),
    (P.SUBMIT_REFRESH, V.CHANGED, P.SUBMIT, Send, lambda: submitting().tell_all(DENIED, CHANGED)),
    (
        P.SUBMIT_REFRESH,
        V.UNCHANGED,
        P.RECORD_FAILURE,
        Store,
        lambda: submitting().tell_all(DENIED, UNCHANGED),
    ),
    (P.SUBMIT_REFRESH, V.STOP_UNSENT, P.RECORD_FAILURE, Store, lambda: submitting().tell(DENIED).stop()),
    (
        P.SUBMIT_REFRESH,
        V.STOP_UNSURE,
        P.RECORD_FAILURE,
        Store,
        lambda: submitting().tell_all(SORRY, S, W, DENIED).stop(),
    ),
    (P.RECORD_PAUSE, V.STORED, P.SUBMIT_PAUSE, Wait, lambda: submit_paused()),
    (P.RECORD_PAUSE, V.STOP_UNSENT, P.RECORD_FAILURE, Store, lambda: submitting().tell(NOT_SENT).stop()),
    (P.RECORD_PAUSE, V.STOP_UNSURE, P.RECORD_FAILURE, Store, lambda: submitting().tell(SORRY).stop()),
    (P.SUBMIT_PAUSE, V.WOKEN, P.PLAN, Store, lambda: submit_paused().tell(W)),
    (P.SUBMIT_PAUSE, V.STOP_UNSENT, P.RECORD_FAILURE, Store, lambda: submit_paused().stop()),
    (P.SUBMIT_PAUSE, V.STOP_UNSURE, P.RECORD_FAILURE, Store, lambda: submitting().tell_all(SORRY, S).stop()),
    (P.RECORD_SEARCH, V.STORED, P.SEARCH_PAUSE, Wait, lambda: submitting(LISTED).tell_all(LOST, S)),
    (P.RECORD_SEARCH, V.STOP_UNSURE, P.RECORD_FAILURE, Store, lambda: submitting(LISTED).tell(LOST).stop()),
    (P.SEARCH_PAUSE, V.WOKEN, P.SEARCH, Send, lambda: submitting(LISTED).tell_all(LOST, S, W)),
    (
        P.SEARCH_PAUSE,
        V.STOP_UNSURE,
        P.RECORD_FAILURE,
        Store,
        lambda: submitting(LISTED).tell_all(LOST, S).stop(),
    ),
    (
        P.SEARCH,
        V.OPEN,
        P.SEARCH,
        Send,
        lambda: seeking_job(PAGED).tell(answer(200, {"jobs": [{"id": 3}], "next": "b"})),
    ),
    (P.SEARCH, V.ACCEPTED, P.RECORD_SUBMISSION, Store, lambda: seeking_job().tell(THERE)),
    (P.SEARCH, V.STEPPED, P.RECORD_STEP, Store, lambda: seeking_job(LISTED_STEPS).tell(THERE)),
    (P.SEARCH, V.AGAIN, P.SEARCH_PAUSE, Wait, lambda: seeking_job().tell(NOT_THERE)),
    (P.SEARCH, V.SETTLED, P.SUBMIT_PAUSE, Store, lambda: seeking_job(settled=True).tell(NOT_THERE)),
    (
        P.SEARCH,
        V.EXHAUSTED,
        P.RECORD_FAILURE,
        Store,
        lambda: submitting(LISTED, NEVER).tell_all(LOST, S, W, NOT_THERE, W, NOT_THERE),
    ),
    (P.SEARCH, V.REFUSED, P.RECORD_FAILURE, Finish, lambda: seeking_job().tell(answer(404))),
    (P.SEARCH, V.STOP_UNSURE, P.RECORD_FAILURE, Finish, lambda: seeking_job().stop()),
    (P.RECORD_STEP, V.STORED, P.SUBMIT_PAUSE, Send, lambda: submitting(STEPS).tell_all(CREATED, S)),
    (
        P.RECORD_STEP,
        V.FORBIDDEN,
        P.RECORD_FAILURE,
        Store,
        lambda: submitting(STEPS).tell_all(answer(201, {"id": 7}, {"retry-after": "99999"}), S),
    ),
    (P.RECORD_STEP, V.STOP_UNSURE, P.RECORD_FAILURE, Store, lambda: submitting(STEPS).tell(CREATED).stop()),
    (
        P.RECORD_SUBMISSION,
        V.KNOWN,
        P.FINISHED,
        Finish,
        lambda: submitting(goal=Goal.SUBMITTED).tell_all(ACCEPTED, S),
    ),
    (P.RECORD_SUBMISSION, V.ATTACH, P.POLL_PAUSE, Wait, lambda: submitting().tell_all(ACCEPTED, S)),
    (
        P.RECORD_SUBMISSION,
        V.NOTHING,
        P.RECORD_END,
        Store,
        lambda: submitting(NOTHING_TO_DO).tell_all(answer(204), S),
    ),
    (
        P.RECORD_SUBMISSION,
        V.EARLY,
        P.LOG,
        Store,
        lambda: submitting(ONLY_THE_SUBMIT).tell_all(answer(200, {"id": 7, "status": "broken"}), S),
    ),
    (
        P.RECORD_SUBMISSION,
        V.MUTE,
        P.RECORD_FAILURE,
        Finish,
        lambda: submitting(ONLY_THE_SUBMIT).tell_all(ACCEPTED, S),
    ),
    (P.RECORD_SUBMISSION, V.STOP, P.RECORD_CANCEL, Store, lambda: submitting().tell(ACCEPTED).stop()),
    # Wait.
    (P.POLL_PAUSE, V.WOKEN, P.POLL, Send, lambda: poll_paused().tell(W)),
    (P.POLL_PAUSE, V.OVERDUE, P.RECORD_CANCEL, Store, lambda: held_until_the_deadline()),
    (P.POLL_PAUSE, V.STOP, P.RECORD_CANCEL, Store, lambda: poll_paused().stop()),
    (P.POLL, V.RUNNING, P.RECORD_NEXT, Wait, lambda: polling().tell(BUSY)),
    (P.POLL, V.AGAIN, P.RECORD_NEXT, Wait, lambda: polling().tell(SORRY)),
    (P.POLL, V.EXHAUSTED, P.RECORD_FAILURE, Store, lambda: polling(NO_BUDGET).tell(SORRY)),
    (P.POLL, V.ENDED, P.LOG, Store, lambda: polling().tell(READY)),
    (P.POLL, V.OVERDUE, P.RECORD_CANCEL, Store, lambda: told_late(BUSY)),
    (P.POLL, V.UNSTARTED, P.RECORD_CANCEL, Store, lambda: polling(QUEUE).tell(BUSY)),
    (P.POLL, V.STRANGE, P.RECORD_FAILURE, Store, lambda: polling().tell(answer(200, {"status": "odd"}))),
    (P.POLL, V.VANISHED, P.RECORD_FAILURE, Store, lambda: polling().tell(answer(410))),
    (P.POLL, V.REFUSED, P.RECORD_FAILURE, Store, lambda: polling().tell(BAD_URL)),
    (P.POLL, V.DENIED, P.POLL_REFRESH, Refresh, lambda: polling().tell(DENIED)),
    (P.POLL, V.GONE, P.RECORD_END, Finish, lambda: waiting(goal=Goal.REPLACED).tell(answer(404))),
    (P.POLL, V.STOP, P.RECORD_CANCEL, Store, lambda: polling().stop()),
    (P.POLL_REFRESH, V.CHANGED, P.POLL, Send, lambda: polling().tell_all(DENIED, CHANGED)),
    (P.POLL_REFRESH, V.UNCHANGED, P.RECORD_FAILURE, Store, lambda: polling().tell_all(DENIED, UNCHANGED)),
    (P.POLL_REFRESH, V.STOP, P.RECORD_CANCEL, Store, lambda: polling().tell(DENIED).stop()),
    (P.RECORD_NEXT, V.STORED, P.POLL_PAUSE, Wait, lambda: polling().tell_all(SLOW_DOWN, S)),
    (P.RECORD_NEXT, V.STOP, P.RECORD_CANCEL, Store, lambda: polling().tell(SLOW_DOWN).stop()),
    # The log.
    (P.LOG, V.DONE, P.RECORD_END, Store, lambda: polling(LOG).tell_all(BROKEN, answer(200, b"line"))),
    (P.LOG, V.REFUSED, P.RECORD_END, Store, lambda: polling(LOG).tell_all(BROKEN, answer(404))),
    (P.LOG, V.ABSENT, P.RECORD_END, Store, lambda: polling().tell(BROKEN)),
    # Stop.
    (P.RECORD_CANCEL, V.STORED, P.CANCEL, Send, lambda: poll_paused().stop().tell(S)),
    (P.CANCEL, V.DONE, P.RECORD_END, Finish, lambda: cancelling().tell(answer(204))),
    (P.CANCEL, V.GONE, P.RECORD_END, Finish, lambda: cancelling().tell(answer(409))),
    (P.CANCEL, V.AGAIN, P.CANCEL_PAUSE, Wait, lambda: cancelling().tell(SORRY)),
    (P.CANCEL, V.EXHAUSTED, P.RECORD_END, Finish, lambda: cancelling(NEVER).tell(SORRY)),
    (P.CANCEL, V.REFUSED, P.RECORD_END, Finish, lambda: cancelling().tell(answer(400))),
    (P.CANCEL, V.DENIED, P.CANCEL_REFRESH, Refresh, lambda: cancelling().tell(DENIED)),
    (P.CANCEL, V.ABSENT, P.RECORD_END, Finish, lambda: cancelling(NO_CANCEL)),
    (P.CANCEL_REFRESH, V.CHANGED, P.CANCEL, Send, lambda: cancelling().tell_all(DENIED, CHANGED)),
    (P.CANCEL_REFRESH, V.UNCHANGED, P.RECORD_END, Finish, lambda: cancelling().tell_all(DENIED, UNCHANGED)),
    (P.CANCEL_PAUSE, V.WOKEN, P.CANCEL, Send, lambda: cancelling().tell_all(SORRY, W)),
    # The target.
    (P.TARGET, V.ENDED, P.FINISHED, Finish, lambda: seeking().tell(READY)),
    (P.TARGET, V.AGAIN, P.TARGET_PAUSE, Wait, lambda: seeking().tell(SORRY)),
    (P.TARGET, V.EXHAUSTED, P.FINISHED, Finish, lambda: seeking(NEVER).tell(SORRY)),
    (P.TARGET, V.REFUSED, P.FINISHED, Finish, lambda: seeking().tell(answer(404))),
    (P.TARGET, V.DENIED, P.TARGET_REFRESH, Refresh, lambda: seeking().tell(DENIED)),
    (P.TARGET_REFRESH, V.CHANGED, P.TARGET, Send, lambda: seeking().tell_all(DENIED, CHANGED)),
    (P.TARGET_REFRESH, V.UNCHANGED, P.FINISHED, Finish, lambda: seeking().tell_all(DENIED, UNCHANGED)),
    (P.TARGET_PAUSE, V.WOKEN, P.TARGET, Send, lambda: seeking().tell_all(SORRY, W)),
    # Delete.
    (P.DELETE, V.DONE, P.FINISHED, Finish, lambda: deleting().tell(answer(204))),
    (P.DELETE, V.GONE, P.FINISHED, Finish, lambda: deleting().tell(answer(404))),
    (P.DELETE, V.AGAIN, P.DELETE_PAUSE, Wait, lambda: deleting().tell(NOT_SENT)),
    (P.DELETE, V.EXHAUSTED, P.FINISHED, Finish, lambda: deleting(NEVER).tell(SORRY)),
    (P.DELETE, V.REFUSED, P.FINISHED, Finish, lambda: deleting().tell(answer(409))),
    (P.DELETE, V.DENIED, P.DELETE_REFRESH, Refresh, lambda: deleting().tell(DENIED)),
    (P.DELETE_REFRESH, V.CHANGED, P.DELETE, Send, lambda: deleting().tell_all(DENIED, CHANGED)),
    (P.DELETE_REFRESH, V.UNCHANGED, P.FINISHED, Finish, lambda: deleting().tell_all(DENIED, UNCHANGED)),
    (P.DELETE_PAUSE, V.WOKEN, P.DELETE, Send, lambda: deleting().tell_all(NOT_SENT, W)),
    # The end.
    (P.RECORD_END, V.STORED, P.FINISHED, Finish, lambda: polling().tell_all(READY, S)),
    (P.RECORD_FAILURE, V.STORED, P.FINISHED, Finish, lambda: polling().tell_all(answer(410), S)),
]


def row_name(row: tuple[Phase, Verdict, Phase, type[Command], Scenario]) -> str:
    return f"{row[0]}-{row[1]}-{row[2]}"


@pytest.mark.parametrize("row", ROWS, ids=row_name)
def test_a_row_is_taken_and_leads_where_it_says(
    row: tuple[Phase, Verdict, Phase, type[Command], Scenario],
) -> None:
    phase, verdict, follows, command, scenario = row
    drive = scenario()
    asked = drive.command
    trail = drive.job.trail
    assert (phase, verdict) in trail
    place = len(trail) - 1 - trail[::-1].index((phase, verdict))
    assert ([*(p for p, _ in trail), drive.job.phase])[place + 1] is follows
    assert isinstance(asked, command), asked


def test_the_rows_here_are_all_rows_of_the_table() -> None:
    here = sorted((phase, verdict, follows) for phase, verdict, follows, _, _ in ROWS)
    there = sorted((phase, verdict, step[0]) for phase, row in TABLE.items() for verdict, step in row.items())
    assert here == there


def test_no_row_is_written_twice() -> None:
    assert len({(phase, verdict) for phase, verdict, *_ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    "table", [TABLE, DOWNLOAD_TABLE, HOPS_TABLE, LIST_TABLE], ids=["job", "download", "hops", "list"]
)
def test_every_phase_of_a_table_is_reached_and_can_be_left(
    table: dict[Phase, dict[Verdict, tuple[Phase, Action]]],
) -> None:
    reached = {step[0] for row in table.values() for step in row.values()} | {P.START}
    assert reached == set(table)
    assert [phase for phase, row in table.items() if not row] == [P.FINISHED]


def test_every_phase_verdict_and_action_is_used() -> None:
    steps = [
        (phase, verdict, *step)
        for t in (TABLE, DOWNLOAD_TABLE, HOPS_TABLE, LIST_TABLE)
        for phase, r in t.items()
        for verdict, step in r.items()
    ]
    assert {step[0] for step in steps} | {P.FINISHED} == set(Phase)
    assert {step[1] for step in steps} == set(Verdict)
    assert {step[3] for step in steps} == set(Action)


def test_the_job_has_a_method_for_every_action_and_phase_of_its_table() -> None:
    for row in TABLE.values():
        for follows, action in row.values():
            assert callable(getattr(Job, f"_do_{action}"))
            assert callable(getattr(Job, f"_enter_{follows}"))


def test_a_driver_that_tells_the_wrong_event_is_told_so() -> None:
    drive = submitting()
    with pytest.raises(RuntimeError, match="Send is outstanding: expected Responded or Failed, not Stored"):
        drive.job.tell(S, NOW)


def test_nothing_can_be_told_before_the_first_command_or_after_the_last() -> None:
    drive = Drive()
    with pytest.raises(RuntimeError, match="expected no event"):
        drive.job.tell(S, NOW)
    ended = Drive(checkpoint=ENDED)
    assert isinstance(ended.command, Finish)
    with pytest.raises(RuntimeError, match="Finish is outstanding: expected no event"):
        ended.job.tell(S, NOW)


def test_the_same_command_is_given_until_its_event_is_told() -> None:
    drive = submitting()
    assert drive.job.next(NOW) is drive.job.next(NOW + 5)


def test_html_is_repeated_with_a_key_and_illegible_without() -> None:
    assert submitting().tell(HTML).job.phase is P.RECORD_PAUSE
    assert submitting(NO_KEY).tell(HTML).job.trail[-1] == (P.SUBMIT, V.ILLEGIBLE)


def test_a_restored_outcome_is_the_one_that_was_stored() -> None:
    drive = Drive(checkpoint=CANCELLING).tell_all(answer(204), S)
    finish = drive.command
    assert isinstance(finish, Finish)
    assert finish.outcome is not None
    assert finish.outcome.state == "timed_out"
