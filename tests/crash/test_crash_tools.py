"""What the crash suite relies on: a ledger that outlives its server, a network to cut, a strict judge."""

from __future__ import annotations

import io
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing.plan import Plan as JobPlan
from airflow_asyncjob.testing.rows import expected_rows, write_rows
from tests.crash.__main__ import MINUTES, TimeLimit, limited, telling
from tests.crash.blows import RARE, ROOT, THINGS, Remote, round_of
from tests.crash.jobs import Flying, Job, depends
from tests.crash.remote import MARK, Accepted, exchanging, read_journal
from tests.crash.storm import Plan, will_do
from tests.crash.verdict import fate_of

DONE: dict[str, str | None] = dict.fromkeys(("job.submit", "job.wait", "job.fetch"), "success")
PLAN = {"tag": "mine", "rows": 2000, "run_for": 0.1}


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    remote = Remote(tmp_path, slowness=0.0, bytes_per_second=10_000_000)
    remote.start()
    with remote.network:
        yield remote
    remote.processes.stop()


def call(remote: Remote, method: str, path: str, **rest: Any) -> httpx.Response:
    return httpx.request(method, f"http://127.0.0.1:{remote.network.port}{path}", timeout=60, **rest)


def test_a_killed_remote_server_comes_back_with_its_jobs_keys_and_marks(remote: Remote) -> None:
    headers = {"Idempotency-Key": "one", MARK: "mark"}
    made = call(remote, "POST", "/jobs", json=PLAN, headers=headers)
    assert made.status_code == 201
    remote.processes.kill("remote")
    remote.start()
    assert call(remote, "POST", "/jobs", json=PLAN, headers=headers).status_code == 200
    assert [job["mark"] for job in call(remote, "GET", "/jobs").json()["jobs"]] == ["mark"]
    assert call(remote, "POST", "/jobs", json={"tag": "other"}).json()["id"] == "job-2"
    assert [job.tag for job in read_journal(remote.journal).values()] == ["mine", "other"]


def test_the_ledger_knows_what_was_fetched_byte_for_byte(remote: Remote) -> None:
    job_id = call(remote, "POST", "/jobs", json={**PLAN, "run_for": 0}).json()["id"]
    content = call(remote, "GET", f"/jobs/{job_id}/result/1").content
    out = io.BytesIO()
    write_rows(out, expected_rows(2000, "mine"), "csv", zipped=False)
    assert content == out.getvalue()
    job = read_journal(remote.journal)[job_id]
    assert len(job.fetches) == 1
    assert ("download", "mine") in exchanging(remote.journal, job.fetches[0])
    assert exchanging(remote.journal, job.fetches[0] + 60) == set()


def test_a_cancelled_job_does_not_run_also_after_a_restart(remote: Remote) -> None:
    job_id = call(remote, "POST", "/jobs", json={**PLAN, "run_for": 600}).json()["id"]
    assert read_journal(remote.journal)[job_id].running(time.time())
    assert call(remote, "DELETE", f"/jobs/{job_id}").status_code == 200
    remote.processes.kill("remote")
    remote.start()
    assert not read_journal(remote.journal)[job_id].running(time.time())
    assert call(remote, "GET", f"/jobs/{job_id}").json()["status"] == "cancelled"


def test_the_network_can_be_refused_swallowed_and_reset(remote: Remote) -> None:
    job_id = call(remote, "POST", "/jobs", json={**PLAN, "run_for": 0}).json()["id"]
    remote.network.be("refuse")
    with pytest.raises(httpx.ConnectError):
        call(remote, "GET", "/jobs")
    remote.network.be("reset")
    with pytest.raises(httpx.ReadError):
        call(remote, "GET", f"/jobs/{job_id}/result/1")
    remote.network.be("blackhole")
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"http://127.0.0.1:{remote.network.port}/jobs", timeout=0.5)
    before = remote.journal.read_text()
    remote.network.be("open")
    assert call(remote, "GET", "/jobs/nothing").status_code == 404
    assert remote.journal.read_text().count("\n") == before.count("\n") + 1, "what was swallowed never came"


def test_the_network_ends_without_a_word_while_it_carries_a_download(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    remote = Remote(tmp_path, slowness=0.0, bytes_per_second=100)
    remote.start()
    with remote.network:
        job_id = call(remote, "POST", "/jobs", json={**PLAN, "run_for": 0}).json()["id"]
        connection = socket.create_connection(("127.0.0.1", remote.network.port))
        connection.sendall(f"GET /jobs/{job_id}/result/1 HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        assert connection.recv(1).startswith(b"H")
    connection.close()
    remote.processes.stop()
    assert caplog.messages == []


class TestTheJudge:
    @pytest.fixture
    def job(self, tmp_path: Path) -> Job:
        return Job("keyed", "wave-1-keyed", 0, PLAN, tmp_path)

    def accepted(self, job: Job, number: int = 1, **plan: Any) -> Accepted:
        return Accepted(f"job-{number}", 0.0, JobPlan(**{**job.plan, **plan}), job.tag, "key")

    def written(self, job: Job, *, rows: int = 2000) -> None:
        with job.file.open("wb") as file:
            write_rows(file, expected_rows(rows, "mine"), "csv", zipped=False)

    def test_all_is_well(self, job: Job) -> None:
        self.written(job)
        assert fate_of(job, [self.accepted(job)], DONE, {}, 100.0).problems == []

    def test_nothing_was_accepted(self, job: Job) -> None:
        assert fate_of(job, [], {}, {}, 100.0).problems == ["lost"]

    def test_a_task_did_not_end_well(self, job: Job) -> None:
        states = {**DONE, "job.fetch": "failed"}
        assert fate_of(job, [self.accepted(job)], states, {}, 100.0).problems == ["lost"]

    def test_two_were_accepted(self, job: Job) -> None:
        self.written(job)
        two = [self.accepted(job), self.accepted(job, 2)]
        assert fate_of(job, two, DONE, {}, 100.0).problems == ["doubled"]

    def test_a_row_is_missing_or_the_whole_file(self, job: Job) -> None:
        assert fate_of(job, [self.accepted(job)], DONE, {}, 100.0).problems == ["wrong"]
        self.written(job, rows=1999)
        assert fate_of(job, [self.accepted(job)], DONE, {}, 100.0).problems == ["wrong"]

    def test_a_remote_job_still_runs(self, job: Job) -> None:
        self.written(job)
        slow = self.accepted(job, run_for=600)
        assert fate_of(job, [slow], DONE, {}, 100.0).problems == ["left running"]

    def test_unsure_is_for_an_api_with_neither_key_nor_list_alone(self, job: Job, tmp_path: Path) -> None:
        states: dict[str, str | None] = {"job.submit": "failed"}
        assert fate_of(job, [], states, {}, 100.0).problems == ["lost"]
        neither = Job("neither", "wave-2-neither", 0, PLAN, tmp_path)
        assert fate_of(neither, [], states, {}, 100.0).problems == ["unsure"]


def test_each_round_strikes_everything_and_what_is_rare_comes_in_one_of_four() -> None:
    first, *others, fifth = (round_of(number, THINGS, random.Random(number)) for number in range(5))
    ways = {(thing, how) for thing, hows in THINGS.items() for how in hows}
    rare = {way for way in ways if way[1] in RARE}
    assert len(rare) == 8
    for one in (first, *others):
        assert len(one) == len(set(one))
        assert set(one) - rare == ways - rare
    dealt = [way for one in (first, *others) for way in one if way in rare]
    assert len(dealt) == len(rare)
    assert set(dealt) == rare
    assert set(fifth) == set(first)
    assert [way for way in reversed(first) if way in rare] == list(reversed(first))[-2:]


@pytest.mark.parametrize(
    ("submit", "wait", "download", "enough"),
    [
        (200, 200, 160, True),
        (200, 160, 160, True),
        (199, 200, 200, False),
        (230, 200, 159, False),
        (230, 159, 200, False),
    ],
)
def test_no_more_jobs_begin_when_those_in_flight_will_do(
    submit: int, wait: int, download: int, enough: bool
) -> None:
    assert will_do({"submit": submit, "wait": wait, "download": download}, 200) is enough


def test_a_storm_that_takes_too_long_is_interrupted() -> None:
    with pytest.raises(TimeLimit, match=r"not over after 0\.001 minutes"), limited(0.001):
        time.sleep(60)


def test_the_storm_and_the_histories_end_within_forty_minutes() -> None:
    assert "tests.crash --histories 1000000 " in (ROOT / "Makefile").read_text()
    assert Plan(0, ()).limit < MINUTES < 40


def test_histories_are_told_beside_the_storm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with telling(100, 5, tmp_path) as told:
        assert told() == 0
    assert "100 histories, " in capsys.readouterr().out


def test_histories_that_take_too_long_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with telling(1_000_000, 0.01, tmp_path) as told:
        assert told() == 1
    assert capsys.readouterr().out == "The histories are not all told after 0.01 minutes.\n"


def test_no_histories_are_told_unless_asked_for(tmp_path: Path) -> None:
    with telling(0, 5, tmp_path) as told:
        assert told() == 0
    assert list(tmp_path.iterdir()) == []


def test_histories_take_only_what_the_storm_leaves_of_the_processors() -> None:
    code = "import os; from tests.protocol.simulation import stand_back; stand_back(); print(os.nice(0))"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, start_new_session=True
    )
    assert (said.stdout, said.stderr) == ("19\n", "")


@pytest.mark.parametrize(
    ("struck", "hurt"),
    [
        ("worker-1", {"running"}),
        ("worker-2", set()),
        ("triggerer-1", {"deferred"}),
        ("scheduler-1", {"queued"}),
        ("redis", {"queued"}),
        ("api-server", {"queued", "running"}),
        ("postgres", {"queued", "running", "deferred"}),
        ("remote", {"running", "deferred"}),
        ("network", {"running", "deferred"}),
    ],
)
def test_what_depends_on_what(struck: str, hurt: set[str]) -> None:
    flying = [
        Flying("run", number, "submit", state, "worker-1", 100, 7, 7)
        for number, state in enumerate(("queued", "running", "deferred"))
    ]
    assert {one.state for one in flying if depends(one, struck, 7, None)} == hurt
