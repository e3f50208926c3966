"""A status URL that each answer names anew, in a real Airflow whose triggerer is killed."""

from __future__ import annotations

import signal
import threading
from typing import Any

from airflow_asyncjob.hooks.moved import MOVED
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.servers.scripted import Asked, Reply, running


class Queries:
    """One query; only its next status URL works, and the last one, whose answer may have been lost."""

    def __init__(self) -> None:
        self.turn = 0
        self.ready = False
        self.stale: list[int] = []
        self._lock = threading.Lock()

    def status(self, asked: Asked) -> Any:
        with self._lock:
            number = int(asked.path.rsplit("/", 1)[1])
            if number < self.turn - 1:
                self.stale.append(number)
                return Reply(404, {"error": "this page is gone"})
            self.turn = number + 1
            state = "FINISHED" if self.ready else "RUNNING"
            return {"id": "q", "state": state, "nextUri": f"/queries/q/{self.turn}"}


def test_a_killed_triggerer_goes_on_where_the_last_answer_pointed(airflow: LocalAirflow) -> None:
    queries = Queries()
    submitted = {"id": "q", "state": "RUNNING", "nextUri": "/queries/q/0"}
    with running({"POST /queries": submitted, r"GET /queries/q/\d+": queries.status}) as api:
        airflow.set_connection("moving", api.base)
        run_id = airflow.trigger("moving_url", {"conn": "moving"})
        airflow.wait_until(lambda: queries.turn >= 4, what="four polls")
        airflow.kill("triggerer", signal.SIGKILL)
        seen = queries.turn
        airflow.start("triggerer")
        airflow.wait_until(lambda: queries.turn >= seen + 2, timeout=120, what="polls after the restart")
        assert MOVED in airflow.xcom_keys("moving_url", run_id, "job.wait")
        queries.ready = True
        assert airflow.wait_for_run("moving_url", run_id) == "success"
    assert queries.stale == []
    assert len(airflow.tries("moving_url", run_id, "job.wait")) == 1
    assert len(api.of("POST /queries")) == 1
