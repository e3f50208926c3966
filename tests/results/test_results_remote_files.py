from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import DestinationError, DestinationUnreachableError
from airflow_asyncjob.results import RemotePath, write_result
from tests.results.given import Broken, Given

JSONL = Records(format="jsonl")
LINES = b'{"a": 1}\n' * 1000


@pytest.fixture
def memory() -> MemoryFileSystem:
    """A filesystem without a way to commit: what is opened for writing is there at once."""
    return MemoryFileSystem(global_store=False, skip_instance_cache=True)


def content(filesystem: Any) -> dict[str, bytes]:
    return {path: filesystem.cat_file(path) for path in filesystem.find("")}


def test_a_file_appears_whole_under_its_name(memory: MemoryFileSystem) -> None:
    to = RemotePath(memory, "/lake/day/a.jsonl", "memory://lake/day/a.jsonl")
    during: list[dict[str, bytes]] = []

    class Watching(Given):
        def chunks(self) -> Iterator[bytes]:
            for chunk in super().chunks():
                during.append(content(memory))
                yield chunk

    manifest = write_result([Watching(LINES)], JSONL, to)
    assert manifest.uris == ("memory://lake/day/a.jsonl",)
    assert manifest.bytes == len(LINES)
    assert content(memory) == {"/lake/day/a.jsonl": LINES}
    assert not any(during)
    write_result([Given(b'{"b": 2}\n')], JSONL, to)
    assert content(memory) == {"/lake/day/a.jsonl": b'{"b": 2}\n'}


def test_after_an_error_the_object_of_yesterday_stays(memory: MemoryFileSystem) -> None:
    memory.pipe_file("/lake/a.jsonl", b"of yesterday")
    with pytest.raises(ConnectionResetError):
        write_result([Broken(LINES)], JSONL, RemotePath(memory, "/lake/a.jsonl", "memory://lake/a.jsonl"))
    assert content(memory) == {"/lake/a.jsonl": b"of yesterday"}


def test_a_folder_gets_all_files_or_none(memory: MemoryFileSystem) -> None:
    to = RemotePath(memory, "/lake/day/", "memory://conn@lake/day/")
    with pytest.raises(ConnectionResetError):
        write_result([Given(b"1", "a.txt"), Broken(b"2", "b.txt")], Records(), to)
    assert content(memory) == {}
    manifest = write_result([Given(b"1", "a.txt"), Given(b"2", "../a.txt")], Records(), to)
    assert manifest.uris == ("memory://conn@lake/day/a.txt", "memory://conn@lake/day/a-2.txt")
    assert content(memory) == {"/lake/day/a.txt": b"1", "/lake/day/a-2.txt": b"2"}


def test_what_cannot_be_moved_into_place_is_removed() -> None:
    class NoMoves(MemoryFileSystem):
        def mv(self, *_: Any, **__: Any) -> None:
            raise PermissionError("moves are forbidden")

    filesystem = NoMoves(global_store=False, skip_instance_cache=True)
    with pytest.raises(DestinationError) as caught:
        write_result([Given(LINES)], JSONL, RemotePath(filesystem, "/lake/a.jsonl", "memory://lake/a.jsonl"))
    message = str(caught.value)
    assert message.startswith("memory://lake/a.jsonl cannot be written: PermissionError: moves are forbidden")
    assert "credentials may write there" in message
    assert not caught.value.retryable
    assert content(filesystem) == {}


def test_a_filesystem_that_can_only_be_read() -> None:
    class ReadOnly(MemoryFileSystem):
        def open(self, path: str, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    to = RemotePath(ReadOnly(global_store=False, skip_instance_cache=True), "/a.jsonl", "memory://a.jsonl")
    with pytest.raises(DestinationError, match="cannot be written: NotImplementedError") as caught:
        write_result([Given(LINES)], JSONL, to)
    assert not caught.value.retryable


def test_a_storage_that_breaks_off_may_be_tried_again() -> None:
    class Gone(MemoryFileSystem):
        def open(self, path: str, *_: Any, **__: Any) -> Any:
            raise TimeoutError("no answer in 60 s")

    to = RemotePath(Gone(global_store=False, skip_instance_cache=True), "/a.jsonl", "memory://a.jsonl")
    with pytest.raises(DestinationUnreachableError) as caught:
        write_result([Given(LINES)], JSONL, to)
    assert "memory://a.jsonl cannot be written: TimeoutError: no answer in 60 s" in str(caught.value)
    assert "another try may succeed" in str(caught.value)
    assert caught.value.retryable


def test_a_filesystem_that_is_the_local_one_is_written_as_a_local_path(tmp_path: Any) -> None:
    local = fsspec.filesystem("file")
    to = RemotePath(local, f"{tmp_path}/new/a.jsonl", f"file://{tmp_path}/new/a.jsonl")
    assert write_result([Given(LINES)], JSONL, to).uris == (f"file://{tmp_path}/new/a.jsonl",)
    assert (tmp_path / "new" / "a.jsonl").read_bytes() == LINES
    folder = RemotePath(local, f"{tmp_path}/raw", f"file://{tmp_path}/raw/")
    assert write_result([Given(b"1", "x")], Records(), folder).uris == (f"file://{tmp_path}/raw/x",)
    assert (tmp_path / "raw" / "x").read_bytes() == b"1"
