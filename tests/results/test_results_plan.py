from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.results import OutputPlan, check_output, plan_output

CSV = Records(format="csv")
RAW = Records()


@pytest.mark.parametrize(
    ("destination", "output_format", "records", "plan"),
    [
        ("out/contacts.parquet", None, CSV, OutputPlan("parquet")),
        ("out/contacts.jsonl", None, CSV, OutputPlan("jsonl")),
        ("out/contacts.ndjson", None, CSV, OutputPlan("jsonl")),
        ("out/contacts.csv", None, CSV, OutputPlan("csv")),
        ("out/CONTACTS.CSV", None, CSV, OutputPlan("csv")),
        ("out/contacts.jsonl.gz", None, CSV, OutputPlan("jsonl", gzip=True)),
        ("s3://conn@bucket/a.b/contacts.csv.gz", None, CSV, OutputPlan("csv", gzip=True)),
        ("out/contacts.json", None, Records(format="json"), OutputPlan("raw")),
        ("out/contacts.json.gz", None, RAW, OutputPlan("raw", gzip=True)),
        ("out/contacts", None, RAW, OutputPlan("raw")),
        ("out.csv/contacts", None, RAW, OutputPlan("raw")),
        ("out/", None, RAW, OutputPlan("raw", folder=True)),
        ("out.csv/", None, CSV, OutputPlan("raw", folder=True)),
        ("out/contacts.dat", "parquet", CSV, OutputPlan("parquet")),
        ("out/contacts.dat.gz", "csv", CSV, OutputPlan("csv", gzip=True)),
        ("out/contacts.csv", "raw", RAW, OutputPlan("raw")),
        ("out/contacts.parquet", "raw", RAW, OutputPlan("raw")),
    ],
)
def test_the_name_or_output_format_says_what_is_written(
    destination: str, output_format: str | None, records: Records, plan: OutputPlan
) -> None:
    assert plan_output(destination, output_format, records) == plan
    assert check_output(destination, output_format, records) == plan


@pytest.mark.parametrize(
    ("destination", "output_format", "records", "says"),
    [
        ("", None, RAW, ["destination is empty", "s3://bucket"]),
        ("a.csv", "xml", CSV, ["'xml' is not known", "raw, jsonl, csv, parquet"]),
        ("a.csv", "jsonl", CSV, ["output_format jsonl contradicts", "a.csv", "means csv"]),
        ("a.parquet.gz", None, CSV, ["Parquet inside gzip", "remove .gz"]),
        ("out/", "parquet", CSV, ["the destination out/ is a folder", "out/result.parquet"]),
        ("a.parquet", None, RAW, ["format is raw", "json, jsonl, csv", "output_format to raw"]),
        ("a.dat", "csv", RAW, ["asks for csv records", "format is raw"]),
        (
            "a.dat",
            None,
            Records(format="csv", primary_key="id"),
            ["primary_key would be ignored", ".parquet"],
        ),
        ("out/", None, Records(format="csv", primary_key="id"), ["primary_key would be ignored"]),
        ("a.json", None, Records(format="json", records="data"), ["records would be ignored"]),
        (
            "a.csv",
            "raw",
            Records(format="csv", select={"a": "b"}, types={"a": "integer"}),
            ["select, types would be ignored"],
        ),
    ],
)
def test_what_cannot_be_meant_is_an_error(
    destination: str, output_format: str | None, records: Records, says: list[str]
) -> None:
    for check in (plan_output, check_output):
        with pytest.raises(DefinitionError) as caught:
            check(destination, output_format, records)
        for part in says:
            assert part in str(caught.value)


TEMPLATED: list[tuple[str, str | None, dict[str, Any]]] = [
    ("s3://lake/{{ ds }}/{{ inputs.name }}", None, {"format": "csv", "primary_key": "id"}),
    ("{{ params.where }}", "parquet", {"format": "csv"}),
    ("out/{% if a %}x.csv{% endif %}", None, {}),
]


@pytest.mark.parametrize(("destination", "output_format", "records"), TEMPLATED)
def test_an_ending_that_a_template_makes_is_not_judged(
    destination: str, output_format: str | None, records: dict[str, Any]
) -> None:
    assert check_output(destination, output_format, Records(**records)) is None


def test_templates_before_the_ending_do_not_hide_it() -> None:
    assert check_output("s3://lake/{{ ds }}/a.parquet", None, CSV) == OutputPlan("parquet")
    with pytest.raises(DefinitionError, match="primary_key would be ignored"):
        check_output("s3://lake/{{ ds }}/", None, Records(format="csv", primary_key="id"))


def test_what_no_ending_could_make_right_is_an_error_before_rendering() -> None:
    with pytest.raises(DefinitionError, match="'zip' is not known"):
        check_output("{{ where }}", "zip", CSV)
    with pytest.raises(DefinitionError, match="format is raw"):
        check_output("{{ where }}", "parquet", RAW)
