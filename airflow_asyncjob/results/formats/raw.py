"""Raw: the bytes as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from airflow_asyncjob.errors import DestinationError, FormatError
from airflow_asyncjob.results.gzipped import GZIP_MAGIC, GzipReader
from airflow_asyncjob.results.names import safe_name
from airflow_asyncjob.results.plan import OutputPlan
from airflow_asyncjob.results.sink import Sink
from airflow_asyncjob.results.source import Hashing, Source, is_html, look, opened

__all__ = ["too_many", "write"]

_HEAD = 4096
_HTML_NAMES = (".html", ".htm", ".xhtml")


def write(sources: Iterable[Source], sink: Sink, plan: OutputPlan, destination: str) -> None:
    """Copy every source into a file of its own, and check archives on the way.

    :param destination: for messages.
    :raises DestinationError: several results, and the destination is one file.
    :raises FormatError: an HTML page came, under a name that does not say so; or a gzip archive is damaged.
    :raises TruncatedError: a gzip archive ends early.
    """
    taken: set[str] = set()
    for index, source in enumerate(sources):
        if index and not plan.folder:
            raise too_many(destination)
        _copy(source, sink, plan, destination, taken)


def _copy(source: Source, sink: Sink, plan: OutputPlan, destination: str, taken: set[str]) -> None:
    # What is gzipped here has another SHA-256 than what came.
    hashed = isinstance(source, Hashing) and not plan.gzip
    if isinstance(source, Hashing) and hashed:
        source.hash_with(sink.hasher)
    with opened(source) as body:
        head, chunks = look(body, _HEAD)
        name = safe_name(source.name, taken) if plan.folder else ""
        called = name or destination
        if is_html(head) and not called.lower().endswith(_HTML_NAMES):
            raise FormatError(
                f"{source.sent}: an HTML page came, and {called} is not a name for one: it may be a login "
                "or an error page. Open the address with the same credentials; if the page is the result, "
                "give the destination the suffix .html."
            )
        zipped = head.startswith(GZIP_MAGIC)
        with sink.file(name, compress=plan.gzip and not zipped, hashed=hashed) as out:
            for chunk in _checked(chunks, source) if zipped else chunks:
                out.write(chunk)


def _checked(chunks: Iterator[bytes], source: Source) -> Iterator[bytes]:
    reader = GzipReader(source, tail=False)
    for chunk in chunks:
        for _ in reader.feed(chunk):
            pass
        yield chunk
    for _ in reader.finish():
        pass


def too_many(destination: str) -> DestinationError:
    """Return the error for several raw results that one file was to hold."""
    return DestinationError(
        f"the job has several results, and {destination} is one file for raw bytes: end it with / to put "
        "every result into a file of its own, or write records (.parquet, .jsonl, .csv), which become one "
        "file"
    )
