"""curl commands as requests: what shapes the request is read, what shapes curl's own work is left out."""

from __future__ import annotations

import getopt
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.importers.curl_form import FormField, read_field
from airflow_asyncjob.importers.shell import ShellCommand, split_commands

__all__ = ["CurlRequest", "read_curl"]

# Of curl(1): options whose values go into the request, and flags that change it.
_REQUEST_LETTERS = {
    "X": "request",
    "H": "header",
    "d": "data",
    "u": "user",
    "A": "user-agent",
    "e": "referer",
    "b": "cookie",
    "F": "form",
    "T": "upload-file",
}
_REQUEST_LONG = [
    "request", "header", "data", "data-ascii", "data-raw", "data-binary", "data-urlencode", "json",
    "form", "form-string", "user", "user-agent", "referer", "cookie", "url", "url-query",
    "oauth2-bearer", "upload-file", "aws-sigv4",
]  # fmt: skip
_FLAG_LETTERS = {"G": "get", "I": "head", "k": "insecure"}
_FLAG_LONG = [
    "get", "head", "insecure", "digest", "ntlm", "negotiate",
]  # fmt: skip
# Of curl(1): how curl works, not what it sends. The first group has a value each.
_OTHER_LETTERS = "omwxcCDEryYztQP"
_OTHER_LONG = [
    "output", "output-dir", "max-time", "connect-timeout", "retry", "retry-delay", "retry-max-time",
    "write-out", "proxy", "proxy-user", "cookie-jar", "continue-at", "dump-header", "cert", "cert-type",
    "key", "key-type", "pass", "cacert", "capath", "ciphers", "tls-max", "range", "speed-limit",
    "speed-time", "limit-rate", "max-redirs", "max-filesize", "resolve", "connect-to", "interface",
    "dns-servers", "unix-socket", "noproxy", "stderr", "trace", "trace-ascii", "keepalive-time",
    "expect100-timeout", "time-cond", "rate",
]  # fmt: skip
_OTHER_FLAG_LETTERS = "sSLfivgNOJ#0246qapnRZ"
_OTHER_FLAG_LONG = [
    "silent", "show-error", "location", "location-trusted", "fail", "fail-with-body", "fail-early",
    "include", "verbose", "globoff", "no-buffer", "remote-name", "remote-header-name", "remote-time",
    "progress-bar", "no-progress-meter", "compressed", "http0.9", "http1.0", "http1.1", "http2",
    "http2-prior-knowledge", "http3", "tlsv1", "tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3", "ipv4",
    "ipv6", "retry-all-errors", "retry-connrefused", "create-dirs", "path-as-is", "no-keepalive",
    "no-sessionid", "tcp-nodelay", "parallel", "netrc", "post301", "post302", "post303", "raw",
    "ssl-reqd", "proxy-insecure", "anyauth", "basic", "disable", "tr-encoding",
]  # fmt: skip


@dataclass
class CurlRequest:
    """One request, as curl would send it.

    :param url: without user, query and fragment.
    :param params: query parameters in order, decoded.
    :param headers: names as written; the ones that curl adds by itself are not there.
    :param body: the text sent, None without one.
    :param fields: of a multipart body; empty: it has none.
    :param file: path of the file that is the body, as written; None: the body is no file.
    :param json_given: ``--json`` was used.
    :param user: of ``-u`` or of the URL, as ``login:password``; None without one.
    :param bearer: of ``--oauth2-bearer``.
    :param scheme: the authentication scheme that was asked for, such as ``digest``; empty: none was.
    :param line: line of the pasted text.
    :param notes: what was left out, for people.
    """

    method: str
    url: str
    line: int
    params: list[tuple[str, str]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str | None = None
    fields: list[FormField] = field(default_factory=list)
    file: str | None = None
    json_given: bool = False
    user: str | None = None
    bearer: str | None = None
    scheme: str = ""
    notes: list[str] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """Return the value of a header, in any case of its name; None when it is not given."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def body_json(self) -> Any:
        """Return the body read as JSON.

        :raises ValueError: it is none.
        """
        return json.loads(self.body or "")


def read_curl(text: str) -> tuple[list[CurlRequest], list[str]]:
    """Return the requests of pasted curl commands, in order, and notes about what was skipped.

    :raises DefinitionError: no curl command, an unknown option, or a request that no definition can say.
    """
    requests: list[CurlRequest] = []
    notes: list[str] = []
    for command in split_commands(text):
        words = _without_assignments(command)
        if words and words[0].rsplit("/", 1)[-1] in ("curl", "curl.exe"):
            requests.append(_Reader(command.line, words[1:]).read())
        elif words and not command.piped:
            # Only the first word: the rest may be an answer or a secret that was pasted along.
            start = words[0][:20]
            notes.append(f"line {command.line}: skipped, not a curl command (it starts with {start!r})")
    if not requests:
        raise DefinitionError(
            "There is no curl command in the text. Paste the commands that submit the job, ask for its "
            "status and download its result, as your shell or browser (Copy as cURL) has them."
        )
    return requests, notes


def _without_assignments(command: ShellCommand) -> list[str]:
    words = list(command.words)
    while words and words[0].split("=", 1)[0].isidentifier() and "=" in words[0]:
        words.pop(0)
    return words


class _Reader:
    """Reads one command's words; the options come in the order in which they are written."""

    def __init__(self, line: int, words: list[str]) -> None:
        self.line = line
        self.words = words
        self.request = CurlRequest(method="", url="", line=line)
        self.urls: list[str] = []
        self.data: list[str] = []
        self.as_query = False
        self.flags: set[str] = set()

    def read(self) -> CurlRequest:
        for name, value in self._options():
            self._take(name, value)
        if len(self.urls) != 1:
            found = (
                f"{len(self.urls)} words stand where it could be (is a quote missing?)"
                if self.urls
                else "none"
            )
            raise self._error(f"a command needs exactly one URL; {found}")
        self._address(self.urls[0])
        self._body()
        self._method()
        return self.request

    def _error(self, what: str) -> DefinitionError:
        return DefinitionError(f"line {self.line}: curl: {what}")

    def _options(self) -> list[tuple[str, str]]:
        """Return (long name, value) pairs; a word that is no option is a URL."""
        short = "".join(f"{letter}:" for letter in (*_REQUEST_LETTERS, *_OTHER_LETTERS))
        short += "".join(_FLAG_LETTERS) + _OTHER_FLAG_LETTERS
        long = [f"{name}=" for name in (*_REQUEST_LONG, *_OTHER_LONG)] + _FLAG_LONG + _OTHER_FLAG_LONG
        try:
            options, urls = getopt.gnu_getopt(self.words, short, long)
        except getopt.GetoptError as error:
            hint = "Remove it from the command when it does not change what is sent."
            raise self._error(f"{error.msg}. {hint}") from None
        letters = {**_REQUEST_LETTERS, **_FLAG_LETTERS}
        named = [(letters.get(key[1:], "") if len(key) == 2 else key[2:], value) for key, value in options]
        return [*named, *(("url", url) for url in urls)]

    def _take(self, name: str, value: str) -> None:
        request = self.request
        if name == "url":
            self.urls.append(value)
        elif name == "request":
            request.method = value.upper()
        elif name == "header":
            self._header(value)
        elif name == "user-agent":
            request.headers.append(("User-Agent", value))
        elif name in ("cookie", "referer"):
            if name == "cookie":
                request.notes.append("cookies were left out: they are credentials of a browser session")
        elif name == "user":
            request.user = value
        elif name == "oauth2-bearer":
            request.bearer = value
        elif name in ("digest", "ntlm", "negotiate", "aws-sigv4"):
            request.scheme = name
        elif name == "url-query":
            request.params += self._pairs(value)
        elif name == "data-binary" and value.startswith("@"):
            self._file(value[1:])
            request.notes.append(
                f"the file {value} gets a Content-Type by its name, unless headers give one (curl says form)"
            )
        elif name in ("data", "data-ascii", "data-binary", "data-raw", "data-urlencode", "json"):
            self.data.append(self._datum(name, value))
        elif name in ("form", "form-string"):
            self._form(name, value)
        elif name == "upload-file":
            self._file(value)
            self.flags.add("upload")
        elif name in ("get", "head", "insecure"):
            self.flags.add(name)

    def _form(self, name: str, value: str) -> None:
        try:
            found = read_field(value, literal=name == "form-string")
        except ValueError as error:
            raise self._error(f"-F {value.partition('=')[0]}: {error}") from None
        if any(one.name == found.name for one in self.request.fields):
            raise self._error(f"-F {found.name} is given twice; a definition has each field of a form once")
        self.request.fields.append(found)

    def _file(self, path: str) -> None:
        if self.request.file is not None:
            raise self._error(
                "a definition sends one file as its body; give the others requests of their own"
            )
        self.request.file = path

    def _header(self, value: str) -> None:
        if value.startswith("@"):
            raise self._error(f"-H {value} reads headers from a file; write them into the command")
        name, colon, text = value.partition(":")
        if colon and text.strip():
            self.request.headers.append((name.strip(), text.strip()))

    def _datum(self, name: str, value: str) -> str:
        """Return what curl sends for one data option (curl(1), --data and its relatives)."""
        if name == "json":
            self.request.json_given = True
        if name != "data-raw" and value.startswith("@"):
            raise self._error(f"--{name} {value} reads a file; paste the file's content in its place")
        if name != "data-urlencode":
            return value
        field_name, equals, content = value.partition("=")
        if not equals and "@" in value:
            raise self._error(f"--{name} {value} reads a file; paste the file's content in its place")
        if not equals:
            return quote(value, safe="")
        return f"{field_name}={quote(content, safe='')}" if field_name else quote(content, safe="")

    def _pairs(self, value: str) -> list[tuple[str, str]]:
        name, equals, content = value.partition("=")
        return [(name, content)] if equals else [(value, "")]

    def _address(self, url: str) -> None:
        if "://" not in url:
            url = f"http://{url}"
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise self._error(f"{url.split('?')[0]!r} is not an http or https URL")
        user, at, host = parts.netloc.rpartition("@")
        if at and self.request.user is None:
            self.request.user = unquote(user)
        path = parts.path
        if "upload" in self.flags and path.endswith("/") and self.request.file not in (None, "-", "."):
            path += quote((self.request.file or "").rpartition("/")[2], safe="")  # as curl does
        self.request.url = f"{parts.scheme}://{host}{path}"
        self.request.params[:0] = parse_qsl(parts.query, keep_blank_values=True)

    def _body(self) -> None:
        kinds = [bool(self.data), bool(self.request.fields), self.request.file is not None]
        if sum(kinds) > 1:
            raise self._error("a request has one body, and several of -d, -F and a file are given")
        if "get" in self.flags and not self.data and any(kinds):
            raise self._error("-G puts data into the URL, where no file and no form can be")
        if not self.data:
            return
        joined = ("" if self.request.json_given else "&").join(self.data)
        if "get" in self.flags:
            self.request.params += parse_qsl(joined, keep_blank_values=True)
        else:
            self.request.body = joined

    def _method(self) -> None:
        request = self.request
        if not request.method:
            has_body = request.body is not None or bool(request.fields) or request.file is not None
            request.method = "HEAD" if "head" in self.flags else "POST" if has_body else "GET"
            if "upload" in self.flags:
                request.method = "PUT"
        if "insecure" in self.flags:
            request.notes.append(
                "-k (certificates are not checked) was left out; the connection's extra has verify for it"
            )
