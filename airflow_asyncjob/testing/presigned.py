"""Pre-signed addresses of the file host, as Amazon S3 makes and checks them.

The query carries the permission (docs.aws.amazon.com, "Authenticating Requests: Using Query Parameters", AWS
Signature Version 4; "Error responses"; read 2026-11-22). The signature here is another one, which nobody but
this server can make; what it covers is the same: method, path, time, life and the signed headers.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from airflow_asyncjob.testing.api import Received, Reply
from airflow_asyncjob.testing.clock import Clock

__all__ = ["PresignedUrls", "s3_error"]

_DATE = "%Y%m%dT%H%M%SZ"
_TWO_CREDENTIALS = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
    "parameter or the Authorization header should be specified"
)


class PresignedUrls:
    """Makes pre-signed addresses, and says what is wrong with a request to one.

    :param clock: what time it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def url(
        self,
        host: str,
        path: str,
        *,
        seconds: float,
        method: str = "GET",
        signed_at: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Return an address that can be used for some time.

        :param host: of the file host, such as ``http://127.0.0.1:40123``.
        :param path: not encoded.
        :param seconds: its life.
        :param method: the one that it is good for.
        :param signed_at: seconds since the epoch; None: now.
        :param headers: that a request must have exactly so, names in lower case, such as ``content-type``.
        """
        given = dict(sorted((headers or {}).items()))
        at = datetime.fromtimestamp(self._clock.time() if signed_at is None else signed_at, UTC)
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": "AKIAFAKE/20260101/us-east-1/s3/aws4_request",
            "X-Amz-Date": at.strftime(_DATE),
            "X-Amz-Expires": str(int(seconds)),
            "X-Amz-SignedHeaders": ";".join(sorted([*given, "host"])),
        }
        query["X-Amz-Signature"] = self._signature(method, path, query, given)
        return f"{host}{path}?{urlencode(query)}"

    def problem(self, request: Received, job_id: str | None = None) -> Reply | None:
        """Return the answer to a request that is not allowed; None: it is."""
        if "authorization" in request.headers:
            return s3_error(400, "InvalidArgument", _TWO_CREDENTIALS)
        query, signature = request.query, request.query.get("X-Amz-Signature", "")
        if not signature:
            return s3_error(403, "AccessDenied", "Access Denied")
        names = [name for name in query.get("X-Amz-SignedHeaders", "").split(";") if name != "host"]
        headers = {name: request.headers.get(name, "") for name in names}
        wanted = self._signature(request.method, request.path, query, headers)
        if not hmac.compare_digest(signature.encode(), wanted.encode()):
            return s3_error(
                403, "SignatureDoesNotMatch", "The request signature we calculated does not match"
            )
        signed_at = datetime.strptime(query["X-Amz-Date"], _DATE).replace(tzinfo=UTC).timestamp()
        if self._clock.time() >= signed_at + int(query["X-Amz-Expires"]):
            return s3_error(403, "AccessDenied", "Request has expired", job_id)
        return None

    def _signature(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
        names = ("X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders")
        signed = [method, path, *(query.get(name, "") for name in names)]
        signed += [f"{name}:{value}" for name, value in sorted(headers.items())]
        return hmac.new(self._secret, "\n".join(signed).encode(), hashlib.sha256).hexdigest()


def s3_error(code: int, name: str, message: str, job_id: str | None = None) -> Reply:
    """Return an error as Amazon S3 writes it."""
    error = f"<Error><Code>{name}</Code><Message>{message}</Message></Error>"
    headers = {"Content-Type": "application/xml", "Server": "AmazonS3"}
    return Reply(code, f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'.encode(), headers, job_id=job_id)
