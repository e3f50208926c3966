"""Memory does not grow with the result: each way through is run on a small and on a four times larger one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL, LARGE = 20, 80
ALLOWED = {"a.parquet": 60}
"""MiB by which the peak may differ, if not 25: the smaller result does not fill a row group of Parquet."""

pytestmark = pytest.mark.slow

PROGRAM = """
import gzip, resource, sys, zlib
from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.results import write_result

way, output, size = sys.argv[1], sys.argv[2], int(sys.argv[3]) * 2**20
START = {"csv": b"id,name,note\\n", "json": b'{"data": {"items": [', "jsonl": b"", "raw": b"",
         "xml": b"<r><i>"}
END = {"csv": b"", "json": b'{"id": 0}], "more": []}}', "jsonl": b"", "raw": b"",
       "xml": b"</i></r>"}
huge = "huge" in way
TEXT = b"some words " * (50_000 if huge else 30)
AT_ONCE = 1 if huge else 500
ROW = {
    "csv": b'%d,"name, %d","line one\\nline two ' + TEXT + b'"\\n',
    "json": b'{"id": %d, "name": "name %d", "score": 1.25, "tags": ["a", "b"], "text": "' + TEXT + b'"},',
    "jsonl": b'{"id": %d, "name": "name %d", "score": 1.25, "tags": ["a", "b"], "text": "' + TEXT + b'"}\\n',
    "raw": b"%d and %d are bytes\\n",
    "xml": b'<item id="%d"><name>name %d</name><tag>a</tag><tag>b</tag><text>' + TEXT + b"</text></item>",
}

class Generated:
    name, sent = "a", "GET https://api.example.com/files/7"
    def plain(self):
        yield START[kind]
        made = number = 0
        while made < size:
            rows = b"".join(ROW[kind] % (n, n) for n in range(number, number + AT_ONCE))
            number += AT_ONCE
            made += len(rows)
            yield rows
        yield END[kind]
    def chunks(self):
        if not packed:
            yield from self.plain()
            return
        packer = zlib.compressobj(1, wbits=31)
        for chunk in self.plain():
            yield packer.compress(chunk)
        yield packer.flush()

kind, _, how = way.partition("+")
packed = "gzip" in how
arguments = {"format": kind}
if kind == "json":
    arguments["records"] = "data.items"
if kind == "xml":
    arguments["records"] = "/r/i/item"
if "select" in how:
    arguments["select"] = {"a": "id", "b": "join(' ', [name, name])"}
if "types" in how:
    arguments["types"] = {"id": "integer"}
manifest = write_result([Generated()], Records(**arguments), output)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak(way: str, output: Path, size: int) -> int:
    """Return the most memory that a process held while it wrote a result of so many MiB, in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, way, str(output), str(size)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return int(done.stdout)


@pytest.mark.parametrize(
    ("way", "output"),
    [
        ("raw", "a.bin"),
        ("raw+gzip", "a.gz"),
        ("csv+types", "a.parquet"),
        ("csv+gzip", "a.csv.gz"),
        ("csv+select", "a.jsonl"),
        ("json", "a.parquet"),
        ("json", "a.csv"),
        ("xml", "a.jsonl"),
        ("jsonl+gzip", "a.jsonl"),
        ("jsonl+select", "a.parquet"),
        ("jsonl+huge", "a.parquet"),
        ("csv+huge", "a.jsonl"),
    ],
)
def test_memory_does_not_grow_with_the_result(tmp_path: Path, way: str, output: str) -> None:
    small = peak(way, tmp_path / output, SMALL)
    large = peak(way, tmp_path / output, LARGE)
    assert large < small + ALLOWED.get(output, 25)
