"""A submit by steps in a real Airflow, whose worker is killed on the way."""

from __future__ import annotations

import threading
from typing import Any

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import ended
from tests.servers.scripted import Asked, Reply, running

DAG, TASK = "submit_steps", "submit"
START = "POST /imports/job-7/start"


class Imports:
    """One import, made in steps.

    :ivar accepted: what was done, in its order; a start with a key that came before is not done again.
    :ivar busy: no start is accepted now.
    :ivar told: the answer to a start leaves when this is set.
    """

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.busy = True
        self.told = threading.Event()
        self._keys: set[str] = set()
        self.routes = {
            "POST /imports": self.create,
            "PUT /imports/job-7/parts": self.upload,
            START: self.start,
        }

    def create(self, asked: Asked) -> Any:
        self.accepted.append("create")
        return Reply(201, {"id": "job-7"})

    def upload(self, asked: Asked) -> Any:
        part = asked.body.decode()
        self.accepted.append(f"upload {part}")
        return Reply(headers={"etag": f"tag-{part}"})

    def start(self, asked: Asked) -> Any:
        if self.busy:
            return Reply(429, {"error": "not now"}, {"retry-after": "3"})
        if asked.headers["idempotency-key"] not in self._keys:
            self._keys.add(asked.headers["idempotency-key"])
            self.accepted.append("start")
        self.told.wait(60)
        return Reply(202, {"state": "RUNNING"})


def test_a_submit_killed_between_its_steps_carries_on_at_the_open_one(airflow: LocalAirflow) -> None:
    imports = Imports()
    uploaded = ["create", "upload one", "upload two"]

    def stored() -> dict[str, Any]:
        record = airflow.state_store(DAG, run_id, TASK).get("asyncjob.submit", {})
        checkpoint: dict[str, Any] = record.get("data", {}).get("checkpoint", {})
        return checkpoint

    with running(imports.routes) as api:
        airflow.set_connection("imports", api.base)
        run_id = airflow.trigger(DAG, {"conn": "imports"})
        airflow.wait_until(lambda: api.of(START), what="a start was refused")
        airflow.wait_until(lambda: stored()["phase"] == "idle", what="that is stored")
        airflow.kill_task(DAG, run_id, TASK)
        assert (stored()["step"], imports.accepted) == ("start", uploaded)

        imports.busy = False
        airflow.wait_until(lambda: "start" in imports.accepted, what="the second try starts the import")
        airflow.kill_task(DAG, run_id, TASK)
        assert stored()["phase"] == "intent", "the answer has not come"
        imports.told.set()

        assert ended(airflow, DAG, run_id) == "success"
    assert imports.accepted == [*uploaded, "start"]
    assert (len(api.of("POST /imports")), len(api.of("PUT .*"))) == (1, 2)
    starts = api.of(START)
    assert len({asked.headers["idempotency-key"] for asked in starts}) == 1
    assert starts[-1].json == {"tags": ["tag-one", "tag-two"]}
    assert len(airflow.tries(DAG, run_id, TASK)) == 3
    assert airflow.xcom(DAG, run_id, TASK) == "job-7"
