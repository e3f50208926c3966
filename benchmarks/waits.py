"""What a deferred wait costs the triggerer: processor time for each poll, memory for each waiting job.

    python benchmarks/waits.py [--jobs N] [--seconds S]

N triggers wait in one event loop, as they do in a triggerer, for jobs of a fake server in another process.
The jobs run for S seconds and are polled every second. Needs Airflow, but none that runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import httpx

DEFINITION = {
    "submit": {"request": {"url": "/jobs"}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": "succeeded"},
        "poll_wait": 1,
    },
}


def triggers(url: str, jobs: int, seconds: float) -> list[Any]:
    """Submit the jobs, and return a trigger for each."""
    from airflow_asyncjob import AsyncStatusTrigger

    made = []
    with httpx.Client(base_url=url) as api:
        for _ in range(jobs):
            job_id = api.post("/jobs", json={"run_for": seconds}).json()["id"]
            submission = {"id": job_id, "submitted_at": time.time(), "captures": {}}
            checkpoint = {"version": 1, "phase": "submitted", "submission": submission}
            made.append(
                AsyncStatusTrigger(
                    definition=DEFINITION, http_conn_id="shop", inputs={}, names={}, checkpoint=checkpoint
                )
            )
    return made


async def wait_for_all(waiting: list[Any]) -> list[Any]:
    """Run every trigger to its event."""
    return await asyncio.gather(*(anext(aiter(trigger.run())) for trigger in waiting))


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the log of the triggers
    serve = [sys.executable, "-m", "airflow_asyncjob.testing", "serve", "generic"]
    with (
        tempfile.TemporaryDirectory() as home,
        subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server,
    ):
        os.environ["AIRFLOW_HOME"] = home
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        os.environ["AIRFLOW_CONN_SHOP"] = json.dumps({"conn_type": "http", "host": url})
        asyncio.run(wait_for_all(triggers(url, 1, 0.0)))  # loads everything that the first one loads
        waiting = triggers(url, options.jobs, options.seconds)
        before, used = megabytes(), time.process_time()
        events = asyncio.run(wait_for_all(waiting))
        used, after = time.process_time() - used, megabytes()
        polls = sum(event.payload["outcome"]["polls"] for event in events)
        states = {event.payload["outcome"]["state"] for event in events}
        server.terminate()
    os.dup2(out, 1)
    print(f"{options.jobs} jobs of {options.seconds:g} s ended as {', '.join(states)} after {polls} polls")
    print(f"processor time: {used:.1f} s, {used / polls * 1e3:.2f} ms for each poll and its line in the log")
    print(
        f"memory: {after - before:.0f} MB, {(after - before) / options.jobs * 1024:.0f} kB for each waiting"
    )


if __name__ == "__main__":
    main()
