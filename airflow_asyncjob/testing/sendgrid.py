"""The fake of SendGrid's marketing contacts export; for imports see :mod:`~.sendgrid_imports`.

Behaviour follows the public documentation, read 2026-11-22, pages dated 2024-11-15:

- Export Contacts, www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts: ``POST
  /v3/marketing/contacts/exports`` with ``list_ids``, ``segment_ids``, ``notifications``, ``file_type`` (csv
  or json), ``max_file_size`` (MB, 5000); 202 with ``_metadata`` and ``id``.
- Export Contacts Status, .../contacts/export-contacts-status: ``GET .../exports/{id}`` with ``id``,
  ``status`` (pending, ready, failure), ``created_at``, ``updated_at``, ``completed_at``, ``expires_at``,
  ``urls`` when ready, ``message`` when failure, ``contact_count``; 404 for an unknown ID.
- Get All Existing Exports, .../contacts/get-all-existing-exports: ``result`` and ``_metadata``.
- Errors, .../how-to-use-the-sendgrid-v3-api/errors: ``{"errors": [{"field", "message"}]}``.

Not documented, and so taken from elsewhere or chosen here:

- The words of a 401 with a wrong key are in the table "4XX API Errors" (support.sendgrid.com, article
  18322114821403) and, with their JSON, in issue 793 of github.com/sendgrid/sendgrid-php; without a key they
  are of the length reported in issue 643 there.
- That files are gzip without ``Content-Encoding``: Airbyte's source-sendgrid (its BEHAVIOR.md) reads them
  so. Columns and quoting: see :mod:`airflow_asyncjob.testing.contacts`.
- The answers of the file host are those of Amazon S3 to pre-signed URLs (docs.aws.amazon.com, "Error
  responses"): S3 refuses a request that also carries an ``Authorization`` header.
- How long files are kept is not documented; here three days. The words of a 404 are chosen here.

What it does not do: ``file_type: json`` (its format is not documented) is refused; lists, segments,
``max_file_size`` and e-mail notifications are accepted and change nothing: every export holds all contacts.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.contacts import write_contacts
from airflow_asyncjob.testing.presigned import PresignedUrls, s3_error
from airflow_asyncjob.testing.rows import share
from airflow_asyncjob.testing.sendgrid_imports import ContactImports

__all__ = ["SENDGRID_KEY", "SendgridApi", "SendgridOptions"]

SENDGRID_KEY = "SG.a-key-for-tests"
"""The API key that the fake accepts unless it is told otherwise."""

_EXPORTS = "/v3/marketing/contacts/exports"
_STATUS = re.compile(re.escape(_EXPORTS) + r"/([^/]+)")
_FILE = re.compile(r"/exports/([^/]+)/contacts_(\d+)\.csv\.gz")
_LISTS = ("list_ids", "segment_ids")
_FIELDS = (*_LISTS, "notifications", "file_type", "max_file_size")


@dataclass
class SendgridOptions:
    """Options of ``FakeJobServer("sendgrid")``: export and import of marketing contacts.

    :param contacts: how many contacts the account has.
    :param files: in how many files they come.
    :param seconds: how long an export or an import is pending; an import from when its contacts came.
    :param fails: exports end with ``failure`` and a message, imports with ``failed``.
    :param api_key: the Bearer token that is accepted.
    :param kept_for: seconds after its creation for which the files of an export can be fetched.
    :param file_bytes: the largest file of an import.
    :param request_bytes: the largest request with contacts as JSON.
    :param request_contacts: the most contacts in such a request.
    """

    contacts: int = 200_000
    files: int = 2
    seconds: float = 5.0
    fails: bool = False
    api_key: str = SENDGRID_KEY
    kept_for: float = 3 * 24 * 3600.0
    file_bytes: int = 5_000_000_000
    request_bytes: int = 6_000_000
    request_contacts: int = 30_000

    def __post_init__(self) -> None:
        if self.contacts < 0 or self.files < 1 or self.seconds < 0:
            raise ValueError(
                "contacts and seconds are 0 or more and files is 1 or more, not "
                f"contacts={self.contacts!r}, files={self.files!r}, seconds={self.seconds!r}"
            )


@dataclass(frozen=True)
class _Export:
    id: str
    created_at: float


class SendgridApi(Api):
    """SendGrid's contacts export on one port, and the file host on another, which is another origin."""

    options_class = SendgridOptions
    options: SendgridOptions
    has_file_host = True

    def __init__(self, clock: Clock, files: FileStore, options: SendgridOptions) -> None:
        super().__init__(clock, files, options)
        self._exports: dict[str, _Export] = {}
        self._urls = PresignedUrls(clock)
        self._imports = ContactImports(clock, self._urls, options, self.records)
        self._lock = threading.Lock()

    def credentials(self) -> dict[str, str]:
        """Return the API key as the password."""
        return {"password": self.options.api_key}

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        imported = self._imports.route(request)
        if imported is not None:
            return imported
        if request.host == "files":
            match = _FILE.fullmatch(request.path)
            return Route("result", match[1]) if match else Route("other")
        if (request.method, request.path) == ("POST", _EXPORTS):
            return Route("submit")
        match = _STATUS.fullmatch(request.path)
        return Route("poll", match[1]) if match and request.method == "GET" else Route("other")

    def running(self) -> list[str]:
        """Return the IDs of the exports and imports that are pending."""
        now = self.clock.time()
        with self._lock:
            exports = [one.id for one in self._exports.values() if self._status(one, now) == "pending"]
        return [*exports, *self._imports.running()]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        imported = self._imports.route(request)
        if request.host == "files":
            return self._imports.file(request, imported) if imported else self._file(request)
        if request.headers.get("authorization", "") == "":
            return _errors(401, "authorization required")
        if request.headers["authorization"] != f"Bearer {self.options.api_key}":
            return _errors(401, "The provided authorization grant is invalid, expired, or revoked", help=None)
        if imported is not None:
            return self._imports.answer(request, imported, self.files_url)
        route = self.route(request)
        if route.purpose == "submit":
            return self._submit(request)
        if (request.method, request.path) == ("GET", _EXPORTS):
            return self._list()
        with self._lock:
            export = self._exports.get(route.job_id or "")
        if route.purpose != "poll" or export is None:
            return _errors(404, "resource not found", job_id=route.job_id)
        return json_reply(200, self._described(export, self.clock.time()), job_id=export.id)

    def _submit(self, request: Received) -> Reply:
        try:
            given = json.loads(request.body or b"{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            return _errors(400, "the request body is not a JSON object")
        for name, value in given.items():
            problem = _problem_of(name, value)
            if problem:
                return _errors(400, problem, field=name)
        export = _Export(str(uuid.uuid4()), self.clock.time())
        with self._lock:
            self._exports[export.id] = export
        metadata = {"self": f"{self.url}{_EXPORTS}/{export.id}"}
        return json_reply(202, {"_metadata": metadata, "id": export.id}, job_id=export.id, created=True)

    def _list(self) -> Reply:
        now = self.clock.time()
        with self._lock:
            exports = list(self._exports.values())
        result = [{**self._described(export, now), "export_type": "contacts_export"} for export in exports]
        metadata = {"self": self.url + _EXPORTS, "count": len(result)}
        return json_reply(200, {"result": result, "_metadata": metadata})

    def _status(self, export: _Export, now: float) -> str:
        if now < export.created_at + self.options.seconds:
            return "pending"
        return "failure" if self.options.fails else "ready"

    def _described(self, export: _Export, now: float) -> dict[str, Any]:
        status = self._status(export, now)
        ended_at = export.created_at + self.options.seconds
        described: dict[str, Any] = {
            "id": export.id,
            "status": status,
            "created_at": _iso(export.created_at),
            "updated_at": _iso(min(now, ended_at)),
            "expires_at": _iso(export.created_at + self.options.kept_for),
            "_metadata": {"self": f"{self.url}{_EXPORTS}/{export.id}"},
        }
        if status == "ready":
            described["completed_at"] = _iso(ended_at)
            described["urls"] = [self._signed(export, part) for part in range(1, self.options.files + 1)]
            described["contact_count"] = self.options.contacts
        elif status == "failure":
            described["message"] = "the export could not be completed"
        return described

    def _signed(self, export: _Export, part: int) -> str:
        return self._urls.url(
            self.files_url,
            f"/exports/{export.id}/contacts_{part}.csv.gz",
            seconds=self.options.kept_for,
            signed_at=export.created_at,
        )

    def _file(self, request: Received) -> Reply:
        match = _FILE.fullmatch(request.path)
        with self._lock:
            export = self._exports.get(match[1]) if match else None
        problem = self._urls.problem(request, export.id if export else None)
        if problem is not None:
            return problem
        if match is None or export is None or not 1 <= int(match[2]) <= self.options.files:
            return s3_error(404, "NoSuchKey", "The specified key does not exist.")
        first, count = share(self.options.contacts, self.options.files, int(match[2]))
        path = self.files.get(f"{first}-{count}", lambda out: write_contacts(out, count, start=first))
        return Reply(
            200, path, {"Content-Type": "binary/octet-stream", "Server": "AmazonS3"}, job_id=export.id
        )


def _problem_of(name: str, value: Any) -> str | None:
    if name not in _FIELDS:
        return f"unknown field; valid: {', '.join(_FIELDS)}"
    if name in _LISTS and (not isinstance(value, list) or any(not isinstance(v, str) for v in value)):
        return "must be a list of strings"
    if name == "file_type" and value != "csv":
        return "only csv is offered by this fake" if value == "json" else "must be csv or json"
    if name == "max_file_size" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        return "must be a positive integer"
    if name == "notifications" and not isinstance(value, dict):
        return "must be an object"
    return None


def _errors(
    code: int, message: str, *, field: str | None = None, job_id: str | None = None, **more: Any
) -> Reply:
    return json_reply(code, {"errors": [{"field": field, "message": message, **more}]}, job_id=job_id)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
