"""Memory does not grow with the source: each way is run on a small and on a four times larger one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL, LARGE = 8, 32
ALLOWED = 10
"""MiB by which the peak may differ."""

pytestmark = pytest.mark.slow

PROGRAM = """
import gzip, resource, sys
from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.transport.upload import local_source
from airflow_asyncjob.uploads import PartReader, plan_upload

path, format, size = sys.argv[1], sys.argv[2], int(sys.argv[3]) * 2**20
ROW = b'%d,user%d@example.com,"' + b"some words, " * 60 + b'"\\n'
with (gzip.open(path, "wb", 1) if path.endswith(".gz") else open(path, "wb")) as file:
    made = number = 0
    file.write(b"id,mail,note\\n")
    while made < size:
        rows = b"".join(ROW % (n, n) for n in range(number, number + 1000))
        number += 1000
        made += len(rows)
        file.write(rows)

upload = Upload(source="{{ inputs.rows }}", format=format, part_bytes="2 MB")
names = {"inputs": {"rows": path}}
plan = plan_upload(upload, names, local_source)
assert plan.records == number
reader = PartReader(upload, names, local_source, plan)
for part in plan.parts:
    assert len(reader.body(part.number)) == part.bytes
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak(path: Path, format: str, size: int) -> int:
    command = [sys.executable, "-c", PROGRAM, str(path), format, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize(("name", "format"), [("r.csv", "csv"), ("r.csv.gz", "json")])
def test_memory_does_not_grow_with_the_source(name: str, format: str, tmp_path: Path) -> None:
    small, large = (peak(tmp_path / name, format, size) for size in (SMALL, LARGE))
    assert large - small <= ALLOWED, f"{small} MiB with {SMALL} MiB, {large} MiB with {LARGE} MiB"
