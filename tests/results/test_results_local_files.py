from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import DestinationError
from airflow_asyncjob.results import write_result
from airflow_asyncjob.results.stage_local import explained
from tests.results.given import Broken, Given, write

JSONL = Records(format="jsonl")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["unnamed", "hidden"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to be aside: without a name, and in a hidden folder where the system has no such files."""
    if request.param == "hidden":
        monkeypatch.delattr(os, "O_TMPFILE")
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    class Watching(Given):
        def chunks(self) -> Iterator[bytes]:
            for chunk in super().chunks():
                seen.append(
                    [path.name for path in tmp_path.rglob("[!.]*") if path.is_file() and path.stem == "a"]
                )
                yield chunk

    target = tmp_path / "new" / "folder" / "a.jsonl"
    write_result([Watching(b'{"a": 1}\n' * 100_000, piece=100_000)], JSONL, target)
    assert len(seen) > 5
    assert not any(seen)
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "folder", "a.jsonl"]
    assert target.stat().st_size == 9 * 100_000


@pytest.mark.usefixtures("way")
def test_a_file_that_is_there_is_replaced_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    target.write_text("of yesterday")
    with target.open() as reader:
        write(b'{"a": 1}\n', target, format="jsonl")
        assert reader.read() == "of yesterday"
    assert target.read_text() == '{"a": 1}\n'
    assert names_in(tmp_path) == ["a.jsonl"]


@pytest.mark.usefixtures("way")
def test_after_an_error_nothing_is_left_and_the_file_stays(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("of yesterday")
    for target in (tmp_path / "a.jsonl", tmp_path / "new" / "deep" / "a.jsonl"):
        with pytest.raises(ConnectionResetError):
            write_result([Broken(b'{"a": 1}\n')], JSONL, target)
    assert [path.name for path in tmp_path.rglob("*")] == ["a.jsonl"]
    assert (tmp_path / "a.jsonl").read_text() == "of yesterday"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_those_of_a_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        for _ in range(2):
            write(b'{"a": 1}\n', tmp_path / "a.jsonl", format="jsonl")
            assert stat.S_IMODE((tmp_path / "a.jsonl").stat().st_mode) == 0o666 & ~mask
    finally:
        os.umask(before)


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.jsonl").write_text("of yesterday")
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "real" / "a.jsonl")
    manifest = write(b'{"a": 1}\n', tmp_path / "a.jsonl", format="jsonl")
    assert manifest.uris == (f"file://{tmp_path}/a.jsonl",)
    assert (tmp_path / "a.jsonl").is_symlink()
    assert (tmp_path / "real" / "a.jsonl").read_text() == '{"a": 1}\n'


@pytest.mark.usefixtures("way")
def test_attempts_at_once_do_not_mix(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    gate = threading.Barrier(4)

    class Together(Given):
        def chunks(self) -> Iterator[bytes]:
            for number, chunk in enumerate(super().chunks()):
                if number % 10 == 0:
                    gate.wait(30)
                yield chunk

    def attempt(number: int) -> None:
        write_result([Together(b'{"a": %d}\n' % number * 10_000, piece=900)], JSONL, target)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(target.read_text().splitlines())) == 1
    assert target.stat().st_size == 10_000 * len('{"a": 1}\n')
    assert names_in(tmp_path) == ["a.jsonl"]


WRITER = """
import os, sys, time
hidden, destination = sys.argv[1:]
if hidden == "hidden":
    del os.O_TMPFILE
from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.results import write_result

class Endless:
    name, sent = "a.csv", "GET https://api.example.com/files/7"
    def chunks(self):
        yield b"id\\n"
        for number in range(3_000_000):
            yield b"1,2,3\\n" * 100
            if number == 20_000:
                print("writing", flush=True)
                time.sleep(600)

write_result([Endless()], Records(), destination)
"""


def killed_while_writing(way: str, destination: str) -> None:
    """Start a writer, and kill it with SIGKILL when megabytes are written."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, way, destination],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    writer.kill()
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()


def test_a_writer_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_text("of yesterday")
    killed_while_writing("unnamed", f"{tmp_path}/a.bin")
    killed_while_writing("unnamed", f"{tmp_path}/")
    assert [path.name for path in tmp_path.rglob("*")] == ["a.bin"]
    assert (tmp_path / "a.bin").read_text() == "of yesterday"


def test_what_a_killed_writer_left_the_next_attempt_removes(tmp_path: Path) -> None:
    killed_while_writing("hidden", f"{tmp_path}/a.bin")
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".asyncjob-")
    write(b"whole", tmp_path / "a.bin")
    assert names_in(tmp_path) == ["a.bin"]


@pytest.mark.usefixtures("way")
def test_many_attempts_do_not_tidy_each_other_away(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def attempts(number: int) -> None:
        try:
            for _ in range(40):
                write(b"%d" % number, tmp_path / "a.bin")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=attempts, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert names_in(tmp_path) == ["a.bin"]


@pytest.mark.usefixtures("way")
def test_an_attempt_that_fails_takes_no_folder_away_from_another(tmp_path: Path) -> None:
    class Meanwhile(Given):
        def chunks(self) -> Iterator[bytes]:
            yield from super().chunks()
            with pytest.raises(ConnectionResetError):
                write_result([Broken(b"x")], Records(), tmp_path / "day" / "other.bin")
            write(b"x", tmp_path / "day" / "third.bin")

    write_result([Meanwhile(b"mine" * 5000)], Records(), tmp_path / "day" / "a.bin")
    assert names_in(tmp_path) == ["day"]
    assert names_in(tmp_path / "day") == ["a.bin", "third.bin"]


def test_what_a_living_writer_holds_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    held: list[Path] = []

    class Other(Given):
        def chunks(self) -> Iterator[bytes]:
            yield from super().chunks()
            held.extend(tmp_path.glob(".asyncjob-*"))
            write(b"of another", tmp_path / "other.bin")
            assert [path for path in held if path.exists()] == held

    write_result([Other(b"mine" * 5000)], Records(), tmp_path / "a.bin")
    assert len(held) == 1
    assert names_in(tmp_path) == ["a.bin", "other.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"mine" * 5000


def test_files_of_others_are_not_tidied_up(tmp_path: Path) -> None:
    (tmp_path / ".asyncjob-notes.part").write_text("a file of somebody")
    (tmp_path / ".asyncjob-link.part").symlink_to(tmp_path)
    write(b"mine", tmp_path / "a.bin")
    assert names_in(tmp_path) == [".asyncjob-link.part", ".asyncjob-notes.part", "a.bin"]


def test_a_lock_of_another_process_is_respected(tmp_path: Path) -> None:
    left = tmp_path / ".asyncjob-0123.part"
    left.mkdir()
    holder = os.open(left, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    write(b"mine", tmp_path / "a.bin")
    assert left.exists()
    os.close(holder)
    write(b"mine", tmp_path / "a.bin")
    assert not left.exists()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("folder", ["it is a folder", "end it with /"]),
        ("file/a.bin", ["Not a directory", "a file and not a folder"]),
        ("file/", ["Not a directory"]),
        ("x" * 300, ["File name too long", "Correct the path"]),
        ("pipe", ["a device, a pipe or a socket", "Give it the path of a file"]),
    ],
)
def test_a_destination_of_the_wrong_kind(tmp_path: Path, path: str, says: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    source = Given(b"x")
    with pytest.raises(DestinationError) as caught:
        write_result([source], Records(), f"{tmp_path}/{path}")
    assert str(caught.value).startswith(f"file://{tmp_path}/{path} cannot be written: ")
    for part in says:
        assert part in str(caught.value)
    assert not caught.value.retryable
    assert names_in(tmp_path) == ["file", "folder", "pipe"]
    assert source.asked == 0
    assert (tmp_path / "file").read_text() == "mine"


def test_devices_are_not_replaced() -> None:
    with pytest.raises(DestinationError, match="it is a device"):
        write(b"x", "/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_place_without_permission() -> None:
    with pytest.raises(DestinationError) as caught:
        write(b"x", "/proc/nowhere/a.bin")
    assert str(caught.value).startswith("file:///proc/nowhere/a.bin cannot be written: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DestinationError, match=r"Permission denied.*Let the user that runs this write there"):
        write(b"x", tmp_path / "a.bin")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("name", ["a.bin", "a.parquet", "a.jsonl.gz"])
def test_no_space_left(tmp_path: Path, name: str) -> None:
    """The limit on the size of a file stands in for a full disk; the system reports both from write(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = os.urandom(3 * 2**20).hex().encode()
    data = b"text\n" + b"\n".join(rows[start : start + 100] for start in range(0, len(rows), 100))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(DestinationError) as caught:
            write(data, tmp_path / name, format="raw" if name == "a.bin" else "csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value).startswith(f"file://{tmp_path}/{name} cannot be written: File too large")
    assert "Free space there" in str(caught.value)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("size", [2**19, 3 * 2**20])
def test_no_space_left_where_records_wait(tmp_path: Path, size: int) -> None:
    """Records of unknown columns wait in the folder for temporary files; the rest fails at the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, hard))
    try:
        with pytest.raises(DestinationError) as caught:
            write(b'{"text": "some words"}\n' * (size // 20), tmp_path / "a.parquet", format="jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    message = str(caught.value)
    assert message.startswith(
        f"file://{tmp_path}/a.parquet cannot be written: until the result is whole it waits"
    )
    assert f"it waits in {tempfile.gettempdir()}, and that fails: File too large" in message
    assert "set TMPDIR to a folder that has more" in message
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "Free space there, or choose another destination."),
        (errno.EDQUOT, "Free space there"),
        (errno.EROFS, "Let the user that runs this write there"),
        (errno.EACCES, "Let the user that runs this write there"),
        (errno.ENOTDIR, "A part of the path is a file"),
        (errno.EIO, "Correct the path, or choose another destination."),
    ],
)
def test_every_failure_says_what_to_do(code: int, advice: str) -> None:
    error = explained("file:///data/a.csv", OSError(code, os.strerror(code), "/data"))
    assert str(error).startswith(f"file:///data/a.csv cannot be written: {os.strerror(code)} (/data). ")
    assert advice in str(error)
