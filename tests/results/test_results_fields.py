"""snake_case, infer and drop_duplicates."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_asyncjob.errors import FormatError
from airflow_asyncjob.results import distinct
from airflow_asyncjob.results.casing import _snake
from tests.results.given import parquet_types, read_back, write


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("OrderID", "order_id"),
        ("Order Id", "order_id"),
        ("orderId", "order_id"),
        ("HTTPServer", "http_server"),
        ("address2Line", "address2_line"),
        ("@id", "id"),
        ("#text", "text"),
        ("amount-paid-currency", "amount_paid_currency"),
        ("  Größe (cm) ", "größe_cm"),
        ("already_snake", "already_snake"),
        ("__private__X", "private_x"),
        ("%", "%"),
    ],
)
def test_snake_case(name: str, snake: str) -> None:
    assert _snake(name) == snake


@given(st.text())
def test_a_name_in_snake_case_stays(name: str) -> None:
    assert _snake(_snake(name)) == _snake(name)


@pytest.mark.parametrize("output", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("csv", b"OrderID,Unit Price\n1,2\n"),
        ("json", b'[{"OrderID": "1", "Unit Price": "2"}]'),
        ("jsonl", b'{"OrderID": "1", "Unit Price": "2"}\n'),
    ],
)
def test_fields_in_snake_case(tmp_path: Path, kind: str, data: bytes, output: str) -> None:
    write(data, tmp_path / output, format=kind, snake_case=True, primary_key="order_id")
    assert read_back(tmp_path / output) == [{"order_id": "1", "unit_price": "2"}]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_two_names_that_would_be_one(tmp_path: Path, kind: str) -> None:
    data = b"OrderID,order_id\n1,2\n" if kind == "csv" else b'{"OrderID": 1, "order_id": 2}\n'
    with pytest.raises(
        FormatError, match=r"the fields 'OrderID' and 'order_id' would both be order_id; .*select"
    ):
        write(data, tmp_path / "a.csv", format=kind, snake_case=True)


INFERRED = (
    b"code,count,price,flag,day,at,mixed,exp,long,empty\n"
    b"00123,1,1.50,true,2026-11-22,2026-11-22T10:00:00+01:00,1,1e5,12345678901234567890,\n"
    b"5,-20,2,FALSE,,2026-11-22 10:00:00Z,x,2,1,\n"
    b"7,,,,2026-01-01,,,,,\n"
)


def test_inferred_types(tmp_path: Path) -> None:
    write(INFERRED, tmp_path / "a.parquet", format="csv", infer=True)
    assert parquet_types(tmp_path / "a.parquet") == {
        "code": "string",
        "count": "int64",
        "price": "double",
        "flag": "bool",
        "day": "date32[day]",
        "at": "timestamp[us, tz=UTC]",
        "mixed": "string",
        "exp": "string",
        "long": "string",
        "empty": "string",
    }
    first, second, third = read_back(tmp_path / "a.parquet")
    assert first["code"] == "00123"
    assert [row["count"] for row in (first, second, third)] == [1, -20, None]
    assert [row["flag"] for row in (first, second, third)] == [True, False, None]
    assert first["day"] == datetime.date(2026, 11, 22)
    assert first["at"] == datetime.datetime(2026, 11, 22, 9, tzinfo=datetime.UTC)
    assert third["mixed"] == ""


def test_inferred_types_in_lines_of_json(tmp_path: Path) -> None:
    data = b'id,when,n,j\n007,2026-11-22,5,"[1, {}]"\n'
    write(data, tmp_path / "a.jsonl", format="csv", infer=True, types={"j": "json"})
    assert read_back(tmp_path / "a.jsonl") == [{"id": "007", "when": "2026-11-22", "n": 5, "j": [1, {}]}]


def test_infer_leaves_declared_types_and_csv_as_they_are(tmp_path: Path) -> None:
    write(
        INFERRED,
        tmp_path / "a.parquet",
        format="csv",
        infer=True,
        types={"count": "string", "code": "integer"},
    )
    types = parquet_types(tmp_path / "a.parquet")
    assert (types["count"], types["code"], types["flag"]) == ("string", "int64", "bool")
    write(b"a,b\n1.50,TRUE\n", tmp_path / "a.csv", format="csv", infer=True)
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n1.50,TRUE\n"


@pytest.mark.parametrize("last", ["x", "007", "1e3", "1.5", "9999999999999999999"])
def test_the_last_value_of_many_decides(tmp_path: Path, last: str) -> None:
    rows = "".join(f"{number}\n" for number in range(300_000))
    write(f"n\n{rows}{last}\n".encode(), tmp_path / "a.parquet", format="csv", infer=True, piece=10**6)
    assert parquet_types(tmp_path / "a.parquet") == {"n": "double" if last == "1.5" else "string"}


@given(values=st.lists(st.text(st.sampled_from("0123456789-+.eTtrue"), max_size=18), min_size=1, max_size=5))
def test_inferring_loses_nothing(values: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("a") / "a.parquet"
    write(b"v,k\n" + "".join(f"{value},\n" for value in values).encode(), path, format="csv", infer=True)
    found: list[Any] = [row["v"] for row in read_back(path)]
    for value, read in zip(values, found, strict=True):
        if isinstance(read, bool):
            assert value.lower() == str(read).lower()
        elif isinstance(read, int):
            assert value == str(read)
        elif isinstance(read, float):
            assert float(value) == read
            assert len(value.lstrip("-").replace(".", "")) <= 16
        else:
            assert (read or "") == value


@pytest.mark.parametrize("output", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_first_record_of_each_key_is_kept(
    tmp_path: Path, kind: str, output: str, caplog: pytest.LogCaptureFixture
) -> None:
    sources = {
        "csv": [b"id,day,v\n1,a,first\n2,a,x\n1,a,second\n", b"day,id,v\nb,1,y\na,2,z\n"],
        "jsonl": [
            b'{"id":"1","day":"a","v":"first"}\n{"id":"2","day":"a","v":"x"}\n{"id":"1","day":"a","v":"s"}\n',
            b'{"id":"1","day":"b","v":"y"}\n{"id":"2","day":"a","v":"z"}\n',
        ],
    }[kind]
    with caplog.at_level(logging.INFO):
        done = write(sources, tmp_path / output, format=kind, drop_duplicates=True, primary_key=["id", "day"])
    assert done.records == 3
    assert [(row["id"], row["day"], row["v"]) for row in read_back(tmp_path / output)] == [
        ("1", "a", "first"),
        ("2", "a", "x"),
        ("1", "b", "y"),
    ]
    assert "2 of 5 records were dropped, as duplicates by ('id', 'day')" in caplog.text


def test_a_limit_counts_what_is_left(tmp_path: Path) -> None:
    data = b"id\n1\n1\n2\n2\n3\n"
    for output in ("a.csv", "a.jsonl"):
        arguments: dict[str, Any] = {"drop_duplicates": True, "primary_key": "id", "limit": 2}
        assert write(data, tmp_path / output, format="csv", **arguments).records == 2
        assert [row["id"] for row in read_back(tmp_path / output)] == ["1", "2"]


@pytest.mark.parametrize("output", ["a.csv", "a.jsonl"])
def test_a_record_without_a_key_is_no_duplicate_but_a_mistake(tmp_path: Path, output: str) -> None:
    with pytest.raises(FormatError, match="record 2 has no value in id, which primary_key names"):
        write(b"id,v\n1,a\n,b\n", tmp_path / output, format="csv", drop_duplicates=True, primary_key="id")


def test_too_many_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "MOST_KEYS", 2)
    arguments: dict[str, Any] = {"format": "csv", "drop_duplicates": True, "primary_key": "id"}
    assert write(b"id\n1\n2\n1\n", tmp_path / "a.csv", **arguments).records == 2
    with pytest.raises(FormatError, match="there are more than 2 different values of primary_key"):
        write(b"id\n1\n2\n3\n", tmp_path / "a.csv", **arguments)
