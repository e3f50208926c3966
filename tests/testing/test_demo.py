"""make demo: a whole job in a real Airflow, as a person starts it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from airflow_asyncjob.testing.demo_jobs import DEMOS, problems_of

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "airflow_asyncjob.testing.demo"]
pytestmark = pytest.mark.airflow


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the project's DAGs, so that a demonstration in the checkout is not disturbed."""
    (tmp_path / "dags").symlink_to(ROOT / "dags")
    return tmp_path


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}


@pytest.mark.slow
def test_the_demonstration_runs_checks_and_leaves_nothing_running(project: Path) -> None:
    with subprocess.Popen(
        DEMO, cwd=project, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        output, _ = demo.communicate(timeout=900)
    assert demo.returncode == 0, output
    told = [
        line.split("s  ", 1)[1].split() for line in output.splitlines() if re.match(r" *\d+\.\d s  ", line)
    ]
    states = [(words[0], words[1]) for words in told if len(words) == 2]
    for task in ("submit", "wait", "fetch"):
        assert (task, "success") in states, output
    assert ("wait", "deferred") in states, "the waiting costs no worker"
    assert "200,000 rows, each value as the server has it" in output
    assert "EXTERNAL_ID of row 42 is '0000000042'" in output
    assert "saw 1 submission, 2 polls, 2 downloads" in output
    assert re.search(r"task wait ended \d+\.\d s later; \d+ looks at the job in all", output), output
    assert "SG." not in output, "no secret is shown"
    assert processes_in(project) == []
    address = re.search(r"is healthy at (http://127\.0\.0\.1:\d+)", output)
    assert address is not None
    with pytest.raises(httpx.ConnectError):
        httpx.get(address[1])


def test_the_demonstration_says_when_it_is_started_elsewhere(tmp_path: Path) -> None:
    demo = subprocess.run(
        DEMO, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert demo.returncode == 1
    assert "The demonstration failed: there is no " in demo.stdout
    assert "dags/sendgrid_contacts_export.py; run this in the project's folder" in demo.stdout


def test_a_name_without_a_demonstration_lists_those_that_there_are(project: Path) -> None:
    demo = subprocess.run(
        [*DEMO, "order_partition"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert demo.returncode == 2
    assert "there is no demonstration of 'order_partition'; did you mean order_partitions?" in demo.stderr
    assert demo.stderr.rstrip().endswith("There are: " + ", ".join(sorted(DEMOS)))
    assert not (project / ".demo").exists()


def test_every_example_is_offered_that_has_a_job_server() -> None:
    examples = {file.stem for file in (ROOT / "dags").glob("*.py")}
    assert examples - set(DEMOS) == {"ogc_process"}, "pygeoapi plays it, in the tests of the servers"


@pytest.mark.parametrize("name", DEMOS)
def test_a_demonstration_is_of_an_example_and_of_a_server_that_takes_its_options(
    name: str, tmp_path: Path
) -> None:
    demo = DEMOS[name]
    assert (demo.dag_id, (ROOT / "dags" / f"{name}.py").exists()) == (name, True)
    text = (ROOT / "dags" / f"{name}.py").read_text()
    assert f'http_conn_id="{demo.conn_id}"' in text
    with demo.server() as server:
        assert server.connection["host"] == server.url
    for variable, value in demo.prepare(tmp_path).items():
        assert f"var.value.get('{variable}'" in text or f"var.value.{variable}" in text
        assert value.startswith(str(tmp_path))


def test_what_is_wrong_with_a_demonstration_is_said(tmp_path: Path) -> None:
    demo = DEMOS["order_partitions"]
    file = tmp_path / "orders.jsonl"
    file.write_text("{}\n{}\n")
    rejects = {"uri": None, "records": 2, "sent": 10, "accepted": 9}
    manifest = {"uris": [f"file://{file}"], "records": 3, "submission_id": "job-1", "rejects": rejects}
    with demo.server() as server:
        assert problems_of(demo, {}, server) == ["no fetch task returned a manifest", "0 records came, not 8"]
        httpx.post(f"{server.url}/jobs", json={"run_for": 600})
        assert problems_of(demo, {"fetch": manifest}, server) == [
            "fetch: the manifest says 3 records, the files have 2",
            "3 records came, not 8",
            "2 rejects were fetched, not 0",
            "fetch: 9 records are accepted, at the job server 0",
            "fetch: 1 records are refused, at the job server 0",
            "job job-1 still runs at the server",
        ]


def test_a_second_demonstration_is_refused_and_keeps_the_first_ones_files(project: Path) -> None:
    folder = project / ".demo"
    folder.mkdir()
    (folder / "of-the-first").touch()
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        demo = subprocess.run(
            DEMO, cwd=project, env=environment(), capture_output=True, text=True, timeout=240, check=False
        )
    finally:
        os.close(lock)
    assert demo.returncode == 1
    assert f"another demonstration runs in {folder}" in demo.stdout
    assert (folder / "of-the-first").exists()


@pytest.mark.slow
def test_a_demonstration_that_is_stopped_ends_its_airflow(project: Path) -> None:
    with subprocess.Popen(
        DEMO, cwd=project, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "Airflow" in line and "starts" in line:
                break
        components = project / ".demo" / "airflow" / "components"
        while not (components / "triggerer.log").exists():
            assert demo.poll() is None
        demo.send_signal(signal.SIGTERM)
        output = demo.stdout.read()
    assert demo.returncode == 130, output
    assert "Stopped." in output
    assert processes_in(project) == []


def processes_in(folder: Path) -> list[str]:
    """The command lines of the processes that work in this folder or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:  # gone meanwhile
            continue
    return found
