"""Archives undone: gzip as it streams, ZIP from the local disk, and neither larger than is allowed."""

from __future__ import annotations

import fnmatch
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from lzma import LZMAError
from typing import Literal

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import FormatError, TruncatedError
from airflow_asyncjob.results.gzipped import GZIP_MAGIC, GzipReader
from airflow_asyncjob.results.source import Body, Counted, Named, Source, look, opened
from airflow_asyncjob.results.spool import Spool

__all__ = ["inflated", "open_bodies"]

_ZIP_MAGIC = b"PK\x03\x04"
_EMPTY_ZIP_MAGIC = b"PK\x05\x06"
_PIECE = 1024 * 1024
_RATIO = 1000
_RATIO_FROM = 64 * 1024 * 1024
_ENCRYPTED = 0x1
_SHOWN = 20


def open_bodies(
    sources: Iterable[Source], records: Records, most: int | None = None
) -> Generator[Body, None, None]:
    """Yield the files of records of all downloads in their order; each is read before the next is asked for.

    What a download holds is told by its first bytes: gzip is undone, and so are ZIP archives, and gzip within
    them. A ZIP archive waits in the folder for temporary files, because what it holds is told at its end.

    :param records: how they are read; ``member`` says which files of a ZIP archive.
    :param most: largest size of one download, in bytes after decompression; None: any, but what expands
        1,000 times, beyond 64 MiB, is refused.
    :raises FormatError: an archive is damaged or encrypted, holds several files and ``member`` does not
        choose, or is larger than allowed; see also :class:`~airflow_asyncjob.results.source.Body`.
    :raises TruncatedError: an archive ends early.
    """
    for source in sources:
        count = 0
        with opened(source) as chunks:
            for part, plain in _unpacked(source, chunks, records.member, most):
                body = Body(
                    part, records.format, plain, encoding=records.encoding, documents=_documents(records)
                )
                yield body
                count += body.records
        if isinstance(source, Counted):
            source.counted(count)


def _documents(records: Records) -> Literal["allowed", "by_start", "whole"]:
    if not records.tabular:
        return "allowed"
    return "whole" if isinstance(records.csv.header, tuple) else "by_start"


def _unpacked(
    source: Source, chunks: Iterator[bytes], member: str | None, most: int | None
) -> Iterator[tuple[Named, Iterator[bytes]]]:
    bound = _Bound(source, most)
    head, chunks = look(bound.packed(chunks), len(_ZIP_MAGIC))
    if not head.startswith((_ZIP_MAGIC, _EMPTY_ZIP_MAGIC)):
        yield source, bound.plain(inflated(chunks, source))
        return
    spool = Spool(f"{source.sent}: the ZIP archive", "it waits")
    for chunk in chunks:
        spool.write(chunk)
    spool.rewind()
    with spool.file, _opened(spool, source) as archive:
        for info in _chosen(archive, source, member):
            part = _Member(f"{source.sent}, {info.filename} in it")
            yield part, bound.plain(inflated(_member(archive, info, part), part))


@dataclass(frozen=True)
class _Member:
    """A file of a ZIP archive, with its name in errors."""

    sent: str


class _Bound:
    """Counts bytes before and after decompression, against archives that would fill every disk."""

    def __init__(self, source: Named, most: int | None) -> None:
        self._source = source
        self._most = most
        self._packed = self._plain = 0

    def packed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._packed += len(chunk)
            yield chunk

    def plain(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._plain += len(chunk)
            if self._most is not None:
                if self._plain > self._most:
                    raise FormatError(
                        f"{self._source.sent}: the result has more than {self._most:,} bytes after "
                        "decompression, which limits.decompressed_bytes allows. Raise it if the result is "
                        "as large as that."
                    )
            elif self._plain > max(_RATIO_FROM, self._packed * _RATIO):
                raise FormatError(
                    f"{self._source.sent}: {self._packed:,} bytes expand to more than {self._plain:,}, which "
                    "no ordinary archive does. If it is no attack, set limits.decompressed_bytes to the "
                    "size that you expect."
                )
            yield chunk


def inflated(chunks: Iterator[bytes], source: Named) -> Iterator[bytes]:
    """Yield a body, gzip undone where its first bytes say so."""
    head, chunks = look(chunks, len(GZIP_MAGIC))
    if head != GZIP_MAGIC:
        yield from chunks
        return
    reader = GzipReader(source)
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.finish()


def _opened(spool: Spool, source: Named) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(spool.file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        raise TruncatedError(
            f"{source.sent}: the ZIP archive has no readable directory at its end ({error}): the download "
            "was cut off. Fetch it again."
        ) from None


def _chosen(archive: zipfile.ZipFile, source: Named, member: str | None) -> list[zipfile.ZipInfo]:
    # What macOS adds for itself is no file of the result.
    files = [
        info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    names = [info.filename for info in files]
    listed = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    if member is None:
        if len(files) == 1:
            return files
        if not files:
            raise FormatError(f"{source.sent}: the ZIP archive holds no file. Look at what the API sends.")
        raise FormatError(
            f"{source.sent}: the ZIP archive holds {len(files)} files, and nothing says which are the "
            f"result: {listed}. Set member to a name or a pattern, such as *.csv."
        )
    found = [info for info in files if fnmatch.fnmatchcase(info.filename, member)]
    if not found:
        raise FormatError(
            f"{source.sent}: no file of the ZIP archive matches member {member!r}; it holds: "
            f"{listed or 'none'}. Correct member."
        )
    return found


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Named) -> Iterator[bytes]:
    if info.flag_bits & _ENCRYPTED:
        raise FormatError(
            f"{source.sent}: the file is encrypted, which is not supported. Have the API send it without a "
            "password, or set format: raw to keep the archive."
        )
    try:
        with archive.open(info) as file:
            while chunk := file.read(_PIECE):
                yield chunk
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, zlib.error, LZMAError) as error:
        raise FormatError(
            f"{source.sent}: the ZIP archive is damaged, or packed in a way that is not supported ({error}). "
            "Fetch it again; when it stays so, set format: raw to keep the archive."
        ) from None
