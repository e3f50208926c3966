"""The definition, the test and the DAG of "From five API calls" do what the page says."""

from __future__ import annotations

from pathlib import Path

from tests.docs.pages import ROOT, blocks, run_in

PAGE = ROOT / "docs" / "how-to" / "from-five-api-calls.md"


def test_the_test_of_the_page_passes_with_the_definition_of_the_page(tmp_path: Path) -> None:
    (definition,) = (block.text for block in blocks("yaml") if block.page == PAGE)
    (test,) = (block.text for block in blocks("python") if block.page == PAGE and "def test_" in block.text)
    assert "  initial_wait: 5s\n" in definition
    (tmp_path / "dags" / "jobs").mkdir(parents=True)
    file = tmp_path / "dags" / "jobs" / "contacts_import.yaml"
    file.write_text(definition.replace("  initial_wait: 5s\n", "  initial_wait: 0s\n"))
    (tmp_path / "test_contacts.py").write_text(test)
    options = ("-q", "-p", "no:cacheprovider", "-p", "airflow_asyncjob.testing.plugin")
    done = run_in(tmp_path, "pytest", *options, "test_contacts.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
