"""The fake of Walmart's Marketplace API: item feeds, and the tokens for them.

Behaviour follows the public documentation of the US marketplace, read 2026-11-22:

- Authentication (developer.walmart.com/us-marketplace/docs/authentication-onboarding-troubleshooting): ``POST
  /v3/token`` with basic authentication and ``grant_type=client_credentials``; the token lives 15 minutes and
  goes into the header ``WM_SEC.ACCESS_TOKEN``, not into ``Authorization``;
- Bulk item setup, /reference/itembulkuploads: ``POST /v3/feeds?feedType=MP_ITEM``, the feed as a file of
  multipart/form-data or as the JSON body; at most 10,000 items, below 25 MB; the body has
  ``MPItemFeedHeader`` and ``MPItem`` with ``Orderable`` and ``Visible``
  (/docs/post-item-setup-by-product-type-feed-file-structure-overview);
- Feed item status, /docs/feed-item-status-api-for-tracking-fitment-files: ``GET /v3/feeds/ID`` with
  ``includeDetails``, ``offset``, ``limit`` (50, at most 1000), feed IDs with an ``@``;
- feed and ingestion statuses, /mx-marketplace/docs/feed-overview; a feed that failed as a whole has
  ``ingestionErrors`` of its own, /suppliers/docs/understanding-statuses-available-for-feeds;
- the limit of the sandbox, 30 item feeds an hour, /docs/sandbox-throttling-limits. That of production was not
  found in the documentation.

Taken from elsewhere or chosen here: the code of a refused token is in many issues and in the models of
github.com/highsidelabs/walmart-api-php (``Error401``); the codes of data errors, of a missing header, of a
request too many and of a body of 25 MB, and what an item must have: sku, productIdentifiers, price,
productName. The documentation of each product type asks for more.

What it does not do: other feed types, XML, spreadsheets.
"""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import dataclass
from typing import Any

from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.quota import Quota, UsagePlan
from airflow_asyncjob.testing.reading import json_body, media_type, whole_number
from airflow_asyncjob.testing.records import Refused
from airflow_asyncjob.testing.tokens import AccessTokens
from airflow_asyncjob.testing.walmart_items import Feed, ingest, multipart_file

__all__ = ["WalmartApi", "WalmartOptions"]

_FEED = re.compile(r"/v3/feeds/([^/]+)")
_FEED_TYPES = ("MP_ITEM",)
_HEADERS = ("wm_qos.correlation_id", "wm_svc.name")
_LARGEST_PAGE = 1000
_UNAUTHORIZED = (
    "Unauthorized token or incorrect authorization header. Please verify correct format: "
    '"Authorization: Basic Base64Encode(clientId:clientSecret)"'
)


@dataclass
class WalmartOptions:
    """Options of ``FakeJobServer("walmart")``: item feeds of the US marketplace.

    :param queue_seconds: how long a feed is RECEIVED.
    :param seconds: how long it is INPROGRESS after that.
    :param fails: feeds end as ERROR: as a whole, with no item processed.
    :param refuse_every: every so many items of a feed are refused, beside those that are wrong; 0: none.
    :param most_bytes: a feed of more is refused.
    :param feeds_an_hour: how many feeds may be sent in an hour.
    :param client_id: of the token API, as is the next.
    :param client_secret: of the client.
    """

    queue_seconds: float = 1.0
    seconds: float = 2.0
    fails: bool = False
    refuse_every: int = 0
    most_bytes: int = 25_000_000
    feeds_an_hour: int = 30
    client_id: str = "c7291c6c-for-tests"
    client_secret: str = "a-secret-for-tests"  # noqa: S105 - of the fake server


class WalmartApi(Api):
    """``/v3/token`` and ``/v3/feeds``."""

    options_class = WalmartOptions
    options: WalmartOptions

    def __init__(self, clock: Clock, files: FileStore, options: WalmartOptions) -> None:
        super().__init__(clock, files, options)
        self._tokens = AccessTokens(clock, 900, "eyJraWQ.")
        self._quota = Quota()
        self._feeds: dict[str, Feed] = {}
        self._accounted: set[str] = set()
        self._lock = threading.Lock()

    def credentials(self) -> dict[str, Any]:
        """Return client ID and secret."""
        return {"login": self.options.client_id, "password": self.options.client_secret}

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        if (request.method, request.path) == ("POST", "/v3/feeds"):
            return Route("submit")
        match = _FEED.fullmatch(request.path)
        if match is None or request.method != "GET":
            return Route("other")
        return Route("rejects" if request.query.get("includeDetails") == "true" else "poll", match[1])

    def running(self) -> list[str]:
        """Return the IDs of the feeds that are not processed."""
        with self._lock:
            feeds = list(self._feeds.values())
        return [feed.id for feed in feeds if self._status(feed) in ("RECEIVED", "INPROGRESS")]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        for name in _HEADERS:
            if not request.headers.get(name):
                return _error(
                    400, "INVALID_REQUEST_HEADER.GMP_GATEWAY_API", name.upper(), "a header is missing"
                )
        if (request.method, request.path) == ("POST", "/v3/token"):
            return self._token(request)
        if self._tokens.trouble(request.headers.get("wm_sec.access_token", "")) is not None:
            return _error(401, "UNAUTHORIZED.GMP_GATEWAY_API", "UNAUTHORIZED", _UNAUTHORIZED)
        route = self.route(request)
        if route.purpose == "submit":
            return self._submit(request)
        with self._lock:
            feed = self._feeds.get(route.job_id or "")
        if feed is None or route.purpose == "other":
            return _error(404, "CONTENT_NOT_FOUND.GMP_FEED_API", "feedId", "there is no such feed")
        return self._described(feed, request)

    def _token(self, request: Received) -> Reply:
        client = (self.options.client_id, self.options.client_secret)
        reply = self._tokens.grant(request, "client_credentials", client, basic=True)
        if reply.code == 401:
            return _error(401, "UNAUTHORIZED.GMP_GATEWAY_API", "UNAUTHORIZED", _UNAUTHORIZED)
        if "json" not in request.headers.get("accept", ""):
            xml = b"<OAuthTokenDTO><accessToken>ask for JSON</accessToken></OAuthTokenDTO>"
            return Reply(reply.code, xml, {"Content-Type": "application/xml"})
        return reply

    def _submit(self, request: Received) -> Reply:
        if request.query.get("feedType") not in _FEED_TYPES:
            why = "One or more request parameters are invalid."
            return _error(400, "INVALID_REQUEST_PARAM.GMP_DATA_STATUS_API", "feedType", why)
        hourly = self.options.feeds_an_hour
        wait = self._quota.take("feeds", UsagePlan(hourly / 3600, hourly), self.clock.time())
        if wait is not None:
            reply = _error(429, "REQUEST_THRESHOLD_VIOLATED.GMP_GATEWAY_API", "", "too many feeds in an hour")
            return Reply(429, reply.body, {**reply.headers, "Retry-After": str(int(wait) + 1)})
        if request.size >= self.options.most_bytes:
            why = f"a feed is below {self.options.most_bytes} bytes"
            return _error(400, "INVALID_REQUEST_CONTENT.GMP_FEED_API", "file", why)
        kind = media_type(request)
        if kind == "multipart/form-data":
            document = multipart_file(request)
        elif kind == "application/json":
            document = json_body(request)
        else:
            why = "the feed is a file of multipart/form-data, or JSON"
            return _error(400, "INVALID_REQUEST_HEADER.GMP_GATEWAY_API", "Content-Type", why)
        feed_id = f"{uuid.uuid4().hex.upper()}@AU8BAQA"
        feed = ingest(feed_id, document, self.clock.time(), self.options.refuse_every)
        with self._lock:
            self._feeds[feed_id] = feed
        return json_reply(200, {"feedId": feed_id}, job_id=feed_id, created=True)

    def _status(self, feed: Feed) -> str:
        started = feed.created_at + self.options.queue_seconds
        now = self.clock.time()
        if now < started:
            return "RECEIVED"
        if now < started + self.options.seconds:
            return "INPROGRESS"
        return "ERROR" if self.options.fails or feed.error else "PROCESSED"

    def _described(self, feed: Feed, request: Received) -> Reply:
        offset = whole_number(request.query.get("offset"), 0, 0)
        limit = whole_number(request.query.get("limit"), 50, 1, _LARGEST_PAGE)
        if offset is None or limit is None:
            why = f"offset is 0 or more, limit 1 to {_LARGEST_PAGE}"
            return _error(400, "INVALID_REQUEST_PARAM.GMP_FEED_API", "limit", why)
        status = self._status(feed)
        ended = status == "PROCESSED"
        failed = sum(item["ingestionStatus"] != "SUCCESS" for item in feed.items) if ended else 0
        details = request.query.get("includeDetails") == "true" and ended
        body = {
            "feedId": feed.id,
            "feedStatus": status,
            "feedSubmissionDate": int(feed.created_at * 1000),
            "ingestionErrors": {"ingestionError": self._feed_errors(feed) if status == "ERROR" else None},
            "itemsReceived": len(feed.items),
            "itemsSucceeded": len(feed.items) - failed if ended else 0,
            "itemsFailed": failed,
            "itemsProcessing": 0 if status in ("PROCESSED", "ERROR") else len(feed.items),
            "offset": offset,
            "limit": limit,
            "itemDetails": {"itemIngestionStatus": feed.items[offset : offset + limit] if details else []},
        }
        self._account(feed, status)
        return json_reply(200, body, job_id=feed.id)

    def _feed_errors(self, feed: Feed) -> list[dict[str, str]]:
        why = feed.error or "the feed could not be processed"
        return [{"type": "DATA_ERROR", "code": "ERR_EXT_DATA_0503001", "field": "", "description": why}]

    def _account(self, feed: Feed, status: str) -> None:
        """Enter the items of a feed that has ended into the ledger, once."""
        with self._lock:
            if status not in ("PROCESSED", "ERROR") or feed.id in self._accounted:
                return
            self._accounted.add(feed.id)
        whole = feed.error or ("the feed could not be processed" if status == "ERROR" else "")
        accepted, refused = [], []
        for number, item in enumerate(feed.items, 1):
            found = item["ingestionErrors"]["ingestionError"]
            reason = whole or (found[0]["description"] if found else "")
            if reason:
                refused.append(Refused(feed.id, number, item["sku"], reason))
            else:
                accepted.append(item["sku"])
        self.records.add(feed.id, accepted, refused)


def _error(code: int, name: str, field: str, info: str) -> Reply:
    error = {
        "code": name,
        "field": field,
        "info": info,
        "severity": "ERROR",
        "category": "DATA",
        "causes": [],
    }
    return json_reply(code, {"error": [error]})
