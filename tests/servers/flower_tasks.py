"""The Celery application that the test's Flower shows; it runs in Flower's environment."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import Celery  # type: ignore[import-untyped]

FOLDER = Path(os.environ["CELERY_FOLDER"])
for name in ("messages", "processed", "control", "results"):
    (FOLDER / name).mkdir(parents=True, exist_ok=True)

app = Celery("flower_tasks", broker="filesystem://", backend=f"file://{FOLDER}/results")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(FOLDER / "messages"),
        "data_folder_out": str(FOLDER / "messages"),
        "processed_folder": str(FOLDER / "processed"),
        "control_folder": str(FOLDER / "control"),
        "polling_interval": 0.1,
    },
    broker_connection_retry_on_startup=True,
    task_track_started=True,
    worker_prefetch_multiplier=1,
)


@app.task(name="rows")
def rows(count: int, seconds: float = 0) -> list[dict[str, Any]]:
    time.sleep(seconds)
    return [{"id": f"{number:05}", "name": f"Zoë {number}"} for number in range(count)]


@app.task(name="fail")
def fail(text: str) -> None:
    raise ValueError(text)
