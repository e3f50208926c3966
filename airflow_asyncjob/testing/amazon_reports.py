"""The Reports API of the fake of Amazon's Selling Partner API."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

from airflow_asyncjob.testing.amazon import (
    DOCUMENT_SECONDS,
    AmazonApi,
    Operation,
    errors,
    json_body,
    marketplaces_problem,
)
from airflow_asyncjob.testing.amazon_jobs import AmazonJob, Jobs
from airflow_asyncjob.testing.api import Received, Reply, Route, json_reply
from airflow_asyncjob.testing.presigned import s3_error
from airflow_asyncjob.testing.quota import UsagePlan

__all__ = ["LISTING_COLUMNS", "Reports", "expected_listings"]

LISTING_COLUMNS = ("sku", "asin", "price", "quantity")
"""Those of GET_FLAT_FILE_OPEN_LISTINGS_DATA."""

_REPORTS = "/reports/2021-06-30/reports"
_REPORT = re.compile(re.escape(_REPORTS) + r"/([^/]+)")
_DOCUMENT = re.compile(r"/reports/2021-06-30/documents/(amzn1\.spdoc\.1\.report\.([^/]+))")
_FILE = re.compile(r"/report/([^/]+)")
_FIELDS = ("reportType", "marketplaceIds", "dataStartTime", "dataEndTime", "reportOptions")
_PLANS = {
    "createReport": UsagePlan(0.0167, 15),
    "getReport": UsagePlan(2, 15),
    "cancelReport": UsagePlan(0.0222, 10),
    "getReportDocument": UsagePlan(0.0167, 15),
}


def expected_listings(rows: int) -> Iterator[dict[str, str]]:
    """Yield the rows of a report; every value is text, empty where there is none.

    Among them are quotes that quote nothing, leading zeros and other scripts: the file has no quoting.
    """
    for number in range(rows):
        yield {
            "sku": f'{number:08d} 12" Größe' if number % 5 == 0 else f"SKU-{number:08d}",
            "asin": f"B{number:09d}",
            "price": f"{number % 900 + 1}.50",
            "quantity": "" if number % 3 == 0 else str(number % 40),
        }


class Reports:
    """createReport, getReport, cancelReport, getReportDocument, and the documents."""

    def __init__(self, api: AmazonApi) -> None:
        self._api = api
        self._jobs = Jobs(50_001_020_001)

    def operation(self, request: Received) -> Operation | None:
        """Return the operation that a request calls; None: none of these."""
        if (request.method, request.path) == ("POST", _REPORTS):
            return _operation("createReport", Route("submit"))
        if match := _REPORT.fullmatch(request.path):
            if request.method == "GET":
                return _operation("getReport", Route("poll", match[1]))
            if request.method == "DELETE":
                return _operation("cancelReport", Route("cancel", match[1]))
        match = _DOCUMENT.fullmatch(request.path)
        if match and request.method == "GET":
            return _operation("getReportDocument", Route("other", match[2]))
        return None

    def route_file(self, request: Received) -> Route | None:
        """Say what a request to the file host is for; None: for something else."""
        match = _FILE.fullmatch(request.path)
        return Route("result", match[1]) if match and request.method == "GET" else None

    def running(self) -> list[str]:
        """Return the IDs of those that have not ended."""
        return [job.id for job in self._jobs.all() if self._status(job) in ("IN_QUEUE", "IN_PROGRESS")]

    def answer(self, name: str, request: Received, job_id: str) -> Reply:
        """Execute an operation."""
        if name == "createReport":
            return self._create(request)
        job = self._jobs.get(job_id)
        if job is None:
            return errors(404, "NotFound", "The specified resource does not exist.", job_id=job_id)
        if name == "cancelReport":
            return self._jobs.cancel(job, self._api.options, self._api.clock.time())
        if name == "getReport":
            return json_reply(200, self._described(job), job_id=job.id)
        if self._status(job) != "DONE":
            return errors(404, "NotFound", "The specified resource does not exist.", job_id=job.id)
        url = self._api.urls.url(self._api.files_url, f"/report/{job.id}", seconds=DOCUMENT_SECONDS)
        document = {"reportDocumentId": _document_id(job), "url": url, "compressionAlgorithm": "GZIP"}
        return json_reply(200, document, job_id=job.id)

    def file(self, request: Received) -> Reply:
        """Send a document."""
        match = _FILE.fullmatch(request.path)
        job = self._jobs.get(match[1]) if match else None
        if job is None:
            return s3_error(404, "NoSuchKey", "The specified key does not exist.")
        rows = self._api.options.rows
        path = self._api.files.get(f"report-{rows}", lambda out: _write(out, rows))
        return Reply(200, path, {"Content-Type": "application/octet-stream"}, job_id=job.id)

    def _create(self, request: Received) -> Reply:
        given = json_body(request, _FIELDS)
        if isinstance(given, Reply):
            return given
        problem = _problem_of(given, self._api.clock.time())
        if problem:
            return errors(400, "InvalidInput", "Invalid input", problem)
        job = self._jobs.create(given, self._api.clock.time())
        return json_reply(202, {"reportId": job.id}, job_id=job.id, created=True)

    def _status(self, job: AmazonJob) -> str:
        return job.status(self._api.options, self._api.clock.time(), self._api.options.ends)

    def _described(self, job: AmazonJob) -> dict[str, Any]:
        status = self._status(job)
        described = {
            "reportId": job.id,
            **{name: value for name, value in job.given.items() if name != "reportOptions"},
            **job.times(self._api.options, self._api.clock.time()),
            "processingStatus": status,
        }
        return {**described, "reportDocumentId": _document_id(job)} if status == "DONE" else described


def _operation(name: str, route: Route) -> Operation:
    return Operation(name, _PLANS[name], route)


def _document_id(job: AmazonJob) -> str:
    return f"amzn1.spdoc.1.report.{job.id}"


def _problem_of(given: dict[str, Any], now: float) -> str | None:
    if not isinstance(given.get("reportType"), str) or not given["reportType"]:
        return "reportType is required"
    problem = marketplaces_problem(given.get("marketplaceIds"))
    if problem:
        return problem
    options = given.get("reportOptions", {})
    if not isinstance(options, dict) or any(not isinstance(value, str) for value in options.values()):
        return "reportOptions must be an object of strings"
    for name in ("dataStartTime", "dataEndTime"):
        try:
            if name in given and datetime.fromisoformat(given[name]).timestamp() > now:
                return f"{name} must be prior to or equal to now"
        except (TypeError, ValueError):
            return f"{name} must be a date and time in ISO 8601"
    return None


def _write(out: BinaryIO, rows: int) -> None:
    with gzip.GzipFile("", "wb", 1, out, mtime=0) as file:
        file.write(("\t".join(LISTING_COLUMNS) + "\n").encode())
        for row in expected_listings(rows):
            file.write(("\t".join(row.values()) + "\n").encode())
