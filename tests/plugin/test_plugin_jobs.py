"""Which task instances are one job, what is wrong with it, and who comes first."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec
import pytest

from airflow_asyncjob.panel import Summary
from airflow_asyncjob.plugin.jobs import Filters, Job, iso, jobs_of, page_of, tab_of
from airflow_asyncjob.plugin.stored import Line, Place

NOW = 1_800_000_000.0


def line(job_id: str | None, kind: str = "wait", **known: Any) -> Line:
    place = (known.pop("dag_id", "shop"), known.pop("run_id", "r1"), known.pop("task_id", kind), -1)
    given = {"conn_id": "shop", "state": "running", "updated_at": NOW - 10, "started_at": NOW - 100}
    return Line(place=place, kind=kind, submission_id=job_id, **{**given, **known})


def live(*lines: Line, state: str = "deferred") -> dict[Place, str]:
    return {Place(*one.place): state for one in lines}


def order(jobs: list[Job], **asked: Any) -> list[str | None]:
    return [job.kept.submission_id for job in page_of(jobs, Filters(**asked), NOW, limit=99, offset=0)[1]]


def test_a_line_reads_what_a_summary_says() -> None:
    known = {field.name for field in fields(Summary)}
    assert {field.name for field in msgspec.structs.fields(Line)} - {"place"} <= known


def test_submit_wait_and_fetch_of_one_submission_are_one_job() -> None:
    lines = [
        line("7", "fetch", state="downloading"),
        line("7", "submit", definition="shop/orders", submitted_at=NOW - 50, remote_url="https://shop/7"),
        line("7", "wait", state="done", polls=9),
    ]
    (job,) = jobs_of(lines, live(lines[0], state="running"), NOW)
    shown = job.to_dict(NOW, "running", True)
    assert (shown["task_id"], shown["state"], shown["definition"]) == ("fetch", "downloading", "shop/orders")
    assert (shown["polls"], shown["waited"], shown["remote_url"]) == (9, 50.0, "https://shop/7")


@pytest.mark.parametrize("apart", [{"run_id": "r2"}, {"conn_id": "other"}, {"dag_id": "other"}])
def test_the_same_id_elsewhere_is_another_job(apart: dict[str, str]) -> None:
    assert len(jobs_of([line("7", "submit"), line("7", **apart)], {}, NOW)) == 2


def test_tasks_without_an_id_yet_are_jobs_of_their_own() -> None:
    assert len(jobs_of([line(None, "submit"), line(None, task_id="b")], {}, NOW)) == 2


def test_a_task_that_ended_without_saying_how_the_job_ended_is_an_error() -> None:
    (job,) = jobs_of([line("7")], {}, NOW)
    assert (job.state, job.trouble()) == (
        "error",
        "The task has ended, and nothing waits for this job any more.",
    )


def test_a_submit_that_is_over_leaves_a_running_job() -> None:
    (job,) = jobs_of([line("7", "submit")], {}, NOW)
    assert (job.state, job.trouble()) == ("running", None)


@pytest.mark.parametrize(("ago", "late"), [(-5, 0), (89, 0), (200, 200)])
def test_a_poll_is_late_when_a_trigger_must_have_said_more_by_now(ago: float, late: int) -> None:
    waiting = line("7", next_poll_at=NOW - ago)
    (job,) = jobs_of([waiting], live(waiting), NOW)
    assert job.to_dict(NOW, "deferred", True)["late"] == late
    assert job.troubled is bool(late)
    assert (job.trouble() is None) is not bool(late)


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({"trouble": "The API says 500.", "failed_polls": 2}, "The API says 500."),
        ({"failed_polls": 2}, "The last 2 polls failed."),
        ({"unknown": 1, "raw_status": "PAUSED"}, "The raw status 'PAUSED' is not mapped to a state."),
        ({"next_poll_at": NOW - 300}, "The next poll is late by 300 s: is a triggerer running?"),
    ],
)
def test_trouble_is_one_sentence(known: dict[str, Any], says: str) -> None:
    waiting = line("7", **known)
    assert jobs_of([waiting], live(waiting), NOW)[0].trouble() == says


def test_trouble_comes_first_then_the_next_polls_then_the_newest() -> None:
    waiting = [
        line("late", run_id="a", next_poll_at=NOW - 300),
        line("soon", run_id="b", next_poll_at=NOW + 5),
        line("later", run_id="c", next_poll_at=NOW + 50),
        line("failing", run_id="d", next_poll_at=NOW + 90, failed_polls=3),
    ]
    ended = [
        line("old", run_id="e", state="failed", updated_at=NOW - 900),
        line("new", run_id="f", state="done", updated_at=NOW - 1),
        line("given up", run_id="g", state="error", updated_at=NOW - 3600, unknown=1),
        line("given up long ago", run_id="h", state="error", updated_at=NOW - 90_000, unknown=1),
    ]
    jobs = jobs_of([*ended, *reversed(waiting)], live(*waiting), NOW)
    first = ["failing", "given up", "late", "soon", "later"]
    assert order(jobs) == [*first, "new", "old", "given up long ago"]
    assert order(jobs, order="-updated")[0] == "new"
    assert order(jobs, waiting=True) == ["failing", "late", "soon", "later"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"state": ["failed"]}, ["b"]),
        ({"state": ["failed", "done"]}, ["a", "b"]),
        ({"conn_id": ["shop"], "state": ["done"]}, ["a"]),
        ({"definition": ["shop/orders"]}, ["a"]),
        ({"text": "PAYM"}, ["b"]),
        ({"min_age": 500}, ["b"]),
        ({"max_age": 500}, ["a"]),
        ({"dag_id": ["none"]}, []),
    ],
)
def test_filters(asked: dict[str, Any], found: list[str]) -> None:
    lines = [
        line("a", run_id="a", state="done", definition="shop/orders", submitted_at=NOW - 60),
        line("b", run_id="b", state="failed", message="no payment", submitted_at=NOW - 600),
    ]
    assert order(jobs_of(lines, {}, NOW), **asked) == found


def test_a_facet_counts_what_else_could_be_chosen() -> None:
    lines = [
        line("a", run_id="a", state="done"),
        line("b", run_id="b", state="failed"),
        line("c", run_id="c", state="failed", conn_id="other"),
    ]
    asked = Filters(state=["done"])
    total, items, facets = page_of(jobs_of(lines, {}, NOW), asked, NOW, limit=99, offset=0)
    assert (total, len(items)) == (1, 1)
    assert facets["state"] == {"failed": 2, "done": 1}
    assert facets["conn_id"] == {"shop": 1}


def test_pages_follow_one_another() -> None:
    jobs = jobs_of([line(str(n), run_id=str(n), state="done", updated_at=NOW - n) for n in range(5)], {}, NOW)
    pages = [page_of(jobs, Filters(), NOW, limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [[job.kept.submission_id for job in page] for _, page, _ in pages] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
        [],
    ]
    assert {total for total, _, _ in pages} == {5}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil", ""])
def test_only_web_addresses_are_links(url: str) -> None:
    (job,) = jobs_of([line("7", remote_url=url)], {}, NOW)
    assert job.to_dict(NOW, None, True)["remote_url"] is None


def test_the_buttons_are_for_a_deferred_task_and_who_may_change_it() -> None:
    waiting = line("7", can_cancel=True)
    (job,) = jobs_of([waiting], live(waiting), NOW)
    for state, may, offered in (
        ("deferred", True, True),
        ("deferred", False, False),
        ("running", True, False),
    ):
        shown = job.to_dict(NOW, state, may)
        assert (shown["can_poll"], shown["can_cancel"]) == (offered, offered)


def test_a_tab_of_a_mapped_task_names_its_index() -> None:
    assert tab_of(Place("d", "manual__2026-01-01T00:00:00+00:00", "g.wait", -1)) == (
        "/dags/d/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/g.wait/plugin/async-job"
    )
    assert tab_of(Place("d", "r", "w", 3)) == "/dags/d/runs/r/tasks/w/mapped/3/plugin/async-job"


def test_times_are_text_in_utc() -> None:
    assert (iso(0.5), iso(None)) == ("1970-01-01T00:00:00.500Z", None)
