"""The Reports API of the fake of Amazon's Selling Partner API."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

from airflow_asyncjob.testing.amazon import errors, json_body, marketplaces_problem
from airflow_asyncjob.testing.amazon_jobs import AmazonJob, Service
from airflow_asyncjob.testing.api import Received, Reply
from airflow_asyncjob.testing.quota import UsagePlan

__all__ = ["LISTING_COLUMNS", "Reports", "expected_listings"]

LISTING_COLUMNS = ("sku", "asin", "price", "quantity")
"""Those of GET_FLAT_FILE_OPEN_LISTINGS_DATA."""

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


class Reports(Service):
    """createReport, getReport, cancelReport, getReportDocument, and the documents."""

    section, noun, first_id, document = "reports", "Report", 50_001_020_001, "result"
    plans = _PLANS

    def create(self, request: Received) -> Reply:
        """Execute createReport."""
        given = json_body(request, _FIELDS)
        if isinstance(given, Reply):
            return given
        problem = _problem_of(given, self.api.clock.time())
        return errors(400, "InvalidInput", "Invalid input", problem) if problem else self.created(given)

    def end_of(self, job: AmazonJob) -> str:
        """Return that a report ends well."""
        return "DONE"

    def send(self, job: AmazonJob) -> Reply:
        """Send the rows."""
        rows = self.api.options.rows
        path = self.api.files.get(f"report-{rows}", lambda out: _write(out, rows))
        return Reply(200, path, {"Content-Type": "application/octet-stream"}, job_id=job.id)

    def told(self, job: AmazonJob, *, done: bool) -> dict[str, Any]:
        """Return what was asked for, and the document."""
        told = {name: value for name, value in job.given.items() if name != "reportOptions"}
        return {**told, "reportDocumentId": self.document_id(job)} if done else told


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
