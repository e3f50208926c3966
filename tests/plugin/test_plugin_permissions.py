"""What each role of the simple auth manager sees, does and gets, over two processes of the API server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.plugin.api import ROLES, ApiServer, jobs
from tests.plugin.conftest import JOBS
from tests.plugin.rows import NO_CANCEL

ENDED = {"dag_id": "dag_001", "run_id": "run_0", "task_id": "export.fetch", "map_index": 0}
UNKNOWN = {**ENDED, "task_id": "export.gone"}


def waiting_job(number: int) -> dict[str, Any]:
    """Return where the wait of a job of tests/plugin/rows.py lies: every tenth waits."""
    place = {"dag_id": f"dag_{number % 3:03}", "run_id": f"run_{number // 3 % 10}"}
    return {**place, "task_id": "export.wait", "map_index": number // 30}


@pytest.mark.parametrize("button", ["poll", "cancel"])
def test_anonymous_people_press_nothing(api: ApiServer, button: str) -> None:
    with api.user(None) as client:
        assert client.post(f"/asyncjob/api/{button}", json=waiting_job(10)).status_code == 401


@pytest.mark.parametrize("path", ["/asyncjob/api/jobs", "/asyncjob/api/task"])
def test_anonymous_people_read_nothing(api: ApiServer, path: str) -> None:
    with api.user(None) as client:
        answer = client.get(path, params=waiting_job(10))
    assert answer.status_code == 401
    assert "job-" not in answer.text


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_all_jobs(api: ApiServer, role: str) -> None:
    with api.user(role) as client:
        assert jobs(client)["total"] == JOBS
        answer = client.get("/asyncjob/api/task", params=waiting_job(10))
    assert answer.json()["job"]["submission_id"] == "job-000010"


@pytest.mark.parametrize("button", ["poll", "cancel"])
def test_a_viewer_presses_nothing(api: ApiServer, button: str) -> None:
    with api.user("viewer") as client:
        answer = client.post(f"/asyncjob/api/{button}", json=waiting_job(10))
        assert answer.status_code == 403
        assert answer.json()["detail"] == "You may not change the task instances of DAG 'dag_001'."
        job = jobs(client, q="job-000010")["items"][0]
        assert (job["can_poll"], job["can_cancel"]) == (False, False)
        may = client.get("/asyncjob/api/task", params=waiting_job(10)).json()["may"]
        assert may == {"poll": False, "cancel": False, "edit": False}


@pytest.mark.parametrize("role", ["admin", "op", "user"])
def test_who_may_change_task_instances_is_offered_the_buttons(api: ApiServer, role: str) -> None:
    with api.user(role) as client:
        job = jobs(client, q="job-000010")["items"][0]
        assert (job["can_poll"], job["can_cancel"]) == (True, True)
        may = client.get("/asyncjob/api/task", params=waiting_job(10)).json()["may"]
    assert may == {"poll": True, "cancel": True, "edit": True}


@pytest.mark.parametrize("button", ["poll", "cancel"])
@pytest.mark.parametrize(
    ("place", "code", "detail"),
    [
        (ENDED, 409, "This task instance is not waiting for a job now."),
        (UNKNOWN, 404, "There is no such task instance."),
    ],
)
def test_a_button_without_a_waiting_task_says_so(
    api: ApiServer, button: str, place: dict[str, Any], code: int, detail: str
) -> None:
    with api.user("user") as client:
        answer = client.post(f"/asyncjob/api/{button}", json=place)
    assert (answer.status_code, answer.json()["detail"]) == (code, detail)


def test_a_job_that_cannot_be_cancelled_is_not_given_up_instead(api: ApiServer) -> None:
    place = waiting_job(NO_CANCEL)
    with api.user("user") as client:
        answer = client.post("/asyncjob/api/cancel", json=place)
        shown = client.get("/asyncjob/api/task", params=place).json()
    assert answer.status_code == 409
    assert "does not say how to cancel it (cancel). Mark the task as failed" in answer.json()["detail"]
    assert (shown["job"]["task_state"], shown["may"]["cancel"]) == ("deferred", False)


def test_of_two_polls_at_once_one_wakes_the_task_and_the_audit_log_names_who(api: ApiServer) -> None:
    with api.user("user") as client, ThreadPoolExecutor(4) as pool:
        place = waiting_job(20)
        answers = list(pool.map(lambda _: client.post("/asyncjob/api/poll", json=place), range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    assert [answer.json() for answer in answers if answer.status_code == 202] == [{"result": "woken"}]
    state = api.query(
        "SELECT state, next_kwargs FROM task_instance WHERE dag_id = 'dag_002' AND run_id = 'run_6'"
        " AND task_id = 'export.wait' AND map_index = 0"
    )
    assert state[0]["state"] == "scheduled"
    noted = api.query("SELECT owner, dag_id, map_index FROM log WHERE event = 'asyncjob_poll_now'")
    assert noted == [{"owner": "user", "dag_id": "dag_002", "map_index": 0}]


@pytest.mark.parametrize(
    ("headers", "code", "says"),
    [
        ({"Content-Type": "text/plain"}, 415, "Content-Type: application/json, not text/plain"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "not application/x-www-form"),
        ({"Content-Type": "application/json"}, 403, "comes from no origin"),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, 403, "https://evil.example"),
        ({"Content-Type": "application/json", "Origin": "null"}, 403, "comes from null"),
        ({"Content-Type": "application/json", "Origin": "ITSELF"}, 409, "not waiting"),
    ],
)
def test_a_cookie_alone_presses_no_button_from_elsewhere(
    api: ApiServer, headers: dict[str, str], code: int, says: str
) -> None:
    with api.user("user") as client:
        client.cookies.set("_token", client.headers.pop("Authorization").removeprefix("Bearer "))
        assert jobs(client, limit=1)["total"] == JOBS
        body = b'{"dag_id": "dag_001", "run_id": "run_0", "task_id": "export.fetch", "map_index": 0}'
        sent = {name: value.replace("ITSELF", api.url) for name, value in headers.items()}
        answer = client.post("/asyncjob/api/poll", content=body, headers=sent)
    assert answer.status_code == code
    assert says in answer.json()["detail"]


# What the routes give, on the same server -----------------------------------------------------------------


def test_the_tab_has_the_job_its_exchanges_and_its_other_tasks(api: ApiServer) -> None:
    with api.user("viewer") as client:
        found = client.get("/asyncjob/api/task", params=ENDED).json()
        job = jobs(client, q=found["job"]["submission_id"])["items"][0]
    assert found["ours"] is True
    assert found["job"] == job
    assert found["summary"]["remote_url"].startswith("https://vendor.example/jobs/")
    assert found["summary"]["submitted_at"].endswith("Z")
    assert [other["kind"] for other in found["related"]] == ["submit", "wait"]
    assert found["related"][1]["url"].endswith("/tasks/export.wait/mapped/0/plugin/async-job")
    assert found["exchanges"][0]["curl"].endswith("-H 'authorization: ***'")
    assert (found["polls"][0]["raw_status"], found["polls"][0]["code"]) == ("processing", 200)
    assert found["left_out"] == 0


def test_a_task_instance_that_does_not_exist_is_not_found(api: ApiServer) -> None:
    with api.user("viewer") as client:
        answer = client.get("/asyncjob/api/task", params=UNKNOWN)
    assert (answer.status_code, answer.json()) == (404, {"detail": "There is no such task instance."})


def test_pages_are_cut_from_one_order(api: ApiServer) -> None:
    with api.user("viewer") as client:
        whole = jobs(client, limit=200)
        pages = [jobs(client, limit=25, offset=offset) for offset in (0, 25, 50)]
        wrong = client.get("/asyncjob/api/jobs", params={"limit": 100_000})
    ids = [job["submission_id"] for job in whole["items"]]
    assert [job["submission_id"] for page in pages for job in page["items"]] == ids
    assert len(set(ids)) == JOBS
    assert {job["trouble"] for job in whole["items"][:2]} == {"The last 3 polls failed."}
    assert sum(whole["facets"]["state"].values()) == JOBS
    assert wrong.status_code == 422
