"""``{{ callback_url }}``: an address for the job of one task, which names the task and is signed by us."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_asyncjob.definition.checker import uses
from airflow_asyncjob.definition.models.job import JobModel

__all__ = ["TaskName", "callback_token", "task_of_token", "wants_callback"]

_PURPOSE = b"asyncjob callback 1"
_LONGEST_TOKEN = 2000
_SIGNATURE_BYTES = 24
"""192 bits: as hard to guess as any key here, in 32 characters of an address."""


@dataclass(frozen=True)
class TaskName:
    """One task instance.

    :param map_index: -1 where it is not mapped.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


def wants_callback(job: JobModel) -> bool:
    """Return whether the submit of a definition sends ``{{ callback_url }}``."""
    if job.submit is None or job.status is None or job.status.webhook is None:
        return False
    return uses(job.submit.model_dump(by_alias=True), "callback_url")


def callback_token(task: TaskName, conn_id: str, secret: str) -> str:
    """Return the end of an address, of letters, digits, ``-``, ``_`` and one dot.

    The same task gives the same token, so that a repeated submit with one idempotency key has one body. Who
    knows it can wake this task, and no other: it is a secret.

    :param task: the task that submits.
    :param secret: ``webhook_secret`` of the connection.
    """
    told = json.dumps([task.dag_id, task.run_id, task.task_id, task.map_index], separators=(",", ":"))
    payload = told.encode()
    return f"{_text(payload)}.{_text(_signature(payload, conn_id, secret))}"


def task_of_token(token: str, conn_id: str, secrets: Iterable[str]) -> TaskName | None:
    """Return the task that a token names; None: it is not one of ours.

    :param secrets: those of the connection; any may have made it.
    """
    told, dot, signature = token.partition(".")
    if not dot or len(token) > _LONGEST_TOKEN:
        return None
    try:
        payload, given = _bytes(told), _bytes(signature)
    except ValueError:
        return None
    found = [hmac.compare_digest(_signature(payload, conn_id, secret), given) for secret in secrets]
    if not any(found):
        return None
    return TaskName(*json.loads(payload))


def _signature(payload: bytes, conn_id: str, secret: str) -> bytes:
    message = b"\0".join([_PURPOSE, conn_id.encode(), payload])
    return hmac.digest(secret.encode(), message, hashlib.sha256)[:_SIGNATURE_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
