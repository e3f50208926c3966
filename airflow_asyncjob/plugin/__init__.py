"""Jobs in the Airflow UI: the page "Async jobs", the tab "Async job" of a task, and the routes behind them;
and what hears of a user's mark.

Every process of Airflow that loads plugins imports this module, workers too, so it holds names only. FastAPI,
SQLAlchemy and all else is loaded where the API server asks for the app.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin

__all__ = ["AsyncJobPlugin"]

_BUNDLE = "asyncjob/static/asyncjob.js"
"""Relative: Airflow resolves it against its own address, which may have a path."""


class AsyncJobPlugin(AirflowPlugin):
    """What Airflow asks for, by the entry point ``asyncjob`` of the group ``airflow.plugins``."""

    name = "asyncjob"
    # One address for each view: a browser runs a module once, and Airflow takes the component that a module
    # leaves behind when it runs.
    react_apps: list[Any] = [  # noqa: RUF012 - Airflow's own attribute, and it removes from it what it refuses
        {
            "name": "Async jobs",
            "bundle_url": f"{_BUNDLE}?view=jobs",
            "destination": "nav",
            "category": "browse",
            "url_route": "async-jobs",
        },
        {
            "name": "Async job",
            "bundle_url": f"{_BUNDLE}?view=task",
            "destination": "task_instance",
            "url_route": "async-job",
        },
    ]

    @property
    def listeners(self) -> list[Any]:  # type: ignore[override]
        """What hears of marks: a module of names only, for workers ask for it, too."""
        from airflow_asyncjob.plugin import listener

        return [listener]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app, built when the API server asks; Airflow asks once in a process."""
        from airflow_asyncjob.plugin.app import URL_PREFIX, build_app

        return [{"name": "Async jobs", "url_prefix": URL_PREFIX, "app": build_app()}]
