"""How bytes become files: decompress, decode, select, write; streaming. No Airflow; pyarrow only on use.

The names are loaded on first use: a DAG file that checks its destination pays for :mod:`.plan` only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_asyncjob.results.destination import RemotePath, as_destination, missing_filesystem
    from airflow_asyncjob.results.manifest import Manifest
    from airflow_asyncjob.results.plan import OUTPUT_FORMATS, OutputPlan, check_output, plan_output
    from airflow_asyncjob.results.source import Source
    from airflow_asyncjob.results.write import check_destination, write_result

__all__ = [
    "OUTPUT_FORMATS",
    "Manifest",
    "OutputPlan",
    "RemotePath",
    "Source",
    "as_destination",
    "check_destination",
    "check_output",
    "missing_filesystem",
    "plan_output",
    "write_result",
]

_HOMES = {
    "destination": ("RemotePath", "as_destination", "missing_filesystem"),
    "manifest": ("Manifest",),
    "plan": ("OUTPUT_FORMATS", "OutputPlan", "check_output", "plan_output"),
    "source": ("Source",),
    "write": ("check_destination", "write_result"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
