"""A hundred thousand random histories hold; and a protocol that was broken on purpose is caught."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.protocol import job, judge, seeking, steps, submitting
from airflow_asyncjob.protocol.answers import Answer, Reading
from airflow_asyncjob.protocol.checkpoint import Checkpoint
from airflow_asyncjob.protocol.facts import Facts
from airflow_asyncjob.protocol.job import Job
from airflow_asyncjob.protocol.steps import Steps
from airflow_asyncjob.protocol.transitions import TABLE, Action, Phase, Step, Verdict
from tests.cli.command import until
from tests.protocol.history import Broken, History
from tests.protocol.simulation import run_chunk

ROOT = Path(__file__).resolve().parents[2]
SIMULATION = "tests/protocol/simulation.py"
HISTORIES = 20_000
MOST_HISTORIES = 3000
"""Until one of them shows what was broken on purpose."""


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SIMULATION, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_random_histories_hold() -> None:
    """``make crash`` runs a million, and others: here is what a minute of one core allows."""
    done = simulate("--histories", str(HISTORIES), "--processes", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{HISTORIES} histories, ")
    for end in (
        "done",
        "no_data",
        "partial",
        "failed",
        "timed_out",
        "cancelled",
        "UncertainError",
        "JobVanishedError",
        "target done",
        "target JobVanishedError",
    ):
        assert f"{end} " in done.stdout


def test_a_seed_is_told_as_a_story_and_is_always_the_same_history() -> None:
    first, second = simulate("--seed", "4711"), simulate("--seed", "4711")
    assert first.returncode == 0
    assert first.stdout == second.stdout
    assert first.stdout.startswith("seed 4711: definition ")
    assert "Send submit" in first.stdout
    assert "All held; the history ended as " in first.stdout


def test_a_process_that_is_killed_ends_the_simulation() -> None:
    command = [sys.executable, SIMULATION, "--histories", "10000000", "--processes", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            until(lambda: workers(process.pid))
            os.kill(workers(process.pid)[0], signal.SIGKILL)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1
    assert b"One of the processes was killed" in said


def test_histories_that_take_too_long_are_an_error() -> None:
    done = simulate("--histories", "100000", "--processes", "1", "--minutes", "0.02")
    assert done.returncode == 1
    assert "The histories are not all told after 0.02 minutes." in done.stderr


def workers(pid: int) -> list[int]:
    """Return the processes in which the simulation of this process runs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


# Breaking it on purpose ---------------------------------------------------------------------------------

Patch = pytest.MonkeyPatch


def row(patch: Patch, phase: Phase, verdict: Verdict, *step: Any) -> None:
    """Change one row of the table."""
    table: dict[Phase, Mapping[Verdict, Step]] = {
        **TABLE,
        phase: {**TABLE[phase], verdict: (step[0], step[1])},
    }
    patch.setattr(Steps, "table", table)


def no_intent(patch: Patch) -> None:
    patch.setattr(Job, "_enter_record_intent", lambda self: Verdict.STORED)


def no_submission_stored(patch: Patch) -> None:
    patch.setattr(Steps, "_enter_record_submission", lambda self: Verdict.STORED)


def a_key_for_each_process(patch: Patch) -> None:
    def names(self: Job) -> Mapping[str, Any]:
        return {**self._names, "idempotency_key": f"{self._facts.key}/{id(self)}"}

    patch.setattr(Steps, "_submit_names", names)


def blind_repeats(patch: Patch) -> None:
    whole = submitting.judge_submit
    patch.setattr(
        submitting, "judge_submit", lambda reading, **given: whole(reading, **{**given, "keyed": True})
    )


def intent_forgotten(patch: Patch) -> None:
    whole = Facts.of.__func__  # type: ignore[attr-defined]

    def of(cls: type[Facts], checkpoint: Any, now: float) -> Facts:
        facts: Facts = whole(cls, checkpoint, now)
        facts.unsure = False
        return facts

    patch.setattr(Facts, "of", classmethod(of))


def doubt_forgotten(patch: Patch) -> None:
    patch.setattr(submitting, "_MAYBE_ACCEPTED", ())


def fail_means_resubmit(patch: Patch) -> None:
    row(patch, Phase.START, Verdict.BARRED, Phase.SUBMIT_PAUSE, Action.TAKE_RISK)


def risk_not_said(patch: Patch) -> None:
    row(patch, Phase.START, Verdict.RISKED, Phase.SUBMIT_PAUSE, Action.NOTHING)


def polls_too_often(patch: Patch) -> None:
    patch.setattr(steps, "poll_wait", lambda status, looks, seed: status.poll_wait * 0.9)


def waits_too_long(patch: Patch) -> None:
    patch.setattr(steps, "poll_wait", lambda status, looks, seed: status.poll_wait + 700.0)


def no_initial_wait(patch: Patch) -> None:
    whole = Steps._do_plan_first

    def plan(self: Steps) -> None:
        whole(self)
        self._facts.next_poll_at = self._now

    patch.setattr(Steps, "_do_plan_first", plan)


def retry_after_ignored(patch: Patch) -> None:
    from airflow_asyncjob.protocol import status, submit

    for module in (submit, status):
        patch.setattr(module, "retry_after", lambda headers, now: None)


def retry_after_not_stored(patch: Patch) -> None:
    patch.setattr(Steps, "_enter_record_next", lambda self: Verdict.STORED)
    patch.setattr(Steps, "_enter_record_pause", lambda self: Verdict.STORED)


def retry_after_forgotten_by_the_next(patch: Patch) -> None:
    whole = Facts.of.__func__  # type: ignore[attr-defined]

    def of(cls: type[Facts], checkpoint: Any, now: float) -> Facts:
        facts: Facts = whole(cls, checkpoint, now)
        facts.not_before = facts.next_poll_at = None
        return facts

    patch.setattr(Facts, "of", classmethod(of))


def deadline_starts_again(patch: Patch) -> None:
    whole = Steps._do_plan_first

    def plan(self: Steps) -> None:
        self._facts.begun, self._facts.deadline = self._now, None
        whole(self)

    patch.setattr(Steps, "_do_plan_first", plan)


def no_last_look(patch: Patch) -> None:
    row(patch, Phase.POLL, Verdict.RUNNING, Phase.RECORD_NEXT, Action.PLAN_NEXT)
    whole = Steps._next_look

    def look(self: Steps) -> tuple[float, bool]:
        until, forbidden = whole(self)
        assert self.deadline is not None
        return until, forbidden or until >= self.deadline

    patch.setattr(Steps, "_next_look", look)


def looks_for_ever(patch: Patch) -> None:
    patch.setattr(judge, "LATE_LOOKS", 50)


def late_means_timed_out(patch: Patch) -> None:
    whole = job.judge_poll

    def judged(reading: Reading, *given: Any, **more: Any) -> Verdict:
        return Verdict.OVERDUE if more["overdue"] else whole(reading, *given, **more)

    patch.setattr(job, "judge_poll", judged)


def no_cancel_after_a_timeout(patch: Patch) -> None:
    end = (Phase.RECORD_END, Action.TIME_OUT)
    table = {
        phase: {verdict: end if step[1] is Action.TIME_OUT else step for verdict, step in rows.items()}
        for phase, rows in TABLE.items()
    }
    patch.setattr(Steps, "table", table)


def cancel_not_repeated_after_a_crash(patch: Patch) -> None:
    row(patch, Phase.START, Verdict.STOPPING, Phase.RECORD_END, Action.NOTHING)


def cancel_repeated_for_ever(patch: Patch) -> None:
    whole = job.judge_stop
    patch.setattr(job, "judge_stop", lambda reading, **given: whole(reading, **{**given, "tries_left": 1}))


def stop_not_heard(patch: Patch) -> None:
    patch.setattr(Job, "_heeded", lambda self, verdict: _without_stop(self, verdict))


def _without_stop(self: Job, verdict: Verdict) -> Verdict:
    if verdict is Verdict.STORED and self.phase is Phase.RECORD_SUBMISSION:
        return Verdict.KNOWN if self.goal.value == "submitted" else Verdict.ATTACH
    return verdict


def unknown_means_done(patch: Patch) -> None:
    whole = job.judge_poll

    def judged(reading: Reading, *given: Any, **more: Any) -> Verdict:
        return Verdict.ENDED if reading.answer is Answer.UNKNOWN else whole(reading, *given, **more)

    patch.setattr(job, "judge_poll", judged)


def failed_polls_never_end(patch: Patch) -> None:
    patch.setattr(Job, "deadline", property(lambda self: 4e9))
    whole = job.judge_poll
    patch.setattr(
        job,
        "judge_poll",
        lambda reading, status, counts, **more: whole(
            reading, status, judge.PollCounts(0, -1, 0, 0), **{**more, "overdue": False}
        ),
    )


def moved_captures_not_stored(patch: Patch) -> None:
    whole = Steps._enter_record_next

    def record(self: Steps) -> Any:
        captures, self._facts.captures = self._facts.captures, (self._stored or {}).get("captures", {})
        entered = whole(self)
        self._facts.captures = captures
        return entered

    patch.setattr(Steps, "_enter_record_next", record)


def queued_for_ever(patch: Patch) -> None:
    row(patch, Phase.POLL, Verdict.UNSTARTED, Phase.RECORD_NEXT, Action.PLAN_NEXT)


def running_means_queued(patch: Patch) -> None:
    from airflow_asyncjob.definition.models.status import Status

    patch.setattr(Status, "is_queued", lambda self, raw: True)


def an_end_is_asked_for_again(patch: Patch) -> None:
    row(patch, Phase.START, Verdict.OVER, Phase.POLL, Action.NOTHING)


def target_sought_for_ever(patch: Patch) -> None:
    row(patch, Phase.TARGET, Verdict.AGAIN, Phase.TARGET_PAUSE, Action.NOTHING)


def target_sought_without_a_pause(patch: Patch) -> None:
    row(patch, Phase.TARGET, Verdict.AGAIN, Phase.TARGET, Action.COUNT_TRY)


def a_look_for_the_target_waits_for_the_job(patch: Patch) -> None:
    row(patch, Phase.START, Verdict.SEEK, Phase.RECORD_NEXT, Action.PLAN_FIRST)


def refusal_hides_a_job(patch: Patch) -> None:
    from airflow_asyncjob.protocol import endings

    whole = endings.no_tries_left

    def told(definition: Any, facts: Facts, reading: Reading) -> Any:
        facts.unsure = False
        return whole(definition, facts, reading)

    patch.setattr(endings, "no_tries_left", told)


def no_step_stored(patch: Patch) -> None:
    patch.setattr(Steps, "_enter_record_step", lambda self: Verdict.STORED)
    patch.setattr(Job, "_enter_record_intent", lambda self: Verdict.STORED)


def step_forgotten_by_the_next(patch: Patch) -> None:
    whole = Facts.of.__func__  # type: ignore[attr-defined]

    def of(cls: type[Facts], checkpoint: Any, now: float) -> Facts:
        facts: Facts = whole(cls, checkpoint, now)
        facts.forget_steps()
        facts.unsure = False
        return facts

    patch.setattr(Facts, "of", classmethod(of))


def captures_of_steps_forgotten_by_the_next(patch: Patch) -> None:
    whole = Facts.of.__func__  # type: ignore[attr-defined]

    def of(cls: type[Facts], checkpoint: Any, now: float) -> Facts:
        facts: Facts = whole(cls, checkpoint, now)
        facts.step_captures.pop("tags", None)
        return facts

    patch.setattr(Facts, "of", classmethod(of))


def every_step_may_be_repeated(patch: Patch) -> None:
    from airflow_asyncjob.protocol import course

    patch.setattr(course, "_IDEMPOTENT", {"PUT", "POST"})


def last_item_left_out(patch: Patch) -> None:
    from airflow_asyncjob.protocol.course import Leg

    patch.setattr(Leg, "ends_step", property(lambda leg: leg.items is None or leg.item + 2 >= len(leg.items)))


def a_stop_between_steps_is_a_stop_before_them(patch: Patch) -> None:
    patch.setattr(Facts, "begun_steps", False)


def again_not_heard(patch: Patch) -> None:
    whole = seeking.repeatable

    def repeatable(definition: AsyncJob, facts: Facts) -> bool:
        assert definition.submit is not None
        steps = tuple(step.model_copy(update={"again": None}) for step in definition.submit.steps or ())
        submit = definition.submit.model_copy(update={"steps": steps or None})
        return whole(cast("AsyncJob", SimpleNamespace(submit=submit, list=definition.list)), facts)

    patch.setattr(seeking, "repeatable", repeatable)


def a_changed_source_goes_on(patch: Patch) -> None:
    from airflow_asyncjob.protocol import endings

    patch.setattr(endings, "not_the_same", lambda submit, facts, cut: None)


def part_acknowledged_before_its_answer(patch: Patch) -> None:
    whole = Facts.of.__func__  # type: ignore[attr-defined]

    def of(cls: type[Facts], checkpoint: Any, now: float) -> Facts:
        facts: Facts = whole(cls, checkpoint, now)
        if facts.unsure and facts.upload is not None and facts.step == "upload":
            facts.item, facts.unsure = facts.item + 1, False
        return facts

    patch.setattr(Facts, "of", classmethod(of))


def the_list_is_believed_at_once(patch: Patch) -> None:
    from airflow_asyncjob.protocol.seeking import Seeking

    patch.setattr(Seeking, "_settle", property(lambda self: -1e6))


def the_list_is_not_asked(patch: Patch) -> None:
    patch.setattr(seeking, "findable", lambda definition, facts: False)
    patch.setattr(seeking, "repeatable", lambda definition, facts: True)


def an_event_moves_the_deadline(patch: Patch) -> None:
    def due(self: Checkpoint, now: float) -> Checkpoint:
        return self.model_copy(update={"next_poll_at": now, "deadline": now + 5000})

    patch.setattr(Checkpoint, "due", due)


def an_event_is_not_heeded(patch: Patch) -> None:
    patch.setattr(Checkpoint, "due", lambda self, now: self)


def a_clock_that_is_set_back_is_not_heeded(patch: Patch) -> None:
    patch.setattr(Facts, "set_back", lambda self, seconds: None)


MUTANTS: list[Callable[[Patch], None]] = [
    no_intent,
    no_submission_stored,
    a_key_for_each_process,
    blind_repeats,
    intent_forgotten,
    doubt_forgotten,
    fail_means_resubmit,
    risk_not_said,
    polls_too_often,
    waits_too_long,
    no_initial_wait,
    retry_after_ignored,
    retry_after_not_stored,
    retry_after_forgotten_by_the_next,
    deadline_starts_again,
    no_last_look,
    looks_for_ever,
    late_means_timed_out,
    no_cancel_after_a_timeout,
    cancel_not_repeated_after_a_crash,
    cancel_repeated_for_ever,
    stop_not_heard,
    unknown_means_done,
    failed_polls_never_end,
    moved_captures_not_stored,
    queued_for_ever,
    running_means_queued,
    an_end_is_asked_for_again,
    target_sought_for_ever,
    target_sought_without_a_pause,
    a_look_for_the_target_waits_for_the_job,
    refusal_hides_a_job,
    no_step_stored,
    step_forgotten_by_the_next,
    captures_of_steps_forgotten_by_the_next,
    every_step_may_be_repeated,
    last_item_left_out,
    a_stop_between_steps_is_a_stop_before_them,
    again_not_heard,
    a_changed_source_goes_on,
    part_acknowledged_before_its_answer,
    the_list_is_believed_at_once,
    the_list_is_not_asked,
    an_event_moves_the_deadline,
    an_event_is_not_heeded,
    a_clock_that_is_set_back_is_not_heeded,
]


def first_broken() -> Iterator[str]:
    """Yield what does not hold, history after history."""
    for seed in range(MOST_HISTORIES):
        try:
            History(seed).run()
        except Broken as broken:
            yield str(broken)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_protocol_broken_on_purpose_is_caught(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutant(monkeypatch)
    caught = next(first_broken(), None)
    assert caught, f"{MOST_HISTORIES} histories hold although {mutant.__name__}"


def test_the_protocol_as_it_is_holds_where_the_mutants_do_not() -> None:
    assert run_chunk(range(500)).broken == []
