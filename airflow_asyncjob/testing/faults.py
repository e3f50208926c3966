"""Faults: what a fake server does wrong on purpose, switched on and off while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from airflow_asyncjob.testing.ledger import PURPOSES, Purpose

__all__ = ["FAULT_KINDS", "Fault", "FaultKind", "Faults"]

FaultKind = Literal[
    "answer", "html", "empty", "garbage", "reset", "lost", "slow", "truncate", "break", "refuse"
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

_HTML = (
    b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>\n"
)
_GARBAGE = b'\x00\xff\xfe{"status": \x9d\x01 not a document'


@dataclass
class Fault:
    """One fault and the requests that it still waits for.

    :param purpose: requests that it hits; ``any``: all of them.
    :param kind: one of :data:`FAULT_KINDS`; see :meth:`Faults.add`.
    :param skip: requests of that purpose that still pass before it begins.
    :param times: requests that it still hits; None: until it is cleared.
    :param code: HTTP status code of the answer, for the kinds that answer.
    :param headers: headers of the answer.
    :param body: body of the answer.
    :param seconds: slow: how long the answer is held back; refuse: how long, None: until it is cleared.
    """

    purpose: Purpose | Literal["any"]
    kind: FaultKind
    skip: int = 0
    times: int | None = 1
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float | None = None

    @property
    def answers(self) -> bool:
        """Whether the fault is itself the answer, so that the request is not executed."""
        return self.kind in ("answer", "html", "empty", "garbage")


class Faults:
    """The faults of one server. Thread-safe.

    :param refuse: called with the seconds (None: until the next call with 0) for which connections are
        refused.
    """

    def __init__(self, refuse: Callable[[float | None], None]) -> None:
        self._refuse = refuse
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        purpose: Purpose | Literal["any"],
        kind: FaultKind | int,
        *,
        nth: int = 1,
        times: int | None = 1,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        code: int | None = None,
        seconds: float | None = None,
    ) -> Fault:
        """Do this wrong from now on.

        Faults of the same purpose are a queue: one that was added later counts only the requests that the
        ones before it let pass. ``add("poll", 500, times=2)`` and then ``add("poll", "reset")`` hit polls 1
        and 2, and 3.

        A request that is *executed* has its effect, although the client may never hear of it.

        ========  ==================================================================================  ========
        kind      what happens                                                                        executed
        ========  ==================================================================================  ========
        a number  this status code, with ``headers`` and ``body``; the same as ``answer`` with        no
                  ``code``
        html      an HTML page, 200 unless ``code`` says otherwise                                    no
        empty     no body, 200 unless ``code`` says otherwise                                         no
        garbage   bytes that are no document, labelled as JSON                                        no
        reset     TCP reset before any answer                                                         no
        lost      the connection is cut instead of the answer                                         yes
        slow      the answer comes after ``seconds``                                                  yes
        truncate  ``Content-Length`` announces more than is sent, then the connection is cut          yes
        break     the same, with a TCP reset after the half                                           yes
        refuse    no connection is accepted, and open ones are cut, for ``seconds`` (None: until      no
                  :meth:`clear`); goes with purpose ``any``
        ========  ==================================================================================  ========

        :param purpose: which requests; ``any``: all.
        :param nth: begin with this one of them, counted from now; 1 is the next.
        :param times: how many in a row; None: until :meth:`clear`.
        :raises ValueError: an unknown purpose or kind, or an argument that does not go with the kind.
        """
        name: FaultKind = "answer" if isinstance(kind, int) else kind
        code = kind if isinstance(kind, int) else code
        _check(purpose, name, nth, times, code, seconds)
        content_headers, content = _content(name, dict(headers or {}), body)
        fault = Fault(purpose, name, nth - 1, times, code or 200, content_headers, content, seconds)
        with self._lock:
            self._faults.append(fault)
        if name == "refuse":
            self._refuse(seconds)
        return fault

    def take(self, purpose: Purpose) -> Fault | None:
        """Return the fault for a request that has just come; None: answer it well."""
        with self._lock:
            for fault in self._faults:
                if fault.kind == "refuse" or fault.purpose not in ("any", purpose):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if not fault.times:
                        self._faults.remove(fault)
                return fault
        return None

    def active(self) -> list[Fault]:
        """Return the faults that are not used up: empty when all that a test asked for has happened."""
        with self._lock:
            return list(self._faults)

    def clear(self, purpose: Purpose | Literal["any"] | None = None) -> None:
        """Stop doing wrong.

        :param purpose: only the faults that were added for it; None: all.
        """
        with self._lock:
            gone = [f for f in self._faults if purpose in (None, f.purpose)]
            self._faults = [f for f in self._faults if f not in gone]
        if any(f.kind == "refuse" for f in gone):
            self._refuse(0)

    def refused_long_enough(self) -> None:
        """Forget the refusals: their time is over."""
        with self._lock:
            self._faults = [f for f in self._faults if f.kind != "refuse"]


def _check(
    purpose: str, kind: str, nth: int, times: int | None, code: int | None, seconds: float | None
) -> None:
    if purpose not in (*PURPOSES, "any"):
        raise ValueError(f"unknown purpose {purpose!r}; valid: {', '.join((*PURPOSES, 'any'))}")
    if kind not in FAULT_KINDS:
        raise ValueError(f"unknown kind {kind!r}; valid: a status code, {', '.join(FAULT_KINDS)}")
    if nth < 1:
        raise ValueError(f"nth counts from 1, the next request; got {nth!r}")
    if times is not None and times < 1:
        raise ValueError(f"times is 1 or more, or None for until it is cleared; got {times!r}")
    if kind == "answer" and code is None:
        raise ValueError("kind answer needs a code")
    if code is not None and not 200 <= code <= 599:
        raise ValueError(f"code is an HTTP status code of a final answer, 200 to 599; got {code!r}")
    if kind == "slow" and seconds is None:
        raise ValueError("kind slow needs seconds")
    if kind == "refuse" and (purpose != "any" or nth != 1):
        raise ValueError(
            "kind refuse goes with purpose any and nth 1: no request is seen, so none can be chosen"
        )
    if seconds is not None and (kind not in ("slow", "refuse") or seconds < 0):
        raise ValueError("seconds goes with the kinds slow and refuse, and is 0 or more")


def _content(
    kind: FaultKind, headers: Mapping[str, str], body: bytes | str | None
) -> tuple[Mapping[str, str], bytes]:
    given = body.encode() if isinstance(body, str) else body
    default: dict[str, Any] = {
        "answer": ("application/json", b'{"error": "made by the fake server"}\n'),
        "html": ("text/html; charset=utf-8", _HTML),
        "garbage": ("application/json", _GARBAGE),
    }
    content_type, content = default.get(kind, ("", b""))
    if content_type and not any(name.lower() == "content-type" for name in headers):
        headers = {"Content-Type": content_type, **headers}
    return headers, content if given is None else given
