"""Any definition that loads is written and read again as the same one, and is right for an editor."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.models.rules import STATES
from airflow_asyncjob.definition.schema import json_schema
from airflow_asyncjob.definition.yaml12 import read_json, read_yaml

# Text that YAML can hold as it is, and that is no template.
TEXT = st.text(
    st.characters(max_codepoint=0x2FF, exclude_categories=["Cc"], exclude_characters="{}"), max_size=12
)
WORD = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,7}", fullmatch=True)
NUMBER = st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9, allow_nan=False)
SCALAR = st.none() | st.booleans() | NUMBER | TEXT
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
SECONDS = st.integers(1, 10_000) | st.sampled_from(["30s", "2m", "1h"])
TEMPLATE = TEXT | st.sampled_from(["{{ ds }}", "x-{{ inputs.a }}", "{% if run_id %}a{% endif %}"])

EXTRACTOR = (
    WORD
    | st.sampled_from(["a.b[0]", "a[*].b", "/A/B/@c", "@"])
    | st.fixed_dictionaries({"path": WORD}, optional={"regex": st.sampled_from(["(.+)", "[0-9]+$"])})
    | st.fixed_dictionaries({"header": WORD})
    | st.just({"code": True})
    | st.just({"expr": "body.a == 1 and code < 300"})
)
FIELDS = st.dictionaries(WORD, SCALAR | st.lists(SCALAR, max_size=3), max_size=3)
BODY = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"json": JSON}),
    st.fixed_dictionaries({"form": FIELDS}),
    st.fixed_dictionaries({"text": TEMPLATE}),
    st.fixed_dictionaries(
        {"xml": st.just("<a>{{ ts }}</a>") | st.dictionaries(WORD, JSON, min_size=1, max_size=1)}
    ),
)


@st.composite
def requests(draw: st.DrawFn, *, method: bool = False) -> dict[str, Any]:
    request = draw(
        st.fixed_dictionaries(
            {"method": st.sampled_from(["POST", "DELETE", "PUT"])} if method else {},
            optional={
                "url": st.sampled_from(
                    ["/jobs", "https://x.example/y", "/x/{{ inputs.a }}", "{{ inputs.a }}"]
                ),
                "params": FIELDS,
                "headers": st.dictionaries(st.sampled_from(["Accept", "X-A"]), TEMPLATE, max_size=2),
                "response": st.sampled_from(["auto", "json", "xml", "text"]),
                "auth": st.sampled_from(["connection", "none", {"connection": "c", "type": "bearer"}]),
            },
        )
    )
    return {**request, **draw(BODY)}


@st.composite
def status_values(draw: st.DrawFn) -> dict[str, Any]:
    words = draw(st.lists(SCALAR, min_size=1, max_size=8, unique_by=lambda word: (type(word), word)))
    states = [draw(st.sampled_from(STATES)) for _ in words]
    states[0] = "done"
    values: dict[str, Any] = {}
    for state, word in zip(states, words, strict=True):
        values.setdefault(state, []).append(word)
    return {
        state: given[0] if len(given) == 1 and given[0] is not None and draw(st.booleans()) else given
        for state, given in values.items()
    }


INPUT = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"default": TEXT}, optional={"description": TEXT}),
    st.fixed_dictionaries({"type": st.just("integer"), "default": st.none() | st.integers()}),
    st.fixed_dictionaries({"type": st.just("list"), "default": st.lists(JSON, max_size=3)}),
    st.fixed_dictionaries({"type": st.just("object"), "default": st.dictionaries(TEXT, JSON, max_size=3)}),
    st.fixed_dictionaries({"type": st.just("datetime"), "format": st.sampled_from(["iso", "unix", "%Y"])}),
    st.fixed_dictionaries({"required": st.booleans()}),
)
RECORDS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"format": st.just("json"), "records": st.sampled_from(["data", "a.b c"])}),
    st.fixed_dictionaries(
        {"format": st.sampled_from(["csv", "jsonl"])},
        optional={
            "primary_key": WORD | st.lists(WORD, max_size=2),
            "types": st.dictionaries(WORD, st.just("date"), max_size=2),
        },
    ),
)
RULE = st.fixed_dictionaries(
    {"when": st.just("code == 404"), "then": st.just("retry")},
    optional={"wait": SECONDS, "message": st.just("{{ url }}")},
)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    poll = draw(st.fixed_dictionaries({}, optional={
        "poll_wait": SECONDS,
        "timeout": st.just("3h"),
        "growth": st.floats(1, 10),
        "jitter": st.floats(0, 1),
        "unknown": st.sampled_from(["fail", "running"]),
        "unknown_times": st.integers(1, 9),
        "message": EXTRACTOR,
        "progress": EXTRACTOR,
        "rules": st.just([{"when": "not body.x", "state": "running"}]),
    }))  # fmt: skip
    return {
        "inputs": {**draw(st.dictionaries(WORD, INPUT, max_size=3)), "a": {}},
        "submit": {
            "request": draw(requests()),
            "id": draw(EXTRACTOR),
            **draw(
                st.fixed_dictionaries({}, optional={"capture": st.dictionaries(WORD, EXTRACTOR, max_size=2)})
            ),
        },
        "status": {
            "request": draw(requests()),
            "path": draw(EXTRACTOR),
            "values": draw(status_values()),
            **poll,
        },
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "version": st.just(1),
                    "name": TEXT,
                    "connection": st.none() | WORD,
                    "cancel": requests(method=True),
                    "delete": requests(method=True),
                    "result": st.builds(lambda r, t: {**r, "target": t}, RECORDS, EXTRACTOR),
                    "errors": st.fixed_dictionaries({}, optional={"submit": st.lists(RULE, max_size=2)}),
                    "auth": st.sampled_from([{"type": "basic"}, {"type": "api_key", "query": "k"}]),
                    "limits": st.fixed_dictionaries({}, optional={"retries": st.integers(0, 9)}),
                },
            )
        ),
    }


EDITOR = jsonschema.Draft202012Validator(json_schema())
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EXAMPLES
@given(definitions())
def test_a_definition_is_written_and_read_again_as_the_same(data: dict[str, Any]) -> None:
    job = AsyncJob.load(data)
    written = job.to_dict()
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    again = AsyncJob.load(json.loads(json.dumps(written)))
    assert again == job
    assert again.to_dict() == written
    assert AsyncJob.model_validate(written) == job
    assert repr(again.to_dict()) == repr(written)  # 1, 1.0 and true are equal, and are not the same


@EXAMPLES
@given(definitions())
def test_what_loads_is_right_for_an_editor(data: dict[str, Any]) -> None:
    EDITOR.validate(data)
    EDITOR.validate(AsyncJob.load(data).to_dict())


@EXAMPLES
@given(definitions(), st.booleans())
def test_a_file_says_the_same_as_the_object(data: dict[str, Any], ascii_only: bool) -> None:
    content = json.dumps(data, indent=1, ensure_ascii=ascii_only).encode()
    for read in (read_yaml, read_json):
        assert repr(AsyncJob.load(read(content, "job").data)) == repr(AsyncJob.load(data))
