"""Imports of the generic fake API: created, fed with records part by part, then started as a job."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from airflow_asyncjob.testing.api import Received, Reply, json_reply
from airflow_asyncjob.testing.plan import Plan
from airflow_asyncjob.testing.reading import json_body, media_type
from airflow_asyncjob.testing.records import Records, Refused

__all__ = ["Import", "Imports"]

_FIELDS = ("part_bytes", "part_records", "key", "refuse", "job")


@dataclass
class Import:
    """One import.

    :param part_bytes: largest body of a request with records; None: any.
    :param part_records: most records of one; None: any.
    :param key: field that identifies a record.
    :param refuse: key of a record: why it is refused.
    :param job: how the job goes that it becomes.
    :param parts: numbers of the parts that came with PUT.
    :param started: the ID of the job that it became; None: not yet.
    """

    id: str
    part_bytes: int | None = None
    part_records: int | None = None
    key: str = "email"
    refuse: Mapping[str, str] = field(default_factory=dict)
    job: Plan = field(default_factory=Plan)
    parts: set[int] = field(default_factory=set)
    started: str | None = None


class Imports:
    """The imports of one server; its caller holds a lock.

    :param records: accounts for every record, by the ID of its import.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._imports: dict[str, Import] = {}
        self._keys: dict[str, Import] = {}

    def find(self, import_id: str) -> Import | None:
        """Return an import; None: there is none."""
        return self._imports.get(import_id)

    def create(self, request: Received, key: str | None) -> Reply:
        """Begin an import, or return the one that this idempotency key began."""
        one = self._keys.get(key) if key is not None else None
        created = one is None
        if one is None:
            given = json_body(request)
            if not isinstance(given, dict) or not set(given) <= set(_FIELDS):
                return json_reply(400, {"error": f"an import is a JSON object with {', '.join(_FIELDS)}"})
            try:
                plan = Plan.parse(json.dumps(given.pop("job", {})).encode())
            except ValueError as error:
                return json_reply(400, {"error": str(error)})
            one = Import(f"import-{len(self._imports) + 1}", **given, job=plan)
            self._imports[one.id] = one
            if key is not None:
                self._keys[key] = one
        body = {"id": one.id, "data": f"/imports/{one.id}/data"}
        return json_reply(201 if created else 200, body)

    def take(self, one: Import, request: Received, part: int | None) -> Reply:
        """Take the records of one request.

        :param part: the number that PUT gives them: the same one again changes nothing; None: they are added.
        """
        if one.started is not None:
            return json_reply(409, {"error": f"{one.id} was started: it takes no more records"})
        if one.part_bytes is not None and request.size > one.part_bytes:
            return json_reply(413, {"error": f"{request.size} bytes, and {one.part_bytes} are allowed"})
        try:
            found = list(_records_of(request))
        except (ValueError, ElementTree.ParseError) as error:
            return json_reply(400, {"error": f"the body cannot be read: {error}"})
        except LookupError as error:
            return json_reply(415, {"error": str(error)})
        if one.part_records is not None and len(found) > one.part_records:
            return json_reply(413, {"error": f"{len(found)} records, and {one.part_records} are allowed"})
        keys = [str(record.get(one.key)) for record in found]
        refused = [(row, key) for row, key in enumerate(keys) if key in one.refuse]
        if part is None or part not in one.parts:
            told = [Refused(one.id, row + 1, key, one.refuse[key]) for row, key in refused]
            self._records.add(one.id, [key for key in keys if key not in one.refuse], told)
        if part is not None:
            one.parts.add(part)
        errors = [{"row": row, one.key: key, "message": one.refuse[key]} for row, key in refused]
        return json_reply(200, {"received": len(found), "errors": errors})


def _records_of(request: Received) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a body, which is what its Content-Type says.

    :raises ValueError: it is not.
    :raises LookupError: it is of none of the types that are known.
    """
    kind = media_type(request)
    text = request.body.decode("utf-8")
    if kind == "application/json":
        given = json.loads(text)
        yield from _mappings(given["records"] if isinstance(given, dict) and "records" in given else given)
    elif kind == "application/x-ndjson":
        yield from _mappings([json.loads(line) for line in text.splitlines()])
    elif kind == "text/csv":
        yield from csv.DictReader(io.StringIO(text, newline=""))
    elif kind == "application/xml":
        # Its clients are tests: what they send is not hostile.
        yield from ({field.tag: field.text for field in record} for record in ElementTree.fromstring(text))  # noqa: S314
    else:
        raise LookupError(f"Content-Type {kind!r}: expected JSON, JSON Lines (x-ndjson), CSV or XML")


def _mappings(given: Any) -> list[Mapping[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(record, dict) for record in given):
        raise ValueError("expected a list of objects")
    return given
