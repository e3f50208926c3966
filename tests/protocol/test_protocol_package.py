"""What the package shows, and what it must not do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_asyncjob.protocol as protocol

FILES = sorted(Path(protocol.__file__).parent.glob("*.py"))
CLOCKS = {"now", "today", "utcnow", "time", "monotonic", "perf_counter", "sleep"}


def test_the_public_names_are_these() -> None:
    assert sorted(protocol.__all__) == [
        "BodyBroken",
        "BodyEnded",
        "Checkpoint",
        "Command",
        "Download",
        "Event",
        "Failed",
        "Fault",
        "Finish",
        "Goal",
        "Hops",
        "Job",
        "ListedJob",
        "Listing",
        "Outcome",
        "Pages",
        "Plan",
        "Planned",
        "Purpose",
        "Receive",
        "Refresh",
        "Refreshed",
        "Refusals",
        "Responded",
        "Response",
        "Resume",
        "Send",
        "Store",
        "Stored",
        "Submission",
        "Wait",
        "Woken",
        "error_for",
        "is_between_steps",
        "result_request",
    ]
    assert all(hasattr(protocol, name) for name in protocol.__all__)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_module_reads_a_clock_or_draws_at_random_or_opens_anything(file: Path) -> None:
    tree = ast.parse(file.read_text())
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    attributes = {function.attr for function in called if isinstance(function, ast.Attribute)}
    names = {function.id for function in called if isinstance(function, ast.Name)}
    assert not attributes & CLOCKS
    assert not names & {"open", "print", "input"}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & {"time", "random", "secrets", "uuid", "socket", "asyncio", "threading", "httpx"}
