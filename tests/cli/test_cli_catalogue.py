"""list, show, new --from: definitions by name on the command line, also those of another package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.catalogue import packaged_names
from tests.cli.command import ROOT, Asyncjob
from tests.definition.installed import definition_text, lay

EXPORT = "sendgrid/contacts_export"


@pytest.fixture
def acme(asyncjob: Asyncjob, tmp_path: Path) -> Path:
    """Install a package with two definitions, one of them with a mistake, for the commands of this test."""
    site = tmp_path / "site"
    files = {
        "acme_jobs/acme/orders.yaml": definition_text(),
        "acme_jobs/acme/wrong.yaml": definition_text("acme/wrong") + "polling: 3\n",
        f"acme_jobs/{EXPORT}.yaml": definition_text(EXPORT),
    }
    lay(site, "acme-jobs", "acme_jobs", files)
    lay(site, "gone-jobs", "gone_jobs", {})
    asyncjob.environment["PYTHONPATH"] = f"{ROOT}:{site}"
    return site / "acme_jobs"


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()]


# list ----------------------------------------------------------------------------------------------


def test_the_list_has_name_description_and_origin(asyncjob: Asyncjob) -> None:
    ran = asyncjob.here("list")
    assert (ran.code, ran.stderr) == (0, "")
    head, *rows = cells(ran.stdout)
    assert head == ["name", "description", "from"]
    assert [row[0] for row in rows] == packaged_names()
    assert [EXPORT, AsyncJob.load(EXPORT).description, "airflow-asyncjob"] in rows


def test_the_list_has_what_another_package_adds_and_tells_what_is_wrong(
    asyncjob: Asyncjob, acme: Path
) -> None:
    ran = asyncjob("list")
    assert ran.code == 0
    rows = cells(ran.stdout)
    assert ["acme/orders", "Orders.", "acme-jobs 1.2"] in rows
    assert ["acme/wrong", "(cannot be loaded)", "acme-jobs 1.2"] in rows
    assert len([row for row in rows if row[0] == EXPORT]) == 1
    broken, unused, wrong = ran.stderr.splitlines()
    assert broken.startswith("warning: the definitions of gone-jobs 1.2 cannot be read: there is no module")
    assert unused.startswith(f"warning: the definition {EXPORT} of acme-jobs 1.2 is not loaded: ")
    assert wrong.startswith(f"warning: {acme}/acme/wrong.yaml:10: polling: unknown field; ")


def test_the_list_for_programs(asyncjob: Asyncjob, acme: Path) -> None:
    ran = asyncjob("list", "--output", "json")
    assert ran.code == 0
    found = {row["name"]: row for row in ran.last["definitions"]}
    assert found["acme/orders"] == {
        "name": "acme/orders",
        "description": "Orders.",
        "from": "acme-jobs 1.2",
        "file": str(acme / "acme" / "orders.yaml"),
        "error": None,
    }
    assert "polling: unknown field" in found["acme/wrong"]["error"]
    assert {EXPORT, "acme/orders", "acme/wrong"} <= set(found)
    assert len(ran.last["warnings"]) == 2


# show ----------------------------------------------------------------------------------------------


def test_show_gives_the_file_and_what_to_know_of_it(asyncjob: Asyncjob) -> None:
    ran = asyncjob.here("show", EXPORT)
    assert (ran.code, ran.stderr) == (0, "")
    file = ROOT / "airflow_asyncjob" / "catalogue" / f"{EXPORT}.yaml"
    assert ran.stdout.startswith(file.read_text())
    facts = ran.stdout.removeprefix(file.read_text())
    assert f"{EXPORT}: All contacts, or those of lists or segments, as CSV." in facts
    assert f"from airflow-asyncjob: {file}" in facts
    assert "\nconnection: type http, host https://api.sendgrid.com, password an API key with access" in facts
    rows = cells(facts)
    assert ["list_ids", "list", "[]", AsyncJob.load(EXPORT).inputs["list_ids"].description] in rows
    assert ["status.initial_wait", "30 s"] in rows
    assert ["status.timeout", "2 h"] in rows


def test_show_for_programs(asyncjob: Asyncjob) -> None:
    shown = asyncjob.here("show", EXPORT, "--output", "json").last
    assert {key: shown[key] for key in ("name", "from", "auth")} == {
        "name": EXPORT,
        "from": "airflow-asyncjob",
        "auth": "bearer",
    }
    assert shown["inputs"][2] == {
        "name": "max_file_size",
        "type": "integer",
        "required": False,
        "default": 5000,
        "description": "Largest file in MB; a larger export comes in several files, which become one.",
    }
    assert shown["limits"]["status.poll_wait"] == "10 s"
    assert AsyncJob.load(YAML(typ="safe").load(shown["text"])) == AsyncJob.load(EXPORT)


def test_show_takes_a_file_and_says_what_its_kind_of_authentication_needs(asyncjob: Asyncjob) -> None:
    auth = {"type": "api_key", "header": "X-Key"}
    file = asyncjob.define(auth=auth, limits={"requests_per_second": 2, "read_timeout": "2m"})
    ran = asyncjob.here("show", file)
    assert ran.code == 0, ran.stderr
    assert "connection: type http, host: the address; api_key: the key as password.\n" in ran.stdout
    assert "\nfrom " not in ran.stdout
    rows = cells(ran.stdout)
    assert ["limits.requests_per_second", "2"] in rows
    assert ["limits.read_timeout", "2 min"] in rows
    plain = asyncjob.here("show", asyncjob.define(), "--output", "json").last
    assert plain["connection"] == "type http, host: the address; a login without more is basic."
    assert (plain["file"], plain["from"], plain["auth"]) == ("job.yaml", None, None)


def test_show_says_how_refused_records_are_told(asyncjob: Asyncjob) -> None:
    rejects = {"request": {"url": "/jobs/{{ submission_id }}/rejects"}, "key": "id", "reason": "why"}
    file = asyncjob.define(result={"rejects": rejects, "on_rejects": "fail", "tolerated": 3})
    assert asyncjob.here("show", file, "--output", "json").last["rejects"] == {
        "result.rejects.key": "id",
        "result.rejects.reason": "why",
        "result.on_rejects": "fail",
        "result.tolerated": "3",
    }
    assert ["result.on_rejects", "fail"] in cells(asyncjob.here("show", file).stdout)
    assert asyncjob.here("show", EXPORT, "--output", "json").last["rejects"] == {}


def test_show_of_a_wrong_name_lists_close_ones(asyncjob: Asyncjob, acme: Path) -> None:
    ran = asyncjob("show", "acme/order")
    assert ran.code == 2
    assert "did you mean 'acme/orders'" in ran.stderr
    assert "the definitions of gone-jobs 1.2 cannot be read" in ran.stderr
    assert ran.stdout == ""


def test_a_definition_of_another_package_is_used_and_what_is_broken_is_told_once(
    asyncjob: Asyncjob, acme: Path
) -> None:
    ran = asyncjob("validate", "acme/orders")
    assert (ran.code, ran.stdout) == (0, "acme/orders: valid\n")
    assert ran.stderr.startswith("warning: the definitions of gone-jobs 1.2 cannot be read: ")
    assert len(ran.stderr.splitlines()) == 1


# new --from ----------------------------------------------------------------------------------------


def test_new_copies_a_definition_with_its_comments_under_a_new_name(asyncjob: Asyncjob) -> None:
    ran = asyncjob.here("new", "shop/contacts", "--from", EXPORT)
    assert (ran.code, ran.stdout) == (0, "")
    assert ran.stderr == (
        "shop/contacts.yaml is written. Change what you need, then: asyncjob validate shop/contacts.yaml\n"
    )
    text = (asyncjob.folder / "shop" / "contacts.yaml").read_text()
    original = (ROOT / "airflow_asyncjob" / "catalogue" / f"{EXPORT}.yaml").read_text()
    assert text == f"# Copied from {EXPORT} of airflow-asyncjob.\n" + original.replace(
        f"name: {EXPORT}", "name: shop/contacts"
    )
    copied = AsyncJob.load(asyncjob.folder / "shop" / "contacts.yaml").to_dict()
    assert copied == {**AsyncJob.load(EXPORT).to_dict(), "name": "shop/contacts"}


def test_new_writes_where_it_is_told_and_overwrites_only_when_told(asyncjob: Asyncjob) -> None:
    target = asyncjob.folder / "jobs" / "mine.yaml"
    arguments = ("new", "shop/contacts", "--from", EXPORT, "--output", "jobs/mine.yaml")
    assert asyncjob.here(*arguments).code == 0
    assert AsyncJob.load(target).name == "shop/contacts"
    target.write_text("mine")
    refused = asyncjob.here(*arguments)
    assert refused.code == 1
    assert "jobs/mine.yaml exists; --force overwrites it" in refused.stderr
    assert target.read_text() == "mine"
    assert asyncjob.here(*arguments, "--force").code == 0
    assert AsyncJob.load(target).name == "shop/contacts"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shop/x",), "say what the definition is started from: --from NAME, or --from-curl"),
        (("shop/x", "--from", EXPORT, "--from-curl"), "say what the definition is started from"),
        (("--from", EXPORT), "--from goes with one name, that of the new definition"),
        (("a", "b", "--from", EXPORT), "--from goes with one name"),
        (("x", "--from", "sendgrid/contact_export"), f"did you mean '{EXPORT}'"),
        (("jobs/x.yaml", "--from", EXPORT), "'jobs/x.yaml' is not a name, such as shop/contacts"),
        (("../x", "--from", EXPORT), "'../x' is not a name"),
    ],
)
def test_new_says_what_is_wrong_and_writes_nothing(
    asyncjob: Asyncjob, arguments: tuple[str, ...], message: str
) -> None:
    ran = asyncjob.here("new", *arguments)
    assert ran.code == 2
    assert message in ran.stderr
    assert list(asyncjob.folder.iterdir()) == []


# completion ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "word", "completed"),
    [
        ("asyncjob show sendgrid/contacts_e", 2, EXPORT),
        ("asyncjob run acme/o", 2, "acme/orders"),
        ("asyncjob new shop/x --from ogc", 4, "ogc/process"),
        ("asyncjob li", 1, "list"),
    ],
)
def test_the_shell_completes_commands_and_names(
    asyncjob: Asyncjob, acme: Path, typed: str, word: int, completed: str
) -> None:
    asyncjob.environment |= {
        "_ASYNCJOB_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(word),
    }
    assert asyncjob().stdout.split() == [completed]


def test_the_json_of_an_unknown_name_is_an_error_object(asyncjob: Asyncjob) -> None:
    ran = asyncjob.here("show", "zzz", "--output", "json")
    assert ran.code == 2
    assert json.loads(ran.stdout)["error"] == "DefinitionError"
