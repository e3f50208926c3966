"""UploadPlanOperator: cuts records that are too many for one job into pieces, one for each job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_asyncjob.definition.inputs import source_input as source_input_of
from airflow_asyncjob.hooks.definitions import check_inputs, load_definition
from airflow_asyncjob.hooks.names import run_names
from airflow_asyncjob.hooks.task import JobTask, translated

if TYPE_CHECKING:
    from airflow_asyncjob.hooks.definitions import JobSource

__all__ = ["UploadPlanOperator"]


class UploadPlanOperator(JobTask, BaseOperator):
    """Cuts the records of an upload into pieces, as the limits of one job want it, and sends nothing.

    An API takes so many bytes or records in one job (``job_bytes`` and ``job_records`` of the definition's
    ``submit.upload``). This task reads the file once, and returns the inputs of each job that it takes; the
    job is mapped over them: ``async_job.partial(job=..., http_conn_id=...).expand(inputs=plan.output)``.

    A piece says where its records lie, and never has one in it: ``{source, position, first, records, bytes,
    mark}``. A file that changes between the plan and a job is an error of that job.

    XCom: the return value is a list of mappings, ``inputs`` with a piece in place of the file.

    :param job: the definition: a packaged name, a path, a mapping, or an object.
    :param inputs: values of its inputs; the records are the path or URI of a file. Templated.
    :param source_input: the input that the pieces replace; None: the only one that ``submit.upload.source``
        uses.
    """

    template_fields: Sequence[str] = ("inputs",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"inputs": "json"}
    ui_color = "#e8e4f3"

    def __init__(
        self, *, job: JobSource, inputs: Any = None, source_input: str | None = None, **kwargs: Any
    ) -> None:
        definition = load_definition(job, kwargs.get("dag"))
        self.source_input = source_input_of(definition, source_input)
        super().__init__(**kwargs)
        self.definition = definition
        self.inputs = inputs
        if not getattr(self, "_BaseOperator__from_mapped", False):
            check_inputs(definition, inputs)

    def execute(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Read the file, and return the inputs of each job."""
        from airflow_asyncjob.hooks.storage import source_of
        from airflow_asyncjob.uploads import pieces_of

        with translated():
            inputs = self._resolved_inputs(context)
            assert self.definition.submit is not None
            assert self.definition.submit.upload is not None
            names = {**run_names(context), "inputs": inputs}
            pieces = pieces_of(self.definition.submit.upload, names, source_of)
        records = sum(piece["records"] for piece in pieces)
        self.log.info("Jobs: %d, for %s records.", len(pieces), f"{records:,}")
        return [{**inputs, self.source_input: piece} for piece in pieces]
