"""FakeJobServer: a job API for tests, on a port of this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self, get_args

from airflow_asyncjob.testing.api import Api, FileStore, Host, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock, SystemClock
from airflow_asyncjob.testing.faults import Fault, Faults
from airflow_asyncjob.testing.ledger import KEPT_HEADERS, Entry, Ledger
from airflow_asyncjob.testing.listener import Connection, Listener
from airflow_asyncjob.testing.webhooks import Delivery

__all__ = ["KINDS", "FakeJobServer", "Kind", "api_of"]

Kind = Literal[
    "generic",
    "sendgrid",
    "eloqua",
    "amazon",
    "upgates",
    "google",
    "azure",
    "salesforce",
    "walmart",
    "amazon_mws",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_APIS: Mapping[str, str] = {
    "generic": "generic:GenericApi",
    "sendgrid": "sendgrid:SendgridApi",
    "eloqua": "eloqua:EloquaApi",
    "amazon": "amazon:AmazonApi",
    "upgates": "upgates:UpgatesApi",
    "google": "google:GoogleApi",
    "azure": "azure:AzureApi",
    "salesforce": "salesforce:SalesforceApi",
    "walmart": "walmart:WalmartApi",
    "amazon_mws": "amazon_mws:AmazonMwsApi",
}
"""Kind: module of this package, and class. One is imported when it is asked for."""

_BODY_CHARACTERS = 4096
_CUT = ("truncate", "break")


def api_of(kind: str) -> type[Api]:
    """Return the class of a kind of fake API.

    :raises ValueError: no such kind.
    """
    if kind not in _APIS:
        raise ValueError(f"unknown kind {kind!r} of fake server; valid: {', '.join(KINDS)}")
    module, _, name = _APIS[kind].partition(":")
    found: type[Api] = getattr(importlib.import_module(f"airflow_asyncjob.testing.{module}"), name)
    return found


class FakeJobServer:
    """A fake asynchronous job API on 127.0.0.1, for tests.

    Jobs run on a clock, not in threads: a job that takes an hour is there at once when the clock says so.
    Every request is in :attr:`ledger`; what shall go wrong is told to :attr:`faults`. Use it as a context
    manager::

        with FakeJobServer("generic") as server:
            ...
            assert server.ledger.accepted() == 1
            assert server.ledger.running() == 0

    Other processes reach the same over HTTP: ``GET /_ledger`` answers the ledger as JSON, ``GET /_faults``
    the active faults, ``POST /_faults`` takes one fault (the arguments of :meth:`Faults.add` as a JSON
    object) or a list of them, ``DELETE /_faults`` clears them. These requests are not in the ledger, and no
    fault but ``refuse`` hits them.

    What it does not do: TLS, HTTP/2, chunked requests.

    :param kind: ``generic`` (:class:`GenericOptions`: the submit body says how the job goes), or one with a
        vendor's name, which is as strict as that vendor's API: see :data:`KINDS`.
    :param port: 0 takes a free one.
    :param clock: what time it is for the jobs; None: the machine's clock. See :class:`FakeClock`.
    :param options: fields of the kind's options.
    :raises ValueError: an unknown kind.
    :raises TypeError: an option that the kind does not have; the message lists the valid ones.
    """

    def __init__(
        self, kind: Kind = "generic", *, port: int = 0, clock: Clock | None = None, **options: Any
    ) -> None:
        api_class = api_of(kind)
        valid = [field.name for field in dataclasses.fields(api_class.options_class)]
        unknown = sorted(set(options) - set(valid))
        if unknown:
            raise TypeError(
                f"the fake server {kind!r} has no option {', '.join(map(repr, unknown))}; "
                f"valid: {', '.join(valid)}"
            )
        self.kind = kind
        self.clock: Clock = clock or SystemClock()
        self._wanted_port = port
        self._files = FileStore()
        self._api = api_class(self.clock, self._files, api_class.options_class(**options))
        self._listeners: list[Listener] = []
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()
        self._refusing = False
        self.ledger = Ledger(self._api.running, self._api.records)
        self.faults = Faults(self._refuse)

    @property
    def options(self) -> Any:
        """The options in force. Their fields can be changed while the server runs, such as a credential."""
        return self._api.options

    @property
    def port(self) -> int:
        """The port of the API.

        :raises RuntimeError: the server has not been started.
        """
        return self._listener(0).port

    @property
    def url(self) -> str:
        """Address of the API without a slash at the end, such as ``http://127.0.0.1:40123``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def connection(self) -> dict[str, Any]:
        """An Airflow connection with the accepted credentials, for ``LocalAirflow`` and ``ASYNCJOB_CONN``."""
        return {"conn_type": "http", "host": self.url, **self._api.credentials()}

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempt to send an event of a webhook; kinds upgates and generic send some."""
        return self._api.webhooks.deliveries

    @property
    def files_url(self) -> str:
        """Address from which results are served: another port, so another origin, for kind sendgrid."""
        return f"http://127.0.0.1:{self._listener(-1).port}"

    def start(self) -> Self:
        """Open the port and serve until :meth:`stop`.

        :raises OSError: the port is taken.
        """
        with self._lock:
            if self._listeners:
                raise RuntimeError("the fake server runs already")
            hosts: list[Host] = ["api", "files"] if self._api.has_file_host else ["api"]
            with contextlib.ExitStack() as undo:
                for host in hosts:
                    listener = Listener(self._wanted_port if host == "api" else 0, host, self._answer)
                    undo.callback(listener.close)
                    self._listeners.append(listener)
                self._api.url, self._api.files_url = self.url, self.files_url
                for listener in self._listeners:
                    listener.open()
                undo.pop_all()
        return self

    def stop(self) -> None:
        """Cut every connection, wait for every thread, remove every file. The ledger stays readable."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            for listener in self._listeners:
                listener.close()
            self._listeners = []
        if self._timer is not None and self._timer is not threading.current_thread():
            self._timer.join()
        self._api.webhooks.close()
        self._files.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listener(self, index: int) -> Listener:
        if not self._listeners:
            raise RuntimeError("the fake server has no port yet; use it in a with statement, or call start()")
        return self._listeners[index]

    def _refuse(self, seconds: float | None) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if not self._listeners:
                raise RuntimeError("start the fake server before it refuses connections")
            if seconds == 0:
                self._accept()
                return
            if not self._refusing:
                self._refusing = True
                for listener in self._listeners:
                    listener.close(keep_port=True)
            if seconds is not None:
                self._timer = threading.Timer(seconds, self._refused_long_enough)
                self._timer.daemon = True
                self._timer.start()

    def _refused_long_enough(self) -> None:
        with self._lock:
            if self._listeners:
                self.faults.refused_long_enough()
                self._accept()

    def _accept(self) -> None:
        if self._refusing:
            self._refusing = False
            for listener in self._listeners:
                listener.open()

    def _answer(self, request: Received, query: str, connection: Connection) -> None:
        admin = self._admin(request)
        if admin is not None:
            connection.send(admin)
            return
        route = self._api.route(request)
        fault = self.faults.take(route.purpose)
        if fault is None:
            reply: Reply | None = self._api.answer(request)
        elif fault.answers:
            reply = Reply(fault.code, fault.body, fault.headers, job_id=route.job_id)
        elif fault.kind == "reset":
            reply = None
        else:
            reply = self._api.answer(request)
        # The entry is made before the client can know, so that a test never counts too early.
        self._record(request, query, route, fault, reply)
        if fault is None or fault.answers:
            assert reply is not None
            connection.send(reply)
        else:
            _misbehave(fault, reply, connection)

    def _record(
        self, request: Received, query: str, route: Route, fault: Fault | None, reply: Reply | None
    ) -> None:
        told = fault is None or fault.kind not in ("reset", "lost")
        self.ledger.add(
            Entry(
                at=self.clock.time(),
                purpose=route.purpose,
                host=request.host,
                method=request.method,
                path=request.path,
                query=query,
                code=reply.code if reply is not None and told else None,
                job_id=(reply.job_id if reply else None) or route.job_id,
                created=reply is not None and reply.created,
                fault=fault.kind if fault else None,
                headers={name: request.headers[name] for name in KEPT_HEADERS if name in request.headers},
                body=request.start(4 * _BODY_CHARACTERS).decode(errors="replace")[:_BODY_CHARACTERS],
                size=request.size,
                sent=_sent(fault, reply) if reply is not None and told else 0,
            )
        )

    def _admin(self, request: Received) -> Reply | None:
        if request.host != "api":
            return None
        actions: dict[tuple[str, str], Callable[[], Reply]] = {
            ("GET", "/_ledger"): lambda: json_reply(200, self.ledger.to_dict()),
            ("GET", "/_faults"): lambda: json_reply(200, [_shown(f) for f in self.faults.active()]),
            ("POST", "/_faults"): lambda: self._post_faults(request.body),
            ("DELETE", "/_faults"): lambda: self._clear_faults(),
        }
        action = actions.get((request.method, request.path))
        return action() if action else None

    def _post_faults(self, body: bytes) -> Reply:
        try:
            given = json.loads(body)
            wanted = given if isinstance(given, list) else [given]
            for arguments in wanted:
                if arguments.get("kind") == "refuse" and arguments.get("seconds") is None:
                    raise ValueError("refuse needs seconds here: no request could end it")
                self.faults.add(**arguments)
        except (ValueError, TypeError, AttributeError) as error:
            return json_reply(
                400, {"error": f"a fault is a JSON object of the arguments of Faults.add: {error}"}
            )
        return json_reply(200, [_shown(f) for f in self.faults.active()])

    def _clear_faults(self) -> Reply:
        self.faults.clear()
        return json_reply(200, [])


def _sent(fault: Fault | None, reply: Reply) -> int:
    return reply.size // 2 if fault is not None and fault.kind in _CUT else reply.size


def _misbehave(fault: Fault, reply: Reply | None, connection: Connection) -> None:
    if fault.kind == "reset":
        connection.cut(reset=True)
        return
    assert reply is not None
    if fault.kind == "lost":
        connection.cut()
    elif fault.kind in _CUT:
        connection.send(reply, truncate=True, reset=fault.kind == "break")
    else:
        connection.wait(fault.seconds or 0.0)
        connection.send(reply)


def _shown(fault: Fault) -> Mapping[str, Any]:
    return {**dataclasses.asdict(fault), "body": fault.body.decode(errors="replace")}
