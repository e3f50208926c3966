"""Checking an upload: its templates and paths, and the one request that sends its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_asyncjob.definition import places
from airflow_asyncjob.definition.checker import Checker, check_path, check_record_syntax, listed, mapping
from airflow_asyncjob.definition.problems import Path, shown
from airflow_asyncjob.definition.templates import inspect, is_template, whole_name
from airflow_asyncjob.errors import DefinitionError

__all__ = ["UploadChecker"]


class UploadChecker(Checker):
    """The part of the checker that knows ``submit.upload``."""

    def _upload(self, submit: Mapping[str, Any]) -> None:
        upload, path = mapping(submit.get("upload")), ("submit", "upload")
        if submit.get("upload") is not None:
            self._source(upload.get("source"), (*path, "source"))
            for name, into in mapping(upload.get("fields")).items():
                self._syntax(check_record_syntax, into, (*path, "fields", name))
            self._wrap(upload.get("wrap"), (*path, "wrap"))
            self._envelope(upload.get("envelope"), (*path, "envelope"))
        self._sent_once(submit)

    def _source(self, source: Any, path: Path) -> None:
        self._template(source, path, places.UPLOAD)
        if isinstance(source, str) and not is_template(source):
            said = "is always the same; write a template, such as '{{ inputs.contacts }}'"
            self._problem(path, f"{shown(source)} {said}")

    def _wrap(self, wrap: Any, path: Path) -> None:
        records = 0
        for where, text, is_key in _texts(wrap, path):
            if not is_template(text):
                continue
            self._rendered.add(where)
            name = whole_name(text)
            records += name == "record"
            if where[-1] == "*" and name == "number":
                self._problem(where, "'*' puts fields among the others: its value is '{{ record }}'")
            elif is_key or name not in ("record", "number"):
                said = "here '{{ record }}' and '{{ number }}' are put in, each as a whole value"
                self._problem(where, f"{shown(text)}: {said}")
        if wrap is not None and records != 1:
            self._problem(
                path, f"'{{{{ record }}}}' is there {_times(records)}, and is the value of one field"
            )

    def _envelope(self, envelope: Any, path: Path) -> None:
        records = 0
        for where, text, is_key in _texts(envelope, path):
            if whole_name(text) == "records" and not is_key:
                records += 1
                self._rendered.add(where)
            elif is_template(text) and "records" in _names(text):
                self._rendered.add(where)
                self._problem(where, f"{shown(text)}: '{{{{ records }}}}' is the whole value of one field")
            else:
                self._template(text, where, places.UPLOAD)
        if envelope is not None and records != 1:
            said = f"'{{{{ records }}}}' is there {_times(records)}, and is the value of one field"
            self._problem(path, said)

    def _sent_once(self, submit: Mapping[str, Any]) -> None:
        """Find an upload that nothing sends, or two requests do, and parts where there is no upload."""
        uploads, senders = submit.get("upload") is not None, []
        for path, request, step in self._submit_requests(submit):
            sends, repeated = request.get("part") is True, step is not None and _each_part(step)
            if sends:
                senders.append(path)
            if sends and not uploads:
                self._problem((*path, "part"), "there is nothing to send: give `submit.upload`")
            elif sends and step is not None and not repeated:
                self._problem((*path[:-1], "each"), "a step that sends the parts has each: '{{ parts }}'")
            if repeated and not uploads:
                self._problem((*path[:-1], "each"), "there are no parts: give `submit.upload`")
            if step is not None and step.get("rejects") is not None:
                self._refused(mapping(step["rejects"]), (*path[:-1], "rejects"), sends=sends)
        if uploads and len(senders) != 1:
            said = "no request of the submit sends it: give one of them part: true"
            for path in senders or [("submit", "upload")]:
                self._problem(path, "the parts are sent by one request only" if senders else said)

    def _refused(self, rejects: Mapping[str, Any], path: Path, *, sends: bool) -> None:
        if not sends:
            self._problem(path, "would be ignored: the step sends no records (its request has no part: true)")
        self._syntax(check_path, rejects.get("records"), (*path, "records"))
        self._refusal(rejects, path)

    def _submit_requests(
        self, submit: Mapping[str, Any]
    ) -> Iterator[tuple[Path, Mapping[str, Any], Mapping[str, Any] | None]]:
        yield ("submit", "request"), mapping(submit.get("request")), None
        for position, step in enumerate(listed(submit.get("steps"))):
            path = ("submit", "steps", position, "request")
            yield path, mapping(mapping(step).get("request")), mapping(step)


def _each_part(step: Mapping[str, Any]) -> bool:
    each = step.get("each")
    return isinstance(each, str) and whole_name(each) == "parts"


def _names(text: str) -> frozenset[str]:
    try:
        return inspect(text).names
    except DefinitionError:
        return frozenset()


def _texts(tree: Any, path: Path) -> Iterator[tuple[Path, str, bool]]:
    """Yield every text with its path, and whether it is the key of a mapping."""
    if isinstance(tree, str):
        yield path, tree, False
    elif isinstance(tree, Mapping):
        for key, item in tree.items():
            yield (*path, key), key, True
            yield from _texts(item, (*path, key))
    elif isinstance(tree, (list, tuple)):
        for position, item in enumerate(tree):
            yield from _texts(item, (*path, position))


def _times(count: int) -> str:
    return "nowhere" if not count else f"{count} times"
