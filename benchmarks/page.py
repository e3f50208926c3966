"""How long the page "Async jobs" takes to answer with 10,000 jobs in Airflow's database.

    python benchmarks/page.py [--jobs N] [--requests N] [--database sqlite|postgresql]

An API server of two processes answers over HTTP, login and permissions included, from SQLite and then from
PostgreSQL, where that is installed. The rows are those that tasks leave: three task instances for a job, each
with its summary and its trace; every tenth job waits. Needs the folder tests/ beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from databases import DATABASES, each_database

from tests.plugin.api import ApiServer, jobs, with_simple_roles

DAGS = 100
ASKED: dict[str, dict[str, Any]] = {
    "first page, trouble first": {},
    "waiting, 3rd page": {"waiting": True, "offset": 100},
    "filtered by state and text": {"state": "failed", "q": "export"},
    "newest first": {"order": "-updated"},
}


def measure(server: ApiServer, count: int, requests: int, name: str) -> None:
    """Fill the database, ask, and print the times: of the clock, and of the server's processors."""
    server.run("tests.plugin.rows", str(count), str(DAGS))
    with server.user("admin") as client:
        for what, asked in ASKED.items():
            jobs(client, **asked)
            times, busy = [], processor_seconds(server)
            for _ in range(requests):
                begun = time.perf_counter()
                found = jobs(client, **asked)
                times.append(1000 * (time.perf_counter() - begun))
            each = 1000 * (processor_seconds(server) - busy) / requests
            print(
                f"{name:10}  {what:26} {found['total']:6,} jobs   median {statistics.median(times):5.0f} ms"
                f"   slowest of {requests} {max(times):5.0f} ms   processor {each:4.0f} ms a request",
                flush=True,
            )


def processor_seconds(server: ApiServer) -> float:
    """Return the processor time of the API server so far: other work on the machine moves it less."""
    ticks = 0
    for pid in server.processes.pids("api-server"):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--database", choices=DATABASES)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, home, env in each_database(Path(folder), given.database):
            with with_simple_roles(home, env) as server:
                measure(server, given.jobs, given.requests, name)


if __name__ == "__main__":
    main()
