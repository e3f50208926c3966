"""What a DAG file pays for this package, on top of ``airflow.sdk``, which it imports anyway. Writes nothing.

    python benchmarks/import_cost.py [--runs N]

Each row is measured N times, each time in a new interpreter with warm file caches: processor time, which
other work on the machine moves less than the clock. Compiled files are used, as Airflow itself uses them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

FIRST = "from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, TaskGroup"
NAMES = "AsyncSubmitOperator, AsyncStatusSensor, ResultDownloadOperator, async_job"
ROWS = {
    "airflow.sdk itself": ("pass", FIRST),
    "provider metadata, read by every import airflow": ("pass", "import airflow_asyncjob.provider_info"),
    "the operators, the sensor and async_job": (FIRST, f"from airflow_asyncjob import {NAMES}"),
    "dags/sendgrid_contacts_export.py, the rest": (
        f"{FIRST}; from airflow_asyncjob import {NAMES}",
        "import runpy; runpy.run_path('dags/sendgrid_contacts_export.py')",
    ),
    "the command line (without Airflow)": ("pass", "import airflow_asyncjob.cli"),
}
MEASURE = """
import json, sys, time
exec(sys.argv[1])
before = set(sys.modules)
started = time.process_time()
exec(sys.argv[2])
seconds = time.process_time() - started
new = set(sys.modules) - before
packages = {name.partition(".")[0] for name in new} - set(sys.stdlib_module_names)
print(json.dumps([seconds, len(new), sorted(packages - {name.partition(".")[0] for name in before})]))
"""


def measure(first: str, then: str, home: str) -> tuple[float, int, list[str]]:
    """Run ``first``, then time ``then``: seconds, modules and top-level packages that it loaded."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env = {**inherited, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, first, then], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{then!r} failed:\n{done.stderr[-2000:]}")
    seconds, modules, packages = json.loads(done.stdout.splitlines()[-1])
    return seconds, modules, packages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=7, help="how often each row is measured (default: 7)")
    runs = parser.parse_args().runs
    print(f"{'':<48} {'median':>10} {'best':>10} {'modules':>8}  packages loaded for it")
    with tempfile.TemporaryDirectory() as home:
        for name, (first, then) in ROWS.items():
            measure(first, then, home)  # fills the file caches
            seen = [measure(first, then, home) for _ in range(runs)]
            seconds = sorted(seconds for seconds, _, _ in seen)
            packages = seen[0][2]
            shown = ", ".join(packages) if len(packages) < 12 else f"{len(packages)} packages"
            median = statistics.median(seconds)
            print(f"{name:<48} {median * 1e3:>7.1f} ms {seconds[0] * 1e3:>7.1f} ms {seen[0][1]:>8}  {shown}")


if __name__ == "__main__":
    main()
