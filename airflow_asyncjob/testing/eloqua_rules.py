"""What the fake of Eloqua's Bulk API accepts: definitions and records. Sources: see :mod:`~.eloqua`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FIELDS", "STATEMENT", "Staging", "problem_of"]

STATEMENT = re.compile(r"\{\{Contact\.(Id|CreatedAt|UpdatedAt|Field\((C_\w+)\))\}\}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
FIELDS = {
    "C_EmailAddress": "EMAIL",
    "C_FirstName": "FIRST_NAME",
    "C_LastName": "LAST_NAME",
    "C_City": "CITY",
    "C_Zip_Postal": "POSTAL_CODE",
    "C_Country": "COUNTRY",
}
"""The contact fields that the fake knows, and where :func:`contact` has them."""
_DURATION = re.compile(r"P(?=.)(\d+D)?(T(\d+H)?(\d+M)?)?")
_MOST_FIELDS = {"exports": 250, "imports": 100}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "exports": ("filter", "maxRecords", "areSystemTimestampsInUTC"),
    "imports": (
        "identifierFieldName",
        "isSyncTriggeredOnImport",
        "isUpdatingMultipleMatchedRecords",
        "updateRule",
        "importPriorityUri",
    ),
}
_UPDATE_RULES = ("always", "ifNewIsNotNull", "ifExistingIsNull", "useFieldRule")


@dataclass
class Staging:
    """What was uploaded since the last sync, each record judged."""

    size: int = 0
    uploads: int = 0
    records: int = 0
    accepted: dict[str, None] = field(default_factory=dict)
    rejects: list[dict[str, Any]] = field(default_factory=list)

    def judge(self, record: Any, definition: dict[str, Any]) -> None:
        """Accept or refuse one uploaded record."""
        identifier = definition["identifierFieldName"]
        is_email = definition["fields"][identifier] == "{{Contact.Field(C_EmailAddress)}}"
        self.records += 1
        values = record if isinstance(record, dict) else {}
        key = values.get(identifier)
        if not isinstance(record, dict) or any(isinstance(value, (list, dict)) for value in values.values()):
            code, message = "ELQ-00032", "Malformed record."
        elif not isinstance(key, str) or not key:
            code, message = "ELQ-00061", "Missing field."
        elif is_email and not _EMAIL.fullmatch(key):
            code, message = "ELQ-00002", "Invalid email address."
        elif key in self.accepted:
            code, message = "ELQ-00026", "Duplicate identifier."
        else:
            self.accepted[key] = None
            return
        self.rejects.append(
            {
                "fieldValues": values,
                "invalidFields": [identifier],
                "message": message,
                "statusCode": code,
                "recordIndex": self.records,
            }
        )


def problem_of(kind: str, given: dict[str, Any]) -> tuple[str, str] | None:
    """Return the field of a definition that is wrong, and what is wrong with it; None: nothing."""
    known = ("name", "fields", "autoDeleteDuration", "dataRetentionDuration", *_OPTIONAL[kind])
    for name in given:
        if name not in known:
            return name, f"is not known; valid: {', '.join(known)}"
    title, fields = given.get("name"), given.get("fields")
    if not isinstance(title, str) or not 1 <= len(title) <= 100:
        return "name", "must be a text of 1 to 100 characters"
    if not isinstance(fields, dict) or not 1 <= len(fields) <= _MOST_FIELDS[kind]:
        return "fields", f"must be an object with 1 to {_MOST_FIELDS[kind]} fields"
    for one, statement in fields.items():
        match = STATEMENT.fullmatch(statement) if isinstance(statement, str) else None
        if match is None or (match[2] and match[2] not in FIELDS):
            example = "{{Contact.Field(C_EmailAddress)}}"
            return f"fields.{one}", f"must be a statement such as {example}; fields: {', '.join(FIELDS)}"
    for one in ("autoDeleteDuration", "dataRetentionDuration"):
        if one in given and not (isinstance(given[one], str) and _DURATION.fullmatch(given[one])):
            return one, "must be an ISO 8601 duration such as P7D"
    if len(given.get("filter") or "") > 1000:
        return "filter", "must have at most 1,000 characters"
    if kind == "imports":
        if given.get("identifierFieldName") not in fields:
            return "identifierFieldName", "must be one of the fields"
        if not isinstance(given.get("isSyncTriggeredOnImport", True), bool):
            return "isSyncTriggeredOnImport", "must be true or false"
        if given.get("updateRule", "always") not in _UPDATE_RULES:
            return "updateRule", f"must be one of {', '.join(_UPDATE_RULES)}"
    return None
