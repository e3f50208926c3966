"""Callables by import path: what a definition says as ``package.module:name``."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any

from airflow_asyncjob.errors import DefinitionError

__all__ = ["CALLABLE_PATH", "import_callable"]

CALLABLE_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def import_callable(path: str, where: str) -> Callable[..., Any]:
    """Return what a path leads to; its module is imported, which runs it.

    :param path: ``package.module:name``.
    :param where: the field, for messages, such as ``transform``.
    :raises DefinitionError: it cannot be imported, or cannot be called.
    """
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise DefinitionError(
            f"{where} {path} cannot be imported: {type(error).__name__}: {error}. The module must lie "
            "where the worker's Python finds it, such as in the DAGs folder or a package"
        ) from error
    if not callable(found):
        raise DefinitionError(f"{where} {path} is a value of type {type(found).__name__}, not a callable")
    return found  # type: ignore[no-any-return]
