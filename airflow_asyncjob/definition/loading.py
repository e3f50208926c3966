"""Loading: where a definition comes from."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path as FilePath

from airflow_asyncjob.definition.catalogue import Entry, find_entry
from airflow_asyncjob.definition.yaml12 import LARGEST_FILE, Loaded, read_json, read_yaml
from airflow_asyncjob.errors import DefinitionError

__all__ = ["entry_of", "read_source"]

_FILE_SUFFIXES = (".yaml", ".yml", ".json")


def read_source(source: str | FilePath) -> tuple[Loaded, str]:
    """Return the content of a file or of a packaged definition, and what to call it in messages.

    :param source: a path that ends in .yaml, .yml or .json, or the name of a definition that ships with this
        package or is added by another one.
    :raises DefinitionError: there is no such file or name, or it cannot be read.
    """
    text = str(source)
    entry = entry_of(source)
    return _read(FilePath(text) if entry is None else entry.file, text), text


def entry_of(source: str | FilePath) -> Entry | None:
    """Return the entry of the catalogue that a source names; None where it is the path of a file.

    :raises DefinitionError: it is neither.
    """
    text = str(source)
    if text.lower().endswith(_FILE_SUFFIXES):
        return None
    if isinstance(source, FilePath):
        raise DefinitionError(f"{text}: a definition is a file that ends in {', '.join(_FILE_SUFFIXES)}")
    return find_entry(text)


def _read(file: FilePath | Traversable, source: str) -> Loaded:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise DefinitionError(f"{source}: there is no such file") from None
    except OSError as error:
        raise DefinitionError(f"{source}: the file cannot be read: {error.strerror or error}") from None
    return read_json(content, source) if source.lower().endswith(".json") else read_yaml(content, source)
