"""What an event of a webhook says, and how its job is polled meanwhile."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import parse_qsl

from airflow_asyncjob.definition.document import parse_body
from airflow_asyncjob.definition.extract import MISSING, View, find
from airflow_asyncjob.definition.models.job import JobModel
from airflow_asyncjob.definition.models.webhook import Webhook
from airflow_asyncjob.definition.signature import ReceivedEvent
from airflow_asyncjob.definition.templates import evaluate
from airflow_asyncjob.errors import UnreadableError

__all__ = ["counts", "ids_of", "polled_as_net", "view_of"]

Job = TypeVar("Job", bound=JobModel)

_TIMES_SLOWER = 10.0
_LONGEST_GROWTH = 600.0
_MOST_IDS = 1000


def polled_as_net(job: Job) -> Job:
    """Return a definition whose polls are the net below its webhook; without one, the same.

    Waits are ``webhook.poll_wait`` or else ten times ``poll_wait``; they grow as before, and never to less
    than that.
    """
    status = job.status
    if status is None or status.webhook is None:
        return job
    wait = status.webhook.poll_wait or status.poll_wait * _TIMES_SLOWER
    longest = max(status.longest_wait or _LONGEST_GROWTH, wait)
    slower = status.model_copy(update={"poll_wait": wait, "longest_wait": longest})
    return job.model_copy(update={"status": slower})


def view_of(event: ReceivedEvent) -> View:
    """Return an event as extractors and expressions see it; the fields of a form are a mapping.

    :raises UnreadableError: the body is neither JSON, nor XML, nor a form, nor text.
    """
    if event.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        fields = parse_qsl(event.body.decode("utf-8", "replace"), keep_blank_values=True)
        return View(0, event.headers, dict(fields))
    return View(0, event.headers, parse_body(event.body))


def counts(webhook: Webhook, view: View) -> bool:
    """Return whether an event is one of those that wake a task.

    :raises UnreadableError: ``when`` does not work on this event.
    """
    return webhook.when is None or bool(evaluate(webhook.when, view.names(), where="status.webhook.when"))


def ids_of(webhook: Webhook, view: View) -> frozenset[str]:
    """Return the submission IDs that an event names, as texts; none where it names none.

    :raises UnreadableError: ``id`` does not work on this event.
    """
    if webhook.id is None:
        return frozenset()
    found = find(webhook.id, view, single=False, where="status.webhook.id")
    if found is MISSING or found is None:
        return frozenset()
    values = found if isinstance(found, list) else [found]
    if len(values) > _MOST_IDS:
        raise UnreadableError(
            f"status.webhook.id: the event names {len(values)} jobs; at most {_MOST_IDS} do"
        )
    return frozenset(str(value) for value in values if isinstance(value, (str, int)))
