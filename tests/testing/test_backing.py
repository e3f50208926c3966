"""PostgreSQL and Redis as tests start them: real ones, killed and started again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from airflow_asyncjob.testing import backing, watchdog
from airflow_asyncjob.testing.backing import CannotBack, Postgres, Redis, start_backing
from airflow_asyncjob.testing.processes import ProcessFamily


@pytest.fixture
def family(tmp_path: Path) -> Iterator[ProcessFamily]:
    family = ProcessFamily(tmp_path / "logs")
    yield family
    family.stop(grace=10)


def made(kind: type[Postgres] | type[Redis], folder: Path) -> Any:
    """Make one: skipped where the program is not installed, but in CI that is an error."""
    try:
        return kind(folder)
    except CannotBack as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))


def test_a_killed_postgres_has_what_was_committed(family: ProcessFamily, tmp_path: Path) -> None:
    server = made(Postgres, tmp_path / "postgres")
    try:
        server.make()
        start_backing(family, "postgres", server, timeout=120)
        server.make_database()
        with psycopg2.connect(f"postgresql://{server.url}") as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept (word text)")
            cursor.execute("INSERT INTO kept VALUES ('committed')")
        connection.close()
        children = watchdog.children(family.pid("postgres"))
        assert children, "they are in sessions of their own, and must be found all the same"
        family.kill("postgres", signal.SIGKILL)
        watchdog.send(children, signal.SIGKILL)
        assert not server.ready()
        start_backing(family, "postgres", server, timeout=120)
        with psycopg2.connect(f"postgresql://{server.url}") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT word FROM kept")
            assert cursor.fetchall() == [("committed",)]
        connection.close()
    finally:
        family.stop()
        server.remove()
    assert os.getuid() != 0 or not server.folder.exists()


def test_postgres_wants_its_password(family: ProcessFamily, tmp_path: Path) -> None:
    server = made(Postgres, tmp_path / "postgres")
    try:
        server.make()
        start_backing(family, "postgres", server, timeout=120)
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(f"postgresql://airflow:guessed@127.0.0.1:{server.port}/postgres")
        assert server.password not in " ".join(server.command)
    finally:
        family.stop()
        server.remove()


def test_a_killed_redis_knows_what_it_was_told_until_it_is_to_forget(
    family: ProcessFamily, tmp_path: Path
) -> None:
    server = made(Redis, tmp_path / "redis")
    server.make()
    start_backing(family, "redis", server, timeout=60)
    with redis.Redis.from_url(server.url) as client:
        client.set("word", "queued")
    for forgets, known in ((False, b"queued"), (True, None)):
        family.kill("redis")
        if forgets:
            server.forget()
        start_backing(family, "redis", server, timeout=60)
        with redis.Redis.from_url(server.url) as client:
            assert client.get("word") == known
    with (
        pytest.raises(redis.AuthenticationError),
        redis.Redis.from_url(f"redis://127.0.0.1:{server.port}/0") as stranger,
    ):
        stranger.ping()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Postgres, r"needs PostgreSQL's initdb, which is not on this machine.*apt-get install postgresql$"),
        (Redis, r"needs redis-server, which is not on this machine.*apt-get install redis-server$"),
    ],
)
def test_a_missing_program_says_how_to_get_it(
    kind: type[Postgres] | type[Redis], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(backing, "_DEBIAN", tmp_path)
    with pytest.raises(CannotBack, match=message):
        kind(tmp_path)
