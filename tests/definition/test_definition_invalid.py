"""Definitions that are wrong: each says where, what, and what would be right, in plain words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.explain import field_names
from airflow_asyncjob.definition.models.status import Status
from airflow_asyncjob.definition.problems import InvalidDefinition
from airflow_asyncjob.definition.yaml12 import read_yaml

GOOD = """\
version: 1
name: a/b
inputs:
  day: {default: x}
submit:
  request: {url: /jobs, json: {a: 1}}
  id: id
  capture: {token: t}
status:
  request: {url: "/jobs/{{ submission_id }}"}
  path: state
  values: {running: [r], done: [d]}
  timeout: 1h
result:
  target: url
  format: csv
"""

PATH = re.compile(r"[a-z_]+([.\[][\w. {}*-]+\]?)*: ")

INVALID: dict[str, dict[str, Any]] = YAML(typ="safe", pure=True).load(
    (Path(__file__).parent / "invalid_definitions.yaml").read_text()
)


def messages(text: str) -> list[str]:
    with pytest.raises(InvalidDefinition) as caught:
        AsyncJob.load(read_yaml(text.encode(), "job.yaml").data)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("case", INVALID.values(), ids=INVALID.keys())
def test_a_mistake_is_said_in_plain_words(case: dict[str, Any]) -> None:
    assert GOOD.count(case["replace"]) == 1
    said = messages(GOOD.replace(case["replace"], case["by"]))
    for line in case["says"]:
        assert any(line in message for message in said), said
    for message in said:
        for jargon in ("Input should", "valid string", "type=", "pydantic", "Value error", "dictionary"):
            assert jargon not in message
        assert PATH.match(message), f"no field is named: {message}"


def test_the_good_definition_is_good() -> None:
    assert AsyncJob.load(read_yaml(GOOD.encode(), "job.yaml").data).name == "a/b"


def test_an_unknown_field_hides_nothing_else_of_its_section() -> None:
    said = messages(GOOD.replace("  path: state\n", "  path: state\n  polwait: 5\n  initial_wait: 2h\n"))
    assert said == [
        "status.polwait: unknown field; did you mean 'poll_wait'? Valid: " + ", ".join(field_names(Status)),
        "status.initial_wait: 7200 s is not before the end of timeout (3600 s): no poll would be sent",
    ]


def test_mistakes_of_all_kinds_are_shown_together() -> None:
    together = [
        "an unknown section",
        "a default of another type",
        "an unknown field",
        "a wrong path",
        "a value mapped twice",
        "a duration of words",
        "an unknown format",
    ]
    wrong = GOOD
    for name in together:
        wrong = wrong.replace(INVALID[name]["replace"], INVALID[name]["by"])
    said = messages(wrong)
    for name in together:
        assert any(INVALID[name]["says"][0] in message for message in said), (name, said)
