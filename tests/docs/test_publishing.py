"""The package of "Publish a definition" is built, installed, tested and used as the page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks, run_in

PAGE = ROOT / "docs" / "how-to" / "publish-definitions.md"


def only(language: str, *, having: str) -> Block:
    (found,) = [block for block in blocks(language) if block.page == PAGE and having in block.text]
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the package from the blocks of the page and install it into a folder of its own."""
    folder = tmp_path_factory.mktemp("publishing")
    files = {
        "pyproject.toml": only("toml", having="[project]").text,
        "acme_jobs/__init__.py": "",
        "acme_jobs/catalogue/acme/orders.yaml": only("yaml", having="name: acme/orders").text,
        "tests/test_acme_jobs.py": only("python", having="fake_job_server").text,
    }
    for name, text in files.items():
        (folder / "acme-jobs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "acme-jobs" / name).write_text(text)
    listed = [line.split()[0] for line in only("text", having="pyproject.toml").text.splitlines()[1:]]
    assert listed == list(files)
    pip = ("pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    done = run_in(folder, *pip, "--target", "site", "./acme-jobs")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_the_installed_definition_is_listed_without_a_warning(site: Path) -> None:
    done = run_in(site.parent, "airflow_asyncjob", "list", "--output", "json", site=site)
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = [each for each in json.loads(done.stdout)["definitions"] if each["name"] == "acme/orders"]
    assert found == {
        "name": "acme/orders",
        "description": "The orders of a day, as CSV.",
        "from": "acme-jobs 1.0",
        "file": str(site / "acme_jobs" / "catalogue" / "acme" / "orders.yaml"),
        "error": None,
    }
    assert run_in(site.parent, "airflow_asyncjob", "validate", "acme/orders", site=site).returncode == 0


def test_the_tests_of_the_package_pass(site: Path) -> None:
    options = ("-q", "-p", "no:cacheprovider", "-p", "airflow_asyncjob.testing.plugin")
    done = run_in(site.parent, "pytest", *options, "acme-jobs/tests", site=site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_its_dag_parses_where_the_package_is_installed(site: Path) -> None:
    (site.parent / "acme_orders.py").write_text(only("python", having="with DAG(").text)
    done = run_in(site.parent, "runpy", "acme_orders", site=site)
    assert done.returncode == 0, done.stderr
