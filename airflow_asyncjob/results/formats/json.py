"""JSON: one document that is, or holds, a list of records."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_asyncjob.definition.record_path import Level, json_levels
from airflow_asyncjob.errors import FormatError
from airflow_asyncjob.results.jsonstream import JsonStream
from airflow_asyncjob.results.runs import Run, decoded, one_by_one
from airflow_asyncjob.results.source import Body, Row

__all__ = ["read", "read_runs"]

_KINDS = {
    "[": "a list",
    "{": "an object",
    '"': "a text",
    "t": "true",
    "f": "false",
    "n": "null",
}


def read(body: Body, path: str | None, *, exact: bool = True) -> Iterator[Row]:
    """Yield the records that lie at a path, one at a time: those of a list, or the one object that is there.

    A record keeps its own text when that is on one line. What is not read is only checked for its brackets.

    :param path: see :func:`~airflow_asyncjob.definition.record_path.json_levels`; None: the document itself.
        A null at the path is no records; nor is a field that some elements of ``[*]`` lack.
    :param exact: numbers with a fraction as ``Decimal``; else as floats.
    :raises FormatError: not JSON, an empty body, nothing or no records at the path, or a record larger than
        32 MiB.
    :raises TruncatedError: the document breaks off.
    """
    return one_by_one(read_runs(body, path, exact=exact), body)


def read_runs(body: Body, path: str | None, *, exact: bool, rough: bool = False) -> Iterator[Run]:
    """Yield the records in runs; see :func:`read`. The caller counts them.

    :param rough: numbers with a fraction may be floats, where these hold them; the text is at hand anyway.
    """
    stream = JsonStream(body, exact=exact)
    if not stream.peek():
        raise body.wrong(
            "the body is empty",
            "If that means that there are no data, map the job's status to no_data in the definition",
        )
    walk = _Walk(body, json_levels(path) if path else (), exact=exact, rough=rough)
    yield from walk.runs(stream, 0)
    walk.check()
    _end(stream)


class _Walk:
    """The way from the top of a document down to its records, and back."""

    def __init__(self, body: Body, levels: tuple[Level, ...], *, exact: bool, rough: bool) -> None:
        self._body = body
        self._levels = levels
        self._exact = exact
        self._rough = rough
        self._missing: FormatError | None = None
        self._arrived = False

    def runs(self, stream: JsonStream, at: int) -> Iterator[Run]:
        """Yield the records of the value that must come now, and move over it.

        :param at: how many levels lie above it.
        """
        if not stream.peek():
            raise stream.cut()
        if at == len(self._levels):
            self._arrived = True
            yield from self._here(stream)
        elif self._levels[at].kind == "name":
            yield from self._below_name(stream, at)
        elif self._levels[at].kind == "each":
            yield from self._below_each(stream, at)
        else:
            yield from self._within_text(stream, at)

    def check(self) -> None:
        """Look back: somewhere the whole path must have been there.

        :raises FormatError: it was nowhere.
        """
        if self._missing is not None and not self._arrived:
            raise self._missing

    def _here(self, stream: JsonStream) -> Iterator[Run]:
        if stream.peek() == "[":
            for _ in _elements(stream, "]"):
                yield self._record(stream)
                yield from self._many(stream)
        elif stream.peek() == "{":
            yield self._record(stream)
        elif stream.peek() == "n":
            stream.value()
        else:
            raise self._elsewhere(len(self._levels), f"is {_kind(stream)}, not a list of records or a record")

    def _record(self, stream: JsonStream) -> Run:
        value, text = stream.value()
        raw = text.encode("utf-8", "surrogatepass")
        return Run([value], b"[" + raw + b"]", [_on_one_line(raw)])

    def _many(self, stream: JsonStream) -> Iterator[Run]:
        """Yield the elements that follow the one that was just read, as far as they come fast."""
        while (found := stream.several()) is not None:
            block, texts = found
            values = decoded(block, exact=self._exact and not self._rough)
            if values is None:
                stream.pause()
                return
            stream.pass_several()
            yield Run(values, block, list(map(_on_one_line, texts)))

    def _below_name(self, stream: JsonStream, at: int) -> Iterator[Run]:
        name = self._levels[at].name
        some = any(level.kind == "each" for level in self._levels[:at])
        if some and stream.peek() == "n":
            stream.value()
            return
        if stream.peek() != "{":
            raise self._elsewhere(at, f"is {_kind(stream)}, not an object with the field {name}")
        others: list[str] = []
        stream.take("{")
        while stream.peek() != "}":
            if others:
                stream.take(",")
            key = stream.key()
            stream.take(":")
            if key == name:
                yield from self.runs(stream, at + 1)
                stream.close_all(1)
                return
            others.append(key)
            stream.skip()
        stream.take("}")
        said = ", ".join(others[:20]) or "none"
        self._missing = self._elsewhere(at, f"has no field {name}; its fields are: {said}")
        if not some:
            raise self._missing

    def _below_each(self, stream: JsonStream, at: int) -> Iterator[Run]:
        if stream.peek() == "n":
            stream.value()
        elif stream.peek() == "[":
            for _ in _elements(stream, "]"):
                yield from self.runs(stream, at + 1)
        elif stream.peek() == "{":
            for _ in _elements(stream, "}"):
                stream.key()
                stream.take(":")
                yield from self.runs(stream, at + 1)
        else:
            raise self._elsewhere(at, f"is {_kind(stream)}, not a list or an object")

    def _within_text(self, stream: JsonStream, at: int) -> Iterator[Run]:
        if stream.peek() == "n":
            stream.value()
            return
        if stream.peek() != '"':
            raise self._elsewhere(at, f"is {_kind(stream)}, not a text that holds JSON")
        inner = JsonStream(self._body, exact=self._exact, pieces=stream.text_pieces())
        if not inner.peek():
            raise self._elsewhere(at, "is an empty text, not one that holds JSON")
        yield from self.runs(inner, at + 1)
        _end(inner)

    def _elsewhere(self, at: int, what: str) -> FormatError:
        return self._body.wrong(
            f"{_called(self._levels[:at])} {what}", "Set records to the path of the list, such as data.items"
        )


def _elements(stream: JsonStream, closing: str) -> Iterator[None]:
    """Move from element to element; whoever asked reads each."""
    stream.take("[" if closing == "]" else "{")
    if stream.peek() != closing:
        while True:
            yield
            if stream.peek() != ",":
                break
            stream.take(",")
    stream.take(closing)


def _on_one_line(text: bytes) -> bytes | None:
    return None if b"\n" in text or b"\r" in text else text


def _end(stream: JsonStream) -> None:
    if stream.peek():
        raise stream.malformed("after the document there is more")


def _called(levels: tuple[Level, ...]) -> str:
    text = ""
    for level in levels:
        if level.kind == "name":
            text += f".{level.name}" if text and not text.endswith("| ") else level.name
        else:
            text += "[*]" if level.kind == "each" else " | fromjson | "
    return text.removesuffix(" | ") or "the document"


def _kind(stream: JsonStream) -> str:
    return _KINDS.get(stream.peek(), "a number")
