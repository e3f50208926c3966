"""A result in pages, from real servers: every way of going on, faults, and pages without end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import (
    DefinitionError,
    PagingError,
    RefusedError,
    TruncatedError,
    UnreadableError,
)
from airflow_asyncjob.testing import FakeJobServer, expected_rows
from tests.results.serving import Fetching, Reply, serving

ROWS = "/jobs/{{ submission_id }}/rows"


def job(paginate: dict[str, Any] | None = None, **more: Any) -> AsyncJob:
    limits = more.pop("limits", {"retries": 1})
    sections = {"errors": more.pop("errors", {})}
    result = {"format": "json", "records": "rows", **more}
    if paginate is not None:
        result["paginate"] = paginate
    return AsyncJob.load({"result": result, "limits": limits, **sections}, partial=True)


def by(params: dict[str, Any], paginate: dict[str, Any], limit: int = 3, **more: Any) -> AsyncJob:
    return job(paginate, request={"url": ROWS, "params": {"limit": limit, **params}}, **more)


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as running:
        httpx.post(f"{running.url}/jobs", json={"rows": 10})
        yield running


@pytest.fixture
def fetch(server: FakeJobServer, tmp_path: Path) -> Fetching:
    return Fetching(server.url, tmp_path)


# Ways to go on -------------------------------------------------------------------------------------

LINK = {"header": "Link", "regex": '<([^>]+)>;\\s*rel="?next"?'}
NOT_NULL = {"header": "X-Next-Cursor", "regex": "^(?!null$).+"}
WAYS: dict[str, tuple[AsyncJob, int]] = {
    "a link in the body": (by({}, {"next": "next"}), 4),
    "a link in a header": (by({}, {"next": LINK}), 4),
    "a cursor in the body": (by({"cursor": "{{ next }}"}, {"next": "cursor"}), 4),
    "a cursor in a header": (by({"cursor": "{{ next }}"}, {"next": NOT_NULL}), 4),
    "an offset until a page is empty": (by({"offset": "{{ offset }}"}, {}, 5), 3),
    "an offset until a page is not full": (by({"offset": "{{ offset }}"}, {"size": 3}), 4),
    "an offset and a flag": (by({"offset": "{{ offset }}"}, {"next": "more"}, 5), 2),
    "a number until a page is empty": (by({"page": "{{ page }}"}, {}), 5),
    "a number and a flag": (by({"page": "{{ page }}"}, {"next": {"expr": "body.more"}}), 4),
    "one page": (by({}, {"next": "next"}, 100), 1),
}


NO_SUCH_PAGE = {"result": [{"when": "code == 404", "then": "no_data"}]}


@pytest.mark.parametrize(("definition", "pages"), WAYS.values(), ids=WAYS.keys())
def test_pages_become_one_file(
    server: FakeJobServer, fetch: Fetching, definition: AsyncJob, pages: int
) -> None:
    manifest = fetch(definition)
    assert fetch.rows() == list(expected_rows(10))
    assert (manifest.records, manifest.state, len(manifest.uris)) == (10, "done", 1)
    assert server.ledger.count("result") == pages
    assert [size for _, size in fetch.sizes] == sorted({size for _, size in fetch.sizes})


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "way", [{"offset": "{{ offset }}"}, {"cursor": "{{ next }}"}], ids=["offset", "header"]
)
@pytest.mark.parametrize("to", ["out.jsonl", "out.csv", "out.parquet"])
def test_pages_of_any_format_are_counted(
    server: FakeJobServer, fetch: Fetching, kind: str, zipped: bool, way: dict[str, str], to: str
) -> None:
    httpx.post(f"{server.url}/jobs", json={"rows": 10, "gzip": zipped})
    paginate = {} if "offset" in way else {"next": NOT_NULL}
    request = {"url": "/jobs/job-2/rows", "params": {"limit": 5, "format": kind, **way}}
    manifest = fetch(
        AsyncJob.load({"result": {"format": kind, "request": request, "paginate": paginate}}, partial=True),
        to=to,
    )
    assert manifest.records == 10
    assert server.ledger.count("result") == (3 if "offset" in way else 2)


def test_each_target_has_its_pages(server: FakeJobServer, fetch: Fetching) -> None:
    httpx.post(f"{server.url}/jobs", json={"rows": 4, "tag": "two"})
    definition = job({"next": "next"})
    manifest = fetch(definition, ["/jobs/job-1/rows?limit=6", f"{server.url}/jobs/job-2/rows?limit=3"])
    assert manifest.records == 14
    assert fetch.rows() == [*expected_rows(10), *expected_rows(4, "two")]
    assert {number for number, _ in fetch.sizes} == {1, 2}
    assert server.ledger.count("result") == 4


def test_raw_pages_are_files_of_a_folder(fetch: Fetching) -> None:
    manifest = fetch(
        AsyncJob.load({"result": {"paginate": {"next": LINK}}}, partial=True),
        "/jobs/job-1/rows?limit=4",
        "out/",
    )
    bodies = [json.loads(path.read_bytes()) for path in sorted((fetch.folder / "out").iterdir())]
    assert len(manifest.uris) == len(bodies) == 3
    assert sorted(row["id"] for body in bodies for row in body["rows"]) == [
        row["id"] for row in expected_rows(10)
    ]


def test_raw_pages_that_are_counted_are_refused_before_anything_is_sent(
    server: FakeJobServer, fetch: Fetching
) -> None:
    with pytest.raises(
        DefinitionError, match=r"goes by the number of records, and the destination .* is written raw"
    ):
        fetch(by({"offset": "{{ offset }}"}, {}), to="out/")
    assert server.ledger.count("result") == 0


def test_a_rule_can_say_that_there_is_no_such_page(server: FakeJobServer, fetch: Fetching) -> None:
    with pytest.raises(PagingError, match=r"page 4, and there are more: limits\.pages allows no more"):
        fetch(by({}, {"next": {"expr": "url ~ '&x=1'"}}, limits={"pages": 4}))
    assert server.ledger.count("result") == 4
    server.faults.add("result", 200, body=b'{"rows": [{"id": "1"}]}')
    server.faults.add("result", 404, body=b'{"error": "no such page"}')
    assert fetch(by({"page": "{{ page }}"}, {}, errors=NO_SUCH_PAGE)).records == 1


@pytest.mark.parametrize("fault", [404, 204])
def test_half_a_result_does_not_pass_for_a_whole(server: FakeJobServer, fetch: Fetching, fault: int) -> None:
    server.faults.add("result", fault, nth=3)
    with pytest.raises(
        PagingError, match=r"rows\?limit=3&cursor=after-6: page 3 was named by the one before"
    ):
        fetch(by({}, {"next": "next"}, errors=NO_SUCH_PAGE))
    assert fetch.left() == []


# Faults --------------------------------------------------------------------------------------------


def test_a_page_that_breaks_off_is_asked_for_again_alone(server: FakeJobServer, fetch: Fetching) -> None:
    server.faults.add("result", "truncate", nth=2)
    server.faults.add("result", 503, nth=3)
    assert fetch(by({"cursor": "{{ next }}"}, {"next": "cursor"})).records == 10
    assert fetch.rows() == list(expected_rows(10))
    cursors = [entry.query.partition("cursor=")[2] for entry in server.ledger.entries("result")]
    assert len(cursors) == 6
    assert sorted(set(cursors)) == ["", "after-3", "after-6", "after-9"]


def test_a_page_that_never_comes_leaves_nothing(server: FakeJobServer, fetch: Fetching) -> None:
    server.faults.add("result", "truncate", nth=3, times=None)
    with pytest.raises(TruncatedError, match="2 tries of the download did not work"):
        fetch(by({"cursor": "{{ next }}"}, {"next": "cursor"}))
    assert fetch.left() == []
    assert server.ledger.count("result") == 4


@pytest.mark.parametrize("limit", [1, 3, 4])
def test_a_limit_asks_for_no_further_page(server: FakeJobServer, fetch: Fetching, limit: int) -> None:
    assert fetch(by({"cursor": "{{ next }}"}, {"next": "cursor"}), limit=limit).records == limit
    assert server.ledger.count("result") == (1 if limit <= 3 else 2)


@pytest.mark.parametrize("limit", [1, 3, 4])
def test_a_limit_of_columns_asks_for_no_further_page(
    server: FakeJobServer, fetch: Fetching, limit: int
) -> None:
    definition = by({"offset": "{{ offset }}", "format": "csv"}, {}, format="csv", records=None)
    assert fetch(definition, to="out.csv", limit=limit).records == limit
    assert server.ledger.count("result") == (1 if limit <= 3 else 2)


# Servers that misbehave ----------------------------------------------------------------------------


def page(rows: list[Any], **more: Any) -> Reply:
    return 200, {}, json.dumps({"rows": rows, **more}).encode()


def refused(
    tmp_path: Path,
    reply: Callable[[str, int], Reply],
    definition: AsyncJob,
    error: type[Exception] = PagingError,
) -> str:
    """Return the message with which a fetch ends; nothing is written."""
    with serving(reply) as url:
        fetch = Fetching(url, tmp_path)
        with pytest.raises(error) as caught:
            fetch(definition, "/rows")
        assert fetch.left() == []
        return str(caught.value).replace(url, "http://h")


OBJECT = {"request": {"url": "/rows", "params": {"cursor": "{{ next | tojson }}"}}}
CURSOR = {"request": {"url": "/rows", "params": {"cursor": "{{ next }}"}}}


def test_an_endless_next_link_ends_at_the_limit(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        lambda path, number: page([{"n": number}], next=f"/rows?{number}"),
        job({"next": "next"}, limits={"pages": 30}),
    )
    assert message.startswith(
        "GET http://h/rows?29 is page 30, and there are more: limits.pages allows no more"
    )


def test_a_circle_of_links_is_known(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        lambda path, number: page([{"n": number}], next=f"/rows?{number % 3}"),
        job({"next": "next"}),
    )
    assert message.startswith(
        "GET http://h/rows?0 is page 4, and what it says of the next one leads back to page 2"
    )


def test_a_link_to_the_page_itself_is_known(tmp_path: Path) -> None:
    message = refused(tmp_path, lambda path, number: page([{"n": 1}], next="/rows"), job({"next": "next"}))
    assert "GET http://h/rows is page 1, and what it says of the next one leads back to page 1" in message


def test_a_cursor_that_stays_is_known(tmp_path: Path) -> None:
    message = refused(
        tmp_path, lambda path, number: page([{"n": number}], next={"k": [1]}), job({"next": "next"}, **OBJECT)
    )
    assert "is page 2, and what it says of the next one leads back to page 2" in message


@pytest.mark.parametrize("name", ["page", "offset"])
def test_a_server_that_heeds_no_parameter_is_known(tmp_path: Path, name: str) -> None:
    request = {"url": "/rows", "params": {name: f"{{{{ {name} }}}}"}}
    message = refused(tmp_path, lambda path, number: page([{"n": 1}]), job({}, request=request))
    assert f"GET http://h/rows?{name}=" in message
    assert "is page 2, and is the same, byte for byte, as page 1: the API does not heed" in message


def test_an_offset_that_does_not_move_is_known(tmp_path: Path) -> None:
    request = {"url": "/rows", "params": {"offset": "{{ offset }}"}}
    message = refused(
        tmp_path, lambda path, number: page([], more=True), job({"next": "more"}, request=request)
    )
    assert "is page 1, and what it says of the next one leads back to page 1" in message


def test_some_pages_may_be_empty_and_not_all(tmp_path: Path) -> None:
    few = [*[[]] * 10, [{"n": 1}], *[[]] * 10, [{"n": 2}]]
    with serving(
        lambda path, number: page(few[number - 1], next=number if number < len(few) else None)
    ) as url:
        assert Fetching(url, tmp_path)(job({"next": "next"}, **CURSOR)).records == 2
    (tmp_path / "out.jsonl").unlink()
    message = refused(tmp_path, lambda path, number: page([], next=number), job({"next": "next"}, **CURSOR))
    assert "is page 11, and like the 10 before it has no records, but names a next one" in message


def test_a_page_that_is_too_large_is_refused(tmp_path: Path) -> None:
    small = {"retries": 0, "page_bytes": 1000}
    large = page([{"n": "x" * 1000}], next="/rows?2")
    message = refused(tmp_path, lambda path, number: large, job({"next": "next"}, limits=small))
    assert "GET http://h/rows: the page has more than 1,000 bytes (limits.page_bytes)" in message
    header = {"header": "x-next"}
    with serving(lambda path, number: large) as url:  # nothing is kept of it
        assert Fetching(url, tmp_path)(job({"next": header}, limits=small), "/rows").records == 1


def test_a_page_that_expands_too_far_is_refused(tmp_path: Path) -> None:
    import gzip

    small = {"retries": 0, "page_bytes": 1000}
    _, headers, body = page([{"n": "x" * 100_000}], next="/rows?2")
    packed = gzip.compress(body)
    assert len(packed) < 1000
    message = refused(
        tmp_path, lambda path, number: (200, headers, packed), job({"next": "next"}, limits=small)
    )
    assert "the page has more than 1,000 bytes (limits.page_bytes)" in message


@pytest.mark.parametrize("named", [7, True, {"a": 1}, "two words", "/rows\n"])
def test_what_is_no_address_is_told_from_a_cursor(tmp_path: Path, named: Any) -> None:
    message = refused(
        tmp_path, lambda path, number: page([{"n": 1}], next=named), job({"next": "next"}), UnreadableError
    )
    assert "GET http://h/rows: page 1 says" in message
    assert "which is no address. When it is a cursor, let result.request use it" in message


def test_a_next_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        lambda path, number: page([{"n": 1}], links=[1, 2]),
        job({"next": "links[*]"}, **CURSOR),
        UnreadableError,
    )
    assert (
        "it cannot be read what page 1 says of the next one: result.paginate.next: path 'links[*]'" in message
    )
    assert "Correct result.paginate.next" in message


def test_a_page_without_a_body_is_the_end(tmp_path: Path) -> None:
    request = {"url": "/rows", "params": {"page": "{{ page }}"}}
    with serving(lambda path, number: page([{"n": 1}]) if number == 1 else (204, {}, b"")) as url:
        assert Fetching(url, tmp_path)(job({}, request=request)).records == 1


def test_records_of_the_status_go_on_in_pages(tmp_path: Path) -> None:
    status = {"request": {"url": "/s/{{ submission_id }}"}, "path": "state", "values": {"done": "ok"}}
    result = {"from": "status", "format": "json", "records": "rows", "paginate": {"next": "next"}}
    definition = AsyncJob.load({"status": status, "result": result}, partial=True)
    seen: list[str] = []

    def reply(path: str, number: int) -> Reply:
        seen.append(path)
        return page([{"n": number}], state="ok", next="/s/more" if number == 1 else None)

    with serving(reply) as url:
        assert Fetching(url, tmp_path)(definition).records == 2
    assert seen == ["/s/job-1", "/s/more"]


# Addresses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("?p=2", "/v1/x/rows?p=2"),
        ("rows2", "/v1/x/rows2"),
        ("/x/rows2", "/v1/x/rows2"),
        ("/v1/x/rows2", "/v1/x/rows2"),
        ("URL/other", "/other"),
        ("//HOST/other", "/other"),
    ],
)
def test_a_link_is_resolved_as_a_target_and_against_its_page(tmp_path: Path, link: str, asked: str) -> None:
    paths: list[str] = []

    def reply(path: str, number: int) -> Reply:
        paths.append(path)
        return page(
            [{"n": number}], next=link.replace("URL", at).replace("HOST", at[7:]) if number == 1 else ""
        )

    with serving(reply) as at:
        assert Fetching(f"{at}/v1", tmp_path)(job({"next": "next"}), "/x/rows").records == 2
    assert paths == ["/v1/x/rows", asked]


def test_a_path_on_another_host_stays_there_and_gets_no_credentials(tmp_path: Path) -> None:
    seen: list[str] = []

    def reply(path: str, number: int) -> Reply:
        seen.append(path)
        return page([{"n": number}], next="/x/rows2" if number == 1 else None)

    with serving(reply) as other, serving(lambda path, number: (500, {}, b"")) as own:
        assert Fetching(f"{own}/v1", tmp_path)(job({"next": "next"}), f"{other}/x/rows").records == 2
    assert seen == ["/x/rows", "/x/rows2"]


def test_an_api_of_the_internet_cannot_name_a_private_target_or_page(tmp_path: Path) -> None:
    public = Fetching("http://93.184.215.14", tmp_path)
    seen: list[str] = []

    def reply(path: str, number: int) -> Reply:
        seen.append(path)
        return page([{"n": 1}], next=f"http://localhost:{at.rpartition(':')[2]}/inside")

    with serving(reply) as at:
        with pytest.raises(
            RefusedError, match=r"is in a private network, and the connection's own API is not"
        ):
            public(job({"next": "next"}), f"{at}/rows")
        assert seen == []
        with pytest.raises(RefusedError, match=r"/inside had no usable answer: .* is in a private network"):
            public(job({"next": "next"}, request={"url": f"{at}/rows"}))
    assert seen == ["/rows"]
    assert public.left() == []


@pytest.mark.parametrize("to", ["out.jsonl", "out.csv", "out.parquet"])
@pytest.mark.parametrize("paginate", [{}, {"size": 5}, {"next": "more"}], ids=["empty", "size", "flag"])
def test_pages_of_json_are_counted_whatever_is_written(
    server: FakeJobServer, fetch: Fetching, paginate: dict[str, Any], to: str
) -> None:
    assert fetch(by({"offset": "{{ offset }}"}, paginate, 5), to=to).records == 10
    assert server.ledger.count("result") == (2 if "next" in paginate else 3)


@pytest.mark.parametrize("to", ["out.jsonl", "out.parquet"])
def test_pages_of_xml_go_on_by_link_and_are_counted(tmp_path: Path, to: str) -> None:
    def reply(path: str, number: int) -> Reply:
        link = f'<link rel="next" href="/rows?from={number * 2}"/>' if number < 3 else ""
        rows = "".join(f"<row><n>{number * 2 + place}</n></row>" for place in (0, 1))
        return 200, {"Content-Type": "application/xml"}, f"<feed>{link}<rows>{rows}</rows></feed>".encode()

    xml = {"format": "xml", "records": "/feed/rows/row"}
    offset = {"url": "/rows", "params": {"from": "{{ offset }}"}}
    linked = job({"next": "/feed/link/@href"}, **xml)
    counted = job({"next": {"expr": "'link' in body.feed"}}, request=offset, **xml)
    for definition in (linked, counted):
        with serving(reply) as url:
            assert Fetching(url, tmp_path)(definition, "/rows?from=0", to).records == 6
