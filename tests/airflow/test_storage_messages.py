"""What to install for an object store: Airflow and the command line need different packages."""

from __future__ import annotations

import sys

import pytest

from airflow_asyncjob.errors import DestinationError
from airflow_asyncjob.hooks.storage import destination_of
from airflow_asyncjob.results.destination import as_destination


@pytest.mark.parametrize(
    ("uri", "provider", "extra"),
    [
        ("gs://lake/rows.csv", "apache-airflow-providers-google", "airflow-asyncjob[gcs]"),
        ("abfs://lake/rows.csv", "apache-airflow-providers-microsoft-azure", "airflow-asyncjob[azure]"),
    ],
)
def test_the_message_names_what_is_missing_where_it_is_missing(uri: str, provider: str, extra: str) -> None:
    with pytest.raises(DestinationError) as in_airflow:
        destination_of(uri)
    assert f"pip install '{provider}'" in in_airflow.value.message
    assert "airflow-asyncjob[" not in in_airflow.value.message
    with pytest.raises(DestinationError) as on_the_command_line:
        as_destination(uri)
    assert f"pip install '{extra}'" in on_the_command_line.value.message
    assert "provider" not in on_the_command_line.value.message


def test_s3_in_airflow_needs_the_provider_and_its_filesystem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    with pytest.raises(DestinationError, match=r"'apache-airflow-providers-amazon\[s3fs\]'"):
        destination_of("s3://lake/rows.csv")
