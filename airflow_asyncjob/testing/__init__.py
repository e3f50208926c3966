"""For users' tests: fake job servers with a ledger and faults, a fake clock, the fixture ``fake_job_server``.

::

    from airflow_asyncjob.testing import FakeJobServer

    with FakeJobServer("sendgrid", contacts=100, files=2, seconds=1) as server:
        server.faults.add("poll", 500, times=2)
        ...                                     # run the DAG, the definition, the client against server.url
        assert server.ledger.accepted() == 1    # submitted once
        assert server.ledger.running() == 0     # nothing left running at the remote
        assert not server.faults.active()       # everything that should go wrong did

``python -m airflow_asyncjob.testing serve KIND`` runs one in a process of its own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_asyncjob.testing.clock import Clock, FakeClock, SystemClock
    from airflow_asyncjob.testing.contacts import check_contacts, contact, expected_contacts, records_digest
    from airflow_asyncjob.testing.faults import Fault, Faults
    from airflow_asyncjob.testing.ledger import Entry, Ledger
    from airflow_asyncjob.testing.records import Records, Refused
    from airflow_asyncjob.testing.rows import expected_rows
    from airflow_asyncjob.testing.sendgrid import SENDGRID_KEY
    from airflow_asyncjob.testing.server import FakeJobServer

__all__ = [
    "SENDGRID_KEY",
    "Clock",
    "Entry",
    "FakeClock",
    "FakeJobServer",
    "Fault",
    "Faults",
    "Ledger",
    "Records",
    "Refused",
    "SystemClock",
    "check_contacts",
    "contact",
    "expected_contacts",
    "expected_rows",
    "records_digest",
]

# The pytest plugin is imported in every test run of whoever has the package: load nothing before its use.
_HOMES = {
    "SENDGRID_KEY": "sendgrid",
    "Clock": "clock",
    "Entry": "ledger",
    "FakeClock": "clock",
    "FakeJobServer": "server",
    "Fault": "faults",
    "Faults": "faults",
    "Ledger": "ledger",
    "Records": "records",
    "Refused": "records",
    "SystemClock": "clock",
    "check_contacts": "contacts",
    "contact": "contacts",
    "expected_contacts": "contacts",
    "expected_rows": "rows",
    "records_digest": "contacts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
