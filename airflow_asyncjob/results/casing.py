"""Names of fields in snake_case, which every warehouse takes."""

from __future__ import annotations

import re

from airflow_asyncjob.results.source import Body

__all__ = ["Casing"]

_BOUNDARY = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=\d)(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHERS = re.compile(r"[\W_]+")


class Casing:
    """New names of fields, each made once, and never the same for two."""

    def __init__(self) -> None:
        self._new: dict[str, str] = {}
        self._old: dict[str, str] = {}

    def name(self, old: str, body: Body) -> str:
        """Return the new name: ``OrderID`` and ``Order Id`` become ``order_id``.

        A name without a letter or digit stays as it is.

        :raises FormatError: another field has that name already.
        """
        new = self._new.get(old)
        if new is None:
            new = self._new[old] = _snake(old)
            other = self._old.setdefault(new, old)
            if other != old:
                raise body.wrong(
                    f"the fields {other!r} and {old!r} would both be {new}",
                    "Name them with select, or leave snake_case out",
                )
        return new


def _snake(name: str) -> str:
    return _OTHERS.sub("_", _BOUNDARY.sub("_", name)).strip("_").lower() or name
