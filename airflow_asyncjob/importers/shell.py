"""Shell words: pasted text as commands, each a list of words with the line on which it starts.

``shlex`` knows neither ``$'...'`` (browsers copy bodies so) nor line ends nor line numbers, and takes the
``#`` of a URL for a comment. This reads what people paste: prompts, comments, continuations with blanks
behind the backslash, pipes. Nothing is expanded: ``$NAME`` and ``$(command)`` stay as they are written.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from airflow_asyncjob.errors import DefinitionError

__all__ = ["ShellCommand", "split_commands"]

_CONTINUATION = re.compile(r"\\[ \t]*\r?\n")
_BLANK = re.compile(r"[ \t\r]+")
_COMMENT = re.compile(r"#[^\n]*")
_REDIRECTION = re.compile(r"(?:\d|&)?(?:>>|>|<)(?:&\d)?")
_SEPARATOR = re.compile(r"\n|;|&&|\|\||\||&")
_SINGLE = re.compile(r"'([^']*)'")
_ANSI = re.compile(r"\$'((?:\\.|[^'\\])*)'", re.DOTALL)
_DOUBLE = re.compile(r'\$?"((?:\\.|[^"\\])*)"', re.DOTALL)
_SUBSTITUTION = re.compile(r"\$\([^()\n]*\)|`[^`\n]*`")
_PLAIN = re.compile(r"[^\s'\"\\;|&`$]+|\$")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_DOUBLE_ESCAPE = re.compile(r'\\(?:\r?\n|(["\\$`]))')
_PROMPT = re.compile(r"^[ \t]*(?:\$|%|>)[ \t]+", re.MULTILINE)


@dataclass(frozen=True)
class ShellCommand:
    """One simple command.

    :param words: its words, quotes removed; redirections are dropped.
    :param line: line on which it starts, from 1.
    :param piped: whether it reads the output of the command before it.
    """

    words: tuple[str, ...]
    line: int
    piped: bool = False


def split_commands(text: str) -> list[ShellCommand]:
    """Return the commands of a text, in order.

    :raises DefinitionError: a quote that is not closed, or text copied for the Windows command line.
    """
    if re.search(r"\bcurl(\.exe)?\b[^\n]*\^[ \t]*\r?$", text, re.MULTILINE):
        raise DefinitionError(
            "This is a curl command for the Windows command line (it continues lines with ^). "
            "Copy it as cURL (bash) instead."
        )
    return _Scanner(_PROMPT.sub(lambda match: " " * len(match.group()), text)).commands()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.done: list[ShellCommand] = []
        self.words: list[str] = []
        self.line = 1
        self.piped = False

    def commands(self) -> list[ShellCommand]:
        while self.at < len(self.text):
            if self._skip(_CONTINUATION) or self._skip(_BLANK) or self._skip(_COMMENT):
                continue
            if found := _REDIRECTION.match(self.text, self.at):
                self.at = found.end()
                if "&" not in found.group():
                    self._skip(_BLANK)
                    self._word()
            elif found := _SEPARATOR.match(self.text, self.at):
                self._end(found.group())
                self.at = found.end()
            else:
                if not self.words:
                    self.line = self._line()
                self.words.append(self._word())
        self._end("\n")
        return self.done

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found is not None

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _end(self, separator: str) -> None:
        if self.words:
            self.done.append(ShellCommand(tuple(self.words), self.line, self.piped))
            self.words = []
            self.piped = separator == "|"
        elif separator != "\n":
            self.piped = False

    def _word(self) -> str:
        pieces: list[str] = []
        while self.at < len(self.text) and not _CONTINUATION.match(self.text, self.at):
            piece = self._piece(inside=bool(pieces))
            if piece is None:
                break
            pieces.append(piece)
        return "".join(pieces)

    def _piece(self, *, inside: bool) -> str | None:
        """Return the next piece of a word, unquoted; None at its end."""
        text, at = self.text, self.at
        for pattern in (_ANSI, _SINGLE, _DOUBLE, _SUBSTITUTION, _ESCAPE, _PLAIN):
            found = pattern.match(text, at)
            if not found:
                continue
            self.at = found.end()
            if pattern is _ANSI:
                return _unescape_ansi(found.group(1))
            if pattern is _DOUBLE:
                return _DOUBLE_ESCAPE.sub(lambda escape: escape.group(1) or "", found.group(1))
            return found.group(1) if pattern in (_SINGLE, _ESCAPE) else found.group()
        if text[at] in "'\"`":
            raise DefinitionError(
                f"line {self._line()}: the quote {text[at]} is not closed, so the commands cannot be read"
            )
        # A URL that should have been quoted: people mean the whole of it.
        if inside and text[at] == "&" and re.match(r"&[^\s&]", text[at : at + 2]):
            self.at += 1
            return "&"
        return None


def _unescape_ansi(text: str) -> str:
    """Return the meaning of what stands between ``$'`` and ``'`` (bash: ANSI-C quoting)."""
    escaped = text.replace("\\e", "\\x1b").encode("ascii", "backslashreplace")
    try:
        return codecs.decode(escaped, "unicode_escape")
    except UnicodeDecodeError as error:
        raise DefinitionError(f"an escape in $'...' cannot be read: {error.reason}") from None
