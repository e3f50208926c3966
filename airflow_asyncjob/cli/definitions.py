"""Definitions as the command line reads them."""

from __future__ import annotations

import warnings
from pathlib import Path

from airflow_asyncjob.cli.outcome import tell
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.catalogue import CatalogueWarning
from airflow_asyncjob.errors import DefinitionError

__all__ = ["check_callback", "load_definition"]


def load_definition(source: str) -> AsyncJob:
    """Return the definition of a file or a packaged name; what is wrong in the catalogue goes to stderr.

    :raises DefinitionError: every mistake in it, also what ``asyncjob new`` left to be filled in.
    """
    _filled(source)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CatalogueWarning)
        try:
            return AsyncJob.load(source)
        finally:
            for warning in caught:
                tell(f"warning: {warning.message}")


def _filled(source: str) -> None:
    path = Path(source)
    if not path.is_file():
        return
    from airflow_asyncjob.importers.draft import unfilled

    # Whether it is a definition at all is for the loader to say.
    missing = unfilled(path.read_bytes().decode("utf-8", "replace"))
    if missing:
        lines = [
            f"{source}:{line}: {word} was left by asyncjob new: write what the API has there"
            for line, word in missing
        ]
        raise DefinitionError("\n".join(lines))


def check_callback(definition: AsyncJob) -> None:
    """Refuse a submit that needs an address of Airflow's API server: nobody listens here.

    :raises DefinitionError: it does.
    """
    from airflow_asyncjob.definition.callback import wants_callback

    if wants_callback(definition):
        raise DefinitionError(
            "submit: sends {{ callback_url }}, an address of Airflow's API server, and the command line has "
            "none: nothing was sent. Run this definition in Airflow, or a copy without the address and "
            "without status.webhook"
        )
