"""Hypothesis at the machines: any sequence of events, crashes, wishes, and any answer at all."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from airflow_asyncjob.protocol import (
    Checkpoint,
    Event,
    Failed,
    Fault,
    Finish,
    Goal,
    Job,
    Plan,
    Purpose,
    Refresh,
    Refreshed,
    Responded,
    Response,
    Send,
    Store,
    Stored,
    Submission,
    Wait,
    Woken,
)
from airflow_asyncjob.protocol.transitions import TABLE, Phase
from tests.protocol.driving import (
    ACCEPTED,
    BAD_URL,
    BUSY,
    HTML,
    KEY,
    LOST,
    NO_CANCEL,
    NO_KEY,
    NO_KEY_FAIL,
    NOT_SENT,
    NOW,
    READY,
    SUBMISSION,
    answer,
    definition,
    polling,
)
from tests.protocol.parts import plan_of

KEYED, RISKY, STRICT, ENDLESS = (
    definition(),
    definition(NO_KEY),
    definition(NO_KEY_FAIL),
    definition(NO_CANCEL),
)
BY_STEPS = definition(
    {
        "submit": {
            "request": None,
            "steps": [
                {
                    "name": name,
                    "request": {"url": "/x", "headers": {"Key": "{{ idempotency_key }}"}},
                    "capture": {name: "id"},
                }
                for name in ("one", "two", "three")
            ],
            "id": "{{ captures.two }}",
        }
    }
)
BY_PARTS = definition(
    {
        "inputs": {"rows": {"type": "records"}},
        "submit": {
            "request": None,
            "upload": {"source": "{{ inputs.rows }}", "key": "id"},
            "steps": [
                {"name": "create", "request": {"url": "/x", "headers": {"Key": "{{ idempotency_key }}"}}},
                {
                    "name": "send",
                    "each": "{{ parts }}",
                    "request": {"url": "/x", "part": True},
                    "again": True,
                    "rejects": {"records": "urls", "index": "id", "reason": "message"},
                },
                {"name": "start", "request": {"method": "PUT", "url": "/x"}},
            ],
        },
    }
)
RICH = definition(
    {
        "status": {
            "from": "submit",
            "log": {"request": {"url": "/jobs/{{ submission_id }}/log"}},
            "queued": ["busy"],
            "queue_timeout": 900,
            "capture": {"next": "message"},
        },
        "result": {"secret": True},
    }
)
"""All that a status can have besides."""
LONGEST_WAIT = 2 * 86400.0

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
words = st.sampled_from(["busy", "ready", "some", "nothing", "broken", "expired", "stopped", "odd", None, 7])
bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=30),
    st.just(b"<html><body>no</body></html>"),
    st.just(b"<a><status>busy</status></a>"),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            "id": json_values,
            "status": words,
            "urls": json_values,
            "message": json_values,
            "progress": json_values,
        },
    ).map(lambda value: json.dumps(value).encode()),
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date", "location", "content-type"]),
    st.sampled_from(["0", "5", "90", "999999", "1" * 60, "soon", "Tue, 14 Nov 2023 23:00:00 GMT"]),
    max_size=2,
)
codes = st.sampled_from(
    [200, 201, 202, 204, 302, 303, 400, 401, 403, 404, 408, 409, 410, 422, 429, 500, 502, 503]
)
answers = st.builds(
    lambda code, body, head: Responded(
        Response(code, head, body, "https://x/?k=secret", "GET https://x", "...")
    ),
    codes,
    bodies,
    headers,
)
failures = st.builds(Failed, st.sampled_from(Fault), st.just("GET https://x"), st.just("it went wrong"))
exchanges = st.one_of(answers, failures, st.sampled_from([ACCEPTED, BUSY, READY, HTML, LOST, NOT_SENT]))


def _may_be_accepted(event: Event) -> bool:
    """Return whether the API may have created a job although the client was told this."""
    if isinstance(event, Failed):
        return event.fault in (Fault.LOST, Fault.TOO_LARGE)
    assert isinstance(event, Responded)
    code = event.response.code
    return code < 300 or code in (303, 408) or code >= 500


RARELY = st.integers(0, 4).map(lambda number: number == 0)
USUAL = {
    Purpose.SUBMIT: ACCEPTED,
    Purpose.POLL: BUSY,
    Purpose.LOG: answer(200, b"the last line"),
    Purpose.CANCEL: answer(204),
}
FATES = st.sampled_from(["lives"] * 8 + ["dies before", "dies after"])


class AnyHistory(RuleBasedStateMachine):
    """Processes one after the other; each ends by finishing, dying or handing over."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.stored: str | None = None
        self.risks = 0
        self.maybe_accepted = 0

    @initialize(
        which=st.sampled_from([KEYED, RISKY, RISKY, STRICT, ENDLESS, RICH, BY_STEPS, BY_STEPS, BY_PARTS]),
        submitted=st.booleans(),
    )
    def begin(self, which: Any, submitted: bool) -> None:
        self.definition = which
        if submitted:
            self.stored = json.dumps(Checkpoint(phase="submitted", key=KEY, submission=SUBMISSION).to_dict())
        self.keyed = which in (KEYED, ENDLESS, RICH, BY_STEPS, BY_PARTS)
        self.start()

    def start(self) -> None:
        """Start a process from what is stored."""
        checkpoint = None if self.stored is None else Checkpoint.from_dict(json.loads(self.stored))
        self.job = Job(self.definition, Goal.ENDED, inputs={}, names={}, key=KEY, checkpoint=checkpoint)
        self.wished = self.stopped = False
        self.told = 0
        self.look()

    # What can happen ------------------------------------------------------------------------------------

    @rule(event=exchanges, usual=st.booleans(), fate=FATES, took=st.floats(0, 100), changed=st.booleans())
    def go_on(self, event: Event, usual: bool, fate: str, took: float, changed: bool) -> None:
        """Do what is asked, and tell what came of it; a process may die before or after it is done."""
        command = self.command
        if isinstance(command, Finish) or fate == "dies before":
            self.die(10.0)
            return
        came: Event = event
        match command:
            case Send():
                self.now += took
                came = event = USUAL[command.purpose] if usual else event
                self.maybe_accepted += command.purpose is Purpose.SUBMIT and _may_be_accepted(event)
                self.count_submits()
            case Plan():
                came = plan_of(*[2] * (1 + changed), mark=str(changed)) if usual else BAD_URL
            case Store():
                self.stored = json.dumps(command.checkpoint)
                came = Stored()
            case Wait():
                self.now = command.until
                came = Woken()
            case Refresh():
                came = Refreshed(changed)
        if fate == "dies after":
            self.die(10.0)
        else:
            self.job.tell(came, self.now)
            self.stopped = self.wished
            self.look()

    @rule(later=st.floats(0, 1000))
    def die(self, later: float) -> None:
        self.now += later
        self.start()

    @rule(now=RARELY, gives_up=st.booleans())
    def stop(self, now: bool, gives_up: bool) -> None:
        command = self.command
        if not now or isinstance(command, Finish):
            return
        self.wished = True
        self.job.cancel(self.now)
        if gives_up:
            self.maybe_accepted += isinstance(command, Send) and command.purpose is Purpose.SUBMIT
            self.stopped = True
            self.look()

    @rule(now=RARELY, share=st.floats(0, 1))
    def wake_early(self, now: bool, share: float) -> None:
        command = self.command
        if now and isinstance(command, Wait):
            self.now += (command.until - self.now) * share
            self.job.tell(Woken(), self.now)
            self.stopped = self.wished
            self.look()

    @rule(now=RARELY, later=st.floats(0, 100))
    def hand_over(self, now: bool, later: float) -> None:
        if now and isinstance(self.command, Wait):
            self.stored = json.dumps(self.job.checkpoint.to_dict())
            self.die(later)

    @rule(now=RARELY, seconds=st.sampled_from([1.0, 3600.0]))
    def set_clock_back(self, now: bool, seconds: float) -> None:
        if now:
            self.now -= seconds

    # What must hold -------------------------------------------------------------------------------------

    def count_submits(self) -> None:
        if not self.keyed:
            assert self.maybe_accepted <= 1 + self.risks
        if self.definition is STRICT:
            assert self.risks == 0

    def look(self) -> None:
        """Ask for the command, and check what is asked. (To ask again after a wish is to give it up.)"""
        command = self.command = self.job.next(self.now)
        new, self.told = self.job.notes[self.told :], len(self.job.notes)
        self.risks += sum("may now exist twice" in note for note in new)
        if isinstance(command, Send):
            assert not self.stopped or command.purpose in (Purpose.CANCEL, Purpose.LOG)
            if command.purpose is Purpose.SUBMIT:
                assert self.job.submission is None
                assert self.stored is not None
                assert json.loads(self.stored)["phase"] == "intent"
        if isinstance(command, Wait):
            assert not self.stopped or self.job.phase is Phase.CANCEL_PAUSE
            assert self.now < command.until < self.now + LONGEST_WAIT
        if isinstance(command, Finish):
            given = (command.submission, command.outcome, command.error)
            assert sum(value is not None for value in given) == 1
            assert command.submission is None
            if command.error is not None:
                assert "secret" not in command.error.message
                assert command.error.message.strip()

    @invariant()
    def the_checkpoint_is_readable(self) -> None:
        checkpoint = self.job.checkpoint
        assert Checkpoint.from_dict(json.loads(json.dumps(checkpoint.to_dict()))) == checkpoint

    @invariant()
    def the_facts_make_sense(self) -> None:
        facts, status = self.job.facts, self.definition.status
        assert status is not None
        assert self.job.phase in TABLE
        assert facts.errors <= status.poll_error_budget + 1
        assert facts.polls <= facts.looks


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(event=exchanges, extra=bodies)
def test_no_answer_breaks_a_submit(event: Event, extra: bytes) -> None:
    job = Job(KEYED, Goal.SUBMITTED, inputs={}, names={}, key=KEY)
    job.next(NOW)
    job.tell(Stored(), NOW)
    job.tell(event, NOW)
    assert isinstance(job.next(NOW), (Store, Refresh, Finish))


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(event=exchanges)
def test_no_answer_breaks_a_poll(event: Event) -> None:
    drive = polling(
        {
            "status": {
                "rules": [{"when": "body.a > 3 and not body.b[0]", "state": "failed"}],
                "expires_at": "message",
            },
            "errors": {
                "status": [{"when": "body.status ~ '' == 'x' or headers.date < '2'", "then": "accept"}]
            },
        }
    )
    drive.tell(event)
    assert isinstance(drive.command, (Wait, Store, Refresh, Finish))


@settings(deadline=None, max_examples=100)
@given(event=exchanges)
def test_no_answer_breaks_a_cancel(event: Event) -> None:
    job = Job(KEYED, Goal.CANCELLED, inputs={}, names={}, key=KEY, submission=SUBMISSION)
    job.next(NOW)
    job.tell(event, NOW)
    assert isinstance(job.next(NOW), (Wait, Refresh, Finish))


@settings(deadline=None, max_examples=100)
@given(submitted_at=st.floats(0, 4e9), now=st.floats(0, 4e9), not_before=st.none() | st.floats(0, 1e12))
def test_any_submission_is_waited_for_within_bounds(
    submitted_at: float, now: float, not_before: float | None
) -> None:
    submission = Submission("7", submitted_at, not_before=not_before)
    job = Job(KEYED, Goal.ENDED, inputs={}, names={}, key=KEY, submission=submission)
    command = job.next(now)
    assert isinstance(command, (Wait, Send, Store))
    if isinstance(command, Wait):
        assert now < command.until <= now + 3600


def test_an_answer_with_a_long_body_says_only_its_beginning() -> None:
    event = answer(400, {"error": "x" * 100_000})
    error = polling().tell(event).until_finish().error
    assert error is not None
    assert len(error.message) < 1000
