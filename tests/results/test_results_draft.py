"""JSON Lines whose first row groups are written before the last record came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_asyncjob.errors import FormatError
from tests.results.given import read_back, write

LONG = "x" * 2**20
GROUPS = 19
FIRST = '{"id": 1, "price": 1.10, "name": "%s", "on": true, "none": null, "late": "2026-11-22"}'
LINES = [FIRST % LONG] * GROUPS
"""More than one row group of 16 MiB: the first one is written when these have come."""


@pytest.mark.parametrize(
    "later",
    [
        [],
        [FIRST % "short", "{}", '{"id": 2}', '{"id": null, "price": 3}'],
        ['{"id": 2, "new": 1}', FIRST % "short"],
        ['{"id": 2.5}', '{"id": 3}'],
        ['{"none": 7}', '{"none": 8, "id": 9007199254740991}'],
        ['{"price": "free"}', '{"price": 2.50}'],
        ['{"id": 9007199254740993, "price": 12345678901234567890}'],
        ['{"id": 5, "part": {"a": [1.10]}}', '{"id": 6}'],
        ['{"id": 5, "id": 6}', '{"id": 7}'],
    ],
)
def test_what_comes_after_a_row_group_changes_what_came_before(tmp_path: Path, later: list[str]) -> None:
    import pyarrow.parquet as pq

    lines = [*LINES, *later]
    arguments = {"primary_key": ("id",)}
    # A piece of its own is a block of its own.
    bodies = [("\n".join(LINES) + "\n").encode(), *((line + "\n").encode() for line in later)]
    write(bodies, tmp_path / "lines.parquet", piece=2**20, format="jsonl", **arguments)
    write(f"[{','.join(lines)}]".encode(), tmp_path / "list.parquet", piece=2**20, format="json", **arguments)
    found, expected = pq.read_table(tmp_path / "lines.parquet"), pq.read_table(tmp_path / "list.parquet")
    assert found.equals(expected)
    assert found.num_rows == len(lines)
    metadata = pq.read_metadata(tmp_path / "lines.parquet")
    assert json.loads(metadata.metadata[b"primary_key"]) == ["id"]
    assert metadata.num_row_groups >= 2


def test_columns_may_come_until_the_first_row_group_is_full(tmp_path: Path) -> None:
    bodies = [b'{"a": null}\n', b'{"b": 1}\n', b'{"b": 2.5, "a": "x"}\n']
    assert write(bodies, tmp_path / "a.parquet", format="jsonl").records == 3
    assert read_back(tmp_path / "a.parquet") == [
        {"a": None, "b": None},
        {"a": None, "b": 1.0},
        {"a": "x", "b": 2.5},
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ['{"a": "}",', '"b": "{"} null', '{"c": 1}'],
        ['{"a": "}", "b":', '"{"}null', "{}"],
        ['{"a": 1}', "null {}", '{"a": 2}'],
        ["null", '{"a": 1}'],
        ['{"a": 1}', "null"],
    ],
)
def test_a_null_among_the_records(tmp_path: Path, lines: list[str]) -> None:
    """Arrow reads it as a record of nulls, and crashes where it comes first."""
    with pytest.raises(FormatError, match=r"record \d (in line \d is not JSON|is null, not an object)"):
        write("\n".join(lines).encode(), tmp_path / "a.parquet", format="jsonl", piece=10_000)
    assert list(tmp_path.iterdir()) == []
