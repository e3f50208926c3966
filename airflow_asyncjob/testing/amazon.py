"""The fake of Amazon's Selling Partner API: reports, feeds, and the tokens for them.

Behaviour follows the public documentation, read 2026-11-22:

- the models of the Reports API and the Feeds API, version 2021-06-30: ``models/reports-api-model`` and
  ``models/feeds-api-model`` of github.com/amzn/selling-partner-api-models; they have the fields, the status
  words, the codes and the usage plans (rate and burst) of each operation;
- Connect to the SP-API (developer-docs.amazon.com/sp-api/docs/connecting-to-the-selling-partner-api): the
  token of Login with Amazon (LWA), which lives an hour, in the header ``x-amz-access-token``;
- Feeds API Best Practices (developer-docs.amazon.com/sp-api/docs/feeds-api-best-practices): at most 10 MiB;
- ``schemas/feeds`` of the same repository: JSON_LISTINGS_FEED and its processing report.

Not documented there, and so taken from elsewhere or chosen here:

- the words of a refused token are those in issues 1864 and 2333 of the repository, those of a request too
  many in its issue 418; LWA's errors are those of RFC 6749, 5.2;
- the code of an issue about a wrong message is that of its issue 1641, that of a wrong header of 1662;
- chosen: the words of a 400, a 404 and a 415; that a feed of more than 10 MiB, or of no JSON, ends as FATAL;
  the code 400 for a report or feed which is no longer IN_QUEUE and so cannot be cancelled.

What it does not do: schedules, restricted data tokens, lists of reports and feeds, other feeds than
JSON_LISTINGS_FEED. LWA is another host at Amazon, and the same port here. Every report is one of open
listings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.presigned import PresignedUrls
from airflow_asyncjob.testing.quota import Quota, UsagePlan
from airflow_asyncjob.testing.reading import media_type
from airflow_asyncjob.testing.tokens import AccessTokens

__all__ = [
    "AMAZON_CLIENT_ID",
    "AMAZON_CLIENT_SECRET",
    "AMAZON_REFRESH_TOKEN",
    "DOCUMENT_SECONDS",
    "AmazonApi",
    "AmazonOptions",
    "Operation",
    "errors",
    "iso",
    "json_body",
    "marketplaces_problem",
]

AMAZON_CLIENT_ID = "amzn1.application-oa2-client.tests"
AMAZON_CLIENT_SECRET = "amzn1.oa2-cs.v1.for-tests"  # noqa: S105 - of the fake server
AMAZON_REFRESH_TOKEN = "Atzr|a-refresh-token-for-tests"  # noqa: S105 - of the fake server
DOCUMENT_SECONDS = 300.0
"""Life of the address of a document, to be read or to be uploaded."""

_TOKEN = "/auth/o2/token"  # noqa: S105 - a path
_MOST_MARKETPLACES = 25


@dataclass
class AmazonOptions:
    """Options of ``FakeJobServer("amazon")``: the Selling Partner API.

    :param rows: of a report.
    :param queue_seconds: how long a report or a feed is ``IN_QUEUE``.
    :param seconds: how long it is ``IN_PROGRESS`` after that.
    :param ends: how it ends. A report that ends as CANCELLED had no data.
    :param refuse_every: every so many messages of a feed are refused, beside those that are wrong; 0: none.
    :param most_bytes: a feed document of more ends as FATAL.
    :param client_id: LWA's, as are the next two.
    :param client_secret: of the application.
    :param refresh_token: of the seller's authorisation.
    """

    rows: int = 1000
    queue_seconds: float = 1.0
    seconds: float = 2.0
    ends: Literal["DONE", "CANCELLED", "FATAL"] = "DONE"
    refuse_every: int = 0
    most_bytes: int = 10 * 1024 * 1024
    client_id: str = AMAZON_CLIENT_ID
    client_secret: str = AMAZON_CLIENT_SECRET
    refresh_token: str = AMAZON_REFRESH_TOKEN

    def __post_init__(self) -> None:
        if min(self.rows, self.queue_seconds, self.seconds, self.refuse_every) < 0:
            raise ValueError(
                "rows, queue_seconds, seconds and refuse_every are 0 or more, not "
                f"rows={self.rows!r}, queue_seconds={self.queue_seconds!r}, seconds={self.seconds!r}, "
                f"refuse_every={self.refuse_every!r}"
            )
        if self.ends not in ("DONE", "CANCELLED", "FATAL"):
            raise ValueError(f"ends is one of DONE, CANCELLED, FATAL, not {self.ends!r}")


@dataclass(frozen=True)
class Operation:
    """One operation of the API.

    :param name: as Amazon calls it, such as ``getReport``.
    :param plan: how often it may be called.
    :param route: what the request is for.
    """

    name: str
    plan: UsagePlan
    route: Route


class AmazonApi(Api):
    """The Selling Partner API on one port; the documents on another, which is another origin."""

    options_class = AmazonOptions
    options: AmazonOptions
    has_file_host = True

    def __init__(self, clock: Clock, files: FileStore, options: AmazonOptions) -> None:
        from airflow_asyncjob.testing.amazon_feeds import Feeds
        from airflow_asyncjob.testing.amazon_reports import Reports

        super().__init__(clock, files, options)
        self.urls = PresignedUrls(clock)
        self._quota = Quota()
        self._tokens = AccessTokens(clock, 3600, "Atza|")
        self._services = (Reports(self), Feeds(self))

    def credentials(self) -> dict[str, Any]:
        """Return what LWA wants, and its address here."""
        extra = {"refresh_token": self.options.refresh_token, "token_url": self.url + _TOKEN}
        return {"login": self.options.client_id, "password": self.options.client_secret, "extra": extra}

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        for service in self._services:
            if request.host == "files":
                route = service.route_file(request)
            else:
                operation = service.operation(request)
                route = operation.route if operation else None
            if route is not None:
                return route
        return Route("other")

    def running(self) -> list[str]:
        """Return the IDs of the reports and feeds that have not ended."""
        return [job_id for service in self._services for job_id in service.running()]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        if request.host == "files":
            return self._file(request)
        if (request.method, request.path) == ("POST", _TOKEN):
            return self._token(request)
        refused = self._refused(request)
        if refused is not None:
            return refused
        for service in self._services:
            operation = service.operation(request)
            if operation is None:
                continue
            if self._quota.take(operation.name, operation.plan, self.clock.time()) is not None:
                return errors(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
            if request.method == "POST" and media_type(request) != "application/json":
                return errors(415, "UnsupportedMediaType", "The request's Content-Type header is invalid.")
            reply = service.answer(operation.name, request, operation.route.job_id or "")
            limit = {"x-amzn-RateLimit-Limit": str(operation.plan.rate)}
            return Reply(reply.code, reply.body, {**reply.headers, **limit}, reply.job_id, reply.created)
        return errors(404, "NotFound", "The specified resource does not exist.")

    def _file(self, request: Received) -> Reply:
        refused = self.urls.problem(request)
        if refused is not None:
            return refused
        return next(
            service.file(request) for service in self._services if service.route_file(request) is not None
        )

    def _token(self, request: Received) -> Reply:
        options = self.options
        return self._tokens.grant(
            request,
            "refresh_token",
            (options.client_id, options.client_secret),
            more={"refresh_token": options.refresh_token},
        )

    def _refused(self, request: Received) -> Reply | None:
        trouble = self._tokens.trouble(request.headers.get("x-amz-access-token", ""))
        if trouble is None:
            return None
        details = {
            "missing": "Access token is missing in the request header.",
            "unknown": "The access token you provided is revoked, malformed or invalid.",
            "expired": "The access token you provided has expired.",
        }[trouble]
        return errors(403, "Unauthorized", "Access to requested resource is denied.", details)


def errors(code: int, name: str, message: str, details: str = "", job_id: str | None = None) -> Reply:
    """Return an error as the API writes it."""
    return json_reply(
        code, {"errors": [{"code": name, "message": message, "details": details}]}, job_id=job_id
    )


def json_body(request: Received, fields: tuple[str, ...]) -> dict[str, Any] | Reply:
    """Return the JSON object that was sent, or the answer to one that is none or has another field."""
    try:
        given = json.loads(request.body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return errors(400, "InvalidInput", "Request has missing or invalid parameters and cannot be parsed.")
    unknown = sorted(set(given) - set(fields))
    if unknown:
        return errors(400, "InvalidInput", "Invalid input", f"unknown: {', '.join(unknown)}")
    return given


def marketplaces_problem(value: Any) -> str | None:
    """Return what is wrong with a list of marketplaces; None: nothing."""
    if not isinstance(value, list) or any(not isinstance(one, str) or not one for one in value):
        return "marketplaceIds must be a list of strings"
    if not 1 <= len(value) <= _MOST_MARKETPLACES:
        return f"marketplaceIds must have 1 to {_MOST_MARKETPLACES} entries"
    return None


def iso(seconds: float) -> str:
    """Return a time as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
