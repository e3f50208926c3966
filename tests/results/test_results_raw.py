from __future__ import annotations

import gzip
import hashlib
import resource
from pathlib import Path

import pytest

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import DefinitionError, DestinationError, FormatError, TruncatedError
from airflow_asyncjob.results import write_result
from tests.results.given import SENT, Broken, Given, write

ZIPPED = gzip.compress(b"some bytes", mtime=0)


def test_bytes_stay_as_they_come(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    manifest = write(data, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == data
    assert manifest.to_dict() == {
        "state": "done",
        "uris": [f"file://{tmp_path}/a.bin"],
        "records": None,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "format": "raw",
        "rejects": None,
        "submission_id": "",
        "primary_key": [],
    }


@pytest.mark.parametrize(
    ("name", "data", "written"),
    [
        ("a.bin", ZIPPED, ZIPPED),
        ("a.json.gz", ZIPPED, ZIPPED),
        ("a.json", b"", b""),
        ("a.csv", b"a,b\n", b"a,b\n"),
    ],
)
def test_an_archive_stays_an_archive(tmp_path: Path, name: str, data: bytes, written: bytes) -> None:
    write(data, tmp_path / name, output_format="raw")
    assert (tmp_path / name).read_bytes() == written


def test_a_name_with_gz_makes_an_archive(tmp_path: Path) -> None:
    manifest = write(b"some bytes", tmp_path / "a.json.gz")
    data = (tmp_path / "a.json.gz").read_bytes()
    assert gzip.decompress(data) == b"some bytes"
    assert (manifest.bytes, manifest.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_folder_gets_the_names_of_the_api_made_safe(tmp_path: Path) -> None:
    sources = [Given(b"1", "part.csv"), Given(b"22", "../../part.csv"), Given(b"", ""), Given(ZIPPED, "x.gz")]
    manifest = write_result(sources, Records(), f"{tmp_path}/new/folder/", submission_id="7")
    names = ["part.csv", "part-2.csv", "result", "x.gz"]
    assert manifest.uris == tuple(f"file://{tmp_path}/new/folder/{name}" for name in names)
    assert sorted(path.name for path in (tmp_path / "new/folder").iterdir()) == sorted(names)
    assert [(tmp_path / "new/folder" / name).read_bytes() for name in names] == [b"1", b"22", b"", ZIPPED]
    assert manifest.bytes == 3 + len(ZIPPED)
    assert manifest.sha256 == hashlib.sha256(b"122" + ZIPPED).hexdigest()
    assert (manifest.records, manifest.submission_id) == (None, "7")
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_more_files_than_a_process_may_hold_open(tmp_path: Path) -> None:
    sources = [Given(b"%d" % number, "x.txt") for number in range(300)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 100, hard))
    try:
        manifest = write_result(sources, Records(), f"{tmp_path}/out/")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(manifest.uris) == len(list((tmp_path / "out").iterdir())) == 300
    assert (tmp_path / "out/x-300.txt").read_bytes() == b"299"


def test_in_a_folder_all_are_placed_or_none(tmp_path: Path) -> None:
    for count in (1, 100):
        sources = [Given(b"1", "a.csv") for _ in range(count)]
        with pytest.raises(ConnectionResetError):
            write_result([*sources, Broken(b"2", "b.csv")], Records(), f"{tmp_path}/out/")
        assert list(tmp_path.iterdir()) == []


def test_the_name_is_asked_for_after_the_first_bytes_came(tmp_path: Path) -> None:
    class Late(Given):
        def chunks(self):  # type: ignore[no-untyped-def]
            self.name = "from-the-head.csv"
            yield from super().chunks()

    write_result([Late(b"1", "not yet known")], Records(), f"{tmp_path}/")
    assert [path.name for path in tmp_path.iterdir()] == ["from-the-head.csv"]


def test_several_results_do_not_become_one_raw_file(tmp_path: Path) -> None:
    sources = [Given(b"1"), Given(b"2")]
    for given in (sources, iter(sources)):
        with pytest.raises(DestinationError) as caught:
            write_result(given, Records(), tmp_path / "a.bin")
        assert "the job has several results" in str(caught.value)
        assert "a.bin is one file for raw bytes: end it with /" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert sources[1].asked == 0


def test_a_page_is_not_taken_for_a_result(tmp_path: Path) -> None:
    page = b"\xef\xbb\xbf\n<!doctype HTML><title>Sign in</title>"
    for destination in (f"{tmp_path}/a.bin", f"{tmp_path}/"):
        with pytest.raises(FormatError) as caught:
            write_result([Given(page, "report.csv")], Records(), destination)
        message = str(caught.value)
        assert message.startswith(f"{SENT}: an HTML page came, and ")
        assert "may be a login or an error page" in message
        assert "suffix .html" in message
    assert list(tmp_path.iterdir()) == []
    assert write(page, tmp_path / "a.HTML").bytes == len(page)
    assert write_result([Given(page, "report.htm")], Records(), f"{tmp_path}/").bytes == len(page)


def test_a_broken_archive_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(TruncatedError):
        write(ZIPPED[:-1], tmp_path / "a.gz")
    with pytest.raises(FormatError, match="archive is damaged"):
        write(ZIPPED[:-5] + b"12345", tmp_path / "a.gz")
    assert list(tmp_path.iterdir()) == []


def test_raw_bytes_have_no_records_to_limit(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="limit counts records, and raw bytes have none"):
        write(b"x", tmp_path / "a.bin", limit=1)
