"""Where a result goes: a local path, or a path on an fsspec filesystem."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_asyncjob.errors import DestinationError

__all__ = ["Destination", "RemotePath", "as_destination", "missing_filesystem"]

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
    "adl": "azure",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PASSWORD = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://[^/@:]*):[^/@]*@")


@dataclass(frozen=True)
class RemotePath:
    """A path on an fsspec filesystem; Airflow's ``ObjectStoragePath`` has all three.

    :param fs: the fsspec filesystem.
    :param path: the path as the filesystem wants it, such as ``bucket/exports/contacts.parquet``.
    :param uri: the path as people write it, such as ``s3://aws_default@bucket/exports/contacts.parquet``; it
        decides the format, and a ``/`` at its end makes it a folder.
    """

    fs: Any
    path: str
    uri: str


@dataclass(frozen=True)
class Destination:
    """Where to write. Exactly one of ``local`` and ``fs`` is given.

    :param uri: for people and the manifest; it holds no password.
    :param path: the path on the filesystem.
    :param fs: an fsspec filesystem; None for a local path.
    """

    uri: str
    path: str
    fs: Any = None


def as_destination(destination: str | os.PathLike[str] | RemotePath) -> Destination:
    """Return where to write. Nothing is created, and no connection is opened.

    :param destination: a local path, ``file://`` URI, another URI that fsspec knows, or a path on a
        filesystem.
    :raises DestinationError: the scheme is not known, or its package is not installed.
    """
    if isinstance(destination, RemotePath):
        return _remote(destination)
    text = os.fspath(destination)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _local(text)
    name = scheme[1].lower()
    if name in ("file", "local"):
        return _local(text[scheme.end() :])
    shown = _PASSWORD.sub(r"\1@", text)
    if name in ("http", "https"):
        raise DestinationError(
            f"{shown} cannot be written: a web address can only be read. Give a local path, or the URI of "
            f"an object storage, such as s3://bucket/{text.rsplit('/', 1)[-1]}"
        )
    if _EXTRAS.get(name) in ("s3", "gcs") and "@" in text[scheme.end() :].partition("/")[0]:
        raise DestinationError(
            f"{shown} names an Airflow connection, and Airflow does not run here: write "
            f"{name}://bucket/..., and leave the credentials to the environment, as the tools of that "
            "storage do"
        )
    try:
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(text)
    except (ImportError, ValueError) as error:
        raise DestinationError(missing_filesystem(text, str(error))) from error
    return _remote(RemotePath(fs, path, text))


def missing_filesystem(uri: str, detail: str) -> str:
    """Return the message for a URI whose filesystem cannot be had: it names the extra to install.

    :param detail: what the look-up of the filesystem said.
    """
    uri = _PASSWORD.sub(r"\1@", uri)
    scheme = uri.split("://", 1)[0]
    extra = _EXTRAS.get(scheme.lower())
    if extra is not None:
        advice = f"install it with: pip install 'airflow-asyncjob[{extra}]'"
    else:
        advice = "give a local path, or a URI whose filesystem package (see fsspec) is installed"
    return f"{uri} cannot be written: there is no filesystem for {scheme}:// here ({detail}); {advice}"


def _local(text: str) -> Destination:
    path = str(Path(text).absolute())
    return Destination(f"file://{path}" + ("/" if text.endswith("/") and path != "/" else ""), path)


def _remote(remote: RemotePath) -> Destination:
    protocols = remote.fs.protocol
    if "file" in ([protocols] if isinstance(protocols, str) else protocols):
        at = _local(remote.path)
        return Destination(at.uri.rstrip("/") + ("/" if remote.uri.endswith("/") else ""), at.path)
    return Destination(_PASSWORD.sub(r"\1@", remote.uri), remote.path.rstrip("/"), remote.fs)
