"""Ctrl-C and SIGTERM during asyncjob run."""

from __future__ import annotations

import os
import signal
import time

import pytest

from airflow_asyncjob.cli.interrupts import AnswerTimeout, Interrupted, Interrupts
from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import Asyncjob, until


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_remote_job(
    asyncjob: Asyncjob, server: FakeJobServer, number: signal.Signals
) -> None:
    process = asyncjob.start_run(server, "--destination", "out.jsonl", plan={"run_for": 3600})
    until(lambda: server.ledger.count("poll") >= 2)
    process.send_signal(number)
    ran = asyncjob.end(process)
    assert ran.code == 130
    assert ran.last["state"] == "cancelled"
    assert ran.last["submission_id"] == "job-1"
    assert ran.last["message"]
    assert server.ledger.count("cancel") == 1
    assert server.ledger.running() == 0
    assert list(asyncjob.folder.iterdir()) == [asyncjob.folder / "job.yaml"]


def test_a_signal_while_the_submit_is_on_its_way_cancels_the_job_that_comes_of_it(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    server.faults.add("submit", "slow", seconds=1.5)
    process = asyncjob.start_run(server, plan={"run_for": 3600})
    until(lambda: server.ledger.accepted() == 1)
    process.send_signal(signal.SIGINT)
    ran = asyncjob.end(process)
    assert ran.code == 130
    assert ran.last["submission_id"] == "job-1"
    assert server.ledger.count("cancel", job_id="job-1") == 1
    assert server.ledger.running() == 0
    assert server.ledger.accepted() == 1


def test_a_signal_before_anything_was_accepted_sends_nothing_more(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    server.faults.add("submit", 429, headers={"Retry-After": "30"}, times=None)
    process = asyncjob.start_run(server)
    until(lambda: server.ledger.count("submit") == 1)
    process.send_signal(signal.SIGINT)
    ran = asyncjob.end(process)
    assert ran.code == 130
    assert ran.last["state"] == "cancelled"
    assert ran.last["submission_id"] is None
    assert server.ledger.count() == 1


def test_a_second_signal_leaves_at_once(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("cancel", "slow", seconds=60)
    process = asyncjob.start_run(server, plan={"run_for": 3600})
    until(lambda: server.ledger.count("poll") >= 1)
    process.send_signal(signal.SIGINT)
    until(lambda: server.ledger.count("cancel") == 1)
    process.send_signal(signal.SIGINT)
    ran = asyncjob.end(process, seconds=20)
    assert ran.code == 130
    assert ran.last["state"] == "cancelled"
    assert "left at once" in ran.last["message"]
    assert "The job job-1 may still run at the API." in ran.last["message"]


def test_a_definition_without_cancel_says_that_the_job_goes_on(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    process = asyncjob.start_run(server, plan={"run_for": 3600}, cancel=None)
    until(lambda: server.ledger.count("poll") >= 1)
    process.send_signal(signal.SIGINT)
    ran = asyncjob.end(process)
    assert ran.code == 130
    assert "cancel" in ran.last["message"]
    assert server.ledger.running() == 1


def test_a_signal_during_the_download_leaves_nothing_behind(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    server.faults.add("result", "slow", seconds=30)
    process = asyncjob.start_run(server, "--destination", "out.jsonl")
    until(lambda: server.ledger.count("result") == 1)
    process.send_signal(signal.SIGINT)
    ran = asyncjob.end(process)
    assert ran.code == 130
    assert "the job had ended" in ran.last["message"]
    assert server.ledger.count("cancel") == 0
    assert list(asyncjob.folder.iterdir()) == [asyncjob.folder / "job.yaml"]


def test_a_reader_that_goes_away_is_no_crash(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    job = asyncjob.define()
    plan = '--set=plan={"rows": 200000}'
    process = asyncjob.start("run", job, "--base-url", server.url, "--destination", "-", plan)
    assert process.stdout is not None
    os.read(process.stdout.fileno(), 10)
    process.stdout.close()
    process.stdout = None
    _, stderr = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr


# Interrupts by themselves --------------------------------------------------------------------------


def test_the_first_signal_waits_for_an_open_place() -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted), interrupts.opened():
            raise AssertionError("never reached")
        with interrupts.opened():
            assert interrupts.count == 1


def test_inside_an_open_place_the_first_signal_is_heard_at_once() -> None:
    heard: list[int] = []
    with Interrupts() as interrupts:
        try:
            with interrupts.opened():
                signal.raise_signal(signal.SIGTERM)
                heard.append(interrupts.count)
        except Interrupted:
            heard.append(-1)
    assert heard == [-1]


def test_the_second_signal_is_heard_anywhere() -> None:
    with Interrupts():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_answer_is_not_waited_for_for_ever() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(AnswerTimeout), Interrupts().bounded(0.05):
        time.sleep(60)
    assert signal.getsignal(signal.SIGALRM) == before
    with Interrupts().bounded(60):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
