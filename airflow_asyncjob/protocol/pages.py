"""Pages: which page of a paged result comes next, and when there are enough. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

from airflow_asyncjob.definition.document import parse_body
from airflow_asyncjob.definition.extract import MISSING, Headers, View, find
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.definition.models.paginate import PAGE_NAMES, Paginate
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.problems import shown
from airflow_asyncjob.definition.render import uses_name
from airflow_asyncjob.definition.templates import inspect
from airflow_asyncjob.errors import PagingError, UnreadableError
from airflow_asyncjob.protocol.messages import Response

__all__ = ["Pages"]

_MOST_EMPTY = 10
"""Pages without records in a row that an API may send and still name a next one, as filters do."""


class Pages:
    """The pages of one download target: what to ask for, and what a page means for the next one.

    :param request: of the first page; the definition's own, or a GET of the target.
    :param section: of the definition, for messages.
    :param follow: returns the address to ask, given the URL of a page and the one that it names; the default
        resolves as RFC 3986 says.
    """

    def __init__(
        self,
        paginate: Paginate,
        request: Request,
        limits: Limits,
        *,
        section: str = "result",
        follow: Callable[[str, str], str] = urljoin,
    ) -> None:
        self.number = 1
        self._paginate = paginate
        self._request = request
        self._limits = limits
        self._section = section
        self._follow = follow
        self._used = [name for name in PAGE_NAMES if uses_name(request, name)]
        self._next: Any = None
        self._offset = self._empty = 0
        self._asked: dict[str, int] = {}
        self._came: dict[bytes, int] = {}

    @property
    def is_named(self) -> bool:
        """Whether pages after the first are those that the page before names."""
        return self._paginate.next is not None

    @property
    def reads_body(self) -> bool:
        """Whether the body of a page names the next one, so that it has to be kept."""
        source = self._paginate.next
        if source is None:
            return False
        if source.expr is not None:
            return "body" in inspect(source.expr, expression=True).names
        return source.path is not None

    @property
    def request(self) -> Request:
        """What to send for this page."""
        if self._used or self.number == 1:
            return self._request
        first = self._request
        return Request(url="{{ next }}", headers=first.headers, auth=first.auth, response=first.response)

    def names(self) -> dict[str, Any]:
        """Return the template names of this page."""
        return {"page": self.number, "offset": self._offset, "next": self._next}

    def turn(self, response: Response, body: bytes, *, records: int | None, digest: bytes) -> bool:
        """Take what a page says; return whether there is a next one, which is then this one.

        :param body: of the page, decompressed; empty where :attr:`reads_body` is false.
        :param records: how many it had; None: nobody counted.
        :param digest: of its bytes, so that a page that comes again is known.
        :raises PagingError: the pages repeat, or do not end.
        :raises UnreadableError: what the page says of the next one cannot be read.
        """
        self._note(response, records, digest)
        follows = self._named(response, body) if self._paginate.next is not None else None
        if not self._goes_on(follows, records):
            return False
        if self._paginate.next is not None and not self._used:
            follows = self._address(response, follows)
        if self.number >= self._limits.pages:
            raise PagingError(
                f"{response.sent} is page {self.number:,}, and there are more: limits.pages allows no more, "
                f"and nothing is written. If the {self._section} is that long, ask for more records a page, "
                f"or raise limits.pages; if not, correct {self._section}.paginate"
            )
        self._next = follows
        self._offset += records or 0
        self.number += 1
        self._refuse_again(response)
        return True

    def _goes_on(self, follows: Any, records: int | None) -> bool:
        if self._paginate.next is not None:
            return bool(follows)
        return records != 0 and (self._paginate.size is None or (records or 0) >= self._paginate.size)

    def _note(self, response: Response, records: int | None, digest: bytes) -> None:
        """Note a page that came.

        :raises PagingError: the same one came before, under a number that moves; or too many without records.
        """
        self._empty = 0 if records != 0 else self._empty + 1
        if self._empty > _MOST_EMPTY:
            raise PagingError(
                f"{response.sent} is page {self.number:,}, and like the {_MOST_EMPTY} before it has no "
                f"records, but names a next one. Correct {self._section}.paginate.next, or "
                f"{self._section}.records"
            )
        if self.number == 1:
            self._asked[self._key(response.url)] = 1
        if not {"page", "offset"}.intersection(self._used) or not records:
            return
        earlier = self._came.setdefault(digest, self.number)
        if earlier != self.number:
            raise PagingError(
                f"{response.sent} is page {self.number:,}, and is the same, byte for byte, as page "
                f"{earlier:,}: the API does not heed what says which page is meant. Correct what in "
                f"{self._section}.request uses page or offset"
            )

    def _named(self, response: Response, body: bytes) -> Any:
        """Return what the page says of the next one; None: nothing."""
        assert self._paginate.next is not None
        where = f"{self._section}.paginate.next"
        try:
            tree = parse_body(body, self._request.response, response.encoding) if self.reads_body else None
            view = View(response.code, Headers(response.headers), tree, response.url)
            value = find(self._paginate.next, view, where=where)
        except UnreadableError as error:
            raise UnreadableError(
                f"{response.sent}: it cannot be read what page {self.number:,} says of the next one: "
                f"{error.message}. Correct {where}"
            ) from None
        return None if value is MISSING else value

    def _address(self, response: Response, follows: Any) -> str:
        if not isinstance(follows, str) or follows != follows.strip() or len(follows.split()) != 1:
            raise UnreadableError(
                f"{response.sent}: page {self.number:,} says {shown(follows)} of the next one, which is no "
                f"address. When it is a cursor, let {self._section}.request use it, such as params: "
                "{cursor: '{{ next }}'}"
            )
        return self._follow(response.url, follows)

    def _refuse_again(self, response: Response) -> None:
        """Refuse what was asked for before.

        :raises PagingError: this page would be one that came already.
        """
        key = self._key(str(self._next))
        earlier = self._asked.setdefault(key, self.number)
        if earlier != self.number:
            raise PagingError(
                f"{response.sent} is page {self.number - 1:,}, and what it says of the next one leads "
                f"back to page {earlier:,}: the pages go round in a circle. Nothing is written. Correct "
                f"{self._section}.paginate.next, or tell the API's support"
            )

    def _key(self, url: str) -> str:
        if not self._used:
            return url
        names = self.names()
        return json.dumps([names[name] for name in self._used], sort_keys=True, default=str)
