"""Secrets planted wherever a job has room for one, and looked for in all that its tasks leave.

The wire by itself is searched in tests/transport/test_secrets_nowhere.py; here it is what Airflow is given by
the three tasks and the trigger, in jobs that go well and wrong, against a server that answers with what
it was sent. The result file is left out: it is the user's data.
"""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_asyncjob import async_job
from airflow_asyncjob.operators import waiting
from tests.airflow.in_process import Worker
from tests.airflow.planted import CONTROL, JOB, SPELLINGS, assert_sent, serving

WAYS: dict[str, dict[str, Any]] = {
    "well": {},
    "denied": {},
    "silent": {},
    "failed": {},
    "late": {"timeout": 4},
    "strange": {"deferrable": False},
    "refused": {"deferrable": False},
}

ENDS = {
    "well": ("success", "success", "success"),
    "denied": ("failed", "upstream_failed", "upstream_failed"),
    "silent": ("success", "failed", "upstream_failed"),
    "failed": ("success", "failed", "upstream_failed"),
    "late": ("success", "failed", "upstream_failed"),
    "strange": ("success", "failed", "upstream_failed"),
    "refused": ("success", "success", "failed"),
}
"""How submit, wait and fetch end, for each way in which the server treats the job."""


@pytest.mark.parametrize("way", ENDS)
def test_no_secret_leaves_a_task(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: XComs, the state store, trigger arguments, logs, and errors with all their causes."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    monkeypatch.setattr(waiting, "_SEEN_BY_SCHEDULER", 0.0)
    options = WAYS[way]
    with DAG("d") as dag:
        async_job(
            job=str(JOB),
            http_conn_id="hidden",
            inputs={"control": CONTROL},
            destination=f"{tmp_path}/rows.csv",
            group_id="job",
            **options,
        )
    worker, said, ends = Worker(dag), [], []
    with serving(way) as (server, connection):
        monkeypatch.setenv("AIRFLOW_CONN_HIDDEN", json.dumps(connection))
        for task_id in ("job.submit", "job.wait", "job.fetch"):
            if "failed" in ends:
                ends.append("upstream_failed")
                continue
            try:
                worker.run(task_id)
                ends.append("success")
            except Exception as error:
                ends.append("failed")
                said += traceback.format_exception(error)
        assert_sent(server)
    assert tuple(ends) == ENDS[way], said
    said = [line for line in said if "tests/airflow" not in line]
    everything = f"{worker.xcoms} {worker.stores} {worker.triggers} {said} {''.join(capsys.readouterr())}"
    assert CONTROL in everything or way == "denied", "what is no secret is seen"
    found = [text for text in SPELLINGS if text in everything]
    assert [everything[max(0, everything.index(text) - 150) :][:300] for text in found] == []
