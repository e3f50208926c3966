"""The FastAPI app that Airflow's API server mounts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

from airflow_asyncjob.plugin import routes_jobs, routes_webhooks

__all__ = ["URL_PREFIX", "build_app"]

URL_PREFIX = "/asyncjob"


def build_app() -> FastAPI:
    """Build the app. It keeps nothing between two requests: any process of the API server may answer any.

    Airflow does not guard the routes of plugins: each route here guards itself. The script is public; it
    holds no data.
    """
    app = FastAPI(title="Async jobs", openapi_url=None)
    app.include_router(routes_jobs.router, prefix="/api")
    app.include_router(routes_webhooks.router, prefix="/webhooks")
    app.mount("/static", _Scripts(directory=Path(__file__).parent / "static", check_dir=False))
    return app


class _Scripts(StaticFiles):
    """Files that a browser asks for again each time: after an upgrade all of them are of one version."""

    def file_response(self, *given: Any, **more: Any) -> Response:
        """Return a file, or that the browser has it still (RFC 9111, section 5.2.2.4)."""
        response = super().file_response(*given, **more)
        response.headers["Cache-Control"] = "no-cache"
        return response
