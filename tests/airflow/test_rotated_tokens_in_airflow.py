"""Refresh tokens that each use replaces, over the processes of a real Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.fernet import Fernet

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import ended
from tests.servers.scripted import Asked, Reply, running

DAG = "rotated_tokens"
VARIABLE = "asyncjob_refresh_token_rotating"
ACCESS, REFRESH, CLIENT = "access-of-ann-5e1f-", "refresh-of-ann-5e1f-", "client-of-ann-5e1f"


class Rotating:
    """An API whose token endpoint takes each refresh token once; only the newest access token is good.

    :ivar offered: the refresh tokens that came.
    :ivar ready: the job is done.
    :ivar revokes: the next poll is refused: its token is good no more, however young it is.
    """

    def __init__(self) -> None:
        self.offered: list[str] = []
        self.newest, self.good = f"{REFRESH}0", ""
        self.polls, self.denied = 0, 0
        self.ready = self.revokes = False
        self.routes = {
            "POST /token": self.token,
            "POST /jobs": self.guarded(lambda: {"id": "7"}),
            "GET /jobs/7": self.guarded(self.status),
            "GET /files/7": self.guarded(lambda: [{"n": 1}, {"n": 2}]),
        }

    def token(self, asked: Asked) -> Any:
        (offered,) = parse_qs(asked.body.decode())["refresh_token"]
        self.offered.append(offered)
        if offered != self.newest:
            return Reply(400, {"error": "invalid_grant"})
        count = len(self.offered)
        self.newest, self.good = f"{REFRESH}{count}", f"{ACCESS}{count}"
        return {"access_token": self.good, "refresh_token": self.newest, "expires_in": 1}

    def guarded(self, answer: Callable[[], Any]) -> Callable[[Asked], Any]:
        def guard(asked: Asked) -> Any:
            if asked.headers.get("authorization") == f"Bearer {self.good}":
                return answer()
            self.denied += 1
            return Reply(401, {"error": "who are you?"})

        return guard

    def status(self) -> Any:
        self.polls += 1
        if self.revokes:
            self.revokes, self.good = False, ""
            return Reply(401, {"error": "revoked"})
        return {"state": "FINISHED", "url": "/files/7"} if self.ready else {"state": "RUNNING"}


def kept(airflow: LocalAirflow) -> str:
    """Return the refresh token in the Airflow Variable, which the database keeps encrypted."""
    (row,) = airflow.query("SELECT val, is_encrypted FROM variable WHERE key = ?", VARIABLE)
    assert row["is_encrypted"]
    text = Fernet(airflow.env["AIRFLOW__CORE__FERNET_KEY"]).decrypt(row["val"].encode())
    return str(json.loads(text)["refresh_token"])


def test_worker_and_triggerer_hand_a_rotating_refresh_token_on(airflow: LocalAirflow, tmp_path: Path) -> None:
    rotating = Rotating()
    with running(rotating.routes) as api:
        auth = {"type": "oauth2", "grant": "refresh_token", "token_url": "/token"}
        extra = {"refresh_token": rotating.newest, "auth": auth}
        fields = {"conn_type": "http", "host": api.base, "login": "ann", "password": CLIENT}
        airflow.set_connection("rotating", {**fields, "extra": extra})
        conf = {"conn": "rotating", "folder": str(tmp_path)}

        first = airflow.trigger(DAG, conf)
        airflow.wait_for_state(DAG, first, "job.wait", "deferred")
        before = len(rotating.offered)
        airflow.wait_until(lambda: len(rotating.offered) >= before + 2, what="the triggerer refreshed twice")
        rotating.revokes = True
        airflow.wait_until(lambda: not rotating.revokes, what="a token was revoked")
        rotating.ready = True
        assert ended(airflow, DAG, first) == "success"
        assert kept(airflow) == rotating.newest
        of_the_first_run = len(rotating.offered)

        assert ended(airflow, DAG, airflow.trigger(DAG, conf)) == "success"
    assert before >= 2, "one for the submit, one for the poll before the deferral"
    assert rotating.offered[of_the_first_run:], "the second run refreshed too"
    assert rotating.offered == [f"{REFRESH}{count}" for count in range(len(rotating.offered))]
    assert rotating.denied == 0
    assert kept(airflow) == rotating.newest
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 2

    assert REFRESH not in json.dumps(airflow.rest("GET", f"/variables/{VARIABLE}"))
    assert airflow.db_path in airflow.files_with(VARIABLE), "it is looked for where it would be"
    for secret in (ACCESS, REFRESH, CLIENT):
        assert airflow.files_with(secret) == []
