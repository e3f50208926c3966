"""Submit, wait, download: asynchronous job APIs in Apache Airflow.

The public names are loaded on first use (PEP 562), so that ``import airflow_asyncjob`` costs next to
nothing and loads no Airflow: the command line and a definition's own tests need none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_asyncjob import errors
    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.errors import AsyncJobError
    from airflow_asyncjob.hooks.asyncjob import AsyncJobHook
    from airflow_asyncjob.operators.download import ResultDownloadOperator
    from airflow_asyncjob.operators.plan import UploadPlanOperator
    from airflow_asyncjob.operators.submit import AsyncSubmitOperator
    from airflow_asyncjob.sensors.status import AsyncStatusSensor
    from airflow_asyncjob.task_group import async_job
    from airflow_asyncjob.triggers.status import AsyncStatusTrigger

__all__ = [
    "AsyncJob",
    "AsyncJobError",
    "AsyncJobHook",
    "AsyncStatusSensor",
    "AsyncStatusTrigger",
    "AsyncSubmitOperator",
    "ResultDownloadOperator",
    "UploadPlanOperator",
    "async_job",
    "errors",
]

_HOMES = {
    "AsyncJob": "airflow_asyncjob.definition",
    "AsyncJobError": "airflow_asyncjob.errors",
    "AsyncJobHook": "airflow_asyncjob.hooks.asyncjob",
    "AsyncStatusSensor": "airflow_asyncjob.sensors.status",
    "AsyncStatusTrigger": "airflow_asyncjob.triggers.status",
    "AsyncSubmitOperator": "airflow_asyncjob.operators.submit",
    "ResultDownloadOperator": "airflow_asyncjob.operators.download",
    "UploadPlanOperator": "airflow_asyncjob.operators.plan",
    "async_job": "airflow_asyncjob.task_group",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("airflow_asyncjob.errors")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
