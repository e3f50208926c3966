"""asyncjob run with download targets that expire, and with targets that are secrets."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.cli.command import Asyncjob, Ran
from tests.servers.scripted import Reply, Scripted, running, turns

JOB: dict[str, Any] = {
    "submit": {"request": {"url": "/jobs"}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "state",
        "values": {"running": "busy", "done": "ready", "failed": "bad"},
        "expires_at": "until",
        "poll_wait": 0.05,
        "capture": {"part": "part"},
    },
    "result": {"target": "url", "format": "csv"},
    "limits": {"retries": 0},
}
PAST, FUTURE = time.time() - 60, time.time() + 3600
ROWS = "a,b\n1,2\n"


def ready(url: str, until: Any, **more: Any) -> dict[str, Any]:
    return {"state": "ready", "url": url, "until": until, **more}


def run(asyncjob: Asyncjob, api: Scripted, job: Mapping[str, Any] = JOB) -> Ran:
    name = asyncjob.write(dict(job))
    given = ("--base-url", api.base, "--output", "json", "--trace", "trace.json")
    return asyncjob("run", name, "--destination", "out.jsonl", *given)


SUBMITTED = {"POST /jobs": {"id": "7"}}


def test_a_target_that_has_expired_is_asked_for_again(asyncjob: Asyncjob) -> None:
    polls = turns(ready("/old", PAST), ready("/new", FUTURE))
    with running({**SUBMITTED, "GET /jobs/7": polls, "GET /new": ROWS}) as api:
        ran = run(asyncjob, api)
    assert ran.code == 0, ran.stderr
    assert [str(asked) for asked in api.asked] == ["POST /jobs", "GET /jobs/7", "GET /jobs/7", "GET /new"]
    assert "The download target expired at" in ran.stderr
    assert json.loads((asyncjob.folder / "out.jsonl").read_text()) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("until", [FUTURE, None, "soon"], ids=["future", "none", "word"])
def test_a_target_that_has_not_expired_is_used(asyncjob: Asyncjob, until: Any) -> None:
    with running({**SUBMITTED, "GET /jobs/7": ready("/old", until), "GET /old": ROWS}) as api:
        assert run(asyncjob, api).code == 0
    assert len(api.of("GET /jobs/7")) == 1


@pytest.mark.parametrize(
    "second",
    [
        Reply(404, {"error": "no such job"}),
        Reply(503, {"error": "closed"}),
        {"state": "bad"},
        ready("/old", PAST),
    ],
)
def test_the_answer_to_the_download_decides_whatever_the_clock_says(asyncjob: Asyncjob, second: Any) -> None:
    polls = turns(ready("/old", PAST), second)
    with running({**SUBMITTED, "GET /jobs/7": polls, "GET /old": ROWS}) as api:
        ran = run(asyncjob, api)
    assert ran.code == 0, ran.stderr
    assert len(api.of("GET /jobs/7")) == 2
    if second != ready("/old", PAST):
        assert "There is no fresh download target, and the old one is tried: " in ran.stderr


def test_a_target_that_is_gone_is_told_by_the_download(asyncjob: Asyncjob) -> None:
    gone = Reply(410, {"error": "link expired"})
    with running({**SUBMITTED, "GET /jobs/7": ready("/old", PAST), "GET /old": gone}) as api:
        ran = run(asyncjob, api)
    assert ran.code == 1
    assert "/old answered 410" in ran.last["message"]


def test_the_fresh_look_gives_fresh_captures_too(asyncjob: Asyncjob) -> None:
    job = {
        **JOB,
        "result": {**JOB["result"], "request": {"url": "/{{ download_target }}/{{ captures.part }}"}},
    }
    polls = turns(ready("old", PAST, part=1), ready("new", FUTURE, part=2))
    with running({**SUBMITTED, "GET /jobs/7": polls, "GET /new/2": ROWS}) as api:
        assert run(asyncjob, api, job).code == 0


def test_data_that_are_gone_meanwhile_are_no_data(asyncjob: Asyncjob) -> None:
    polls = turns(ready("/old", PAST), {"state": "ready", "url": []})
    with running({**SUBMITTED, "GET /jobs/7": polls}) as api:
        ran = run(asyncjob, api)
    assert (ran.code, ran.last["state"], ran.last["uris"]) == (0, "no_data", [])


# Secret -------------------------------------------------------------------------------------


HIDDEN = {**JOB, "result": {**JOB["result"], "secret": True}}
SIGNED = "BASE/files/7?X-Amz-Signature=s3cr3t-signature"


def test_a_secret_target_is_asked_for_when_it_is_needed_and_shown_nowhere(asyncjob: Asyncjob) -> None:
    routes = {**SUBMITTED, "GET /jobs/7": ready(SIGNED, None), r"GET /files/7\?.*": ROWS}
    with running(routes) as api:
        ran = run(asyncjob, api, HIDDEN)
    assert ran.code == 0, ran.stderr
    assert [str(asked).partition("?")[0] for asked in api.asked] == [
        "POST /jobs",
        "GET /jobs/7",
        "GET /jobs/7",
        "GET /files/7",
    ]
    for text in (ran.stdout, ran.stderr, (asyncjob.folder / "trace.json").read_text()):
        assert "s3cr3t-signature" not in text


def test_a_secret_target_may_lie_at_another_origin(asyncjob: Asyncjob) -> None:
    with running({"GET /store/s3cr3t-of-a-download": ROWS}) as store:
        target = ready(f"{store.base}/store/s3cr3t-of-a-download", None)
        with running({**SUBMITTED, "GET /jobs/7": target}) as api:
            ran = run(asyncjob, api, HIDDEN)
    assert ran.code == 0, ran.stderr
    assert len(store.asked) == 1
    for text in (ran.stdout, ran.stderr, (asyncjob.folder / "trace.json").read_text()):
        assert "s3cr3t-of-a-download" not in text


@pytest.mark.parametrize("path", ["files/s3cr3t-of-a-download", "files/7?k=s3cr3t-of-a-download"])
@pytest.mark.parametrize("early", [False, True])
def test_a_secret_target_is_shown_nowhere_whatever_its_secret_part_is_called(
    asyncjob: Asyncjob, path: str, early: bool
) -> None:
    job = {**HIDDEN, "status": {**JOB["status"], "from": "submit"}} if early else HIDDEN
    target, sent = ready(f"BASE/{path}", None, id="7"), f"GET /{re.escape(path)}"
    following = f"/{path.partition('?')[0]}?page=2&k=s3cr3t-of-a-download"
    job = {**job, "result": {**job["result"], "paginate": {"next": {"header": "next"}}}}
    routes = {
        "POST /jobs": target if early else {"id": "7"},
        "GET /jobs/7": target,
        sent: Reply(200, ROWS, {"next": following}),
        "GET /.*": Reply(403, "s3cr3t-of-a-download has expired"),
    }
    with running(routes) as api:
        ran = run(asyncjob, api, job)
    assert ran.code == 1
    assert "answered 403" in ran.last["message"]
    for text in (ran.stdout, ran.stderr, (asyncjob.folder / "trace.json").read_text()):
        assert "s3cr3t-of-a-download" not in text


def test_without_a_destination_the_id_stands_for_a_secret_target(asyncjob: Asyncjob) -> None:
    with running({**SUBMITTED, "GET /jobs/7": ready(SIGNED, None)}) as api:
        name = asyncjob.write(HIDDEN)
        ran = asyncjob("run", name, "--base-url", api.base, "--output", "json")
    assert (ran.code, ran.last["target"]) == (0, "7")


@pytest.mark.parametrize(
    ("second", "code", "said"),
    [
        (Reply(404, {"error": "no such job"}), 4, "does not know it any more"),
        (Reply(503, {"error": "closed"}), 1, "a look for its download target did not find it"),
        ({"state": "bad"}, 4, "The job 7 failed"),
    ],
)
def test_without_a_fresh_one_a_secret_target_cannot_be_downloaded(
    asyncjob: Asyncjob, second: Any, code: int, said: str
) -> None:
    with running({**SUBMITTED, "GET /jobs/7": turns(ready(SIGNED, None), second)}) as api:
        ran = run(asyncjob, api, HIDDEN)
    assert ran.code == code
    assert said in ran.last["message"]
