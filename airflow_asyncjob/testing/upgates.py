"""The fake of the asynchronous jobs of an UpGates shop: product images, and a snapshot of all products.

What UpGates itself publishes (https://www.upgates.com/a/api-v2-base-informations, read 2026-11-22) says:
basic authentication with API login and key, JSON with ``Content-Type: application/json``, the codes 200,
400, 401, 404, 405 and 500, and the header ``X-HTTP-Method-Override``. It says nothing of asynchronous jobs,
and its reference on Apiary could not be found.

The job itself (``jobId``, ``status: completed``, ``resultUrl``, ``validUntil``, ``log``) is documented,
word for word, by Shoptet, read 2026-11-22; everything else here follows that:

- https://developers.shoptet.com/asynchronous-requests/: the job, its result for 24 hours at an address of
  the shop.
- https://api.docs.shoptet.com/shoptet-api/openapi/jobs/getjobdetail.md: ``data.job``; 404 for an unknown
  job; 403 when a job that has not been processed is asked for more than 10 times.
- https://api.docs.shoptet.com/shoptet-api/openapi/product-images/createproductimages.md: galleries ``shop``
  and ``shop360``, 100 images a request, ``sourceUrl`` required, ``priority``, ``description``; 202.

- https://developers.shoptet.com/webhooks/ and https://developers.shoptet.com/api/documentation/webhooks/: the
  event ``job:finished`` with the job in ``eventInstance``, ``POST /api/webhooks`` to register it, the header
  ``Shoptet-Webhook-Signature`` (HMAC-SHA1 of the body, in hex), 4 seconds for an answer, three attempts 15
  minutes apart. A job that the system gives up (here: killed, expired) sends none.

The words ``pending``, ``running``, ``failed``, ``expired`` and ``killed`` are those of a list of Shoptet's
API by others (github.com/papirek2/shoptet-api-knowledge). Not documented, and so chosen here: what a result
of images holds, that an image without an http address is refused, the log of a job that failed, that a
result that is too old is answered with 404.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO

from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.reading import basic_login, json_body
from airflow_asyncjob.testing.records import Refused
from airflow_asyncjob.testing.rows import expected_rows, write_rows
from airflow_asyncjob.testing.webhooks import Event, Webhooks

__all__ = ["UpgatesApi", "UpgatesOptions"]

_IMAGES = re.compile(r"/api/products/([^/]+)/images/(shop|shop360)")
_SNAPSHOT = "/api/products/snapshot"
_JOB = re.compile(r"/api/system/jobs/([^/]+)")
_RESULT = re.compile(r"/api-results/([0-9a-z]+)-([0-9a-z]+)\.(json|jsonl\.gz)")
_WEBHOOKS = "/api/webhooks"
_FINISHED = "job:finished"
_MOST_IMAGES = 100
_FIELDS = {"sourceUrl": str, "priority": int, "description": str}


@dataclass
class UpgatesOptions:
    """Options of ``FakeJobServer("upgates")``: asynchronous jobs of a shop.

    :param seconds: how long a job takes; in the first half it is pending, then running.
    :param ends: status of a job that has ended: completed, failed, expired or killed.
    :param login: API login.
    :param password: API key.
    :param products: how many products the snapshot has.
    :param polls: how often a job that has not been processed may be asked for.
    :param kept_for: seconds after its end for which a result can be fetched.
    :param webhook_url: where ``job:finished`` is sent; empty: nowhere, until it is registered.
    :param webhook_key: what events are signed with; empty: they are not.
    :param webhook_retry: seconds until an event that was not taken is sent again, three times in all.
    """

    seconds: float = 5.0
    ends: str = "completed"
    login: str = "api-login"
    password: str = "a-key-for-tests"  # noqa: S105 (of a fake server)
    products: int = 100
    polls: int = 10
    kept_for: float = 24 * 3600.0
    webhook_url: str = ""
    webhook_key: str = ""
    webhook_retry: float = 900.0


@dataclass
class _Job:
    id: str
    endpoint: str
    created_at: float
    images: list[dict[str, Any]] | None
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    polls: int = 0

    @property
    def result(self) -> str:
        return f"/api-results/{self.id}-{self.token}.{'jsonl.gz' if self.images is None else 'json'}"


class UpgatesApi(Api):
    """Jobs of a shop, and on another port the results, which need no credentials."""

    options_class = UpgatesOptions
    options: UpgatesOptions
    has_file_host = True

    def __init__(self, clock: Clock, files: FileStore, options: UpgatesOptions) -> None:
        super().__init__(clock, files, options)
        self.webhooks = Webhooks(clock, retry_wait=options.webhook_retry)
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.RLock()

    def credentials(self) -> dict[str, Any]:
        """Return login and key, and what the events are signed with where they are."""
        extra = {"extra": {"webhook_secret": self.options.webhook_key}} if self.options.webhook_key else {}
        return {"login": self.options.login, "password": self.options.password, **extra}

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        if request.host == "files":
            match = _RESULT.fullmatch(request.path)
            return Route("result", match[1]) if match and request.method == "GET" else Route("other")
        method = request.headers.get("x-http-method-override", request.method).upper()
        if method == "POST" and _IMAGES.fullmatch(request.path):
            return Route("submit")
        if method == "GET" and request.path == _SNAPSHOT:
            return Route("submit")
        match = _JOB.fullmatch(request.path)
        return Route("poll", match[1]) if match and method == "GET" else Route("other")

    def running(self) -> list[str]:
        """Return the IDs of the jobs that have not ended."""
        with self._lock:
            return [job.id for job in self._jobs.values() if self._status(job) in ("pending", "running")]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        route = self.route(request)
        with self._lock:
            job = self._jobs.get(route.job_id or "")
            if request.host == "files":
                return self._result(job, request)
            if basic_login(request) != f"{self.options.login}:{self.options.password}":
                return _errors(401, "unauthorized", "Wrong login or key.")
            if route.purpose == "submit":
                return self._submit(request)
            if (request.method, request.path) == ("POST", _WEBHOOKS):
                return self._register(request)
            if job is None:
                return _errors(404, "not-found", "There is nothing at this address.")
            return self._poll(job)

    def _submit(self, request: Received) -> Reply:
        images = None
        if request.path != _SNAPSHOT:
            if not request.headers.get("content-type", "").startswith("application/json"):
                return _errors(400, "invalid-content-type", "Content-Type must be application/json.")
            images, problem = _images_of(json_body(request))
            if images is None:
                return _errors(400, "invalid-request-data", problem)
        job = _Job(f"{len(self._jobs) + 1:x}ax1844", request.path, self.clock.time(), images)
        self._jobs[job.id] = job
        self.webhooks.plan(job.created_at + self.options.seconds, partial(self._finished, job))
        return json_reply(202, _data({"jobId": job.id}), job_id=job.id, created=True)

    def _register(self, request: Received) -> Reply:
        given = json_body(request)
        data = given.get("data") if isinstance(given, dict) else None
        known = [
            one
            for one in (data if isinstance(data, list) else [])
            if isinstance(one, dict) and one.get("event") == _FINISHED and isinstance(one.get("url"), str)
        ]
        if len(known) != 1:
            return _errors(
                400, "invalid-request-data", f"data must be one webhook, of the event {_FINISHED}."
            )
        self.options.webhook_url = known[0]["url"]
        created = _time(self.clock.time())
        told = {"id": 1, "event": _FINISHED, "url": known[0]["url"], "created": created, "updated": None}
        return json_reply(201, _data({"webhooks": [told]}))

    def _finished(self, job: _Job) -> Event | None:
        """Return the event of a job that has ended; None: nobody wants it, or the system gave the job up."""
        options = self.options
        if not options.webhook_url or self._status(job) not in ("completed", "failed"):
            return None
        told = {
            "eshopId": 222651,
            "event": _FINISHED,
            "eventCreated": _time(self.clock.time()),
            "eventInstance": job.id,
        }
        body = json.dumps(told).encode()
        headers = {"Content-Type": "application/json"}
        if options.webhook_key:
            headers["Shoptet-Webhook-Signature"] = hmac.digest(
                options.webhook_key.encode(), body, "sha1"
            ).hex()
        return Event(options.webhook_url, body, headers, job.id)

    def _poll(self, job: _Job) -> Reply:
        status = self._status(job)
        ended = status not in ("pending", "running")
        if not ended:
            job.polls += 1
            if job.polls > self.options.polls:
                said = f"A job that is not processed may be asked for {self.options.polls} times."
                return _errors(403, "too-many-requests", said, job_id=job.id)
        ended_at = job.created_at + self.options.seconds
        done = status == "completed"
        shown = {
            "jobId": job.id,
            "endpoint": job.endpoint,
            "creationTime": _time(job.created_at),
            "completionTime": _time(ended_at) if ended else None,
            "duration": f"{self.options.seconds:.3f}" if ended else None,
            "status": status,
            "resultUrl": f"{self.files_url}{job.result}" if done else None,
            "validUntil": _time(ended_at + self.options.kept_for) if done else None,
            "log": f"The job ended as {status}: no space left." if ended and not done else None,
            "language": "cs",
        }
        return json_reply(200, _data({"job": shown}), job_id=job.id)

    def _status(self, job: _Job) -> str:
        ran = self.clock.time() - job.created_at
        if ran < self.options.seconds:
            return "pending" if ran < self.options.seconds / 2 else "running"
        return self.options.ends

    def _result(self, job: _Job | None, request: Received) -> Reply:
        late = (
            job is None or self.clock.time() >= job.created_at + self.options.seconds + self.options.kept_for
        )
        if job is None or late or request.path != job.result or self._status(job) != "completed":
            return _errors(404, "not-found", "The result is not kept any more.")
        if job.images is not None:
            return json_reply(200, self._judged(job, job.images), job_id=job.id)

        def write(out: BinaryIO) -> None:
            write_rows(out, expected_rows(self.options.products), "jsonl", zipped=True)

        kind = {"Content-Type": "application/gzip"}
        return Reply(200, self.files.get(job.id, write), kind, job_id=job.id)

    def _judged(self, job: _Job, images: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the result of a job of images, and account for them once."""
        taken: list[dict[str, Any]] = []
        refused: list[Refused] = []
        for number, image in enumerate(images, 1):
            url = image["sourceUrl"]
            if url.startswith(("http://", "https://")):
                taken.append({"name": url.rpartition("/")[2], "sourceUrl": url})
            else:
                refused.append(Refused(job.id, number, url, "The image could not be fetched."))
        if not self.records.counts(job.id)["received"]:
            self.records.add(job.id, [image["sourceUrl"] for image in taken], refused)
        errors = [
            {"errorCode": "invalid-image", "message": one.reason, "instance": one.key} for one in refused
        ]
        return {"data": {"images": taken}, "errors": errors or None}


def _images_of(given: Any) -> tuple[list[dict[str, Any]] | None, str]:
    """Return the images of a request; None and what is wrong, when something is."""
    data = given.get("data") if isinstance(given, dict) else None
    images = data.get("images") if isinstance(data, dict) else None
    if not isinstance(images, list) or not images:
        return None, "data.images must be a list with one image or more."
    if len(images) > _MOST_IMAGES:
        return None, f"data.images has {len(images)} images; at most {_MOST_IMAGES} are taken at once."
    for number, image in enumerate(images):
        if not isinstance(image, dict) or "sourceUrl" not in image:
            return None, f"data.images.{number}.sourceUrl is required."
        for name, value in image.items():
            if name not in _FIELDS or isinstance(value, bool) or not isinstance(value, _FIELDS[name]):
                return None, f"data.images.{number}.{name} is not one of the fields, or of a wrong type."
    return images, ""


def _data(data: Any) -> dict[str, Any]:
    return {"data": data, "errors": None, "metadata": {"requestId": secrets.token_hex(8)}}


def _errors(code: int, name: str, message: str, *, job_id: str | None = None) -> Reply:
    error = {"errorCode": name, "message": message, "instance": job_id or ""}
    return json_reply(code, {"data": None, "errors": [error]}, job_id=job_id)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S%z")
