"""The first rows of a result that was written, where the definition asks for them (``result.preview_rows``).

They are read from the written file, so that they show what a reader of it gets.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_asyncjob.hooks.storage import source_of

if TYPE_CHECKING:
    from airflow_asyncjob.results.manifest import Manifest

__all__ = ["first_rows"]

_MOST_BYTES = 1024 * 1024
"""Of a file of text, for its first rows; a line that is longer is left out."""


def first_rows(manifest: Manifest, number: int) -> list[Mapping[str, Any]]:
    """Return the first rows of a result; none of a raw one, which nobody has read as records.

    :raises UploadError: the file cannot be read.
    """
    if manifest.format == "raw" or not manifest.uris:
        return []
    uri = manifest.uris[0]
    with source_of(uri).open() as opened:
        if manifest.format == "parquet":
            return _of_parquet(opened, number)
        if uri.endswith(".gz"):
            with gzip.open(opened) as plain:
                start = plain.read(_MOST_BYTES)
        else:
            start = opened.read(_MOST_BYTES)
    whole = start if len(start) < _MOST_BYTES else start[: start.rfind(b"\n") + 1]
    text = io.StringIO(whole.decode("utf-8-sig", "replace"), newline="")
    if manifest.format == "csv":
        return list(islice(csv.DictReader(text), number))
    return [_record(json.loads(line)) for line in islice(text, number)]


def _of_parquet(opened: BinaryIO, number: int) -> list[Mapping[str, Any]]:
    import pyarrow.parquet as parquet

    batches = parquet.ParquetFile(opened).iter_batches(batch_size=number)
    first = next(batches, None)
    return [] if first is None else first.to_pylist()[:number]


def _record(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"value": value}
