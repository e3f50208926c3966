"""Make the pictures of docs/images again: ``python -m tests.ui.pictures``. It needs Chromium."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import ViewportSize

from tests.ui.browser import Browser, open_browser
from tests.ui.shop import Shop, open_shop

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LARGE: ViewportSize = {"width": 1280, "height": 720}
MOST_BYTES = 150_000


def main() -> int:
    """Take each picture, and say which are larger than they may be."""
    with (
        tempfile.TemporaryDirectory(prefix="asyncjob-pictures-") as home,
        open_shop(Path(home)) as shop,
        open_browser(shop.url) as browser,
    ):
        prepare(shop)
        take(browser, "async-jobs", "/plugin/async-jobs")
        take(browser, "async-jobs-dark", "/plugin/async-jobs", dark=True)
        take(browser, "async-job-tab", shop.tab("shop_orders", "export.wait", 2))
        take(browser, "async-job-tab-dark", shop.tab("shop_customers", "export.wait"), dark=True)
        take(browser, "async-job-download", shop.tab("shop_orders", "export.fetch", 0))
        take(browser, "async-job-failed", shop.tab("shop_orders", "export.wait", 1))
    large = [path.name for path in IMAGES.glob("async-job*.png") if path.stat().st_size > MOST_BYTES]
    print("\n".join(f"{name} is larger than {MOST_BYTES:,} bytes" for name in large) or "done")
    return len(large)


def prepare(shop: Shop) -> None:
    """Have some polls of the waiting jobs fail, and wait until they go well again."""
    job = shop.submission("shop_orders", 2)
    shop.server.faults.add("poll", 503, times=4)
    shop.airflow.wait_until(lambda: not shop.server.faults.active(), what="polls that fail")
    seen = shop.server.ledger.count("poll", job_id=job)
    shop.airflow.wait_until(
        lambda: shop.server.ledger.count("poll", job_id=job) > seen + 5, what="more polls"
    )


def take(browser: Browser, name: str, path: str, *, dark: bool = False) -> None:
    """Save what a page looks like once its data are there."""
    with browser.page(path) as page:
        page.set_viewport_size(LARGE)
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.locator("[data-testid^=asyncjob] time").first.wait_for()
        page.wait_for_timeout(1500)  # for what moves: bars, and the grid beside it
        page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
