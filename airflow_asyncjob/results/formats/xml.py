"""XML: the elements at one path are the records, read as they stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from airflow_asyncjob.definition.document import DEEPEST_XML
from airflow_asyncjob.definition.record_path import xml_levels
from airflow_asyncjob.errors import ResultError
from airflow_asyncjob.results.source import RECORD_LIMIT, Body, Row

__all__ = ["read"]

_ENDS_EARLY = frozenset(
    expat.errors.codes[text]
    for text in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
)


def read(body: Body, path: str) -> Iterator[Row]:
    """Yield the elements at a path, each as the tree that xmltodict makes of it.

    Attributes are ``@name``, text beside attributes or alone in a record is ``#text``, repeated elements are
    a list, names keep their prefix. No element at the path is no records.

    :param path: local names from the root to one record, such as ``/Report/Orders/Order``.
    :raises FormatError: not XML, an empty body, another root, a document type (it could hold entities),
        nested too deep, or a record larger than 32 MiB.
    :raises TruncatedError: the document breaks off.
    """
    reader = _Reader(body, xml_levels(path))
    for chunk in body.chunks() if body.encoding is None else body.text():
        yield from reader.feed(chunk)
    yield from reader.finish()


class _Reader:
    def __init__(self, body: Body, path: tuple[str, ...]) -> None:
        self._body = body
        self._path = path
        self._matching = 0
        self._depth = 0
        self._trees: list[tuple[Any, list[str]]] = []
        self._begun = 0
        self._size = 0
        self._found: list[Any] = []
        # What was decoded already is UTF-8, whatever the document says of itself.
        self._parser = expat.ParserCreate(None if body.encoding is None else "utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, data: bytes) -> Iterator[Row]:
        self._size += len(data)
        try:
            self._parser.Parse(data, False)
        except expat.ExpatError as error:
            raise self._malformed(error) from None
        yield from self._rows()
        # An element that never ends grows in the tree, a tag or a comment that never ends in the parser.
        begun = self._begun if self._trees else max(self._parser.CurrentByteIndex, 0)
        if self._size - begun > RECORD_LIMIT:
            raise self._body.wrong(
                f"what follows record {self._body.records} is larger than {RECORD_LIMIT // 2**20} MiB",
                "Set records to the path of one record, such as /Report/Orders/Order",
            )

    def finish(self) -> Iterator[Row]:
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            if not self._body.head.strip():
                raise self._body.wrong(
                    "the body is empty",
                    "If that means that there are no data, map the job's status to no_data in the definition",
                ) from None
            if error.code in _ENDS_EARLY:
                raise self._body.truncated(
                    f"the document breaks off after record {self._body.records}"
                ) from None
            raise self._malformed(error) from None
        yield from self._rows()

    def _rows(self) -> Iterator[Row]:
        found, self._found = self._found, []
        for value in found:
            self._body.records += 1
            yield value, None

    def _malformed(self, error: expat.ExpatError) -> ResultError:
        return self._body.wrong(
            f"after record {self._body.records + len(self._found)} it is not XML: {error}",
            "If the text is in another encoding than it says, set encoding",
        )

    # Handlers of the parser: they see one token each, and an element above the records is only counted.

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST_XML:
            raise self._body.wrong(
                f"it is nested more than {DEEPEST_XML} elements deep", "Set format: raw to keep the bytes"
            )
        if self._trees:
            self._push(attributes)
            return
        local = name.rpartition(":")[2]
        if self._matching == self._depth - 1 and local == self._path[self._matching]:
            self._matching += 1
            if self._matching == len(self._path):
                self._begun = self._parser.CurrentByteIndex
                self._push(attributes)
        elif self._depth == 1:
            raise self._body.wrong(
                f"its root is {local}, and records begins with /{self._path[0]}",
                "It may be the API's error in place of a result; else correct records",
            )

    def _push(self, attributes: dict[str, str]) -> None:
        self._trees.append(({f"@{name}": value for name, value in attributes.items()} or None, []))

    def _text(self, text: str) -> None:
        if self._trees:
            self._trees[-1][1].append(text)

    def _end(self, name: str) -> None:
        if self._trees:
            tree, texts = self._trees.pop()
            text = "".join(texts).strip() or None
            if tree is not None and text is not None:
                tree["#text"] = text
            value = text if tree is None else tree
            if self._trees:
                parent, parts = self._trees[-1]
                self._trees[-1] = (_with(parent, name, value), parts)
            else:
                self._found.append({"#text": value} if isinstance(value, str) else value or {})
        if self._matching == self._depth:
            self._matching -= 1
        self._depth -= 1

    def _doctype(self, *_: Any) -> None:
        raise self._body.wrong(
            "it has a document type (DOCTYPE), which is refused: it can hold entities",
            "Have the API send it without, or set format: raw to keep the bytes",
        )


def _with(tree: dict[str, Any] | None, name: str, value: Any) -> dict[str, Any]:
    tree = {} if tree is None else tree
    if name not in tree:
        tree[name] = value
    elif isinstance(tree[name], list):
        tree[name].append(value)
    else:
        tree[name] = [tree[name], value]
    return tree
