"""What an error of the network means: whether the request arrived, and whether asking again can help."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from airflow_asyncjob.errors import ConnectionSetupError, UploadError
from airflow_asyncjob.protocol.messages import Fault
from airflow_asyncjob.transport.content import BadContentError
from airflow_asyncjob.transport.sockets import PRIVATE_ADDRESS, ForbiddenAddressError, Underway

__all__ = ["NETWORK_ERRORS", "Diagnosis", "classify"]

NETWORK_ERRORS = (
    httpx.TransportError,
    httpx.InvalidURL,
    ForbiddenAddressError,
    BadContentError,
    ConnectionSetupError,
    UploadError,
    OSError,
)
"""What an exchange can raise that is a fault of the network or of its set-up, and no mistake here."""

_CERTIFICATE_ALERTS = re.compile(
    "CERTIFICATE_REQUIRED|BAD_CERTIFICATE|CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|UNKNOWN_CA"
)


@dataclass(frozen=True)
class Diagnosis:
    """What became of a request.

    :param detail: what happened and what to do, for people; it may still hold secrets of a URL.
    :param error: what to end with when it is the connection's set-up, or a file, that is wrong; None: it is
        neither.
    """

    fault: Fault
    detail: str
    error: ConnectionSetupError | UploadError | None = None


def classify(
    error: BaseException, underway: Underway, *, host: str, timeout: httpx.Timeout, limit: float
) -> Diagnosis:
    """Return what an error of the network means.

    :param host: of the URL asked, with its port.
    :param timeout: the time-outs of single steps, in seconds.
    :param limit: seconds that the whole exchange may take.
    """
    # A body that ends early is no request (RFC 9112, 8): what was sent of a file asks for nothing.
    if isinstance(error, (ConnectionSetupError, UploadError)):
        return Diagnosis(Fault.REFUSED, error.message, error)
    causes = list(_causes(error))
    final = _final(causes, host)
    if final:
        return Diagnosis(Fault.REFUSED, final)
    fault = Fault.LOST if underway.sent else Fault.NOT_SENT
    if underway.expired:
        return Diagnosis(fault, f"no whole answer within {limit:g} s (limits.exchange_timeout)")
    if underway.sent:
        return Diagnosis(fault, _lost(error, causes, timeout))
    return Diagnosis(fault, _no_connection(error, causes, host, timeout))


def _final(causes: list[BaseException], host: str) -> str | None:
    for cause in causes:
        if isinstance(cause, ForbiddenAddressError):
            return PRIVATE_ADDRESS.format(host=f"{host} ({cause})")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the certificate of {host} is not trusted: {cause.verify_message or cause.reason}. If it is "
                "right, give its authority as verify (path of a CA file) in the connection's extra"
            )
        if isinstance(cause, ssl.SSLError) and _CERTIFICATE_ALERTS.search(cause.reason or ""):
            return (
                f"{host} refused our client certificate, or the lack of one ({cause.reason}); give it as "
                "cert in the connection's extra"
            )
        if isinstance(cause, httpx.ProxyError) and str(cause).startswith("407"):
            return f"the proxy refused our credentials ({cause}); put login and password into the proxy's URL"
        if isinstance(cause, (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)):
            return f"the request cannot be sent: {cause}"
    return None


def _no_connection(
    error: BaseException, causes: list[BaseException], host: str, timeout: httpx.Timeout
) -> str:
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"the name {host.rsplit(':', 1)[0]} cannot be resolved"
    if isinstance(error, httpx.PoolTimeout):
        return f"no free connection to {host}"
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection to {host} within {timeout.connect:g} s (limits.connect_timeout)"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy gave no connection to {host}: {error}"
    return f"no connection to {host}: {_words(error, causes)}"


def _lost(error: BaseException, causes: list[BaseException], timeout: httpx.Timeout) -> str:
    if isinstance(error, httpx.ReadTimeout):
        return f"nothing came for {timeout.read:g} s (limits.read_timeout)"
    if isinstance(error, httpx.WriteTimeout):
        return f"the request could not be written for {timeout.write:g} s (limits.write_timeout)"
    return _words(error, causes)


def _words(error: BaseException, causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            hint = "; this port may speak http" if cause.reason == "WRONG_VERSION_NUMBER" else ""
            return f"TLS failed: {cause.reason or cause}{hint}"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
    text = str(error).rstrip(".")
    return text[:1].lower() + text[1:] if text else "the server closed the connection"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it; httpcore keeps a socket's error as an argument, not as the cause."""
    seen: set[int] = set()
    open_errors: list[BaseException | None] = [error]
    while open_errors:
        one = open_errors.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        open_errors += [one.__cause__, *(arg for arg in one.args if isinstance(arg, BaseException))]
        if isinstance(one, BaseExceptionGroup):
            open_errors += one.exceptions
