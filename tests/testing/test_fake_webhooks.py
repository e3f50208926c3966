"""The fake servers send events when their jobs have ended, as their vendors do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from airflow_asyncjob.definition.models.webhook import WebhookAuth
from airflow_asyncjob.definition.signature import Keys, ReceivedEvent, is_authentic
from airflow_asyncjob.testing import FakeClock, FakeJobServer

PATIENCE = 120.0


class Receiver(ThreadingHTTPServer):
    """Takes events, and answers with the codes that it is given, then with 202."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.taken: list[ReceivedEvent] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(ReceivedEvent(dict(self.headers), body))
        self.send_response(self.server.codes.pop(0) if self.server.codes else 202)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def receiving(*codes: int) -> Iterator[Receiver]:
    with Receiver(*codes) as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


def until(so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def submit(server: FakeJobServer) -> str:
    auth = (server.connection["login"], server.connection["password"])
    images = {"data": {"images": [{"sourceUrl": "https://example.com/a.jpg"}]}}
    answer = httpx.post(f"{server.url}/api/products/g/images/shop", json=images, auth=auth)
    return str(answer.json()["data"]["jobId"])


def test_a_shop_sends_job_finished_when_the_job_has_ended() -> None:
    clock = FakeClock()
    with receiving() as hook, FakeJobServer("upgates", clock=clock, seconds=60, webhook_key="k3y") as shop:
        shop.options.webhook_url = hook.url
        job = submit(shop)
        clock.advance(59)
        assert not shop.deliveries
        clock.advance(1)
        until(lambda: len(shop.deliveries) == 1)
        (event,) = hook.taken
        assert shop.deliveries[0].code == 202
        auth = WebhookAuth(type="hmac", header="Shoptet-Webhook-Signature", algorithm="sha1")
        assert is_authentic(auth, event, Keys(secrets=("k3y",)), clock.time())
        assert (
            f'"event": "job:finished", "eventCreated": "2026-01-01T00:01:00+0000", "eventInstance": "{job}"'
            in (event.body.decode())
        )


def test_an_event_that_is_not_taken_is_sent_again_three_times_in_all() -> None:
    clock = FakeClock()
    with receiving(500, 429, 503, 202) as hook, FakeJobServer("upgates", clock=clock, seconds=0) as shop:
        shop.options.webhook_url = hook.url
        submit(shop)
        for attempts in (1, 2, 3):
            until(lambda sent=attempts: len(shop.deliveries) == sent)  # type: ignore[misc]
            clock.advance(900)
        submit(shop)
        until(lambda: len(shop.deliveries) == 4)
        assert [one.code for one in shop.deliveries] == [500, 429, 503, 202]
        assert [one.attempt for one in shop.deliveries] == [1, 2, 3, 1]
        assert len({event.body for event in hook.taken[:3]}) == 1


@pytest.mark.parametrize("ends", ["killed", "expired"])
def test_a_job_that_the_shop_gives_up_sends_no_event(ends: str) -> None:
    clock = FakeClock()
    with receiving() as hook, FakeJobServer("upgates", clock=clock, ends=ends) as shop:
        shop.options.webhook_url = hook.url
        submit(shop)
        clock.advance(1000)
        until(lambda: not shop._api.webhooks.is_planned)
        assert not shop.deliveries


def test_a_shop_takes_the_address_of_its_webhook() -> None:
    with FakeJobServer("upgates") as shop:
        auth = (shop.connection["login"], shop.connection["password"])
        given = {"data": [{"event": "job:finished", "url": "http://127.0.0.1:1/x"}]}
        answer = httpx.post(f"{shop.url}/api/webhooks", json=given, auth=auth)
        assert (answer.status_code, shop.options.webhook_url) == (201, "http://127.0.0.1:1/x")
        wrong = httpx.post(f"{shop.url}/api/webhooks", json={"data": [{"event": "x"}]}, auth=auth)
        assert wrong.status_code == 400
        assert "job:finished" in wrong.text


def test_a_plain_job_tells_the_address_that_its_submit_gave() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with receiving() as hook, FakeJobServer("generic", webhook_secret=secret) as server:
        job = httpx.post(f"{server.url}/jobs", json={"notify": hook.url}).json()["id"]
        until(lambda: len(server.deliveries) == 1)
        (event,) = hook.taken
        assert event.body == b'{"job": "%s", "status": "succeeded"}' % job.encode()
        auth = WebhookAuth(
            type="hmac",
            header={"header": "webhook-signature", "regex": r"v1,(\S+)"},
            encoding="base64",
            secret_encoding="base64",
            signed="{{ headers['webhook-id'] }}.{{ timestamp }}.{{ body }}",
            timestamp="webhook-timestamp",
        )
        assert is_authentic(auth, event, Keys(secrets=(secret,)), time.time())


def test_an_address_that_is_none_is_refused() -> None:
    with FakeJobServer("generic") as server:
        answer = httpx.post(f"{server.url}/jobs", json={"notify": "ftp://x"})
        assert (answer.status_code, "begins with http://" in answer.text) == (400, True)
