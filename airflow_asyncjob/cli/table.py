"""Tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["print_table"]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table: with a frame on a terminal, and without, one row a line, to a file or a pipe."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=not terminal)
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    for row in cells:
        table.add_row(*map(Text, row))
    widest = [max(len(row[index]) for row in [columns, *cells]) + 2 for index in range(len(columns))]
    Console(width=None if terminal else max(80, 4 * sum(widest)), highlight=False, markup=False).print(table)
