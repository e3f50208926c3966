"""A Chromium without a screen, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, sync_playwright

__all__ = ["CHROMIUM", "PATIENCE", "Browser", "open_browser"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
PATIENCE = 120_000
"""Milliseconds that a page may take on a slow machine."""


class Browser:
    """Opens pages of an Airflow. Logins and what was loaded are kept, as in any browser."""

    def __init__(self, chromium: Chromium, url: str) -> None:
        self._chromium = chromium
        self._contexts: dict[tuple[str | None, str], BrowserContext] = {}
        self.url = url

    @contextlib.contextmanager
    def page(self, path: str, user: str | None = "admin", **options: Any) -> Iterator[Page]:
        """Give a page at this path, after a login as this user; None: without one.

        :param options: of Playwright's ``new_context``, such as ``color_scheme``.
        :raises AssertionError: the page let an exception go.
        """
        problems: list[str] = []
        context = self._contexts.get((user, repr(options)))
        page = (context or self._context(user, options)).new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        try:
            if context is None and user is not None:
                self._log_in(page, user, path)
            else:
                page.goto(path, wait_until="commit")
            yield page
            assert problems == []
        finally:
            page.close()

    def _context(self, user: str | None, options: dict[str, Any]) -> BrowserContext:
        context = self._chromium.new_context(base_url=self.url, timezone_id="UTC", **options)
        context.set_default_timeout(PATIENCE)
        self._contexts[user, repr(options)] = context
        return context

    def _log_in(self, page: Page, user: str, path: str) -> None:
        page.goto(f"/auth/login?{urlencode({'next': self.url + path})}")
        page.locator("input[name=username]").fill(user)
        page.locator("input[name=password]").fill(user)
        page.locator("button[type=submit]").click()
        page.wait_for_url(lambda url: "/auth/login" not in url, wait_until="commit")


@contextlib.contextmanager
def open_browser(url: str) -> Iterator[Browser]:
    """Start a Chromium for the Airflow at this address."""
    if not CHROMIUM:
        raise FileNotFoundError("there is no chromium; apt-get install chromium")
    # As root, Chromium starts only without its sandbox; it visits nothing but this machine.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield Browser(chromium, url)
        finally:
            chromium.close()
