"""From the package's docstrings (reStructuredText with ``:param:`` fields) to Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Docstring", "cell", "inline", "parse"]

_FIELD = re.compile(r"^:(?P<kind>param|raises|returns?|ivar)(?: (?P<name>[\w., *]+))?: ?", re.MULTILINE)
_ROLE = re.compile(r":(?:class|meth|func|data|mod|attr):`~?(?P<target>[^`]+)`")


@dataclass
class Docstring:
    """A docstring in parts, as Markdown.

    :param summary: its first paragraph, on one line.
    :param body: the rest before the fields.
    :param params: argument: meaning.
    :param raises: error: when.
    """

    summary: str = ""
    body: str = ""
    params: dict[str, str] = field(default_factory=dict)
    raises: dict[str, str] = field(default_factory=dict)


def parse(item: Any) -> Docstring:
    """Return the docstring of an object."""
    text = inspect.getdoc(item) or ""
    before, *rest = _FIELD.split(text)
    paragraphs = before.strip().split("\n\n")
    found = Docstring(inline(" ".join(paragraphs[0].split())), _blocks("\n\n".join(paragraphs[1:])))
    for kind, name, meaning in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        one_line = inline(" ".join(meaning.split("\n\n")[0].split()))
        if kind == "param":
            found.params[name.strip()] = one_line
        elif kind == "raises":
            found.raises[name.strip()] = one_line
    return found


def inline(text: str) -> str:
    """Return a line with Markdown's literals, and without roles."""
    text = _ROLE.sub(lambda match: f"`{match['target'].rsplit('.', 1)[-1]}`", text)
    return text.replace("``", "`")


def cell(text: str) -> str:
    """Return text that fits into a cell of a table."""
    return " ".join(inline(text).split()).replace("|", "\\|")


def _blocks(text: str) -> str:
    """Return paragraphs, with literal blocks and tables fenced."""
    done: list[str] = []
    literal = False
    for block in re.split(r"\n{2,}", text.strip("\n")):
        if not block.strip():
            continue
        if literal and block.startswith(" "):
            done.append(_fenced(block, "python"))
            continue
        literal = block.rstrip().endswith("::")
        if block.lstrip().startswith("==="):
            done.append(_table(textwrap.dedent(block).splitlines()))
        elif literal:
            prose = block.rstrip().removesuffix("::").rstrip()
            done.extend([inline(f"{prose}:")] if prose else [])
        else:
            done.append(inline(block))
    return "\n\n".join(done)


def _table(lines: list[str]) -> str:
    """Return a simple table of reStructuredText as one of Markdown; a row may go on in the next lines."""
    starts = [match.start() for match in re.finditer("=+", lines[0])]
    rows: list[list[str]] = []
    head = sum(line.startswith("==") for line in lines) == 3
    for line in lines:
        if line.startswith("=="):
            continue
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if rows and not cells[0]:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    titles = rows.pop(0) if head else [""] * len(starts)
    shown = [titles, ["---"] * len(starts), *rows]
    return "\n".join(f"| {' | '.join(map(cell, row))} |" for row in shown)


def _fenced(block: str, language: str) -> str:
    return f"```{language}\n{textwrap.dedent(block).strip()}\n```"
