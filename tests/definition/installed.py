"""A package with definitions, laid into a folder as an installer lays it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from airflow_asyncjob.definition.catalogue import GROUP

__all__ = ["definition_text", "lay"]

_TEXT = """\
# The orders of a day.
version: 1
name: {name}
description: Orders.
submit: {{request: {{url: /orders}}, id: id}}
status:
  request: {{url: "/orders/{{{{ submission_id }}}}"}}
  path: state
  values: {{done: ready, failed: broken}}
"""


def definition_text(name: str = "acme/orders") -> str:
    """Return the file of a definition."""
    return _TEXT.format(name=name)


def lay(site: Path, distribution: str, value: str, files: Mapping[str, str], *, point: str = "acme") -> None:
    """Write the files of a package into a folder, and what an installer writes beside them.

    :param value: of the entry point.
    :param point: name of the entry point.
    """
    info = f"{distribution.replace('-', '_')}-1.2.dist-info"
    written = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n",
        f"{info}/entry_points.txt": f"[{GROUP}]\n{point} = {value}\n",
    }
    for name, text in written.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
