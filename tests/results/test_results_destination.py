from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_asyncjob.errors import DestinationError
from airflow_asyncjob.results import RemotePath, as_destination, missing_filesystem


def test_local_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given, uri in (
        ("a b/c.csv", f"file://{tmp_path}/a b/c.csv"),
        (Path("c.csv"), f"file://{tmp_path}/c.csv"),
        ("out/", f"file://{tmp_path}/out/"),
        (f"file://{tmp_path}/c.csv", f"file://{tmp_path}/c.csv"),
        (f"local://{tmp_path}/out/", f"file://{tmp_path}/out/"),
        ("/", "file:///"),
        ("a:b.csv", f"file://{tmp_path}/a:b.csv"),
    ):
        found = as_destination(given)
        assert found.uri == uri
        assert found.path == uri.removeprefix("file://").rstrip("/") or found.path == "/"
        assert found.fs is None
    assert not list(tmp_path.iterdir())


def test_a_path_on_another_filesystem() -> None:
    found = as_destination("memory://lake/a.csv")
    assert (found.uri, found.path, type(found.fs).__name__) == (
        "memory://lake/a.csv",
        "/lake/a.csv",
        "MemoryFileSystem",
    )
    given = as_destination(RemotePath(found.fs, "/lake/day/", "memory://conn@lake/day/"))
    assert (given.uri, given.path, given.fs) == ("memory://conn@lake/day/", "/lake/day", found.fs)


BARE = """
import sys
for module in ("s3fs", "gcsfs", "adlfs"):
    sys.modules[module] = None
from airflow_asyncjob.errors import DestinationError
from airflow_asyncjob.results import as_destination
for scheme in sys.argv[1:]:
    try:
        as_destination(f"{scheme}://bucket/a.csv")
    except DestinationError as error:
        print(error)
"""


def test_a_missing_filesystem_names_the_extra() -> None:
    extras = {
        "s3": "s3",
        "s3a": "s3",
        "gs": "gcs",
        "gcs": "gcs",
        "abfs": "azure",
        "abfss": "azure",
        "az": "azure",
    }
    # A process of its own: fsspec remembers every filesystem that was loaded once.
    done = subprocess.run(
        [sys.executable, "-c", BARE, *extras],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(extras)
    for line, (scheme, extra) in zip(lines, extras.items(), strict=True):
        assert line.startswith(
            f"{scheme}://bucket/a.csv cannot be written: there is no filesystem for {scheme}://"
        )
        assert line.endswith(f"; install it with: pip install 'airflow-asyncjob[{extra}]'")


def test_a_scheme_that_nobody_knows() -> None:
    with pytest.raises(DestinationError) as caught:
        as_destination("nowhere://bucket/a.csv")
    assert "there is no filesystem for nowhere:// here (Protocol not known: nowhere)" in str(caught.value)
    assert "give a local path, or a URI whose filesystem package" in str(caught.value)


@pytest.mark.parametrize("uri", ["http://me:secret@example.com/a.csv", "HTTPS://example.com/a.csv"])
def test_a_web_address_cannot_be_written(uri: str) -> None:
    with pytest.raises(DestinationError) as caught:
        as_destination(uri)
    assert "a web address can only be read" in str(caught.value)
    assert "s3://bucket/a.csv" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_connection_in_a_uri_needs_airflow(scheme: str) -> None:
    with pytest.raises(DestinationError) as caught:
        as_destination(f"{scheme}://aws_default@lake/day/a.csv")
    assert "names an Airflow connection, and Airflow does not run here" in str(caught.value)
    assert f"write {scheme}://bucket/..." in str(caught.value)


def test_without_fsspec_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(DestinationError, match=r"pip install 'airflow-asyncjob\[s3\]'"):
        as_destination("s3://bucket/a.csv")


def test_a_password_in_a_uri_is_not_shown() -> None:
    assert "secret" not in missing_filesystem("ftp://me:secret@host/a.csv", "nothing")
    assert "ftp://me@host/a.csv" in missing_filesystem("ftp://me:secret@host/a.csv", "nothing")
    memory = as_destination("memory://x").fs
    assert as_destination(RemotePath(memory, "/a", "memory://me:secret@host/a")).uri == "memory://me@host/a"
    assert as_destination(RemotePath(memory, "/a", "memory://host:80/a@b")).uri == "memory://host:80/a@b"
