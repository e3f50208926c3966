"""What the tests of uploads are given: definitions, files, and parts read back."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.transport.upload import local_source
from airflow_asyncjob.uploads import PartReader, Plan, Reject, local_rejects, pieces_of, plan_upload


def upload(**fields: Any) -> Upload:
    return Upload.model_validate({"source": "{{ inputs.rows }}", **fields})


def named(rows: Any) -> dict[str, Any]:
    return {"inputs": {"rows": rows}, "ds": "2026-11-22"}


def plan(up: Upload, rows: Any, *, md5: bool = False) -> Plan:
    return plan_upload(up, named(rows), local_source, md5=md5)


def bodies(up: Upload, rows: Any) -> list[bytes]:
    """Return the bodies of all parts, in order."""
    planned = plan(up, rows)
    reader = PartReader(up, named(rows), local_source, planned)
    return [reader.body(part.number) for part in planned.parts]


def rejects(up: Upload, rows: Any) -> list[Reject]:
    return list(local_rejects(up, named(rows), local_source))


def pieces(up: Upload, rows: Any) -> list[dict[str, Any]]:
    return pieces_of(up, named(rows), local_source)


def written(path: Path, records: Sequence[Mapping[str, Any]]) -> str:
    """Write records as the suffix of a path says."""
    plain = path.name.removesuffix(".gz")
    if plain.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist([dict(record) for record in records]), path, row_group_size=7)
        return str(path)
    if plain.endswith((".csv", ".tsv")):
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter="\t" if plain.endswith(".tsv") else ",")
        writer.writerow(records[0])
        writer.writerows(record.values() for record in records)
        data = text.getvalue()
    elif plain.endswith(".json"):
        data = json.dumps(list(records), ensure_ascii=False)
    else:
        data = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    encoded = data.encode()
    path.write_bytes(gzip.compress(encoded) if path.suffix == ".gz" else encoded)
    return str(path)


def read_back(format: str, body: bytes) -> list[dict[str, Any]]:
    """Return the records of one part, whatever is around them."""
    text = body.decode()
    if format == "json":
        return list(json.loads(text))
    if format == "jsonl":
        return [json.loads(line) for line in text.split("\n")[:-1]]
    if format == "csv":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    root = ElementTree.fromstring(body)
    return [{field.tag: field.text or "" for field in row} for row in root.iter("row")]
