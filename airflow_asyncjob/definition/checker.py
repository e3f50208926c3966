"""Checker: what is looked at wherever it stands in a definition: requests, steps, extractors, templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_asyncjob.definition import places
from airflow_asyncjob.definition.models.extractor import long_form
from airflow_asyncjob.definition.places import Place
from airflow_asyncjob.definition.problems import Path, Problem, did_you_mean, path_text, shown
from airflow_asyncjob.definition.render import HEADER_NAME
from airflow_asyncjob.definition.templates import Inspection, inspect, is_template, whole_name
from airflow_asyncjob.errors import DefinitionError

__all__ = [
    "Checker",
    "check_path",
    "check_record_syntax",
    "check_regex",
    "listed",
    "mapping",
    "texts_at",
    "uses",
]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
_REQUEST_FIELDS = ("url", "params", "headers", "json", "form", "xml", "text")
_AUTH_FIELDS = ("headers", "query", "service", "region", "token_url", "scope", "params")


def uses(request: Any, name: str) -> bool:
    """Return whether a template in a value uses a top-level name."""
    for _, text in texts_at(request, ()):
        try:
            if name in inspect(text).names:
                return True
        except DefinitionError:  # told elsewhere
            continue
    return False


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a value that is a mapping, else an empty one: what it is instead is told by the schema."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any] | tuple[Any, ...]:
    """Return a value that is a list, else an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def texts_at(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield every text in a value with its path, keys of mappings included."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield (*path, key), key
            yield from texts_at(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            yield from texts_at(item, (*path, position))


class Checker:
    """Collects the mistakes of a definition; its sections are looked at by a subclass.

    :param data: plain values, as a file gives them; they may be wrong in any way.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.found: list[Problem] = []
        self._rendered: set[Path] = set()
        self._data = data
        self._inputs = list(mapping(data["inputs"])) if "inputs" in data else None
        self._captures: tuple[str, ...] | None = None
        if "submit" in data:
            sections = (mapping(data.get(name)) for name in ("submit", "status"))
            names = (name for section in sections for name in mapping(section.get("capture")))
            self._captures = tuple(names)

    def _problem(self, path: Path, message: str) -> None:
        self.found.append(Problem(path, message))

    # Parts

    def _request(
        self, request: Any, path: Path, place: Place, *, files: Place | None = None, parts: bool = False
    ) -> None:
        """Check a request.

        :param files: what the path of a file sees; None: this request sends no files.
        :param parts: whether it may send a part of an upload.
        """
        if mapping(request).get("part") is True and not parts:
            self._problem((*path, "part"), "only a submit sends parts, in its request or its steps")
        for field in _REQUEST_FIELDS:
            for where, text in texts_at(mapping(request).get(field), (*path, field)):
                self._template(text, where, place)
        self._file(mapping(request).get("file"), (*path, "file"), files)
        for name, part in mapping(mapping(request).get("multipart")).items():
            here = (*path, "multipart", name)
            self._template(name, here, place)
            self._template(part, here, place)
            for field in ("text", "filename", "content_type"):
                self._template(mapping(part).get(field), (*here, field), place)
            self._file(mapping(part).get("file"), (*here, "file"), files)
        self._url(mapping(request).get("url"), (*path, "url"))
        self._headers(mapping(mapping(request).get("headers")), (*path, "headers"))
        self._auth(mapping(request).get("auth"), (*path, "auth"))

    def _file(self, file: Any, path: Path, place: Place | None) -> None:
        if file is not None and place is None:
            self._problem(path, "only a submit sends files, in its request or its steps")
        elif place is not None:
            self._template(file, path, place)

    def _auth(self, auth: Any, path: Path) -> None:
        """Check the templates of an auth setting, which see the connection with its password."""
        login, place = mapping(auth).get("login"), places.CREDENTIALS
        if login is not None:
            known = self._steps(login, (*path, "login"), places.LOGIN, places.LATER_ANSWER, ())
            place = places.without(places.knowing(places.LOGIN, known or ()), "request_id")
        for field in _AUTH_FIELDS:
            for where, text in texts_at(mapping(auth).get(field), (*path, field)):
                self._template(text, where, place)
        self._headers(mapping(mapping(auth).get("headers")), (*path, "headers"))

    def _steps(
        self,
        steps: Any,
        path: Path,
        place: Place,
        answer: Place,
        captured: tuple[str, ...] | None = None,
        *,
        send_files: bool = False,
    ) -> tuple[str, ...] | None:
        """Check a list of steps; a capture of one is known in the ones after it.

        :param place: what the requests of the steps see; with ``each``, ``item`` besides.
        :param answer: what the expressions over their answers see.
        :param captured: captures that the first step knows; None: those of the sections.
        :param send_files: whether their requests may, and parts of an upload.
        :returns: captures that are known after the last step; None: which ones the sections make is not
            known.
        """
        known = self._captures if captured is None else captured
        for position, step in enumerate(listed(steps)):
            here, step = (*path, position), mapping(step)
            if known is not None:
                place, answer = places.knowing(place, known), places.knowing(answer, known)
            value, seen = places.without(place, "connection"), place
            each = step.get("each")
            if send_files and isinstance(each, str) and whole_name(each) == "parts":
                self._rendered.add((*here, "each"))
                seen, value = places.with_part(place), places.with_part(value)
            elif each is not None:
                self._each(each, (*here, "each"), value)
                seen, value = places.with_item(place), places.with_item(value)
            request = mapping(step.get("request"))
            files = places.of_files(seen, item=not uses(each, "captures")) if send_files else None
            self._request(request, (*here, "request"), seen, files=files, parts=send_files)
            self._captured(step, here, value, answer)
            self._body_is_read(step, here, (), request, (*here, "request"))
            known = None if known is None else (*known, *mapping(step.get("capture")))
        return known

    def _each(self, each: Any, path: Path, place: Place) -> None:
        if isinstance(each, str) and not is_template(each):
            what = "is not a template of a list; write it as '{{ captures.parts }}' or '{{ inputs.files }}'"
            self._problem(path, f"{shown(each)} {what}")
        self._template(each, path, place)

    def _one_key_each(self, step: Any, path: Path) -> None:
        """Find a header that gives every item of a step the same key: an API would do the first only."""
        if mapping(step).get("each") is None:
            return
        for name, text in mapping(mapping(mapping(step).get("request")).get("headers")).items():
            item = "part" if whole_name(str(mapping(step).get("each"))) == "parts" else "item"
            if isinstance(text, str) and uses(text, "idempotency_key") and not uses(text, item):
                self._problem(
                    (*path, "headers", name),
                    f"{shown(text)} is the same key for each {item}, so that an API does the first only; add "
                    f"what tells the {item}s apart, such as "
                    f"'{{{{ idempotency_key }}}}-{{{{ {item}.number }}}}'",
                )

    def _url(self, url: Any, path: Path) -> None:
        absolute = _SCHEME.match(url.strip()) if isinstance(url, str) else None
        if absolute is None:
            return
        if absolute.group(1).lower() not in ("http", "https", "s3"):
            self._problem(path, f"{shown(url)} has the scheme {absolute.group(1)!r}; valid: http, https, s3")
        if "@" in absolute.group(2):
            self._problem(
                path, "the URL holds credentials, which belong to the Airflow connection; remove them"
            )

    def _headers(self, headers: Mapping[str, Any], path: Path) -> None:
        seen: dict[str, str] = {}
        for name in headers:
            if not is_template(name) and not HEADER_NAME.fullmatch(name):
                self._problem((*path, name), f"{shown(name)} is not the name of a header")
            if name.lower() in seen:
                self._problem(
                    (*path, name), f"the header is given twice, as {seen[name.lower()]!r} and as {name!r}"
                )
            seen.setdefault(name.lower(), name)

    def _rules(self, rules: Any, path: Path, place: Place) -> None:
        for position, rule in enumerate(rules if isinstance(rules, (list, tuple)) else ()):
            when, message = mapping(rule).get("when"), mapping(rule).get("message")
            if isinstance(when, str):
                self._inspected(when, (*path, position, "when"), place, expression=True)
            self._template(message, (*path, position, "message"), place)

    def _extractor(self, value: Any, path: Path, template: Place, answer: Place) -> None:
        extractor = mapping(long_form(value))
        short = isinstance(value, str)
        self._template(extractor.get("template"), path if short else (*path, "template"), template)
        if isinstance(extractor.get("expr"), str):
            self._inspected(extractor["expr"], (*path, "expr"), answer, expression=True)
        self._syntax(check_path, extractor.get("path"), path if short else (*path, "path"))
        self._syntax(check_regex, extractor.get("regex"), (*path, "regex"))
        header = extractor.get("header")
        if isinstance(header, str) and not HEADER_NAME.fullmatch(header):
            self._problem((*path, "header"), f"{shown(header)} is not the name of a header")

    def _refusal(self, rejects: Mapping[str, Any], path: Path) -> None:
        """Check what is read of each refused record."""
        for field in ("key", "index", "reason", "when"):
            self._syntax(check_record_syntax, rejects.get(field), (*path, field))

    def _syntax(self, checked: Callable[[str], None], text: Any, path: Path) -> None:
        if isinstance(text, str):
            try:
                checked(text)
            except DefinitionError as error:
                self._problem(path, error.message)

    # Templates and expressions

    def _template(self, text: Any, path: Path, place: Place) -> None:
        if isinstance(text, str) and is_template(text):
            self._inspected(text, path, place, expression=False)

    def _inspected(self, text: str, path: Path, place: Place, *, expression: bool) -> None:
        self._rendered.add(path)
        try:
            used = inspect(text, expression=expression)
        except DefinitionError as error:
            self._problem(path, error.message)
            return
        for message in self._wrong_names(used, place):
            self._problem(path, f"{shown(text)}: {message}")

    def _wrong_names(self, used: Inspection, place: Place) -> Iterator[str]:
        for name in sorted(used.names):
            if name not in place.names:
                yield places.refusal(name, place)
        for name, member in sorted(used.members):
            if name not in place.names:
                continue
            if name == "inputs" and self._inputs is not None and member not in self._inputs:
                valid = did_you_mean(member, self._inputs, label="Declared")
                yield f"there is no input {member!r}; {valid}"
            if name == "captures":
                yield from self._wrong_capture(member, place)
            if name == "connection":
                yield from self._wrong_field(member, place)

    def _wrong_field(self, name: str, place: Place) -> Iterator[str]:
        if place.of_connection is not None and name not in place.of_connection:
            known = ", ".join(f"connection.{field}" for field in place.of_connection)
            yield (
                f"everybody sees {place.label} in the Airflow UI, and connection.{name} may hold a secret. "
                f"Known there: {known}"
            )
        elif name == "password" and not place.password:
            yield "a template cannot read the password of the connection; it is sent by auth"

    def _wrong_capture(self, name: str, place: Place) -> Iterator[str]:
        known = self._captures if place.captures is None else place.captures
        if known is None or name in known:
            return
        steps = listed(mapping(self._data.get("submit")).get("steps"))
        if place.captures is None and any(name in mapping(mapping(s).get("capture")) for s in steps):
            keep = f"keep it with submit.capture, such as {{{name}: '{{{{ captures.{name} }}}}'}}"
            yield f"{name!r} is captured by a step, and only the submit knows it; {keep}"
            return
        what = "no section" if place.captures is None else "nothing before it"
        yield f"{what} captures {name!r}; {did_you_mean(name, known, label='Captured')}"

    # Captures

    def _captured(self, section: Mapping[str, Any], path: Path, template: Place, answer: Place) -> None:
        captures = mapping(section.get("capture"))
        self._names(captures, (*path, "capture"), "a capture")
        for capture, extractor in captures.items():
            self._extractor(extractor, (*path, "capture", capture), template, answer)

    def _body_is_read(
        self,
        section: Mapping[str, Any],
        path: Path,
        fields: tuple[str, ...],
        request: Mapping[str, Any],
        request_path: Path,
    ) -> None:
        """Find paths into a body that the request, whose answer they read, says not to read."""
        if request.get("response") != "none":
            return
        extractors: dict[Path, Any] = {(field,): section.get(field) for field in fields}
        extractors |= {("capture", key): value for key, value in mapping(section.get("capture")).items()}
        for place, extractor in extractors.items():
            if "path" in mapping(long_form(extractor)):
                none = f"{path_text(request_path)}.response is none"
                self._problem((*path, *place), f"{shown(extractor)} is a path into the body, and {none}")

    def _names(self, named: Any, path: Path, kind: str) -> None:
        for name in mapping(named):
            if not _NAME.fullmatch(name):
                valid = "a name has letters, digits and _, and begins with a letter"
                self._problem((*path, name), f"{shown(name)} cannot name {kind}: {valid}")


def check_path(path: str) -> None:
    """Check a path into a body.

    :raises DefinitionError: it is neither a JMESPath nor a path of XML local names.
    """
    from airflow_asyncjob.definition import paths

    paths.check_path(path)


def check_record_syntax(path: str) -> None:
    """Check a path into a record.

    :raises DefinitionError: it is not one.
    """
    from airflow_asyncjob.definition.paths import check_record_path

    check_record_path(path)


def check_regex(regex: str) -> None:
    """Check a regular expression.

    :raises DefinitionError: it is none.
    """
    try:
        re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        raise DefinitionError(f"{shown(regex)} is not a valid regular expression: {error}") from None
