"""The databases that benchmarks of the API server run over: SQLite, and PostgreSQL where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the folder tests/

from airflow_asyncjob.testing.backing import CannotBack, Postgres, start_backing
from airflow_asyncjob.testing.processes import ProcessFamily

__all__ = ["DATABASES", "each_database"]

DATABASES = ("sqlite", "postgresql")


def each_database(folder: Path, only: str | None) -> Iterator[tuple[str, Path, dict[str, str]]]:
    """Yield, for each database, its name, a folder for an Airflow, and the settings that name the database.

    :param only: ``sqlite`` or ``postgresql``; None: both.
    """
    if only != "postgresql":
        yield "SQLite", folder / "sqlite", {}
    if only == "sqlite":
        return
    try:
        with _postgres(folder) as url:
            env = {
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_ENABLED": "True",
            }
            yield "PostgreSQL", folder / "airflow", env
    except CannotBack as problem:
        print(f"PostgreSQL was left out: {problem}")


@contextmanager
def _postgres(home: Path) -> Iterator[str]:
    """Run a PostgreSQL server; give the address of its database."""
    server, family = Postgres(home / "postgres"), ProcessFamily(home / "backing")
    server.make()
    try:
        start_backing(family, "postgres", server, 120)
        server.make_database()
        yield f"postgresql+psycopg2://{server.url}"
    finally:
        family.stop()
        server.remove()
