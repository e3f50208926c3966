"""YAML 1.2 and JSON files: what plain words mean, where things stand, and what is refused."""

from __future__ import annotations

import pytest

from airflow_asyncjob.definition.yaml12 import LARGEST_FILE, MOST_VALUES, read_json, read_yaml
from airflow_asyncjob.errors import DefinitionError


def yaml(text: str | bytes) -> object:
    return read_yaml(text if isinstance(text, bytes) else text.encode(), "job.yaml").data


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1", 1),
        ("-7", -7),
        ("+1", 1),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.0", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("12345678901234567890", 12345678901234567890),
        ('"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
    ],
)
def test_a_plain_word_means_what_the_core_schema_says(written: str, meant: object) -> None:
    data = yaml(f"a: {written}")
    assert data == {"a": meant}
    assert type(data["a"]) is type(meant)  # type: ignore[index]


def test_every_value_knows_its_line() -> None:
    loaded = read_yaml(b"a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n", "job.yaml")
    assert loaded.lines[("a", "b")] == 2
    assert loaded.lines[("a", "c", 1)] == 5
    assert loaded.lines[("a", "c", 1, "d")] == 5


def test_an_alias_is_the_value_that_its_anchor_names() -> None:
    assert yaml("a: &x [1, {b: 2}]\nc: *x") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b""])
def test_a_byte_order_mark_is_no_part_of_the_first_key(head: bytes) -> None:
    assert yaml(head + b"a: 1") == {"a": 1}


def test_utf_16_is_read_by_its_mark() -> None:
    assert yaml("a: \N{SNOWMAN}".encode("utf-16")) == {"a": "\N{SNOWMAN}"}


REFUSED = {
    "a key twice": ("a: 1\nb: 2\na: 3", "job.yaml:3: the key 'a' is given twice"),
    "an open bracket": ("a: [1,\n", "job.yaml:2: not valid YAML"),
    "a colon too many": ("a: b: c", "job.yaml:1: not valid YAML: mapping values are not allowed here"),
    "a tab": ("a:\n\tb: 1", "job.yaml:2: not valid YAML"),
    "two documents": ("a: 1\n---\nb: 2", "job.yaml:2: not valid YAML: expected a single document"),
    "empty": ("", "job.yaml: the file is empty"),
    "a comment only": ("# nothing\n", "job.yaml: the file is empty"),
    "a Python tag": (
        "a: !!python/object/apply:os.system [x]",
        "job.yaml:1: the tag 'tag:yaml.org,2002:python",
    ),
    "a tag of its own": ("\na: !secret x", "job.yaml:2: the tag '!secret' is not supported"),
    "a tag on a mapping": ("a: !x {b: 1}", "job.yaml:1: the tag '!x' is not supported"),
    "a merge key": ("a: &a {b: 1}\nc:\n  <<: *a", "job.yaml:3: merge keys (<<) are not part of YAML 1.2"),
    "a list as key": ("? [1]\n: 2", "job.yaml:1: a key is text"),
    "an unknown alias": ("a: *x", "job.yaml:1: not valid YAML: found undefined alias 'x'"),
    "an alias to itself": ("a: &x [*x]", "job.yaml:1: an alias leads to a value that holds it"),
    "a NUL": ("a: \x00", "job.yaml: not valid YAML"),
    "half a character": ('a: "\\ud83d"', "job.yaml:1: an escape stands for half a character"),
    "depth": ("a: " + "[" * 100 + "]" * 100, "job.yaml:1: not valid YAML: nested more than 60 levels deep"),
    "brackets without end": ("[" * 20_000, "job.yaml:1: not valid YAML: nested more than 60 levels deep"),
    "braces without end": ("{a: " * 20_000, "job.yaml:1: not valid YAML: nested more than 60 levels deep"),
    "dashes without end": ("- " * 20_000, "job.yaml: not valid YAML: nested more than 60 levels deep"),
    "depth by lines": (
        "\n".join(" " * n + "a:" for n in range(100)),
        "job.yaml:62: not valid YAML: nested more than 60 levels deep",
    ),
    "too many values": (
        "a: [" + "1," * (MOST_VALUES + 1) + "]",
        "job.yaml:1: the file has more than 20000 values",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_says_file_and_line(text: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        yaml(text)
    assert str(caught.value).startswith(message)


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    levels = "\n".join(
        f"{b}: &{b} [" + ",".join([f"*{a}"] * 10) + "]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(DefinitionError, match="more than 20000 values once its aliases are followed"):
        yaml(f"a: &a [1]\n{levels}")


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(DefinitionError, match="larger than 262144 bytes"):
        yaml(b"a" * (LARGEST_FILE + 1))


def test_another_encoding_says_where_it_begins_to_differ() -> None:
    with pytest.raises(DefinitionError, match=r"job.yaml:2: the file is not UTF-8"):
        yaml("a: 1\nb: caf\N{LATIN SMALL LETTER E WITH ACUTE} 1".encode("latin-1"))


def test_json_is_read_as_json_and_its_lines_are_known() -> None:
    loaded = read_json(b'{\n  "a": "\\ud83d\\ude00 \\/",\n  "b": [1,\n 2]\n}', "job.json")
    assert loaded.data == {"a": "\N{GRINNING FACE} /", "b": [1, 2]}
    assert loaded.lines[("b", 1)] == 4


def test_json_that_is_no_yaml_is_read_all_the_same() -> None:
    assert read_json(b'{"a": 1,\n\t"b": 2}', "job.json").data == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "job.json: not valid JSON: the key 'a' is given twice"),
        ('{"a": NaN}', "job.json: not valid JSON: NaN is not a JSON value"),
        ('{"a":\n}', "job.json:2: not valid JSON: Expecting value (column 1)"),
        ("{'a': 1}", "job.json:1: not valid JSON"),
        (" ", "job.json: the file is empty"),
        ("[" * 100_000, "job.json: not valid JSON: nested too deeply"),
    ],
)
def test_json_that_is_refused_says_why(text: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_json(text.encode(), "job.json")
    assert str(caught.value).startswith(message)
