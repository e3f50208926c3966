"""Who sees and does what where roles are given for each DAG: the FAB auth manager."""

from __future__ import annotations

import pytest

from tests.plugin.api import ApiServer, jobs
from tests.plugin.conftest import DAGS, JOBS

MINE = {"dag_id": "dag_000", "run_id": "run_0", "task_id": "export.wait", "map_index": 0}
OTHERS = {"dag_id": "dag_001", "run_id": "run_3", "task_id": "export.wait", "map_index": 0}


def test_a_user_of_one_dag_sees_nothing_of_the_others(fab_api: ApiServer) -> None:
    with fab_api.user("reader") as client:
        found = jobs(client, limit=200)
        asked = jobs(client, dag_id="dag_001")
        searched = jobs(client, q="dag_001")
        answer = client.get("/asyncjob/api/task", params=OTHERS)
        same = client.get("/asyncjob/api/task", params={**OTHERS, "dag_id": "no_such_dag"})
    assert found["total"] == JOBS // DAGS
    assert {job["dag_id"] for job in found["items"]} == {"dag_000"}
    assert found["facets"]["dag_id"] == {"dag_000": JOBS // DAGS}
    assert sum(found["facets"]["state"].values()) == JOBS // DAGS
    assert (asked["total"], asked["items"], asked["facets"]["dag_id"]) == (0, [], {"dag_000": JOBS // DAGS})
    assert (searched["total"], searched["facets"]["conn_id"]) == (0, {})
    assert answer.status_code == same.status_code == 403
    assert answer.text.replace("dag_001", "") == same.text.replace("no_such_dag", "")


def test_who_reads_a_dag_presses_nothing_in_it(fab_api: ApiServer) -> None:
    with fab_api.user("reader") as client:
        read = client.get("/asyncjob/api/task", params=MINE)
        answers = [client.post(f"/asyncjob/api/{button}", json=MINE) for button in ("poll", "cancel")]
    assert read.json()["may"] == {"poll": False, "cancel": False, "edit": False}
    assert [answer.status_code for answer in answers] == [403, 403]


def test_who_may_change_one_dag_changes_that_one_only(fab_api: ApiServer) -> None:
    with fab_api.user("editor") as client:
        elsewhere = [client.post(f"/asyncjob/api/{button}", json=OTHERS) for button in ("poll", "cancel")]
        mine = client.post("/asyncjob/api/poll", json=MINE)
    assert [answer.status_code for answer in elsewhere] == [403, 403]
    assert (mine.status_code, mine.json()) == (202, {"result": "woken"})


def test_first_rows_are_shown_to_those_who_may_read_xcoms(fab_api: ApiServer) -> None:
    place = {"dag_id": "dag_000", "run_id": "run_1", "task_id": "export.fetch", "map_index": 0}
    previews = {}
    for name in ("reader", "editor"):
        with fab_api.user(name) as client:
            previews[name] = client.get("/asyncjob/api/task", params=place).json()["preview"]
    assert previews["reader"] is None
    assert previews["editor"]["rows"] == [["Ada"]]


@pytest.mark.parametrize("name", ["nobody", "outsider"])
def test_a_user_without_any_task_instance_sees_no_job(fab_api: ApiServer, name: str) -> None:
    with fab_api.user(name) as client:
        found = jobs(client)
        answer = client.get("/asyncjob/api/task", params=MINE)
    facets = {"state": {}, "conn_id": {}, "dag_id": {}, "definition": {}}
    assert found == {"total": 0, "items": [], "facets": facets}
    assert answer.status_code == 403


def test_an_admin_sees_all(fab_api: ApiServer) -> None:
    with fab_api.user("admin") as client:
        assert jobs(client)["total"] == JOBS


def test_anonymous_people_read_nothing(fab_api: ApiServer) -> None:
    with fab_api.user(None) as client:
        assert client.get("/asyncjob/api/jobs").status_code == 401
        assert client.get("/asyncjob/api/task", params=MINE).status_code == 401
        assert client.post("/asyncjob/api/cancel", json=MINE).status_code == 401
