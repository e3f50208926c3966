"""Pre-signed addresses: good for one method, path, time and set of headers."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_asyncjob.testing import FakeClock
from airflow_asyncjob.testing.api import Received
from airflow_asyncjob.testing.presigned import PresignedUrls

TYPE = {"content-type": "text/csv"}


def asked(url: str, method: str = "PUT", headers: dict[str, str] | None = None, **query: str) -> Received:
    parts = urlsplit(url)
    found = {**dict(parse_qsl(parts.query)), **query}
    return Received("files", method, parts.path, found, TYPE if headers is None else headers, 0, b"")


def test_a_request_as_it_was_signed_is_let_through_until_its_time_is_over() -> None:
    clock = FakeClock()
    urls = PresignedUrls(clock)
    url = urls.url("http://files", "/a/b", seconds=300, method="PUT", headers=TYPE)
    assert url.startswith("http://files/a/b?")
    assert urls.problem(asked(url)) is None
    clock.advance(299)
    assert urls.problem(asked(url)) is None
    clock.advance(1)
    late = urls.problem(asked(url))
    assert late is not None
    assert (late.code, b"Request has expired" in bytes(late.body)) == (403, True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "GET"},
        {"headers": {"content-type": "text/plain"}},
        {"headers": {}},
        {"X-Amz-Expires": "86400"},
        {"X-Amz-SignedHeaders": "host"},
    ],
)
def test_any_other_request_has_another_signature(wrong: dict[str, str]) -> None:
    urls = PresignedUrls(FakeClock())
    url = urls.url("http://files", "/a/b", seconds=300, method="PUT", headers=TYPE)
    refused = urls.problem(asked(url, **wrong))  # type: ignore[arg-type]
    assert refused is not None
    assert refused.code == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in bytes(refused.body)  # type: ignore[arg-type]
