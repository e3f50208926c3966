"""The files that the example DAGs of imports send."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

from airflow_asyncjob.testing.contacts import contact

__all__ = ["DEMO_REFUSED", "write_people"]

_PEOPLE = 1000
_NOBODY = {17: "nobody", 500: "nobody else"}
"""Numbers of contacts with an e-mail address that is none."""
DEMO_REFUSED = len(_NOBODY)
"""How many of the contacts every API refuses."""


def write_people(path: Path, names: Mapping[str, str]) -> None:
    """Write contacts as the suffix of the path says, ``.csv`` or ``.jsonl``.

    :param names: column of the file: field of :func:`contact`.
    """
    rows = []
    for number in range(_PEOPLE):
        values = contact(number)
        values["EMAIL"] = _NOBODY.get(number, values["EMAIL"])
        rows.append({name: values[source] for name, source in names.items()})
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, list(names))
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
