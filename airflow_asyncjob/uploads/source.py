"""Where an upload's records come from: a list, a file, or a piece of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.definition.templates import render
from airflow_asyncjob.errors import FormatError, ResultError, SourceError, TruncatedError, UploadError
from airflow_asyncjob.results.gzipped import GZIP_MAGIC
from airflow_asyncjob.results.source import Body, excerpt
from airflow_asyncjob.results.unpack import inflated
from airflow_asyncjob.transport.upload import Find, Source

__all__ = [
    "START",
    "Given",
    "Piece",
    "Position",
    "SourceBody",
    "TextFile",
    "explained",
    "format_of",
    "given_source",
    "opened",
    "unreadable",
]

Position = tuple[int, int, int]
"""Where a source goes on: ``(offset, records to pass over from there, number of the next record)``."""

START: Position = (0, 0, 1)

_CHUNK = 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_PLACE = "submit.upload.source"
_FORMATS = {".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_ADVICE = "Correct the file, or say in submit.upload.read how it is written"


@dataclass(frozen=True)
class Piece:
    """The part of a file that one job sends.

    :param position: of its first record.
    :param records: how many it has, those among them that cannot be sent.
    :param mark: fingerprint that it had when it was planned.
    """

    position: Position
    records: int
    mark: str


@dataclass(frozen=True)
class Given:
    """What the template of the source gave.

    :param records: a list; None: they lie in a file.
    :param path: path or URI of the file; empty: there is none.
    :param piece: which part of it; None: all.
    """

    records: Sequence[Any] | None = None
    path: str = ""
    piece: Piece | None = None


def given_source(upload: Upload, names: Mapping[str, Any]) -> Given:
    """Return where the records of this job are.

    :raises TemplateError: the template cannot be rendered.
    :raises SourceError: what it gave is none.
    """
    value = render(upload.source, names, where=_PLACE)
    if isinstance(value, str) and value.strip():
        return Given(path=value.strip())
    if isinstance(value, (list, tuple)):
        return Given(records=value)
    if isinstance(value, Mapping):
        try:
            offset, skip, number = (int(part) for part in value["position"])
            piece = Piece((offset, skip, number), int(value["records"]), str(value["mark"]))
            return Given(path=str(value["source"]), piece=piece)
        except (KeyError, TypeError, ValueError):
            pass
    raise SourceError(
        f"{_PLACE}: {shown(upload.source)} gave {shown(value)}, which is {kind_of(value)}. Expected a list "
        "of records, the path or URI of a file, or a piece that a plan returned."
    )


def format_of(upload: Upload, path: str) -> str:
    """Return how a file is read: as the definition says, else as its suffix does.

    :raises SourceError: the suffix does not say.
    """
    if upload.read.format is not None:
        return upload.read.format
    name = path.rsplit("/", 1)[-1].lower()
    if name.endswith(".parquet"):
        return "parquet"
    plain = name.removesuffix(".gz")
    found = next((kind for suffix, kind in _FORMATS.items() if plain.endswith(suffix)), None)
    if found is None:
        known = ", ".join((*_FORMATS, ".parquet"))
        raise SourceError(
            f"The suffix of {path} does not say how it is read; known are {known}, all but the last also "
            "with .gz. Set submit.upload.read.format to one of: csv, tsv, json, jsonl, parquet."
        )
    return found


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open a file for reading.

    :raises UploadError: it cannot be opened.
    """
    try:
        file = source.open()
    except Exception as error:  # a storage raises what it likes
        raise unreadable(source.name, error) from error
    with file:
        yield file


def unreadable(name: str, error: Exception) -> UploadError:
    """Return the error for a file whose storage fails."""
    return UploadError(f"The file {name} cannot be read: {error}. Try again later.", retryable=True)


def _pieces(file: BinaryIO, name: str, offset: int = 0) -> Iterator[bytes]:
    try:
        file.seek(offset)
        while piece := file.read(_CHUNK):
            yield piece
    except Exception as error:
        raise unreadable(name, error) from error


@dataclass(frozen=True)
class _Named:
    sent: str


def _unpacked(chunks: Iterator[bytes], file: str) -> Iterator[bytes]:
    """Undo gzip; what is wrong with it is the caller's file, and no download."""
    try:
        yield from inflated(chunks, _Named(file))
    except TruncatedError:
        raise TruncatedError(
            f"The file {file} cannot be read: its gzip archive ends early. It may not be written whole: let "
            "the task wait for it."
        ) from None
    except FormatError:
        raise FormatError(
            f"The file {file} cannot be read: its gzip archive is damaged, or followed by something else. "
            "Write it again."
        ) from None


class SourceBody(Body):
    """A body that is a file of the caller's: its errors say so.

    :param file: its name.
    :param skip: bytes of the text to pass over.
    :param within: whether it begins within the file, and not at its start.
    """

    def __init__(
        self,
        file: str,
        kind: str,
        chunks: Iterator[bytes],
        *,
        encoding: str | None,
        skip: int = 0,
        within: bool = False,
    ) -> None:
        self._skip = skip
        self._within = within
        super().__init__(_Named(file), kind, chunks, encoding=encoding)

    def text(self) -> Iterator[bytes]:
        """Yield the text in UTF-8, from where the reading begins."""
        left = self._skip
        for chunk in super().text():
            if left < len(chunk):
                yield chunk[left:]
            left = max(left - len(chunk), 0)

    def wrong(self, detail: str, advice: str) -> FormatError:
        """Return the error for a file that is not as declared; the advice for a download is left out."""
        return FormatError(self._said(detail, _ADVICE))

    def truncated(self, detail: str) -> TruncatedError:
        """Return the error for a file that ends too early."""
        return TruncatedError(self._said(detail, "It may not be written whole: let the task wait for it"))

    def _said(self, detail: str, advice: str) -> str:
        start = f"; it starts with {excerpt(self.head)}" if self.head and not self._within else ""
        return f"The file {self.source.sent} cannot be read as {self.kind}: {detail}{start}. {advice}."


@contextmanager
def explained(file: str) -> Iterator[None]:
    """Turn the errors of the readers of results into those of an upload.

    :raises SourceError: the file is not what was declared.
    """
    try:
        yield
    except ResultError as error:
        _refuse(file, error)


def _refuse(file: str, error: ResultError) -> NoReturn:
    said = error.message if file in error.message else f"The file {file} cannot be read: {error.message}"
    raise SourceError(said, retryable=isinstance(error, TruncatedError)) from None


class TextFile:
    """A file of text that can be read from any of its records on.

    :param encoding: of the text; None: UTF-8.
    """

    def __init__(self, path: str, find: Find, kind: str, encoding: str | None) -> None:
        self._source = find(path)
        self.name = self._source.name
        self._kind = kind
        self._encoding = encoding
        with opened(self._source) as file:
            head = next(_pieces(file, self.name), b"")
        self._packed = head.startswith(GZIP_MAGIC)
        self._mark = len(_BOM) if head.startswith(_BOM) else 0

    @contextmanager
    def body(self, offset: int = 0) -> Iterator[SourceBody]:
        """Open it.

        :param offset: where to begin, in bytes of the text as UTF-8, without a byte order mark.
        """
        # What is packed, or of another encoding, has no way to a place within but through what lies before.
        seeks = offset > 0 and not self._packed and self._encoding is None
        with opened(self._source) as file, explained(self.name):
            chunks = _pieces(file, self.name, self._mark + offset if seeks else 0)
            plain = _unpacked(chunks, self.name) if self._packed else chunks
            yield SourceBody(
                self.name,
                self._kind,
                plain,
                encoding=self._encoding,
                skip=0 if seeks else offset,
                within=seeks,
            )
