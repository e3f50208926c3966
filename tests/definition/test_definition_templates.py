"""Templates and expressions: types, encoding, what is undefined, and what the sandbox refuses."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from airflow_asyncjob.definition.templates import evaluate, inspect, render, render_url, render_xml
from airflow_asyncjob.errors import TemplateError, UnreadableError

NAMES: dict[str, Any] = {
    "inputs": {
        "n": 7,
        "yes": True,
        "nothing": None,
        "ids": ["a", "b c"],
        "tree": {"k": [1, None]},
        "text": "a b/c?&<\N{LATIN SMALL LETTER U WITH DIAERESIS}>",
        "items": "an input of this name",
        "when": datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC),
    },
    "submission_id": "job 7/8",
    "captures": {},
    "ds": "2026-01-31",
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ inputs.n }}", 7),
        ("{{ inputs.yes }}", True),
        ("{{ inputs.nothing }}", None),
        ("{{ inputs.ids }}", ["a", "b c"]),
        ("{{ inputs.tree }}", {"k": [1, None]}),
        ("{{ inputs.tree.k[0] }}", 1),
        ("{{ inputs.items }}", "an input of this name"),
        ("{{ inputs['items'] }}", "an input of this name"),
        ("{{ inputs.n + 1 }}", 8),
        ("{{ 2 ** 10 }}", 1024),
        ("{{ inputs.n % 4 * 3 }}", 9),
        ("{{ '-' * 3 }}", "---"),
        ("{{ inputs.n }}{# why #}", 7),
        ("{{ inputs.get('n') }}", 7),
        ("{{ inputs.gone | default('x') }}", "x"),
        ("{{ inputs.gone is defined }}", False),
        ("n={{ inputs.n }}", "n=7"),
        ("{{ inputs.n }}\n", "7\n"),
        (" {{ inputs.yes }}", " true"),
        ("{{ inputs.n }}{{ inputs.n }}", "77"),
        ("{{ inputs.when }} is it", "2026-01-31T12:00:00+00:00 is it"),
        ("{{ inputs.tree | tojson }}", '{"k":[1,null]}'),
        ("<{{ inputs.text | tojson }}>", '<"a b/c?&<\N{LATIN SMALL LETTER U WITH DIAERESIS}>">'),
        ("{{ inputs.ids | join(',') }}", "a,b c"),
        ("{% for i in inputs.ids %}[{{ i }}]{% endfor %}", "[a][b c]"),
        ("{% if inputs.nothing %}a{% else %}b{% endif %}", "b"),
        ("{% raw %}{{ kept }}{% endraw %}", "{{ kept }}"),
        ("no template", "no template"),
        ("{ not one }", "{ not one }"),
    ],
)
def test_a_single_expression_keeps_its_type_and_text_around_it_makes_text(
    template: str, value: object
) -> None:
    rendered = render(template, NAMES, where="submit.request.json")
    assert rendered == value
    assert type(rendered) is type(value)


def test_every_text_inside_is_rendered_and_nothing_else_is_touched() -> None:
    value = {"{{ ds }}": ["{{ inputs.n }}", {"a": "{{ inputs.ids }}"}, None, 1.5], "b": True}
    assert render(value, NAMES, where="x") == {"2026-01-31": [7, {"a": ["a", "b c"]}, None, 1.5], "b": True}


UNDEFINED = {
    "an unknown member": ("{{ inputs.gone }}", "'gone' is not defined; there is: n, yes, nothing"),
    "of something empty": ("/{{ captures.token }}", "'token' is not defined; there is nothing"),
    "of what is undefined": ("{{ captures.token.value }}", "'token' is not defined"),
    "a name that is not known": ("{{ download_target }}", "'download_target' is not known here"),
    "a position": ("{{ inputs.ids[5] }}", "5 is not defined; there is a list of 2"),
    "a member of text": ("{{ ds.year }}", "'year' is not defined; there is text"),
    "in a test of truth": ("{% if captures.token %}a{% endif %}", "'token' is not defined"),
    "in a loop": ("{% for i in captures.all %}a{% endfor %}", "'all' is not defined"),
}


@pytest.mark.parametrize(("template", "message"), UNDEFINED.values(), ids=UNDEFINED.keys())
def test_what_is_undefined_is_an_error_that_names_the_field(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render({"a": [template]}, NAMES, where="submit.request.json")
    assert str(caught.value).startswith("submit.request.json.a[0]: ")
    assert message in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "x{{ inputs.nothing }}",
            "the value is null, which cannot stand inside text; use default('...', true)",
        ),
        ("x{{ inputs.ids }}", "the value is a list, which cannot stand inside text; use join(',') or tojson"),
        ("x{{ inputs.tree }}", "the value is a mapping"),
        ("{{ inputs.get }}", "the value is a function"),
        ("x{{ inputs.keys }}", "cannot stand inside text"),
        ("{{ inputs.n / 0 }}", "ZeroDivisionError"),
        ("{{ inputs.n + 'a' }}", "unsupported operand"),
    ],
)
def test_a_value_that_cannot_stand_there_is_an_error(template: str, message: str) -> None:
    with pytest.raises(TemplateError, match=r"^status\.request\.url: ") as caught:
        render(template, NAMES, where="status.request.url")
    assert message in str(caught.value)


def test_a_key_is_text() -> None:
    assert render({"{{ inputs.n }}": 1}, NAMES, where="x") == {"7": 1}
    with pytest.raises(TemplateError, match=r"^submit\.request\.json: a key is text, and the value is null"):
        render({"{{ inputs.nothing }}": 1}, NAMES, where="submit.request.json")


def test_an_expression_of_wrong_syntax_is_a_mistake_of_the_definition() -> None:
    with pytest.raises(
        TemplateError, match=r"^errors\.status\[0\]\.when: 'code ==' is not a valid expression"
    ):
        evaluate("code ==", {}, where="errors.status[0].when")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ inputs.__class__ }}",
        "{{ inputs.ids.__class__.__mro__ }}",
        "{{ inputs | attr('__class__') }}",
        "{{ ds.format.__globals__ }}",
        "{{ '{0.__class__}'.format(inputs) }}",
        "{{ inputs.update({'a': 1}) }}",
        "{{ inputs.ids.append(1) }}",
        "{{ range(1000000000) | list }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ 1000000000 * 'a' }}",
        "{{ 9 ** 99999999 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ cycler }}",
        "{{ lipsum }}",
    ],
)
def test_the_sandbox_gives_no_way_into_python_and_no_endless_work(template: str) -> None:
    with pytest.raises(TemplateError, match=r"^where: "):
        render(template, NAMES, where="where")


def test_a_render_leaves_the_names_as_they_were() -> None:
    names = {"inputs": {"ids": [1]}}
    assert render("{% set inputs = 5 %}{{ inputs }}", names, where="x") == "5"
    assert names == {"inputs": {"ids": [1]}}


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("/jobs/{{ submission_id }}", "/jobs/job%207%2F8"),
        ("/q?text={{ inputs.text }}&n={{ inputs.n }}", "/q?text=a%20b%2Fc%3F%26%3C%C3%BC%3E&n=7"),
        ("{{ inputs.text }}", NAMES["inputs"]["text"]),
        ("/x/{{ 'a&b' }}", "/x/a%26b"),
        ("/x/{{ inputs.ids | join(',') }}", "/x/a%2Cb%20c"),
        ("/x{{ '/kept/as?it=is' | safe }}", "/x/kept/as?it=is"),
        ("{% if inputs.yes %}/yes/{{ submission_id }}{% endif %}", "/yes/job%207%2F8"),
        ("{% set id = submission_id %}/x/{{ id }}", "/x/job%207%2F8"),
        ("/x/{{ inputs.yes }}", "/x/true"),
        ("/plain path", "/plain path"),
    ],
)
def test_values_in_a_url_are_encoded_unless_the_url_is_one_expression(template: str, url: str) -> None:
    rendered = render_url(template, NAMES, where="status.request.url")
    assert rendered == url
    assert type(rendered) is str


@pytest.mark.parametrize("step", [".", ".."])
def test_a_value_cannot_lead_a_url_elsewhere(step: str) -> None:
    with pytest.raises(TemplateError, match="would lead to another address"):
        render_url("/jobs/{{ submission_id }}/result", {"submission_id": step}, where="status.request.url")


@pytest.mark.parametrize("template", ["{{ inputs.n }}", "{{ inputs.ids }}", "{{ inputs.nothing }}"])
def test_a_url_that_is_one_expression_gives_text(template: str) -> None:
    with pytest.raises(TemplateError, match="a URL is text"):
        render_url(template, NAMES, where="status.request.url")


@pytest.mark.parametrize(
    ("template", "xml"),
    [
        ("<a b='{{ inputs.text }}'/>", "<a b='a b/c?&amp;&lt;\N{LATIN SMALL LETTER U WITH DIAERESIS}&gt;'/>"),
        ('<a>{{ "it\'s" }}</a>', "<a>it&#39;s</a>"),
        ("<a>{{ '<b/>' | safe }}</a>", "<a><b/></a>"),
        ("<a>{{ inputs.n }}</a>", "<a>7</a>"),
        ("{{ '<a/>' }}", "<a/>"),
    ],
)
def test_values_in_xml_are_escaped_unless_the_body_is_one_expression(template: str, xml: str) -> None:
    assert render_xml(template, NAMES, where="submit.request.xml") == xml


ANSWER = {"code": 200, "headers": {}, "body": {"state": "x", "n": 3, "none": None}, "captures": {}, "url": ""}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("code == 200", True),
        ("body.n > 2 and body.state in ['x', 'y']", True),
        ("body.state", "x"),
        ("body.gone", None),
        ("body.gone.further.still", None),
        ("body.gone is defined", False),
        ("body.none is defined", True),
        ("body.none", None),
        ("not body.gone", True),
        ("body.gone == 'x'", False),
        ("body.gone != 'x'", True),
        ("body.gone > 3", False),
        ("body.gone <= 3", False),
        ("3 > body.gone", False),
        ("'x' in body.gone", False),
        ("body.gone | length", 0),
        ("body.items", None),
        ("body.values.x", None),
        ("body['keys']", None),
        ("body.gone | default('none')", "none"),
        ("{'a': body.n}", {"a": 3}),
    ],
)
def test_an_expression_takes_what_is_absent_for_false(expression: str, value: object) -> None:
    assert evaluate(expression, ANSWER, where="status.rules[0].when") == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("body | map(attribute='ok')", [True, None]),
        ("body | selectattr('fatal')", []),
        ("body | rejectattr('ok') | map(attribute='id')", [8]),
        ("range(2)", [0, 1]),
    ],
)
def test_what_a_filter_gives_lazily_is_a_list(expression: str, value: object) -> None:
    body = [{"id": 7, "ok": True}, {"id": 8}]
    assert evaluate(expression, {"body": body}, where="status.rules[0].when") == value


@pytest.mark.parametrize("expression", ["body.state + 1", "body.state > 1", "body.gone + 1", "code()"])
def test_an_expression_that_does_not_fit_the_answer_says_so(expression: str) -> None:
    with pytest.raises(UnreadableError, match=r"^errors.status\[0\].when: .* does not work on this answer: "):
        evaluate(expression, ANSWER, where="errors.status[0].when")


@pytest.mark.parametrize(
    ("text", "expression", "message"),
    [
        ("{{ inputs.a", False, "is not a valid template"),
        ("{{ }}", False, "is not a valid template"),
        ("{% if x %}", False, "is not a valid template"),
        ("{% frob %}", False, "unknown tag 'frob'"),
        ("{% include 'x' %}", False, "include is not available"),
        ("{% import 'x' as y %}", False, "import is not available"),
        ("{% extends 'x' %}", False, "extends is not available"),
        ("{% block a %}{% endblock %}{% block a %}{% endblock %}", False, "block 'a' defined twice"),
        ("{{ a | jsonify }}", False, "there is no filter 'jsonify'; did you mean 'tojson'?"),
        ("{% if a %}{{ b | random }}{% endif %}", False, "there is no filter 'random'"),
        ("{{ a is emtpy }}", False, "there is no test 'emtpy'"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", False, "nested too deeply"),
        ("{{ code == 200 }}", True, "is an expression, not a template: write it without {{ }}"),
        ("code ==", True, "is not a valid expression"),
        ("code 200", True, "unexpected 200 after the expression"),
        ("", True, "is not a valid expression"),
    ],
)
def test_wrong_syntax_is_found_without_rendering(text: str, expression: bool, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        inspect(text, expression=expression)
    assert message in str(caught.value)


def test_what_a_template_uses_is_known_without_rendering() -> None:
    used = inspect(
        "{{ inputs.a }} {{ inputs['b'] }} {{ captures.get('c') }} {{ inputs.keys() }} {{ range(2) }}"
        "{% set local = ds %}{{ local }}{% for i in part %}{{ i.x }}{% endfor %}"
    )
    assert used.names == {"inputs", "captures", "ds", "part"}
    assert used.members == {("inputs", "a"), ("inputs", "b"), ("captures", "c")}
