"""Every example of "Results in pages" reads all rows of a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.protocol import Submission
from airflow_asyncjob.results.fetch import fetch_result
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.transport import ConnectionSettings, Wire
from tests.docs.pages import Block, blocks, named

EXAMPLES = [block for block in blocks("yaml") if block.page.name == "results-in-pages.md"]


@pytest.mark.parametrize("block", EXAMPLES, ids=named)
def test_an_example_reads_every_page(block: Block, tmp_path: Path) -> None:
    data: Any = YAML(typ="safe", pure=True).load(block.text)
    definition = AsyncJob.load(data, partial=True)
    with FakeJobServer("generic") as server, Wire(ConnectionSettings(base_url=server.url)) as wire:
        httpx.post(f"{server.url}/jobs", json={"rows": 5})
        if "errors" in data:
            server.faults.add("result", 404, nth=4)
        manifest = fetch_result(
            definition,
            "job-1",
            wire=wire,
            inputs={},
            names={},
            submission=Submission("job-1", 0.0),
            destination=tmp_path / "rows.jsonl",
        )
        if "status" in data:
            assert (manifest.records, server.ledger.count("poll")) == (1, 1)
        else:
            assert (manifest.records, server.ledger.count("result")) in [(5, 3), (5, 4)]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 8
