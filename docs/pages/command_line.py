"""The commands, from the functions behind them."""

from __future__ import annotations

import inspect
import typing
from enum import StrEnum
from typing import Any

from pages.docstrings import cell, parse
from pages.markdown import NOTICE, table

__all__ = ["cli_page"]


def cli_page() -> str:
    """Every command, from the functions behind them."""
    from airflow_asyncjob.cli.app import app

    parts = [
        NOTICE,
        "# The command line\n\n"
        "`asyncjob` is installed with the package and needs no Airflow. Without the script on the path: "
        "`python -m airflow_asyncjob`. How to use it: [Use the command line](../how-to/command-line.md).\n",
    ]
    commands = {one.name or one.callback.__name__: one.callback for one in app.registered_commands}
    for name, function in sorted(commands.items()):
        hints = typing.get_type_hints(function, include_extras=True)
        given = [
            (*typing.get_args(hints[param.name]), param)
            for param in inspect.signature(function).parameters.values()
        ]
        operands = [info.metavar for _, info, _ in given if not _is_option(info)]
        usage = " ".join([name, *["[OPTIONS]"] * any(_is_option(info) for _, info, _ in given), *operands])
        told = parse(function)
        parts.append(f"\n## asyncjob {name}\n\n```text\nasyncjob {usage}\n```\n\n{told.summary}\n")
        parts.append(f"\n{told.body}\n" if told.body else "")
        rows = [_option(annotation, info, param) for annotation, info, param in given]
        parts.append("\n" + table(("argument", "default", "meaning"), rows) if rows else "")
    return "".join(parts)


def _is_option(info: Any) -> bool:
    return type(info).__name__ == "OptionInfo"


def _option(annotation: Any, info: Any, param: inspect.Parameter) -> tuple[str, str, str]:
    label = info.metavar
    if _is_option(info):
        # Inside Annotated, the first name of an option lies where its default would be.
        names = [info.default, *(info.param_decls or ()), f"--{param.name.replace('_', '-')}"]
        flag = next(name for name in names if isinstance(name, str) and name.startswith("--"))
        values = (
            "|".join(annotation) if isinstance(annotation, type) and issubclass(annotation, StrEnum) else ""
        )
        label = flag if annotation is bool else f"{flag} {info.metavar or values}"
    plain = param.default in (None, False, param.empty)
    return f"`{label}`".replace("|", "\\|"), "" if plain else f"`{param.default}`", cell(info.help or "")
