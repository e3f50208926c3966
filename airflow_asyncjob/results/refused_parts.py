"""The records that answers to an upload refused, until they are merged with the other rejects: one file a
part, beside the rejects. A part that is sent again replaces its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from airflow_asyncjob.results.destination import Destination, RemotePath
from airflow_asyncjob.results.formats import jsonl
from airflow_asyncjob.results.jsontext import dumps_any, loads
from airflow_asyncjob.results.rejects import rejects_place
from airflow_asyncjob.results.sink import Sink, remove_file
from airflow_asyncjob.results.stage_local import explained
from airflow_asyncjob.results.stage_remote import explaining

__all__ = ["RefusedParts"]


class RefusedParts:
    """The files ``NAME.rejects.parts/00001.jsonl`` of one destination.

    :param destination: of the result, or of the rejects.
    :raises DestinationError: see :func:`~airflow_asyncjob.results.destination.as_destination`.
    """

    def __init__(self, destination: str | os.PathLike[str] | RemotePath) -> None:
        rejects = rejects_place(destination)
        uri, path = (text.removesuffix(".jsonl") + ".parts" for text in (rejects.uri, rejects.path))
        self._merged = rejects
        self._folder = replace(rejects, uri=uri, path=path)

    def write(self, number: int, entries: Iterable[Mapping[str, Any]]) -> None:
        """Keep what the answer to a part refused; nothing: forget what an earlier answer to it did.

        :param number: of the part, from 1.
        :raises DestinationError: it cannot be written.
        """
        place, rows = self._file(f"{number:05d}.jsonl"), ((None, dumps_any(dict(entry))) for entry in entries)
        first = next(rows, None)
        if first is None:
            remove_file(place)
            return
        with Sink(place, folder=False) as sink:
            with sink.file() as out:
                jsonl.write(out, chain([first], rows))
            sink.commit()

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield everything that is kept, part by part.

        :raises DestinationError: it cannot be read.
        """
        for name in self._names():
            yield from _lines(self._file(name))

    def restore(self) -> None:
        """Take them back out of the rejects that they were merged into, unless they are still here.

        :raises DestinationError: these cannot be read, or the parts not be written.
        """
        if not self._names():
            self.write(1, (line for line in _lines(self._merged) if line["stage"] == "upload"))

    def remove(self) -> None:
        """Forget everything.

        :raises DestinationError: it cannot be removed.
        """
        if self._folder.fs is not None:
            with explaining(self._folder.uri):
                if self._folder.fs.exists(self._folder.path):
                    self._folder.fs.rm(self._folder.path, recursive=True)
            return
        try:
            shutil.rmtree(self._folder.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise explained(self._folder.uri, error) from error

    def _file(self, name: str) -> Destination:
        folder = self._folder
        return replace(folder, uri=f"{folder.uri}/{name}", path=f"{folder.path}/{name}")

    def _names(self) -> list[str]:
        """Return the files in the order of the parts; their names are as long as it takes."""
        fs = self._folder.fs
        if fs is None:
            folder = Path(self._folder.path)
            found = [path.name for path in folder.glob("*.jsonl")]
        else:
            with explaining(self._folder.uri):
                fs.invalidate_cache(self._folder.path)
                listed = fs.ls(self._folder.path, detail=False) if fs.exists(self._folder.path) else []
            found = [str(path).rpartition("/")[2] for path in listed]
        return sorted((name for name in found if name.endswith(".jsonl")), key=lambda name: (len(name), name))


def _lines(place: Destination) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file; one that is not there has none."""
    try:
        if place.fs is None:
            with Path(place.path).open("rb") as file:
                yield from (loads(line.decode()) for line in file)
            return
        with explaining(place.uri):
            if place.fs.exists(place.path):
                with place.fs.open(place.path, "rb") as file:
                    yield from (loads(line.decode()) for line in file)
    except FileNotFoundError:
        return
    except OSError as error:
        raise explained(place.uri, error) from error
