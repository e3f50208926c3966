"""Downloads that break off and go on, over real sockets; and two attempts at one destination at once."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import TruncatedError
from airflow_asyncjob.testing import FakeClock, FakeJobServer
from tests.results.given import read_back
from tests.results.serving import Fetching

RAW = AsyncJob.load({"result": {}, "limits": {"retries": 3}}, partial=True)
CSV = AsyncJob.load({"result": {"format": "csv"}, "limits": {"retries": 3}}, partial=True)


class Resumed:
    """A result at a fake server, a fetch of it, and what the server saw of that."""

    def __init__(self, server: FakeJobServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        job = httpx.post(f"{server.url}/jobs", json={"rows": 50_000}).json()["id"]
        self.path = f"/jobs/{job}/result/1"
        self.whole = httpx.get(server.url + self.path).content
        self.fetch = Fetching(server.url, folder)

    def __call__(self, job: AsyncJob = RAW, to: str = "out.bin") -> Any:
        return self.fetch(job, self.path, to)

    @property
    def asked(self) -> list[tuple[int | None, str | None, int]]:
        """Of each request: the code, Range, and the bytes that the server sent."""
        entries = self.server.ledger.entries("result")[1:]
        return [(entry.code, entry.headers.get("range"), entry.sent) for entry in entries]

    def check(self) -> None:
        """Check that the file is the result byte for byte, and that nothing else is there."""
        assert (self.folder / "out.bin").read_bytes() == self.whole
        assert self.fetch.left() == ["out.bin"]


@pytest.fixture
def resumed(tmp_path: Path) -> Iterator[Callable[..., Resumed]]:
    """Start a server with such ranges, whose clock is that of years ago unless a test says when it is."""
    started: list[FakeJobServer] = []

    def start(ranges: str | None, **clock: float) -> Resumed:
        started.append(FakeJobServer("generic", ranges=ranges, clock=FakeClock(**clock)).start())
        return Resumed(started[-1], tmp_path)

    yield start
    for server in started:
        server.stop()


@pytest.mark.parametrize("ranges", ["etag", "date"])
def test_a_body_that_breaks_off_goes_on_where_it_broke_off(
    resumed: Callable[..., Resumed], ranges: str
) -> None:
    one = resumed(ranges)
    one.server.faults.add("result", "truncate", times=2)
    manifest = one()
    one.check()
    assert manifest.sha256 == hashlib.sha256(one.whole).hexdigest()
    half, size = len(one.whole) // 2, len(one.whole)
    quarter = (size - half) // 2
    assert one.asked == [
        (200, None, half),
        (206, f"bytes={half}-", quarter),
        (206, f"bytes={half + quarter}-", size - half - quarter),
    ]
    assert sum(sent for *_, sent in one.asked) == size, "no byte was sent twice"
    url = f"GET {one.server.url}{one.path}"
    assert [said for said in one.fetch.said if "goes on" in said] == [
        f"{url}: the download goes on from byte {at:,} of {size:,}" for at in (half, half + quarter)
    ]
    assert [came for _, came in one.fetch.sizes] == sorted({came for _, came in one.fetch.sizes})
    assert one.fetch.sizes[-1] == (1, size)


def test_a_reset_in_mid_body_is_gone_on_from_what_came(resumed: Callable[..., Resumed]) -> None:
    one = resumed("etag")
    one.server.faults.add("result", "break")
    one()
    one.check()
    code, asked, sent = one.asked[-1]
    if code == 206:  # a reset may also take away all that lay in the buffers of the client
        assert asked is not None
        assert sent == len(one.whole) - int(asked.removeprefix("bytes=").removesuffix("-"))


@pytest.mark.parametrize(
    ("ranges", "clock"),
    [
        (None, {}),
        ("weak", {}),
        ("refused", {}),
        ("date", {"start": time.time() + 3600}),  # changed as it was sent, as far as one can tell
    ],
)
def test_without_a_validator_that_is_strong_all_of_it_comes_again(
    resumed: Callable[..., Resumed], ranges: str | None, clock: dict[str, float]
) -> None:
    one = resumed(ranges, **clock)
    one.server.faults.add("result", "truncate")
    one()
    one.check()
    assert one.asked == [(200, None, len(one.whole) // 2), (200, None, len(one.whole))]


def test_an_error_between_two_parts_changes_nothing(resumed: Callable[..., Resumed]) -> None:
    one = resumed("etag")
    one.server.faults.add("result", "truncate")
    one.server.faults.add("result", 503)
    one.server.faults.add("result", "reset")
    one()
    one.check()
    assert [code for code, *_ in one.asked] == [200, 503, None, 206]


def test_a_result_that_changed_in_between_is_never_mixed(resumed: Callable[..., Resumed]) -> None:
    one = resumed("etag")
    other = one.whole[:-1] + b"#"
    one.server.faults.add("result", "truncate")
    # As a server answers If-Range with a tag that is no longer that of the result: 200, and all of it.
    one.server.faults.add("result", 200, body=other, headers={"ETag": '"other"'})
    one()
    assert (one.folder / "out.bin").read_bytes() == other, "which begins with what came before"
    assert "and it comes from its start again" in one.fetch.said[-1]

    one.server.faults.add("result", "truncate")
    one.server.faults.add("result", 200, body=b"#" + one.whole[1:], headers={"ETag": '"other"'})
    with pytest.raises(TruncatedError, match="did not begin with the same bytes"):
        one()
    assert (one.folder / "out.bin").read_bytes() == other
    assert one.fetch.left() == ["out.bin"]


@pytest.mark.parametrize(
    ("code", "headers", "says"),
    [
        (206, {"Content-Range": "bytes 0-99/100"}, "answered 206 to bytes="),
        (206, {}, "its Content-Range is ''"),
        (206, {"Content-Type": "multipart/byteranges; boundary=x"}, "its Content-Range is ''"),
        (416, {"Content-Range": "bytes */7"}, "answered 416 to bytes="),
    ],
)
def test_a_part_that_was_not_asked_for_is_not_taken(
    resumed: Callable[..., Resumed], code: int, headers: dict[str, str], says: str
) -> None:
    one = resumed("etag")
    one.server.faults.add("result", "truncate")
    one.server.faults.add("result", code, body=b"#" * 100, headers=headers)
    one()
    one.check()
    assert [(code, asked is not None) for code, asked, _ in one.asked] == [
        (200, False),
        (code, True),
        (200, False),
    ]
    assert any(says in said and said.endswith("it is fetched from its start") for said in one.fetch.said)


def test_records_are_read_on_across_the_seam(resumed: Callable[..., Resumed]) -> None:
    one = resumed("etag")
    one.server.faults.add("result", "truncate", times=3)
    manifest = one(CSV, "out.parquet")
    (one.folder / "whole.csv").write_bytes(one.whole)
    assert manifest.records == 50_000
    assert read_back(one.folder / "out.parquet") == read_back(one.folder / "whole.csv")
    assert sum(sent for *_, sent in one.asked) == len(one.whole)


def test_what_is_handed_over_twice_is_compared_up_to_the_place_that_was_reached(
    resumed: Callable[..., Resumed],
) -> None:
    one = resumed("etag")
    one.server.faults.add("result", "truncate")
    one.server.faults.add("result", 416)
    one.server.faults.add("result", "truncate")  # from the start again, and no further than the first time
    one()
    one.check()
    half = len(one.whole) // 2
    assert one.asked[2:] == [(200, None, half), (206, f"bytes={half}-", len(one.whole) - half)]


# Content-Encoding -----------------------------------------------------------------------------------


@contextmanager
def coded(body: bytes, cut_after: list[int], *, says_so: bool) -> Iterator[tuple[str, list[str | None]]]:
    """Serve bytes with Content-Encoding gzip and a strong ETag; cut answers after so many bytes of them.

    :param says_so: whether an answer with a part repeats the Content-Encoding.
    """
    ranges: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/elsewhere":
                self.send_response(302)
                self.send_header("Location", "/a.csv")
                self.end_headers()
                return
            ranges.append(self.headers.get("Range"))
            at = int(ranges[-1].removeprefix("bytes=").removesuffix("-")) if ranges[-1] else 0
            assert not at or self.headers["If-Range"] == '"one"'
            self.send_response(206 if at else 200)
            if not at or says_so:
                self.send_header("Content-Encoding", "gzip")
            if at:
                self.send_header("Content-Range", f"bytes {at}-{len(body) - 1}/{len(body)}")
            self.send_header("ETag", '"one"')
            self.send_header("Content-Length", str(len(body) - at))
            self.end_headers()
            self.wfile.write(body[at : at + cut_after.pop(0)] if cut_after else body[at:])
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", ranges
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("says_so", "path"), [(True, "/a.csv"), (False, "/a.csv"), (True, "/elsewhere")])
def test_an_encoded_body_goes_on_by_its_encoded_bytes(tmp_path: Path, says_so: bool, path: str) -> None:
    text = b"".join(b"%d,%s\n" % (number, os.urandom(8).hex().encode()) for number in range(20_000))
    packed = gzip.compress(text)
    with coded(packed, [100_000, 5], says_so=says_so) as (url, ranges):
        manifest = Fetching(url, tmp_path)(RAW, path, "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == text
    assert manifest.sha256 == hashlib.sha256(text).hexdigest()
    assert ranges == [None, "bytes=100000-", "bytes=100005-"]


def test_an_encoded_body_that_is_damaged_is_no_place_to_go_on_from(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(os.urandom(100_000)))
    packed[-6] ^= 0xFF
    with coded(bytes(packed), [], says_so=True) as (url, ranges), pytest.raises(TruncatedError):
        Fetching(url, tmp_path)(RAW, "/a.csv", "out.bin")
    assert ranges == [None] * 4
    assert list(tmp_path.iterdir()) == []


# Two attempts at once -------------------------------------------------------------------------------

ATTEMPT = """
import sys
from pathlib import Path
from airflow_asyncjob.definition import AsyncJob
from tests.results.serving import Fetching
url, path, folder = sys.argv[1:]
job = AsyncJob.load({"result": {}, "limits": {"retries": 3}}, partial=True)
Fetching(url, Path(folder))(job, path, "out.bin")
"""


@contextmanager
def holding(bodies: dict[str, bytes], held: str) -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """Serve bodies; the second half of one is held back until it is let go.

    :return: the URL, an event that the first half went out, and one to let go.
    """
    half_sent, let_go = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bodies[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            half = len(body) // 2
            self.wfile.write(body[:half])
            if self.path == held:
                half_sent.set()
                let_go.wait(300)
            try:
                self.wfile.write(body[half:])
            except OSError:
                assert self.path == held, "only its client is killed"

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", half_sent, let_go
    finally:
        let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("end", ["killed", "runs on"])
def test_an_orphan_beside_its_own_retry_does_not_mix_with_it(tmp_path: Path, end: str) -> None:
    bodies = {"/orphan": b"o" * 20_000_000, "/retry": b"r" * 10_000_000}
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with holding(bodies, "/orphan") as (url, half_sent, let_go):
        command = [sys.executable, "-c", ATTEMPT, url]
        orphan = subprocess.Popen([*command, "/orphan", str(tmp_path)], env=env)
        try:
            assert half_sent.wait(300)
            subprocess.run([*command, "/retry", str(tmp_path)], env=env, check=True, timeout=300)
            assert (tmp_path / "out.bin").read_bytes() == bodies["/retry"]
            if end == "killed":
                orphan.kill()
            let_go.set()
            assert orphan.wait(300) == (-signal.SIGKILL if end == "killed" else 0)
        finally:
            orphan.kill()
            orphan.wait()
    last = "/retry" if end == "killed" else "/orphan"
    assert (tmp_path / "out.bin").read_bytes() == bodies[last]
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]
