"""Upload: records that a submit sends, cut into parts under the API's limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, StrictBool, StrictInt, field_validator, model_validator

from airflow_asyncjob.definition.models.base import ByteSize, Json, Model, Words, mistakes
from airflow_asyncjob.definition.models.records import (
    ColumnType,
    Csv,
    known_encoding,
    told_apart,
    wrong_record_path,
)
from airflow_asyncjob.definition.models.refusal import Refusal
from airflow_asyncjob.definition.problems import did_you_mean, shown

__all__ = ["Read", "Rejected", "Upload", "WrittenCsv"]

ReadFormat = Literal["csv", "tsv", "json", "jsonl", "parquet"]
PartFormat = Literal["json", "jsonl", "csv", "xml"]


class Read(Model):
    """How a file with the caller's records is read."""

    format: ReadFormat | None = Field(
        default=None,
        description="null: as the file's suffix says: .csv, .tsv, .json, .jsonl, .ndjson or .parquet, all "
        "but the last also with .gz.",
    )
    encoding: str | None = Field(
        default=None,
        description="Of the text, such as cp1252 or utf-16; null: UTF-8. A byte order mark is dropped.",
    )
    csv: Csv = Field(
        default_factory=Csv,
        description="Of CSV and TSV: delimiter, quotes, header, where they are unusual.",
    )
    records: str | None = Field(
        default=None,
        description="Of JSON: dotted path to the list of records, such as data.items; null: the document "
        "itself is the list.",
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        return known_encoding(value)

    @model_validator(mode="after")
    def _nothing_ignored(self) -> Read:
        found: list[tuple[str, str]] = []
        if self.format is not None and self.format not in ("csv", "tsv") and self.csv != Csv():
            found.append(
                ("csv", f"would be ignored: it goes with csv and tsv, and `format` is {self.format}")
            )
        if self.format == "parquet" and self.encoding is not None:
            found.append(("encoding", "would be ignored: it is for text, and `format` is parquet"))
        if self.records is not None:
            found += wrong_record_path(self.records, self.format or "json")
        if found:
            raise mistakes(found)
        return self


class Rejected(Refusal):
    """Where the answer to a part lists the records of it that the API refused."""

    records: str | None = Field(
        default=None,
        description="Path to the list of refused records in the answer: a JMESPath, or with a leading / one "
        "of XML local names. null: the answer is the list.",
    )


class WrittenCsv(Model):
    """How a part is written as CSV."""

    delimiter: str = Field(default=",", description="Between two values, one character.")
    quote: str = Field(
        default='"',
        description="Around a value that holds a delimiter, a quote or a line break, one character; doubled "
        "within it.",
    )
    header: StrictBool = Field(default=True, description="true: each part begins with a line of the names.")

    @model_validator(mode="after")
    def _characters(self) -> WrittenCsv:
        found = told_apart(self, ("delimiter", "quote"))
        if found:
            raise mistakes(found)
        return self


class Upload(Model):
    """Records that the submit sends: where they come from, what each becomes, and how large a part may be."""

    source: str = Field(
        description="Template of the records, such as '{{ inputs.contacts }}', over inputs and the names of "
        "the run: a list of mappings, a path or URI of a file, or a piece of one."
    )
    read: Read = Field(default_factory=Read, description="How a file is read.")
    fields: dict[str, str] | None = Field(
        default=None,
        description="The API's field: JMESPath into the caller's record. In JSON and XML a dotted name makes "
        "an object in an object. null: every field as it is.",
    )
    types: dict[str, ColumnType] = Field(
        default_factory=dict,
        description="The API's field: type. Values of CSV are text unless named here. A record with a value "
        "that cannot be read so is not sent.",
    )
    required: Words = Field(
        default=(),
        description='The API\'s field or fields that a record must have, and neither null nor "". A record '
        "without is not sent.",
    )
    key: Words = Field(
        default=(),
        description="Field or fields of the caller's record that name it in rejects and errors; none: its "
        "number does.",
    )
    format: PartFormat = Field(default="json", description="How a part is written.")
    wrap: Json = Field(
        default=None,
        description="Tree around each record, with '{{ record }}' once as a value; under the name '*' its "
        "fields stand among the others. '{{ number }}' is its number among those sent, from 1. For XML "
        "required: its root is the element of a record. null: the record itself. Not for CSV.",
    )
    envelope: Json = Field(
        default=None,
        description="Tree around the records of a part, with '{{ records }}' as one value (in XML: the "
        "content of an element, or its #text); other texts are templates over inputs and the names of the "
        "run. For XML required. null: a list. Not for JSON Lines and CSV.",
    )
    csv: WrittenCsv = Field(
        default_factory=WrittenCsv, description="With format csv: delimiter, quotes, header."
    )
    part_bytes: ByteSize | None = Field(
        default=None,
        description="Largest body of one request, envelope and CSV header included: bytes, or text such as "
        '"32MB" or "6 MiB". null: 64 MiB.',
    )
    part_records: StrictInt | None = Field(
        default=None, ge=1, description="Most records of one request; null: any number."
    )
    job_bytes: ByteSize | None = Field(
        default=None,
        description="Largest total of all bodies of one job, as part_bytes; what is more is for further "
        "jobs. null: any.",
    )
    job_records: StrictInt | None = Field(
        default=None, ge=1, description="Most records of one job; null: any number."
    )
    on_invalid: Literal["reject", "fail"] = Field(
        default="reject",
        description="A record that cannot be mapped, or that is larger than a part. reject: it is not sent, "
        "and written to the rejects; fail: nothing is sent.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Upload:
        found = [*self._ignored(), *self._trees(), *self._unknown_fields()]
        if found:
            raise mistakes(found)
        return self

    def _ignored(self) -> list[tuple[str, str]]:
        said = f"would be ignored: `format` is {self.format}"
        found = []
        if self.csv != WrittenCsv() and self.format != "csv":
            found.append(("csv", said))
        if self.wrap is not None and self.format == "csv":
            found.append(("wrap", said))
        if self.envelope is not None and self.format in ("csv", "jsonl"):
            found.append(("envelope", f"{said}, which has nothing around its lines"))
        return found

    def _trees(self) -> list[tuple[str, str]]:
        if self.format != "xml":
            return []
        found = []
        for field, root in (("wrap", "the element of a record"), ("envelope", "the root of the document")):
            tree = getattr(self, field)
            if tree is None:
                found.append((field, f"required with xml: a mapping with one element, {root}"))
            elif not isinstance(tree, Mapping) or len(tree) != 1:
                found.append((field, f"is {shown(tree)}; with xml it is a mapping with one element, {root}"))
        return found

    def _unknown_fields(self) -> list[tuple[str, str]]:
        if self.fields is None:
            return []
        if not self.fields:
            return [("fields", "is empty, so that no field would be left; leave it out for all fields")]
        known = list(self.fields)
        found = [
            (place, f"{name!r} is not in `fields`; {did_you_mean(name, known, label='Mapped')}")
            for place, names in (("types", tuple(self.types)), ("required", self.required))
            for name in names
            if name not in self.fields
        ]
        if self.format != "csv":
            found += [
                ("fields", f"{name!r} makes an object of {outer!r}, which is a field of its own")
                for name in known
                for outer in _outer(name)
                if outer in self.fields
            ]
        return found


def _outer(name: str) -> list[str]:
    """Return the objects that a dotted name lies in: of ``a.b.c``, ``a`` and ``a.b``."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]
