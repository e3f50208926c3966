"""The script of the views: small, plain files that any browser takes as they are, where no text of an API
becomes markup.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx

import airflow_asyncjob.plugin
from airflow_asyncjob.plugin.app import build_app

SCRIPTS = sorted((Path(airflow_asyncjob.plugin.__file__).parent / "static").iterdir())


def test_the_script_is_under_150_kilobytes() -> None:
    assert 0 < sum(path.stat().st_size for path in SCRIPTS) < 150_000
    assert {path.suffix for path in SCRIPTS} == {".js"}


def test_every_import_is_of_a_file_beside_it() -> None:
    imported = {
        name for path in SCRIPTS for name in re.findall(r'^import .*? from "(.*?)";$', path.read_text(), re.M)
    }
    assert imported
    assert imported <= {f"./{path.name}" for path in SCRIPTS}


def test_no_text_of_an_api_can_become_markup() -> None:
    for path in SCRIPTS:
        source = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", source), path.name
        # The only address that comes from an API is checked before it is a link.
        for target in re.findall(r"href: ([\w.]+)", source):
            assert target == "remote", f"{path.name}: {target}"


def test_a_browser_asks_again_for_each_file_and_gets_it_once() -> None:
    async def asked() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(build_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            first = await client.get("/static/asyncjob.js")
            known = {"If-None-Match": first.headers["etag"]}
            return first, await client.get("/static/asyncjob.js", headers=known)

    first, again = asyncio.run(asked())
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert (again.status_code, again.headers["cache-control"], again.content) == (304, "no-cache", b"")
