"""The generic fake API: its submit body says how the job goes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO, Literal, get_args
from xml.sax.saxutils import escape

from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.imports import Imports
from airflow_asyncjob.testing.ledger import Purpose
from airflow_asyncjob.testing.paging import rejects_page, rows_page
from airflow_asyncjob.testing.plan import Job, Plan
from airflow_asyncjob.testing.ranges import Ranges, with_ranges
from airflow_asyncjob.testing.rows import expected_rows, share, write_rows
from airflow_asyncjob.testing.webhooks import Event, Webhooks

__all__ = ["GenericApi", "GenericOptions"]

StatusHabit = Literal["json", "xml", "text", "header", "redirect"]
_IMPORT = re.compile(r"/imports/([^/]+)/(?:(data)(?:/(\d+))?|start)")
_JOB = re.compile(r"/jobs/([^/]+)(?:/(result)(?:/(\d+))?|/(rows|rejects))?")


@dataclass
class GenericOptions:
    """Options of ``FakeJobServer("generic")``: a plain job API, whose submit says how the job goes.

    :param status_habit: how ``GET /jobs/ID`` tells the status: ``json`` a JSON object, ``xml`` an XML
        document, ``text`` the bare word, ``header`` an empty body and the header ``X-Job-Status``,
        ``redirect`` as ``json``, and 303 with the address of the first result once there is one (RFC 9110
        15.4.4).
    :param absolute_urls: result addresses are full URLs; else paths that begin with a slash.
    :param auth: credentials that every request needs: ``bearer``, ``basic``, ``api_key`` (header
        ``X-API-Key`` or query parameter ``api_key``); None: none.
    :param credential: the token, ``login:password``, or the key. A wrong or missing one is answered with 401.
    :param read_only_credential: one that may only GET; anything else with it is answered with 403. None:
        there is none.
    :param webhook_secret: what events are signed with, as Standard Webhooks has it: Base64 after ``whsec_``;
        empty: they are not.
    :param webhook_retry: seconds until an event that was not taken is sent again, three times in all.
    :param idempotency: whether the header ``Idempotency-Key`` is honoured; else it is ignored.
    :param ranges: the validator of a result file, which can then be asked for from any byte on (``Range``
        and ``If-Range``): ``etag`` a strong one, ``weak``, ``date`` a Last-Modified; ``refused``: a strong
        one, with ``Accept-Ranges: none``. None: neither validator nor ranges.
    """

    status_habit: StatusHabit = "json"
    absolute_urls: bool = False
    auth: Literal["bearer", "basic", "api_key"] | None = None
    credential: str = "user:open-sesame"
    read_only_credential: str | None = None
    webhook_secret: str = ""
    webhook_retry: float = 5.0
    idempotency: bool = True
    ranges: Ranges | None = None

    def __post_init__(self) -> None:
        if self.status_habit not in get_args(StatusHabit):
            raise ValueError(
                f"status_habit is one of {', '.join(get_args(StatusHabit))}, not {self.status_habit!r}"
            )
        if self.auth not in ("bearer", "basic", "api_key", None):
            raise ValueError(f"auth is one of bearer, basic, api_key, or None, not {self.auth!r}")
        if self.ranges not in (*get_args(Ranges), None):
            raise ValueError(f"ranges is one of {', '.join(get_args(Ranges))}, or None, not {self.ranges!r}")


class GenericApi(Api):
    """A plain job API.

    ======================================  =================================================================
    ``POST /jobs``                          201 with ``id`` and ``Location``; the body is a :class:`Plan`.
                                            With an ``Idempotency-Key`` seen before: 200 and the same job, or
                                            422 when the body differs
    ``GET /jobs``                           the jobs, as ``{"jobs": [...]}``
    ``GET /jobs/ID``                        ``status``, ``progress``, ``message``, ``url``, ``urls``, times
    ``DELETE /jobs/ID``                     cancels it: 200; 404 unknown; 409 when it has ended
    ``GET /jobs/ID/result/N``               file N of the result, from 1; 404 when there is none (yet)
    ``GET /jobs/ID/rows``                   the rows of the result in pages of ``limit`` (100), from
                                            ``offset``, ``page`` (from 1) or ``cursor`` on:
                                            ``{rows, total, more, cursor, next}``; the next page is also in
                                            the headers ``Link`` and ``X-Next-Cursor`` (``null`` on the
                                            last). ``format=csv`` or ``jsonl`` has the rows alone; 404 until
                                            there is a result
    ``GET /jobs/ID/rejects``                the records that it refused, ``{rejects, total, ...}`` in pages as
                                            the rows; 404 before it is done, partial or failed
    ``DELETE /jobs/ID/result``              forgets a job that has ended: 204; 404 unknown; 409 before
    ======================================  =================================================================

    Uploads:

    ======================================  =================================================================
    ``POST /imports``                       201 with ``id`` and ``data``, the address for records; the body
                                            may have ``part_bytes`` and ``part_records`` (limits of one
                                            request), ``key`` (a field, ``email``), ``refuse`` (key: reason),
                                            ``job`` (a :class:`Plan`). The same ``Idempotency-Key``: the same
                                            import
    ``POST /imports/ID/data``               takes records as JSON (a list, or an object with ``records``),
                                            JSON Lines, CSV or XML: 200 with ``received`` and ``errors``
                                            (``row`` from 0, the key, ``message``); 413 over a limit; 415;
                                            400; 409 once it was started
    ``PUT /imports/ID/data/N``              the same, as part N: sent again, it changes nothing
    ``POST /imports/ID/start``              202 with the job; sent again, the same job
    ======================================  =================================================================

    Every record is in ``server.ledger.records``, under the ID of its import.

    The key and its 422 are as in the IETF draft "The Idempotency-Key HTTP Header Field"
    (draft-ietf-httpapi-idempotency-key-header, "Error Scenarios").
    """

    options_class = GenericOptions
    options: GenericOptions

    def __init__(self, clock: Clock, files: FileStore, options: GenericOptions) -> None:
        super().__init__(clock, files, options)
        self.webhooks = Webhooks(clock, retry_wait=options.webhook_retry)
        self._jobs: dict[str, Job] = {}
        self._keys: dict[str, tuple[bytes, Job]] = {}
        self._imports = Imports(self.records)
        self._made = 0
        self._lock = threading.Lock()

    def credentials(self) -> dict[str, str]:
        """Return what goes with ``auth`` and ``credential``."""
        if self.options.auth == "basic":
            login, _, password = self.options.credential.partition(":")
            return {"login": login, "password": password}
        return {"password": self.options.credential} if self.options.auth else {}

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        match = _JOB.fullmatch(request.path)
        if match is None:
            return self._route_of_import(request)
        job_id, result, number, listed = match.groups()
        if listed is not None:
            purpose: Purpose = "result" if listed == "rows" else "rejects"
            return Route(purpose if request.method == "GET" else "other", job_id)
        if request.method == "GET" and (result is None or number is not None):
            return Route("result" if result else "poll", job_id)
        if request.method == "DELETE" and number is None:
            return Route("delete" if result else "cancel", job_id)
        return Route("other", job_id)

    def _route_of_import(self, request: Received) -> Route:
        """Say what a request is for that is about no job, or not yet."""
        match, method = _IMPORT.fullmatch(request.path), request.method
        if match is None:
            new = method == "POST" and request.path in ("/jobs", "/imports")
            return Route("submit" if new else "other")
        import_id, data, number = match.groups()
        if data and (method == "POST") == (number is None) and method in ("POST", "PUT"):
            return Route("upload", import_id)
        return Route("start" if method == "POST" and not data else "other", import_id)

    def running(self) -> list[str]:
        """Return the IDs of the jobs that have not ended."""
        now = self.clock.time()
        with self._lock:
            return [job.id for job in self._jobs.values() if not job.ended(now)]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        denied = self._denied(request)
        if denied is not None:
            return denied
        route = self.route(request)
        if route.purpose in ("upload", "start") or request.path == "/imports":
            return self._import(request, route)
        if route.purpose == "submit":
            return self._submit(request)
        if (request.method, request.path) == ("GET", "/jobs"):
            return self._list()
        if route.purpose == "other" or route.job_id is None:
            return json_reply(
                404, {"error": f"there is no {request.method} {request.path}"}, job_id=route.job_id
            )
        now = self.clock.time()
        with self._lock:
            job = self._jobs.get(route.job_id)
            if job is None:
                return json_reply(404, {"error": f"there is no job {route.job_id}"}, job_id=route.job_id)
            if route.purpose == "cancel":
                return self._cancel(job, now)
            if route.purpose == "delete":
                return self._delete(job, now)
        if route.purpose == "poll":
            return self._status(job, now)
        if route.purpose == "rejects":
            if job.stage(now) not in ("done", "partial", "failed"):
                return json_reply(404, {"error": f"the job {job.id} has no rejects"}, job_id=job.id)
            return rejects_page(job, request, self._address(request.path))
        if request.path.endswith("/rows"):
            if not self._urls(job, now):
                return json_reply(404, {"error": f"the job {job.id} has no rows"}, job_id=job.id)
            return rows_page(job, request, self._address(request.path))
        found = self._result(job, now, int(request.path.rsplit("/", 1)[1]))
        return with_ranges(found, request, self.options.ranges, job.ended_at) if found.code == 200 else found

    def _denied(self, request: Received) -> Reply | None:
        given = self._given_credential(request)
        if self.options.auth is None or given == self.options.credential:
            return None
        if given is not None and given == self.options.read_only_credential:
            if request.method == "GET":
                return None
            return json_reply(403, {"error": "these credentials may only read"})
        scheme = {"bearer": "Bearer", "basic": 'Basic realm="jobs"', "api_key": "ApiKey"}[self.options.auth]
        return json_reply(
            401, {"error": "missing or wrong credentials"}, headers={"WWW-Authenticate": scheme}
        )

    def _given_credential(self, request: Received) -> str | None:
        if self.options.auth == "api_key":
            return request.headers.get("x-api-key", request.query.get("api_key"))
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != self.options.auth:
            return None
        if scheme.lower() == "bearer":
            return value
        try:
            return base64.b64decode(value, validate=True).decode()
        except ValueError:
            return None

    def _submit(self, request: Received) -> Reply:
        try:
            plan = Plan.parse(request.body)
        except ValueError as error:
            return json_reply(400, {"error": str(error)})
        key = request.headers.get("idempotency-key") if self.options.idempotency else None
        digest = hashlib.sha256(request.body).digest()
        with self._lock:
            known = self._keys.get(key) if key is not None else None
            if known is not None and known[0] != digest:
                return json_reply(
                    422, {"error": f"the key {key!r} was used with another body"}, job_id=known[1].id
                )
            if known is not None:
                job, created = known[1], False
            else:
                self._made += 1
                job, created = Job(f"job-{self._made}", plan, self.clock.time()), True
                self._jobs[job.id] = job
                if plan.notify:
                    self.webhooks.plan(job.ended_at, partial(self._event, job))
                if key is not None:
                    self._keys[key] = (digest, job)
        return json_reply(
            201 if created else 200,
            self._described(job, self.clock.time()),
            headers={"Location": self._address(f"/jobs/{job.id}")},
            job_id=job.id,
            created=created,
        )

    def _event(self, job: Job) -> Event:
        """Return the event of a job that has ended; signed as
        https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md has it.
        """
        body = json.dumps({"job": job.id, "status": job.word(self.clock.time())}).encode()
        headers = {"Content-Type": "application/json"}
        if self.options.webhook_secret:
            key = base64.b64decode(self.options.webhook_secret.removeprefix("whsec_"))
            told, at = f"msg_{job.id}", f"{time.time():.0f}"
            signed = hmac.digest(key, f"{told}.{at}.".encode() + body, "sha256")
            signature = f"v1,{base64.b64encode(signed).decode()}"
            headers |= {"webhook-id": told, "webhook-timestamp": at, "webhook-signature": signature}
        return Event(job.plan.notify, body, headers, job.id)

    def _import(self, request: Received, route: Route) -> Reply:
        with self._lock:
            if route.purpose == "submit":
                key = request.headers.get("idempotency-key") if self.options.idempotency else None
                return self._imports.create(request, key)
            one = self._imports.find(route.job_id or "")
            if one is None:
                return json_reply(404, {"error": f"there is no {request.method} {request.path}"})
            if route.purpose == "upload":
                number = request.path.rpartition("/")[2]
                return self._imports.take(one, request, int(number) if number.isdecimal() else None)
            job = self._jobs.get(one.started or "")
            created = job is None
            if job is None:
                self._made += 1
                job = Job(f"job-{self._made}", one.job, self.clock.time())
                self._jobs[job.id], one.started = job, job.id
        described = self._described(job, self.clock.time())
        return json_reply(202, described, job_id=job.id, created=created)

    def _list(self) -> Reply:
        now = self.clock.time()
        with self._lock:
            jobs = list(self._jobs.values())
        return json_reply(200, {"jobs": [self._described(job, now) for job in jobs]})

    def _cancel(self, job: Job, now: float) -> Reply:
        if job.ended(now):
            return json_reply(409, {"error": f"the job {job.id} has ended: {job.stage(now)}"}, job_id=job.id)
        job.cancelled_at = now
        return json_reply(200, self._described(job, now), job_id=job.id)

    def _delete(self, job: Job, now: float) -> Reply:
        if not job.ended(now):
            return json_reply(
                409, {"error": f"the job {job.id} has not ended; cancel it first"}, job_id=job.id
            )
        del self._jobs[job.id]
        return Reply(204, job_id=job.id)

    def _status(self, job: Job, now: float) -> Reply:
        described = self._described(job, now)
        habit = self.options.status_habit
        word = job.word(now)
        if habit == "redirect" and described["urls"]:
            return Reply(303, b"", {"Location": described["url"]}, job_id=job.id)
        if habit == "text":
            return Reply(200, str(word).encode(), {"Content-Type": "text/plain"}, job_id=job.id)
        if habit == "header":
            return Reply(200, b"", {"X-Job-Status": str(word)}, job_id=job.id)
        if habit == "xml":
            return Reply(200, _xml(described).encode(), {"Content-Type": "application/xml"}, job_id=job.id)
        return json_reply(200, described, job_id=job.id)

    def _result(self, job: Job, now: float, part: int) -> Reply:
        plan = job.plan
        if not 1 <= part <= len(self._urls(job, now)):
            return json_reply(404, {"error": f"the job {job.id} has no file {part}"}, job_id=job.id)

        def write(out: BinaryIO) -> None:
            first, count = share(plan.rows, plan.files, part)
            write_rows(out, expected_rows(count, plan.tag, start=first), plan.format, zipped=plan.gzip)

        key = json.dumps([plan.rows, plan.tag, plan.format, plan.files, plan.gzip, part])
        name = f"part-{part}.{plan.format}" + (".gz" if plan.gzip else "")
        kind = {"csv": "text/csv; charset=utf-8", "json": "application/json", "jsonl": "application/x-ndjson"}
        headers = {
            "Content-Type": "application/gzip" if plan.gzip else kind[plan.format],
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        return Reply(200, self.files.get(key, write), headers, job_id=job.id)

    def _described(self, job: Job, now: float) -> dict[str, Any]:
        urls = self._urls(job, now)
        return {
            "id": job.id,
            "status": job.word(now),
            "progress": job.progress(now),
            "message": job.message(now),
            "created_at": _iso(job.created_at),
            "ended_at": _iso(job.ended_at) if job.ended(now) else None,
            "rows": job.plan.rows if urls else None,
            "url": urls[0] if urls else None,
            "urls": urls,
        }

    def _urls(self, job: Job, now: float) -> list[str]:
        if job.stage(now) not in ("done", "partial"):
            return []
        return [self._address(f"/jobs/{job.id}/result/{part}") for part in range(1, job.plan.files + 1)]

    def _address(self, path: str) -> str:
        return self.url + path if self.options.absolute_urls else path


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _xml(described: dict[str, Any]) -> str:
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<Job id="{described["id"]}">']
    lines.append(f'  <Status progress="{described["progress"]}">{escape(str(described["status"]))}</Status>')
    if described["message"] is not None:
        lines.append(f"  <Message>{escape(described['message'])}</Message>")
    lines += [f"  <Result>{escape(url)}</Result>" for url in described["urls"]]
    return "\n".join([*lines, "</Job>", ""])
