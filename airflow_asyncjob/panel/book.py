"""Book: the exchanges and polls of one job, within a bound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_asyncjob.panel.polls import Poll, poll_of, thinned
from airflow_asyncjob.panel.sizes import cut, size_of

__all__ = ["TRACE_BYTES", "Book"]

TRACE_BYTES = 60 * 1024
"""Of a trace as Airflow's task state store counts them, at most. Its own limit is 65,535 by default."""
_VERSION = 1
_MANY = 160
"""More exchanges than this are halved at once, so that a long wait holds little memory."""
_BEFORE = 5
_FAILING = 5
_LAST = 4
_PAGES = 3
_SHORT_BODY = 120
_STATUS_BYTES = 160

Entry = dict[str, Any]


class Book:
    """Collects what happened to one job. What it is given has no secrets in it any more.

    An unchanged poll after another is one entry with a count. Over the bound, the oldest polls that saw
    nothing new go first, then the middle pages of a download, then bodies, then headers, then exchanges from
    the middle. The first submit, the last exchanges and the last ones that failed always stay.

    :param of: names the submission, see ``Summary.of``.
    :param before: what an earlier book says of the jobs that this one replaces.
    """

    def __init__(self, of: str = "", before: Iterable[Mapping[str, Any]] = ()) -> None:
        self.of = of
        self.before = [dict(job) for job in before][-_BEFORE:]
        self._entries: list[Entry] = []
        self._polls: list[Poll] = []
        self._left_out = 0

    def __len__(self) -> int:
        return sum(int(entry["count"]) for entry in self._entries) + self._left_out

    @classmethod
    def from_dict(cls, plain: Any) -> Book:
        """Return what :meth:`to_dict` wrote; an empty book for anything else."""
        book = cls()
        if isinstance(plain, Mapping) and plain.get("version") == _VERSION:
            book.of, book.before = str(plain.get("of", "")), list(plain.get("before", ()))
            book._entries = [dict(entry) for entry in plain.get("exchanges", ())]
            book._polls = [list(poll) for poll in plain.get("polls", ())]
            book._left_out = int(plain.get("left_out", 0))
        return book

    def replaces(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        """Say which jobs were before, the oldest first; they come before those that are known."""
        told = [dict(job) for job in jobs]
        self.before = [*told, *(job for job in self.before if job not in told)][-_BEFORE:]

    def add(self, exchange: Mapping[str, Any]) -> None:
        """Note an exchange, as ``Exchange.to_dict`` has it."""
        self._take({"count": 1, **exchange})
        if len(self._entries) > _MANY:
            self._fit(_MANY // 2)

    def read_as(self, at: float, raw_status: Any, state: str, code: int | None) -> None:
        """Note how the last poll was read.

        :param at: when it was sent, seconds since the epoch.
        :param state: ours, or ``unknown``, or ``error``: the poll failed.
        :param code: None: no answer came.
        """
        self._polls = thinned([*self._polls, poll_of(at, raw_status, state, code)])
        last = self._entries[-1] if self._entries else {}
        if last.get("purpose") == "poll":
            last |= {"raw_status": cut(raw_status, _STATUS_BYTES), "state": state}
            self._take(self._entries.pop())

    def unite(self, other: Book) -> Book:
        """Return one book of both, of the same job; what is in both is there once."""
        both = Book(self.of, self.before or other.before)
        newest: dict[Any, Entry] = {}
        for entry in (*self._entries, *other._entries):
            key = (_begun(entry), entry.get("purpose"), entry.get("step", ""))
            known = newest.get(key)
            if known is None or known["count"] <= entry["count"]:
                newest[key] = entry
        for entry in sorted(newest.values(), key=lambda entry: float(_begun(entry))):
            both._take(dict(entry))
        both._polls = thinned({repr(poll): poll for poll in (*self._polls, *other._polls)}.values())
        both._left_out = max(self._left_out, other._left_out)
        return both

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON within ``TRACE_BYTES``: ``{version, of, exchanges, left_out, polls, before}``."""
        self._fit(_MANY)
        return self._plain()

    def _plain(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "of": self.of,
            "exchanges": [dict(entry) for entry in self._entries],
            "left_out": self._left_out,
            "polls": list(self._polls),
            "before": list(self.before),
        }

    def _take(self, entry: Entry) -> None:
        """Add an entry, or fold it into the last one that it repeats."""
        last = self._entries[-1] if self._entries else None
        if last is None or not _repeats(last, entry):
            self._entries.append(entry)
            return
        entry["count"] += last["count"]
        entry["first_started_at"] = _begun(last)
        self._entries[-1] = entry

    # The bound ----------------------------------------------------------------------------------------------

    def _fit(self, few: int) -> None:
        """Bring the entries under the bound, and their number under ``few``."""
        room = TRACE_BYTES - size_of({**self._plain(), "exchanges": []})
        room -= sum(size_of(entry) + 2 for entry in self._entries)
        for dull in (_dull_polls, _middle_pages):
            if room < 0 or len(self._entries) > few:
                room = self._drop(dull(self._entries), room, few)
        if room < 0:
            room = _shortened([e for e in self._entries if not _stays(self._entries, e)], room)
        if room < 0 or len(self._entries) > few:
            room = self._drop([e for e in self._entries if not _stays(self._entries, e)], room, few)
        if room < 0:
            room = _shortened(self._entries, room)
        if room < 0:
            self._drop(self._entries[1:], room, few)

    def _drop(self, entries: list[Entry], room: int, few: int) -> int:
        """Drop the first of these until there is room and they are few; return the room."""
        gone: set[int] = set()
        for entry in entries:
            if room >= 0 and len(self._entries) - len(gone) <= few:
                break
            gone.add(id(entry))
            room += size_of(entry) + 2
            self._left_out += entry["count"]
        self._entries = [entry for entry in self._entries if id(entry) not in gone]
        return room


_SAME = ("purpose", "step", "method", "url", "code", "response", "fault", "detail", "raw_status", "state")


def _begun(entry: Entry) -> float:
    return float(entry.get("first_started_at") or entry.get("started_at") or 0.0)


def _repeats(last: Entry, entry: Entry) -> bool:
    return entry.get("purpose") == "poll" and all(last.get(name) == entry.get(name) for name in _SAME)


def _failed(entry: Entry) -> bool:
    return bool(entry.get("fault")) or (entry.get("code") or 0) >= 400


def _stays(entries: list[Entry], entry: Entry) -> bool:
    """Return whether it always stays: the first submit, the last ones, and the last ones that failed."""
    submit = next((one for one in entries if one.get("purpose") == "submit"), None)
    failing = [one for one in entries if _failed(one)][-_FAILING:]
    return any(entry is one for one in (submit, *failing, *entries[-_LAST:]))


def _dull_polls(entries: list[Entry]) -> list[Entry]:
    """Return the polls that saw the status of the poll before them, the oldest first."""
    dull: list[Entry] = []
    seen: Any = None
    for entry in entries:
        if entry.get("purpose") == "poll" and not _failed(entry):
            status = (entry.get("raw_status"), entry.get("state"))
            if status == seen and not _stays(entries, entry):
                dull.append(entry)
            seen = status
    return dull


def _middle_pages(entries: list[Entry]) -> list[Entry]:
    """Return the good downloads but the first and the last few."""
    pages = [entry for entry in entries if entry.get("purpose") == "result" and not _failed(entry)]
    return [entry for entry in pages[_PAGES:-_PAGES] if not _stays(entries, entry)]


def _shortened(entries: list[Entry], room: int) -> int:
    """Cut bodies, then headers, the oldest first, until there is room; return the room."""
    for shorten in (_without_body, _without_headers):
        for entry in entries:
            if room >= 0:
                return room
            before = size_of(entry)
            shorten(entry)
            room += before - size_of(entry)
    return room


def _without_body(entry: Entry) -> None:
    for name in ("response", "request_shape", "detail"):
        if entry.get(name):
            entry[name] = cut(entry[name], _SHORT_BODY)


def _without_headers(entry: Entry) -> None:
    entry["request_headers"], entry["response_headers"] = {}, {}
