from __future__ import annotations

import os
import subprocess
import sys

import pytest

import airflow_asyncjob.results as results


def loaded_by(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {statement}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return set(done.stdout.split())


def test_what_a_dag_file_checks_its_destination_with_is_light() -> None:
    loaded = loaded_by("from airflow_asyncjob.results import plan_output, check_output")
    assert not loaded & {"airflow", "pyarrow", "fsspec", "jmespath"}
    assert "airflow_asyncjob.results.write" not in loaded


def test_the_writer_loads_pyarrow_and_fsspec_only_where_they_are_needed() -> None:
    loaded = loaded_by(
        "from airflow_asyncjob.results import write_result, as_destination; as_destination('a.csv')"
    )
    assert "airflow_asyncjob.results.formats.parquet" in loaded
    assert not loaded & {"airflow", "pyarrow", "fsspec", "jmespath"}


def test_the_public_names() -> None:
    assert results.__all__ == [
        "OUTPUT_FORMATS",
        "Manifest",
        "OutputPlan",
        "RemotePath",
        "Source",
        "as_destination",
        "check_destination",
        "check_output",
        "missing_filesystem",
        "plan_output",
        "write_result",
    ]
    assert set(results.__all__) <= set(dir(results))
    for name in results.__all__:
        assert getattr(results, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'write'; public names: OUTPUT_FORMATS, Manifest"):
        results.__getattr__("write")
