"""The manifest: what a download wrote. It fits an XCom, and the last line of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Manifest"]


@dataclass(frozen=True)
class Manifest:
    """What was written.

    :param state: how the job ended: ``done``, ``partial`` or ``no_data``.
    :param uris: where the files lie, in the order in which the results came; empty when there were no data.
    :param records: how many records were written. None for a raw result, whose records nobody counted.
    :param bytes: size of the files as written (after compression), all together.
    :param sha256: of the bytes as written, in hexadecimal; of several raw files, of their bytes one after the
        other in the order of ``uris``. None when no file was written.
    :param format: ``raw``, ``jsonl``, ``csv`` or ``parquet``.
    :param rejects: the records that the API refused; None when the definition does not ask for them.
    :param submission_id: the API's ID of the job.
    :param primary_key: the fields that identify a record; empty when the definition names none.
    """

    state: str
    uris: tuple[str, ...]
    records: int | None
    bytes: int
    sha256: str | None
    format: str
    rejects: Mapping[str, Any] | None = None
    submission_id: str = ""
    primary_key: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON types."""
        return {
            "state": self.state,
            "uris": list(self.uris),
            "records": self.records,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "format": self.format,
            "rejects": None if self.rejects is None else dict(self.rejects),
            "submission_id": self.submission_id,
            "primary_key": list(self.primary_key),
        }
