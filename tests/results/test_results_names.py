from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_asyncjob.results.names import safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("contacts.csv", "contacts.csv"),
        ("Bericht für März.pdf", "Bericht für März.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..", "result"),
        (".", "result"),
        ("", "result"),
        ("///", "result"),
        ("\0", "result"),
        ("C:\\Windows\\system.ini", "system.ini"),
        (".bashrc", "bashrc"),
        ("..hidden", "hidden"),
        ("a\r\nb\x1b[31m.csv", "ab_31m.csv"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("x\ud800.csv", "x.csv"),
        ("what?*<>|.csv", "what_____.csv"),
        ("trailing. . ", "trailing"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1.csv.gz", "_com1.csv.gz"),
        ("console.csv", "console.csv"),
        ("%2e%2e%2fx", "%2e%2e%2fx"),
        ("e\u0301.csv", "é.csv"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name, set()) == safe


def test_a_name_that_was_used_gets_a_number_before_its_suffix() -> None:
    taken: set[str] = set()
    names = ["a.csv.gz", "A.csv.gz", "a-2.csv.gz", "a.csv.gz", "x", "x", "", ""]
    assert [safe_name(name, taken) for name in names] == [
        "a.csv.gz",
        "A-2.csv.gz",
        "a-2-2.csv.gz",
        "a-3.csv.gz",
        "x",
        "x-2",
        "result",
        "result-2",
    ]


def test_a_long_name_keeps_its_suffix() -> None:
    taken: set[str] = set()
    first, second = (safe_name("é" * 300 + ".jsonl.gz", taken) for _ in range(2))
    assert first.endswith("é.jsonl.gz")
    assert second.endswith("é-2.jsonl.gz")
    assert len(first.encode()) <= 200
    assert len(second.encode()) <= 200


@given(st.lists(st.text(st.characters(), max_size=300) | st.text("./\\~: aA", max_size=6), max_size=5))
def test_no_name_leaves_the_folder_or_meets_another(names: list[str]) -> None:
    taken: set[str] = set()
    safe = [safe_name(name, taken) for name in names]
    assert len({name.lower() for name in safe}) == len(safe)
    for name in safe:
        assert name
        assert name[0] != "."
        assert name == name.strip()
        assert not set(name) & set('/\\<>:"|?*')
        assert len(name.encode()) <= 200
        assert not [c for c in name if unicodedata.category(c).startswith("C")]
