"""What goes out: from a ``Send`` to a request that is ready, and from a redirect to the next one.

Where a request goes decides what it carries: credentials, the connection's headers and its secrets go to the
connection's own origin (scheme, host and port) only.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import httpx

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.auth_kinds import RequestAuth
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.definition.render import RenderedRequest, render_request
from airflow_asyncjob.errors import AsyncJobError, ConnectionSetupError, DefinitionError, UploadError
from airflow_asyncjob.protocol.messages import Purpose, Send
from airflow_asyncjob.transport.address import (
    BadUrlError,
    Origin,
    is_link_local,
    is_s3,
    join_url,
    origin_of,
    parse_url,
    with_params,
)
from airflow_asyncjob.transport.auth import Credentials, auth_of_request, build_auth, build_s3_auth
from airflow_asyncjob.transport.auth.base import name_of
from airflow_asyncjob.transport.auth.login import Login
from airflow_asyncjob.transport.content import ACCEPTED
from airflow_asyncjob.transport.network import FRESH
from airflow_asyncjob.transport.prepared import Prepared, RefusedHereError
from airflow_asyncjob.transport.redact import Redactor, is_sensitive_name
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.transport.sockets import PRIVATE_ADDRESS
from airflow_asyncjob.transport.upload import (
    Find,
    FindPart,
    Upload,
    local_source,
    no_parts,
    upload_of,
    upload_of_part,
)

__all__ = ["Outbound"]

_REDIRECTS = (301, 302, 303, 307, 308)
_ALL_THAT_FOLLOWS = frozenset(
    {"accept", "accept-encoding", "accept-language", "cache-control", "user-agent", "range", "if-range"}
)
_LONGEST_URL = 300


class Outbound:
    """Makes the requests of one connection as it is now.

    :param settings: the connection.
    :param limits: of the definition.
    :param auth: of the definition; None: as the connection says.
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
        redactor: Redactor,
        find: Find = local_source,
        find_part: FindPart = no_parts,
    ) -> None:
        self._settings = settings
        self._find = find
        self._find_part = find_part
        self._limits = limits
        self._credentials = build_auth(auth, settings)
        self._s3_credentials = build_s3_auth(auth, settings)
        self._is_set = auth is not None or settings.auth is not None
        self.redactor = redactor
        redactor.learn(settings.secrets())
        if self._credentials is not None:
            redactor.learn(self._credentials.secrets, self._credentials.names)
            self._credentials.watch(redactor)
        self._own = _origin_of_connection(settings)
        self._own_host = self._own[1] if self._own else ""

    def prepare(self, send: Send) -> Prepared:
        """Render a request and make it ready.

        :raises RefusedHereError: a template cannot be rendered, or it must not be sent.
        """
        rendered = self._rendered(send)
        try:
            url = with_params(parse_url(join_url(self._settings.base_url, rendered.url)), rendered.params)
        except (BadUrlError, UnicodeError) as error:
            raise RefusedHereError(f"{rendered.method} {self._shown(rendered.url)}", str(error)) from None
        own = self.is_own(url)
        headers = self._headers(send, rendered, own)
        upload = self._upload(send, rendered, headers)
        request = self._request(send, rendered.method, url, headers, rendered.content, upload)
        written = _has_written_host(send.request.url)
        prepared = Prepared(
            purpose=send.purpose,
            step=send.step,
            request=request,
            auth=self._auth(send, rendered, own=own),
            # The token endpoint may be elsewhere; it gets what its own request says, and nothing more.
            own=own or (written and send.purpose is Purpose.AUTH),
            guard=None if own or written else self._own_host,
            sent=f"{rendered.method} {_brief(self.safe_url(url))}",
            content_type=headers.get("content-type"),
            upload=upload,
        )
        self._check(prepared)
        return replace(prepared, bare=self._why_bare(prepared, send))

    def _rendered(self, send: Send) -> RenderedRequest:
        # A login's own names hold the connection too, with its password.
        names = {"connection": self._settings.view(), "request_id": str(uuid.uuid4()), **send.names}
        sent = f"{send.request.method} {self._shown(send.request.url)}"
        try:
            rendered = render_request(send.request, names, where=send.where)
        except DefinitionError as error:
            raise self.refusal(send, error) from None
        for name, value in rendered.headers.items():
            if not value.isascii():
                raise RefusedHereError(
                    sent, f"the header {name} holds a character outside ASCII, which HTTP does not send"
                )
        return rendered

    def _upload(self, send: Send, rendered: RenderedRequest, headers: httpx.Headers) -> Upload | None:
        """Return the body with files in it, or the part, and complete the headers; None: it is neither.

        :raises RefusedHereError: a file is missing, or cannot be read; the source of a part has changed.
        """
        if not rendered.parts and not send.request.part:
            return None
        named = httpx.Headers(rendered.headers).get("content-type")
        seconds = self._limits.exchange_timeout
        try:
            if send.request.part:
                part = send.names["part"]
                body = self._find_part(part["number"])
                upload = upload_of_part(body, seconds=seconds, records=part["records"])
                if named is None and not _same_family(headers.get("content-type"), body.content_type):
                    headers["content-type"] = body.content_type
            else:
                upload = upload_of(rendered.parts, self._find, seconds=seconds, content_type=named)
        except UploadError as error:
            raise self.refusal(send, error) from None
        headers.update(upload.headers)
        return upload

    def refusal(self, send: Send, error: AsyncJobError) -> RefusedHereError:
        """Return that a request is never sent, for the reason that an error says."""
        safe = type(error)(self.redactor.text(error.message))
        safe.retryable = error.retryable
        return RefusedHereError(f"{send.request.method} {self._shown(send.request.url)}", safe.message, safe)

    def redirected(self, prepared: Prepared, code: int, location: str | None, send: Send) -> Prepared | None:
        """Return the next request when a download's answer is a redirect to follow; None: it is an answer.

        :raises RefusedHereError: too many, or to a place that must not be asked.
        """
        if code not in _REDIRECTS or not location or not send.stream or not self._settings.allow_redirects:
            return None
        if prepared.upload is not None and code in (307, 308):
            return None  # which keep the body: files are sent where the definition says, and nowhere else
        if prepared.hops >= self._settings.max_redirects:
            raise RefusedHereError(
                prepared.sent,
                f"more than {self._settings.max_redirects} redirects (max_redirects in the connection's "
                "extra)",
            )
        old = prepared.request
        try:
            url = parse_url(str(old.url.join(location)))
        except (BadUrlError, httpx.InvalidURL) as error:
            raise RefusedHereError(prepared.sent, f"it redirects to what cannot be asked: {error}") from None
        own = self.is_own(url)
        same = origin_of(url) == origin_of(old.url)
        method, content = _after_redirect(old, code)
        left = {"host", "content-length", "" if content else "content-type"}
        left.update(name.lower() for name in (prepared.auth.headers if prepared.auth else ()))
        kept = {
            k: v for k, v in old.headers.items() if (k in _ALL_THAT_FOLLOWS if not same else k not in left)
        }
        headers = httpx.Headers(kept)
        following = replace(
            prepared,
            upload=None,
            request=self._request(send, method, url, headers, content),
            # A way back to the own origin gets no credentials either: somebody else chose its path.
            auth=prepared.auth if same else None,
            own=own and same,
            guard=None if own else self._own_host,
            sent=f"{prepared.sent.split(', redirected', 1)[0]}, redirected to {self.safe_url(url)}",
            hops=prepared.hops + 1,
            wall=time.time(),
            started=time.monotonic(),
        )
        self._check(following)
        return replace(following, bare=self._why_bare(following, send))

    @property
    def login(self) -> Login | None:
        """What fetches the credentials, where an exchange does."""
        return self._credentials if isinstance(self._credentials, Login) else None

    def paced_origin(self, prepared: Prepared) -> Origin | None:
        """Return the origin whose pace this request keeps: the connection's, or its own where the connection
        has no host. None: it goes elsewhere, and keeps none.
        """
        return origin_of(prepared.request.url) if prepared.own or self._own is None else None

    def timeout(self) -> httpx.Timeout:
        """Return the time-outs of single steps, in seconds.

        What the definition sets counts first, then what the connection sets, then the defaults.
        """
        limits, given = self._limits, self._settings.timeout
        connect, read = given if isinstance(given, tuple) else (given, given)
        named = limits.model_fields_set
        return httpx.Timeout(
            connect=limits.connect_timeout if connect is None or "connect_timeout" in named else connect,
            read=limits.read_timeout if read is None or "read_timeout" in named else read,
            write=limits.write_timeout if read is None or "write_timeout" in named else read,
            pool=limits.exchange_timeout,
        )

    def _request(
        self,
        send: Send,
        method: str,
        url: httpx.URL,
        headers: httpx.Headers,
        content: bytes | None,
        upload: Upload | None = None,
    ) -> httpx.Request:
        extensions = {"timeout": self.timeout().as_dict(), FRESH: send.purpose is Purpose.SUBMIT}
        if upload is not None:
            headers.setdefault("host", url.netloc.decode("ascii"))  # as httpx does for any other body
            request = httpx.Request(
                method,
                url,
                headers=headers,
                content=upload.content,
                stream=upload.stream if upload.content is None else None,
                extensions=extensions,
            )
            request.stream = upload.stream
            return request
        return httpx.Request(method, url, headers=headers, content=content, extensions=extensions)

    def _headers(self, send: Send, rendered: RenderedRequest, own: bool) -> httpx.Headers:
        headers = httpx.Headers({"accept": "*/*", "accept-encoding": ACCEPTED, "user-agent": _user_agent()})
        if own:
            bare = send.request.auth == "none"
            headers.update(
                {k: v for k, v in self._settings.headers.items() if not (bare and is_sensitive_name(k))}
            )
        if rendered.content_type and not _same_family(headers.get("content-type"), rendered.content_type):
            headers["content-type"] = rendered.content_type
        headers.update(rendered.headers)
        if send.purpose in (Purpose.POLL, Purpose.LOG):
            headers.setdefault("cache-control", "no-cache")
        if send.resume is not None:
            headers.setdefault("range", f"bytes={send.resume.at}-")
            headers.setdefault("if-range", send.resume.validator)
        return headers

    def _auth(self, send: Send, rendered: RenderedRequest, *, own: bool) -> Credentials | None:
        credentials = self._credentials if own else None
        if is_s3(rendered.url) and self._s3_credentials is not None:
            # The host is the connection's own or Amazon's, and a signature gives no secret away.
            credentials = self._s3_credentials
        if send.purpose is Purpose.AUTH:
            wanted = send.request.auth
            chosen = auth_of_request(wanted) if isinstance(wanted, RequestAuth) and own else None
            credentials = build_auth(chosen or Auth(type="none"), self._settings)
        if send.request.auth == "none" or credentials is None:
            return None
        return credentials.without({name.lower() for name in rendered.headers})

    def _why_bare(self, prepared: Prepared, send: Send) -> str:
        """Return why a request carries no credentials; empty when it does, in whatever place."""
        request, settings, name = prepared.request, self._settings, name_of(self._settings)
        names = [*request.headers, *(key for key, _ in request.url.params.multi_items())]
        if prepared.auth is not None or any(map(is_sensitive_name, names)):
            return ""
        if not prepared.own:
            return (
                f"No credentials were sent: {prepared.host} is not the address of {name} "
                f"({settings.base_url or 'it has none'}), and nobody else gets them. If the request needs "
                "some, give it those of another connection: auth: {connection: ITS_ID}"
            )
        if send.request.auth == "none":
            return "No credentials were sent: the request has auth none"
        if self._is_set:
            return "No credentials were sent: auth is none"
        if settings.password:
            return (
                f"No credentials were sent: {name} has a password and no login, and nothing says how it is "
                "sent. Set auth in the definition, such as auth: {type: bearer} or auth: {type: api_key, "
                'header: X-Api-Key}, or in the extra of the connection, such as {"auth": {"type": "bearer"}}'
                ", or Authentication in the form of a connection of type asyncjob"
            )
        return f"No credentials were sent: {name} has neither login nor password"

    def _check(self, prepared: Prepared) -> None:
        request, settings = prepared.request, self._settings
        if prepared.own:
            return
        # Other private addresses are refused when the peer's address is known, see ``sockets``.
        if prepared.guard is not None and is_link_local(request.url.host):
            raise RefusedHereError(prepared.sent, PRIVATE_ADDRESS.format(host=request.url.host))
        upload = prepared.upload
        body = request.content.decode("utf-8", "replace") if upload is None else upload.texts
        parts = {"the URL": str(request.url), "the body": body}
        parts |= {f"the header {name}": value for name, value in request.headers.items()}
        for part, text in parts.items():
            if text != _user_agent() and self.redactor.holds_secret(text, own=True):
                raise RefusedHereError(
                    prepared.sent,
                    f"{part} holds a secret of the connection, and {prepared.host} is not the connection's "
                    f"own origin ({settings.base_url or 'it has no host'}), the only one that gets its "
                    "secrets",
                )

    def _shown(self, url: str) -> str:
        """Return for people what was meant to be a URL."""
        return _brief(self.redactor.url("".join(c if c.isprintable() else " " for c in url), foreign=True))

    def is_own(self, url: httpx.URL) -> bool:
        """Return whether a URL is of the connection's own origin."""
        return self._own is not None and origin_of(url) == self._own

    def safe_url(self, url: httpx.URL) -> str:
        """Return a URL for people, secrets removed."""
        return self.redactor.url(str(url), foreign=not self.is_own(url))


def _origin_of_connection(settings: ConnectionSettings) -> Origin | None:
    try:
        return origin_of(parse_url(settings.base_url)) if settings.base_url else None
    except BadUrlError as error:
        raise ConnectionSetupError(f"the address of the connection cannot be asked: {error}") from None


def _brief(url: str) -> str:
    """Return a URL that fits into a line of a log: of a very long one the start and the end."""
    return url if len(url) <= _LONGEST_URL else f"{url[: _LONGEST_URL - 60]}…{url[-59:]}"


def _has_written_host(template: str) -> bool:
    """Return whether the author wrote scheme and host themselves, so that no answer chose them."""
    scheme, found, rest = template.partition("://")
    return bool(found) and "{" not in scheme and "{" not in re.split(r"[/?#]", rest, maxsplit=1)[0]


def _after_redirect(request: httpx.Request, code: int) -> tuple[str, bytes | None]:
    """Return method and body of the next request.

    307 and 308 keep both (RFC 9110 15.4); the others make everything but HEAD a GET, as all clients do.
    """
    if code in (307, 308):
        return request.method, request.content or None
    return ("HEAD" if request.method == "HEAD" else "GET"), None


def _same_family(given: str | None, own: str) -> bool:
    """Return whether a connection's Content-Type fits a body; ``application/vnd.api+json`` is JSON."""
    return given is not None and any(
        word in given.lower() and word in own.lower() for word in ("json", "xml")
    )


@cache
def _user_agent() -> str:
    try:
        return f"airflow-asyncjob/{version('airflow-asyncjob')}"
    except PackageNotFoundError:
        return "airflow-asyncjob"
