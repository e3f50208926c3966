"""How bytes move: one exchange at a time, credentials, one driver loop, trace, redaction.

Names are loaded when they are first used: a DAG file that imports an operator does not pay for httpx.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_asyncjob.transport.async_client import AsyncWire
    from airflow_asyncjob.transport.client import Wire
    from airflow_asyncjob.transport.driver import AsyncHands, Hands, Machine, arun, run
    from airflow_asyncjob.transport.narrate import Narrator
    from airflow_asyncjob.transport.redact import Redactor
    from airflow_asyncjob.transport.settings import ConnectionSettings
    from airflow_asyncjob.transport.trace import Trace

__all__ = [
    "AsyncHands",
    "AsyncWire",
    "ConnectionSettings",
    "Hands",
    "Machine",
    "Narrator",
    "Redactor",
    "Trace",
    "Wire",
    "arun",
    "run",
]

_MODULES = {
    "AsyncHands": "driver",
    "AsyncWire": "async_client",
    "ConnectionSettings": "settings",
    "Hands": "driver",
    "Machine": "driver",
    "Narrator": "narrate",
    "Redactor": "redact",
    "Trace": "trace",
    "Wire": "client",
    "arun": "driver",
    "run": "driver",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
