"""Whatever the records and the limits: no part is too large, and each record is sent once or refused once."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.errors import EmptySourceError
from airflow_asyncjob.transport.upload import local_source
from airflow_asyncjob.uploads import PartReader, Plan
from tests.uploads.given import named, pieces, plan, read_back, rejects, upload, written

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SUFFIXES = [".csv", ".csv.gz", ".tsv", ".json", ".json.gz", ".jsonl", ".parquet", ""]
TREES = {
    "xml": {
        "wrap": {"row": "{{ record }}"},
        "envelope": {"feed": {"day": "{{ ds }}", "#text": "{{ records }}"}},
    }
}

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12
) | st.sampled_from(['"', "\n", "\r\n", ",", '","', "\t", "a\r", "&<>", "ß", "\U0001f600", ""])
SIZED = st.tuples(TEXT, st.integers(1, 40)).map(lambda pair: pair[0] * pair[1])
RECORD = st.tuples(SIZED, TEXT, TEXT).map(lambda values: dict(zip("abc", values, strict=True)))
RECORDS = st.lists(RECORD, min_size=1, max_size=30)


@st.composite
def limits(draw: st.DrawFn, *, job: bool) -> dict[str, Any]:
    few = st.none() | st.integers(1, 12)
    found = {"part_bytes": draw(st.integers(80, 1500)), "part_records": draw(few)}
    if job:
        found |= {"job_bytes": draw(st.none() | st.integers(80, 4000)), "job_records": draw(few)}
    return found


def sent(up: Upload, rows: Any, planned: Plan) -> list[dict[str, Any]]:
    """Return the records of all parts; each part is as planned, read in order and once more from the end."""
    reader = PartReader(up, named(rows), local_source, planned)
    found, made = [], {}
    for part in planned.parts:
        body = made[part.number] = reader.body(part.number)
        assert len(body) == part.bytes <= (up.part_bytes or 0)
        records = read_back(up.format, body)
        assert len(records) == part.records <= (up.part_records or part.records)
        assert part.first == len(found) + 1
        found += records
    for number in random.Random(len(made)).sample(sorted(made), min(len(made), 5)):
        assert reader.body(number) == made[number]
    assert len(found) == planned.records
    return found


def without(records: Sequence[Mapping[str, Any]], refused: set[int]) -> list[Mapping[str, Any]]:
    return [record for number, record in enumerate(records, 1) if number not in refused]


def check(up: Upload, rows: Any, records: Sequence[Mapping[str, Any]]) -> None:
    refused = rejects(up, rows)
    numbers = [reject.number for reject in refused]
    assert numbers == sorted(set(numbers))
    assert all(reject.record == records[reject.number - 1] for reject in refused)
    try:
        planned = plan(up, rows)
    except EmptySourceError:
        assert len(refused) == len(records)
        return
    assert planned.rejected == len(refused)
    assert sent(up, rows, planned) == without(records, set(numbers))
    assert plan(up, rows) == planned


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "xml"])
@FEW
@given(data=st.data())
def test_every_record_is_sent_once_or_refused_once(suffix: str, format: str, data: st.DataObject) -> None:
    records = data.draw(RECORDS)
    up = upload(format=format, **TREES.get(format, {}), **data.draw(limits(job=False)))
    with tempfile.TemporaryDirectory() as folder:
        rows: Any = written(Path(folder) / f"rows{suffix}", records) if suffix else records
        check(up, rows, records)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json.gz", ".parquet"])
@pytest.mark.parametrize("format", ["json", "csv"])
@FEW
@given(data=st.data())
def test_the_pieces_are_the_source(suffix: str, format: str, data: st.DataObject) -> None:
    records = data.draw(RECORDS)
    up = upload(format=format, **data.draw(limits(job=True)))
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / f"rows{suffix}", records)
        try:
            cut = pieces(up, path)
        except EmptySourceError:
            return
        found, refused, following = [], set(), 1
        for piece in cut:
            assert piece["first"] == following
            following += piece["records"]
            planned = plan(up, piece)
            assert planned.bytes == piece["bytes"] <= (up.job_bytes or planned.bytes)
            assert planned.records <= (up.job_records or planned.records)
            found += sent(up, piece, planned)
            here = {reject.number for reject in rejects(up, piece)}
            assert len(here) == planned.rejected == piece["records"] - planned.records
            refused |= here
        assert following == len(records) + 1
        assert found == without(records, refused)


@pytest.mark.parametrize(("suffix", "format"), [(".csv", "csv"), (".csv", "json"), (".jsonl", "xml")])
def test_rows_from_50_bytes_to_40_kilobytes_fit(suffix: str, format: str, tmp_path: Path) -> None:
    rng = random.Random(4711)
    alphabet = 'abcdefgh ,;"\n\tßé€\U0001f600<&>'
    records = [
        {
            "a": f"{number}",
            "b": "".join(rng.choices(alphabet, k=rng.choice([20, 200, 2000, 12_000]))),
            "c": "",
        }
        for number in range(400)
    ]
    up = upload(format=format, **TREES.get(format, {}), part_bytes=40_000, part_records=25)
    path = written(tmp_path / f"rows{suffix}", records)
    check(up, path, records)
    assert max(part.bytes for part in plan(up, path).parts) > 30_000
