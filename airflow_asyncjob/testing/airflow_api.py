"""What tests and demonstrations ask a running Airflow for, over its REST API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from airflow_asyncjob.testing.processes import wait_until

__all__ = ["FINISHED", "AirflowApi", "AirflowApiError"]

T = TypeVar("T")

FINISHED = frozenset({"success", "failed"})
"""The states in which a DAG run stays."""
_AFTER_500 = (0.5, 1.0, 2.0, 4.0)
"""Seconds before a request is sent again that ended with a 500."""


class AirflowApiError(RuntimeError):
    """Airflow's REST API refused a request. ``status`` is the HTTP code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class AirflowApi:
    """An Airflow 3 REST API with the simple auth manager.

    :param url: where the API server answers, without a path.
    :param login: user name and password of who asks; None: it takes everybody for an admin.
    """

    def __init__(self, url: str, login: tuple[str, str] | None = None) -> None:
        self.url = url
        self._login = login
        self._client = httpx.Client(base_url=url, timeout=60)
        self._token: str | None = None

    def close(self) -> None:
        """Close the HTTP connections."""
        self._client.close()

    def rest(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request and return the JSON of its answer, None when that is empty.

        :param path: ``/api/v2/...`` or shorter, without that prefix: ``/dags``; or ``/asyncjob/...``.
        A 500 is asked again for a while: on SQLite writers in the API server give up on one another.

        :raises AirflowApiError: for any answer but 2xx.
        """
        if self._token is None:
            self._token = self._new_token()
        full_path = path if path.startswith(("/api/", "/asyncjob/")) else f"/api/v2{path}"
        for pause in (*_AFTER_500, None):
            response = self._client.request(
                method,
                full_path,
                json=json,
                params=params,
                headers={"Authorization": f"Bearer {self._token}", **(headers or {})},
            )
            if response.status_code != httpx.codes.INTERNAL_SERVER_ERROR or pause is None:
                break
            time.sleep(pause)
        if not response.is_success:
            raise AirflowApiError(
                f"{method} {full_path}: {response.status_code} {response.text[:500]}", response.status_code
            )
        return response.json() if response.content else None

    def _new_token(self) -> str:
        if self._login is None:
            answer = self._client.get("/auth/token")
        else:
            username, password = self._login
            answer = self._client.post("/auth/token", json={"username": username, "password": password})
        return str(answer.raise_for_status().json()["access_token"])

    def wait_until(
        self,
        predicate: Callable[[], T],
        *,
        timeout: float = 240,
        what: str = "the condition",
        every: float = 0.2,
    ) -> T:
        """Ask ``predicate`` again and again until its answer is true, and return that answer.

        :param timeout: seconds after which a TimeoutError is raised.
        :param what: what is waited for, in the words of the error.
        :param every: seconds between two questions.
        """
        return wait_until(predicate, timeout=timeout, what=what, every=every)

    # connections and variables

    def set_connection(self, conn_id: str, connection: str | Mapping[str, Any]) -> None:
        """Create or replace a connection in Airflow's database.

        :param connection: a URL (``http://user:secret@127.0.0.1:8000``), or the fields as the REST API names
            them: conn_type, host, login, password, port, schema, extra (a mapping or JSON).
        """
        body = _connection_fields(connection)
        body["connection_id"] = conn_id
        try:
            self.rest("PATCH", f"/connections/{quote(conn_id, safe='')}", body)
        except AirflowApiError as problem:
            if problem.status != httpx.codes.NOT_FOUND:
                raise
            self.rest("POST", "/connections", body)

    def set_variable(self, key: str, value: Any) -> None:
        """Create or replace an Airflow Variable."""
        body = {"key": key, "value": value}
        try:
            self.rest("PATCH", f"/variables/{quote(key, safe='')}", body)
        except AirflowApiError as problem:
            if problem.status != httpx.codes.NOT_FOUND:
                raise
            self.rest("POST", "/variables", body)

    # DAGs and runs

    def import_errors(self) -> dict[str, str]:
        """Tell which DAG files cannot be imported: file name to traceback."""
        errors = self.rest("GET", "/importErrors", params={"limit": 100})["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def wait_for_dag(self, dag_id: str, timeout: float = 240) -> None:
        """Wait until Airflow has read a DAG, then unpause it.

        :param timeout: seconds; after that, the error shows the import errors of all files.
        """

        def known() -> bool:
            try:
                self.rest("PATCH", f"/dags/{dag_id}", {"is_paused": False})
            except AirflowApiError as problem:
                if problem.status != httpx.codes.NOT_FOUND:
                    raise
                return False
            return True

        try:
            self.wait_until(known, timeout=timeout, what=f"Airflow knows DAG {dag_id}")
        except TimeoutError as problem:
            found = "\n".join(f"{file}:\n{trace}" for file, trace in self.import_errors().items())
            raise TimeoutError(f"{problem}\nImport errors: {found or 'none'}") from None

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        logical_date: str | None = None,
    ) -> str:
        """Start a run, waiting for the DAG to be read first when needed; return the run's ID.

        :param logical_date: ISO 8601; None: the run has none, and so no data interval.
        """
        self.wait_for_dag(dag_id)
        body: dict[str, Any] = {"logical_date": logical_date, "conf": dict(conf or {})}
        if run_id is not None:
            body["dag_run_id"] = run_id
        return str(self.rest("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Tell the state of a run: queued, running, success, failed."""
        return str(self.rest("GET", _run(dag_id, run_id))["state"])

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 400) -> str:
        """Wait until a run is over and return its state: success or failed.

        :param timeout: seconds; after that, the error shows the state of each task.
        """
        try:
            return self.wait_until(
                lambda: state if (state := self.run_state(dag_id, run_id)) in FINISHED else "",
                timeout=timeout,
                what=f"run {run_id} of {dag_id} is over",
            )
        except TimeoutError as problem:
            raise TimeoutError(f"{problem}\nTasks: {self.states(dag_id, run_id)}") from None

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a whole run ``success`` or ``failed``, as a person does in the UI."""
        self.rest("PATCH", _run(dag_id, run_id), {"state": state})

    # task instances

    def task_instances(self, dag_id: str, run_id: str, task_id: str | None = None) -> list[dict[str, Any]]:
        """List the task instances of a run, or those of one task by map index, as the REST API gives them."""
        path = f"{_run(dag_id, run_id)}/taskInstances" + (f"/{task_id}/listMapped" if task_id else "")
        found: list[dict[str, Any]] = []
        while True:
            page = self.rest(
                "GET", path, params={"limit": 100, "offset": len(found), "order_by": "map_index"}
            )
            found.extend(page["task_instances"])
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                break
        if task_id and not found:  # listMapped gives nothing for a task that is not mapped
            found.append(self.task_instance(dag_id, run_id, task_id))
        return found

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Give one task instance: state, try_number, max_tries, pid, start_date, end_date, trigger..."""
        answer: dict[str, Any] = self.rest("GET", _task(dag_id, run_id, task_id, map_index))
        return answer

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Tell the state of each task instance; a mapped one is named ``task_id[map_index]``."""
        return {
            ti["task_id"] if ti["map_index"] < 0 else f"{ti['task_id']}[{ti['map_index']}]": ti["state"]
            for ti in self.task_instances(dag_id, run_id)
        }

    def wait_for_state(
        self, dag_id: str, run_id: str, task_id: str, *states: str, map_index: int = -1, timeout: float = 240
    ) -> dict[str, Any]:
        """Wait until a task instance is in one of these states, and return it.

        :param timeout: seconds.
        """

        def reached() -> dict[str, Any]:
            instance = self.task_instance(dag_id, run_id, task_id, map_index)
            return instance if instance["state"] in states else {}

        return self.wait_until(reached, timeout=timeout, what=f"{task_id} is {' or '.join(states)}")

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[dict[str, Any]]:
        """List all tries of a task instance, the current one last."""
        answer = self.rest("GET", f"{_task(dag_id, run_id, task_id, map_index)}/tries")
        return sorted(answer["task_instances"], key=lambda instance: int(instance["try_number"]))

    def clear(
        self,
        dag_id: str,
        run_id: str,
        *task_ids: str | tuple[str, int],
        downstream: bool = False,
        only_failed: bool = False,
    ) -> None:
        """Clear tasks of a run, as a person does in the UI; none named: all of them.

        :param task_ids: a task ID, or a pair of task ID and map index.
        """
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": only_failed,
            "include_downstream": downstream,
            "reset_dag_runs": True,
            "task_ids": [list(task) if isinstance(task, tuple) else task for task in task_ids] or None,
        }
        self.rest("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance ``success``, ``failed`` or ``skipped``, as a person does in the UI."""
        self.rest("PATCH", _task(dag_id, run_id, task_id, map_index), {"new_state": state})

    def mark_failed(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> None:
        """Mark a task instance failed, as a person does in the UI."""
        self.mark(dag_id, run_id, task_id, "failed", map_index)

    # what tasks left behind

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Read one XCom value.

        :raises AirflowApiError: with status 404 when there is none.
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{quote(key, safe='')}"
        value = self.rest("GET", path, params={"map_index": map_index, "deserialize": True})["value"]
        return value

    def xcom_keys(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[str]:
        """List the keys of the XComs of a task instance."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries"
        entries = self.rest("GET", path, params={"limit": 100, "map_index": map_index})["xcom_entries"]
        return sorted(entry["key"] for entry in entries if entry["map_index"] == map_index)

    def state_store(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Read the task state store of a task instance: key to value."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/state-store"
        entries = self.rest("GET", path, params={"map_index": map_index, "limit": 100})["task_state_store"]
        return {entry["key"]: entry["value"] for entry in entries}

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int | None = None, map_index: int = -1
    ) -> str:
        """Read the log of one try as the UI shows it, one line an entry, further fields as JSON at its end.

        :param try_number: None: the current try.
        """
        return "\n".join(
            map(_log_line, self.task_log_entries(dag_id, run_id, task_id, try_number, map_index))
        )

    def task_log_entries(
        self, dag_id: str, run_id: str, task_id: str, try_number: int | None = None, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """Read the log of one try as Airflow keeps it: ``timestamp, level, logger, event`` and more.

        :param try_number: None: the current try.
        """
        if try_number is None:
            try_number = int(self.task_instance(dag_id, run_id, task_id, map_index)["try_number"])
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.rest(
            "GET",
            path,
            params={"map_index": map_index, "full_content": True},
            headers={"Accept": "application/json"},
        )
        return [entry if isinstance(entry, dict) else {"event": entry} for entry in answer["content"]]


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _task(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{task_id}" + (f"/{map_index}" if map_index >= 0 else "")


_SAME_IN_EVERY_LINE = (
    *("dag_id", "run_id", "task_id", "map_index", "try_number", "ti_id", "ti"),
    *("logger", "filename", "lineno"),
)


def _log_line(entry: dict[str, Any]) -> str:
    rest = dict(entry)
    words = [rest.pop("timestamp", None), (rest.pop("level", None) or "").upper(), rest.pop("event", "")]
    for known in _SAME_IN_EVERY_LINE:
        rest.pop(known, None)
    return " ".join(filter(None, words)) + (f"  {json.dumps(rest)}" if rest else "")


def _connection_fields(connection: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(connection, str):
        url = httpx.URL(connection)
        return {
            "conn_type": "http",
            "host": f"{url.scheme}://{url.host}",
            "port": url.port,
            "schema": None,
            "login": url.username or None,
            "password": url.password or None,
            "extra": None,
        }
    # What is not named is emptied: PATCH keeps it, and the port of before would stand beside a new host.
    fields = {**dict.fromkeys(("host", "port", "schema", "login", "password", "extra")), **connection}
    if isinstance(fields.get("extra"), Mapping):
        fields["extra"] = json.dumps(fields["extra"])
    return fields
