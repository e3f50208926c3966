"""The upload of a task: cut, sent part by part, and what the answers to it refused kept for the download."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.hooks.storage import destination_of

if TYPE_CHECKING:
    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.protocol import Failed, Plan, Planned, Refusals
    from airflow_asyncjob.transport import Wire

__all__ = ["TaskUpload", "check_rejects", "reads_refusals"]


def reads_refusals(definition: AsyncJob) -> bool:
    """Return whether answers to the upload of a job say which records they refuse."""
    steps = definition.submit.steps if definition.submit is not None else None
    return any(step.rejects is not None for step in steps or ())


def check_rejects(definition: AsyncJob, rejects: Any) -> None:
    """Check that what the answers to an upload refuse has a place, and that the place gets something.

    :raises DefinitionError: it has none, or nothing would be written there.
    """
    reads = reads_refusals(definition)
    if reads and rejects is None:
        raise DefinitionError(
            f"{definition.name or 'the definition'} reads refused records in the answers to its upload "
            "(rejects of a step of the submit), and nothing says where they are kept: give rejects, the "
            "destination of the download after this task (in async_job: destination, or "
            "submit={'rejects': ...})"
        )
    if rejects is not None and not reads:
        raise DefinitionError(
            f"rejects would be ignored: no step of the submit of {definition.name or 'the definition'} has "
            "rejects, which says where an answer lists refused records"
        )


class TaskUpload:
    """Cuts the upload of one submit and keeps what its answers refuse. To be used with ``with``.

    :param wire: sends the parts.
    :param rejects: destination beside which refused records are kept, as text or a path; None: nowhere.
    :raises DestinationError: it cannot be reached.
    """

    def __init__(self, wire: Wire, rejects: Any) -> None:
        from airflow_asyncjob.results.refused_parts import RefusedParts
        from airflow_asyncjob.uploads.job import Uploading

        self._uploading = Uploading(wire)
        self._refused = None if rejects is None else RefusedParts(destination_of(rejects))

    def __enter__(self) -> Self:
        self._uploading.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._uploading.__exit__(kind, error, traceback)

    def plan(self, command: Plan) -> Planned | Failed:
        """Cut the upload; what an earlier submission left is removed where this one begins anew."""
        if self._refused is not None and command.anew:
            self._refused.remove()
        return self._uploading.plan(command)

    def keep(self, refusals: Refusals) -> None:
        """Write what the answer to a part refused, in place of what an earlier answer to it did.

        :raises DestinationError: it cannot be written.
        """
        if self._refused is not None:
            self._refused.write(refusals.part, refusals.entries)
