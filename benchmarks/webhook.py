"""How long an event of a webhook takes until its 202, beside Airflow's own version page on the same server.

    python benchmarks/webhook.py [--events N] [--at-once N] [--database sqlite|postgresql]

An API server of two processes takes 1,000 signed events for 100 jobs that are waited for, each sent twice:
first one after another, then some at once. The first event of each job wakes its task, which is a row of the
database here; nothing else of Airflow runs. Needs the folder tests/ beside it.
"""

from __future__ import annotations

import argparse
import hmac
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from databases import DATABASES, each_database

from tests.plugin.api import ApiServer

JOBS = 100
SHARED = "what-the-shop-signs-with"
WEBHOOK = {
    "id": "job",
    "when": "body.event == 'finished'",
    "auth": {"type": "hmac", "header": "X-Signature"},
}
ROUNDS = {"one after another": "first", "at once": "second"}
"""What is measured, to the connection whose jobs it wakes."""


def waits() -> list[dict[str, Any]]:
    """Return the tasks that wait: 100 for each round."""
    return [
        {"task_id": f"{conn}_{n}", "submission_id": f"{conn}-{n}", "conn_id": conn, "webhook": WEBHOOK}
        for conn in ROUNDS.values()
        for n in range(JOBS)
    ]


def send(client: httpx.Client, url: str, conn_id: str, number: int) -> tuple[float, str]:
    """Send an event; return how long its 202 took, in seconds, and what came of it."""
    body = json.dumps({"event": "finished", "job": f"{conn_id}-{number % JOBS}"}).encode()
    signed = {"X-Signature": hmac.digest(SHARED.encode(), body, "sha256").hex()}
    while True:
        begun = time.perf_counter()
        answer = client.post(f"{url}/asyncjob/webhooks/{conn_id}", content=body, headers=signed)
        took = time.perf_counter() - begun
        if answer.status_code == 202:
            return took, str(answer.json()["result"])
        if answer.status_code not in (429, 503):
            raise SystemExit(f"an event was answered with {answer.status_code}: {answer.text}")
        time.sleep(float(answer.headers["Retry-After"]))


def measure(server: ApiServer, database: str, events: int, at_once: int) -> None:
    """Send the events, and print the times beside those of the version page."""
    numbers = [number for number in range(events) for _ in range(2)]
    with httpx.Client(timeout=120) as client:

        def version(_: int) -> tuple[float, str]:
            begun = time.perf_counter()
            client.get(f"{server.url}/api/v2/version").raise_for_status()
            return time.perf_counter() - begun, "version"

        for what, conn_id in ROUNDS.items():
            threads = 1 if what == "one after another" else at_once
            tell(database, what, "version page", timed(version, numbers, threads))
            found = timed(
                lambda number, conn=conn_id: send(client, server.url, conn, number), numbers, threads
            )
            woken = sum(result == "woken" for _, result in found)
            if woken != JOBS:
                raise SystemExit(f"{woken} tasks were woken, not {JOBS}")
            tell(database, what, "event", found)


def timed(
    ask: Callable[[int], tuple[float, str]], numbers: Iterable[int], threads: int
) -> list[tuple[float, str]]:
    """Ask for each number, so many at once."""
    with ThreadPoolExecutor(threads) as askers:
        return list(askers.map(ask, numbers))


def tell(database: str, what: str, which: str, found: list[tuple[float, str]]) -> None:
    """Print one line."""
    times = sorted(1000 * took for took, _ in found)
    print(
        f"{database:10}  {what:17}  {which:12} {len(times):5,}   median {statistics.median(times):5.1f} ms"
        f"   99 % in {times[int(len(times) * 0.99)]:6.1f} ms   slowest {times[-1]:6.1f} ms",
        flush=True,
    )


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--database", choices=DATABASES)
    given = parser.parse_args()
    connection = json.dumps({"conn_type": "http", "extra": {"webhook_secret": SHARED}})
    connections = {f"AIRFLOW_CONN_{conn_id.upper()}": connection for conn_id in ROUNDS.values()}
    with tempfile.TemporaryDirectory() as folder:
        for name, home, env in each_database(Path(folder), given.database):
            with ApiServer(home, env | connections) as server:
                server.run("tests.plugin.waits", given=json.dumps(waits()))
                measure(server, name, given.events, given.at_once)


if __name__ == "__main__":
    main()
