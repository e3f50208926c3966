"""The account of a job's records: not sent, refused by the upload, refused by the job; each found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import SourceChangedError
from airflow_asyncjob.protocol import Submission
from airflow_asyncjob.results.rejects import Reject
from airflow_asyncjob.transport.upload import local_source
from airflow_asyncjob.uploads import account as account_module
from airflow_asyncjob.uploads import pieces_of, plan_upload
from airflow_asyncjob.uploads.account import Account
from tests.uploads.given import written

PEOPLE: list[dict[str, Any]] = [{"email": f"p{number}", "age": number} for number in range(8)]
REJECTS: dict[str, Any] = {"request": {"url": "/r"}, "key": "email", "index": "row"}


def account(
    source: Any,
    refused: list[dict[str, Any]] | None = None,
    rejects: Any = None,
    submission: Submission | None = None,
    **upload: Any,
) -> Account:
    section = {"source": "{{ inputs.people }}", "key": "email", "required": "email", **upload}
    steps = [{"name": "send", "each": "{{ parts }}", "request": {"url": "/x", "part": True}}]
    steps[0]["rejects"] = {"key": "email", "index": "row"}
    job = AsyncJob.load(
        {
            "inputs": {"people": {"type": "records"}},
            "submit": {"upload": section, "steps": steps, "id": "{{ idempotency_key }}"},
            "result": {"rejects": REJECTS if rejects is None else rejects},
        },
        partial=True,
    )
    return Account(job, {"inputs": {"people": source}}, local_source, lambda: refused or [], submission)


def entry(number: int | None = None, key: str | None = None) -> Reject:
    return Reject("job", None if key is None else {"email": key}, number, "why", None, {"a": 1})


def told(rejects: Iterator[Reject]) -> list[tuple[int | None, Any, str]]:
    return [(one.number, (one.record or {}).get("email"), one.stage) for one in rejects]


def test_every_stage_is_found_again() -> None:
    people = [{"email": ""}, *PEOPLE]
    upload = {"key": None, "number": 1, "stage": "upload", "reason": "x", "record": None, "answer": {}}
    one = account(people, [upload])
    assert told(one.before()) == [(1, "", "local"), (2, "p0", "upload")]
    assert one.sent == 8
    assert told(one.matched([entry(3), entry(key="p7"), entry(key="p7")])) == [
        (4, "p2", "job"),
        (9, "p7", "job"),
        (9, "p7", "job"),
    ]
    assert (one.accepted, one.unmatched) == (5, 0)


def test_what_was_found_before_is_not_looked_for_again() -> None:
    found = {"key": {"email": "p1"}, "number": 3, "stage": "upload", "reason": "x", "answer": {}}
    one = account([{"email": ""}, *PEOPLE], [{**found, "record": PEOPLE[1]}] * 2)
    assert told(one.before()) == [(1, "", "local"), (3, "p1", "upload"), (3, "p1", "upload")]
    assert (one.sent, one.accepted, one.unmatched) == (8, 7, 0)


def test_a_reject_that_names_no_record_keeps_what_it_said() -> None:
    one = account(PEOPLE)
    list(one.before())
    found = list(one.matched([entry(key="nobody"), entry(), entry(99), entry(1)]))
    assert [(reject.number, reject.key) for reject in found] == [
        (1, {"email": "p0"}),
        (None, {"email": "nobody"}),
        (None, None),
        (None, None),
    ]
    assert (one.unmatched, one.accepted) == (3, 4)


def test_rejects_that_need_not_name_a_record_are_not_unknown() -> None:
    one = account(PEOPLE, rejects={"request": {"url": "/r"}, "reason": "why"})
    list(one.before())
    assert told(one.matched([entry(), entry()])) == [(None, None, "job")] * 2
    assert (one.unmatched, one.accepted) == (0, 6)


def test_records_with_the_same_key_get_one_reject_each() -> None:
    one = account([*PEOPLE[:2], *PEOPLE[:2], PEOPLE[0]])
    list(one.before())
    rejects = [entry(key="p0"), entry(key="p0"), entry(key="p1")]
    assert sorted(told(one.matched(rejects)), key=str) == [
        (1, "p0", "job"),
        (2, "p1", "job"),
        (3, "p0", "job"),
    ]
    assert one.accepted == 2


def test_keys_are_compared_as_text(tmp_path: Path) -> None:
    path = written(tmp_path / "people.csv", [{"email": "a", "age": 7}, {"email": "b", "age": 8}])
    one = account(path, key=["email", "age"])
    list(one.before())
    reject = Reject("job", {"email": "b", "age": 8}, None, "why", None, {})
    assert told(one.matched([reject])) == [(2, "b", "job")]


@pytest.mark.parametrize("at_once", [1, 100, 10_000_000])
def test_many_rejects_are_looked_for_in_several_passes(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(account_module, "_AT_ONCE", at_once)
    people = [{"email": f"p{number}"} for number in range(1000)]
    one = account(people)
    list(one.before())
    found = told(one.matched(entry(key=f"p{number}") for number in range(0, 1000, 20)))
    assert sorted(found) == [(number + 1, f"p{number}", "job") for number in range(0, 1000, 20)]
    assert one.accepted == 950


def test_a_piece_has_its_own_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "people.csv", PEOPLE)
    upload = {"job_records": 3, "part_records": 2}
    submit = account(path, **upload)._upload
    pieces = pieces_of(submit, {"inputs": {"people": path}}, local_source)
    one = account(pieces[1], **upload)
    assert told(one.before()) == []
    assert one.sent == 3
    assert told(one.matched([entry(1), entry(key="p5"), entry(key="p0")])) == [
        (4, "p3", "job"),
        (6, "p5", "job"),
        (None, None, "job"),
    ]
    written(tmp_path / "people.csv", [{"email": "new", "age": 1}, *PEOPLE[1:4], *PEOPLE])
    with pytest.raises(SourceChangedError, match="is not what it was when the job was sent"):
        list(account(pieces[1], **upload).before())


def test_a_file_that_changed_after_it_was_sent_is_not_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "people.csv", PEOPLE)
    upload = account(path)._upload
    mark = plan_upload(upload, {"inputs": {"people": path}}, local_source).mark
    sent = Submission("7", 0.0, mark=mark, records=8)
    same = account(path, submission=sent)
    assert told(same.before()) == []
    assert same.sent == 8
    written(tmp_path / "people.csv", [*PEOPLE, {"email": "new", "age": 1}])
    with pytest.raises(SourceChangedError, match="is not what it was when the job was sent"):
        list(account(path, submission=sent).before())


def test_a_file_of_which_all_was_sent_is_read_again_only_for_what_was_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "people.csv", PEOPLE)
    plan = plan_upload(account(path)._upload, {"inputs": {"people": path}}, local_source)
    sent = Submission("7", 0.0, mark=plan.mark, records=plan.records, left_out=plan.rejected)
    refused = account(path, submission=sent)
    assert told(refused.before()) == []
    assert told(refused.matched([entry(3)])) == [(3, "p2", "job")]
    written(tmp_path / "people.csv", [*PEOPLE, {"email": "new", "age": 1}])
    changed = account(path, submission=sent)
    assert told(changed.before()) == []
    with pytest.raises(SourceChangedError, match="is not what it was when the job was sent"):
        list(changed.matched([entry(3)]))
    (tmp_path / "people.csv").unlink()
    gone = account(path, submission=sent)
    assert told(gone.before()) == []
    assert (gone.sent, gone.accepted) == (8, 8)
