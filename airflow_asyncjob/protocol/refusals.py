"""Refusals: the records that an API names as refused in an answer, as they are written down.

One entry for a record: ``key`` (the caller's fields that name it, or None), ``number`` (its place in the
upload, from 1, or None), ``stage``, ``reason``, ``record`` (None here: it is found again in the source) and
``answer``, the API's own entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_asyncjob.definition.extract import describe_body
from airflow_asyncjob.definition.models.upload import Rejected
from airflow_asyncjob.definition.paths import Matches, path_value
from airflow_asyncjob.definition.problems import kind_of
from airflow_asyncjob.definition.values import MISSING
from airflow_asyncjob.errors import UnreadableError

__all__ = ["key_by_fields", "place_of", "reason_text", "refused_in"]


def refused_in(
    rejected: Rejected, body: Any, *, stage: str, keys: Sequence[str], first: int, records: int, where: str
) -> tuple[dict[str, Any], ...]:
    """Return an entry for each record that an answer refuses; where it names none, none is refused.

    :param body: the answer, parsed.
    :param stage: ``upload`` or ``job``.
    :param keys: the caller's fields that name a record (``upload.key``).
    :param first: number of the record that ``index_base`` stands for.
    :param records: how many records the answer is about; an index beyond them names none.
    :param where: the section, for messages, such as ``submit.steps[1].rejects``.
    :raises UnreadableError: something else than a list is there, or a path does not work on an entry.
    """
    found = body if rejected.records is None else _plain(path_value(rejected.records, body))
    if found is None:
        return ()
    if isinstance(found, Mapping) and rejected.records is not None:
        found = [found]  # the only element of its name in XML
    if not isinstance(found, list):
        place = "the answer" if rejected.records is None else f"path {rejected.records!r}"
        raise UnreadableError(
            f"{where}.records: {place} is {kind_of(found)}, and a list of refused records is expected; "
            f"{describe_body(body)}"
        )
    if rejected.when is not None:
        found = [entry for entry in found if _read(rejected.when, entry)]
    return tuple(
        {
            "key": key_by_fields(_read(rejected.key, entry), keys),
            "number": place_of(_read(rejected.index, entry), rejected.index_base, first, records),
            "stage": stage,
            "reason": reason_text(_read(rejected.reason, entry)),
            "record": None,
            "answer": entry,
        }
        for entry in found
    )


def _read(path: str | None, entry: Any) -> Any:
    return None if path is None else _plain(path_value(path, entry))


def _plain(value: Any) -> Any:
    return None if value is MISSING else list(value) if isinstance(value, Matches) else value


def key_by_fields(value: Any, keys: Sequence[str]) -> dict[str, Any] | None:
    """Return a key as the caller has it: by its fields; None: the entry has none, or another one."""
    if value is None or not keys:
        return None
    if isinstance(value, Mapping):
        return {name: value.get(name) for name in keys}
    values = value if isinstance(value, list) else [value]
    return dict(zip(keys, values, strict=True)) if len(values) == len(keys) else None


def place_of(value: Any, base: int, first: int, records: int) -> int | None:
    """Return the number of a record in the upload, from 1; None: the entry names none of these records.

    :param value: what the entry says.
    :param base: what it says of the first of them.
    :param first: number of that one.
    :param records: how many there are.
    """
    try:
        place = int(value) - base
    except (TypeError, ValueError):
        return None
    return first + place if 0 <= place < records and not isinstance(value, bool) else None


def reason_text(value: Any) -> str | None:
    """Return a reason as text: of a list, all of it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(text for text in map(reason_text, value) if text)
    return json.dumps(value, ensure_ascii=False, default=str)
