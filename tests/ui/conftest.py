"""An Airflow with users of different roles, jobs in it, and a browser that looks at them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ui.browser import CHROMIUM, Browser, open_browser
from tests.ui.shop import Shop, open_shop


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Give a running Airflow with jobs of each kind: waiting, mapped, failed, downloaded."""
    with open_shop(tmp_path_factory.mktemp("ui")) as shop:
        yield shop


@pytest.fixture(scope="module")
def browser(airflow: Shop) -> Iterator[Browser]:
    """Give a Chromium without a screen: skipped where there is none, but in CI that is an error."""
    if not CHROMIUM and not os.environ.get("CI"):
        pytest.skip("there is no chromium here; Debian's package of that name has it")
    with open_browser(airflow.url) as browser:
        yield browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder for the results of a run."""
    return tmp_path
