"""What importing the package loads: nothing heavy in a DAG file, no Airflow on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"pyarrow", "pandas", "numpy", "aiohttp", "fastapi", "requests", "sqlalchemy", "fsspec"}
# What a DAG file imports anyway.
AIRFLOW_SDK = "from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, TaskGroup"
OPERATORS = (
    "from airflow_asyncjob import AsyncStatusSensor, AsyncSubmitOperator, ResultDownloadOperator, async_job"
)


def loaded(code: str, home: Path, *, after: str = "pass") -> set[str]:
    """The modules that ``code`` loads in a new interpreter that has run ``after``."""
    script = (
        f"import json, sys\n{after}\nbefore = set(sys.modules)\n{code}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "AIRFLOW_HOME": str(home), "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)


def test_the_package_itself_loads_nothing_but_itself(tmp_path: Path) -> None:
    assert packages(loaded("import airflow_asyncjob", tmp_path)) == {"airflow_asyncjob"}


def test_provider_metadata_loads_nothing_but_itself(tmp_path: Path) -> None:
    assert packages(loaded("import airflow_asyncjob.provider_info", tmp_path)) == {"airflow_asyncjob"}


def test_the_pytest_plugin_loads_nothing_of_the_package_but_itself(tmp_path: Path) -> None:
    new = loaded("import airflow_asyncjob.testing.plugin", tmp_path, after="import pytest")
    assert new == {"airflow_asyncjob", "airflow_asyncjob.testing", "airflow_asyncjob.testing.plugin"}


def test_the_command_line_loads_no_airflow(tmp_path: Path) -> None:
    new = packages(loaded("import airflow_asyncjob, airflow_asyncjob.cli", tmp_path))
    assert new & (HEAVY | {"airflow"}) == set()
    assert "airflow_asyncjob" in new


@pytest.mark.parametrize("arguments", [["--help"], ["schema"], ["validate", "sendgrid/contacts_export"]])
def test_running_the_command_line_loads_no_airflow(tmp_path: Path, arguments: list[str]) -> None:
    code = (
        f"sys.argv = ['asyncjob', *{arguments!r}]\n"
        "from airflow_asyncjob.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
    )
    assert packages(loaded(code, tmp_path)) & (HEAVY | {"airflow"}) == set()


def test_the_operators_load_no_package_that_the_sdk_has_not_loaded(tmp_path: Path) -> None:
    new = loaded(OPERATORS, tmp_path, after=AIRFLOW_SDK)
    assert "airflow_asyncjob.operators.submit" in new
    assert packages(new) <= {"airflow_asyncjob", "airflow", "jinja2", "pydantic"}
    # What only some definitions, a mistake or a running task needs.
    assert {"difflib", "airflow_asyncjob.protocol", "airflow_asyncjob.transport"} & new == set()


def test_a_dag_file_with_a_packaged_definition_loads_nothing_heavy(tmp_path: Path) -> None:
    dag = ROOT / "dags" / "sendgrid_contacts_export.py"
    new = loaded(f"import runpy; runpy.run_path({str(dag)!r})", tmp_path, after=AIRFLOW_SDK)
    assert "airflow_asyncjob.task_group" in new
    assert packages(new) & HEAVY == set()


def test_the_plugin_costs_every_process_its_names_only(tmp_path: Path) -> None:
    after = "from airflow.sdk.plugins_manager import AirflowPlugin"
    new = loaded("import airflow_asyncjob.plugin", tmp_path, after=after)
    assert new - {"airflow_asyncjob"} == {"airflow_asyncjob.plugin"}


def test_the_listener_costs_a_worker_its_names_only(tmp_path: Path) -> None:
    after = "import airflow.listeners, airflow_asyncjob.plugin"
    new = loaded("airflow_asyncjob.plugin.AsyncJobPlugin().listeners", tmp_path, after=after)
    assert new == {"airflow_asyncjob.plugin.listener"}
