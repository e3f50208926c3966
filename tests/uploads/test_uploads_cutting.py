"""Cutting: limits of parts and jobs, records that are too large, and pieces for several jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition.parts import PartInfo, Plan
from airflow_asyncjob.errors import (
    EmptySourceError,
    RecordError,
    SourceChangedError,
    SourceError,
    UploadLimitError,
)
from tests.uploads.given import bodies, named, pieces, plan, rejects, upload, written

ROWS = [{"n": number, "text": "x" * (number % 7)} for number in range(1, 41)]


def test_a_part_is_as_full_as_its_limit_allows() -> None:
    up = upload(part_bytes=25, format="jsonl")
    assert bodies(up, [{"a": "xx"}, {"a": "xx"}, {"a": "xxx"}, {"a": ""}]) == [
        b'{"a":"xx"}\n{"a":"xx"}\n',
        b'{"a":"xxx"}\n{"a":""}\n',
    ]
    assert len(bodies(upload(part_bytes=22, format="jsonl"), [{"a": "xx"}, {"a": "xx"}])) == 1
    assert len(bodies(upload(part_bytes=21, format="jsonl"), [{"a": "xx"}, {"a": "xx"}])) == 2


def test_the_envelope_counts() -> None:
    up = upload(envelope={"c": "{{ records }}"}, part_bytes=len('{"c":[{"a":1},{"a":2}]}'))
    assert [len(body) for body in bodies(up, [{"a": 1}, {"a": 2}, {"a": 3}])] == [23, 15]
    less = upload(envelope={"c": "{{ records }}"}, part_bytes=22)
    assert [len(body) for body in bodies(less, [{"a": 1}, {"a": 2}, {"a": 3}])] == [15, 15, 15]


def test_a_plan_says_what_each_part_is() -> None:
    planned = plan(upload(part_records=15, key="n"), ROWS)
    assert [(part.number, part.first, part.records, part.last, part.count) for part in planned.parts] == [
        (1, 1, 15, False, 3),
        (2, 16, 15, False, 3),
        (3, 31, 10, True, 3),
    ]
    assert (planned.records, planned.rejected) == (40, 0)
    assert planned.bytes == sum(part.bytes for part in planned.parts)


def test_hashes_are_those_of_the_body() -> None:
    (part,) = plan(upload(), [{"a": 1}]).parts
    assert part.md5 == ""
    (part,) = plan(upload(), [{"a": 1}], md5=True).parts
    assert part.md5 == "70imXTxMYZAaVpGl55ZOYA=="
    assert part.sha256 == "b713f6d2a989e907c58516a7c8bb487792c8785ddbf367b80dc774bf33b85a85"


def test_a_plan_survives_json() -> None:
    planned = plan(upload(part_records=7), ROWS)
    again = Plan.from_dict(json.loads(json.dumps(planned.to_dict())))
    assert again == planned
    assert isinstance(again.parts[0], PartInfo)


@pytest.mark.parametrize("format", ["json", "csv"])
def test_a_limit_smaller_than_what_stands_around_is_an_error(format: str, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", [{"a_long_name": "1"}])
    envelope = {"envelope": {"contacts": "{{ records }}"}} if format == "json" else {}
    with pytest.raises(UploadLimitError) as caught:
        plan(upload(format=format, part_bytes=12, **envelope), path)
    size = {"json": 15, "csv": 13}[format]
    assert caught.value.message == (
        "submit.upload.part_bytes is 12 bytes, and what stands around the records of a part (envelope, CSV "
        f"header) has {size} by itself: no record fits. Nothing was sent. Raise part_bytes, or make the "
        "envelope smaller."
    )


@pytest.mark.parametrize("format", ["json", "jsonl", "csv"])
def test_a_record_over_the_limit_is_refused_by_name(format: str, tmp_path: Path) -> None:
    rows = [{"id": "1", "t": "x"}, {"id": "2", "t": "x" * 100}, {"id": "3", "t": "x"}]
    path = written(tmp_path / "rows.csv", rows)
    up = upload(format=format, part_bytes=60, key="id")
    (reject,) = rejects(up, path)
    record, around = {"json": (117, 2), "jsonl": (118, 0), "csv": (104, 6)}[format]
    assert (reject.number, reject.key, reject.record) == (2, {"id": "2"}, rows[1])
    assert reject.reason == (
        f"it has {record} bytes as it is sent, {record + around} with what stands around it, and part_bytes "
        "allows 60"
    )
    assert plan(up, path).records == 2
    with pytest.raises(RecordError, match=r"record 2 \(id '2'\): it has "):
        plan(up.model_copy(update={"on_invalid": "fail"}), path)


def test_more_than_a_job_takes_is_an_error_that_says_how_many_jobs() -> None:
    with pytest.raises(UploadLimitError) as caught:
        plan(upload(format="jsonl", job_records=15, job_bytes=10_000), ROWS)
    size = sum(len(body) for body in bodies(upload(format="jsonl"), ROWS))
    assert caught.value.message == (
        f"The list of records has 40 records in {size:,} bytes to send, and one job takes no more than "
        "job_bytes 10,000 and job_records 15: it takes 3 jobs. Nothing was sent. Plan them with "
        "UploadPlanOperator, which gives one piece to each of as many mapped jobs."
    )


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet", ".csv.gz"])
def test_pieces_are_small_and_plain_and_hold_no_records(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"rows{suffix}", [{"a": "secret" * 20}] * 50)
    cut = pieces(upload(part_bytes=1000, job_bytes=2500), path)
    text = json.dumps(cut)
    assert "secret" not in text
    assert len(text) < 250 * len(cut)
    assert sum(piece["records"] for piece in cut) == 50
    assert [piece["source"] for piece in cut] == [path] * len(cut)
    assert json.loads(text) == cut


def test_numbers_begin_anew_in_each_job(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", [{"a": number} for number in range(25)])
    up = upload(wrap={"no": "{{ number }}", "r": "{{ record }}"}, job_records=10, part_records=4)
    numbers = [
        [entry["no"] for body in bodies(up, piece) for entry in json.loads(body)]
        for piece in pieces(up, path)
    ]
    assert numbers == [list(range(1, 11)), list(range(1, 11)), list(range(1, 6))]


def test_an_envelope_may_differ_from_job_to_job_as_long_as_it_is_no_larger(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", ROWS)
    up = upload(
        envelope={"rows": "{{ records }}", "first": "{{ inputs.rows.first | default(0) }}"}, job_records=9
    )
    cut = pieces(up, path)
    assert [json.loads(bodies(up, piece)[0])["first"] for piece in cut] == [1, 10, 19, 28, 37]


def test_records_that_cannot_be_sent_belong_to_a_piece(tmp_path: Path) -> None:
    rows = [{"a": str(number), "b": "" if number % 3 else "x"} for number in range(1, 31)]
    path = written(tmp_path / "rows.csv", rows)
    up = upload(required="b", job_records=4)
    cut = pieces(up, path)
    assert [piece["records"] for piece in cut] == [14, 12, 4]
    refused = [reject.number for piece in cut for reject in rejects(up, piece)]
    assert refused == [number for number in range(1, 31) if number % 3]


def test_a_list_is_not_planned() -> None:
    with pytest.raises(SourceError) as caught:
        pieces(upload(job_records=10), ROWS)
    assert caught.value.message == (
        "A list of records is not planned: the pieces would be the records themselves. Give the path of a "
        "file that an earlier task wrote, or run one job with the list."
    )


def test_an_empty_file_has_no_pieces(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n")
    with pytest.raises(EmptySourceError):
        pieces(upload(), str(tmp_path / "rows.csv"))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("change", ["other", "shorter", "longer"])
def test_a_piece_of_a_file_that_changed_is_an_error(suffix: str, change: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"n": f"{number:03}", "t": "x"} for number in range(40)]
    path = written(tmp_path / f"rows{suffix}", rows)
    up = upload(job_records=10)
    cut = pieces(up, path)
    others = {
        "other": [*rows[:15], {"n": "new", "t": "y"}, *rows[16:]],
        "shorter": rows[:15],
        "longer": rows * 2,
    }
    written(tmp_path / f"rows{suffix}", others[change])
    assert plan(up, cut[0]).records == 10, "its own records are the same"
    if change == "longer":
        assert [plan(up, piece).records for piece in cut] == [10] * 4
        return
    with pytest.raises(SourceChangedError) as caught:
        plan(up, cut[1])
    assert caught.value.message == (
        f"The file {path} is not what it was when its pieces were planned: the records from number 11 on are "
        "others. Nothing was sent. Plan it again, and let it stay as it is until all jobs have sent theirs."
    )


def test_the_mark_is_of_the_records_and_of_what_cuts_them(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", ROWS)
    marks = [
        plan(up, rows).mark
        for up, rows in [
            (upload(part_records=9), path),
            (upload(part_records=9, key="n"), path),
            (upload(part_records=8), path),
            (upload(part_records=9), ROWS),
            (upload(part_records=9), ROWS[:-1]),
        ]
    ]
    assert marks[0] == marks[1]
    assert len(set(marks)) == 4


def test_the_source_may_use_the_names_of_the_run(tmp_path: Path) -> None:
    written(tmp_path / "2026-11-22.csv", ROWS)
    up = upload().model_copy(update={"source": "{{ inputs.rows }}/{{ ds }}.csv"})
    assert plan(up, str(tmp_path)).records == 40
    assert named(str(tmp_path))["ds"] == "2026-11-22"
