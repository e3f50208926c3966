"""Steps that lead to a result, against real servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import DefinitionError, RefusedError, UnreachableError, UnreadableError
from tests.results.serving import Fetching, Reply, serving


def job(steps: list[dict[str, Any]], target: Any = None, errors: Any = None, **more: Any) -> AsyncJob:
    result = {"format": "json", "steps": steps, **more} | ({} if target is None else {"target": target})
    sections = {"errors": {"result": errors}} if errors else {}
    return AsyncJob.load({"result": result, "limits": {"retries": 1}, **sections}, partial=True)


class Site:
    """Answers by path, and notes what was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, path: str, number: int) -> Reply:
        self.asked.append(path)
        answer = self.answers.get(path.partition("?")[0], (404, {}, b"nothing here"))
        if isinstance(answer, list):
            answer = answer.pop(0)
        return answer if isinstance(answer, tuple) else (200, {}, json.dumps(answer).encode())


OUTPUTS = {"name": "outputs", "request": {"url": "/jobs/{{ submission_id }}/outputs"}}


def fetch(tmp_path: Path, site: Callable[[str, int], Reply], definition: AsyncJob, **more: Any) -> list[Any]:
    with serving(site) as url:
        fetching = Fetching(url, tmp_path)
        manifest = fetching(definition, **more)
        assert (manifest.submission_id, manifest.state) == ("job-1", "done")
        return fetching.rows()


def test_a_step_leads_to_the_target(tmp_path: Path) -> None:
    site = Site(
        {
            "/jobs/job-1/outputs": {"links": [{"href": "/f/1"}, {"href": "/f/2"}]},
            "/f/1": [{"n": 1}],
            "/f/2": [{"n": 2}],
        }
    )
    assert fetch(tmp_path, site, job([OUTPUTS], "links[].href")) == [{"n": 1}, {"n": 2}]
    assert site.asked == ["/jobs/job-1/outputs", "/f/1", "/f/2"]


def test_several_hops_hand_on_their_captures(tmp_path: Path) -> None:
    site = Site(
        {"/jobs/job-1/outputs": {"manifest": "m 7"}, "/manifests/m%207": {"token": "t"}, "/files": [{"n": 1}]}
    )
    steps = [
        {**OUTPUTS, "capture": {"manifest": "manifest"}},
        {
            "name": "manifest",
            "request": {"url": "/manifests/{{ captures.manifest }}"},
            "capture": {"token": "token"},
        },
    ]
    definition = job(
        steps,
        request={"url": "/files", "params": {"t": "{{ captures.token }}", "m": "{{ captures.manifest }}"}},
    )
    assert fetch(tmp_path, site, definition) == [{"n": 1}]
    assert site.asked == ["/jobs/job-1/outputs", "/manifests/m%207", "/files?t=t&m=m+7"]


def test_a_step_for_each_item_gives_a_target_each(tmp_path: Path) -> None:
    site = Site(
        {
            "/jobs/job-1/outputs": {"ids": [3, 5]},
            "/links/3": {"url": "/f/a", "size": 30},
            "/links/5": {"url": "/f/b", "size": 50},
            "/f/a": [{"n": 1}],
            "/f/b": [{"n": 2}],
        }
    )
    steps = [
        {**OUTPUTS, "capture": {"ids": "ids"}},
        {
            "name": "link",
            "each": "{{ captures.ids }}",
            "request": {"url": "/links/{{ item }}"},
            "capture": {"sizes": "size"},
        },
    ]
    request = {"url": "{{ download_target }}", "params": {"of": "{{ captures.sizes | join('-') }}"}}
    assert fetch(tmp_path, site, job(steps, "url", request=request)) == [{"n": 1}, {"n": 2}]
    assert site.asked[1:] == ["/links/3", "/links/5", "/f/a?of=30-50", "/f/b?of=30-50"]


def test_the_target_may_be_made_of_captures(tmp_path: Path) -> None:
    site = Site({"/jobs/job-1/outputs": {"bucket": "lake", "key": "k.json"}, "/lake/k.json": [{"n": 1}]})
    steps = [{**OUTPUTS, "capture": {"bucket": "bucket", "key": "key"}}]
    assert fetch(tmp_path, site, job(steps, "s3://{{ captures.bucket }}/{{ captures.key }}")) == [{"n": 1}]


def test_a_redirect_is_an_answer(tmp_path: Path) -> None:
    site = Site({"/jobs/job-1/outputs": (302, {"Location": "/f/1"}, b""), "/f/1": [{"n": 1}]})
    assert fetch(tmp_path, site, job([OUTPUTS], {"header": "location"})) == [{"n": 1}]


def test_each_target_of_a_step_may_have_pages(tmp_path: Path) -> None:
    site = Site(
        {
            "/jobs/job-1/outputs": {"url": "/p"},
            "/p": [{"rows": [{"n": 1}], "next": "/p2"}],
            "/p2": {"rows": [{"n": 2}]},
        }
    )
    definition = job([OUTPUTS], "url", records="rows", paginate={"next": "next"})
    assert fetch(tmp_path, site, definition) == [{"n": 1}, {"n": 2}]


def test_a_step_is_asked_again_where_that_helps(tmp_path: Path) -> None:
    site = Site(
        {"/jobs/job-1/outputs": [(503, {}, b""), {"url": "/f/1"}], "/f/1": [(500, {}, b""), [{"n": 1}]]}
    )
    with serving(site) as url:
        fetching = Fetching(url, tmp_path)
        assert fetching(job([OUTPUTS], "url")).records == 1
    assert fetching.waits == [
        "the next try of the step 'outputs' of the result",
        "the next try of the download",
    ]


def test_no_targets_are_no_data(tmp_path: Path) -> None:
    empty = Site({"/jobs/job-1/outputs": {"urls": []}})
    ruled = Site({"/jobs/job-1/outputs": (204, {}, b"")})
    with serving(empty) as url:
        assert Fetching(url, tmp_path)(job([OUTPUTS], "urls")).state == "no_data"
    with serving(ruled) as url:
        no_data = [{"when": "code == 204", "then": "no_data"}]
        assert Fetching(url, tmp_path)(job([OUTPUTS], "urls", errors=no_data)).state == "no_data"
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_data_no_step_is_sent(tmp_path: Path) -> None:
    site = Site({})
    with serving(site) as url:
        assert Fetching(url, tmp_path)(job([OUTPUTS], "urls"), [], state="no_data").state == "no_data"
    assert site.asked == []


@pytest.mark.parametrize(
    ("answer", "target", "error", "says"),
    [
        ((404, {}, b"gone"), "url", RefusedError, "The API refused the step 'outputs' of the result: GET "),
        ((400, {}, b"bad"), "url", RefusedError, "Correct result.steps."),
        ((401, {}, b""), "url", RefusedError, "for the step 'outputs' of the result: "),
        ((503, {}, b""), "url", UnreachableError, "2 tries of the step 'outputs' of the result did not work"),
        ({"x": 1}, "url", UnreadableError, "result.target: path 'url' matches nothing"),
        ({"url": {"a": 1}}, "url", UnreadableError, "result.target: expected text or a number"),
        ((200, {}, b"<html><body>Log in</body></html>"), "url", UnreadableError, "is HTML instead of"),
        ({"url": "7"}, "url", DefinitionError, "the download target '7' is no address"),
    ],
)
def test_what_goes_wrong_names_the_step(
    tmp_path: Path, answer: Any, target: Any, error: type[Exception], says: str
) -> None:
    site = Site({"/jobs/job-1/outputs": answer})
    with serving(site) as url, pytest.raises(error, match=says):
        Fetching(url, tmp_path)(job([OUTPUTS], target))
    assert list(tmp_path.iterdir()) == []
