"""asyncjob, the command line. It runs without Airflow, and loads its parts when they are used."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code.

    :param arguments: without the program's name; None: those of the process.
    """
    from airflow_asyncjob.cli.app import call

    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(call(given))
