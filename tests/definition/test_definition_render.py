"""Requests become method, URL, headers and bytes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest

from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.render import RenderedRequest, render_request, uses_name
from airflow_asyncjob.errors import TemplateError

NAMES: dict[str, Any] = {
    "inputs": {
        "n": 7,
        "ids": ["a", "b&c"],
        "nothing": None,
        "yes": True,
        "text": "<&\"'>\N{SNOWMAN}",
        "tree": {"a": 1},
    },
    "submission_id": "7",
    "idempotency_key": "key-1",
}


def rendered(**request: Any) -> RenderedRequest:
    return render_request(Request(**request), NAMES, where="submit.request")


def test_a_plain_get() -> None:
    request = rendered(url="/jobs/{{ submission_id }}")
    assert request == RenderedRequest("GET", "/jobs/7", (), {}, None, None)


def test_parameters_repeat_for_lists_and_are_left_out_for_null() -> None:
    params = {
        "id": "{{ inputs.ids }}",
        "n": "{{ inputs.n }}",
        "f": "json",
        "gone": "{{ inputs.nothing }}",
        "also": None,
        "flag": "{{ inputs.yes }}",
        "list": [1, None, "x"],
        "{{ 'key' }}": 1.5,
    }
    assert rendered(params=params).params == (
        ("id", "a"),
        ("id", "b&c"),
        ("n", "7"),
        ("f", "json"),
        ("flag", "true"),
        ("list", "1"),
        ("list", "x"),
        ("key", "1.5"),
    )


def test_a_json_body_is_compact_unicode_with_types() -> None:
    body = {
        "ids": "{{ inputs.ids }}",
        "n": "{{ inputs.n }}",
        "t": "{{ inputs.text }}",
        "none": None,
        "s": "n{{ inputs.n }}",
    }
    request = rendered(method="post", json=body)
    assert request.method == "POST"
    assert request.content_type == "application/json"
    assert request.content is not None
    assert request.content.startswith(b'{"ids":["a","b&c"],"n":7,"t":"<&\\"\'>')
    assert json.loads(request.content) == {
        "ids": ["a", "b&c"],
        "n": 7,
        "t": NAMES["inputs"]["text"],
        "none": None,
        "s": "n7",
    }


@pytest.mark.parametrize("value", [None, 0, False, "", [], "{{ inputs.nothing }}"])
def test_an_empty_json_value_is_a_body_all_the_same(value: object) -> None:
    request = rendered(json=value)
    assert request.content == json.dumps(None if value == "{{ inputs.nothing }}" else value).encode()


def test_a_whole_json_body_can_be_one_input() -> None:
    assert rendered(json="{{ inputs.tree }}").content == b'{"a":1}'


def test_a_form() -> None:
    request = rendered(
        form={"id": "{{ inputs.ids }}", "t": "{{ inputs.text }}", "x": None, "y": "{{ inputs.yes }}"}
    )
    assert request.content_type == "application/x-www-form-urlencoded"
    assert request.content is not None
    assert parse_qsl(request.content.decode()) == [
        ("id", "a"),
        ("id", "b&c"),
        ("t", NAMES["inputs"]["text"]),
        ("y", "true"),
    ]


def test_xml_text_escapes_values() -> None:
    request = rendered(xml="\n<?xml version='1.0'?><a b=\"{{ inputs.text }}\">{{ inputs.text }}</a>")
    assert request.content_type == "application/xml; charset=utf-8"
    assert request.content is not None
    root = ElementTree.fromstring(request.content)
    assert (root.text, root.attrib["b"]) == (NAMES["inputs"]["text"], NAMES["inputs"]["text"])


def test_xml_as_a_tree() -> None:
    tree = {
        "Feed": {
            "@xmlns": "urn:x",
            "@n": "{{ inputs.n }}",
            "Item": "{{ inputs.ids }}",
            "Flag": "{{ inputs.yes }}",
            "None": None,
            "Text": {"@lang": "de", "#text": "{{ inputs.text }}"},
        }
    }
    content = rendered(xml=tree).content
    assert content is not None
    root = ElementTree.fromstring(content)
    ns = "{urn:x}"
    assert root.tag == f"{ns}Feed"
    assert root.attrib == {"n": "7"}
    assert [item.text for item in root.findall(f"{ns}Item")] == ["a", "b&c"]
    assert root.findtext(f"{ns}Flag") == "true"
    assert root.findtext(f"{ns}None") == ""
    assert root.findtext(f"{ns}Text") == NAMES["inputs"]["text"]


def test_xml_is_written_in_the_encoding_that_it_names() -> None:
    request = rendered(
        xml="<?xml version='1.0' encoding='iso-8859-1'?><a>\N{LATIN SMALL LETTER E WITH ACUTE}</a>"
    )
    assert request.content_type == "application/xml; charset=iso-8859-1"
    assert request.content is not None
    assert b"\xe9" in request.content


def test_xml_that_is_one_expression_is_sent_as_it_is() -> None:
    names = {"inputs": {"document": "<a>&lt;</a>", "tree": {"a": {"b": 1}}}}
    text = render_request(Request(xml="{{ inputs.document }}"), names)
    tree = render_request(Request(xml="{{ inputs.tree }}"), names)
    assert text.content == b"<a>&lt;</a>"
    assert tree.content is not None
    assert tree.content.endswith(b"<a><b>1</b></a>")


def test_text() -> None:
    request = rendered(text="{{ inputs.n }}")
    assert (request.content, request.content_type) == (b"7", "text/plain; charset=utf-8")


def test_headers_are_text_and_null_leaves_one_out() -> None:
    headers = {
        "X-N": "{{ inputs.n }}",
        "X-Flag": "{{ inputs.yes }}",
        "X-None": "{{ inputs.nothing }}",
        "Prefer": "respond-async",
    }
    assert rendered(headers=headers).headers == {"X-N": "7", "X-Flag": "true", "Prefer": "respond-async"}


def test_the_content_type_of_the_headers_wins() -> None:
    request = rendered(json={}, headers={"content-type": "application/vnd.x+json"})
    assert request.content_type is None


@pytest.mark.parametrize(
    ("request_fields", "names", "message"),
    [
        (
            {"url": "/x/{{ inputs.gone }}"},
            {},
            "submit.request.url: '/x/{{ inputs.gone }}': 'gone' is not defined",
        ),
        ({"params": {"a": ["{{ inputs.gone }}"]}}, {}, "submit.request.params.a[0]: "),
        ({"headers": {"A": "{{ inputs.gone }}"}}, {}, "submit.request.headers.A: "),
        ({"json": {"a": {"b": "{{ inputs.gone }}"}}}, {}, "submit.request.json.a.b: "),
        ({"form": {"a": "{{ inputs.gone }}"}}, {}, "submit.request.form.a: "),
        ({"xml": "<a>{{ inputs.gone }}</a>"}, {}, "submit.request.xml: "),
        ({"xml": {"a": {"b": "{{ inputs.gone }}"}}}, {}, "submit.request.xml.a.b: "),
        ({"text": "{{ inputs.gone }}"}, {}, "submit.request.text: "),
        ({"url": "{{ inputs.v }}"}, {"v": "/a\nb"}, "a URL cannot have line breaks or control characters"),
        ({"url": "{{ inputs.v }}"}, {"v": ""}, "is empty once rendered"),
        (
            {"headers": {"A": "{{ inputs.v }}"}},
            {"v": "a\r\nB: c"},
            "submit.request.headers.A: a header cannot have line breaks",
        ),
        ({"headers": {"A": "x{{ inputs.v }}"}}, {"v": "\x00"}, "a header cannot have line breaks or control"),
        ({"headers": {"{{ inputs.v }}": "x"}}, {"v": "a: b"}, "'a: b' is not the name of a header"),
        ({"headers": {"A": "{{ inputs.v }}"}}, {"v": [1]}, "submit.request.headers.A: the value is a list"),
        (
            {"params": {"a": "{{ inputs.v }}"}},
            {"v": {"b": 1}},
            "submit.request.params.a: the value is a mapping",
        ),
        ({"form": {"a": "{{ inputs.v }}"}}, {"v": [[1]]}, "submit.request.form.a: the value is a list"),
        ({"text": "{{ inputs.v }}"}, {"v": None}, "submit.request.text: the value is null"),
        ({"json": {"a": "{{ inputs.v }}"}}, {"v": float("nan")}, "the body cannot be written as JSON"),
        ({"json": {"a": "{{ inputs.v }}"}}, {"v": object()}, "the body cannot be written as JSON"),
        ({"json": {"a": "{{ inputs.v }}"}}, {"v": "\ud800"}, "the body cannot be encoded"),
        ({"xml": "<a>{{ inputs.v }}</a>"}, {"v": "\x01"}, "the character U+0001 cannot stand in XML"),
        ({"xml": "{{ inputs.v }}"}, {"v": 5}, "an XML body is text or a mapping with one root, not a number"),
        ({"xml": "{{ inputs.v }}"}, {"v": {"a": 1, "b": 2}}, "the tree cannot be written as XML"),
        ({"xml": {"a": {"b c": 1}}}, {}, "the tree cannot be written as XML"),
    ],
)
def test_what_cannot_be_sent_names_the_field(
    request_fields: dict[str, Any], names: dict[str, Any], message: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        render_request(Request(**request_fields), {"inputs": names}, where="submit.request")
    assert message in str(caught.value)


def test_an_injected_header_never_reaches_a_message() -> None:
    with pytest.raises(TemplateError) as caught:
        render_request(Request(headers={"A": "{{ inputs.v }}"}), {"inputs": {"v": "secret\r\nB: c"}})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "/{{ idempotency_key }}"},
        {"params": {"k": "{{ idempotency_key }}"}},
        {"headers": {"Idempotency-Key": "a-{{ idempotency_key }}"}},
        {"json": {"a": [{"{{ idempotency_key }}": 1}]}},
        {"form": {"k": "{{ idempotency_key }}"}},
        {"xml": "<a>{{ idempotency_key }}</a>"},
        {"xml": {"a": "{{ idempotency_key }}"}},
        {"text": "{% if idempotency_key %}{% endif %}"},
    ],
)
def test_a_name_is_found_wherever_it_is_used(fields: dict[str, Any]) -> None:
    assert uses_name(Request(**fields), "idempotency_key")
    assert not uses_name(Request(**fields), "submission_id")


def test_a_name_in_plain_text_is_not_used() -> None:
    assert not uses_name(Request(url="/idempotency_key", json={"idempotency_key": "x"}), "idempotency_key")
