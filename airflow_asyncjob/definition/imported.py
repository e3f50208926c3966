"""Callables by import path: what a definition says as ``package.module:name``."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from typing import Any

from airflow_asyncjob.errors import DefinitionError

__all__ = ["CALLABLE_PATH", "find_module", "import_callable"]

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
        raise _not_imported(path, where, error) from error
    if not callable(found):
        raise DefinitionError(f"{where} {path} is a value of type {type(found).__name__}, not a callable")
    return found  # type: ignore[no-any-return]


def find_module(path: str, where: str) -> None:
    """Look whether the module of a path is there, without importing it: only packages around it are, which
    Python needs to find it. What is in the module is not looked at.

    :param path: ``package.module:name``.
    :param where: the field, for messages, such as ``transform``.
    :raises DefinitionError: there is no such module.
    """
    module = path.partition(":")[0]
    try:
        found = importlib.util.find_spec(module)
    except Exception as error:
        raise _not_imported(path, where, error) from error
    if found is None:
        raise _not_imported(path, where, ModuleNotFoundError(f"No module named {module!r}"))


def _not_imported(path: str, where: str, error: Exception) -> DefinitionError:
    return DefinitionError(
        f"{where} {path} cannot be imported: {type(error).__name__}: {error}. The module must lie "
        "where the worker's Python finds it, such as in the DAGs folder or a package"
    )
