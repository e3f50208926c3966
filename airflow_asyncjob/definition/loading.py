"""Loading: where a definition comes from."""

from __future__ import annotations

import difflib
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path as FilePath

from airflow_asyncjob.definition.problems import shown
from airflow_asyncjob.definition.yaml12 import LARGEST_FILE, Loaded, read_json, read_yaml
from airflow_asyncjob.errors import DefinitionError

__all__ = ["packaged_names", "read_source"]

_FILE_SUFFIXES = (".yaml", ".yml", ".json")
_PACKAGED = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


def read_source(source: str | FilePath) -> tuple[Loaded, str]:
    """Return the content of a file or of a packaged definition, and what to call it in messages.

    :param source: a path that ends in .yaml, .yml or .json, or the name of a definition that ships with this
        package.
    :raises DefinitionError: there is no such file or name, or it cannot be read.
    """
    text = str(source)
    if text.lower().endswith(_FILE_SUFFIXES):
        return _read(FilePath(text), text), text
    if isinstance(source, FilePath):
        raise DefinitionError(f"{text}: a definition is a file that ends in {', '.join(_FILE_SUFFIXES)}")
    return _read(_packaged(text), text), text


def _read(file: FilePath | Traversable, source: str) -> Loaded:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise DefinitionError(f"{source}: there is no such file") from None
    except OSError as error:
        raise DefinitionError(f"{source}: the file cannot be read: {error.strerror or error}") from None
    return read_json(content, source) if source.lower().endswith(".json") else read_yaml(content, source)


def _catalogue() -> Traversable:
    return resources.files("airflow_asyncjob").joinpath("catalogue")


def packaged_names() -> list[str]:
    """Return the names of the definitions that ship with this package, sorted."""
    return sorted(_names_under(_catalogue(), "")) if _catalogue().is_dir() else []


def _names_under(folder: Traversable, prefix: str) -> list[str]:
    names: list[str] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            names.extend(_names_under(entry, f"{prefix}{entry.name}/"))
        elif entry.name.endswith(".yaml"):
            names.append(prefix + entry.name.removesuffix(".yaml"))
    return names


def _packaged(name: str) -> Traversable:
    names = packaged_names()
    if name in names and _PACKAGED.fullmatch(name):
        return _catalogue().joinpath(*f"{name}.yaml".split("/"))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
    raise DefinitionError(
        f"{shown(name)} is neither a file ({', '.join(_FILE_SUFFIXES)}) nor the name of a packaged "
        f"definition; {hint}Packaged: {', '.join(names) or 'none'}"
    )
