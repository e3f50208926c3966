"""The fake of SendGrid's import of contacts: as a CSV file, and as JSON.

Behaviour follows the public documentation, read 2026-11-22:

- Import Contacts, www.twilio.com/docs/sendgrid/api-reference/contacts/import-contacts: ``PUT
  /v3/marketing/contacts/imports`` with ``file_type``, ``field_mappings`` (IDs of fields, null skips a
  column) and ``list_ids`` gives ``job_id``, ``upload_uri`` and ``upload_headers``; the file is PUT there,
  with these headers; gzip or not; one million contacts or 5 GB.
- Add or Update a Contact, .../add-or-update-a-contact: ``PUT /v3/marketing/contacts``, 30,000 contacts or 6
  MB; 202 with ``job_id``.
- Import Contacts Status, .../import-contacts-status: ``pending`` (not started), ``completed``, ``errored``
  (some errors), ``failed`` (all errors, or not to be processed), ``results`` with counts and
  ``errors_url``.
- Get All Field Definitions: ``GET /v3/marketing/field_definitions``, ``reserved_fields`` and
  ``custom_fields``.
- That S3 wants ``x-amz-server-side-encryption: aws:kms``, the IDs such as ``_rf2_T``, and the words where
  the mapping does not fit the file: github.com/sendgrid/sendgrid-java issue 692.

Not documented in what was found, and so chosen here: what the file at ``errors_url`` holds (CSV: ``email``,
``row`` from 1, ``error``), the words of most errors, that 6 MB are 6,000,000 bytes, that an upload address
is good for an hour, that a job whose file never came stays pending.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.testing.api import Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.presigned import PresignedUrls, s3_error
from airflow_asyncjob.testing.reading import json_body
from airflow_asyncjob.testing.records import Records
from airflow_asyncjob.testing.sendgrid_contacts import (
    ContactImport,
    described_fields,
    problem_of_contacts,
    problem_of_import,
)

if TYPE_CHECKING:
    from airflow_asyncjob.testing.sendgrid import SendgridOptions

__all__ = ["ContactImports"]

_CONTACTS = "/v3/marketing/contacts"
_IMPORTS = f"{_CONTACTS}/imports"
_STATUS = re.compile(re.escape(_IMPORTS) + r"/([^/]+)")
_FILE = re.compile(r"/(imports|errors)/([^/]+)\.csv")
_HEADERS = {"x-amz-server-side-encryption": "aws:kms"}
_UPLOAD_SECONDS = 3600.0


class ContactImports:
    """The requests that have to do with imports.

    :param urls: makes the addresses of files.
    """

    def __init__(self, clock: Clock, urls: PresignedUrls, options: SendgridOptions, records: Records) -> None:
        self._clock = clock
        self._urls = urls
        self._options = options
        self._records = records
        self._imports: dict[str, ContactImport] = {}
        self._lock = threading.Lock()

    def route(self, request: Received) -> Route | None:
        """Say what a request is for; None: it has nothing to do with imports."""
        if request.host == "files":
            match = _FILE.fullmatch(request.path)
            if match is None:
                return None
            return Route("upload" if match[1] == "imports" else "rejects", match[2])
        if request.method == "PUT" and request.path in (_CONTACTS, _IMPORTS):
            return Route("submit")
        match = _STATUS.fullmatch(request.path)
        if match and request.method == "GET":
            return Route("poll", match[1])
        fields = (request.method, request.path) == ("GET", "/v3/marketing/field_definitions")
        return Route("other") if fields else None

    def running(self) -> list[str]:
        """Return the IDs of the imports that are pending."""
        with self._lock:
            return [one.id for one in self._imports.values() if self._status(one) == "pending"]

    def answer(self, request: Received, route: Route, files_url: str) -> Reply:
        """Execute a request that has the key.

        :param files_url: of the file host.
        """
        if route.purpose == "other":
            return json_reply(200, described_fields())
        with self._lock:
            if route.purpose == "poll":
                one = self._imports.get(route.job_id or "")
                return _errors(404, "resource not found") if one is None else self._described(one, files_url)
            if request.path == _CONTACTS:
                return self._contacts(request)
            return self._import(json_body(request), files_url)

    def file(self, request: Received, route: Route) -> Reply:
        """Execute a request to the file host."""
        with self._lock:
            one = self._imports.get(route.job_id or "")
            problem = self._urls.problem(request, one.id if one else None)
            if problem is not None:
                return problem
            if one is None:
                return s3_error(404, "NoSuchKey", "The specified key does not exist.")
            if route.purpose == "rejects":
                return Reply(200, one.errors(), {"Content-Type": "text/csv"}, job_id=one.id)
            if request.size > self._options.file_bytes:
                said = "Your proposed upload exceeds the maximum allowed size"
                return s3_error(400, "EntityTooLarge", said, one.id)
            one.take_file(request, self._clock.time())
            self._account(one)
            return Reply(200, headers={"Server": "AmazonS3"}, job_id=one.id)

    def _import(self, given: Any, files_url: str) -> Reply:
        problem = problem_of_import(given)
        if problem is not None:
            return _errors(400, problem[1], problem[0])
        one = ContactImport(self._clock.time(), given["field_mappings"])
        self._imports[one.id] = one
        link = self._urls.url(files_url, one.path, seconds=_UPLOAD_SECONDS, method="PUT", headers=_HEADERS)
        headers = [{"header": name, "value": value} for name, value in _HEADERS.items()]
        body = {"job_id": one.id, "upload_uri": link, "upload_headers": headers}
        return json_reply(200, body, job_id=one.id, created=True)

    def _contacts(self, request: Received) -> Reply:
        contacts, problem = problem_of_contacts(
            request, self._options.request_bytes, self._options.request_contacts
        )
        if problem is not None:
            return _errors(400, problem[1], problem[0])
        one = ContactImport(self._clock.time())
        one.take_contacts(contacts, self._clock.time())
        self._imports[one.id] = one
        self._account(one)
        return json_reply(202, {"job_id": one.id}, job_id=one.id, created=True)

    def _account(self, one: ContactImport) -> None:
        if self._options.fails and not one.failed:
            one.failed = "the import could not be processed"
            one.refuse_all(one.failed)
        self._records.add(one.id, one.accepted, one.refused)

    def _status(self, one: ContactImport) -> str:
        return one.status(self._clock.time(), self._options.seconds)

    def _described(self, one: ContactImport, files_url: str) -> Reply:
        errors_url = self._urls.url(files_url, one.errors_path, seconds=self._options.kept_for)
        described = one.described(self._clock.time(), self._options.seconds, errors_url)
        return json_reply(200, described, job_id=one.id)


def _errors(code: int, message: str, field: str | None = None) -> Reply:
    return json_reply(code, {"errors": [{"field": field, "message": message}]})
