"""What comes back: answers and faults become events, and notes in the trace."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx

from airflow_asyncjob.definition.document import parse_body
from airflow_asyncjob.definition.extract import Headers, View
from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.errors import DefinitionError, UnreadableError
from airflow_asyncjob.protocol.messages import Failed, Fault, Purpose, Responded, Response, Send
from airflow_asyncjob.protocol.targets import find_target
from airflow_asyncjob.transport.address import BadUrlError
from airflow_asyncjob.transport.faults import Diagnosis, classify
from airflow_asyncjob.transport.outbound import Outbound
from airflow_asyncjob.transport.prepared import Prepared, RefusedHereError
from airflow_asyncjob.transport.redact import Redactor
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.transport.sockets import Underway
from airflow_asyncjob.transport.trace import EXCERPT_CHARACTERS, Exchange, Trace
from airflow_asyncjob.transport.upload import Find, FindPart, local_source, no_parts

__all__ = ["Desk"]

_EXCERPT_IN_MESSAGES = 300
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:\-]+)", re.IGNORECASE)


class Desk:
    """One connection as it is now: its requests, its answers, its trace.

    :param settings: the connection.
    :param limits: of the definition.
    :param auth: of the definition; None: as the connection says.
    :param trace: notes every exchange.
    :param redactor: hides the secrets that are known already, and learns those of this connection.
    :param find: finds the files that are to be sent.
    :param find_part: gives the parts of an upload.
    :raises ConnectionSetupError: the connection lacks what the auth needs.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        limits: Limits,
        auth: Auth | None,
        trace: Trace,
        redactor: Redactor,
        find: Find = local_source,
        find_part: FindPart = no_parts,
    ) -> None:
        self.settings = settings
        self.limits = limits
        self.trace = trace
        self.out = Outbound(settings, limits, auth, redactor, find, find_part)

    @property
    def redactor(self) -> Redactor:
        """Removes this connection's secrets."""
        return self.out.redactor

    def learn(self, send: Send, head: httpx.Response, body: bytes) -> None:
        """Hide from now on the download target that an answer names, where the definition calls it a secret.

        An answer that names none, such as that of a job that runs, has none to hide.

        :param body: decoded.
        """
        if send.secret is None:
            return
        headers, encoding = _head_of(head)
        captures = send.names.get("captures") or {}
        try:
            parsed = parse_body(body, send.request.response, encoding)
            view = View(head.status_code, Headers(headers), parsed, str(head.url), captures)
            found = find_target(send.secret, view, send.names)
        except (UnreadableError, DefinitionError):
            return
        for target in [found] if isinstance(found, str) else found:
            self.redactor.learn_target(target)

    def responded(self, prepared: Prepared, head: httpx.Response, body: bytes) -> Responded:
        """Return the answer as an event.

        :param body: decoded; of a streamed answer empty, or what an error says.
        """
        elapsed = time.monotonic() - prepared.started
        headers, encoding = _head_of(head)
        response = Response(
            code=head.status_code,
            headers=headers,
            body=body,
            url=str(prepared.request.url),
            sent=prepared.sent,
            excerpt=self.redactor.excerpt(body, _EXCERPT_IN_MESSAGES, encoding),
            elapsed=elapsed,
            encoding=encoding,
            bare=prepared.bare,
        )
        return Responded(response)

    def note(self, prepared: Prepared, response: Response, size: int, detail: str = "") -> None:
        """Note an answered exchange.

        :param size: of the body, decoded, in bytes.
        :param detail: what broke a streamed body; empty: nothing did.
        """
        shown = prepared.purpose in (Purpose.SUBMIT, Purpose.POLL) or response.code >= 400
        excerpt = self.redactor.excerpt(response.body, EXCERPT_CHARACTERS, response.encoding) if shown else ""
        headers = self.redactor.headers(response.headers)
        if "location" in headers:
            headers["location"] = self._location(prepared, headers["location"])
        self._note(
            prepared,
            code=response.code,
            response_headers=headers,
            response_bytes=size,
            response=excerpt,
            fault=str(Fault.LOST) if detail else None,
            detail=detail,
        )

    def failed(self, prepared: Prepared, diagnosis: Diagnosis, code: int | None = None) -> Failed:
        """Return a fault as an event, and note the exchange."""
        detail = self.redactor.text(diagnosis.detail)
        self._note(prepared, code=code, fault=str(diagnosis.fault), detail=detail)
        return Failed(diagnosis.fault, prepared.sent, detail, diagnosis.error)

    def refused(self, error: RefusedHereError, send: Send) -> Failed:
        """Return a request that was never sent as an event, and note it."""
        detail = self.redactor.text(error.detail)
        method, _, url = error.sent.partition(" ")
        self.trace.add(
            Exchange(
                str(send.purpose),
                method,
                url,
                time.time(),
                0.0,
                fault=str(Fault.REFUSED),
                detail=detail,
                step=send.step,
            )
        )
        return Failed(Fault.REFUSED, error.sent, detail, error.error)

    def broken(
        self, prepared: Prepared, error: BaseException, exchange: Underway, code: int | None = None
    ) -> Failed:
        """Return an error of the network as an event, and note the exchange."""
        return self.failed(prepared, self._diagnosis(prepared, error, exchange), code)

    def why_broken(self, prepared: Prepared, error: BaseException, exchange: Underway) -> str:
        """Return what broke a streamed body, for people."""
        return self.redactor.text(self._diagnosis(prepared, error, exchange).detail)

    def _diagnosis(self, prepared: Prepared, error: BaseException, exchange: Underway) -> Diagnosis:
        limit = self.limits.exchange_timeout
        return classify(error, exchange, host=prepared.host, timeout=self.out.timeout(), limit=limit)

    def too_large(self, prepared: Prepared, code: int) -> Failed:
        """Return the event for a body over the limit."""
        detail = (
            f"answered {code} with a body of more than {self.limits.response_bytes:,} bytes; if that is "
            f"right for a {prepared.purpose} answer, raise limits.response_bytes in the definition"
        )
        return self.failed(prepared, Diagnosis(Fault.TOO_LARGE, detail), code)

    def _note(self, prepared: Prepared, **came: Any) -> None:
        request = prepared.request
        self.trace.add(
            Exchange(
                purpose=str(prepared.purpose),
                method=request.method,
                url=self.out.safe_url(request.url),
                started_at=prepared.wall,
                elapsed=time.monotonic() - prepared.started,
                request_headers=self.redactor.headers(dict(request.headers)),
                request_bytes=prepared.size,
                request_shape=prepared.shape,
                step=prepared.step,
                **came,
            )
        )

    def _location(self, prepared: Prepared, location: str) -> str:
        try:
            return self.out.safe_url(prepared.request.url.join(location))
        except (BadUrlError, httpx.InvalidURL):
            return self.redactor.url(location, foreign=True)


def _head_of(head: httpx.Response) -> tuple[dict[str, str], str | None]:
    """Return the headers, names in lower case, and the charset that they name."""
    headers = {name.lower(): value for name, value in head.headers.items()}
    charset = _CHARSET.search(headers.get("content-type", ""))
    return headers, charset[1].lower() if charset else None
