"""What the tests of results share: a source that is given its bytes, and readers that are not our own."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.results import Manifest, write_result

SENT = "GET https://api.example.com/files/7"
OWN = ("limit", "output_format", "state", "decompressed_bytes")


@dataclass
class Given:
    """A download whose bytes are known, in pieces of any size."""

    data: bytes
    name: str = "file"
    sent: str = SENT
    piece: int = 1000
    closed: bool = False
    asked: int = field(default=0)

    def chunks(self) -> Iterator[bytes]:
        try:
            for start in range(0, len(self.data), self.piece):
                self.asked += 1
                yield self.data[start : start + self.piece]
        finally:
            self.closed = True


class Broken(Given):
    """A download that breaks off with an error of the exchange."""

    error: Exception = ConnectionResetError("the other side hung up")

    def chunks(self) -> Iterator[bytes]:
        yield from super().chunks()
        raise self.error


def write(data: bytes | list[bytes], path: Path | str, *, piece: int = 1000, **arguments: Any) -> Manifest:
    """Write with the arguments of Records, and with those of write_result."""
    own = {name: arguments.pop(name) for name in OWN if name in arguments}
    listed = data if isinstance(data, list) else [data]
    return write_result([Given(each, piece=piece) for each in listed], Records(**arguments), path, **own)


def read_back(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file by its name, read with other code than ours."""
    name = path.name
    if name.endswith(".parquet"):
        import pyarrow.parquet

        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return rows
    data = path.read_bytes()
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
    if ".csv" in name:
        return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    return [json.loads(line) for line in text.split("\n") if line]


def parquet_types(path: Path) -> dict[str, str]:
    """Return the types of a Parquet file's columns."""
    import pyarrow.parquet

    schema = pyarrow.parquet.read_schema(path)
    return {name: str(schema.field(name).type) for name in schema.names}
