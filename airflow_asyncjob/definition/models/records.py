"""Records: how the bytes of a result are read as records."""

from __future__ import annotations

import codecs
from typing import Any, Literal, Self

from pydantic import Field, StrictBool, StrictInt, field_validator, model_validator

from airflow_asyncjob.definition.imported import CALLABLE_PATH
from airflow_asyncjob.definition.models.base import Model, Words, mistakes
from airflow_asyncjob.definition.problems import did_you_mean, shown
from airflow_asyncjob.definition.record_path import json_levels, xml_levels

__all__ = [
    "RECORD_FORMATS",
    "RECORD_SETTINGS",
    "ColumnType",
    "Csv",
    "Layout",
    "Records",
    "known_encoding",
    "told_apart",
    "wrong_record_path",
]

Format = Literal["raw", "json", "jsonl", "csv", "tsv", "xml"]
RECORD_FORMATS: tuple[Format, ...] = ("json", "jsonl", "csv", "tsv", "xml")
ColumnType = Literal["string", "integer", "number", "boolean", "date", "datetime", "json"]


RECORD_SETTINGS = (
    "records",
    "select",
    "types",
    "snake_case",
    "infer",
    "transform",
    "drop_duplicates",
    "primary_key",
)
"""What is done with single records, and so would be ignored where bytes are kept as they come."""


def known_encoding(value: str | None) -> str | None:
    """Return the name of an encoding, or None.

    :raises ValueError: there is no such encoding of text.
    """
    if value is None:
        return None
    try:
        found: Any = codecs.lookup(value)
    except (LookupError, ValueError):
        found = None
    # Python's codecs also hold such as base64 and rot13, which give no text from bytes.
    if found is None or not found._is_text_encoding or found.incrementaldecoder is None:
        raise ValueError(f"{shown(value)} is not an encoding; such as utf-8, utf-16, latin-1, cp1252")
    return value


def told_apart(model: Model, fields: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return what is wrong with the characters of a dialect: each is one of ASCII, and no other's."""
    found: list[tuple[str, str]] = []
    used: dict[str, str] = {}
    for field in fields:
        value = getattr(model, field)
        if value is None:
            continue
        if len(value) != 1 or not value.isascii() or value in "\r\n\0":
            found.append((field, f"{shown(value)} is not one ASCII character other than a line break"))
        elif value in used:
            found.append((field, f"{shown(value)} is the {used[value]} already"))
        used.setdefault(value, field)
    return found


def wrong_record_path(path: str, format: str) -> list[tuple[str, str]]:
    """Return what is wrong with the path to the records of a document."""
    if format not in ("json", "xml"):
        return [("records", f"is a path into a JSON or XML document, and `format` is {format}")]
    try:
        (json_levels if format == "json" else xml_levels)(path)
    except ValueError as error:
        return [("records", str(error))]
    return []


class Csv(Model):
    """How CSV or TSV is written down, where it is not as RFC 4180 has it."""

    delimiter: str | None = Field(
        default=None, description="Between two values, one character; null: a comma, with tsv a tab."
    )
    quote: str | None = Field(
        default='"',
        description="Around a value that holds a delimiter or a line break, one character; doubled within "
        "it. null: values are never quoted.",
    )
    escape: str | None = Field(
        default=None,
        description="Before a character that is meant as it is: one, such as a backslash; null: none.",
    )
    header: StrictBool | tuple[str, ...] = Field(
        default=True,
        description="true: the first line names the columns. A list: their names, where no line does.",
    )
    skip_lines: StrictInt = Field(
        default=0, ge=0, description="Lines to pass over at the start, before the header."
    )

    @field_validator("header", mode="before")
    @classmethod
    def _true_or_names(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
            return tuple(value)
        if isinstance(value, bool):
            return value
        raise ValueError(f"{shown(value)} is neither true nor a list of names")

    @model_validator(mode="after")
    def _characters(self) -> Csv:
        found = told_apart(self, ("delimiter", "quote", "escape"))
        if self.header is False:
            found.append(("header", "false leaves the columns without names; give a list of them"))
        elif isinstance(self.header, tuple):
            twice = sorted({name for name in self.header if self.header.count(name) > 1})
            if not self.header:
                found.append(("header", "is empty; give the names of the columns, or true"))
            elif twice:
                found.append(("header", f"names {', '.join(map(shown, twice))} more than once"))
        if found:
            raise mistakes(found)
        return self


class Layout(Model):
    """How records are written down in a body."""

    format: Format = Field(
        default="raw", description="raw: bytes as they come; json, jsonl, csv, tsv, xml: records."
    )
    encoding: str | None = Field(
        default=None,
        description="Of the text, such as cp1252 or utf-16; null: UTF-8. A byte order mark is dropped.",
    )
    csv: Csv = Field(
        default_factory=Csv,
        description="With csv and tsv: delimiter, quotes, header, where they are unusual.",
    )
    member: str | None = Field(
        default=None,
        description="In a ZIP archive of several files: which of them are the result, a name or a pattern "
        "such as *.csv. null: the archive holds one file.",
    )
    records: str | None = Field(
        default=None,
        description="With json: dotted path to the list of records, such as data.items or pages[*].items, or "
        "payload | fromjson where they lie in a text; null: the document itself is the list (or one record). "
        "With xml: names from the root to one record, such as /Report/Orders/Order.",
    )

    @property
    def tabular(self) -> bool:
        """Whether it is text in columns, with a header."""
        return self.format in ("csv", "tsv")

    def _wrong_path(self) -> list[tuple[str, str]]:
        if self.format == "xml" and self.records is None:
            return [("records", "required with xml: the path to one record, such as /Report/Orders/Order")]
        return [] if self.records is None else wrong_record_path(self.records, self.format)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        return known_encoding(value)

    @model_validator(mode="after")
    def _nothing_ignored(self) -> Self:
        found = self._contradictions()
        if found:
            raise mistakes(found)
        return self

    def _contradictions(self) -> list[tuple[str, str]]:
        found = self._wrong_path() if self.format != "raw" else []
        if not self.tabular and self.csv != Csv():
            found.append(
                ("csv", f"would be ignored: it goes with csv and tsv, and `format` is {self.format}")
            )
        return found


class Records(Layout):
    """How the bytes of a result are read. ``raw`` keeps them as they are."""

    select: dict[str, str] | None = Field(
        default=None,
        description="New name: JMESPath into the record. Chooses, renames, orders, adds. null: every field.",
    )
    types: dict[str, ColumnType] = Field(
        default_factory=dict,
        description="Field: type, after select. CSV values are strings unless named here.",
    )
    snake_case: StrictBool = Field(
        default=False,
        description="Name the fields in snake_case: OrderID becomes order_id. types and primary_key "
        "have the new names.",
    )
    infer: StrictBool = Field(
        default=False,
        description="With csv and tsv: give columns that types does not name the type of all their values, "
        "empty ones being null. What would not stay as it is, such as 00123, stays text.",
    )
    transform: str | None = Field(
        default=None,
        description="Python callable as package.module:name, after select and types: called with each record "
        "(a dict), it returns a dict, None or a list of dicts; with a parameter annotated "
        "pyarrow.RecordBatch or pyarrow.Table it is called with batches.",
    )
    drop_duplicates: StrictBool = Field(
        default=False,
        description="Keep the first record of each primary_key. Takes about 100 bytes of memory a key; 10 "
        "million at most.",
    )
    primary_key: Words = Field(
        default=(),
        description="Field or fields that identify a record; written to the manifest and the Parquet "
        "metadata.",
    )

    def _contradictions(self) -> list[tuple[str, str]]:
        found = super()._contradictions()
        if self.format == "raw":
            formats = ", ".join(RECORD_FORMATS)
            found += [
                (field, f"would be ignored, since `format` is raw; set it to one of: {formats}")
                for field in (*RECORD_SETTINGS, "encoding", "member")
                if getattr(self, field)
            ]
        if self.infer and self.format in ("json", "jsonl", "xml"):
            found.append(
                ("infer", f"would be ignored: it goes with csv and tsv, and `format` is {self.format}")
            )
        if self.drop_duplicates and self.format != "raw" and not self.primary_key:
            found.append(("drop_duplicates", "needs `primary_key`, which says what a duplicate is"))
        if self.snake_case and self.select:
            found.append(("snake_case", "would be ignored: `select` names the fields already"))
        if self.transform is not None and not CALLABLE_PATH.fullmatch(self.transform):
            what = "is not a callable's path, such as package.module:name"
            found.append(("transform", f"{shown(self.transform)} {what}"))
        return found + self._not_selected()

    def _not_selected(self) -> list[tuple[str, str]]:
        if self.select is None:
            return []
        if not self.select:
            return [("select", "is empty, so that no field would be left; leave it out for all fields")]
        return [
            (field, f"{name!r} is not in `select`; {did_you_mean(name, list(self.select), label='Selected')}")
            for field, names in (("types", tuple(self.types)), ("primary_key", self.primary_key))
            for name in names
            if name not in self.select and self.transform is None
        ]
