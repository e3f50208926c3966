"""The fake of the Feeds section of Amazon Marketplace Web Service (MWS), which Amazon switched off in 2024.

Behaviour follows its public documentation, docs.developer.amazonservices.com, read 2026-11-22:

- required request parameters (en_US/dev_guide/DG_RequiredRequestParameters.html), response format and error
  codes (DG_ResponseFormat.html, DG_Errors.html);
- SubmitFeed (en_US/feeds/Feeds_SubmitFeed.html): the feed is the body, with ``Content-MD5``; less than 2 GiB;
  15 requests, one more every two minutes;
- GetFeedSubmissionList and GetFeedSubmissionResult: 10 requests, one more every 45 seconds; 15 requests, one
  more every minute;
- the words of FeedProcessingStatus (en_IT/feeds/Feeds_FeedProcessingStatus.html).

Taken from elsewhere or chosen here: the 404 of a feed that is not ready (FeedProcessingResultNotReady) is
that in the tests of github.com/hakanensari/peddler, the processing report is as public code keeps it for its
tests. Chosen: the words and the code of a wrong ``Content-MD5``, what makes a message wrong (no SKU), and how
CancelFeedSubmissions is limited.

What it does not do: signatures. ``Signature`` and what belongs to it are taken and not looked at.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from airflow_asyncjob.testing.amazon_envelope import Report, process_envelope
from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.quota import Quota, UsagePlan
from airflow_asyncjob.testing.reading import iso_time, media_type
from airflow_asyncjob.testing.records import Refused

__all__ = ["AmazonMwsApi", "AmazonMwsOptions"]

_NAMESPACE = "http://mws.amazonaws.com/doc/2009-01-01/"
_FEED_TYPE = re.compile(r"_POST_[A-Z_]+_")
_PLANS = {
    "SubmitFeed": UsagePlan(1 / 120, 15),
    "GetFeedSubmissionList": UsagePlan(1 / 45, 10),
    "GetFeedSubmissionResult": UsagePlan(1 / 60, 15),
    "CancelFeedSubmissions": UsagePlan(1 / 45, 10),
}


@dataclass
class AmazonMwsOptions:
    """Options of ``FakeJobServer("amazon_mws")``: XML feeds.

    :param queue_seconds: how long a feed is ``_SUBMITTED_``.
    :param seconds: how long it is ``_IN_PROGRESS_`` after that.
    :param ends: how it ends.
    :param refuse_every: every so many messages of a feed are refused, beside those that are wrong; 0: none.
    :param most_bytes: a feed of more is refused.
    :param access_key_id: the ``AWSAccessKeyId`` that is accepted.
    :param seller_id: the seller.
    """

    queue_seconds: float = 1.0
    seconds: float = 2.0
    ends: str = "_DONE_"
    refuse_every: int = 0
    most_bytes: int = 2**31 - 1
    access_key_id: str = "AKIAFORTESTS"
    seller_id: str = "A1SELLERFORTESTS"

    def __post_init__(self) -> None:
        if self.ends not in ("_DONE_", "_CANCELLED_"):
            raise ValueError(f"ends is one of _DONE_, _CANCELLED_, not {self.ends!r}")


@dataclass
class _Feed:
    id: str
    kind: str
    created_at: float
    report: Report
    cancelled: bool = False
    accounted: bool = False


class AmazonMwsApi(Api):
    """One address, and the operation in the query parameter ``Action``."""

    options_class = AmazonMwsOptions
    options: AmazonMwsOptions

    def __init__(self, clock: Clock, files: FileStore, options: AmazonMwsOptions) -> None:
        super().__init__(clock, files, options)
        self._quota = Quota()
        self._feeds: dict[str, _Feed] = {}
        self._lock = threading.Lock()
        self._operations: dict[str, Callable[[Received], Reply]] = {
            "SubmitFeed": self._submit,
            "GetFeedSubmissionList": self._list,
            "GetFeedSubmissionResult": self._result,
            "CancelFeedSubmissions": self._cancel,
        }

    def credentials(self) -> dict[str, Any]:
        """Return seller and access key ID."""
        return {"login": self.options.seller_id, "password": self.options.access_key_id}

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        action = request.query.get("Action", "")
        one = request.query.get("FeedSubmissionIdList.Id.1") or request.query.get("FeedSubmissionId")
        if action == "SubmitFeed":
            return Route("submit")
        if action == "GetFeedSubmissionList":
            return Route("poll", one)
        if action == "GetFeedSubmissionResult":
            return Route("rejects", one)
        return Route("cancel" if action == "CancelFeedSubmissions" else "other", one)

    def running(self) -> list[str]:
        """Return the IDs of the feeds that have not ended."""
        with self._lock:
            feeds = list(self._feeds.values())
        return [feed.id for feed in feeds if self._status(feed) in ("_SUBMITTED_", "_IN_PROGRESS_")]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        query, options = request.query, self.options
        operation = self._operations.get(query.get("Action", ""))
        if request.path != "/" or request.method != "POST" or operation is None:
            return _error(404, "InvalidAddress", "The section or the operation is not known.")
        if query.get("AWSAccessKeyId") != options.access_key_id:
            return _error(
                403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
            )
        if options.seller_id not in (query.get("SellerId"), query.get("Merchant")):
            return _error(401, "AccessDenied", "Access to this seller is denied.")
        if query.get("Version") != "2009-01-01":
            return _error(400, "InvalidParameterValue", "Version is not 2009-01-01.")
        name = query["Action"]
        if self._quota.take(name, _PLANS[name], self.clock.time()) is not None:
            return _error(503, "RequestThrottled", "Request is throttled")
        return operation(request)

    def _submit(self, request: Received) -> Reply:
        kind = request.query.get("FeedType", "")
        if not _FEED_TYPE.fullmatch(kind):
            return _error(400, "InvalidParameterValue", "FeedType is not one of the feed types.")
        if media_type(request) != "text/xml":
            return _error(400, "InvalidParameterValue", "The Content-Type of an XML feed is text/xml.")
        if request.size > self.options.most_bytes:
            return _error(
                400, "InvalidParameterValue", "The request size exceeded the maximum accepted size."
            )
        content = request.body
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        if request.headers.get("content-md5") != digest:
            return _error(400, "ContentMD5DoesNotMatch", "the Content-MD5 header does not match the feed")
        with self._lock:
            number = str(2_291_326_430 + len(self._feeds))
            report = process_envelope(number, content, self.options.refuse_every)
            feed = _Feed(number, kind, self.clock.time(), report)
            self._feeds[number] = feed
        return _answer("SubmitFeed", self._info(feed), job_id=number, created=True)

    def _chosen(self, request: Received) -> list[_Feed]:
        ids = [value for name, value in request.query.items() if name.startswith("FeedSubmissionIdList.Id.")]
        with self._lock:
            return [feed for feed in self._feeds.values() if not ids or feed.id in ids]

    def _list(self, request: Received) -> Reply:
        infos = "".join(self._info(feed) for feed in self._chosen(request))
        return _answer(
            "GetFeedSubmissionList", f"<HasNext>false</HasNext>{infos}", job_id=self.route(request).job_id
        )

    def _cancel(self, request: Received) -> Reply:
        cancelled = [feed for feed in self._chosen(request) if self._status(feed) == "_SUBMITTED_"]
        for feed in cancelled:
            feed.cancelled = True
        infos = "".join(self._info(feed) for feed in cancelled)
        return _answer(
            "CancelFeedSubmissions",
            f"<Count>{len(cancelled)}</Count>{infos}",
            job_id=self.route(request).job_id,
        )

    def _result(self, request: Received) -> Reply:
        wanted = request.query.get("FeedSubmissionId", "")
        with self._lock:
            feed = self._feeds.get(wanted)
        if feed is None:
            return _error(
                404, "InvalidFeedSubmissionId", f"Failed to find feed with Feed Submission ID: {wanted}"
            )
        if self._status(feed) != "_DONE_":
            why = f"Feed Submission Result is not ready for Feed Submission Id: {wanted}"
            return _error(404, "FeedProcessingResultNotReady", why, wanted)
        self._account(feed)
        digest = hashlib.md5(feed.report.xml, usedforsecurity=False).digest()
        headers = {"Content-Type": "text/xml", "Content-MD5": base64.b64encode(digest).decode()}
        return Reply(200, feed.report.xml, headers, job_id=feed.id)

    def _status(self, feed: _Feed) -> str:
        if feed.cancelled:
            return "_CANCELLED_"
        now, started = self.clock.time(), feed.created_at + self.options.queue_seconds
        if now < started:
            return "_SUBMITTED_"
        return "_IN_PROGRESS_" if now < started + self.options.seconds else self.options.ends

    def _account(self, feed: _Feed) -> None:
        with self._lock:
            if feed.accounted:
                return
            feed.accounted = True
        refused = [Refused(feed.id, *one) for one in feed.report.refused]
        self.records.add(feed.id, feed.report.accepted, refused)

    def _info(self, feed: _Feed) -> str:
        status = self._status(feed)
        if status == "_DONE_":
            self._account(feed)
        return (
            f"<FeedSubmissionInfo><FeedSubmissionId>{feed.id}</FeedSubmissionId>"
            f"<FeedType>{feed.kind}</FeedType><SubmittedDate>{iso_time(feed.created_at)}</SubmittedDate>"
            f"<FeedProcessingStatus>{status}</FeedProcessingStatus></FeedSubmissionInfo>"
        )


def _answer(action: str, inner: str, **rest: Any) -> Reply:
    text = (
        f'<?xml version="1.0"?>\n<{action}Response xmlns="{_NAMESPACE}"><{action}Result>{inner}'
        f"</{action}Result><ResponseMetadata><RequestId>75424a38-f333-4105-98f0-2aa9592d665c</RequestId>"
        f"</ResponseMetadata></{action}Response>\n"
    )
    return Reply(200, text.encode(), {"Content-Type": "text/xml"}, **rest)


def _error(code: int, name: str, message: str, job_id: str | None = None) -> Reply:
    text = (
        f'<?xml version="1.0"?>\n<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type>'
        f"<Code>{name}</Code><Message>{escape(message)}</Message><Detail/></Error>"
        "<RequestID>1105c931-3f1c-4480-8e6a-5ac7d4e1e1d4</RequestID></ErrorResponse>\n"
    )
    return Reply(code, text.encode(), {"Content-Type": "text/xml"}, job_id=job_id)
