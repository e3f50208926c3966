"""What the tasks before a task know of its job: their XComs, with the right map index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.exceptions import XComNotFound

from airflow_asyncjob.hooks.records import submission_of

if TYPE_CHECKING:
    from airflow_asyncjob.protocol.messages import Submission

__all__ = [
    "STATUS",
    "SUBMISSION",
    "deferring_after",
    "fetching_after",
    "find_submission",
    "find_waited",
    "unrendered",
]

SUBMISSION = "submission"
"""XCom key: ``{id, submitted_at, captures}``."""
STATUS = "status"
"""XCom key: ``{state, raw_status, message, progress, polls, waited, expires_at, captures}``."""


def find_submission(context: Mapping[str, Any], submission_id: str) -> Submission | None:
    """Return the submission of this ID that a task directly before this one made; None: the ID was given by
    hand.
    """
    for operator in _upstream(context, SUBMISSION):
        for record in _values(context, operator, SUBMISSION):
            if isinstance(record, Mapping) and str(record.get("id")) == submission_id:
                return submission_of(record)
    return None


def find_waited(context: Mapping[str, Any], field: str) -> tuple[Submission | None, Mapping[str, Any]]:
    """Return the submission and the XCom ``status`` of the task whose output this task's field is.

    :param field: the template field, such as ``target``; where it names no task, the tasks directly before
        this one are looked at.
    :return: None and an empty mapping where the field was given by hand.
    """
    for operator in _by_reference(context, field, _upstream(context, STATUS)):
        found = next(iter(_values(context, operator, STATUS)), None)
        if isinstance(found, Mapping):
            record = next(iter(_values(context, operator, SUBMISSION)), None)
            return (submission_of(record) if isinstance(record, Mapping) else None), found
    return None, {}


def _upstream(context: Mapping[str, Any], key: str) -> Iterator[Any]:
    """Yield the tasks directly before this one that push this key."""
    task = context["ti"].task
    dag = task.get_dag()
    for task_id in sorted(task.upstream_task_ids) if dag is not None else ():
        operator = dag.get_task(task_id)
        if key in getattr(operator.operator_class, "pushed_keys", ()):
            yield operator


def deferring_after(context: Mapping[str, Any]) -> list[Any]:
    """Return the tasks directly after this one that will defer to wait for its job, as the DAG file has them.

    Those that are mapped one by one are left out: what they wait with is not known yet.
    """
    return [operator for operator in _after(context["ti"].task) if _waits(operator) and operator.deferrable]


def fetching_after(context: Mapping[str, Any]) -> list[Any]:
    """Return the tasks that download the result of this one's job, directly after it or after one that waits.

    Those that are mapped one by one are left out.
    """
    task = context["ti"].task
    waiting = [operator for operator in _after(task) if _waits(operator)]
    return [
        operator
        for before in (task, *waiting)
        for operator in _after(before)
        if hasattr(operator, "destination") and hasattr(operator, "definition")
    ]


def _after(task: Any) -> list[Any]:
    """Return the tasks directly after one, as the DAG file has them, but for those mapped one by one."""
    dag = task.get_dag()
    after = [dag.get_task(task_id) for task_id in sorted(task.downstream_task_ids)] if dag is not None else []
    return [operator for operator in after if not operator.is_mapped]


def _waits(operator: Any) -> bool:
    return STATUS in getattr(operator, "pushed_keys", ()) and hasattr(operator, "submission_id")


def _in_dag(context: Mapping[str, Any]) -> Any:
    """Return this task as the DAG file has it: the one that runs is a rendered copy.

    A task without a DAG, as a test runs one, is never rendered.
    """
    task = context["ti"].task
    dag = task.get_dag()
    return task if dag is None else dag.get_task(task.task_id)


def unrendered(context: Mapping[str, Any], field: str) -> Any:
    """Return the value of a template field as the DAG file gives it; None where it is mapped."""
    written = _in_dag(context)
    return written.partial_kwargs.get(field) if written.is_mapped else getattr(written, field, None)


def _by_reference(context: Mapping[str, Any], field: str, operators: Iterable[Any]) -> list[Any]:
    """Return the tasks, those first that the field refers to: the task in the DAG holds it unrendered."""
    written = _in_dag(context)
    given = [unrendered(context, field), written.expand_input if written.is_mapped else None]
    referred = {operator.task_id for operator, _ in XComArg.iter_xcom_references(given)}
    return sorted(operators, key=lambda operator: operator.task_id not in referred)


def _values(context: Mapping[str, Any], operator: Any, key: str) -> Iterator[Any]:
    """Yield the values that a task pushed for this key, the one of the same map index first."""
    ti = context["ti"]
    if not operator.is_mapped:
        try:
            found = XComArg(operator, key).resolve(context)
        except XComNotFound:
            return
        yield from found if isinstance(found, (list, tuple)) else [found]
        return
    same = ti.xcom_pull(task_ids=operator.task_id, key=key, map_indexes=ti.map_index)
    if same is not None:
        yield same
    yield from ti.xcom_pull(task_ids=operator.task_id, key=key) or ()
