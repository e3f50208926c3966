"""The definition, the test and the DAG of "From five API calls" do what the page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.docs.pages import ROOT, blocks, run_in

PAGE = ROOT / "docs" / "how-to" / "from-five-api-calls.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the definition of the page, which asks sooner here."""
    (definition,) = (block.text for block in blocks("yaml") if block.page == PAGE)
    assert "  initial_wait: 5s\n" in definition
    (tmp_path / "dags" / "jobs").mkdir(parents=True)
    file = tmp_path / "dags" / "jobs" / "contacts_import.yaml"
    file.write_text(definition.replace("  initial_wait: 5s\n", "  initial_wait: 0s\n"))
    return tmp_path


def test_the_test_of_the_page_passes_with_the_definition_of_the_page(folder: Path) -> None:
    (test,) = (block.text for block in blocks("python") if block.page == PAGE and "def test_" in block.text)
    (folder / "test_contacts.py").write_text(test)
    options = ("-q", "-p", "no:cacheprovider", "-p", "airflow_asyncjob.testing.plugin")
    done = run_in(folder, "pytest", *options, "test_contacts.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_rejects_that_are_shown_are_what_a_run_writes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, contacts, rejects = (block.text for block in blocks("text") if block.page == PAGE)
    (folder / "contacts.csv").write_text(contacts)
    with FakeJobServer("eloqua", seconds=0) as server:
        monkeypatch.setenv("ASYNCJOB_CONN", json.dumps(server.connection))
        arguments = (
            "dags/jobs/contacts_import.yaml",
            "--set",
            "contacts=contacts.csv",
            "--destination",
            "out/",
        )
        done = run_in(folder, "airflow_asyncjob", "run", *arguments)
    assert done.returncode == 3, done.stderr
    assert "partial: 1 accepted, 2 rejected, see out/rejects.jsonl" in done.stderr
    assert (folder / "out" / "rejects.jsonl").read_text() == rejects
    assert [file.name for file in (folder / "out").iterdir()] == ["rejects.jsonl"]
