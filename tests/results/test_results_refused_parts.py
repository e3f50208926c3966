"""What the answers to an upload refused, kept part by part beside the rejects, and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest

from airflow_asyncjob.errors import DestinationError
from airflow_asyncjob.results.refused_parts import RefusedParts


def entry(number: int) -> dict[str, Any]:
    return {"key": {"id": number}, "number": number, "stage": "upload", "reason": "x", "answer": {"ü": 1.5}}


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path)
    return f"memory://{tmp_path.name}"


def listed(folder: str) -> list[str]:
    fs, path = fsspec.url_to_fs(folder)
    return sorted(name.removeprefix(path).lstrip("/") for name in fs.find(path))


def test_parts_are_kept_read_in_order_and_removed(folder: str) -> None:
    parts = RefusedParts(f"{folder}/contacts.parquet")
    assert list(parts.entries()) == []
    parts.write(10, [entry(4)])
    parts.write(2, [entry(1), entry(2)])
    parts.write(100000, [entry(5)])
    parts.write(3, [entry(9)])
    parts.write(3, [entry(3)])  # its answer was lost, and it was sent again
    parts.write(4, [entry(9)])
    parts.write(4, [])
    kept = "contacts.rejects.parts"
    names = [f"{kept}/{name}.jsonl" for name in ("00002", "00003", "00010", "100000")]
    assert listed(folder) == names
    again = RefusedParts(f"{folder}/contacts.parquet")
    assert [one["number"] for one in again.entries()] == [1, 2, 3, 4, 5]
    assert next(again.entries())["key"] == {"id": 1}
    again.remove()
    assert listed(folder) == []
    again.remove()


def test_they_are_taken_back_out_of_the_rejects_they_were_merged_into(folder: str) -> None:
    parts = RefusedParts(f"{folder}/contacts.csv")
    parts.restore()
    assert listed(folder) == [], "there was nothing to take them from"
    fs, path = fsspec.url_to_fs(f"{folder}/contacts.rejects.jsonl")
    lines = [{**entry(1), "stage": "local"}, entry(2), {**entry(3), "stage": "job"}, entry(4)]
    fs.pipe_file(path, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    parts.restore()
    assert [one["number"] for one in parts.entries()] == [2, 4]
    parts.write(2, [entry(5)])
    parts.restore()
    assert [one["number"] for one in parts.entries()] == [2, 4, 5], "those that are here are as they were"


def test_a_folder_has_them_in_it(tmp_path: Path) -> None:
    RefusedParts(f"{tmp_path}/in/").write(1, [entry(1)])
    assert listed(str(tmp_path)) == ["in/rejects.parts/00001.jsonl"]


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "a.rejects.parts").write_text("")
    parts = RefusedParts(f"{tmp_path}/a.csv")
    with pytest.raises(DestinationError, match=r"a\.rejects\.parts/00001\.jsonl cannot be written"):
        parts.write(1, [entry(1)])
    with pytest.raises(DestinationError, match=r"a\.rejects\.parts cannot be written"):
        parts.remove()
