"""Refresh tokens in Airflow Variables, from a worker and from the triggerer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, PutVariable, VariableResult
from airflow.sdk.log import redact

from airflow_asyncjob import AsyncJobHook
from airflow_asyncjob.hooks.refresh_tokens import AsyncVariableTokens, VariableTokens
from tests.transport.test_wire_logins import Rotating, oauth2
from tests.transport.wires import Server

NAME = "asyncjob_refresh_token_shop"


class Supervisor:
    """Airflow's side of a task: keeps variables as its database does."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.broken = False

    def send(self, message: Any) -> Any:
        if self.broken:
            raise RuntimeError(f"the API server does not answer to {message}")
        if isinstance(message, PutVariable):
            assert message.value is not None
            self.variables[message.key] = message.value
            return None
        assert isinstance(message, GetVariable)
        if message.key in self.variables:
            return VariableResult(key=message.key, value=self.variables[message.key])
        return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND, detail={"message": message.key})


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    made = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", made, raising=False)
    return made


@pytest.fixture
def api() -> Iterator[tuple[Rotating, Server]]:
    rotating = Rotating()
    server = Server(rotating)
    yield rotating, server
    server.stop()


def test_what_is_kept_is_recalled(supervisor: Supervisor) -> None:
    tokens = VariableTokens()
    assert tokens.recall(NAME) is None
    tokens.keep(NAME, "newest")
    assert tokens.recall(NAME) == "newest"
    assert redact({NAME: "newest"}) == {NAME: "***"}


def test_the_triggerer_keeps_them_without_blocking_its_loop(supervisor: Supervisor) -> None:
    async def both() -> str | None:
        tokens = AsyncVariableTokens()
        await tokens.keep(NAME, "newest")
        return await tokens.recall(NAME)

    assert asyncio.run(both()) == "newest"


def test_an_airflow_that_does_not_answer_ends_no_job_and_is_told(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.broken = True
    tokens = VariableTokens()
    tokens.keep(NAME, "refresh-4711")
    assert tokens.recall(NAME) is None
    assert f"cannot be kept in the variable {NAME}" in caplog.text
    assert "refresh-4711" not in caplog.text


def test_two_tasks_of_a_connection_hand_a_rotated_token_on(
    supervisor: Supervisor, api: tuple[Rotating, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    rotating, server = api
    auth = oauth2(grant="refresh_token").model_dump(exclude_unset=True)
    fields = {"conn_type": "http", "host": server.url, "login": "ann", "password": "client-secret"}
    extra = {"refresh_token": "refresh-0", "auth": auth, "test_path": "/me"}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({**fields, "extra": extra}))
    for count in (1, 2):
        assert AsyncJobHook("shop").test_connection() == (True, f"GET {server.url}/me answered 200")
        assert json.loads(supervisor.variables[NAME])["refresh_token"] == f"refresh-{count}"
    rotating.next = "another"
    good, said = AsyncJobHook("shop").test_connection()
    assert not good
    assert "Authorise again" in said
