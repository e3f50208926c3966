"""The course of a login: what a kind of auth asks for, done as any exchange is."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from airflow_asyncjob.errors import LoginError
from airflow_asyncjob.protocol.messages import Failed, Fault, Send
from airflow_asyncjob.transport.auth.login import Login, NotNowError
from airflow_asyncjob.transport.exchange import Desk
from airflow_asyncjob.transport.flow import Step, ask

__all__ = ["log_in"]


def log_in(desk: Desk, login: Login) -> Generator[Step, Any, Failed | None]:
    """Fetch what requests carry, unless that was done meanwhile; return why it cannot be had, or None.

    The request that waits for it was not sent, whatever goes wrong here.
    """
    if not login.is_fresh:
        course = login.course()
        outcome: Any = None
        try:
            while True:
                wanted = course.send(outcome)
                if not isinstance(wanted, Send):
                    outcome = yield wanted
                    continue
                event = yield from ask(desk, wanted)
                if isinstance(event, Failed):
                    return _not_sent(event)
                outcome = event.response
        except StopIteration as end:
            login.held.take(end.value)
        except LoginError as error:
            safe = LoginError(desk.redactor.text(error.message))
            return Failed(Fault.REFUSED, "the login", safe.message, safe)
        except NotNowError as error:
            return Failed(Fault.NOT_SENT, error.sent, desk.redactor.text(error.detail))
    if login.held.grant is not None:
        desk.redactor.learn(login.held.grant.secrets)
    return None


def _not_sent(event: Failed) -> Failed:
    fault = Fault.REFUSED if event.fault is Fault.REFUSED else Fault.NOT_SENT
    return Failed(fault, event.sent, event.detail, event.error)
