"""The documentation is true as far as a program can tell: links, tests, examples, options, pages."""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import textwrap
import typing
from pathlib import Path

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.models.job import JobModel
from airflow_asyncjob.testing import FakeJobServer
from tests.definition.installed import lay
from tests.docs.pages import PAGES, ROOT, Block, Link, blocks, links, named, prose, run_in

COMPLETE = {"submit", "status"}
"""Sections that a whole definition has."""
DAG_WORDS = ("async_job", "AsyncSubmitOperator", "HttpOperator")
"""A block of Python with one of these is (part of) a DAG file."""
DAG_FILE = """
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG, task
from airflow_asyncjob import AsyncStatusSensor, AsyncSubmitOperator, ResultDownloadOperator, async_job

with DAG("docs", schedule=None) as dag:
{body}
"""


def test_the_generated_pages_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_nothing_is_left_to_fill_in(page: Path) -> None:
    assert not re.search(r"@@|TODO|FIXME|XXX|Lorem", page.read_text())


# Links --------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors that a renderer of Markdown gives the headings of a page."""
    found = set()
    for title in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@pytest.mark.parametrize("link", list(links()), ids=named)
def test_a_link_leads_somewhere(link: Link) -> None:
    path, _, anchor = link.target.partition("#")
    target = (link.page.parent / path).resolve() if path else link.page
    assert target.is_relative_to(ROOT), "the file is not of this repository"
    assert target.exists()
    if anchor:
        assert anchor in anchors(target)


def functions_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("link", [link for link in links() if link.text.startswith("test_")], ids=named)
def test_a_test_that_is_named_exists(link: Link) -> None:
    file = (link.page.parent / link.target).resolve()
    assert file.is_relative_to(ROOT / "tests")
    assert link.text == file.name or link.text in functions_in(file)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_test_is_named_without_a_link(page: Path) -> None:
    without_links = re.sub(r"\[[^\]]*\]\([^)]*\)", "", prose(page))
    without_known = without_links.replace("test_path", "")
    assert re.findall(r"\btest_\w+", without_known) == []


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.target).resolve() for link in links() if link.page == index}
    assert {page for page in PAGES if page.parent.parent == index.parent} <= linked


# Definitions --------------------------------------------------------------------------------------------


def data_of(block: Block) -> dict[str, typing.Any]:
    from ruamel.yaml import YAML

    found = YAML(typ="safe").load(block.text)
    return found if isinstance(found, dict) else {}


@pytest.mark.parametrize("block", blocks("yaml"), ids=named)
def test_a_definition_loads(block: Block, tmp_path: Path) -> None:
    sections = set(data_of(block))
    assert sections <= {field.alias or name for name, field in JobModel.model_fields.items()}
    if sections:
        file = tmp_path / "job.yaml"
        least = "" if sections & {"submit", "status", "result"} else "result: {}\n"
        file.write_text(block.text + least)
        AsyncJob.load(file, partial=not sections >= COMPLETE)


# Python -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jobs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for DAG files; ``jobs/`` has the whole definitions of three how-tos and of the examples.

    ``site/`` has the package of "Publish a definition".
    """
    folder = tmp_path_factory.mktemp("dags")
    (folder / "jobs").mkdir()
    pages = {
        "report": "write-a-definition.md",
        "orders": "test-your-dag.md",
        "contacts_import": "from-five-api-calls.md",
        "crm_import": "send-data-in.md",
    }
    for name, page in pages.items():
        found = [block for block in blocks("yaml") if block.page.name == page and "name" in data_of(block)]
        assert len(found) == 1
        (folder / "jobs" / f"{name}.yaml").write_text(found[0].text)
    for file in (ROOT / "dags" / "jobs").glob("*.yaml"):
        shutil.copy(file, folder / "jobs")
    (acme,) = (block.text for block in blocks("yaml") if data_of(block).get("name") == "acme/orders")
    lay(folder / "site", "acme-jobs", "acme_jobs", {"acme_jobs/acme/orders.yaml": acme})
    return folder


@pytest.mark.parametrize("block", blocks("python"), ids=named)
def test_python_compiles(block: Block) -> None:
    compile(textwrap.dedent(block.text), named(block), "exec")


DAG_BLOCKS = [
    block
    for block in blocks("python")
    if any(f"{word}(" in block.text or f"{word}." in block.text for word in DAG_WORDS)
]


@pytest.mark.parametrize("block", DAG_BLOCKS, ids=named)
def test_a_dag_file_parses(block: Block, jobs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    file = jobs_folder / f"{block.page.stem.replace('-', '_')}_{block.number}.py"
    whole = "with DAG(" in block.text
    file.write_text(block.text if whole else DAG_FILE.format(body=textwrap.indent(block.text, "    ")))
    monkeypatch.chdir(jobs_folder)
    monkeypatch.syspath_prepend(jobs_folder / "site")
    made: list[DAG] = []
    enter = DAG.__enter__
    monkeypatch.setattr(DAG, "__enter__", lambda self: made.append(self) or enter(self))
    runpy.run_path(str(file))
    (dag,) = made
    assert dag.task_ids
    DagSerialization.to_dict(dag)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Give a folder with the definition and the DAG that "Test your DAG" begins with."""
    page = ROOT / "docs" / "how-to" / "test-your-dag.md"
    definition, dag = (
        block.text for block in blocks("yaml", "python") if block.page == page and block.number < 3
    )
    (tmp_path / "dags" / "jobs").mkdir(parents=True)
    (tmp_path / "dags" / "jobs" / "orders.yaml").write_text(definition)
    (tmp_path / "dags" / "orders.py").write_text(dag)
    return tmp_path


def test_the_examples_of_tests_pass(example: Path) -> None:
    page = [block for block in blocks("python") if block.page.name == "test-your-dag.md"]
    tests = [block.text for block in page if re.search(r"fake_job_server|runpy", block.text)]
    (example / "test_example.py").write_text("\n".join(tests))
    done = run_in(example, "pytest", "-q", "-p", "airflow_asyncjob.testing.plugin", "test_example.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(tests)} passed" in done.stdout
    assert len(tests) == 2


def without_what_varies(text: str) -> str:
    text = re.sub(r"http://127.0.0.1:\d+", "http://127.0.0.1:8000", text)
    text = re.sub(r"\d\d:\d\d:\d\d", "00:00:00", text)
    return re.sub(r"(in|after) [\d.]+ s", r"\1 0 s", text)


def test_the_run_that_is_shown_is_what_a_run_prints(example: Path) -> None:
    (block,) = (block for block in blocks("text") if block.text.startswith("$ asyncjob run"))
    command, *lines = block.text.splitlines()
    with FakeJobServer("generic") as server:
        arguments = shlex.split(command.replace("http://127.0.0.1:8000", server.url))[2:]
        done = run_in(example, "airflow_asyncjob", *arguments)
    assert done.returncode == 0
    assert without_what_varies(done.stderr + done.stdout).splitlines() == [*map(without_what_varies, lines)]


@pytest.mark.parametrize(
    ("fault", "begins"),
    [
        ({"kind": "answer", "code": 200, "body": '{"status":"PAUSED"}'}, "The API's status is unknown"),
        ({"kind": 401}, "The API wants credentials"),
    ],
)
def test_the_errors_that_are_shown_are_what_is_said(
    fault: dict[str, typing.Any], begins: str, example: Path
) -> None:
    (shown,) = (block.text.strip() for block in blocks("text") if block.text.startswith(begins))
    with FakeJobServer("generic") as server:
        server.faults.add("poll", **fault)
        done = run_in(example, "airflow_asyncjob", "run", "dags/jobs/orders.yaml", "--base-url", server.url)
    assert re.sub(r"job-\d", "job-1", without_what_varies(shown)) in without_what_varies(done.stderr)


# The command line ---------------------------------------------------------------------------------------


def options_of_commands() -> dict[str, set[str]]:
    """Return the options of each command, as its help shows them."""
    found = {}
    for command in ("run", "jobs", "validate", "schema", "list", "show", "new"):
        done = subprocess.run(
            [sys.executable, "-m", "airflow_asyncjob", command, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        found[command] = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", done.stdout))
    return found


def command_lines() -> list[tuple[str, str]]:
    """Return every ``asyncjob ...`` of the documentation, with its page."""
    found = []
    for block in blocks("sh", "text", ""):
        text = block.text.replace("\\\n", " ")
        found += [(named(block), line) for line in text.splitlines() if re.search(r"\basyncjob [a-z]", line)]
    for page in PAGES:
        inline = re.findall(r"`([^`]*)`", prose(page))
        found += [(named(page), text) for text in inline if re.match(r"asyncjob [a-z]", text)]
    return found


def test_every_command_and_option_exists() -> None:
    options = options_of_commands()
    lines = command_lines()
    assert len(lines) > 10
    for page, line in lines:
        used = re.search(r"\basyncjob ([a-z]+)", line)
        assert used is not None
        assert used[1] in options, f"{page}: {line}"
        own = line[used.start() :].partition("|")[0]
        unknown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", own)) - options[used[1]]
        assert not unknown, f"{page}: {line}"


def test_every_option_that_is_explained_exists() -> None:
    known = set(itertools.chain(*options_of_commands().values()))
    said = set(re.findall(r"`(--[a-z-]+)", prose(ROOT / "docs" / "how-to" / "command-line.md")))
    assert len(said) > 5
    assert said <= known


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        said = re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE)
        assert set(said) <= targets, page


# The connection -----------------------------------------------------------------------------------------


def test_the_form_of_the_connection_is_explained() -> None:
    from airflow_asyncjob.provider_info import get_provider_info

    page = (ROOT / "docs" / "how-to" / "connections.md").read_text()
    (kind,) = get_provider_info()["connection-types"]
    for key, field in kind["conn-fields"].items():
        assert f"| {field['label']} | `{key}` |" in page
    for auth in filter(None, kind["conn-fields"]["auth_type"]["schema"]["enum"]):
        assert f"`{auth}`" in page


def test_the_readme_s_definition_is_what_it_says(tmp_path: Path) -> None:
    (block,) = (block for block in blocks("yaml") if block.page == ROOT / "README.md")
    file = tmp_path / "contacts_export.yaml"
    file.write_text(block.text)
    shown, packaged = AsyncJob.load(file).to_dict(), AsyncJob.load("sendgrid/contacts_export").to_dict()
    assert shown["name"] == packaged["name"]
    assert shown["status"]["values"] == packaged["status"]["values"]
    assert json.dumps(shown["result"]) == json.dumps(packaged["result"])
