"""The fake of Salesforce's Bulk API 2.0: query and ingest jobs of contacts.

Behaviour follows the public documentation, read 2026-11-22, below
https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/ (and
.../docs/platform/api-asynch/guide/):

- create_job.htm, upload_job_data.htm (PUT text/csv, 201; 150 MB once it is base64, so 100 MB as it is),
  close_job.htm (PATCH ``UploadComplete``; without it nothing is processed), get_job_info.htm,
  bulk_api_2_job_states.htm (``Open``, ``UploadComplete``, ``InProgress``, ``JobComplete``, ``Failed``,
  ``Aborted``).
- get_job_failed_results.htm (``sf__Id``, ``sf__Error``, then the fields that were sent),
  get_job_unprocessed_results.htm: the records that a job which failed or was aborted never processed.
- query_get_job_results.htm: pages by ``Sforce-Locator`` (``null``: there is no more), ``maxRecords``,
  ``Sforce-NumberOfRecords``; 409 with another API version than that of the job.
- Limits:
  https://developer.salesforce.com/docs/atlas.en-us.228.0.api_bulk_v2.meta/api_bulk_v2/bulk_api_2_limits.htm:
  32,000 characters a field, 400,000 a record, 5,000 fields.
- The token: help.salesforce.com, remoteaccess_oauth_client_credentials_flow, and its sample answer
  (service.conversation_transcript_api_sample1), which has no ``expires_in``.
- A CSV with a column that is no field fails the whole job ("InvalidBatch : Field name not found"):
  github.com/msrivastav13/node-sf-bulk2 issue 17; dataloader and simple-salesforce (issue 739) send one
  upload a job.

Not documented in what was found, and so chosen here: the words of most errors; that a second PUT to a job
is refused (400); that a PATCH without data is refused (400); that line ends other than the job's
``lineEnding`` fail the job; which contacts are refused (no LastName, an e-mail address that is none, a
value that is too long, an external ID twice).

What it does not do: other objects than Contact, SOQL beyond a list of fields and a LIMIT (conditions have
no effect), multipart jobs, lists of jobs, parallel results, compression.
"""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.ledger import Purpose
from airflow_asyncjob.testing.reading import basic_login, iso_time, json_body, whole_number
from airflow_asyncjob.testing.salesforce_contacts import Ingested, csv_of, ingest, queried, query_of

__all__ = ["SalesforceApi", "SalesforceOptions"]

_TOKEN = "/services/oauth2/token"  # noqa: S105 (an address)
_PATH = re.compile(r"/services/data/v(\d+\.\d)/jobs/(query|ingest)(?:/([0-9A-Za-z]+)(?:/(\w+))?)?/?")
_OPERATIONS = {
    "query": ("query", "queryAll"),
    "ingest": ("insert", "update", "upsert", "delete", "hardDelete"),
}
_KNOWN = {
    "query": ("operation", "query", "contentType", "columnDelimiter", "lineEnding"),
    "ingest": ("operation", "object", "externalIdFieldName", "contentType", "columnDelimiter", "lineEnding"),
}
_ENDED = ("JobComplete", "Failed", "Aborted")


@dataclass
class SalesforceOptions:
    """Options of ``FakeJobServer("salesforce")``: query and ingest jobs of the Bulk API 2.0.

    :param contacts: how many contacts the organization has.
    :param seconds: how long a job takes; in the first half it is in the queue, then in progress.
    :param fails: jobs end with ``Failed`` and an errorMessage.
    :param processed: how many records of an ingest job are processed before it fails.
    :param login: consumer key.
    :param password: consumer secret.
    :param upload_bytes: the largest upload, in bytes.
    """

    contacts: int = 1000
    seconds: float = 5.0
    fails: bool = False
    processed: int = 0
    login: str = "a-consumer-key"
    password: str = "a-secret-for-tests"  # noqa: S105 (of a fake server)
    upload_bytes: int = 100_000_000


@dataclass
class _Job:
    id: str
    kind: str
    version: str
    given: dict[str, Any]
    created_at: float
    started_at: float | None = None
    aborted: bool = False
    failed: str = ""
    uploaded: bool = False
    ingested: Ingested = field(default_factory=Ingested)


class SalesforceApi(Api):
    """Bulk API 2.0 below ``/services/data/vXX.X/jobs``, and the token endpoint."""

    options_class = SalesforceOptions
    options: SalesforceOptions

    def __init__(self, clock: Clock, files: FileStore, options: SalesforceOptions) -> None:
        super().__init__(clock, files, options)
        self._jobs: dict[str, _Job] = {}
        self._tokens: set[str] = set()
        self._lock = threading.RLock()

    def credentials(self) -> dict[str, str]:
        """Return consumer key and secret."""
        return {"login": self.options.login, "password": self.options.password}

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        match = _PATH.fullmatch(request.path)
        if match is None:
            return Route("other")
        _, _, job_id, below = match.groups()
        purposes: dict[tuple[str, bool, str | None], Purpose] = {
            ("POST", False, None): "submit",
            ("GET", True, None): "poll",
            ("DELETE", True, None): "delete",
            ("PUT", True, "batches"): "upload",
            ("GET", True, "results"): "result",
            ("GET", True, "successfulResults"): "result",
            ("GET", True, "failedResults"): "rejects",
            ("GET", True, "unprocessedrecords"): "rejects",
        }
        if request.method == "PATCH" and job_id and not below:
            given = json_body(request)
            aborts = isinstance(given, dict) and given.get("state") == "Aborted"
            return Route("cancel" if aborts else "start", job_id)
        return Route(purposes.get((request.method, job_id is not None, below), "other"), job_id)

    def running(self) -> list[str]:
        """Return the IDs of the jobs that have not ended; one that is open waits for data."""
        with self._lock:
            return [job.id for job in self._jobs.values() if self._state(job) not in _ENDED]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        if (request.method, request.path) == ("POST", _TOKEN):
            return self._token(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self._tokens:
            return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        route, match = self.route(request), _PATH.fullmatch(request.path)
        with self._lock:
            job = self._jobs.get(route.job_id or "")
            if match is None or route.purpose == "other" or (route.job_id and job is None):
                return _error(404, "NOT_FOUND", "The requested resource does not exist")
            if job is None:
                return self._create(match[2], match[1], request)
            if job.kind != match[2]:
                return _error(404, "NOT_FOUND", "The requested resource does not exist")
            if route.purpose == "poll":
                return json_reply(200, self._described(job), job_id=job.id)
            if route.purpose == "upload":
                return self._upload(job, request)
            if route.purpose in ("start", "cancel"):
                return self._change(job, json_body(request))
            if route.purpose == "delete":
                return self._delete(job)
            return (
                self._query_page(job, match[1], request)
                if job.kind == "query"
                else self._records(job, match[4])
            )

    def _token(self, request: Received) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        given = basic_login(request) or f"{form.get('client_id')}:{form.get('client_secret')}"
        if form.get("grant_type") != "client_credentials":
            return json_reply(
                400, {"error": "unsupported_grant_type", "error_description": "grant type not supported"}
            )
        if given != f"{self.options.login}:{self.options.password}":
            return json_reply(
                400, {"error": "invalid_client", "error_description": "invalid client credentials"}
            )
        token = f"00D{secrets.token_hex(16)}"
        self._tokens.add(token)
        described = {"access_token": token, "instance_url": self.url, "token_type": "Bearer"}
        return json_reply(200, {**described, "issued_at": str(int(self.clock.time() * 1000))})

    def _create(self, kind: str, version: str, request: Received) -> Reply:
        given = json_body(request)
        problem = _problem_of(kind, given)
        if problem is not None:
            return problem
        job = _Job(f"750{len(self._jobs) + 1:012d}AAA", kind, version, given, self.clock.time())
        if kind == "query":
            job.started_at = job.created_at
        self._jobs[job.id] = job
        return json_reply(200, self._described(job), job_id=job.id, created=True)

    def _upload(self, job: _Job, request: Received) -> Reply:
        if job.kind != "ingest" or self._state(job) != "Open":
            return _error(400, "INVALIDJOBSTATE", f"The job is not open for data: {self._state(job)}", job)
        if not request.headers.get("content-type", "").startswith("text/csv"):
            return _error(400, "INVALIDCONTENTTYPE", "Content-Type must be text/csv", job)
        if job.uploaded:
            said = "Found multiple contents for this job: only one PUT is allowed, create a new job for more"
            return _error(400, "INVALIDBATCH", said, job)
        if request.size > self.options.upload_bytes:
            return _error(413, "REQUEST_ENTITY_TOO_LARGE", "The job's data exceed 150 MB of base64", job)
        job.uploaded = True
        job.ingested, job.failed = ingest(request.open(), job.given)
        return Reply(201, job_id=job.id)

    def _change(self, job: _Job, given: Any) -> Reply:
        state = given.get("state") if isinstance(given, dict) else None
        now = self._state(job)
        if state == "Aborted" and now not in _ENDED:
            job.aborted = True
            self._account(job)
        elif state != "UploadComplete" or job.kind != "ingest" or now != "Open":
            return _error(400, "INVALIDJOBSTATE", f"The job is {now} and cannot become {state}", job)
        elif not job.uploaded:
            return _error(400, "INVALIDJOBSTATE", "The job has no data: PUT them first", job)
        else:
            job.started_at = self.clock.time()
            if self.options.fails and not job.failed:
                job.failed = "InternalServerError : the job was retried too often."
                job.ingested.stop_after(self.options.processed)
            self._account(job)
        return json_reply(200, self._described(job), job_id=job.id)

    def _account(self, job: _Job) -> None:
        if job.kind == "ingest":
            if job.aborted or (job.failed and not self.options.fails):
                job.ingested.stop_after(0)
            self.records.add(job.id, *job.ingested.account(job.id))

    def _delete(self, job: _Job) -> Reply:
        if self._state(job) not in _ENDED:
            return _error(400, "INVALIDJOBSTATE", "Only a job that has ended can be deleted", job)
        del self._jobs[job.id]
        return Reply(204, job_id=job.id)

    def _state(self, job: _Job) -> str:
        if job.aborted:
            return "Aborted"
        if job.started_at is None:
            return "Open"
        ran = self.clock.time() - job.started_at
        if ran < self.options.seconds:
            return "UploadComplete" if ran < self.options.seconds / 2 else "InProgress"
        return "Failed" if job.failed or self.options.fails else "JobComplete"

    def _described(self, job: _Job) -> dict[str, Any]:
        state = self._state(job)
        described: dict[str, Any] = {
            "id": job.id,
            "operation": job.given["operation"],
            "object": "Contact",
            "createdById": "005000000000001AAA",
            "createdDate": f"{iso_time(job.created_at)[:-1]}.000+0000",
            "state": state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(job.version),
            "lineEnding": job.given.get("lineEnding", "LF"),
            "columnDelimiter": job.given.get("columnDelimiter", "COMMA"),
        }
        if state == "Open":
            described["contentUrl"] = f"services/data/v{job.version}/jobs/ingest/{job.id}/batches"
        if state in _ENDED:
            good, bad = len(job.ingested.good), len(job.ingested.bad)
            query = job.kind == "query" and state == "JobComplete"
            described["numberRecordsProcessed"] = self._total(job) if query else good + bad
            if job.kind == "ingest":
                described["numberRecordsFailed"] = bad
        if state == "Failed":
            described["errorMessage"] = job.failed or "InternalServerError : the query was retried too often."
        return described

    def _total(self, job: _Job) -> int:
        limit = query_of(job.given["query"])[1]
        return self.options.contacts if limit is None else min(limit, self.options.contacts)

    def _query_page(self, job: _Job, version: str, request: Received) -> Reply:
        if version != job.version:
            return _error(409, "API_VERSION_MISMATCH", f"The job was created with v{job.version}", job)
        if self._state(job) != "JobComplete":
            return _error(400, "INVALIDJOBSTATE", f"There are no results: the job is {self._state(job)}", job)
        total = self._total(job)
        most = whole_number(request.query.get("maxRecords"), 50_000, 1)
        start = whole_number(request.query.get("locator", "")[3:] or None, 0, 0, total)
        if most is None or start is None or ("locator" in request.query and not start):
            return _error(400, "INVALID_LOCATOR", "maxRecords or locator is wrong", job)
        end = min(total, start + most)
        rows = (queried(job.given["query"], number) for number in range(start, end))
        headers = {
            "Content-Type": "text/csv",
            "Sforce-NumberOfRecords": str(end - start),
            "Sforce-Locator": f"MTA{end}" if end < total else "null",
        }
        return Reply(200, csv_of(query_of(job.given["query"])[0], rows), headers, job_id=job.id)

    def _records(self, job: _Job, which: str) -> Reply:
        if self._state(job) not in _ENDED:
            return _error(400, "INVALIDJOBSTATE", f"There are no results: the job is {self._state(job)}", job)
        return Reply(200, job.ingested.csv(which), {"Content-Type": "text/csv"}, job_id=job.id)


def _problem_of(kind: str, given: Any) -> Reply | None:
    """Return the refusal of a job that is wrong; None: it is not."""
    if not isinstance(given, dict):
        return _error(400, "JSON_PARSER_ERROR", "The body is not a JSON object")
    for name in given:
        if name not in _KNOWN[kind]:
            return _error(400, "JSON_PARSER_ERROR", f"Unrecognized field {name}")
    if given.get("operation") not in _OPERATIONS[kind]:
        return _error(400, "INVALIDOPERATION", f"operation must be one of {', '.join(_OPERATIONS[kind])}")
    if given.get("contentType", "CSV") != "CSV":
        return _error(400, "INVALIDCONTENTTYPE", "contentType must be CSV")
    if (
        given.get("lineEnding", "LF") not in ("LF", "CRLF")
        or given.get("columnDelimiter", "COMMA") != "COMMA"
    ):
        return _error(
            400, "INVALIDJOB", "lineEnding must be LF or CRLF, and columnDelimiter COMMA in this fake"
        )
    if kind == "query":
        try:
            query_of(given.get("query"))
        except ValueError as error:
            return _error(400, "MALFORMED_QUERY", str(error))
        return None
    if given.get("object") != "Contact":
        return _error(400, "INVALIDENTITY", "object must be Contact in this fake")
    if (given["operation"] == "upsert") != bool(given.get("externalIdFieldName")):
        return _error(
            400, "INVALIDJOB", "externalIdFieldName goes with operation upsert, and is required there"
        )
    return None


def _error(code: int, name: str, message: str, job: _Job | None = None) -> Reply:
    return json_reply(code, [{"errorCode": name, "message": message}], job_id=job.id if job else None)
