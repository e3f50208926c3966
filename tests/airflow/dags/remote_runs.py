"""A DAG that another Airflow runs over REST: ``rows`` returns records, after ``seconds``, or fails."""

from __future__ import annotations

import time
from typing import Any

from airflow.sdk import DAG, task

with DAG("remote_runs", schedule=None, params={"count": 2, "seconds": 0, "fails": False}):

    @task
    def rows(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        time.sleep(params["seconds"])
        if params["fails"]:
            raise ValueError("disk full at row 7")
        return [{"id": f"{number:05}", "name": f"Zoë {number}"} for number in range(params["count"])]

    rows()
