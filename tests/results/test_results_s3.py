"""Results to S3 without Airflow: s3fs as it is, and a real S3 server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import DestinationError, DestinationUnreachableError
from airflow_asyncjob.results import RemotePath, write_result
from airflow_asyncjob.results.fetch import fetch_result
from airflow_asyncjob.results.refused_parts import RefusedParts
from airflow_asyncjob.results.rejects import rejects_place
from airflow_asyncjob.results.sink import remove_file
from airflow_asyncjob.transport import ConnectionSettings, Wire
from tests.results.given import Broken, Given
from tests.servers.moto import Moto

BUCKET = "results"
LARGE = 120 * 2**20
"""More than two of the parts in which s3fs uploads."""


@pytest.fixture(scope="module")
def client(moto: Moto) -> Any:
    client = moto.s3()
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture(scope="module")
def s3(moto: Moto) -> Any:
    import s3fs

    return s3fs.S3FileSystem(key="test", secret="test", client_kwargs={"endpoint_url": moto.url})


def at(s3: Any, key: str, bucket: str = BUCKET) -> RemotePath:
    return RemotePath(s3, f"{bucket}/{key}", f"s3://conn@{bucket}/{key}")


def keys(client: Any, prefix: str) -> list[str]:
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return [entry["Key"] for entry in listed]


def uploads(client: Any) -> list[Any]:
    found: list[Any] = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return found


def body(client: Any, key: str) -> bytes:
    data: bytes = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return data


@pytest.mark.parametrize("size", [0, 1, LARGE])
def test_an_object_appears_whole(client: Any, s3: Any, size: int) -> None:
    data = os.urandom(2**20) * (size // 2**20) if size > 1 else b"x" * size
    manifest = write_result([Given(data, piece=2**20)], Records(), at(s3, f"whole/{size}.bin"))
    assert manifest.uris == (f"s3://conn@{BUCKET}/whole/{size}.bin",)
    assert manifest.bytes == size
    assert body(client, f"whole/{size}.bin") == data
    assert uploads(client) == []


@pytest.mark.parametrize("size", [10, LARGE])
def test_after_an_error_the_old_object_stays_and_no_upload_is_open(client: Any, s3: Any, size: int) -> None:
    client.put_object(Bucket=BUCKET, Key=f"broken/{size}", Body=b"of yesterday")
    for key in (f"broken/{size}", f"broken/{size}-new"):
        with pytest.raises(ConnectionResetError):
            write_result([Broken(bytes(size), piece=2**20)], Records(), at(s3, key))
    assert keys(client, "broken/") == [f"broken/{size}"]
    assert body(client, f"broken/{size}") == b"of yesterday"
    assert uploads(client) == []
    client.delete_object(Bucket=BUCKET, Key=f"broken/{size}")


def test_a_folder_gets_all_objects_or_none(client: Any, s3: Any) -> None:
    with pytest.raises(ConnectionResetError):
        write_result([Given(b"1", "a"), Broken(b"2", "b")], Records(), at(s3, "folder/"))
    assert keys(client, "folder/") == []
    write_result([Given(b"1", "a"), Given(b"2", "a")], Records(), at(s3, "folder/"))
    assert keys(client, "folder/") == ["folder/a", "folder/a-2"]


KILLED = """
import sys, time
import s3fs
from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.results import RemotePath, write_result

class Endless:
    name, sent = "a", "GET https://api.example.com/files/7"
    def chunks(self):
        for _ in range(120):
            yield bytes(2**20)
        print("writing", flush=True)
        time.sleep(600)

fs = s3fs.S3FileSystem(key="test", secret="test", client_kwargs={"endpoint_url": sys.argv[1]})
write_result([Endless()], Records(), RemotePath(fs, sys.argv[2], "s3://" + sys.argv[2]))
"""


def test_a_writer_that_is_killed_leaves_no_object(client: Any, moto: Moto) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, moto.url, f"{BUCKET}/killed/a.bin"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    writer.kill()
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    assert keys(client, "killed/") == []
    for upload in uploads(client):
        client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])


def test_two_uploads_of_one_object_at_once_do_not_mix(client: Any, s3: Any) -> None:
    """The one that is whole last is what stays."""
    later = at(s3, "twice/a.bin")

    class Slow(Given):
        def chunks(self) -> Iterator[bytes]:
            for number, chunk in enumerate(super().chunks()):
                if number == 110:  # parts of it are up
                    write_result([Given(b"2" * LARGE, piece=2**20)], Records(), later)
                    assert body(client, "twice/a.bin") == b"2" * LARGE
                yield chunk

    write_result([Slow(b"1" * LARGE, piece=2**20)], Records(), later)
    assert body(client, "twice/a.bin") == b"1" * LARGE
    assert uploads(client) == []


@pytest.mark.parametrize("size", [1, LARGE])
def test_a_bucket_that_does_not_exist(s3: Any, size: int) -> None:
    with pytest.raises(DestinationError) as caught:
        write_result([Given(bytes(size), piece=2**20)], Records(), at(s3, "a.bin", bucket="nowhere"))
    message = str(caught.value)
    assert message.startswith("s3://conn@nowhere/a.bin cannot be written: FileNotFoundError: ")
    assert "Check that the bucket or folder exists" in message
    assert not caught.value.retryable


def test_a_storage_that_does_not_answer() -> None:
    import s3fs

    from airflow_asyncjob.testing.processes import free_port

    gone = s3fs.S3FileSystem(
        key="test",
        secret="test",
        client_kwargs={"endpoint_url": f"http://127.0.0.1:{free_port()}"},
        config_kwargs={"retries": {"max_attempts": 0}},
    )
    gone.retries = 1
    with pytest.raises(DestinationUnreachableError, match="another try may succeed") as caught:
        write_result([Given(b"x")], Records(), at(gone, "a.bin"))
    assert caught.value.retryable


def test_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(
        DestinationError, match=r"Unable to locate credentials\. Give the storage credentials"
    ) as caught:
        write_result([Given(b"x")], Records(), f"s3://{BUCKET}/a.bin")
    assert not caught.value.retryable


@pytest.mark.parametrize("signed", [False, True])
def test_a_target_may_be_an_s3_uri(client: Any, moto: Moto, tmp_path: Path, signed: bool) -> None:
    acl = "private" if signed else "public-read"
    athena = {"type": "aws_sigv4", "service": "athena", "region": "us-east-1"}
    auth = Auth.model_validate(athena) if signed else None
    settings = ConnectionSettings(base_url=moto.url, login="test", password="test-secret-key")
    key = "athena/a b+c/é.csv"
    client.put_object(Bucket=BUCKET, Key=key, Body=b"a,b\n1,x\n2,y\n", ACL=acl)
    definition = AsyncJob.load({"result": {"format": "csv"}}, partial=True)
    with Wire(settings if signed else ConnectionSettings(base_url=moto.url), auth=auth) as wire:
        manifest = fetch_result(
            definition,
            f"s3://{BUCKET}/{key}",
            wire=wire,
            inputs={},
            names={},
            submission=None,
            destination=tmp_path / "out.jsonl",
        )
    assert manifest.records == 2
    assert (tmp_path / "out.jsonl").read_text() == '{"a":"1","b":"x"}\n{"a":"2","b":"y"}\n'


def test_the_rejects_of_an_upload_come_and_go(client: Any, s3: Any) -> None:
    parts = RefusedParts(at(s3, "rejects/people.csv"))
    assert list(parts.entries()) == []
    lines = [{"number": number, "stage": "upload", "record": None} for number in (1, 2)]
    parts.write(12, lines[1:])
    parts.write(3, lines[:1])
    parts.write(4, [])
    assert list(parts.entries()) == lines
    assert keys(client, "rejects/") == [
        "rejects/people.rejects.parts/00003.jsonl",
        "rejects/people.rejects.parts/00012.jsonl",
    ]
    parts.remove()
    parts.remove()
    assert keys(client, "rejects/") == []
    client.put_object(Bucket=BUCKET, Key="rejects/people.rejects.jsonl", Body=b'{"stage": "upload"}\n')
    parts.restore()
    assert list(parts.entries()) == [{"stage": "upload"}]
    for _ in range(2):
        remove_file(rejects_place(at(s3, "rejects/people.csv")))
    assert keys(client, "rejects/people.rejects.jsonl") == []
