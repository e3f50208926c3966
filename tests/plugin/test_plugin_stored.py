"""A summary of a job is read again when its row has changed, and only then: Airflow's tables, in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import airflow.models.dagrun  # noqa: F401 - the tables know one another by name
import pytest
from airflow.models.task_state_store import TaskStateStoreModel
from sqlalchemy import create_engine, delete, event, insert, update
from sqlalchemy.orm import Session

from airflow_asyncjob.plugin import stored
from airflow_asyncjob.plugin.stored import Table

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STORE = TaskStateStoreModel


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    STORE.__table__.create(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def table() -> Table:
    return Table(STORE, STORE.updated_at, STORE.value, STORE.id.desc())


@pytest.fixture
def values_read(session: Session) -> list[str]:
    """The statements that read what is kept, and not only when it was written."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and ".value" in statement:
            statements.append(statement)

    event.listen(session.get_bind(), "before_cursor_execute", note)
    return statements


def keep(session: Session, number: int, *, dag_id: str = "export") -> None:
    row = {
        "dag_run_id": 1,
        "task_id": f"task_{number}",
        "map_index": -1,
        "key": "asyncjob.summary",
        "dag_id": dag_id,
        "run_id": "run",
        "value": json.dumps({"kind": "wait", "submission_id": f"job-{number}", "polls": 1}),
        "updated_at": NOON + timedelta(seconds=number),
    }
    session.execute(insert(STORE), [row])


def change(session: Session, number: int, value: str, *, seconds: float = 3600.0) -> None:
    row = {"value": value, "updated_at": NOON + timedelta(seconds=number + seconds)}
    session.execute(update(STORE).where(STORE.task_id == f"task_{number}").values(row))


def polls(table: Table, session: Session) -> dict[str | None, int]:
    return {line.submission_id: line.polls for line in table.lines(session, ["export"])}


def test_what_has_not_changed_is_not_read_again(
    session: Session, table: Table, values_read: list[str]
) -> None:
    keep(session, 1)
    keep(session, 2)
    assert polls(table, session) == polls(table, session) == {"job-1": 1, "job-2": 1}
    assert len(values_read) == 1


def test_what_has_changed_is_read_again_and_nothing_else(
    session: Session, table: Table, values_read: list[str]
) -> None:
    keep(session, 1)
    keep(session, 2)
    polls(table, session)
    change(session, 2, json.dumps({"submission_id": "job-2", "polls": 7}))
    assert polls(table, session) == {"job-1": 1, "job-2": 7}
    assert " IN " in values_read[-1]


def test_many_that_are_new_are_read_at_once(session: Session, table: Table, values_read: list[str]) -> None:
    for number in range(600):
        keep(session, number)
    assert len(polls(table, session)) == 600
    assert len(values_read) == 1


def test_a_row_that_is_gone_is_not_shown_and_one_that_came_is(session: Session, table: Table) -> None:
    keep(session, 1)
    polls(table, session)
    session.execute(delete(STORE))
    keep(session, 2)
    assert polls(table, session) == {"job-2": 1}


def test_a_row_written_anew_under_the_same_key_is_read_again(session: Session, table: Table) -> None:
    keep(session, 1)
    polls(table, session)
    session.execute(delete(STORE))
    keep(session, 1)
    change(session, 1, json.dumps({"submission_id": "other", "polls": 2}))
    assert polls(table, session) == {"other": 2}


def test_a_row_that_cannot_be_read_is_left_out_until_it_can(session: Session, table: Table) -> None:
    keep(session, 1)
    change(session, 1, "no JSON")
    assert polls(table, session) == {}
    change(session, 1, json.dumps({"submission_id": "job-1", "polls": 3}), seconds=7200)
    assert polls(table, session) == {"job-1": 3}


def test_each_line_knows_its_task_instance(session: Session, table: Table) -> None:
    keep(session, 1)
    assert [line.place for line in table.lines(session, ["export"])] == [("export", "run", "task_1", -1)]


def test_of_few_dags_only_their_rows_are_read(session: Session, table: Table) -> None:
    keep(session, 1)
    keep(session, 2, dag_id="other")
    assert polls(table, session) == {"job-1": 1}


def test_what_is_remembered_is_bounded(
    session: Session, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_SUMMARIES", 3)
    for number in range(3):
        keep(session, number)
    assert len(polls(table, session)) == 3
    for number in range(3, 6):
        keep(session, number)
    assert polls(table, session) == {"job-3": 1, "job-4": 1, "job-5": 1}
    assert len(table._known) == 3
