"""The page "Async jobs" and the tab "Async job" as people see them: a real Airflow, a real browser."""

from __future__ import annotations

import json
import re
import subprocess

from playwright.sync_api import Page, Request, Route, expect

from tests.ui.browser import PATIENCE, Browser
from tests.ui.shop import Shop

expect.set_options(timeout=PATIENCE)
JOBS = "/plugin/async-jobs"


def row(page: Page, submission_id: str):  # type: ignore[no-untyped-def]
    return page.get_by_role("row").filter(has_text=submission_id)


# the page


def test_the_page_shows_all_jobs_and_its_address_keeps_the_filters(airflow: Shop, browser: Browser) -> None:
    failed, going = airflow.submission("shop_orders", 1), airflow.submission("shop_orders", 2)
    with browser.page(JOBS) as page:
        expect(page.get_by_role("heading", name="Async jobs")).to_be_visible()
        expect(row(page, airflow.submission("shop_orders", 0))).to_contain_text("downloaded")
        expect(row(page, failed)).to_contain_text("failed")
        expect(row(page, going)).to_contain_text("running")
        # A job is one row, whatever number of its tasks have run, and what waits comes before what has ended.
        expect(row(page, failed)).to_have_count(1)
        ids = page.get_by_role("row").all_inner_texts()
        assert next(n for n, text in enumerate(ids) if going in text) < next(
            n for n, text in enumerate(ids) if failed in text
        )
        page.get_by_label("State").select_option("failed")
        expect(row(page, going)).to_have_count(0)
        page.get_by_label("DAG", exact=True).select_option("shop_orders")
        assert "state=failed" in page.url
        page.reload()
        expect(page.get_by_label("DAG", exact=True)).to_have_value("shop_orders")
        expect(row(page, failed)).to_be_visible()
        expect(row(page, going)).to_have_count(0)
        page.get_by_label("Search").fill("no such job")
        expect(page.get_by_text("No job matches these filters")).to_be_visible()
        page.get_by_role("button", name="Clear filters").first.click()
        expect(row(page, going)).to_be_visible()


def test_a_row_opens_the_tab_of_its_task(airflow: Shop, browser: Browser) -> None:
    job = airflow.submission("shop_orders", 1)
    with browser.page(f"{JOBS}?q={job}") as page:
        page.get_by_role("link", name=job).press("Enter")
        page.wait_for_url(f"**{airflow.tab('shop_orders', 'export.wait', 1)}")
        expect(page.get_by_test_id("asyncjob-task")).to_contain_text(job)


def test_a_job_that_is_submitted_while_one_looks_appears_by_itself(airflow: Shop, browser: Browser) -> None:
    with browser.page(f"{JOBS}?dag_id=shop_customers") as page:
        expect(row(page, airflow.submission("shop_customers"))).to_be_visible()
        run_id = airflow.wait("shop_customers")
        expect(row(page, airflow.submission("shop_customers", run_id=run_id))).to_contain_text("running")


def test_many_jobs_are_turned_over_like_pages(airflow: Shop, browser: Browser) -> None:
    asked: list[str] = []

    def with_more(route: Route) -> None:
        asked.append(route.request.url)
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "total": 120})

    with browser.page("/") as page:
        page.route("**/asyncjob/api/jobs**", with_more)
        page.goto(JOBS)
        pages = page.get_by_role("navigation", name="Pages")
        expect(pages).to_contain_text("1 to 50 of 120")
        expect(pages.get_by_role("button", name="Previous")).to_be_disabled()
        pages.get_by_role("button", name="Next").click()
        page.wait_for_url("**offset=50**")
        expect(page.get_by_text("This page is empty")).to_be_visible()
        assert "offset=50" in asked[-1]
        page.get_by_role("button", name="To the first page").click()
        expect(pages).to_contain_text("1 to 50 of 120")


# the tab


def test_the_tab_of_a_waiting_job_says_where_it_is(airflow: Shop, browser: Browser) -> None:
    job = airflow.submission("shop_customers")
    with browser.page(airflow.tab("shop_customers", "export.wait")) as page:
        tab = page.get_by_test_id("asyncjob-task")
        expect(tab).to_contain_text("The API says running")
        for text in (job, "Next poll", "Deadline", "Waiting for", "shop/export"):
            expect(tab).to_contain_text(text)
        expect(tab.get_by_role("img", name="polls in")).to_be_visible()
        poll = tab.get_by_role("button", name=f"/jobs/{job}").first
        poll.press("Enter")
        expect(poll).to_have_attribute("aria-expanded", "true")
        expect(tab.get_by_label("Body of the response")).to_contain_text('"status": "running"')
        # It stays open while the page asks again, and again.
        for _ in range(2):
            page.wait_for_event("requestfinished", lambda request: "/asyncjob/api/task" in request.url)
        expect(poll).to_have_attribute("aria-expanded", "true")
        tab.get_by_role("link", name="export.submit").click()
        page.wait_for_url(f"**{airflow.tab('shop_customers', 'export.submit')}")
        expect(tab.get_by_role("button", name="POST")).to_be_visible()


def test_what_an_api_says_is_text_and_never_markup(airflow: Shop, browser: Browser) -> None:
    with browser.page(airflow.tab("shop_orders", "export.wait", 1)) as page:
        message = page.locator("pre", has_text="Column")
        expect(message).to_contain_text("Column <b>price</b> is not known to the shop")
        assert page.get_by_test_id("asyncjob-task").locator("b").count() == 0


def test_the_tab_of_a_download_says_what_was_written(airflow: Shop, browser: Browser) -> None:
    with browser.page(airflow.tab("shop_orders", "export.fetch", 0)) as page:
        tab = page.get_by_test_id("asyncjob-task")
        for text in ("downloaded", "12,345", "/s in ", f"{airflow.folder}/0.csv"):
            expect(tab).to_contain_text(text)
        rows = tab.get_by_role("region", name="First rows").last.get_by_role("row")
        expect(rows).to_have_count(4)  # the names, and as many as the definition asks for
        expect(rows.first).to_contain_text("id")


def test_a_request_is_copied_as_curl_and_what_is_copied_works(airflow: Shop, browser: Browser) -> None:
    job = airflow.submission("shop_customers")
    with browser.page(
        airflow.tab("shop_customers", "export.wait"), permissions=["clipboard-read", "clipboard-write"]
    ) as page:
        page.get_by_test_id("asyncjob-task").get_by_role("button", name=f"/jobs/{job}").first.press("Enter")
        page.get_by_role("button", name="Copy as curl").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
    said = subprocess.run(["sh", "-c", copied], capture_output=True, text=True, timeout=60, check=True).stdout
    assert json.loads(said)["id"] == job


def test_a_job_that_a_clear_replaced_is_told_of(airflow: Shop, browser: Browser) -> None:
    run_id = airflow.wait("shop_customers")
    first = airflow.submission("shop_customers", run_id=run_id)
    airflow.airflow.clear("shop_customers", run_id, "export.submit", downstream=True)
    airflow.airflow.wait_until(
        lambda: first not in airflow.server.ledger.running_ids(), what="the cancel of the replaced job"
    )
    airflow.airflow.wait_for_state("shop_customers", run_id, "export.wait", "deferred")
    with browser.page(airflow.tab("shop_customers", "export.submit", run_id=run_id)) as page:
        earlier = page.get_by_role("region", name="Earlier jobs of this task").get_by_role("row")
        expect(earlier).to_have_count(2)
        expect(earlier.last).to_contain_text(first)
        expect(earlier.last).not_to_contain_text("running")


def test_other_tasks_have_a_quiet_tab(airflow: Shop, browser: Browser) -> None:
    with browser.page(airflow.tab("shop_orders", "plans")) as page:
        expect(page.get_by_test_id("asyncjob-task")).to_contain_text("No job here")


def test_a_link_beside_the_task_leads_to_the_tab(airflow: Shop, browser: Browser) -> None:
    tab = airflow.tab("shop_customers", "export.wait")
    with browser.page(tab.replace("plugin/async-job", "details")) as page:
        page.locator(f"a[href$='{tab}']", has_text="Async job").click()
        expect(page.get_by_test_id("asyncjob-task")).to_contain_text("The API says running")


# the buttons


def test_poll_now_asks_the_api_at_once(airflow: Shop, browser: Browser) -> None:
    run_id = airflow.wait("shop_customers")
    job = airflow.submission("shop_customers", run_id=run_id)
    with browser.page(airflow.tab("shop_customers", "export.wait", run_id=run_id)) as page:
        page.get_by_role("button", name=f"Poll {job} now").press("Enter")
        # The second one where the trigger has not begun yet; it heeds the wake then.
        expect(page.get_by_text(re.compile("polls now|polls within seconds"))).to_be_visible()
    airflow.airflow.wait_for_state("shop_customers", run_id, "export.wait", "deferred")
    assert job in airflow.server.ledger.running_ids()


def test_cancel_asks_first_and_then_ends_the_job(airflow: Shop, browser: Browser) -> None:
    run_id = airflow.wait("shop_customers")
    job = airflow.submission("shop_customers", run_id=run_id)
    with browser.page(f"{JOBS}?q={job}") as page:
        cancel = page.get_by_role("button", name=f"Cancel {job}")
        cancel.press("Enter")
        dialog = page.get_by_role("alertdialog", name="Cancel this job?")
        expect(dialog).to_contain_text(job)
        expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        assert job in airflow.server.ledger.running_ids()
        cancel.click()
        dialog.get_by_role("button", name="Cancel the job").click()
        airflow.airflow.wait_for_state("shop_customers", run_id, "export.wait", "failed")
        airflow.airflow.wait_until(
            lambda: job not in airflow.server.ledger.running_ids(), what="the cancel request"
        )
        expect(row(page, job).get_by_role("button")).to_have_count(0)


# who may


def test_a_viewer_reads_all_and_the_buttons_say_why_they_are_off(airflow: Shop, browser: Browser) -> None:
    job = airflow.submission("shop_customers")
    posts: list[Request] = []
    with browser.page(f"{JOBS}?q={job}", "viewer") as page:
        page.on("request", lambda request: posts.append(request) if request.method == "POST" else None)
        button = page.get_by_role("button", name=f"Poll {job} now")
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute("title", "You may not change tasks of this DAG")
        button.press("Enter")
        page.get_by_role("button", name=f"Cancel {job}").press("Enter")
        expect(page.get_by_role("alertdialog")).to_have_count(0)
    assert [request.url for request in posts if "/asyncjob/" in request.url] == []


def test_a_user_without_permission_sees_no_job(airflow: Shop, browser: Browser) -> None:
    with browser.page("/", "nobody") as page:
        for path in ("asyncjob/api/jobs", "asyncjob/api/task?" + task_query(airflow)):
            answer = page.request.get(f"{airflow.url}/{path}")
            assert airflow.submission("shop_customers") not in answer.text()
            assert answer.status == 403 or answer.json()["total"] == 0


def test_nobody_who_is_not_logged_in_sees_anything(airflow: Shop, browser: Browser) -> None:
    with browser.page(JOBS, None) as page:
        page.wait_for_url("**/auth/login**")
        for path in ("asyncjob/api/jobs", "asyncjob/api/task?" + task_query(airflow)):
            assert page.request.get(f"{airflow.url}/{path}").status == 401


def task_query(shop: Shop) -> str:
    run = shop.runs["shop_customers"].replace("+", "%2B")
    return f"dag_id=shop_customers&task_id=export.wait&run_id={run}"


# how it looks and behaves


def test_dark_mode_is_airflows_own(airflow: Shop, browser: Browser) -> None:
    tab = airflow.tab("shop_customers", "export.wait")
    lightness = "node => { const c = document.createElement('canvas').getContext('2d'); c.fillStyle = "
    lightness += (
        "getComputedStyle(node).color; c.fillRect(0, 0, 1, 1); const [r, g, b] = c.getImageData(0, 0, 1, "
    )
    lightness += "1).data; return (r + g + b) / 3; }"
    seen = {}
    with browser.page(tab) as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.locator(f"html.{scheme}").wait_for()
            seen[scheme] = page.get_by_text("The API says running").evaluate(lightness)
    assert seen["light"] < 90
    assert seen["dark"] > 165


def test_a_narrow_window_needs_no_sideways_scrolling_of_the_page(airflow: Shop, browser: Browser) -> None:
    with browser.page(JOBS) as page:
        page.set_viewport_size({"width": 420, "height": 800})
        row(page, airflow.submission("shop_customers")).wait_for()
        box = page.get_by_test_id("asyncjob-jobs").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 420


def test_a_hidden_page_asks_nothing(airflow: Shop, browser: Browser) -> None:
    with browser.page("/") as page:
        page.clock.install()
        page.goto(JOBS)
        page.get_by_role("row").first.wait_for()
        asked: list[str] = []
        page.on(
            "request", lambda request: asked.append(request.url) if "/asyncjob/api/" in request.url else None
        )
        page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.clock.run_for(600_000)
        assert asked == []
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        airflow.airflow.wait_until(lambda: page.evaluate("1") and asked, what="the next look")


def test_an_airflow_that_does_not_answer_is_told_and_what_was_known_stays(
    airflow: Shop, browser: Browser
) -> None:
    job = airflow.submission("shop_customers")
    with browser.page(f"{JOBS}?q={job}") as page:
        row(page, job).wait_for()
        page.route("**/asyncjob/api/**", lambda route: route.abort())
        expect(page.get_by_role("alert")).to_contain_text("Airflow does not answer.")
        expect(row(page, job)).to_be_visible()
        page.unroute_all()
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("alert")).to_have_count(0)
