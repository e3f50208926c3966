"""The other commands: validate, schema, new, --version; and what the command line loads."""

from __future__ import annotations

import json
import sys

import pytest
from ruamel.yaml import YAML

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import DEFINITION, Asyncjob

CURL = """
curl -X POST https://api.example.com/jobs -H 'Authorization: Bearer s3cr3t' --json '{"a": 1}'
curl https://api.example.com/jobs/17 -H 'Authorization: Bearer s3cr3t'
curl https://api.example.com/jobs/17/result -H 'Authorization: Bearer s3cr3t'
"""


# validate ------------------------------------------------------------------------------------------


def test_valid_files_are_named(asyncjob: Asyncjob) -> None:
    ran = asyncjob("validate", asyncjob.define(), "sendgrid/contacts_export")
    assert (ran.code, ran.stdout) == (0, "job.yaml: valid\nsendgrid/contacts_export: valid\n")


def test_every_mistake_of_every_file_is_shown_with_its_line(asyncjob: Asyncjob) -> None:
    (asyncjob.folder / "one.yaml").write_text(
        "version: 1\nsubmit:\n  request: {url: /jobs}\n  idd: id\n"
        "status:\n  request: {url: '/{{ nonsense }}'}\n  path: status\n  values: {done: [ok], failed: [ok]}\n"
    )
    (asyncjob.folder / "two.yaml").write_text("version: 1\nversion: 2\n")
    ran = asyncjob.here("validate", "one.yaml", asyncjob.define(), "two.yaml", "three.yaml")
    assert ran.code == 2
    lines = ran.stdout.splitlines()
    assert any(line.startswith("one.yaml:4: submit.idd") for line in lines)
    assert any(line.startswith("one.yaml:6: status.request.url") and "nonsense" in line for line in lines)
    assert any(line.startswith("one.yaml:8: status.values") and "'ok'" in line for line in lines)
    assert any(line.startswith("two.yaml:2") for line in lines)
    assert "job.yaml: valid" in lines
    assert any(line.startswith("three.yaml: ") for line in lines)


def test_validate_for_programs(asyncjob: Asyncjob) -> None:
    asyncjob.write({"version": 1}, "bad.yaml")
    ran = asyncjob.here("validate", asyncjob.define(), "bad.yaml", "--output", "json")
    assert ran.code == 2
    assert ran.last["valid"] is False
    good, bad = ran.last["files"]
    assert good == {"file": "job.yaml", "valid": True, "errors": []}
    assert bad["file"] == "bad.yaml"
    assert bad["valid"] is False
    assert all(error.startswith("bad.yaml") for error in bad["errors"])


def test_what_new_left_is_a_mistake(asyncjob: Asyncjob) -> None:
    asyncjob.here("new", "--from-curl", "--output", "new.yaml", stdin=CURL)
    ran = asyncjob.here("validate", "new.yaml")
    assert ran.code == 2
    left = [line.split(" ")[1] for line in ran.stdout.splitlines()]
    assert left == ["FILL_IN_ID", "FILL_IN_STATUS", "FILL_IN_RUNNING", "FILL_IN_DONE", "FILL_IN_FAILED"]
    assert ran.stdout.startswith("new.yaml:")
    assert "write what the API has there" in ran.stdout


# new -----------------------------------------------------------------------------------------------


def test_new_reads_stdin_and_writes_stdout(asyncjob: Asyncjob) -> None:
    ran = asyncjob("new", "--from-curl", stdin=CURL)
    assert ran.code == 0
    definition = YAML(typ="safe", pure=True).load(ran.stdout)
    assert definition["status"]["request"] == {"url": "/jobs/{{ submission_id }}"}
    assert "s3cr3t" not in ran.stdout + ran.stderr


def test_new_reads_files_in_their_order(asyncjob: Asyncjob) -> None:
    lines = CURL.strip().splitlines()
    (asyncjob.folder / "a.sh").write_text(lines[0])
    (asyncjob.folder / "b.sh").write_text("\n".join(lines[1:]))
    assert (
        asyncjob.here("new", "--from-curl", "a.sh", "b.sh").stdout
        == asyncjob.here("new", "--from-curl", stdin=CURL).stdout
    )


def test_new_overwrites_only_when_told(asyncjob: Asyncjob) -> None:
    target = asyncjob.folder / "mine.yaml"
    target.write_text("mine")
    refused = asyncjob.here("new", "--from-curl", "--output", "mine.yaml", stdin=CURL)
    assert refused.code == 1
    assert "mine.yaml exists; --force overwrites it" in refused.stderr
    assert target.read_text() == "mine"
    forced = asyncjob.here("new", "--from-curl", "--output", "mine.yaml", "--force", stdin=CURL)
    assert forced.code == 0
    assert "asyncjob validate mine.yaml" in forced.stderr
    assert target.read_text().startswith("# Started from curl commands.")


def test_a_filled_draft_runs(asyncjob: Asyncjob) -> None:
    with FakeJobServer("generic", auth="bearer", credential="s3cr3t") as server:
        commands = CURL.replace("https://api.example.com", server.url).replace(
            "'{\"a\": 1}'", "'{\"rows\": 4}'"
        )
        draft = asyncjob.here("new", "--from-curl", stdin=commands.replace("17/result", "17/result/1")).stdout
        for placeholder, value in (
            ("FILL_IN_ID", "id"),
            ("FILL_IN_STATUS", "status"),
            ("FILL_IN_RUNNING", "running"),
            ("FILL_IN_DONE", "succeeded"),
            ("FILL_IN_FAILED", "failed"),
        ):
            draft = draft.replace(placeholder, value)
        (asyncjob.folder / "mine.yaml").write_text(draft.replace("format: raw", "format: csv"))
        assert asyncjob.here("validate", "mine.yaml").stdout == "mine.yaml: valid\n"
        connection = '{"password": "s3cr3t"}'
        ran = asyncjob(
            "run", "mine.yaml", "--base-url", server.url, "--destination", "-", connection=connection
        )
    assert ran.code == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("new",), "", "--from-curl"),
        (("new", "--from-curl"), "", "There is no curl command"),
        (("new", "--from-curl", "missing.sh"), "", "missing.sh cannot be read"),
        (("new", "--from-curl"), "curl 'https://h", "line 1: the quote"),
        (("bogus",), "", "No such command"),
    ],
)
def test_wrong_usage_exits_2_and_says_why(
    asyncjob: Asyncjob, arguments: tuple[str, ...], stdin: str, message: str
) -> None:
    ran = asyncjob.here(*arguments, stdin=stdin)
    assert ran.code == 2
    assert message in ran.stderr
    assert ran.stdout == ""


# The rest ------------------------------------------------------------------------------------------


def test_schema_is_a_json_schema_that_the_usual_definition_fits(asyncjob: Asyncjob) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    ran = asyncjob.here("schema")
    assert ran.code == 0
    schema = json.loads(ran.stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.validate(DEFINITION, schema)


def test_version_and_help(asyncjob: Asyncjob) -> None:
    assert asyncjob("--version").stdout.startswith("asyncjob")
    text = asyncjob.here("run", "--help").stdout
    for word in (
        "--base-url",
        "--set",
        "--destination",
        "--output",
        "--trace",
        "--limit",
        "ASYNCJOB_CONN",
        "130",
    ):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (("--version",), ("airflow", "httpx", "pyarrow", "rich", "jinja2", "ruamel.yaml")),
        (("schema",), ("airflow", "httpx", "pyarrow")),
        (("validate", "job.yaml"), ("airflow", "httpx", "pyarrow")),
        (
            ("run", "job.yaml", "--base-url", "http://127.0.0.1:9", "--destination", "x.jsonl"),
            ("airflow", "pyarrow"),
        ),
    ],
)
def test_commands_load_no_more_than_they_need(
    asyncjob: Asyncjob, arguments: tuple[str, ...], never: tuple[str, ...]
) -> None:
    asyncjob.define()
    program = (
        "import sys\n"
        "from airflow_asyncjob.cli import main\n"
        "try:\n"
        f"    main({list(arguments)!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print('loaded', [name for name in {never!r} if name in sys.modules])\n"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=asyncjob.folder, env=asyncjob.environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "loaded []"
