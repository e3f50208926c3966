"""What two processes kept of the same task instance, as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_asyncjob.panel.book import Book
from airflow_asyncjob.panel.summary import Summary

__all__ = ["Kept", "merged"]


@dataclass(frozen=True)
class Kept:
    """What is kept of the job of one task instance.

    :param summary: None: nothing was kept.
    """

    summary: Summary | None
    book: Book


def merged(*kept: tuple[Any, Any]) -> Kept:
    """Return what is kept as one: the newest summary counts, and the exchanges of its job are united.

    :param kept: pairs of a summary and a trace as plain JSON, such as the values of the task state store and
        of the XComs; None, or anything else that is none, is passed over.
    """
    found = [
        (summary, Book.from_dict(trace)) for plain, trace in kept if (summary := Summary.from_dict(plain))
    ]
    found.sort(key=lambda pair: pair[0].updated_at)
    if not found:
        return Kept(None, Book())
    newest, book = found[-1]
    for older, other in reversed(found[:-1]):
        if older.of == newest.of:
            newest, book = newest.after(older), other.unite(book)
    return Kept(newest, book)
