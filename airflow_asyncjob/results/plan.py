"""What will be written, told from the destination's name alone. Cheap: it runs when a DAG file is parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from airflow_asyncjob.definition.models.records import RECORD_FORMATS, RECORD_SETTINGS, Records
from airflow_asyncjob.definition.models.result import Result
from airflow_asyncjob.definition.render import uses_name
from airflow_asyncjob.errors import DefinitionError

__all__ = ["OUTPUT_FORMATS", "OutputFormat", "OutputPlan", "check_output", "plan_output", "without_suffix"]

OutputFormat = Literal["raw", "jsonl", "csv", "parquet"]
OUTPUT_FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)

_SUFFIXES: dict[str, OutputFormat] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
}


@dataclass(frozen=True)
class OutputPlan:
    """What is written.

    :param format: ``raw`` (the bytes as they come) or the records' format.
    :param gzip: the file is compressed; raw bytes that are gzip already are kept as they are.
    :param folder: the destination is a folder, and each raw file has the name that the API gives, made safe.
    """

    format: OutputFormat
    gzip: bool = False
    folder: bool = False


def plan_output(destination: str, output_format: str | None, records: Records) -> OutputPlan:
    """Return what is written to a destination.

    The rejects of a job without a result of its own lie beside any destination, and are ``jsonl``. Else
    ``.parquet``, ``.jsonl`` (or ``.ndjson``) and ``.csv`` ask for records, the last two also with ``.gz``.
    Any other name is raw. A destination that ends with ``/`` is a folder, and raw.

    :param destination: path or URI, without templates.
    :param output_format: one of raw, jsonl, csv, parquet; None: the destination's suffix decides.
    :param records: how the result is read.
    :raises DefinitionError: the arguments contradict each other, or one of them would silently be ignored.
    """
    if not destination.strip():
        raise DefinitionError(
            "destination is empty: give a path or a URI, such as s3://bucket/exports/contacts.parquet"
        )
    asked = _known(output_format)
    folder = destination.endswith("/")
    if isinstance(records, Result) and not records.is_there:
        return _of_rejects(asked, folder)
    if folder:
        name_format, gzip = None, False
    else:
        name_format, gzip = _by_name(destination)
    chosen = _chosen(destination, asked, name_format)
    if folder and chosen != "raw":
        raise DefinitionError(
            f"output_format {chosen} makes one file, and the destination {destination} is a folder: give it "
            f"a file name, such as {destination}result.{chosen}"
        )
    if gzip and chosen == "parquet":
        raise DefinitionError(
            f"the destination {destination} asks for Parquet inside gzip, which readers cannot open: "
            "Parquet compresses its own columns, so remove .gz"
        )
    _check(destination, chosen, records)
    return OutputPlan(chosen, gzip, folder)


def check_output(destination: str, output_format: str | None, records: Records) -> OutputPlan | None:
    """Check the output when a DAG is parsed, as far as a destination that still holds templates can tell.

    :param destination: path or URI; ``{{ templates }}`` are allowed.
    :return: the plan, or None when the destination's ending comes out of a template and is not known yet.
    :raises DefinitionError: see :func:`plan_output`; and what no destination could make right.
    """
    ending = destination.rstrip()
    if ending.endswith(("}}", "%}", "#}")):
        asked = _known(output_format)
        if asked is not None:
            _check(destination, asked, records)
        return None
    return plan_output(destination, output_format, records)


def _of_rejects(asked: OutputFormat | None, folder: bool) -> OutputPlan:
    """Return the plan for a job without a result: what is written beside the destination is its rejects."""
    if asked not in (None, "jsonl"):
        raise DefinitionError(
            f"output_format {asked} would be ignored: the job has no result of its own, and its rejects are "
            "written as JSON Lines. Remove output_format"
        )
    return OutputPlan("jsonl", folder=folder)


def _known(output_format: str | None) -> OutputFormat | None:
    if output_format is None:
        return None
    for kind in OUTPUT_FORMATS:
        if kind == output_format:
            return kind
    raise DefinitionError(
        f"output_format {output_format!r} is not known: use one of {', '.join(OUTPUT_FORMATS)}"
    )


def _by_name(destination: str) -> tuple[OutputFormat | None, bool]:
    name = destination.rsplit("/", 1)[-1].lower()
    gzip = name.endswith(".gz")
    name = name.removesuffix(".gz")
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None), gzip


def without_suffix(destination: str) -> str:
    """Return a destination without the suffix that says its format; any other suffix is part of the name."""
    bare = destination[:-3] if destination.lower().endswith(".gz") else destination
    suffix = next((suffix for suffix in _SUFFIXES if bare.lower().endswith(suffix)), None)
    return destination if suffix is None else bare[: -len(suffix)]


def _chosen(destination: str, asked: OutputFormat | None, by_name: OutputFormat | None) -> OutputFormat:
    if asked is None:
        return by_name or "raw"
    if by_name is not None and asked not in (by_name, "raw"):
        raise DefinitionError(
            f"output_format {asked} contradicts the destination {destination}, whose suffix means {by_name}: "
            "remove output_format, or change the suffix"
        )
    return asked


def _check(destination: str, chosen: OutputFormat, records: Records) -> None:
    if chosen == "raw":
        if _counts(records):
            raise DefinitionError(
                f"result.paginate goes by the number of records, and the destination {destination} is "
                "written raw, as the bytes come, so that nobody counts them. Give it the suffix .parquet, "
                ".jsonl or .csv (or set output_format), or give result.paginate a next"
            )
        ignored = [name for name in RECORD_SETTINGS if getattr(records, name)]
        if ignored:
            raise DefinitionError(
                f"{', '.join(ignored)} would be ignored: the destination {destination} is written raw, as "
                "the bytes come. Give it the suffix .parquet, .jsonl or .csv (or set output_format), or "
                f"remove {', '.join(ignored)}"
            )
    elif records.format == "raw":
        raise DefinitionError(
            f"the destination {destination} asks for {chosen} records, and format is raw, so that nothing "
            f"says how the result is read: set format to one of {', '.join(RECORD_FORMATS)}, or "
            "output_format to raw to keep the bytes as they come"
        )


def _counts(records: Records) -> bool:
    """Return whether the records of a page say what the next page is, or whether there is one."""
    if not isinstance(records, Result) or records.paginate is None:
        return False
    request = records.request
    return records.paginate.next is None or (request is not None and uses_name(request, "offset"))
