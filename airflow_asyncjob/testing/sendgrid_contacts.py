"""The contacts of the fake of SendGrid's import: which are taken, and what becomes of each.

Sources: see :mod:`airflow_asyncjob.testing.sendgrid_imports`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.testing.api import Received
from airflow_asyncjob.testing.reading import iso_time
from airflow_asyncjob.testing.records import Refused

__all__ = [
    "FIELDS",
    "ContactImport",
    "described_fields",
    "problem_of_contacts",
    "problem_of_import",
]

_MOST_CONTACTS = 1_000_000
FIELDS = ("email", "first_name", "last_name", "city", "postal_code", "country", "external_id")
"""The reserved fields that the fake knows; ``loyalty`` is its custom field."""
_CUSTOM = "loyalty"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_IDENTIFIERS = ("email", "external_id")
"""At least one of them must be there."""


@dataclass
class ContactImport:
    """One import, from its file or from JSON.

    :param mapping: field of each column, null to skip it; None: it came as JSON.
    :param started_at: when its contacts came; None: they have not.
    :param failed: why none of it can be processed.
    """

    created_at: float
    mapping: list[str | None] | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started_at: float | None = None
    failed: str = ""
    accepted: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The path of its file at the file host."""
        return f"/imports/{self.id}.csv"

    @property
    def errors_path(self) -> str:
        """The path of its errors at the file host."""
        return f"/errors/{self.id}.csv"

    def status(self, now: float, seconds: float) -> str:
        """Return what it is at a time: it takes some seconds from when its contacts came."""
        if self.started_at is None or now < self.started_at + seconds:
            return "pending"
        if self.failed or not self.accepted:
            return "failed"
        return "errored" if self.refused else "completed"

    def described(self, now: float, seconds: float, errors_url: str) -> dict[str, Any]:
        """Return what its status says."""
        status = self.status(now, seconds)
        described: dict[str, Any] = {"id": self.id, "status": status, "job_type": "upsert"}
        if status == "pending":
            return described
        assert self.started_at is not None
        results = {
            "requested_count": len(self.accepted) + len(self.refused),
            "created_count": len(self.accepted),
            "updated_count": 0,
            "errored_count": len(self.refused),
        }
        described["results"] = {**results, "errors_url": errors_url} if self.refused else results
        times = (iso_time(self.started_at), iso_time(self.started_at + seconds))
        return {**described, "started_at": times[0], "finished_at": times[1]}

    def errors(self) -> bytes:
        """Return the file of its errors."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["email", "row", "error"])
        writer.writerows([one.key or "", one.number, one.reason] for one in self.refused)
        return out.getvalue().encode()

    def take_file(self, request: Received, now: float) -> None:
        """Take the file that was put at the upload address."""
        assert self.mapping is not None
        self.started_at = now
        try:
            self.accepted, self.refused = _judged(self.id, _rows_of(request, self.mapping))
        except (ValueError, csv.Error, OSError) as error:
            self.failed = str(error)

    def refuse_all(self, reason: str) -> None:
        """Refuse the accepted contacts, too."""
        number = len(self.refused)
        self.refused += [
            Refused(self.id, number + place, key, reason) for place, key in enumerate(self.accepted, 1)
        ]
        self.accepted = []

    def take_contacts(self, contacts: list[Any], now: float) -> None:
        """Take contacts that came as JSON."""
        self.started_at = now
        self.accepted, self.refused = _judged(self.id, contacts)


def described_fields() -> dict[str, Any]:
    """Return all field definitions."""
    reserved = [
        {"id": f"_rf{number}_T", "name": name, "field_type": "Text"} for number, name in enumerate(FIELDS, 2)
    ]
    return {
        "reserved_fields": reserved,
        "custom_fields": [{"id": "e1_T", "name": _CUSTOM, "field_type": "Text"}],
    }


def _field_ids() -> dict[str, str]:
    """Return ID: name of all fields."""
    described = described_fields()
    return {one["id"]: one["name"] for one in (*described["reserved_fields"], *described["custom_fields"])}


def _rows_of(request: Received, mapping: list[str | None]) -> Iterator[dict[str, str]]:
    """Yield the contacts of a file, with the names of the fields.

    :raises ValueError: it does not fit the mapping, or is no CSV in UTF-8.
    """
    known = _field_ids()
    file = request.open()
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    with gzip.GzipFile(fileobj=file) if zipped else nullcontext(file) as plain:
        text = io.TextIOWrapper(plain, "utf-8-sig", newline="")
        try:
            reader = csv.reader(text, strict=True)
            for number, row in enumerate(reader):
                if len(row) != len(mapping):
                    raise ValueError(
                        "Failed to preprocess input csv: we were unable to upload your contacts because the "
                        "field mapping doesn't match the CSV."
                    )
                if number > _MOST_CONTACTS:
                    raise ValueError(f"the file has more than {_MOST_CONTACTS:,} contacts")
                if number:
                    yield {known[one]: value for one, value in zip(mapping, row, strict=True) if one}
        finally:
            text.detach()


def _judged(job_id: str, contacts: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[Refused]]:
    """Return the keys of the contacts that are accepted, and the others with their reasons."""
    accepted: list[str] = []
    refused: list[Refused] = []
    for number, contact in enumerate(contacts, 1):
        key = next((contact[name] for name in _IDENTIFIERS if contact.get(name)), None)
        if key is None:
            refused.append(Refused(job_id, number, None, "at least one identifier is required"))
        elif contact.get("email") and not _EMAIL.fullmatch(str(contact["email"])):
            refused.append(Refused(job_id, number, key, "email is not a valid address"))
        else:
            accepted.append(str(key))
    return accepted, refused


def problem_of_import(given: Any) -> tuple[str | None, str] | None:
    """Return the field of a request for an import that is wrong, and what is wrong; None: nothing."""
    if not isinstance(given, dict):
        return None, "the request body is not a JSON object"
    for name in given:
        if name not in ("list_ids", "file_type", "field_mappings"):
            return name, "unknown field; valid: list_ids, file_type, field_mappings"
    if given.get("file_type") != "csv":
        return "file_type", "must be csv"
    mapping, known = given.get("field_mappings"), _field_ids()
    if (
        not isinstance(mapping, list)
        or not mapping
        or any(one is not None and one not in known for one in mapping)
    ):
        return "field_mappings", f"must be a list with an ID or null for each column; IDs: {', '.join(known)}"
    if not any(one and known[one] in _IDENTIFIERS for one in mapping):
        return "field_mappings", "at least one identifier is required"
    return _problem_of_lists(given)


def problem_of_contacts(
    request: Received, most_bytes: int, most: int
) -> tuple[list[Any], tuple[str | None, str] | None]:
    """Return the contacts of a request, and the field that is wrong with what is wrong; None: nothing."""
    if request.size > most_bytes:
        return [], (None, f"the request has {request.size} bytes; {most_bytes} at most")
    try:
        given = json.loads(request.body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return [], (None, "the request body is not a JSON object")
    contacts = given.get("contacts")
    if not isinstance(contacts, list) or not 1 <= len(contacts) <= most:
        return [], ("contacts", f"must be a list of 1 to {most} contacts")
    for number, contact in enumerate(contacts):
        if not isinstance(contact, dict):
            return [], (f"contacts.{number}", "must be an object")
        for name in contact:
            if name not in (*FIELDS, "custom_fields"):
                return [], (f"contacts.{number}.{name}", "unknown field")
    for name in given:
        if name not in ("list_ids", "contacts"):
            return [], (name, "unknown field; valid: list_ids, contacts")
    return contacts, _problem_of_lists(given)


def _problem_of_lists(given: Mapping[str, Any]) -> tuple[str, str] | None:
    lists = given.get("list_ids", [])
    if not isinstance(lists, list) or any(not isinstance(one, str) for one in lists):
        return "list_ids", "must be a list of strings"
    return None
