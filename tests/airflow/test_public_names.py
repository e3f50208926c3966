"""The public names, and what importing them costs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from airflow import configuration as conf

import airflow_asyncjob

NAMES = [
    "AsyncJob",
    "AsyncJobError",
    "AsyncJobHook",
    "AsyncStatusSensor",
    "AsyncStatusTrigger",
    "AsyncSubmitOperator",
    "ResultDownloadOperator",
    "UploadPlanOperator",
    "async_job",
    "errors",
]


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh Python has loaded after this code."""
    program = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_the_public_names_are_these() -> None:
    assert airflow_asyncjob.__all__ == NAMES
    assert set(NAMES) <= set(dir(airflow_asyncjob))
    for name in NAMES:
        assert getattr(airflow_asyncjob, name) is not None


def test_tests_leave_the_users_airflow_alone() -> None:
    for path in (conf.AIRFLOW_HOME, conf.AIRFLOW_CONFIG):
        assert Path(path).is_relative_to(tempfile.gettempdir())


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(
        AttributeError, match=r"no attribute 'async_jobs'; public names: AsyncJob, .*async_job"
    ):
        _ = airflow_asyncjob.async_jobs


def test_importing_the_package_loads_no_airflow_and_nothing_else() -> None:
    found = packages(loaded_by("import airflow_asyncjob"))
    bare = packages(loaded_by("import sys"))
    assert found - bare - sys.stdlib_module_names == {"airflow_asyncjob"}


def test_the_airflow_layer_adds_nothing_heavy_to_airflows_own_sdk() -> None:
    sdk = packages(loaded_by("from airflow.sdk import DAG"))
    own = packages(loaded_by("from airflow.sdk import DAG\nfrom airflow_asyncjob import async_job"))
    added = own - sdk
    assert "airflow_asyncjob" in own  # where it is installed, Airflow itself loads its provider metadata
    heavy = {"pyarrow", "aiohttp", "fastapi", "pandas", "ruamel", "xmltodict", "jmespath", "ijson", "rich"}
    assert not heavy & added, added
    assert "httpcore" not in added
