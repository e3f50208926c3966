"""Pasted shell text as commands."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.importers.shell import split_commands


def words(text: str) -> list[tuple[str, ...]]:
    return [command.words for command in split_commands(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("curl a\ncurl b", [("curl", "a"), ("curl", "b")]),
        ("curl a && curl b; curl c", [("curl", "a"), ("curl", "b"), ("curl", "c")]),
        ("curl \\\n  -X POST \\  \r\n  a", [("curl", "-X", "POST", "a")]),
        ("$ curl a\n% curl b", [("curl", "a"), ("curl", "b")]),
        ("# submit\ncurl a # here", [("curl", "a")]),
        ("curl a#top", [("curl", "a#top")]),
        ("curl 'a b' \"c d\" e\\ f", [("curl", "a b", "c d", "e f")]),
        ("curl 'it'\\''s'", [("curl", "it's")]),
        (r'curl "a \"b\" \\ \$c \n"', [("curl", 'a "b" \\ $c \\n')]),
        ("curl '{\"a\":\n 1}'", [("curl", '{"a":\n 1}')]),
        (r"curl $'it\'s\n\u0021 é'", [("curl", "it's\n! é")]),
        ("curl ''", [("curl", "")]),
        ("curl https://a/b?x=1&y=2 -s", [("curl", "https://a/b?x=1&y=2", "-s")]),
        ("curl a > out.json 2>/dev/null", [("curl", "a")]),
        ("curl a 2>&1", [("curl", "a")]),
        ('curl "$(cat key) $HOME" $(date +%F)', [("curl", "$(cat key) $HOME", "$(date +%F)")]),
        ("curl https://a/jobs/<job_id>/x", [("curl", "https://a/jobs/<job_id>/x")]),
        ("", []),
    ],
)
def test_text_becomes_words(text: str, expected: list[tuple[str, ...]]) -> None:
    assert words(text) == expected


def test_a_command_knows_its_line_and_whether_it_is_fed() -> None:
    commands = split_commands("# one\n\ncurl a \\\n -s | jq .id\ncurl b")
    assert [(command.words[0], command.line, command.piped) for command in commands] == [
        ("curl", 3, False),
        ("jq", 4, True),
        ("curl", 5, False),
    ]


@pytest.mark.parametrize("text", ["curl 'a", 'curl "a', "curl a\ncurl `a"])
def test_an_open_quote_is_named_with_its_line(text: str) -> None:
    with pytest.raises(DefinitionError, match=rf"line {text.count(chr(10)) + 1}: the quote . is not closed"):
        split_commands(text)


def test_a_windows_command_is_refused_with_advice() -> None:
    with pytest.raises(DefinitionError, match=r"Copy it as cURL \(bash\)"):
        split_commands('curl "https://a/b" ^\n  -H "x: y"')


@given(st.lists(st.text(min_size=0, max_size=20), min_size=1, max_size=5))
def test_whatever_a_shell_would_need_quoted_comes_back(values: list[str]) -> None:
    values = [value.replace("\0", "").replace("\r", "") for value in values]
    text = "curl " + " ".join(shlex.quote(value) for value in values)
    # A prompt sign and a continuation inside quotes are read as what they nearly always are.
    assume("\\" not in text)
    assume(not any(line.lstrip(" \t")[:1] in ("$", "%", ">") for line in text.split("\n")[1:]))
    assert words(text) == [("curl", *values)]
