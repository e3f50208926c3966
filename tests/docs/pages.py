"""The documentation as data: pages, blocks, links."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "Link", "blocks", "links", "named", "prose", "run_in"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    :param number: counts the blocks of its page, from 1.
    """

    page: Path
    number: int
    language: str
    text: str


@dataclass(frozen=True)
class Link:
    page: Path
    text: str
    target: str


def named(item: Block | Link | Path) -> str:
    """Return a name for the report of a test."""
    page = item if isinstance(item, Path) else item.page
    name = str(page.relative_to(ROOT))
    if isinstance(item, Block):
        return f"{name}-{item.number}"
    return f"{name}-{item.target}" if isinstance(item, Link) else name


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of these languages in every page."""
    found: list[Block] = []
    for page in PAGES:
        for number, match in enumerate(_FENCE.finditer(page.read_text()), 1):
            lines = match["text"].splitlines(keepends=True)
            text = "".join(line.removeprefix(match["indent"]) for line in lines)
            found.append(Block(page, number, match["language"], text))
    return [block for block in found if block.language in languages]


def prose(page: Path) -> str:
    """Return a page without its blocks."""
    return _FENCE.sub("", page.read_text())


def links() -> Iterator[Link]:
    """Yield the links of every page to files of this repository."""
    for page in PAGES:
        for match in _LINK.finditer(prose(page)):
            if not match["target"].startswith(("http://", "https://", "mailto:")):
                yield Link(page, match["text"], match["target"])


def run_in(folder: Path, *arguments: str, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``python -m ARGUMENTS`` in a folder, with the command ``asyncjob`` on the path.

    :param site: folder with further installed packages.
    """
    program = folder / "bin" / "asyncjob"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m airflow_asyncjob "$@"\n')
    program.chmod(0o755)
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": f"{site}:{ROOT}" if site else str(ROOT),
            "PATH": f"{program.parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
