"""The Feeds API of the fake of Amazon's Selling Partner API."""

from __future__ import annotations

import gzip
import json
import re
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
from airflow_asyncjob.testing.amazon_jobs import AmazonJob, Service
from airflow_asyncjob.testing.amazon_listings import Processed, process
from airflow_asyncjob.testing.api import Received, Reply, Route, json_reply
from airflow_asyncjob.testing.presigned import s3_error
from airflow_asyncjob.testing.quota import UsagePlan
from airflow_asyncjob.testing.records import Refused

__all__ = ["Feeds"]

_UPLOAD = re.compile(r"/uploads/([^/]+)")
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


class Feeds(Service):
    """createFeedDocument, the upload, createFeed, getFeed, cancelFeed, getFeedDocument, the report."""

    section, noun, first_id, document = "feeds", "Feed", 3_485_934, "rejects"
    plans = _PLANS

    def __init__(self, api: AmazonApi) -> None:
        super().__init__(api)
        self._documents: dict[str, _Document] = {}
        self._processed: dict[str, Processed | None] = {}

    def operation(self, request: Received) -> Operation | None:
        """Return the operation that a request calls; None: none of these."""
        if (request.method, request.path) == ("POST", self.documents):
            return self.called("createFeedDocument", Route("other"))
        return super().operation(request)

    def route_file(self, request: Received) -> Route | None:
        """Say what a request to the file host is for; None: for something else."""
        if request.method == "PUT" and _UPLOAD.fullmatch(request.path):
            return Route("upload")
        return super().route_file(request)

    def answer(self, name: str, request: Received, job_id: str) -> Reply:
        """Execute an operation."""
        if name == "createFeedDocument":
            return self._create_document(request)
        return super().answer(name, request, job_id)

    def file(self, request: Received) -> Reply:
        """Take an upload, or send a processing report."""
        upload = _UPLOAD.fullmatch(request.path)
        if upload is None:
            return super().file(request)
        with self.lock:
            document = self._documents.get(upload[1])
            if document is not None:
                document.content = request.body
        return Reply(200) if document else s3_error(404, "NoSuchKey", "The key does not exist.")

    def _create_document(self, request: Received) -> Reply:
        given = json_body(request, ("contentType",))
        if isinstance(given, Reply):
            return given
        content_type = given.get("contentType")
        if not isinstance(content_type, str) or not content_type:
            return errors(400, "InvalidInput", "Invalid input", "contentType is required")
        document_id = f"amzn1.tortuga.feed.{uuid.uuid4()}"
        with self.lock:
            self._documents[document_id] = _Document(content_type)
        url = self.api.urls.url(
            self.api.files_url,
            f"/uploads/{document_id}",
            seconds=DOCUMENT_SECONDS,
            method="PUT",
            headers={"content-type": content_type},
        )
        return json_reply(201, {"feedDocumentId": document_id, "url": url})

    def create(self, request: Received) -> Reply:
        """Execute createFeed."""
        given = json_body(request, _FIELDS)
        if isinstance(given, Reply):
            return given
        with self.lock:
            document = self._documents.get(str(given.get("inputFeedDocumentId")))
            problem = _problem_of(given, document)
            if problem is None and document is not None:
                document.used = True
        return errors(400, "InvalidInput", "Invalid input", problem) if problem else self.created(given)

    def end_of(self, job: AmazonJob) -> str:
        """Return FATAL where the document is of no use."""
        return "FATAL" if self._process(job) is None else "DONE"

    def send(self, job: AmazonJob) -> Reply:
        """Send the processing report."""
        processed = self._process(job)
        assert processed is not None  # the job is done

        def write(out: BinaryIO) -> None:
            out.write(gzip.compress(json.dumps(processed.report).encode(), mtime=0))

        path = self.api.files.get(f"feed-{job.id}", write)
        return Reply(200, path, {"Content-Type": "application/octet-stream"}, job_id=job.id)

    def told(self, job: AmazonJob, *, done: bool) -> dict[str, Any]:
        """Return type and marketplaces, and the document."""
        told = {name: job.given[name] for name in ("feedType", "marketplaceIds")}
        return {**told, "resultFeedDocumentId": self.document_id(job)} if done else told

    def _process(self, job: AmazonJob) -> Processed | None:
        """Return what became of the messages of a feed that has ended; None: its document is of no use."""
        with self.lock:
            if job.id not in self._processed:
                options = self.api.options
                content = self._documents[job.given["inputFeedDocumentId"]].content or b""
                found = process(job.id, content, options.refuse_every, options.most_bytes)
                self._processed[job.id] = found
                if found is not None:
                    refused = [Refused(job.id, *one) for one in found.refused]
                    self.api.records.add(job.id, found.accepted, refused)
            return self._processed[job.id]


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
