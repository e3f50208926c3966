"""Bytes that wait on the local disk in a file without a name: however the process ends, nothing is left."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

from airflow_asyncjob.errors import DestinationError

__all__ = ["Spool"]


class Spool:
    """A file without a name in the folder for temporary files (``TMPDIR``).

    :param what: what cannot be had when the disk is full, for messages.
    :param waits: why it needs the disk, for messages.
    """

    def __init__(self, what: str, waits: str = "until the result is whole it waits") -> None:
        self._what = what
        self._waits = waits
        self.file: IO[bytes] = tempfile.TemporaryFile(prefix="asyncjob-")  # noqa: SIM115

    @property
    def closed(self) -> bool:
        """Whether it was let go of; pyarrow asks that of what it writes to."""
        return self.file.closed

    def write(self, data: bytes | memoryview) -> int:
        """Append, and return how many bytes.

        :raises DestinationError: the disk is full.
        """
        try:
            return self.file.write(data)
        except OSError as error:
            raise self._full(error) from error

    def rewind(self) -> None:
        """Make everything readable from the start.

        :raises DestinationError: the disk is full.
        """
        try:
            self.file.seek(0)
        except OSError as error:
            raise self._full(error) from error

    def lines(self) -> Iterator[bytes]:
        """Yield the lines from the start, then let go of the file."""
        self.rewind()
        yield from self.file
        self.file.close()

    def _full(self, error: OSError) -> DestinationError:
        return DestinationError(
            f"{self._what} cannot be written: {self._waits} in {tempfile.gettempdir()}, "
            f"and that fails: {error.strerror}. Free space there, or set TMPDIR to a folder that has more."
        )
