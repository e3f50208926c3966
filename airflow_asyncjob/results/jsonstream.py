"""A JSON document (RFC 8259) that is larger than memory, walked value by value.

The standard library's decoder reads the values, and tells where each one ends; only the way from one value to
the next is walked here. ijson was measured and not chosen: its C backend crashes the process on a number of
4,301 digits and replaces lone surrogates, and it reads at a fifth of the speed.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from json import JSONDecodeError
from typing import Any

from airflow_asyncjob.errors import FormatError, ResultError, TruncatedError
from airflow_asyncjob.results.jsontext import decoder, explained
from airflow_asyncjob.results.runs import raw_values
from airflow_asyncjob.results.source import RECORD_LIMIT, Body

__all__ = ["JsonStream"]

_BLANKS = " \t\n\r"
_SPACE = re.compile(f"[{_BLANKS}]*")
_STRUCTURE = re.compile(r'["{}\[\]]')
_IN_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
# An escape that may go on: not all digits are here, or the second half of a pair is to come.
_CUT_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*(\\u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}))\Z")
_WORDS = ("true", "false", "null")
_LONGEST_WORD = 16
_CUT_NUMBER = re.compile(r"\.|[eE][+-]?")
_ESCAPE = len(r"\u0000")
_TAIL = 3
"""So many characters must follow a number before it is known to be whole: 1e+ may go on."""
_PIECE = 64 * 1024
_RUN = 512 * 1024
# Where the next object of a list begins, with the name of its first field: mostly the same for all of them.
_NEXT_OBJECT = re.compile(r',[ \t\r\n]*\{[ \t\r\n]*"(?:[^"\\]|\\.)*"[ \t\r\n]*:')
_TRIES = 8
_SHORTEST_PAUSE, _LONGEST_PAUSE = 16, 4096


class JsonStream:
    """A position in a document that moves forward only.

    :param exact: numbers with a fraction as ``Decimal``; else as floats.
    :param pieces: the document as text; None: the body.
    """

    def __init__(self, body: Body, *, exact: bool, pieces: Iterator[str] | None = None) -> None:
        self._body = body
        self._pieces = codecs.iterdecode(body.text(), "utf-8") if pieces is None else pieces
        self._text = ""
        self._at = 0
        self._ended = False
        self._pause = _SHORTEST_PAUSE
        self._paused = 0
        self._found = 0
        self._decode = decoder(exact=exact).raw_decode

    def peek(self) -> str:
        """Return the next character that is no blank, without moving over it; empty at the end."""
        if self._at < len(self._text) and self._text[self._at] not in _BLANKS:
            return self._text[self._at]
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> None:
        """Move over a character that must come now."""
        found = self.peek()
        if not found:
            raise self.cut()
        if found != character:
            raise self.malformed(f"{character!r} was expected and {found!r} came")
        self._at += 1

    def key(self) -> str:
        """Return the name of a field that must come now."""
        found = self.peek()
        if found and found != '"':
            raise self.malformed(f"the name of a field was expected and {found!r} came")
        return str(self.value()[0])

    def value(self) -> tuple[Any, str]:
        """Return the value that must come now, and its text.

        :raises FormatError: it is not JSON, or larger than 32 MiB.
        :raises TruncatedError: it breaks off.
        """
        while True:
            self.peek()
            fault: JSONDecodeError | None = None
            try:
                value, end = self._decode(self._text, self._at)
            except JSONDecodeError as error:
                fault = error
            except RecursionError:
                raise self.malformed("it is nested too deep") from None
            except ValueError as error:
                raise self.malformed(explained(error, self._text[self._at :])) from None
            if fault is None and (end + _TAIL < len(self._text) or self._ended):
                if _CUT_NUMBER.fullmatch(self._text, end):
                    raise self.cut()
                text = self._text[self._at : end]
                self._at = end
                return value, text
            size = len(self._text) - self._at
            if size > RECORD_LIMIT:
                raise self._body.wrong(
                    f"the value after record {self._body.records} is larger than {RECORD_LIMIT // 2**20} MiB",
                    "If a list of records lies within it, set records to its path, such as data.items",
                )
            if fault is not None and self._is_final(fault):
                raise self._final(fault)
            # As much again, so that a large value is tried a few times only.
            self._more(size)

    def several(self) -> tuple[bytes, list[bytes]] | None:
        """Return objects that follow in a list, after a comma that must come now, without moving over them.

        Where the last of them ends is guessed from how the next one begins. Whether it was guessed right is
        certain: up to a wrong place, within an object or a text, brackets or quotes do not match.

        :return: a JSON list of them, and the text of each; None: read the next one by itself.
        """
        if self._paused:
            self._paused -= 1
            return None
        if self.peek() != ",":
            return None
        if len(self._text) - self._at < _RUN:
            self._more(_RUN)
        match = _NEXT_OBJECT.match(self._text, self._at)
        end = len(self._text)
        for _ in range(_TRIES if match is not None else 0):
            end = self._text.rfind(match[0], self._at + 1, end) if match is not None else -1
            if end < 0:
                break
            block = f"[{self._text[self._at + 1 : end]}]".encode("utf-8", "surrogatepass")
            texts = raw_values(block)
            if texts is not None:
                self._pause = _SHORTEST_PAUSE
                self._found = end
                return block, texts
        self.pause()
        return None

    def pause(self) -> None:
        """Look for several no more for a while: trying is only worth its time where it succeeds."""
        self._paused, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)

    def pass_several(self) -> None:
        """Move over the objects that :meth:`several` found."""
        self._at = self._found

    def skip(self) -> None:
        """Move over the value that must come now, whatever its size."""
        opening = self.peek()
        if opening in ("{", "["):
            self.take(opening)
            self.close_all(1)
        else:
            self.value()

    def text_pieces(self) -> Iterator[str]:
        """Move over the string that must come now, and yield what it says, in pieces.

        :raises FormatError: an escape in it is none.
        :raises TruncatedError: it breaks off.
        """
        self.take('"')
        ended = False
        while not ended:
            match = _IN_STRING.match(self._text, self._at)
            assert match is not None
            end = match.end()
            ended = self._text.startswith('"', end)
            if not ended:
                cut = _CUT_ESCAPE.search(self._text, self._at, end)
                end = cut.start(1) if cut else end
            raw = self._text[self._at : end]
            self._at = end + ended
            try:
                yield json.loads(f'"{raw}"')
            except JSONDecodeError as error:
                raise self.malformed(f"{error.msg} in a text") from None
            if not ended and not self._more():
                raise self.cut()

    def close_all(self, depth: int) -> None:
        """Move on to where so many open brackets are closed."""
        while depth:
            match = _STRUCTURE.search(self._text, self._at)
            if match is None:
                self._at = len(self._text)
                if not self._more():
                    raise self.cut()
                continue
            self._at = match.end()
            if match[0] == '"':
                self._end_string()
            else:
                depth += 1 if match[0] in "{[" else -1

    def malformed(self, detail: str) -> FormatError:
        """Return the error for something that is not JSON here."""
        return self._body.wrong(
            f"after record {self._body.records} it is not JSON: {detail}",
            "The whole must be one JSON document; if each line is one, set format: jsonl",
        )

    def _end_string(self) -> None:
        while True:
            match = _IN_STRING.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._text) and self._text[self._at] == '"':
                self._at += 1
                return
            if not self._more():
                raise self.cut()

    def _more(self, size: int = 0) -> bool:
        """Read at least so many characters more, unless the end comes first; what was passed is dropped."""
        pieces = [self._text[self._at :]]
        size = max(size, _PIECE)
        while size > 0:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = True
                break
            pieces.append(piece)
            size -= len(piece)
        self._text, self._at = "".join(pieces), 0
        return len(pieces) > 1

    def _is_final(self, fault: JSONDecodeError) -> bool:
        # A fault close to the end may be a value that is not all here yet; a string is reported at its start.
        near = fault.pos >= len(self._text) - _LONGEST_WORD or fault.msg.startswith("Unterminated")
        return self._ended or not near

    def _final(self, fault: JSONDecodeError) -> ResultError:
        rest = self._text[fault.pos :].strip()
        unfinished = (
            fault.msg.startswith("Unterminated")
            or ("escape" in fault.msg and len(rest) < _ESCAPE)
            or _CUT_NUMBER.fullmatch(rest) is not None
            or any(word.startswith(rest) for word in (*_WORDS, "-"))
        )
        if self._ended and unfinished:
            return self.cut()
        return self.malformed(f"{fault.msg} at {self._text[fault.pos : fault.pos + 40]!r}")

    def cut(self) -> TruncatedError:
        """Return the error for a document that ends here and must not."""
        return self._body.truncated(f"the document breaks off after record {self._body.records}")
