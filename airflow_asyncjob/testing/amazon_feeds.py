"""The Feeds API of the fake of Amazon's Selling Partner API."""

from __future__ import annotations

import gzip
import json
import re
import threading
import uuid
from dataclasses import dataclass
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
from airflow_asyncjob.testing.amazon_listings import Processed, process
from airflow_asyncjob.testing.api import Received, Reply, Route, json_reply
from airflow_asyncjob.testing.presigned import s3_error
from airflow_asyncjob.testing.quota import UsagePlan
from airflow_asyncjob.testing.records import Refused

__all__ = ["Feeds"]

_FEEDS = "/feeds/2021-06-30/feeds"
_FEED = re.compile(re.escape(_FEEDS) + r"/([^/]+)")
_DOCUMENTS = "/feeds/2021-06-30/documents"
_DOCUMENT = re.compile(re.escape(_DOCUMENTS) + r"/amzn1\.tortuga\.result\.([^/]+)")
_UPLOAD = re.compile(r"/feed-document/([^/]+)")
_REPORT = re.compile(r"/feed-report/([^/]+)")
_FIELDS = ("feedType", "marketplaceIds", "inputFeedDocumentId", "feedOptions")
_PLANS = {
    "createFeedDocument": UsagePlan(0.5, 15),
    "createFeed": UsagePlan(0.0083, 15),
    "getFeed": UsagePlan(2, 15),
    "cancelFeed": UsagePlan(2, 15),
    "getFeedDocument": UsagePlan(0.0222, 10),
}


@dataclass
class _Document:
    content_type: str
    content: bytes | None = None
    used: bool = False


class Feeds:
    """createFeedDocument, the upload, createFeed, getFeed, cancelFeed, getFeedDocument, the report."""

    def __init__(self, api: AmazonApi) -> None:
        self._api = api
        self._jobs = Jobs(3_485_934)
        self._documents: dict[str, _Document] = {}
        self._processed: dict[str, Processed | None] = {}
        self._lock = threading.Lock()

    def operation(self, request: Received) -> Operation | None:
        """Return the operation that a request calls; None: none of these."""
        if (request.method, request.path) == ("POST", _DOCUMENTS):
            return _operation("createFeedDocument", Route("other"))
        if (request.method, request.path) == ("POST", _FEEDS):
            return _operation("createFeed", Route("submit"))
        if match := _FEED.fullmatch(request.path):
            if request.method == "GET":
                return _operation("getFeed", Route("poll", match[1]))
            if request.method == "DELETE":
                return _operation("cancelFeed", Route("cancel", match[1]))
        match = _DOCUMENT.fullmatch(request.path)
        if match and request.method == "GET":
            return _operation("getFeedDocument", Route("other", match[1]))
        return None

    def route_file(self, request: Received) -> Route | None:
        """Say what a request to the file host is for; None: for something else."""
        if request.method == "PUT" and _UPLOAD.fullmatch(request.path):
            return Route("upload")
        match = _REPORT.fullmatch(request.path)
        return Route("rejects", match[1]) if match and request.method == "GET" else None

    def running(self) -> list[str]:
        """Return the IDs of those that have not ended."""
        return [job.id for job in self._jobs.all() if self._status(job) in ("IN_QUEUE", "IN_PROGRESS")]

    def answer(self, name: str, request: Received, job_id: str) -> Reply:
        """Execute an operation."""
        if name == "createFeedDocument":
            return self._create_document(request)
        if name == "createFeed":
            return self._create(request)
        job = self._jobs.get(job_id)
        if job is None:
            return errors(404, "NotFound", "The specified resource does not exist.", job_id=job_id)
        if name == "cancelFeed":
            return self._jobs.cancel(job, self._api.options, self._api.clock.time())
        if name == "getFeed":
            return json_reply(200, self._described(job), job_id=job.id)
        if self._report_of(job) is None:
            return errors(404, "NotFound", "The specified resource does not exist.", job_id=job.id)
        url = self._api.urls.url(self._api.files_url, f"/feed-report/{job.id}", seconds=DOCUMENT_SECONDS)
        document = {"feedDocumentId": _result_id(job), "url": url, "compressionAlgorithm": "GZIP"}
        return json_reply(200, document, job_id=job.id)

    def file(self, request: Received) -> Reply:
        """Take an upload, or send a processing report."""
        upload = _UPLOAD.fullmatch(request.path)
        if upload:
            with self._lock:
                document = self._documents.get(upload[1])
                if document is not None:
                    document.content = request.body
            return Reply(200) if document else s3_error(404, "NoSuchKey", "The key does not exist.")
        match = _REPORT.fullmatch(request.path)
        job = self._jobs.get(match[1]) if match else None
        processed = self._report_of(job) if job else None
        if job is None or processed is None:
            return s3_error(404, "NoSuchKey", "The specified key does not exist.")

        def write(out: BinaryIO) -> None:
            out.write(gzip.compress(json.dumps(processed.report).encode(), mtime=0))

        path = self._api.files.get(f"feed-{job.id}", write)
        return Reply(200, path, {"Content-Type": "application/octet-stream"}, job_id=job.id)

    def _create_document(self, request: Received) -> Reply:
        given = json_body(request, ("contentType",))
        if isinstance(given, Reply):
            return given
        content_type = given.get("contentType")
        if not isinstance(content_type, str) or not content_type:
            return errors(400, "InvalidInput", "Invalid input", "contentType is required")
        document_id = f"amzn1.tortuga.feed.{uuid.uuid4()}"
        with self._lock:
            self._documents[document_id] = _Document(content_type)
        url = self._api.urls.url(
            self._api.files_url,
            f"/feed-document/{document_id}",
            seconds=DOCUMENT_SECONDS,
            method="PUT",
            headers={"content-type": content_type},
        )
        return json_reply(201, {"feedDocumentId": document_id, "url": url})

    def _create(self, request: Received) -> Reply:
        given = json_body(request, _FIELDS)
        if isinstance(given, Reply):
            return given
        with self._lock:
            document = self._documents.get(str(given.get("inputFeedDocumentId")))
            problem = _problem_of(given, document)
            if problem is None and document is not None:
                document.used = True
        if problem or document is None:
            return errors(400, "InvalidInput", "Invalid input", problem or "")
        job = self._jobs.create(given, self._api.clock.time())
        return json_reply(202, {"feedId": job.id}, job_id=job.id, created=True)

    def _status(self, job: AmazonJob) -> str:
        api = self._api
        status = job.status(api.options, api.clock.time(), api.options.ends)
        return "FATAL" if status == "DONE" and self._process(job) is None else status

    def _described(self, job: AmazonJob) -> dict[str, Any]:
        status = self._status(job)
        described = {
            "feedId": job.id,
            "feedType": job.given["feedType"],
            "marketplaceIds": job.given["marketplaceIds"],
            **job.times(self._api.options, self._api.clock.time()),
            "processingStatus": status,
        }
        return {**described, "resultFeedDocumentId": _result_id(job)} if status == "DONE" else described

    def _report_of(self, job: AmazonJob) -> Processed | None:
        return self._process(job) if self._status(job) == "DONE" else None

    def _process(self, job: AmazonJob) -> Processed | None:
        """Return what became of the messages of a feed that has ended; None: its document is of no use."""
        with self._lock:
            if job.id not in self._processed:
                options = self._api.options
                content = self._documents[job.given["inputFeedDocumentId"]].content or b""
                found = process(job.id, content, options.refuse_every, options.most_bytes)
                self._processed[job.id] = found
                if found is not None:
                    refused = [Refused(job.id, *one) for one in found.refused]
                    self._api.records.add(job.id, found.accepted, refused)
            return self._processed[job.id]


def _operation(name: str, route: Route) -> Operation:
    return Operation(name, _PLANS[name], route)


def _result_id(job: AmazonJob) -> str:
    return f"amzn1.tortuga.result.{job.id}"


def _problem_of(given: dict[str, Any], document: _Document | None) -> str | None:
    if given.get("feedType") != "JSON_LISTINGS_FEED":
        return "feedType is not one that this fake offers: JSON_LISTINGS_FEED"
    problem = marketplaces_problem(given.get("marketplaceIds"))
    if problem:
        return problem
    if document is None:
        return "inputFeedDocumentId is not that of a feed document"
    if document.content is None:
        return "the contents of the feed document have not been uploaded"
    return "the feed document belongs to another feed" if document.used else None
