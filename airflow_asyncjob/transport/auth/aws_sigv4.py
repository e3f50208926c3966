"""AWS Signature Version 4, made by botocore, which is loaded only for this kind.

The request is signed when it is sent, with its body. Signed are the host, the content type and what begins
with ``x-amz-``: a proxy may change the other headers.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import httpx

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.transport.auth.base import Credentials, name_of, need_password
from airflow_asyncjob.transport.auth.templates import connection_names, rendered
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["build"]

_STREAMED = "asyncjob_streamed"
_UNRESERVED = "-_.~"
_S3 = ("s3", "s3-outposts", "s3-object-lambda")
"""Services whose path is signed as it is, and that want the hash of the body in a header."""


class _Signature(Credentials):
    """Signs for one service in one region.

    :param keys: botocore's credentials.
    """

    headers = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-SHA256")
    names = ("Authorization", "X-Amz-Security-Token")

    def __init__(self, keys: Any, service: str, region: str) -> None:
        self._signer = _signer(keys, service, region)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the signature on the request, whose URL is written as AWS writes it before."""
        from botocore.awsrequest import AWSRequest

        request.url = _canonical(request.url)
        signed = {
            name: value
            for name, value in request.headers.items()
            if name in ("host", "content-type") or name.startswith("x-amz-")
        }
        body = _body(request)
        copy = AWSRequest(request.method, str(request.url), headers=signed, data=body)
        copy.context[_STREAMED] = body is None
        self._signer.add_auth(copy)
        for name, value in copy.headers.items():
            request.headers[name] = value
        yield request


def _signer(keys: Any, service: str, region: str) -> Any:
    """Return botocore's signer, which cannot know the hash of a body that is streamed."""
    from botocore.auth import UNSIGNED_PAYLOAD, S3SigV4Auth, SigV4Auth

    base: Any = S3SigV4Auth if service in _S3 else SigV4Auth

    class Signer(base):  # type: ignore[misc]
        def payload(self, request: Any) -> Any:
            return UNSIGNED_PAYLOAD if request.context.get(_STREAMED) else super().payload(request)

    return Signer(keys, service, region)


def _body(request: httpx.Request) -> bytes | None:
    """Return the body; None: it is streamed, and its hash is not known before it is sent."""
    try:
        return request.content
    except httpx.RequestNotRead:
        return None


def _canonical(url: httpx.URL) -> httpx.URL:
    """Return the URL in the one spelling that both sides sign: percent-encoded but for A-Z a-z 0-9 -_.~.

    A ``+`` in a query is a space, as a form writes it.
    """
    path, _, query = url.raw_path.decode().partition("?")
    # By segments: an encoded slash is not a slash.
    path = "/".join(quote(unquote(segment), safe=_UNRESERVED) for segment in path.split("/"))
    pairs = parse_qsl(query, keep_blank_values=True)
    query = urlencode(pairs, quote_via=quote, safe=_UNRESERVED)
    return url.copy_with(raw_path=(f"{path}?{query}" if query else path).encode())


def build(auth: Auth, settings: ConnectionSettings) -> Credentials | None:
    """Return what signs with the login (the access key ID) and the password (the secret access key).

    A session token is ``aws_session_token`` in the extra of the connection, and the region, where the
    definition names none, ``region_name``.

    :raises ConnectionSetupError: a part is missing, or botocore is not installed.
    """
    try:
        from botocore.credentials import Credentials as Keys
    except ImportError:
        raise ConnectionSetupError(
            "auth aws_sigv4 signs with botocore, which is not installed: pip install 'airflow-asyncjob[aws]'"
        ) from None
    if not settings.login:
        raise ConnectionSetupError(
            f"auth aws_sigv4 needs the access key ID as the login, and {name_of(settings)} has none"
        )
    secret = need_password(settings, "aws_sigv4", "the secret access key")
    templates = {"service": auth.service or "", "region": auth.region or "{{ connection.extra.region_name }}"}
    if auth.region is None and not settings.extra.get("region_name"):
        raise ConnectionSetupError(
            f"auth aws_sigv4 needs a region, and neither auth.region nor region_name in the extra of "
            f"{name_of(settings)} says one"
        )
    found = rendered(templates, connection_names(settings), settings, "auth")
    token = settings.extra.get("aws_session_token")
    return _Signature(
        Keys(settings.login, secret, str(token) if token else None), found["service"], found["region"]
    )
