"""The upload of one job: cut when the protocol asks for it, and read part by part by the wire."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from airflow_asyncjob.errors import AsyncJobError
from airflow_asyncjob.protocol.messages import Failed, Fault
from airflow_asyncjob.protocol.parts import Plan, Planned
from airflow_asyncjob.transport.upload import PartBody, StreamedPart
from airflow_asyncjob.uploads.cut import HELD_BYTES
from airflow_asyncjob.uploads.encode import CONTENT_TYPES
from airflow_asyncjob.uploads.plan import plan_upload
from airflow_asyncjob.uploads.sending import PartReader

if TYPE_CHECKING:
    from airflow_asyncjob.transport.client import Wire

__all__ = ["Uploading"]


class Uploading:
    """Cuts the upload of a job into parts, and gives them to the wire that sends them.

    To be closed, best with ``with``: a source that is open stays so between two parts.

    :param wire: its ``find`` reaches the source; it gets its ``find_part``.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._reader: PartReader | None = None
        self._content_type = ""
        wire.find_part = self._part

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._reader = None

    def plan(self, command: Plan) -> Planned | Failed:
        """Read the source once, and cut it into parts; why it cannot be cut is a ``Failed``."""
        upload, names, find = command.upload, command.names, self._wire.find
        try:
            plan = plan_upload(upload, names, find, md5=command.md5)
        except AsyncJobError as error:
            return Failed(Fault.REFUSED, "", error.message, error)
        self._reader = PartReader(upload, names, find, plan)
        self._content_type = CONTENT_TYPES[upload.format]
        return Planned(plan)

    def _part(self, number: int) -> PartBody | StreamedPart:
        reader = self._reader
        assert reader is not None
        size = reader.size(number)
        if size > HELD_BYTES:
            return StreamedPart(size, lambda: reader.chunks(number), self._content_type)
        return PartBody(reader.body(number), self._content_type)
