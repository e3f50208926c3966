"""Records that are uploaded part by part in a real Airflow, whose worker is killed in the middle."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import Run, serving

SUBMIT = "jobs.submit"


def test_a_worker_killed_between_two_parts_goes_on_and_sends_each_record_once(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    names = [f"p{number}@example.com" for number in range(90)]
    contacts = tmp_path / "people.csv"
    contacts.write_text("email,name\n" + "".join(f"{name},Ann\n" for name in names))
    with serving(airflow, "people") as server:
        # The third part is taken, and its answer comes too late to be heard.
        server.faults.add("upload", "slow", nth=3, seconds=60)
        run = Run.start(airflow, server, "upload_parts", tmp_path, conn="people", contacts=str(contacts))
        airflow.wait_until(lambda: not server.faults.active(), timeout=240, what="the third part is taken")
        airflow.kill_task(run.dag_id, run.run_id, SUBMIT, 0)
        assert run.end() == "success", run.troubles()

        records = server.ledger.records
        assert Counter([*records.accepted(), *(one.key for one in records.refused())]) == Counter(names)
        assert [one.key for one in records.refused()] == ["p33@example.com"]
        assert server.ledger.accepted() == 2
        sent = Counter(entry.path for entry in server.ledger.entries("upload"))
        assert len(sent) == 9, "five parts of the first job, four of the second"
        assert {path: times for path, times in sent.items() if times > 1} == {"/imports/import-1/data/3": 2}
        stored = json.dumps(airflow.state_store(run.dag_id, run.run_id, SUBMIT, 0))
        assert "example.com" not in stored + json.dumps(run.xcom("plan"))
        log = run.log(SUBMIT, 2, 0)
        assert "Done already: create, 2 parts of send" in log
        assert "send 3 of 5: PUT " in log
        (line,) = map(json.loads, (tmp_path / "0.rejects.jsonl").read_text().splitlines())
        assert (line["record"]["email"], line["reason"]) == ("p33@example.com", "no such person")
        counts = [run.xcom("jobs.fetch", "rejects", map_index=number) for number in (0, 1)]
        assert [(count["sent"], count["accepted"]) for count in counts] == [(50, 49), (40, 40)]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0.rejects.jsonl", "people.csv"]
