"""ResultDownloadOperator: downloads the result of a job, and writes it whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator, ObjectStoragePath
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from airflow_asyncjob.definition.flat import RESULT_ARGUMENTS, UNSET
from airflow_asyncjob.definition.problems import counted
from airflow_asyncjob.definition.rejects import names_rejects_of_failed
from airflow_asyncjob.errors import DefinitionError, JobFailedError
from airflow_asyncjob.hooks.definitions import definition_of
from airflow_asyncjob.hooks.lineage import Written, report
from airflow_asyncjob.hooks.links import AsyncJobLink, RemoteJobLink, ResultLink
from airflow_asyncjob.hooks.storage import destination_of
from airflow_asyncjob.hooks.task import JobTask, Situation, translated
from airflow_asyncjob.hooks.upstream import find_waited
from airflow_asyncjob.hooks.worker import Stopped, WorkerHands, narrator_of
from airflow_asyncjob.results.plan import check_output
from airflow_asyncjob.results.verdict import rejects_text, rejects_told, verdict_on

if TYPE_CHECKING:
    from airflow_asyncjob.hooks.definitions import JobSource
    from airflow_asyncjob.protocol import Finish, Job, Outcome, Submission
    from airflow_asyncjob.results.manifest import Manifest
    from airflow_asyncjob.results.refused_parts import RefusedParts
    from airflow_asyncjob.transport import Wire

__all__ = ["ResultDownloadOperator"]

_TOLD_EVERY = 30.0
_MERGED = "asyncjob.merged"
"""Task state store: ID of the job whose refused records are merged into the rejects."""
_WITHOUT_RESULT = ("failed", "cancelled", "timed_out")


class ResultDownloadOperator(JobTask, BaseOperator):
    """Downloads the result of a job, and writes it to object storage or a local path.

    What is written follows the destination's suffix (``.parquet``, ``.jsonl``, ``.csv``, the last two also
    with ``.gz``), or ``output_format``. Another suffix, or a folder (``/`` at its end), keeps the bytes as
    they come. The destination is replaced whole or not at all; a retry downloads again. Several targets
    become one file of records, in their order.

    XCom: the manifest, ``{state, uris, records, bytes, sha256, format, rejects, submission_id,
    primary_key}``, as return value and each field as a key.

    :param target: ``wait.output`` of an :class:`AsyncStatusSensor`: a URL, a path, an ID, or a list;
        ``[]``: no data. Templated.
    :param destination: path or URI, such as ``s3://conn_id@bucket/exports/{{ ds }}/contacts.parquet``;
        templated, and its templates see also ``inputs``, ``submission_id`` and ``map_index``.
    :param job: the definition; the flat arguments below override its fields.
    :param http_conn_id: the Airflow connection; None: the definition's ``connection``. Templated.
    :param inputs: values of the definition's inputs. Templated.
    :param submission_id: ID of the job; None: as the task before this one noted it. Templated.
    :param output_format: ``raw``, ``jsonl``, ``csv`` or ``parquet``; None: the destination's suffix
        decides.
    :param skip_on_no_data: skip this task where there are no data, instead of writing nothing.
    :param endpoint: URL of the download; unset: the target itself is asked with GET.
    :param steps: requests that lead to the target, as in a definition; ``target_path``: where the last answer
        has it.
    :param secret: the target is a secret that the wait did not keep: ``status`` says how to ask for it once
        more, ``target_path`` where that answer has it.
    :param result_from: ``status``: the status answer is the result, and is asked for once more.
    :param status: section of a definition, laid over the one of ``job``: how to ask for the status.
    :param format: of the result: ``raw``, ``json``, ``jsonl``, ``csv``, ``tsv`` or ``xml``. ``records_path``,
        ``select``, ``types``, ``snake_case``, ``infer``, ``transform``, ``primary_key``, ``drop_duplicates``,
        ``encoding``, ``csv``, ``member``, ``paginate``, ``preview_rows``: as in a definition.
    :param rejects: which records the API refused: a mapping as ``result.rejects`` of a definition. They are
        written beside the destination, as ``NAME.rejects.jsonl``. A job with ``rejects`` and without
        ``endpoint`` (or a ``target``, ``request``, ``steps`` of its definition) has no result of its own.
    :param on_rejects: where records were refused: ``fail`` this task, once all is written, ``warn`` or
        ``ignore``.
    :param tolerated: with ``fail``: up to so many, or such a share (``"1%"``), only warn.
    :param delete: request that is sent after the download, so that the API can forget the job.
    """

    template_fields: Sequence[str] = ("http_conn_id", "inputs", "target", "submission_id", "destination")
    kind = "fetch"
    late_field = "destination"
    template_fields_renderers: ClassVar[dict[str, str]] = {"inputs": "json"}
    operator_extra_links = (AsyncJobLink(), RemoteJobLink(), ResultLink())
    ui_color = "#fcf8e3"
    _written: Written | None = None

    def __init__(
        self,
        *,
        target: Any,
        destination: Any,
        job: JobSource | None = None,
        http_conn_id: str | None = None,
        inputs: Any = None,
        submission_id: Any = None,
        output_format: str | None = None,
        skip_on_no_data: bool = False,
        endpoint: Any = UNSET,
        method: Any = UNSET,
        json: Any = UNSET,
        form: Any = UNSET,
        xml: Any = UNSET,
        text: Any = UNSET,
        query_params: Any = UNSET,
        headers: Any = UNSET,
        response: Any = UNSET,
        auth: Any = UNSET,
        steps: Any = UNSET,
        target_path: Any = UNSET,
        secret: Any = UNSET,
        result_from: Any = UNSET,
        status: Any = UNSET,
        format: Any = UNSET,
        records_path: Any = UNSET,
        select: Any = UNSET,
        types: Any = UNSET,
        primary_key: Any = UNSET,
        snake_case: Any = UNSET,
        infer: Any = UNSET,
        transform: Any = UNSET,
        drop_duplicates: Any = UNSET,
        encoding: Any = UNSET,
        csv: Any = UNSET,
        member: Any = UNSET,
        paginate: Any = UNSET,
        preview_rows: Any = UNSET,
        rejects: Any = UNSET,
        on_rejects: Any = UNSET,
        tolerated: Any = UNSET,
        delete: Any = UNSET,
        **kwargs: Any,
    ) -> None:
        given = locals()
        flat = {name: given[name] for name in RESULT_ARGUMENTS}
        definition = definition_of(job, "result", flat, dag=kwargs.get("dag"), sections={"status": status})
        assert definition.result is not None
        if isinstance(destination, PurePath):
            destination = str(destination)  # Airflow renders no templates in a path object
        if isinstance(destination, (str, ObjectStoragePath)):
            check_output(str(destination), output_format, definition.result)
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.target = target
        self.destination = destination
        self.submission_id = submission_id
        self.output_format = output_format
        self.skip_on_no_data = skip_on_no_data
        self._describe(definition, http_conn_id, inputs)

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Download, write, and return the manifest."""
        with translated(), self._kept(context) as keeper:
            now = self._situation(context)
            submission, status = self._waited(context)
            ended = str(status["state"]) if status.get("state") in _WITHOUT_RESULT else ""
            keeper.notes.begin(submission.id or "result", submission, state=ended or "downloading")
            if ended:
                self._end_as_the_job(context, now, submission, status)
            targets = _texts(self.target)
            state = str(status.get("state") or ("done" if targets else "no_data"))
            self._skip_without(targets, state)
            started = time.time()
            with self._open_wire() as wire:
                self._note_link(wire, now, submission)
                fresh = self._fresh(now, wire, submission, targets, status)
                if fresh is not None:
                    submission = replace(submission, captures=fresh.captures)
                    targets, state = _texts(fresh.target), fresh.state
                    self._skip_without(targets, state)
                manifest = self._fetch(now, wire, submission, targets, state)
                keeper.downloaded(manifest, time.time() - started)
                assert self.definition.result is not None
                keeper.write_preview(manifest, self.definition.result.preview_rows)
                self._written = report(self, context, wire, manifest)
                self._take_rejects(context, manifest)
                self._delete(now, wire, submission)
        self._forget_parts(now, submission)
        self.result_url = next(iter(manifest.uris), "")
        self.log.info("Written: %s", _summary(manifest))
        return manifest.to_dict()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what the OpenLineage provider asks for, where it is there; None: nothing was written."""
        if self._written is None:
            return None
        from airflow_asyncjob.hooks.openlineage import lineage_of

        return lineage_of(self._written)

    def _late_names(self, context: Mapping[str, Any]) -> dict[str, Any]:
        return {**super()._late_names(context), "submission_id": self._waited(context)[0].id}

    # Parts ------------------------------------------------------------------------------------------------
    # --------

    def _waited(self, context: Mapping[str, Any]) -> tuple[Submission, Mapping[str, Any]]:
        """Return the job and the XCom ``status`` of its wait, as the task before this one noted them."""
        from airflow_asyncjob.protocol import Submission

        submission, status = find_waited(context, "target")
        captures = status.get("captures") or (submission.captures if submission else {})
        submission_id = str(self.submission_id or (submission.id if submission else ""))
        at = submission.submitted_at if submission else time.time()
        waited = Submission(submission_id, at, captures)
        if submission is None or submission.id != submission_id:
            return waited, status
        records, left_out = submission.records, submission.left_out
        return replace(waited, mark=submission.mark, records=records, left_out=left_out), status

    def _skip_without(self, targets: list[str], state: str) -> None:
        if not targets and self.skip_on_no_data and state != "partial":
            raise AirflowSkipException("There are no data, and skip_on_no_data is set.")

    def _fresh(
        self,
        now: Situation,
        wire: Wire,
        submission: Submission,
        targets: list[str],
        status: Mapping[str, Any],
    ) -> Outcome | None:
        """Return what a new look at the job says, where its target has expired or is a secret; else None."""
        from airflow_asyncjob.results.fresh import fresh_outcome
        from airflow_asyncjob.transport import run
        from airflow_asyncjob.transport.conceal import conceal

        def drive(job: Job) -> Finish:
            hands = WorkerHands(wire, narrator_of(wire, self.log.log, job), stop=self._stop)
            return conceal(run(job, hands), wire.redactor)

        secret = self.definition.result is not None and self.definition.result.secret
        if secret and not submission.id and targets:  # what stands for a secret target is the job's ID
            submission = replace(submission, id=targets[0])
        try:
            return fresh_outcome(
                self.definition,
                targets,
                expires_at=status.get("expires_at"),
                submission=submission,
                inputs=now.inputs,
                names=now.names,
                drive=drive,
                say=self.log.log,
                now=time.time(),
            )
        except Stopped:
            raise AirflowException("Airflow ended this task while it asked for the download") from None

    def _fetch(
        self, now: Situation, wire: Wire, submission: Submission, targets: list[str], state: str
    ) -> Manifest:
        from airflow_asyncjob.results.fetch import fetch_result
        from airflow_asyncjob.uploads.account import account_of

        refused = self._refused_parts(now, submission)
        narrator = narrator_of(wire, self.log.log)
        hands = WorkerHands(wire, narrator, stop=self._stop)
        try:
            return fetch_result(
                self.definition,
                targets,
                wire=wire,
                inputs=now.inputs,
                names=now.names,
                submission=submission,
                destination=destination_of(self.destination),
                output_format=self.output_format,
                state=state,
                observe=narrator.observe,
                wait=hands.wait,
                received=_teller(self.log.info),
                account=account_of(
                    self.definition,
                    {**now.names, "inputs": now.inputs},
                    wire.find,
                    refused.entries,
                    submission,
                ),
            )
        except Stopped:
            raise AirflowException("Airflow ended this task while it waited for the download") from None

    def _take_rejects(self, context: Mapping[str, Any], manifest: Manifest) -> None:
        """Do what ``result.on_rejects`` says; the counts are there also when that fails the task.

        :raises RejectsError: more records were refused than are tolerated.
        """
        assert self.definition.result is not None
        found = verdict_on(self.definition.result, manifest)
        if found.warning:
            self.log.warning("%s", found.warning)
        if found.error is not None:
            context["ti"].xcom_push("rejects", manifest.to_dict()["rejects"])
            raise found.error

    def _refused_parts(self, now: Situation, submission: Submission) -> RefusedParts:
        """Return what the answers to the upload refused; an earlier run of this task may have merged it."""
        from airflow_asyncjob.results.refused_parts import RefusedParts

        parts = RefusedParts(destination_of(self.destination))
        if self._uploads and now.store.get(_MERGED) == submission.id:
            parts.restore()
        return parts

    def _forget_parts(self, now: Situation, submission: Submission) -> None:
        """Remove what the upload's answers refused: it is among the rejects now. A user may clear this task
        alone, and it must not be lost then.
        """
        if self._uploads:
            parts = self._refused_parts(now, submission)
            now.store.set(_MERGED, submission.id)
            parts.remove()

    @property
    def _uploads(self) -> bool:
        return self.definition.submit is not None and self.definition.submit.upload is not None

    def _end_as_the_job(
        self,
        context: Mapping[str, Any],
        now: Situation,
        submission: Submission,
        status: Mapping[str, Any],
    ) -> NoReturn:
        """Fail as the job did: this task runs in spite of it where its ``trigger_rule`` says so. Before that
        write the records that the API refused, where it names those of a job that failed.

        :raises JobFailedError: always.
        """
        state, said = str(status["state"]), status.get("message") or status.get("raw_status")
        told = f"The job {submission.id} ended as {state}: {said}. It has no result."
        if state == "failed" and names_rejects_of_failed(self.definition):
            with self._open_wire() as wire:
                self._note_link(wire, now, submission)
                manifest = self._fetch(now, wire, submission, [], state)
            context["ti"].xcom_push("rejects", manifest.to_dict()["rejects"])
            told += f" {rejects_told(manifest)}"
        raise JobFailedError(told)

    def _delete(self, now: Situation, wire: Wire, submission: Submission) -> None:
        """Let the API forget the job. What it answers does not undo a download that is written."""
        from airflow_asyncjob.protocol import Goal, Job
        from airflow_asyncjob.transport import run
        from airflow_asyncjob.transport.conceal import conceal

        if self.definition.delete is None:
            return
        job = Job(
            self.definition, Goal.DELETED, inputs=now.inputs, names=now.names, key="", submission=submission
        )
        hands = WorkerHands(wire, narrator_of(wire, self.log.log, job), stop=self._stop)
        finish = conceal(run(job, hands), wire.redactor)
        if finish.error is not None:
            self.log.warning("The job was not deleted at the API: %s", finish.error.message)


def _texts(target: Any) -> list[str]:
    """Return the targets.

    :raises DefinitionError: it is none.
    """
    if isinstance(target, str) and target:
        return [target]
    if isinstance(target, Sequence) and not isinstance(target, (str, bytes)):
        items = list(target)
        if all(isinstance(item, str) and item for item in items):
            return items
    raise DefinitionError(
        f"target is {str(target)[:200]!r}: expected a text or a list of texts, as wait.output gives. A task "
        "before this one that returned nothing gives None"
    )


def _teller(say: Callable[[str, str], Any]) -> Callable[[int, int], None]:
    """Return what tells people of a long download that it goes on, every half minute."""
    told = time.monotonic()

    def tell(number: int, size: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _TOLD_EVERY:
            told = time.monotonic()
            say("%s", f"Download {number}: {size:,} bytes so far")

    return tell


def _summary(manifest: Manifest) -> str:
    said = []
    if manifest.uris:
        records = "" if manifest.records is None else f"{counted(manifest.records, 'record')}, "
        said.append(f"{records}{counted(manifest.bytes, 'byte')} to {', '.join(manifest.uris[:5])}")
    elif manifest.state == "no_data" or not manifest.rejects:
        said.append("nothing, there are no data")
    if manifest.rejects:
        said.append(rejects_text(manifest.rejects))
    return "; ".join(said)
