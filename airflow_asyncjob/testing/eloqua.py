"""The fake of Oracle Eloqua's Bulk API 2.0: export and import of contacts.

Behaviour follows the public documentation, read 2026-11-22 below docs.oracle.com (OMCAC and OMCAB are
/cloud/latest/marketingcs_gs/OMCAC and .../OMCAB/Developers/BulkAPI):

- Definitions: OMCAC/op-api-bulk-2.0-contacts-imports-post.html, .../eloqua-rest-api/
  op-api-bulk-2.0-contacts-exports-id-put.html (fields of an export), OMCAB/Reference/ImportParameters/
  import-characteristics.htm: ``isSyncTriggeredOnImport`` is true unless it is said to be false, and then
  every upload starts a sync of its own; ``name`` of at most 100 characters; ``updateRule``.
- Data: .../eloqua-rest-api/op-api-bulk-2.0-contacts-imports-id-data-post.html: UTF-8, 204, or 201 with the
  sync that it started.
- Syncs: OMCAC/op-api-bulk-2.0-syncs-post.html (status ``pending``, ``active``, ``success``, ``warning``,
  ``error``), op-api-bulk-2.0-syncs-id-data-get.html (``limit`` 1 to 50,000, 1,000 where it is not given; 400
  for the sync of an import), .../eloqua-rest-api/op-api-bulk-2.0-syncs-id-rejects-get.html (``limit`` 1 to
  1,000), OMCAB/Reference/troubleshooting.htm (logs).
- Limits: OMCAB/Reference/bulk-limits.htm: 100 fields of an import, 32 MB a request, more is answered with
  404 (!), 250 MB before a sync; .../readiness/marketing/24d/eloq-24d/24D-eloqua-wn-f35795.htm: 500 uploads a
  sync; .../eloqua-develop/Developers/BulkAPI/Tutorials/Filtering.htm: 1,000 characters of a filter.
- Codes of rejects and logs: OMCAC/APIRequests_EloquaStatusCodes.html; of HTTP: the same with HTTPStatusCodes.
- The login ``Company\\user.name``: https://www.aptly.de/blog/eloqua-bulk-api-postman/ and Oracle's pages.

Not documented in what was found, and so chosen here: the JSON of errors; that 32 MB are 32,000,000 bytes;
that more than 250 MB are refused (413), where the documentation only advises against it; what refuses upload
501 (400); that a sync of an import without data is refused (400); that ``recordIndex`` counts from 1 over all
uploads of the sync; that of several records with one identifier the first counts; all that an export sync
that failed has to say.

What it does not do: OAuth, accounts, custom objects, sync actions, callbacks, CSV. Filters have no effect.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.contacts import contact
from airflow_asyncjob.testing.eloqua_rules import FIELDS, STATEMENT, Staging, problem_of
from airflow_asyncjob.testing.ledger import Purpose
from airflow_asyncjob.testing.reading import basic_login, iso_time, json_body, whole_number
from airflow_asyncjob.testing.records import Refused

__all__ = ["ELOQUA_LOGIN", "ELOQUA_PASSWORD", "EloquaApi", "EloquaOptions"]

ELOQUA_LOGIN = "Company\\user.name"
"""The login that the fake accepts unless it is told otherwise."""
ELOQUA_PASSWORD = "a-password-for-tests"  # noqa: S105 (of a fake server)
"""The password that the fake accepts unless it is told otherwise."""

_ROOT = "/api/bulk/2.0"
_PATH = re.compile(
    re.escape(_ROOT) + r"(?:/contacts/(exports|imports)(?:/(\d+)(/data)?)?|/syncs(?:/(\d+)(?:/(\w+))?)?)"
)
_MOST_UPLOADS = 500
_OF_A_SYNC: dict[str | None, Purpose] = {None: "poll", "data": "result", "rejects": "rejects", "logs": "log"}


@dataclass
class EloquaOptions:
    """Options of ``FakeJobServer("eloqua")``: export and import of contacts with the Bulk API 2.0.

    :param contacts: how many contacts the account has.
    :param seconds: how long a sync takes; in the first half it is pending, then active.
    :param fails: syncs end with ``error``.
    :param login: ``Company\\user.name``, as basic authentication has it.
    :param password: the password that goes with it.
    :param request_bytes: the largest upload, in bytes.
    :param staging_bytes: the most that may be uploaded before a sync, in bytes.
    """

    contacts: int = 1000
    seconds: float = 5.0
    fails: bool = False
    login: str = ELOQUA_LOGIN
    password: str = ELOQUA_PASSWORD
    request_bytes: int = 32_000_000
    staging_bytes: int = 250_000_000


@dataclass
class _Definition:
    kind: Literal["exports", "imports"]
    id: int
    given: dict[str, Any]
    staging: Staging = field(default_factory=Staging)

    @property
    def uri(self) -> str:
        return f"/contacts/{self.kind}/{self.id}"


@dataclass(frozen=True)
class _Sync:
    id: int
    definition: _Definition
    staging: Staging
    created_at: float


class EloquaApi(Api):
    """Eloqua's Bulk API 2.0 below ``/api/bulk/2.0``."""

    options_class = EloquaOptions
    options: EloquaOptions

    def __init__(self, clock: Clock, files: FileStore, options: EloquaOptions) -> None:
        super().__init__(clock, files, options)
        self._definitions: dict[str, _Definition] = {}
        self._syncs: dict[int, _Sync] = {}
        self._lock = threading.RLock()

    def credentials(self) -> dict[str, str]:
        """Return login and password."""
        return {"login": self.options.login, "password": self.options.password}

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        match = _PATH.fullmatch(request.path)
        if match is None:
            return Route("other")
        kind, _, data, sync, below = match.groups()
        if request.method == "GET" and sync and below in _OF_A_SYNC:
            return Route(_OF_A_SYNC[below], sync)
        if request.method == "POST" and kind and (data or not match[2]):
            return Route("upload" if data else "submit")
        return Route("start" if request.method == "POST" and not kind and not sync else "other")

    def running(self) -> list[str]:
        """Return the IDs of the syncs that have not ended."""
        with self._lock:
            return [str(one.id) for one in self._syncs.values() if self._status(one) in ("pending", "active")]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        if basic_login(request) != f"{self.options.login}:{self.options.password}":
            return json_reply(401, "Login required")
        purpose, match = self.route(request).purpose, _PATH.fullmatch(request.path)
        if purpose == "other" or match is None:
            return _not_found()
        with self._lock:
            if purpose == "submit":
                return self._define("exports" if match[1] == "exports" else "imports", request)
            if purpose == "upload":
                return self._upload(self._definitions.get(f"/contacts/{match[1]}/{match[2]}"), request)
            if purpose == "start":
                return self._start(json_body(request))
            sync = self._syncs.get(int(match[4]))
            if sync is None:
                return _not_found()
            if purpose == "poll":
                return json_reply(200, self._described(sync), job_id=str(sync.id))
            return self._page(sync, purpose, request)

    def _define(self, kind: Literal["exports", "imports"], request: Received) -> Reply:
        given = json_body(request)
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _failure("Content-Type", "must be application/json")
        if not isinstance(given, dict):
            return _failure("", "the body must be a JSON object")
        problem = problem_of(kind, given)
        if problem is not None:
            return _failure(*problem)
        one = _Definition(kind, len(self._definitions) + 1, given)
        self._definitions[one.uri] = one
        usual = {"isSyncTriggeredOnImport": True, "updateRule": "always"} if kind == "imports" else {}
        now = iso_time(self.clock.time())
        made = {"createdBy": self.options.login, "createdAt": now, "updatedAt": now}
        return json_reply(201, {**usual, **given, **made, "uri": one.uri})

    def _upload(self, one: _Definition | None, request: Received) -> Reply:
        # A request that is too large is answered as if there were no such import, says the documentation.
        if one is None or one.kind != "imports" or request.size > self.options.request_bytes:
            return _not_found()
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _failure("Content-Type", "must be application/json; CSV is not read by this fake")
        if any(
            self._status(sync) in ("pending", "active")
            for sync in self._syncs.values()
            if sync.definition is one
        ):
            return json_reply(409, "There was a conflict.")
        staging = one.staging
        if staging.size + request.size > self.options.staging_bytes:
            return json_reply(413, "Storage space exceeded.")
        if staging.uploads >= _MOST_UPLOADS:
            return _failure("", f"a sync has at most {_MOST_UPLOADS} uploads")
        records = json_body(request)
        if not isinstance(records, list) or not records:
            return _failure("", "the body must be a JSON array of records, with one or more")
        strange = {name for record in records if isinstance(record, dict) for name in record} - set(
            one.given["fields"]
        )
        if strange:
            return _failure(sorted(strange)[0], "is not a field of the import definition")
        staging.size += request.size
        staging.uploads += 1
        for record in records:
            staging.judge(record, one.given)
        if one.given.get("isSyncTriggeredOnImport", True):
            return self._begin(one)
        return Reply(204)

    def _start(self, given: Any) -> Reply:
        uri = given.get("syncedInstanceUri") if isinstance(given, dict) else None
        one = self._definitions.get(uri) if isinstance(uri, str) else None
        if one is None:
            return _failure("syncedInstanceUri", "must be the uri of an export or import definition")
        if one.kind == "imports" and not one.staging.uploads:
            return _failure("syncedInstanceUri", "no data were uploaded for this import since its last sync")
        return self._begin(one)

    def _begin(self, one: _Definition) -> Reply:
        sync = _Sync(len(self._syncs) + 1, one, one.staging, self.clock.time())
        one.staging = Staging()
        self._syncs[sync.id] = sync
        name = one.given.get("identifierFieldName", "")
        self.records.add(
            str(sync.id),
            sync.staging.accepted,
            [
                Refused(str(sync.id), item["recordIndex"], item["fieldValues"].get(name), item["message"])
                for item in sync.staging.rejects
            ],
        )
        return json_reply(201, self._described(sync), job_id=str(sync.id), created=True)

    def _status(self, sync: _Sync) -> str:
        ran = self.clock.time() - sync.created_at
        if ran < self.options.seconds:
            return "pending" if ran < self.options.seconds / 2 else "active"
        if self.options.fails:
            return "error"
        return "warning" if sync.staging.rejects else "success"

    def _described(self, sync: _Sync) -> dict[str, Any]:
        status = self._status(sync)
        described = {
            "syncedInstanceUri": sync.definition.uri,
            "status": status,
            "createdAt": iso_time(sync.created_at),
            "createdBy": self.options.login,
            "uri": f"/syncs/{sync.id}",
        }
        if status != "pending":
            described["syncStartedAt"] = iso_time(sync.created_at + self.options.seconds / 2)
        if status not in ("pending", "active"):
            described["syncEndedAt"] = iso_time(sync.created_at + self.options.seconds)
        return described

    def _page(self, sync: _Sync, purpose: Purpose, request: Received) -> Reply:
        if purpose == "result" and sync.definition.kind == "imports":
            return _failure("", "the sync of an import has no data")
        limit = whole_number(request.query.get("limit"), 1000, 1, 50_000 if purpose == "result" else 1000)
        offset = whole_number(request.query.get("offset"), 0, 0)
        if limit is None or offset is None:
            return _failure("offset" if offset is None else "limit", "is not a number in the valid range")
        status = self._status(sync)
        if purpose == "result" and status not in ("success", "warning"):
            return _not_found(str(sync.id))
        ended = status not in ("pending", "active")
        if purpose == "result":
            total = min(self.options.contacts, sync.definition.given.get("maxRecords", self.options.contacts))
            items = [self._exported(sync, number) for number in range(offset, min(total, offset + limit))]
        else:
            found = (sync.staging.rejects if purpose == "rejects" else self._logs(sync)) if ended else []
            total, items = len(found), found[offset : offset + limit]
        page = {"totalResults": total, "limit": limit, "offset": offset, "count": len(items)}
        return json_reply(
            200, {**page, "hasMore": offset + len(items) < total, "items": items}, job_id=str(sync.id)
        )

    def _exported(self, sync: _Sync, number: int) -> dict[str, str]:
        data = contact(number)
        own = {"Id": str(number + 1), "CreatedAt": data["CREATED_AT"], "UpdatedAt": data["UPDATED_AT"]}
        record = {}
        for name, statement in sync.definition.given["fields"].items():
            match = STATEMENT.fullmatch(statement)
            assert match is not None
            record[name] = data[FIELDS[match[2]]] if match[2] else own[match[1]]
        return record

    def _logs(self, sync: _Sync) -> list[dict[str, Any]]:
        staging = sync.staging
        lines: list[tuple[str, str, str, int]] = []
        if sync.definition.kind == "exports":
            lines.append(
                (
                    "ELQ-00102",
                    "information",
                    "Successfully exported members to csv file.",
                    self.options.contacts,
                )
            )
        else:
            lines.append(("ELQ-00001", "information", "Total records processed.", staging.records))
            lines.append(("ELQ-00004", "information", "Contacts created.", len(staging.accepted)))
            if staging.rejects:
                lines.append(("ELQ-00060", "warning", "Total rejected records.", len(staging.rejects)))
        if self._status(sync) == "error":
            lines = [("ELQ-00107", "error", "There was an error processing the sync.", 0)]
        ended = iso_time(sync.created_at + self.options.seconds)
        return [
            {
                "syncUri": f"/syncs/{sync.id}",
                "count": count,
                "severity": severity,
                "statusCode": code,
                "message": message,
                "createdAt": ended,
            }
            for code, severity, message, count in lines
        ]


def _failure(name: str, constraint: str) -> Reply:
    return json_reply(400, {"failures": [{"field": name, "constraint": constraint}]})


def _not_found(job_id: str | None = None) -> Reply:
    return json_reply(404, "The requested resource was not found.", job_id=job_id)
