"""Checking: everything in a definition that a schema cannot tell: templates, expressions, paths, names.

It reads the plain data, not the models, so that it finds its mistakes also where the schema finds others.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from airflow_asyncjob.definition import places
from airflow_asyncjob.definition.check_upload import UploadChecker
from airflow_asyncjob.definition.checker import (
    check_record_syntax,
    check_regex,
    listed,
    mapping,
    texts_at,
    uses,
)
from airflow_asyncjob.definition.models.extractor import long_form
from airflow_asyncjob.definition.models.joblist import LISTED
from airflow_asyncjob.definition.models.records import RECORD_FORMATS
from airflow_asyncjob.definition.places import Place
from airflow_asyncjob.definition.problems import Path, Problem, kind_of, path_text, shown
from airflow_asyncjob.definition.templates import is_template
from airflow_asyncjob.definition.values import PLAIN, not_plain

__all__ = ["DEEPEST", "check", "check_complete", "shape_problems"]

DEEPEST = 60
"""Levels of a definition."""

_READ_IN_THE_ANSWER = ("path", "message", "progress", "expires_at")
_ANSWERS = {"submit": places.FIRST_ANSWER, "list": places.LIST_ANSWER}


def check(data: Mapping[str, Any]) -> list[Problem]:
    """Return the mistakes in templates, expressions, paths and names of a definition.

    A definition without an ``inputs`` section, or without ``submit``, is part of a whole: which inputs or
    captures there are is not known then, and not checked.

    :param data: plain values, as a file gives them; they may be wrong in any way.
    """
    checker = _Sections(data)
    checker.sections()
    return checker.found


def check_complete(data: Mapping[str, Any]) -> list[Problem]:
    """Return what a definition lacks to carry a job from the submit to the result."""
    found = []
    for section, does in (("submit", "creates the job"), ("status", "asks how the job is doing")):
        if data.get(section) is None:
            found.append(Problem((section,), f"required: the section that {does}"))
    result = data.get("result")
    if isinstance(result, Mapping) and result.get("target") is None and result.get("from") is None:
        request = result.get("request")
        if request is None and result.get("steps") is None and result.get("rejects") is None:
            said = (
                "give `target` (where the last status answer says that the result lies), `request`, or "
                "from: status (the status answer is the result); an import has `rejects` alone"
            )
            found.append(Problem(("result",), said))
        elif uses(request, "download_target"):
            found.append(Problem(("result", "target"), "required: `request` uses download_target"))
    return found


class _Sections(UploadChecker):
    def sections(self) -> None:
        data = self._data
        self._names(data.get("inputs"), ("inputs",), "an input")
        self._submit(mapping(data.get("submit")))
        self._status(mapping(data.get("status")))
        self._result(mapping(data.get("result")))
        self._list(mapping(data.get("list")))
        for section in ("cancel", "delete"):
            self._request(data.get(section), (section,), places.LATER_REQUEST)
        self._auth(data.get("auth"), ("auth",))
        self._template(data.get("link"), ("link",), places.LINK)
        for section, rules in mapping(data.get("errors")).items():
            self._rules(rules, ("errors", section), _ANSWERS.get(section, places.LATER_ANSWER))
        self._never_rendered()

    def _never_rendered(self) -> None:
        """Find templates in fields where they would stay as they are."""
        done = self._rendered | {problem.path for problem in self.found}
        for path, text in texts_at(self._data, ()):
            if is_template(text) and path not in done and path[-1] != "description":
                where = "requests, IDs, captures, targets, messages and the link are"
                self._problem(path, f"{shown(text)} is a template, and this field is not rendered: {where}")

    # Sections

    def _submit(self, submit: Mapping[str, Any]) -> None:
        template, answer = places.SUBMIT_CAPTURE, places.FIRST_ANSWER
        known: tuple[str, ...] = ()
        place = places.SUBMIT_REQUEST
        if submit.get("upload") is not None:
            place = places.with_upload(place)
        if mapping(self._data.get("status")).get("webhook") is not None:
            place = places.with_callback(place)
        self._upload(submit)
        files, request = places.of_files(place), mapping(submit.get("request"))
        seen = places.with_part(place) if request.get("part") is True else place
        self._request(request, ("submit", "request"), seen, files=files, parts=True)
        if submit.get("steps") is not None:
            path, answer = ("submit", "steps"), places.LATER_ANSWER
            known = self._steps(submit["steps"], path, place, answer, (), send_files=True) or ()
            template, answer = places.knowing(template, known), places.knowing(answer, known)
            for position, step in enumerate(listed(submit["steps"])):
                self._one_key_each(step, (*path, position, "request"))
        self._captured(submit, ("submit",), template, answer)
        requests = [request, *(mapping(step).get("request") for step in listed(submit.get("steps")))]
        if submit.get("idempotency") is True and not any(uses(one, "idempotency_key") for one in requests):
            said = "no request of the submit has {{ idempotency_key }}, by which the API could know it again"
            self._problem(("submit", "idempotency"), said)
        known = (*known, *mapping(submit.get("capture")))
        template, answer = (places.knowing(p, known) for p in (places.SUBMIT_ID, places.LATER_ANSWER))
        self._extractor(submit.get("id"), ("submit", "id"), template, answer)
        self._body_is_read(submit, ("submit",), ("id",), *self._last_of_submit())

    def _last_of_submit(self) -> tuple[Mapping[str, Any], Path]:
        """Return the request whose answer accepts the job, and where it stands."""
        submit = mapping(self._data.get("submit"))
        steps = listed(submit.get("steps"))
        if not steps:
            return mapping(submit.get("request")), ("submit", "request")
        return mapping(mapping(steps[-1]).get("request")), ("submit", "steps", len(steps) - 1, "request")

    def _status(self, status: Mapping[str, Any]) -> None:
        self._request(status.get("request"), ("status", "request"), places.LATER_REQUEST)
        for field in _READ_IN_THE_ANSWER:
            self._read(status.get(field), ("status", field))
        log = mapping(status.get("log"))
        self._request(log.get("request"), ("status", "log", "request"), places.LATER_REQUEST)
        self._read(log.get("path"), ("status", "log", "path"))
        self._captured(status, ("status",), places.LATER_VALUE, places.LATER_ANSWER)
        self._rules(status.get("rules"), ("status", "rules"), places.LATER_ANSWER)
        request = mapping(status.get("request"))
        self._body_is_read(status, ("status",), _READ_IN_THE_ANSWER, request, ("status", "request"))
        self._webhook(mapping(status.get("webhook")))
        if status.get("from") == "submit":
            self._body_is_read(status, ("status",), _READ_IN_THE_ANSWER, *self._last_of_submit())

    def _webhook(self, webhook: Mapping[str, Any]) -> None:
        """Check what is read of an event, and that each event can be told to be the API's."""
        here = ("status", "webhook")
        self._read(webhook.get("id"), (*here, "id"), places.EVENT)
        if mapping(long_form(webhook.get("id"))).get("code"):
            self._problem((*here, "id"), "code is that of an answer, and an event has none; give a path")
        if isinstance(webhook.get("when"), str):
            self._inspected(webhook["when"], (*here, "when"), places.EVENT, expression=True)
        auth = mapping(webhook.get("auth"))
        for field in ("header", "timestamp"):
            self._syntax(check_regex, mapping(auth.get(field)).get("regex"), (*here, "auth", field, "regex"))
        signed = auth.get("signed")
        self._template(signed, (*here, "auth", "signed"), places.SIGNED)
        for name in ("body", "timestamp"):
            if not uses(signed or "{{ body }}", name) and (name == "body" or auth.get("timestamp")):
                said = f"{{{{ {name} }}}} is not in it, so that anybody could change the {name}"
                self._problem((*here, "auth", "signed"), said)
        if webhook and "submit" in self._data and not uses(self._data["submit"], "callback_url"):
            for field, what in (("id", "which job an event is about"), ("auth", "that the API sent it")):
                if webhook.get(field) is None:
                    said = f"required: {what}, since `submit` does not send {{{{ callback_url }}}}"
                    self._problem((*here, field), said)

    def _read(self, extractor: Any, path: Path, answer: Place = places.LATER_ANSWER) -> None:
        """Check an extractor that has to read something of the answer."""
        template = mapping(long_form(extractor)).get("template")
        if template is not None:
            self._problem(
                path,
                f"{shown(template)} is a template, which reads nothing of the answer; give a path, "
                "or header, code or expr",
            )
            return
        self._extractor(extractor, path, places.LATER_VALUE, answer)

    def _result(self, result: Mapping[str, Any]) -> None:
        self._fetched(result, ("result",))
        for name, path in mapping(result.get("select")).items():
            self._syntax(check_record_syntax, path, ("result", "select", name))
        rejects, here = mapping(result.get("rejects")), ("result", "rejects")
        self._fetched({"format": "json", **rejects}, here)
        if rejects.get("target") is None and uses(rejects.get("request"), "download_target"):
            self._problem((*here, "target"), "required: `request` uses download_target")
        self._refusal(rejects, here)

    def _fetched(self, result: Mapping[str, Any], here: Path) -> None:
        """Check what is asked for when the job has ended: its result, or its rejects."""
        steps, path = listed(result.get("steps")), (*here, "steps")
        known = self._steps(steps, path, places.LATER_REQUEST, places.LATER_ANSWER)
        page = places.DOWNLOAD if result.get("paginate") is None else places.PAGE
        seen = [page, places.LATER_VALUE, places.LATER_ANSWER]
        if known is not None:
            seen = [places.knowing(place, known) for place in seen]
        self._request(result.get("request"), (*here, "request"), seen[0])
        self._extractor(result.get("target"), (*here, "target"), *seen[1:])
        if steps:
            last, asked = len(steps) - 1, mapping(mapping(steps[-1]).get("request"))
            target = {"target": result.get("target")}
            self._body_is_read(target, here, ("target",), asked, (*path, last, "request"))
        if result.get("paginate") is not None:
            self._paginate(result, mapping(result["paginate"]), here)

    def _paginate(self, result: Mapping[str, Any], paginate: Mapping[str, Any], section: Path) -> None:
        here, request, follows = (*section, "paginate"), result.get("request"), paginate.get("next")
        asked = path_text((*section, "request"))
        self._extractor(follows, (*here, "next"), places.LATER_VALUE, places.PAGE_ANSWER)
        if mapping(request).get("response") == "none" and "path" in mapping(long_form(follows)):
            said = f"{shown(follows)} is a path into the body, and {asked}.response is none"
            self._problem((*here, "next"), said)
        if follows is None and uses(request, "next"):
            said = f"required: {asked} uses next, and nothing says where a page names it"
            self._problem((*here, "next"), said)
        elif follows is None and not (uses(request, "page") or uses(request, "offset")):
            self._problem(
                here,
                f"nothing says what the next page is: give `next` (where a page names it), or let {asked} "
                "use {{ page }} or {{ offset }}, such as params: {page: '{{ page }}'}",
            )
        elif result.get("format", "raw") == "raw" and (follows is None or uses(request, "offset")):
            self._problem(
                here,
                "records are counted, and `format` is raw, which has none; set it to one of: "
                f"{', '.join(RECORD_FORMATS)}",
            )

    def _list(self, section: Mapping[str, Any]) -> None:
        place = places.LIST_REQUEST if section.get("paginate") is None else places.LIST_PAGE
        self._request(section.get("request"), ("list", "request"), place)
        follows = mapping(section.get("paginate")).get("next")
        for field in ("records", *LISTED):
            self._read(section.get(field), ("list", field), places.LIST_ANSWER)
        self._read(follows, ("list", "paginate", "next"), places.LIST_ANSWER)
        if (
            place is places.LIST_PAGE
            and follows is None
            and not any(uses(section.get("request"), name) for name in ("page", "offset"))
        ):
            self._problem(
                ("list", "paginate"),
                "nothing says what the next page is: give `next` (where a page names it), or let "
                "list.request use {{ page }} or {{ offset }}",
            )


def shape_problems(value: Any, path: Path = ()) -> Iterator[Problem]:
    """Yield a problem for each key that is not text, each value that JSON cannot hold, and too much depth."""
    if isinstance(value, (Mapping, list, tuple)) and len(path) > DEEPEST:
        yield Problem(path[:5], f"nested more than {DEEPEST} levels deep", final=True)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            where = (*path, str(key))
            if not isinstance(key, str):
                said = f"{shown(key)} is {kind_of(key)}, and a key is text; write it in quotes"
                yield Problem(where, said, final=True)
            yield from shape_problems(item, where)
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            yield from shape_problems(item, (*path, position))
    elif not isinstance(value, (*PLAIN, datetime.timedelta, BaseModel)):
        yield Problem(path, not_plain(value), final=True)
