"""Values out of answers, and what is said where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.definition.document import parse_body
from airflow_asyncjob.definition.extract import MISSING, Headers, View, extract, find
from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.models.submit import Submit
from airflow_asyncjob.definition.paths import check_path
from airflow_asyncjob.errors import DefinitionError, TemplateError, UnreadableError

JSON = b"""{
  "id": 7, "big": 123456789012345678901234567890, "flag": false, "zero": 0, "empty": "", "none": null,
  "status": {"state": "done", "none": null}, "urls": ["a", "b"], "one": [{"u": "x"}],
  "files": [{"u": "x", "ok": true}, {"u": "y", "ok": false}], "items": "a key of this name",
  "a-b": {"c d": 1}, "text": "job 42 of 50", "nobody": []
}"""
XML = b"""<?xml version="1.0"?>
<f:Feed xmlns:f="urn:feed" id="77" f:kind="slow">
  <f:Status code="3">done</f:Status><f:Plain>x</f:Plain><f:Empty/>
  <f:Files><f:File size="1">a</f:File><f:File size="2">b</f:File></f:Files>
  <f:One><f:Name>n</f:Name></f:One>
</f:Feed>"""


def view(body: bytes = JSON, code: int = 202, headers: dict[str, str] | None = None) -> View:
    given = {"Location": "https://api/jobs/9?x=1", "Retry-After": "5"} if headers is None else headers
    return View(code, given, parse_body(body), "https://api/jobs", {"token": "t"})


def of(short: Any) -> Extractor:
    return Submit.model_validate({"request": {}, "id": short}).id


@pytest.mark.parametrize(
    ("extractor", "value"),
    [
        ("id", 7),
        ("big", 123456789012345678901234567890),
        ("flag", False),
        ("zero", 0),
        ("empty", ""),
        ("status.state", "done"),
        ("urls", ["a", "b"]),
        ("urls[0]", "a"),
        ("urls[-1]", "b"),
        ("one[*].u", "x"),
        ("files[?ok].u", "x"),
        ("files[*].u | [1]", "y"),
        ("files[*].u | join(',', @)", "x,y"),
        ("length(files)", 2),
        ("items", "a key of this name"),
        ('"a-b"."c d"', 1),
        ("@.id", 7),
        ({"path": "text", "regex": r"job (\d+)"}, "42"),
        ({"path": "text", "regex": r"\d+$"}, "50"),
        ({"path": "id", "regex": r"\d"}, "7"),
        ({"path": "flag", "regex": "fal.*"}, "false"),
        ({"header": "location"}, "https://api/jobs/9?x=1"),
        ({"header": "LOCATION", "regex": "jobs/([^?]+)"}, "9"),
        ({"code": True}, 202),
        ({"expr": "body.status.state ~ '-' ~ code"}, "done-202"),
        ({"expr": "headers['Retry-After'] | int"}, 5),
        ({"expr": "headers.location"}, "https://api/jobs/9?x=1"),
        ({"expr": "captures.token"}, "t"),
        ({"expr": "url"}, "https://api/jobs"),
    ],
)
def test_one_value_is_found(extractor: Any, value: object) -> None:
    found = extract(of(extractor), view())
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/Feed/@id", "77"),
        ("/Feed/@kind", "slow"),
        ("/Feed/Status", "done"),
        ("/Feed/Status/@code", "3"),
        ("/Feed/Plain", "x"),
        ("/Feed/One", {"f:Name": "n"}),
        ("/Feed/One/Name", "n"),
        ('"f:Feed"."f:Status"', "done"),
        ('"f:Feed"."f:Status"."#text"', "done"),
        ('"f:Feed"."f:Status"."@code"', "3"),
        ('"f:Feed"."f:Status".@code', "3"),
        ('"f:Feed".@id', "77"),
        ('"f:Feed".@f:kind', "slow"),
        ('"f:Feed"."f:Files"."f:File"[0]', "a"),
        ('"f:Feed"."f:Files"."f:File"[1].@size', "2"),
        ('"f:Feed"."f:Status".@', "done"),
        ('"f:Feed"."f:Plain".@', "x"),
        ("keys(\"f:Feed\") | [?starts_with(@, 'f:St')] | [0]", "f:Status"),
    ],
)
def test_xml_is_read_by_local_names_or_as_a_tree(path: str, value: object) -> None:
    assert extract(of(path), view(XML)) == value


@pytest.mark.parametrize(
    ("extractor", "values"),
    [
        ("files[*].u", ["x", "y"]),
        ("urls[]", ["a", "b"]),
        ("one[*].u", ["x"]),
        ("urls", ["a", "b"]),
        ("id", 7),
        ({"path": "urls[*]", "regex": "b"}, ["b"]),
        ({"path": "urls", "regex": "[ab]"}, ["a", "b"]),
    ],
)
def test_many_values_are_a_list(extractor: Any, values: object) -> None:
    assert extract(of(extractor), view(), single=False) == values


def test_many_elements_are_a_list() -> None:
    assert extract(of("/Feed/Files/File"), view(XML), single=False) == ["a", "b"]
    assert extract(of("/Feed/Files/File/@size"), view(XML), single=False) == ["1", "2"]
    assert extract(of("/Feed/Plain"), view(XML), single=False) == ["x"]


@pytest.mark.parametrize(
    ("extractor", "body", "count"),
    [
        ("files[*].u", JSON, 2),
        ("/Feed/Files/File", XML, 2),
        ("values(status)", JSON, None),
        ("urls[]", JSON, 2),
    ],
)
def test_more_than_one_match_for_one_value_is_an_error(
    extractor: str, body: bytes, count: int | None
) -> None:
    if count is None:
        assert extract(of(extractor), view(body)) == ["done", None]
        return
    with pytest.raises(UnreadableError) as caught:
        extract(of(extractor), view(body), where="submit.id")
    message = str(caught.value)
    assert message.startswith(
        f"submit.id: path {extractor!r} matches {count} values where one is wanted, such as '"
    )
    assert "| [0]" in message


@pytest.mark.parametrize(
    "extractor", ["gone", "status.gone.further", "urls[5]", "one[*].gone", "files[?u=='z'].u", "id.x"]
)
def test_nothing_is_missing_and_null_is_null(extractor: str) -> None:
    assert find(of(extractor), view()) is MISSING
    assert not MISSING
    assert find(of("none"), view()) is None
    assert find(of("status.none"), view()) is None


def test_null_in_an_element_of_xml_is_null() -> None:
    assert find(of("/Feed/Empty"), view(XML)) is None
    assert find(of("/Feed/Gone"), view(XML)) is MISSING


@pytest.mark.parametrize(
    ("extractor", "answer", "message"),
    [
        ("job.id", view(), "x: path 'job.id' matches nothing; the body has 'id', 'big', 'flag'"),
        ("none", view(), "x: path 'none' is null; the body has 'id'"),
        ("id", view(b'{"data": {"ID": 1, "state": 2}}'), "the body has 'data' with 'ID', 'state'"),
        ("id", view(b"[{'a': 1}]".replace(b"'", b'"')), "the body is a list of 1, the first with 'a'"),
        ("id", view(b"[]"), "the body is a list of 0"),
        ("id", view(b""), "the body is empty or null"),
        ("id", view(b"Job accepted: 7"), "the body is text: 'Job accepted: 7'"),
        ("id", view(b"7"), "the body is 7"),
        (
            "/Feed/Id",
            view(XML),
            "path '/Feed/Id' matches nothing; the body has 'f:Feed' with '@xmlns:f', '@id'",
        ),
        (
            {"header": "X-Job"},
            view(),
            "header 'X-Job' matches nothing; the answer has the headers location, retry-after",
        ),
        ({"header": "X-Job"}, view(headers={}), "the answer has the headers (none)"),
        (
            {"header": "location", "regex": "tasks/(.+)"},
            view(),
            "header 'location' with regex 'tasks/(.+)' matches nothing; the header is 'https://api/jobs/9?x=1'",
        ),
        ({"path": "text", "regex": "task (.+)"}, view(), "matches nothing; the text there is 'job 42 of 50'"),
        ({"path": "status", "regex": "x"}, view(), "with regex 'x' matches nothing"),
        ({"path": "text", "regex": "(task)?job"}, view(), "matches nothing"),
        ({"expr": "body.gone.id"}, view(), "expr 'body.gone.id' matches nothing"),
        ({"expr": "body.text + 1"}, view(), "does not work on this answer"),
        ({"template": "x", "regex": "y"}, view(), "matches nothing; the HTTP status code is 202"),
        ({"code": True, "regex": "4.."}, view(), "the HTTP status code with regex '4..' matches nothing"),
        ("length(id)", view(), "path 'length(id)' does not work on this answer"),
    ],
)
def test_what_is_not_there_says_what_is(extractor: Any, answer: View, message: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        extract(of(extractor), answer, where="x")
    assert message in str(caught.value)
    assert str(caught.value).startswith("x")


def test_a_long_body_is_shown_by_its_beginning() -> None:
    with pytest.raises(UnreadableError) as caught:
        extract(of("id"), view(b"{" + b",".join(b'"k%d": 1' % n for n in range(1000)) + b"}"))
    assert "'k19' and 980 more" in str(caught.value)
    with pytest.raises(UnreadableError) as caught:
        extract(of("id"), view(b"x" * 100_000))
    assert len(str(caught.value)) < 400


def test_a_template_makes_a_value_of_the_client() -> None:
    names = {"inputs": {"n": 7}, "idempotency_key": "key-1"}
    assert extract(of("{{ idempotency_key }}"), view(), names=names) == "key-1"
    assert extract(of("{{ inputs.n }}"), view(), names=names) == 7
    assert extract(of({"template": "x-{{ inputs.n }}", "regex": "-(.)"}), view(), names=names) == "7"
    with pytest.raises(TemplateError, match=r"^submit\.id: .*'gone' is not defined"):
        extract(of("{{ inputs.gone }}"), view(), names=names, where="submit.id")


@pytest.mark.parametrize(
    "path", ["a.b[*].c", "@", "/A", "/A/B", "/A/B/@c", "/A-b/c.d/_e", "a || b", "A.@b", "`1`"]
)
def test_good_paths(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a[", "'a[' is not a JMESPath"),
        ("", "'' is not a JMESPath"),
        ("a..b", "'a..b' is not a JMESPath"),
        ("a b", "'a b' is not a JMESPath"),
        ("(" * 3000 + "a" + ")" * 3000, "is not a JMESPath: nested too deeply"),
        ("frob(a)", "'frob(a)' is not a JMESPath: there is no function frob"),
        ("/", "is not a path of XML names: '' is wrong"),
        ("/A//B", "'' is wrong"),
        ("/A/@b/C", "'@b' is wrong"),
        ("/n:A", "'n:A' is wrong; write /Parent/Child or /Parent/Child/@attribute, names without prefix"),
        ("/A[1]", "'A[1]' is wrong"),
    ],
)
def test_wrong_paths_say_what_is_wrong(path: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        check_path(path)
    assert message in str(caught.value)


def test_headers_have_names_in_any_case() -> None:
    headers = Headers({"Content-TYPE": "a/b"})
    assert headers["content-type"] == headers["Content-Type"] == "a/b"
    assert "CONTENT-TYPE" in headers
    assert "x" not in headers
    assert 5 not in headers
    assert dict(headers) == {"content-type": "a/b"}
    assert len(headers) == 1
