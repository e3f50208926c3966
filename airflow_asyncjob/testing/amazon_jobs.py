"""What reports and feeds of the Selling Partner API have in common: they wait in a queue, run, and end."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_asyncjob.testing.amazon import DOCUMENT_SECONDS, AmazonApi, Operation, errors, iso
from airflow_asyncjob.testing.api import Received, Reply, Route, json_reply
from airflow_asyncjob.testing.ledger import Purpose
from airflow_asyncjob.testing.presigned import s3_error
from airflow_asyncjob.testing.quota import UsagePlan

__all__ = ["AmazonJob", "Service"]

_ABSENT = "The specified resource does not exist."


@dataclass
class AmazonJob:
    """A report or a feed.

    :param id: the API's.
    :param given: the body that created it.
    :param created_at: seconds since the epoch.
    :param cancelled_at: when it was cancelled by a request; None: it was not.
    """

    id: str
    given: dict[str, Any]
    created_at: float
    cancelled_at: float | None = None


class Service(ABC):
    """Jobs below one path, each of which ends with a document.

    :param api: the server that it belongs to.
    """

    section: ClassVar[str]
    """``reports`` or ``feeds``: of the path."""
    noun: ClassVar[str]
    """``Report`` or ``Feed``: of the operations."""
    plans: ClassVar[Mapping[str, UsagePlan]]
    """Operation: how often it may be called."""
    first_id: ClassVar[int]
    document: ClassVar[Purpose]
    """What the document of a job is for."""

    def __init__(self, api: AmazonApi) -> None:
        self.api = api
        self._jobs: dict[str, AmazonJob] = {}
        self.lock = threading.RLock()
        base, self._prefix = f"/{self.section}/2021-06-30", f"amzn1.fake.{self.section}."
        self._all = f"{base}/{self.section}"
        self.documents = f"{base}/documents"
        self._one = re.compile(re.escape(self._all) + r"/([^/]+)")
        self._document = re.compile(re.escape(f"{self.documents}/{self._prefix}") + r"([^/]+)")
        self._file = re.compile(rf"/{self.section}/([^/]+)")

    def operation(self, request: Received) -> Operation | None:
        """Return the operation that a request calls; None: none of these."""
        if (request.method, request.path) == ("POST", self._all):
            return self.called("create" + self.noun, Route("submit"))
        if match := self._one.fullmatch(request.path):
            if request.method == "GET":
                return self.called("get" + self.noun, Route("poll", match[1]))
            if request.method == "DELETE":
                return self.called("cancel" + self.noun, Route("cancel", match[1]))
        match = self._document.fullmatch(request.path)
        if match and request.method == "GET":
            return self.called(f"get{self.noun}Document", Route("other", match[1]))
        return None

    def called(self, name: str, route: Route) -> Operation:
        """Return an operation."""
        return Operation(name, self.plans[name], route)

    def route_file(self, request: Received) -> Route | None:
        """Say what a request to the file host is for; None: for something else."""
        match = self._file.fullmatch(request.path)
        return Route(self.document, match[1]) if match and request.method == "GET" else None

    def running(self) -> list[str]:
        """Return the IDs of those that have not ended."""
        with self.lock:
            jobs = list(self._jobs.values())
        return [job.id for job in jobs if self.status(job) in ("IN_QUEUE", "IN_PROGRESS")]

    def answer(self, name: str, request: Received, job_id: str) -> Reply:
        """Execute an operation."""
        if name == "create" + self.noun:
            return self.create(request)
        with self.lock:
            job = self._jobs.get(job_id)
        if job is None:
            return errors(404, "NotFound", _ABSENT, job_id=job_id)
        if name == "cancel" + self.noun:
            return self._cancel(job)
        if name == "get" + self.noun:
            return json_reply(200, self._described(job), job_id=job.id)
        if self.status(job) != "DONE":
            return errors(404, "NotFound", _ABSENT, job_id=job.id)
        url = self.api.urls.url(self.api.files_url, f"/{self.section}/{job.id}", seconds=DOCUMENT_SECONDS)
        name = f"{self.noun.lower()}DocumentId"
        document = {name: self._prefix + job.id, "url": url, "compressionAlgorithm": "GZIP"}
        return json_reply(200, document, job_id=job.id)

    def file(self, request: Received) -> Reply:
        """Send a document."""
        match = self._file.fullmatch(request.path)
        with self.lock:
            job = self._jobs.get(match[1]) if match else None
        if job is None or self.status(job) != "DONE":
            return s3_error(404, "NoSuchKey", "The specified key does not exist.")
        return self.send(job)

    def status(self, job: AmazonJob) -> str:
        """Return the processing status."""
        options, now = self.api.options, self.api.clock.time()
        if job.cancelled_at is not None:
            return "CANCELLED"
        if now < job.created_at + options.queue_seconds:
            return "IN_QUEUE"
        if now < job.created_at + options.queue_seconds + options.seconds:
            return "IN_PROGRESS"
        return self.end_of(job) if options.ends == "DONE" else options.ends

    def created(self, given: dict[str, Any]) -> Reply:
        """Make a job, and return the answer that says so."""
        with self.lock:
            job = AmazonJob(str(self.first_id + len(self._jobs)), given, self.api.clock.time())
            self._jobs[job.id] = job
        return json_reply(202, {f"{self.noun.lower()}Id": job.id}, job_id=job.id, created=True)

    @abstractmethod
    def create(self, request: Received) -> Reply:
        """Execute the operation that makes a job."""

    @abstractmethod
    def end_of(self, job: AmazonJob) -> str:
        """Return how a job ends where the options say DONE."""

    @abstractmethod
    def send(self, job: AmazonJob) -> Reply:
        """Return the document of a job that is done."""

    @abstractmethod
    def told(self, job: AmazonJob, *, done: bool) -> dict[str, Any]:
        """Return what a job says of itself beside ID, times and status.

        :param done: its status is DONE.
        """

    def document_id(self, job: AmazonJob) -> str:
        """Return the ID of the document of a job."""
        return self._prefix + job.id

    def _described(self, job: AmazonJob) -> dict[str, Any]:
        status = self.status(job)
        return {
            f"{self.noun.lower()}Id": job.id,
            **self.told(job, done=status == "DONE"),
            **self._times(job),
            "processingStatus": status,
        }

    def _times(self, job: AmazonJob) -> dict[str, str]:
        """Return the fields with times, those that there are by now."""
        options, now = self.api.options, self.api.clock.time()
        started = job.created_at + options.queue_seconds
        found = {"createdTime": iso(job.created_at)}
        if job.cancelled_at is not None:
            return {**found, "processingEndTime": iso(job.cancelled_at)}
        if now >= started:
            found["processingStartTime"] = iso(started)
        if now >= started + options.seconds:
            found["processingEndTime"] = iso(started + options.seconds)
        return found

    def _cancel(self, job: AmazonJob) -> Reply:
        if self.status(job) != "IN_QUEUE":
            return errors(400, "InvalidInput", "Invalid input", "it is not IN_QUEUE any more", job.id)
        with self.lock:
            job.cancelled_at = self.api.clock.time()
        return Reply(200, b"", job_id=job.id)
