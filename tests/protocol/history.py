"""One random history: processes that drive one job, a fake API, a fake clock, and everything that goes wrong.

Everything comes from one seed. Processes die between any two commands, or between what a command did and its
event; a later one starts from what was stored last. What must hold is checked while it happens and at the
end.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

from airflow_asyncjob.errors import UploadError
from airflow_asyncjob.protocol import (
    Checkpoint,
    Failed,
    Fault,
    Finish,
    Goal,
    Job,
    Plan,
    Refresh,
    Refreshed,
    Responded,
    Send,
    Store,
    Stored,
    Submission,
    Wait,
    Woken,
)
from tests.protocol.checks import EPSILON, KEY, Bounds, Broken, Process
from tests.protocol.moves import Moves
from tests.protocol.parts import plan_of
from tests.protocol.plans import make_api, make_plan

__all__ = ["Broken", "History"]

MOST_COMMANDS = 3000
MOST_CRASHES = 12
MOST_HAND_OVERS = 200
LONGEST_LIFE = 60 * 86400.0
Say = Callable[[str], None]


class History(Moves):
    """A history, run to its end by :meth:`run`.

    :param say: takes the lines of the story; None: nobody reads it.
    """

    def __init__(self, seed: int, say: Say | None = None) -> None:
        rng = random.Random(seed)
        plan = make_plan(rng)
        super().__init__(rng, plan, make_api(rng, plan))
        self._say = say
        self.submission: Submission | None = None
        self.commands = 0
        self.crashes = 0
        self.hand_overs = 0
        self.starts = 0
        self.left = plan.retries
        self.goal = Goal.SUBMITTED if plan.two_steps else Goal.ENDED

    def say(self, text: str, what: object = None) -> None:
        if self._say is not None:
            shown = "" if what is None else _shown(what)
            self._say(f"{self.now:10.2f}  {text}{shown}")

    # Processes ----------------------------------------------------------------------------------------------

    def start(self, at: float, stored: str | None, bounds: Bounds, keeps: bool = True) -> Process:
        """Start a process from a stored checkpoint, or, to wait, from the submission alone."""
        self.starts += 1
        if self.goal is Goal.TARGET:
            return self._start_look(at, bounds)
        if not keeps and self.noted is not None:
            seen = -1 if stored is None else json.loads(stored).get("looks", 0)
            if json.loads(self.noted).get("looks", 0) > seen:
                stored, bounds = self.noted, self.noted_bounds
        checkpoint = None if stored is None else Checkpoint.from_dict(json.loads(stored))
        adopted = self.submission if self.goal is Goal.ENDED and self.plan.two_steps else None
        if adopted is not None and (checkpoint is None or checkpoint.phase in ("idle", "intent")):
            checkpoint = None
        job = Job(
            self.plan.definition,
            self.goal,
            inputs={},
            names={},
            key=KEY,
            checkpoint=checkpoint,
            submission=adopted,
        )
        process = Process(job, self.goal, bounds.copy(), at, keeps)
        self.processes.append(process)
        self.say(f"process {self.starts} starts for {self.goal} from ", stored or adopted or "nothing")
        return process

    def _start_look(self, at: float, bounds: Bounds) -> Process:
        """Start a process that looks for the target as it is now; it has the job, and nothing is stored."""
        assert self.submission is not None
        job = Job(self.plan.definition, self.goal, inputs={}, names={}, key="", submission=self.submission)
        process = Process(job, self.goal, bounds.copy(), at, keeps=False)
        self.processes.append(process)
        self.say(f"process {self.starts} starts for {self.goal} of ", self.submission)
        return process

    def run(self) -> None:
        """Run to the end.

        :raises Broken: something that must hold does not.
        """
        self.start(0.0, None, Bounds())
        if self.plan.twins:
            self.start(self.rng.random() * 30, None, Bounds())
        while self.processes:
            process = self.processes[0]
            if len(self.processes) > 1:
                process = min(self.processes, key=lambda p: p.at)
            if self.events and self.events[0].at <= process.at:
                self._deliver(self.events.pop(0))
                continue
            self.now = max(self.now, process.at)
            self.check(self.now < LONGEST_LIFE, f"the history has not ended after {LONGEST_LIFE} s")
            getattr(self, f"_{process.stage}")(process)
            if not self.processes and not self._go_on():
                break
        self._at_the_end()

    def _go_on(self) -> bool:
        """Start what comes after the last process ended; return False when the history is over."""
        finish = self.finish
        if finish is None or self.stop_asked:
            return False
        if self._wants_a_look(finish):
            self._look_again()
            return True
        if finish.submission is not None:
            self.submission, self.goal, self.finish = finish.submission, Goal.ENDED, None
            # Another task: it knows the submission, when it was made, and until when the API wants no poll.
            assert self.finished_by is not None
            self.stored = self.stored_phase = None
            self.stored_bounds = self.finished_by.bounds.copy()
            delay = self.rng.random() * 20
            self.start(self.now + delay, None, self.stored_bounds, keeps=not self.plan.trigger)
            if self.plan.two_triggers:
                again = self.now + delay + self.rng.choice((0.0, 1.0, 60.0))
                self.start(again, None, self.stored_bounds, keeps=False)
            return True
        if finish.error is not None and finish.error.retryable and self.left > 0:
            self.left -= 1
            self.finish = None
            delay = self.rng.choice((0.0, 5.0, 300.0, 20000.0))
            keeps = not (self.plan.trigger and self.goal is Goal.ENDED)
            self.start(self.now + delay, self.stored, self.stored_bounds, keeps)
            return True
        return False

    def _wants_a_look(self, finish: Finish) -> bool:
        ended = self.goal is Goal.ENDED and finish.outcome is not None
        return ended and self.plan.fresh and finish.outcome.state in ("done", "partial", "no_data")

    def _look_again(self) -> None:
        """Let another task ask for the target, as a download does whose link has expired."""
        self._at_the_end()
        assert self.finish is not None
        assert self.finish.outcome is not None
        assert self.finished_by is not None
        job = self.finished_by.job.submission
        assert job is not None
        self.submission = replace(job, captures=self.finish.outcome.captures)
        self.goal, self.finish = Goal.TARGET, None
        self.say("the target is asked for once more")
        self.start(self.now + self.rng.choice((0.0, 40.0, 5000.0)), None, self.finished_by.bounds)

    def _dies(self, process: Process, when: str) -> bool:
        """Let a process die here, perhaps; another one starts later from what is stored."""
        if process.orphan or self.crashes > MOST_CRASHES or self.rng.random() >= self.plan.crash:
            return False
        self.crashes += 1
        self.say(f"the process dies {when}")
        alone = self.plan.twins or self.plan.two_triggers or self.goal is Goal.TARGET
        if not alone and self.rng.random() < self.plan.orphans:
            process.orphan = True
            self.say("... its supervisor rather: it runs on beside its successor")
        else:
            self.processes.remove(process)
        delay = self.rng.choice((0.0, 3.0, 30.0, 500.0, 9000.0))
        self.start(self.now + delay, self.stored, self.stored_bounds, process.keeps)
        return not process.orphan

    # What a process does ------------------------------------------------------------------------------------

    def _next(self, process: Process) -> None:
        self.commands += 1
        self.check(self.commands < MOST_COMMANDS, f"more than {MOST_COMMANDS} commands")
        before = self.jumped
        if not process.woken:
            self._jump()
            self._leap(process)
        self._send_event()
        process.jumped = self.jumped - before
        if self._asks_to_stop(process):
            self._stop(process)
        command = process.command = process.job.next(self.wall)
        self._notes(process)
        self.say("orphan: " if process.orphan else "", command)
        if isinstance(command, Finish):
            self._finished(process, command)
        elif not self._dies(process, "before the command"):
            getattr(self, f"_begin_{type(command).__name__.lower()}")(process, command)

    def _notes(self, process: Process) -> None:
        for note in process.job.notes[process.notes_told :]:
            self.say(f"note: {note}")
            self.risks += "may now exist twice" in note
            self.begun_again += "begins with the first step again" in note
        process.notes_told = len(process.job.notes)

    def _asks_to_stop(self, process: Process) -> bool:
        stop_at = self.plan.stop_at
        if process.goal is Goal.TARGET:
            return False
        return stop_at is not None and self.commands >= stop_at and not self.stop_asked and not process.orphan

    def _stop(self, process: Process) -> None:
        self.say("somebody asks to stop")
        self.stop_asked = process.stopped = True
        process.job.cancel(self.wall)

    @property
    def mark(self) -> str:
        """The source of the upload as it is now."""
        changes_at = self.plan.changes_at
        return "before" if changes_at is None or self.now < changes_at else "after"

    def _begin_plan(self, process: Process, command: Plan) -> None:
        sent = any(draft.uploads for draft in self.api.drafts)
        blind = process.orphan or self.plan.twins or self.begun_again > 0
        self.check(not (command.anew and sent) or blind, "an upload begins anew, and some of it was sent")
        if self.rng.random() < self.plan.unreadable:
            error = UploadError("The source cannot be read now.", retryable=True)
            process.event = Failed(Fault.REFUSED, "", error.message, error)
        else:
            process.mark = self.mark
            process.event = plan_of(*[10] * self.api.parts, mark=process.mark)
        self._soon(process, "tell", 0.5)

    def _begin_store(self, process: Process, command: Store) -> None:
        self.check(process.goal is not Goal.TARGET, "a look for the target stores something")
        if process.orphan:
            self.say("the orphan cannot store, and ends")
            self.processes.remove(process)
            return
        if process.keeps:
            self.store(command.checkpoint, process.bounds, process)
        elif self.plan.moving:
            self.noted, self.noted_bounds = json.dumps(command.checkpoint), process.bounds.copy()
        if not self._dies(process, "after the store"):
            process.event = Stored()
            self._soon(process, "tell", 0.01)

    def _begin_refresh(self, process: Process, command: Refresh) -> None:
        changed = self.rng.random() < 0.8
        self.api.creds_ok = self.api.creds_ok or changed
        process.event = Refreshed(changed)
        process.exempt = changed
        self._soon(process, "tell", 0.2)

    def _begin_wait(self, process: Process, command: Wait) -> None:
        left = command.until - self.wall
        self.check(not process.woken, "an event comes, and the wait goes on without a look")
        self._not_too_long(process, left)
        self._stored_before(process, left)
        kept = process.orphan or process.handed or process.goal is Goal.TARGET
        kept = kept or self.hand_overs >= MOST_HAND_OVERS
        if not kept and self.rng.random() < self.plan.hand_over:
            self._hand_over(process, max(0.0, left))
            return
        process.handed = False
        if self.rng.random() < self.plan.wake and left > 1:
            left *= self.rng.random()
            process.exempt = True
            self.say("... to be woken early")
        self._soon(process, "wake", max(0.0, left))

    def _hand_over(self, process: Process, left: float) -> None:
        """Let another process carry on: soon (a deferral), or when the wait is over (a reschedule)."""
        self.processes.remove(process)
        self.hand_overs += 1
        handed = process.job.checkpoint.to_dict()
        if process.keeps:
            self.store(handed, process.bounds, process)
        delay = self.rng.random() * 3 if self.rng.random() < 0.5 else left
        successor = self.start(self.now + delay, json.dumps(handed), process.bounds, process.keeps)
        successor.handed, successor.stopped = True, process.stopped
        successor.bounds.listing = process.bounds.listing
        if process.stopped:
            successor.job.cancel(self.wall)

    def _wake(self, process: Process) -> None:
        command = process.command
        assert isinstance(command, Wait)
        if self._dies(process, "while it waits"):
            return
        late = command.until - self.wall
        if late > EPSILON and self.plan.sleeps_by_clock and not process.exempt:
            self._soon(process, "wake", late)
            return
        # A clock that was set back makes a wake look early, as a wake on purpose does: both lead to a look.
        process.exempt = process.exempt or late > EPSILON
        process.event = Woken()
        self._tell(process)

    def _begin_send(self, process: Process, command: Send) -> None:
        self._may_send(process, command)
        process.woken = False
        process.sent += 1
        self._soon(process, "arrive", self.rng.random() * self.plan.slow)

    def _arrive(self, process: Process) -> None:
        command = process.command
        assert isinstance(command, Send)
        if command.request.part and process.mark != self.mark:
            error = UploadError("The source changed in mid-upload.")
            process.event = Failed(Fault.REFUSED, "", error.message, error)
            self._tell(process)
            return
        before = len(self.api.jobs)
        self.api.wall, self.api.mark = self.wall, process.mark
        process.event = self.api.exchange(command, self.now)
        self.check(not self.api.stale, "a status URL is asked that has not been valid for long")
        if len(self.api.jobs) > before:
            self.say(f"the API accepts job {self.api.jobs[-1].id}")
            self._count_accepted()
        self._count_drafts()
        if self._asks_to_stop(process) and self.rng.random() < 0.5:
            self._stop(process)
            if self.rng.random() < 0.5:
                self.say("... and does not wait for the answer")
                self._soon(process, "next", 0.0)
                return
        if not self._dies(process, "before the answer reaches it"):
            self._soon(process, "answer", self.rng.random() * self.plan.slow)

    def _answer(self, process: Process) -> None:
        command, event = process.command, process.event
        assert isinstance(command, Send)
        self.say("orphan: " if process.orphan else "", event)
        self._learn(process, command, event)
        self._tell(process)

    def _tell(self, process: Process) -> None:
        assert process.event is not None
        process.job.tell(process.event, self.wall)
        process.event = None
        self._next(process)

    def _finished(self, process: Process, finish: Finish) -> None:
        self.processes.remove(process)
        self._judge_end(process, finish)
        second = self.plan.two_triggers and self.finish is not None and self.finish.error is None
        if not process.orphan and not second:  # a second event of one wait finds nobody who waits
            self.finish, self.finished_by = finish, process

    def _soon(self, process: Process, stage: str, delay: float) -> None:
        process.stage, process.at = stage, self.now + delay


def _shown(what: object) -> str:
    match what:
        case Send():
            return f"Send {what.purpose} {what.step}{what.names.get('submission_id', '')}"
        case Store():
            return f"Store {dict(what.checkpoint)}"
        case Responded():
            response = what.response
            return f"the answer is {response.code} {response.body[:80]!r} {dict(response.headers)}"
        case Finish():
            return f"Finish {what.submission or what.outcome or repr(what.error)}"
    return str(what)
