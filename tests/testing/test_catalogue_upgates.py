"""upgates/product_images and upgates/job over the command line against the fake shop."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import RefusedError
from airflow_asyncjob.testing import FakeJobServer, expected_rows
from tests.cli.command import Asyncjob
from tests.testing.vendors import Vendor, driven

IMAGES = [
    {"sourceUrl": "https://example.com/a.jpg", "priority": 1, "description": "Přední strana"},
    {"sourceUrl": "ftp://example.com/b.jpg"},
]
PRODUCT = {"guid": "95b84d4b", "images": IMAGES}


@pytest.fixture
def images(asyncjob: Asyncjob, fake_job_server: Callable[..., FakeJobServer]) -> Vendor:
    return Vendor("upgates/product_images", fake_job_server("upgates", seconds=0.1), asyncjob)


def test_images_are_handed_in_and_the_answer_is_kept(images: Vendor) -> None:
    ran = images.run("--destination", "answer.json", guid="g-1", images=IMAGES, gallery="shop360")
    assert (ran.code, ran.last["state"]) == (3, "done"), ran.stderr
    answer = json.loads((images.folder / "answer.json").read_text())
    assert [image["name"] for image in answer["data"]["images"]] == ["a.jpg"]
    assert [error["instance"] for error in answer["errors"]] == ["ftp://example.com/b.jpg"]
    ledger = images.server.ledger
    submit = ledger.entries("submit")[0]
    assert submit.path == "/api/products/g-1/images/shop360"
    assert json.loads(submit.body) == {"data": {"images": IMAGES}}
    (reject,) = images.lines("answer.json.rejects.jsonl")
    assert (reject["number"], reject["record"]) == (2, IMAGES[1])
    assert reject["reason"] == "The image could not be fetched."
    result = ledger.entries("result")[:1]
    assert [entry.host for entry in result] == ["files"]
    assert "authorization" not in result[0].headers
    assert ledger.records.accepted() == ["https://example.com/a.jpg"]
    assert ledger.records.counts()["reasons"] == {"The image could not be fetched.": 1}


def test_the_address_of_the_result_is_a_secret(images: Vendor) -> None:
    ran = images.run(guid="g-1", images=IMAGES)
    assert ran.code == 0
    assert images.server.ledger.count("poll") > 0
    assert "api-results" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("ends", "code", "state"), [("failed", 4, "failed"), ("killed", 4, "failed"), ("expired", 5, "timed_out")]
)
def test_a_job_that_did_not_complete_shows_its_log(images: Vendor, ends: str, code: int, state: str) -> None:
    images.server.options.ends = ends
    ran = images.run("--destination", "answer.json", guid="g-1", images=IMAGES)
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (code, state, ends)
    assert f"The job ended as {ends}: no space left." in ran.stderr
    assert not (images.folder / "answer.json").exists()


def test_more_than_100_images_take_a_job_for_each_hundred(images: Vendor) -> None:
    ran = images.run(guid="g-1", images=[IMAGES[0]] * 101)
    assert ran.code == 1
    assert "one job takes no more than job_records 100: it takes 2 jobs. Nothing was sent." in ran.stderr
    assert images.server.ledger.count() == 0


def test_a_wrong_key_ends_it_at_once(images: Vendor) -> None:
    ran = images.run(guid="g-1", images=IMAGES, connection={"password": "other"})
    assert ran.code == 1
    assert "Wrong login or key." in ran.stderr
    assert images.server.ledger.count() == 1


def test_a_snapshot_is_kept_as_it_comes(
    asyncjob: Asyncjob, fake_job_server: Callable[..., FakeJobServer]
) -> None:
    job = Vendor("upgates/job", fake_job_server("upgates", seconds=0.1, products=7), asyncjob)
    ran = job.run("--destination", "products/", path="api/products/snapshot", method="GET")
    assert ran.code == 0, ran.stderr
    (file,) = (job.folder / "products").iterdir()
    lines = gzip.decompress(file.read_bytes()).splitlines()
    assert [json.loads(line) for line in lines] == list(expected_rows(7))


def driven_images(seconds: float, **options: Any) -> Any:
    definition = AsyncJob.load("upgates/product_images").to_dict()
    definition["result"]["secret"] = False  # so that the target is at hand, without another look
    return driven("upgates", definition, {"seconds": seconds, **options}, **PRODUCT)


def test_a_slow_job_is_not_asked_for_more_often_than_the_shop_allows() -> None:
    with driven_images(2 * 3600) as (client, server):
        assert client.outcome().state == "done"
        polls = server.ledger.entries("poll")
        assert {entry.code for entry in polls} == {200}
        assert len(polls) <= 11
        waits = [later.at - earlier.at for earlier, later in pairwise(polls)]
        assert all(later >= earlier * 1.8 for earlier, later in pairwise(waits))


def test_polling_more_often_is_refused() -> None:
    with driven_images(3600, polls=2) as (client, server):
        error = client.drive().error
        assert isinstance(error, RefusedError)
        assert "may be asked for 2 times" in error.message
        assert [entry.code for entry in server.ledger.entries("poll")][:3] == [200, 200, 403]


def test_faults_on_the_way_change_nothing(tmp_path: Path) -> None:
    with driven_images(60) as (client, server):
        server.faults.add("submit", 429, headers={"Retry-After": "30"})
        server.faults.add("poll", "html")
        server.faults.add("poll", "reset")
        server.faults.add("result", "truncate")
        client.fetch(client.outcome(), tmp_path / "answer.json")
        assert server.faults.active() == []
        assert server.ledger.accepted() == 1


def test_a_result_that_is_too_old_is_a_refusal_that_leaves_nothing(tmp_path: Path) -> None:
    with driven_images(60, kept_for=100.0) as (client, server):
        outcome = client.outcome()
        server.clock.advance(200)
        with pytest.raises(RefusedError, match="404"):
            client.fetch(outcome, tmp_path / "answer.json")
        assert list(tmp_path.iterdir()) == []
