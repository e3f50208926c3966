"""A first definition from pasted curl commands: it says what they show, and asks for what they cannot."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from airflow_asyncjob.importers.credentials import Credentials, Template
from airflow_asyncjob.importers.curl import CurlRequest, read_curl
from airflow_asyncjob.importers.curl_form import FormField
from airflow_asyncjob.importers.roles import Roles, assign_roles, origin_of, segments

__all__ = ["Draft", "draft_from_curl", "unfilled"]

_SHELL_NAME = re.compile(r"\$\{(\w+)\}|\$([A-Za-z_]\w*)|\$\(([^()]*)\)|`([^`]*)`")
_TEMPLATE_MARK = re.compile(r"\{\{|\{%|\{#")
_UNFILLED = re.compile(r"\bFILL_IN_\w+")
_FORM_TYPE = "application/x-www-form-urlencoded"
_SUFFIXES = {"csv": "csv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl"}
_KIND_OF_TYPE = {_FORM_TYPE: "form", "application/json": "json", "application/xml": "xml", "text/xml": "xml"}
_BROWSER_HEADERS = re.compile(
    r"^(?:host|content-length|connection|accept-encoding|accept-language|origin|referer|cache-control|pragma|dnt"
    r"|priority|te|upgrade-insecure-requests|expect|sec-.*|:.*)$",
    re.IGNORECASE,
)

_COMMENTS = {
    "id": "Where the submit's answer has the job's ID: a JMESPath such as id or data.job.id, a path of XML\n"
    'names such as /Job/Id, or {header: location, regex: "jobs/(.+)$"}.',
    "path": "Where the status answer has the status: a JMESPath such as status, or a path of XML names.",
    "values": "The API's own words for each state, exactly as it writes them. Remove the lines it has no\n"
    "word for; there are also no_data, partial, timed_out and cancelled.",
    "url": "The commands do not ask for the status. {{ submission_id }} is the job's ID.",
    "target": "Where the status answer has the address of the result: a URL, a relative path, or a list.",
    "format": "raw keeps the bytes as they come; csv, json and jsonl are read as records.",
    "cancel": "Sent on a timeout, and when a waiting job is stopped.",
    "delete": "Sent after the download.",
    "text": "The body is neither JSON nor a form nor XML as it stands.",
}


@dataclass(frozen=True)
class Draft:
    """A definition to be completed.

    :param text: commented YAML.
    :param notes: for the person who pasted: what was left out, what was guessed.
    """

    text: str
    notes: tuple[str, ...]


def draft_from_curl(text: str) -> Draft:
    """Return a definition started from pasted curl commands: submit, status, download, in the order of use.

    No credential is in the text: they are moved out, and the text says what the connection needs.

    :raises DefinitionError: no curl command, or one that a definition cannot say.
    """
    requests, notes = read_curl(text)
    roles = assign_roles(requests)
    return _Writer(roles, notes).draft()


def unfilled(text: str) -> list[tuple[int, str]]:
    """Return (line, placeholder) for everything that a draft left to be filled in; comments do not count."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = re.split(r"(?:^|\s)#", line, maxsplit=1)[0]
        found += [(number, word) for word in _UNFILLED.findall(content)]
    return found


@dataclass
class _Texts:
    """Turns literal text into template text.

    :param inputs: the inputs that stand for shell variables and files: name and description.
    """

    job_id: str | None
    inputs: dict[str, str] = field(default_factory=dict)
    _files: dict[tuple[str, str], Template] = field(default_factory=dict)

    def text(self, value: str, *, later: bool) -> str:
        """Return template text; ``later`` requests have the job's ID."""
        if isinstance(value, Template):
            return str(value)
        if later and self.job_id and value == self.job_id:
            return "{{ submission_id }}"
        return "".join(self._pieces(value))

    def tree(self, value: Any, *, later: bool) -> Any:
        """Return a body with template text in it."""
        if isinstance(value, dict):
            return {key: self.tree(item, later=later) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, later=later) for item in value]
        return _block(self.text(value, later=later)) if isinstance(value, str) else value

    def _pieces(self, value: str) -> Iterator[str]:
        at = 0
        for found in _SHELL_NAME.finditer(value):
            yield _escaped(value[at : found.start()])
            yield self._input(found)
            at = found.end()
        yield _escaped(value[at:])

    def _input(self, found: re.Match[str]) -> str:
        variable = found.group(1) or found.group(2)
        command = found.group(3) or found.group(4)
        name = (variable or re.sub(r"\W+", "_", command or "value").strip("_")).lower()
        if not name.isidentifier():
            name = f"value_{name}".rstrip("_")
        self.inputs.setdefault(name, f"Stood as {found.group()} in the curl command.")
        return "{{ inputs." + name + " }}"

    def file(self, path: str, wanted: str) -> Template:
        """Return the template of a file's path: an input of its own, since a path is of one machine.

        :param wanted: what the input is to be called, if that can be.
        """
        if (path, wanted) not in self._files:
            name = re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_").lower()
            name = name if name.isidentifier() else "file"
            while name in self.inputs:
                name += "_file"
            self.inputs[name] = f"Path or URI of the file to send; it was {path} in the curl command."
            self._files[path, wanted] = Template("{{ inputs." + name + " }}")
        return self._files[path, wanted]


class _Writer:
    def __init__(self, roles: Roles, notes: list[str]) -> None:
        self.roles = roles
        self.notes = [*notes, *roles.notes]
        self.base = origin_of(roles.submit)
        self.credentials = Credentials()
        self.texts = _Texts(roles.job_id)
        for request in (roles.submit, roles.status, roles.cancel, roles.delete, self._result_request()):
            if request is not None:
                self.credentials.move_out(request)
                self.notes += [f"line {request.line}: {note}" for note in request.notes]
        self.notes += [f"line {request.line}: not used" for request in roles.unused]
        self.notes += [
            f"line {request.line}: only a submit sends files; make this request a step of it (submit.steps)"
            for request in (roles.status, roles.result, roles.cancel, roles.delete)
            if request is not None and (request.file is not None or any(one.file for one in request.fields))
        ]

    def _result_request(self) -> CurlRequest | None:
        """Return the download when its URL can be made from the ID; None when only the API can tell it."""
        result = self.roles.result
        if result is None or origin_of(result) != self.base:
            return None
        values = [*segments(result), *(value for _, value in result.params)]
        return result if self.roles.job_id in values else None

    def draft(self) -> Draft:
        from ruamel.yaml import YAML

        writer = YAML()
        writer.version = None
        writer.width = 110
        writer.indent(mapping=2, sequence=4, offset=2)
        out = io.StringIO()
        writer.dump(self._definition(), out)
        return Draft(out.getvalue(), tuple(dict.fromkeys([*self.notes, *self.credentials.notes])))

    def _definition(self) -> Any:
        sections = {
            "submit": self._submit(),
            "status": self._status(),
            "result": self._result(),
            "cancel": self._request(self.roles.cancel),
            "delete": self._request(self.roles.delete),
        }
        definition = _mapping(version=1, name=self._name())
        if self.texts.inputs:
            definition["inputs"] = {
                name: _mapping(type="string", description=description)
                for name, description in self.texts.inputs.items()
            }
        if self.credentials.auth:
            definition["auth"] = self.credentials.auth
        for name, section in sections.items():
            if section is not None:
                definition[name] = section
                if name in _COMMENTS:
                    _comment(definition, name, 0)
        definition.yaml_set_start_comment("\n".join(self._heading()))
        return definition

    def _heading(self) -> list[str]:
        return [
            "Started from curl commands. Replace every FILL_IN_..., then: asyncjob validate THIS_FILE",
            f"Base URL (the connection's host, or --base-url): {self.base}",
            *self.credentials.setup(self.base),
            "",
        ]

    def _name(self) -> str:
        host = (urlsplit(self.base).hostname or "").split(".")
        owner = host[-2] if len(host) > 1 and not host[-1].isdigit() else host[0]
        words = [
            part for part in segments(self.roles.submit) if re.fullmatch(r"[A-Za-z][\w-]*[A-Za-z]", part)
        ]
        return f"{owner}/{words[-1] if words else 'job'}".lower().replace("-", "_")

    def _submit(self) -> Any:
        section = _mapping(request=self._request(self.roles.submit, later=False), id="FILL_IN_ID")
        _comment(section, "id", 2)
        return section

    def _status(self) -> Any:
        request = self._request(self.roles.status)
        if request is None:
            request = _mapping(url="FILL_IN_STATUS_URL")
            _comment(request, "url", 4)
        elif "submission_id" not in json.dumps(request):
            self.notes.append(
                "the status request does not name the job: put {{ submission_id }} where its ID belongs"
            )
        values = _mapping(running=["FILL_IN_RUNNING"], done=["FILL_IN_DONE"], failed=["FILL_IN_FAILED"])
        for words in list(values):
            values[words] = _flow(values[words])
        section = _mapping(
            request=request, path="FILL_IN_STATUS", values=values, poll_wait="30s", timeout="24h"
        )
        _comment(section, "path", 2)
        _comment(section, "values", 2)
        return section

    def _result(self) -> Any:
        result = self.roles.result
        if result is None:
            self.notes.append("no command downloads a result; add a section result when the job has one")
            return None
        suffix = (
            segments(result)[-1].lower().removesuffix(".gz").rpartition(".")[2] if segments(result) else ""
        )
        fixed = self._result_request()
        section = (
            _mapping(target="FILL_IN_TARGET") if fixed is None else _mapping(request=self._request(fixed))
        )
        if fixed is None:
            _comment(section, "target", 2)
            self.notes.append(
                f"line {result.line}: the address of the download has no job ID in it, so it is taken from "
                "the status answer (result.target)"
            )
        section["format"] = _SUFFIXES.get(suffix, "raw")
        _comment(section, "format", 2)
        return section

    def _request(self, request: CurlRequest | None, *, later: bool = True) -> Any:
        if request is None:
            return None
        section = _mapping()
        default = "GET" if later else "POST"
        if request.method != default:
            section["method"] = request.method
        section["url"] = self._url(request, later=later)
        if request.params:
            section["params"] = _grouped(
                (name, self.texts.text(value, later=later)) for name, value in request.params
            )
        kind, body = self._body(request)
        headers = self._headers(request, kind, later=later)
        if headers:
            section["headers"] = headers
        if kind == "xml":
            pieces = self.credentials.of_xml(body)
            section[kind] = _block("".join(self.texts.text(piece, later=later) for piece in pieces))
        elif kind:
            section[kind] = self.texts.tree(self.credentials.of_body(body), later=later)
            if kind == "text":
                _comment(section, kind, 4)
        return section

    def _url(self, request: CurlRequest, *, later: bool) -> str:
        parts = urlsplit(request.url)
        path = "/".join(self._segment(part, later=later) for part in parts.path.split("/"))
        if origin_of(request) == self.base:
            return path or "/"
        self.notes.append(
            f"line {request.line}: {origin_of(request)} is another host than the submit's; the connection's "
            "credentials are not sent there"
        )
        return f"{origin_of(request)}{path}"

    def _segment(self, part: str, *, later: bool) -> str:
        plain = unquote(part)
        written = self.texts.text(plain, later=later)
        # A literal part stays as it was written; values are percent-encoded when they are put in.
        return written if "{{" in written else quote(plain, safe="!$&'()*+,;=:@~") if plain == part else part

    def _headers(self, request: CurlRequest, kind: str, *, later: bool) -> dict[str, str]:
        kept = {}
        for name, value in request.headers:
            lowered = name.lower()
            if _BROWSER_HEADERS.match(name) or (lowered == "accept" and value == "*/*"):
                continue
            if lowered == "user-agent" and value.startswith(("Mozilla/", "curl/")):
                continue
            if lowered == "content-type" and (kind == "multipart" or _is_usual_type(value, kind)):
                continue
            kept[name] = self.texts.text(value, later=later)
        return kept

    def _body(self, request: CurlRequest) -> tuple[str, Any]:
        """Return the kind of body and its value; an empty kind when there is none."""
        if request.fields:
            return "multipart", {part.name: self._field(part) for part in request.fields}
        if request.file is not None:
            return "file", self.texts.file(request.file, "file")
        if request.body is None:
            return "", None
        content_type = request.header("content-type")
        kind = _KIND_OF_TYPE.get((content_type or "").partition(";")[0].strip().lower(), "")
        if request.json_given or kind == "json" or (content_type or "").endswith("+json") or not content_type:
            try:
                value = request.body_json()
            except ValueError:
                value = None
            if isinstance(value, (dict, list)):
                if not (content_type or request.json_given):
                    self.notes.append(
                        f"line {request.line}: the body is JSON and is sent as JSON; curl -d alone says form"
                    )
                return "json", value
        if kind == "xml" or (not content_type and request.body.lstrip().startswith("<")):
            return "xml", request.body
        if kind == "form" or (not content_type and "=" in request.body):
            return "form", _grouped(parse_qsl(request.body, keep_blank_values=True))
        return "text", request.body

    def _field(self, part: FormField) -> Any:
        """Return a field of a form: its text alone where that says it all."""
        settings = {"filename": part.filename, "content_type": part.content_type}
        given = {name: value for name, value in settings.items() if value is not None}
        if part.file is not None:
            return {"file": self.texts.file(part.file, part.name), **given}
        value = self.credentials.of_body(part.text, part.name)
        return {"text": value, **given} if given else value


def _is_usual_type(content_type: str, kind: str) -> bool:
    """Return whether a body of this kind gets this content type anyway."""
    plain = content_type.partition(";")[0].strip().lower()
    return _KIND_OF_TYPE.get(plain) == kind and plain != "text/xml"


def _escaped(text: str) -> str:
    """Return text that the template environment gives back as it is."""
    return _TEMPLATE_MARK.sub(lambda mark: "{{ '" + mark.group() + "' }}", text)


def _grouped(pairs: Any) -> dict[str, Any]:
    """Return pairs as a mapping; a name that is repeated has a list."""
    grouped: dict[str, Any] = {}
    for name, value in pairs:
        if name not in grouped:
            grouped[name] = value
        elif isinstance(grouped[name], list):
            grouped[name].append(value)
        else:
            grouped[name] = [grouped[name], value]
    return grouped


def _mapping(**items: Any) -> Any:
    from ruamel.yaml.comments import CommentedMap

    return CommentedMap(items)


def _flow(items: list[str]) -> Any:
    from ruamel.yaml.comments import CommentedSeq

    sequence = CommentedSeq(items)
    sequence.fa.set_flow_style()
    return sequence


def _block(text: str) -> str:
    """Return text that is written as a block when it has several lines."""
    from ruamel.yaml.scalarstring import LiteralScalarString

    return LiteralScalarString(text) if "\n" in text and not text.startswith((" ", "\n")) else text


def _comment(section: Any, key: str, indent: int) -> None:
    section.yaml_set_comment_before_after_key(key, before=_COMMENTS[key], indent=indent)
