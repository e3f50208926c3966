"""Which page comes next, without any I/O."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.definition.extract import View
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.definition.models.paginate import Paginate
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.render import render_request
from airflow_asyncjob.errors import PagingError
from airflow_asyncjob.protocol import Pages
from airflow_asyncjob.protocol.targets import read_target
from tests.protocol.driving import SUBMISSION, answer, definition

TARGET = Request(url="/rows", params={"limit": 3}, headers={"accept": "text/csv"}, auth="none")


def pages(paginate: dict[str, Any], request: Request = TARGET, **limits: int) -> Pages:
    return Pages(Paginate(**paginate), request, Limits(**limits))


def turn(of: Pages, body: Any = None, records: int | None = 1, **headers: str) -> bool:
    event = answer(200, body, headers)
    return of.turn(event.response, event.response.body, records=records, digest=str(of.number).encode())


@pytest.mark.parametrize("last", [{}, {"n": None}, {"n": False}, {"n": 0}, {"n": ""}, {"n": []}, {"n": {}}])
def test_nothing_and_what_is_false_is_the_end(last: dict[str, Any]) -> None:
    assert not turn(pages({"next": "n"}), last)


def test_the_first_page_is_asked_as_the_definition_says_and_a_link_with_get() -> None:
    of = pages({"next": "n"}, TARGET.model_copy(update={"method": "POST", "json_body": {"a": 1}}))
    assert of.request.method == "POST"
    assert turn(of, {"n": "/rows?page=2&sig=a%2Fb"})
    rendered = render_request(of.request, of.names())
    assert (rendered.method, rendered.content, rendered.params) == ("GET", None, ())
    assert rendered.url == "https://api.example.com/rows?page=2&sig=a%2Fb"
    assert rendered.headers == {"accept": "text/csv"}
    assert of.request.auth == "none"


def test_the_names_move_with_the_pages() -> None:
    request = Request(
        url="/rows", params={"from": "{{ offset }}", "page": "{{ page }}", "after": "{{ next }}"}
    )
    of = pages({"next": "n"}, request)
    assert of.request is request
    assert render_request(request, of.names()).params == (("from", "0"), ("page", "1"))
    assert turn(of, {"n": "c1"}, records=7)
    assert of.request is request
    assert render_request(request, of.names()).params == (("from", "7"), ("page", "2"), ("after", "c1"))
    assert turn(of, {"n": 5}, records=3)
    assert of.names() == {"page": 3, "offset": 10, "next": 5}


def test_a_cursor_keeps_its_type_in_a_body() -> None:
    request = Request(url="/rows", json={"after": "{{ next }}"}, method="POST")
    of = pages({"next": "hits[-1].sort"}, request)
    assert render_request(request, of.names()).content == b'{"after":null}'
    assert turn(of, {"hits": [{"sort": [1, "a"]}]})
    assert render_request(request, of.names()).content == b'{"after":[1,"a"]}'


@pytest.mark.parametrize(
    ("following", "reads"),
    [
        ("links.next", True),
        ({"expr": "body.more"}, True),
        ({"expr": "headers['x-next']"}, False),
        ({"header": "link", "regex": "<(.+)>"}, False),
    ],
)
def test_a_body_is_kept_only_where_it_is_read(following: Any, reads: bool) -> None:
    assert pages({"next": following}).reads_body is reads


def test_without_next_an_empty_page_or_one_that_is_not_full_is_the_last() -> None:
    request = Request(url="/rows", params={"page": "{{ page }}"})
    assert turn(pages({}, request), records=1)
    assert not turn(pages({}, request), records=0)
    assert turn(pages({"size": 3}, request), records=3)
    assert not turn(pages({"size": 3}, request), records=2)


def test_the_number_of_pages_is_bounded() -> None:
    of = pages({"next": {"header": "x-next"}}, pages=2)
    assert turn(of, **{"x-next": "/a"})
    assert not turn(pages({"next": "n"}, pages=1), {})
    with pytest.raises(PagingError, match=r"is page 2, and there are more: limits\.pages allows no more"):
        turn(of, **{"x-next": "/b"})


def test_a_page_in_the_path_is_no_address_yet_when_the_job_ends() -> None:
    paged = {"url": "/rows/{{ page }}"}
    result = {"target": None, "request": paged, "format": "json", "paginate": {}}
    assert read_target(definition({"result": result}), View(200, {}, {}), SUBMISSION, {}) == SUBMISSION.id


def test_a_body_may_be_another_for_the_first_page() -> None:
    body = "{{ {'limit': 2} if next is none else {'limit': 2, 'after': next} }}"
    of = pages({"next": "n"}, Request(url="/rows", json=body, method="POST"))
    assert render_request(of.request, of.names()).content == b'{"limit":2}'
    assert turn(of, {"n": "c"})
    assert render_request(of.request, of.names()).content == b'{"limit":2,"after":"c"}'
