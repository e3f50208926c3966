"""Records without a second one of the same key."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import compress
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.errors import FormatError
from airflow_asyncjob.results.source import Row

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_KEYS", "distinct_batches", "distinct_rows"]

log = logging.getLogger(__name__)
MOST_KEYS = 10_000_000
"""Different keys at most: of each a digest of 16 bytes is held, which takes about 100 bytes of memory."""


def distinct_rows(rows: Iterable[Row], key: tuple[str, ...]) -> Iterator[Row]:
    """Yield the first record of each key.

    :param key: names of fields.
    :raises FormatError: a record has no value in a field of the key; or there are more than 10 million keys.
    """
    seen = _Seen(key)
    for row in rows:
        record = row[0]
        if seen.is_new([record.get(name) for name in key]):
            yield row
    seen.tell()


def distinct_batches(batches: Iterable[pa.RecordBatch], key: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Yield the batches with the first record of each key; see :func:`distinct_rows`."""
    import pyarrow as pa

    seen = _Seen(key)
    for batch in batches:
        columns = [batch.column(name).to_pylist() for name in key]
        new = [seen.is_new(values) for values in zip(*columns, strict=True)]
        if all(new):
            yield batch
        else:
            yield batch.take(pa.array(compress(range(len(new)), new), pa.int64()))
    seen.tell()


class _Seen:
    def __init__(self, key: tuple[str, ...]) -> None:
        self._key = key
        self._digests: set[bytes] = set()
        self._count = 0

    def is_new(self, values: Iterable[Any]) -> bool:
        self._count += 1
        values = list(values)
        for name, value in zip(self._key, values, strict=True):
            if value is None or value == "":
                raise FormatError(
                    f"record {self._count} has no value in {name}, which primary_key names, so that nothing "
                    "says whether it is a duplicate. Correct primary_key, or leave drop_duplicates out."
                )
        digest = blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._digests:
            return False
        if len(self._digests) == MOST_KEYS:
            raise FormatError(
                f"there are more than {MOST_KEYS:,} different values of primary_key, and drop_duplicates "
                "holds no more in memory. Leave it out, and remove duplicates where the data are loaded."
            )
        self._digests.add(digest)
        return True

    def tell(self) -> None:
        dropped = self._count - len(self._digests)
        if dropped:
            log.info("%s of %s records were dropped, as duplicates by %s", dropped, self._count, self._key)
