"""Waits, and times as APIs write them."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_asyncjob.definition.models.status import Status
from airflow_asyncjob.protocol.times import http_date, moment, read_time
from airflow_asyncjob.protocol.waits import backoff, poll_wait, retry_after, spread

NOW = 1_700_000_000.0


def status(**changes: Any) -> Status:
    data = {"request": {"url": "/x"}, "path": "s", "values": {"done": ["d"]}, "timeout": 3e8, **changes}
    return Status.model_validate(data)


def test_the_same_text_always_spreads_the_same_and_others_differ() -> None:
    assert spread("a") == spread("a")
    assert len({spread(str(n)) for n in range(1000)}) == 1000
    assert all(0 <= spread(str(n)) < 1 for n in range(1000))


@settings(deadline=None)
@given(
    poll=st.floats(0.01, 1e5),
    growth=st.floats(1, 10),
    longest=st.none() | st.floats(1e5, 1e6),
    jitter=st.floats(0, 1),
    looks=st.integers(0, 10**6),
)
def test_no_poll_wait_is_below_the_configured_one_or_above_the_longest(
    poll: float, growth: float, longest: float | None, jitter: float, looks: int
) -> None:
    section = status(poll_wait=poll, growth=growth, longest_wait=longest, jitter=jitter)
    wait = poll_wait(section, looks, "seed")
    assert wait >= poll
    assert wait <= (1 + jitter) * (max(600.0, poll) if longest is None else longest) * (1 + 1e-9)


def test_poll_waits_grow_by_the_formula() -> None:
    section = status(poll_wait=10, growth=1.5, longest_wait=40, jitter=0)
    assert [poll_wait(section, n, "") for n in range(1, 6)] == [10, 15, 22.5, 33.75, 40]


def test_without_a_longest_wait_it_is_ten_minutes_or_the_poll_wait() -> None:
    assert poll_wait(status(poll_wait=10, growth=10, jitter=0), 99, "") == 600
    assert poll_wait(status(poll_wait=900, growth=10, jitter=0), 99, "") == 900


def test_the_backoff_doubles_up_to_a_minute() -> None:
    waits = [backoff(n, "seed") for n in range(1, 10)]
    for wait, base in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert base <= wait < base * 1.1
    assert backoff(10**9, "") < 66


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("9" * 400, 100 * 365 * 86400.0),
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW - 30, usegmt=True), 0.0),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
        ("Tue Nov 14 22:13:50 2023", 30.0),
        ("Fri, 31 Dec 9999 23:59:59 -1200", 100 * 365 * 86400.0),
    ],
)
def test_retry_after_is_read_in_every_form_of_the_rfc(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1e9", "1,2", "\u0661", ".", "Fri, 99 Foo 2023 00:00:00 GMT", "120, 60"]
)
def test_retry_after_without_sense_is_none(text: str) -> None:
    assert retry_after({"retry-after": text}, NOW) is None


def test_retry_after_is_none_where_there_is_none() -> None:
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize("date", ["", "garbage"])
def test_a_date_without_the_answer_s_own_is_counted_from_now(date: str) -> None:
    headers = {"retry-after": formatdate(NOW + 30, usegmt=True), "date": date}
    assert retry_after(headers, NOW) == 30.0


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text()))
def test_no_header_breaks_the_reading(headers: dict[str, str]) -> None:
    seconds = retry_after(headers, NOW)
    assert seconds is None or seconds >= 0


@settings(deadline=None)
@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()))
def test_no_value_breaks_the_reading_of_a_time(value: Any) -> None:
    seconds = read_time(value)
    assert seconds is None or isinstance(seconds, float)


def test_times_for_people_are_utc() -> None:
    assert moment(NOW) == "2023-11-14 22:13:20 UTC"


def test_a_date_far_away_is_still_a_date() -> None:
    assert http_date("Fri, 31 Dec 9999 23:59:59 GMT") == 253402300799.0
    assert http_date("Fri, 31 Dec 99999 23:59:59 GMT") is None
