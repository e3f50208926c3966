"""What a large result costs: time and peak memory of a whole run of the command line, small and large.

    python benchmarks/large_result.py [--records N]

Each row is one process that submits, waits and downloads from a fake server in another process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from airflow_asyncjob.testing import FakeJobServer

WAYS = [("csv", "parquet"), ("csv", "csv"), ("csv", "bin"), ("json", "jsonl"), ("json", "parquet")]
SMALL = 10_000
RUN = """
import resource, sys
from airflow_asyncjob.cli.app import call
code = call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sys.exit(code)
"""


def definition(kind: str) -> dict[str, object]:
    """Return how to talk to the fake server; ``kind`` is the format of its result."""
    return {
        "version": 1,
        "name": "large",
        "inputs": {"records": {"type": "integer"}},
        "submit": {
            "request": {"url": "/jobs", "json": {"rows": "{{ inputs.records }}", "format": kind}},
            "id": "id",
        },
        "status": {
            "request": {"url": "/jobs/{{ submission_id }}"},
            "path": "status",
            "values": {"running": ["queued", "running"], "done": "succeeded"},
        },
        "result": {"target": "urls", "format": kind},
    }


def measure(url: str, folder: Path, kind: str, suffix: str, records: int) -> tuple[float, int, int]:
    """Run one job: seconds, megabytes at the peak, bytes written."""
    job, destination = folder / "large.json", folder / f"large.{suffix}"
    job.write_text(json.dumps(definition(kind)))
    command = [sys.executable, "-c", RUN, "run", str(job), "--base-url", url]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--set", f"records={records}", "--destination", str(destination)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    return time.perf_counter() - started, int(done.stdout.split()[-1]), destination.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=3_000_000)
    records = parser.parse_args().records
    print(f"{'from':<6}{'to':<10}{'records':>10}{'written':>12}{'peak':>10}{'time':>10}")
    with FakeJobServer("generic") as server, tempfile.TemporaryDirectory() as folder:
        for kind, suffix in WAYS:
            for count in (SMALL, records):
                measure(server.url, Path(folder), kind, "bin", count)  # the fake server makes its file
                seconds, peak, size = measure(server.url, Path(folder), kind, suffix, count)
                to = "raw" if suffix == "bin" else suffix
                print(f"{kind:<6}{to:<10}{count:>10,}{size / 1e6:>9.1f} MB{peak:>7} MB{seconds:>8.1f} s")


if __name__ == "__main__":
    main()
