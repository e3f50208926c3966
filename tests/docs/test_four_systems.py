"""Every row of "What four systems do" names fields that exist, and a test; or says that it is not here."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import pytest

from airflow_asyncjob.definition.catalogue import packaged_names
from airflow_asyncjob.definition.models.job import JobModel
from tests.docs.pages import ROOT

sys.path.insert(0, str(ROOT / "docs"))
from pages.definition import models_in

PAGE = (ROOT / "docs" / "explanation" / "four-systems.md").read_text()
SYSTEMS = ("Celigo", "Airbyte", "Grouparoo", "UpGates")
SECTIONS = {info.alias or name for name, info in JobModel.model_fields.items()}
NOT_HERE = ("**not here**", "**not yet**")


@dataclass(frozen=True)
class Row:
    system: str
    theirs: str
    here: str
    shown_by: str


def rows() -> list[Row]:
    found = []
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        cells = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("| ")]
        found += [Row(part.partition(":")[0], *(cell.strip(" |") for cell in row)) for row in cells[1:]]
    return found


ROWS = rows()


def test_all_four_are_there() -> None:
    counted = {system: sum(row.system == system for row in ROWS) for system in SYSTEMS}
    assert counted == {"Celigo": 16, "Airbyte": 22, "Grouparoo": 16, "UpGates": 8}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.system}-{row.theirs[:40]}")
def test_a_row_names_a_test_or_says_that_it_is_not_here(row: Row) -> None:
    # That the test exists is checked for every page: tests/docs/test_docs.py.
    assert row.theirs
    assert row.here
    assert re.search(r"\[test_\w+\]\(", row.shown_by) or any(words in row.here for words in NOT_HERE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.system}-{row.theirs[:40]}")
def test_the_fields_of_a_row_exist(row: Row) -> None:
    for path in re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)(?:: [^`]*)?`", row.here):
        first, *rest = path.split(".")
        if rest and first in SECTIONS:
            assert exists(path.split(".")), path


def test_the_definitions_that_are_named_ship() -> None:
    named = set(re.findall(r"\[(\w+/\w+)\]\(", PAGE))
    assert named
    assert named <= set(packaged_names())


def exists(path: list[str]) -> bool:
    """Tell whether a path leads to a field, through whichever models stand on the way."""
    models = [JobModel]
    for name in path:
        infos = [
            info for model in models for key, info in model.model_fields.items() if name in (key, info.alias)
        ]
        if not infos:
            return False
        models = [model for info in infos for model in models_in(info.annotation)]
    return True
