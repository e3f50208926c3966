"""The contacts of the fake Salesforce: what a query selects of them, and what becomes of a CSV with them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from airflow_asyncjob.testing.contacts import contact
from airflow_asyncjob.testing.records import Refused

__all__ = ["Ingested", "csv_of", "ingest", "queried", "query_of"]

_FIELDS = {
    "Id": "CONTACT_ID",
    "Email": "EMAIL",
    "FirstName": "FIRST_NAME",
    "LastName": "LAST_NAME",
    "MailingCity": "CITY",
    "MailingPostalCode": "POSTAL_CODE",
    "MailingCountry": "COUNTRY",
    "Phone": "PHONE_NUMBER",
    "External_Id__c": "EXTERNAL_ID",
    "CreatedDate": "CREATED_AT",
}
"""The fields that the fake knows, and where :func:`contact` has them."""
_QUERY = re.compile(r"SELECT\s+(.+?)\s+FROM\s+Contact\b(?:.*?\bLIMIT\s+(\d+))?.*", re.IGNORECASE | re.DOTALL)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_MOST_IN_FIELD = 32_000
_MOST_IN_RECORD = 400_000
_MOST_FIELDS = 5_000


@dataclass
class Ingested:
    """The records of one ingest job: those that are good, bad, or were not processed.

    ``good`` holds the numbers and IDs, ``bad`` the numbers and errors; numbers count from 1.
    """

    names: list[str] = field(default_factory=list)
    key: str = "Email"
    rows: list[list[str]] = field(default_factory=list)
    good: dict[int, str] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)

    def stop_after(self, processed: int) -> None:
        """Leave all records but the first ones unprocessed."""
        self.left = list(range(processed + 1, len(self.rows) + 1))
        self.good = {number: value for number, value in self.good.items() if number <= processed}
        self.bad = {number: value for number, value in self.bad.items() if number <= processed}

    def account(self, job_id: str) -> tuple[list[str], list[Refused]]:
        """Return the keys of the good records, and the others with their reasons."""
        place = self.names.index(self.key) if self.key in self.names else 0
        reasons = {**self.bad, **dict.fromkeys(self.left, "not processed")}
        refused = [
            Refused(job_id, number, self._value(number, place), reason)
            for number, reason in sorted(reasons.items())
        ]
        return [self._value(number, place) for number in self.good], refused

    def _value(self, number: int, place: int) -> str:
        row = self.rows[number - 1]
        return row[place] if place < len(row) else ""

    def csv(self, which: str) -> bytes:
        """Return successfulResults, failedResults or unprocessedrecords."""
        if which == "unprocessedrecords":
            return csv_of(self.names, (self.rows[number - 1] for number in self.left))
        if which == "failedResults":
            rows = (["", error, *self.rows[number - 1]] for number, error in self.bad.items())
            return csv_of(["sf__Id", "sf__Error", *self.names], rows)
        made = ([one, "true", *self.rows[number - 1]] for number, one in self.good.items())
        return csv_of(["sf__Id", "sf__Created", *self.names], made)


def csv_of(names: Iterable[str], rows: Iterable[Iterable[str]]) -> bytes:
    """Return CSV as Salesforce writes it: every value in quotes, lines end with a line feed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue().encode()


def query_of(query: Any) -> tuple[list[str], int | None]:
    """Return the fields and the limit of a query.

    :raises ValueError: it is none that the fake understands.
    """
    match = _QUERY.fullmatch(query.strip()) if isinstance(query, str) else None
    if match is None:
        raise ValueError("unexpected token: give SELECT fields FROM Contact")
    fields = [name.strip() for name in match[1].split(",")]
    unknown = [name for name in fields if name not in _FIELDS]
    if unknown:
        raise ValueError(f"No such column '{unknown[0]}' on entity 'Contact'; known: {', '.join(_FIELDS)}")
    return fields, int(match[2]) if match[2] else None


def queried(query: str, number: int) -> list[str]:
    """Return what a query selects of one contact."""
    data = contact(number)
    return [data[_FIELDS[name]] for name in query_of(query)[0]]


def ingest(body: BinaryIO, job: Mapping[str, Any]) -> tuple[Ingested, str]:
    """Judge the records of a CSV.

    :returns: the records, and why the whole job fails; empty: it does not.
    """
    text = io.TextIOWrapper(body, "utf-8-sig", newline="")
    try:
        return _judged(text, job)
    except (UnicodeDecodeError, csv.Error) as error:
        return Ingested(), f"InvalidBatch : the content is no CSV in UTF-8: {error}"
    finally:
        text.detach()


def _judged(text: io.TextIOWrapper, job: Mapping[str, Any]) -> tuple[Ingested, str]:
    first = text.readline()
    ending = "CRLF" if first.endswith("\r\n") else "LF"
    wanted = job.get("lineEnding", "LF")
    text.seek(0)
    reader = csv.reader(text, strict=True)
    names = next(reader, [])
    external = job.get("externalIdFieldName")
    found = Ingested(names, external or "Email", list(reader))
    if first and ending != wanted:
        return (
            found,
            f"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {wanted}",
        )
    unknown = [name for name in names if name not in _FIELDS]
    if unknown or len(names) > _MOST_FIELDS:
        return found, f"InvalidBatch : Field name not found : {unknown[0] if unknown else names[-1]}"
    if external and external not in names:
        return found, f"InvalidBatch : Field name not found : {external}"
    seen: set[str] = set()
    for number, row in enumerate(found.rows, 1):
        values = dict(zip(names, row, strict=False))
        error = _error_of(values, len(row) == len(names), external, seen, job["operation"])
        if error:
            found.bad[number] = error
        else:
            found.good[number] = f"003{number:012d}AAA"
        seen.add(values.get(external, "") if external else "")
    return found, ""


def _error_of(
    values: Mapping[str, str], whole: bool, external: str | None, seen: set[str], operation: str
) -> str:
    if not whole:
        return "INVALID_RECORD:The number of values is not that of the header:--"
    long = [name for name, value in values.items() if len(value) > _MOST_IN_FIELD]
    if long or sum(map(len, values.values())) > _MOST_IN_RECORD:
        return f"STRING_TOO_LONG:data value too large (max length={_MOST_IN_FIELD}):{', '.join(long)} --"
    if operation in ("insert", "upsert") and not values.get("LastName"):
        return "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"
    email = values.get("Email", "")
    if email and not _EMAIL.fullmatch(email):
        return f"INVALID_EMAIL_ADDRESS:Email: invalid email address: {email}:Email --"
    if external and not values.get(external):
        return f"MISSING_ARGUMENT:{external} not specified:{external} --"
    if external and values[external] in seen:
        return f"DUPLICATE_VALUE:Duplicate external id specified: {values[external]}:{external} --"
    return ""
