"""Paths as Airflow users write them, ``s3://conn_id@bucket/key`` or local: of results, and of uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_asyncjob.errors import DestinationError, UploadError

if TYPE_CHECKING:
    from airflow_asyncjob.results.destination import RemotePath
    from airflow_asyncjob.transport.upload import Source

__all__ = ["destination_of", "source_of"]

_LOCAL = ("", "file", "local")
_PROVIDERS = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "s3a": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "gcs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
    "adl": "apache-airflow-providers-microsoft-azure",
}


def destination_of(destination: Any) -> str | RemotePath:
    """Return what the writer of results takes.

    Object storage is reached as Airflow's ``ObjectStoragePath`` does, with the connection in front of the
    bucket. A scheme that no Airflow provider serves, without a connection, is left to fsspec.

    :param destination: text, or an ``ObjectStoragePath``.
    :raises DestinationError: the scheme's package is not installed, or the connection does not exist.
    """
    try:
        return _reached(destination, f"the destination {destination}", "written")
    except _Unreachable as error:
        raise DestinationError(str(error)) from error


def source_of(path: str) -> Source:
    """Return a file that is to be sent: a local one, or one of object storage.

    :raises UploadError: it is missing or cannot be read, or its storage cannot be reached.
    """
    import fsspec

    from airflow_asyncjob.transport.upload import Source, local_source

    try:
        reached = _reached(path, f"the file {path}", "read")
    except _Unreachable as error:
        raise UploadError(_capital(str(error))) from error
    if isinstance(reached, str) and "://" not in reached:
        return local_source(reached)
    try:
        if isinstance(reached, str):
            filesystem, key = fsspec.core.url_to_fs(reached)
        else:
            filesystem, key = reached.fs, reached.path
        known = filesystem.info(key)
    except FileNotFoundError:
        raise UploadError(
            f"The file {path} does not exist. Expected one that an earlier task wrote."
        ) from None
    except Exception as error:  # a storage raises what it likes
        raise UploadError(
            f"The file {path} cannot be read: {error}. Try again later.", retryable=True
        ) from error
    if known.get("type") == "directory" or known.get("size") is None:
        raise UploadError(f"The file {path} cannot be sent: it is a folder, or its size is not known.")
    return Source(path, int(known["size"]), lambda: cast("BinaryIO", filesystem.open(key, "rb")))


class _Unreachable(Exception):
    """There is no filesystem for a path; the text says why."""


def _reached(given_path: Any, what: str, done: str) -> str | RemotePath:
    """Return a local path, a path of object storage, or a URI that is left to fsspec.

    :param what: the path for people, such as ``the destination s3://bucket/key``.
    :param done: what would be done with it: ``read`` or ``written``.
    :raises _Unreachable: the scheme's package is not installed, or the connection does not exist.
    """
    given = str(given_path)
    try:
        path = ObjectStoragePath(given_path)
    except (ImportError, ValueError) as error:
        raise _Unreachable(_no_filesystem(what, done, given.partition("://")[0], error)) from error
    scheme = path.protocol
    if scheme in _LOCAL:
        return path.path if isinstance(given_path, ObjectStoragePath) else given
    try:
        filesystem = path.fs
    except AirflowNotFoundException as error:
        raise _Unreachable(
            f"{what} names the Airflow connection {path.conn_id!r}, which does not exist; "
            "create it in the UI under Admin, Connections, or set "
            f"AIRFLOW_CONN_{str(path.conn_id).upper()}"
        ) from error
    except (ImportError, ValueError) as error:
        if path.conn_id is None and scheme not in _PROVIDERS:
            return given
        raise _Unreachable(_no_filesystem(what, done, scheme, error)) from error
    from airflow_asyncjob.results.destination import RemotePath

    return RemotePath(filesystem, path.path, _uri(path, given))


def _uri(path: ObjectStoragePath, given: str) -> str:
    """Return the path as people write it; the text of an ``ObjectStoragePath`` has no connection in it."""
    if path.conn_id is None or f"{path.conn_id}@" in given:
        return given
    return given.replace("://", f"://{path.conn_id}@", 1)


def _no_filesystem(what: str, done: str, scheme: str, error: Exception) -> str:
    package = _PROVIDERS.get(scheme)
    if package is not None:
        advice = f"install it with: pip install '{package}'"
    else:
        advice = "give a local path, or a scheme that an installed Airflow provider serves"
    return f"{what} cannot be {done}: Airflow has no filesystem for {scheme}:// here ({error}); {advice}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
