"""Looking at tasks and ending them, and what callers are shown of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from api_kit import NOBODY, TASKS, URL, complete, submitted
from starlette.testclient import TestClient
from support.pictures import data_url, gradient

from wan22.api.app import create_app
from wan22.api.services import Services
from wan22.api.views import TaskView, rfc3339, view_task
from wan22.models.variants import Models
from wan22.orchestrator.planning import Planner
from wan22.settings import DeviceSettings, ModelsSettings
from wan22.tasks import Failure, Status, Task

ODD_IDS = [
    *("x", "0", "%00", "..%2f..%2fetc%2fpasswd", "%2e%2e", "%5c..%5c", "con", NOBODY + "x", NOBODY[:-1], "{" + NOBODY),
    *("%F0%9F%98%80", "'%20or%201=1--", "a" * 3_000, NOBODY.replace("-", ""), "%ff%fe", "null", "*", "%0d%0aX:%201"),
]


def test_a_task_shows_all_that_the_contract_names_and_nothing_internal(client: TestClient) -> None:
    shown = client.get(f"{TASKS}/{submitted(client)}").json()
    assert set(shown) == set(TaskView.model_fields)
    assert set(Task.model_fields) - set(shown) == {"fence"}
    assert "file_name" not in str(shown)


def test_times_are_rfc3339_in_utc(client: TestClient) -> None:
    created = client.get(f"{TASKS}/{submitted(client)}").json()["created_at"]
    assert created.endswith("Z")
    assert abs(datetime.now(timezone.utc) - datetime.fromisoformat(created[:-1] + "+00:00")) < timedelta(minutes=1)
    local = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(local) == "2026-01-01T10:00:00.000Z"
    assert rfc3339(local.replace(tzinfo=None)) == "2026-01-01T12:00:00.000Z"


def test_a_running_task_shows_its_run(client: TestClient, services: Services) -> None:
    task_id = submitted(client)
    claim = services.queue.claim()
    assert claim
    shown = client.get(f"{TASKS}/{task_id}").json()
    assert (shown["status"], shown["attempts"], shown["queue_position"]) == ("running", 1, None)
    assert client.post(f"{TASKS}/{task_id}/cancel").json()["cancel_requested"] is True


def test_a_finished_task_shows_where_its_files_are(client: TestClient, services: Services) -> None:
    submitted(client)
    task_id = complete(services)
    shown = client.get(f"{TASKS}/{task_id}").json()
    assert shown["status"] == "completed"
    assert shown["outputs"][0]["url"] == f"{TASKS}/{task_id}/outputs/0"
    assert client.get(shown["outputs"][0]["thumbnail_url"]).headers["Content-Type"] == "image/jpeg"


def test_a_failed_task_shows_a_problem(client: TestClient, services: Services) -> None:
    task_id = submitted(client)
    claim = services.queue.claim()
    assert claim
    services.queue.fail(claim, Failure(code="out_of_memory", title="Out of memory", detail="Too big.", hint="Smaller."))
    error = client.get(f"{TASKS}/{task_id}").json()["error"]
    assert (error["code"], error["status"], error["hint"]) == ("out_of_memory", 500, "Smaller.")
    assert error["instance"] == f"{TASKS}/{task_id}"


@pytest.mark.parametrize("odd", [NOBODY, *ODD_IDS])
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
        ("GET", "/outputs/0"),
        ("GET", "/outputs/0/thumbnail"),
        ("GET", "/events"),
    ],
)
def test_what_is_no_task_is_not_found(client: TestClient, method: str, rest: str, odd: str) -> None:
    answer = client.request(method, f"{TASKS}/{odd}{rest}")
    assert answer.status_code in (404, 405), answer.text  # 405: `..` was taken out of the path by the client
    assert answer.json()["code"] in ("not_found", "method_not_allowed")


def test_an_id_may_be_in_capitals(client: TestClient) -> None:
    task_id = submitted(client)
    assert client.get(f"{TASKS}/{task_id.upper()}").json()["task_id"] == task_id


def test_cancel_ends_a_queued_task_and_is_refused_for_an_ended_one(client: TestClient) -> None:
    task_id = submitted(client)
    assert client.post(f"{TASKS}/{task_id}/cancel").json()["status"] == "cancelled"
    again = client.post(f"{TASKS}/{task_id}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


def test_retry_makes_a_new_task_of_the_same_request(client: TestClient) -> None:
    old = submitted(client)
    assert client.post(f"{TASKS}/{old}/retry").status_code == 409
    client.post(f"{TASKS}/{old}/cancel")
    answer = client.post(f"{TASKS}/{old}/retry")
    new = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{TASKS}/{new['task_id']}" != f"{TASKS}/{old}"
    assert new["request"] == client.get(f"{TASKS}/{old}").json()["request"]


def test_retry_plans_anew(client: TestClient, services: Services) -> None:
    old = submitted(client)
    client.post(f"{TASKS}/{old}/cancel")
    later = replace(services, planner=Planner(services.models, DeviceSettings(precision="bf16"), services.probe))
    again = TestClient(create_app(later), base_url=URL).post(f"{TASKS}/{old}/retry").json()
    before = client.get(f"{TASKS}/{old}").json()["plan"]["precision"]
    assert (before["transformer"], again["plan"]["precision"]["transformer"]) == ("fp32", "bf16")


def test_retry_needs_room_on_the_disk_and_weights_as_any_task(client: TestClient, services: Services) -> None:
    old = submitted(client)
    client.post(f"{TASKS}/{old}/cancel")
    storage = services.settings.storage.model_copy(update={"min_free_bytes": 2**62})
    full = replace(services, settings=services.settings.model_copy(update={"storage": storage}))
    models = Models(ModelsSettings(variant="dev"), storage.home / "models")
    bare = replace(services, planner=Planner(models, services.settings.device, services.probe))
    answers = [TestClient(create_app(one), base_url=URL).post(f"{TASKS}/{old}/retry") for one in (full, bare)]
    assert [answer.status_code for answer in answers] == [507, 503]


def test_a_task_that_is_claimed_while_it_is_shown_still_has_a_place(client: TestClient, services: Services) -> None:
    waiting = services.queue.get(submitted(client))
    services.queue.claim()
    shown = view_task(services, waiting)
    assert (shown.status, shown.queue_position) == (Status.QUEUED, 1)


def test_delete_removes_record_and_files(client: TestClient, services: Services) -> None:
    submitted(client)
    task_id = complete(services)
    answer = client.delete(f"{TASKS}/{task_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(f"{TASKS}/{task_id}").status_code == 404
    assert not (services.settings.storage.outputs_dir / task_id).exists()
    assert client.delete(f"{TASKS}/{task_id}").status_code == 404


def test_delete_removes_pictures_with_their_last_task(client: TestClient, services: Services) -> None:
    body = {"model_type": "I2V-A14B", "image": data_url(gradient(64, 48))}
    shared, alone = submitted(client, **body), submitted(client, **body, last_image=data_url(gradient(32, 32)))
    uploads = services.settings.storage.uploads_dir
    counts = []
    for task_id in (alone, shared):
        counts.append(len(list(uploads.iterdir())))
        client.delete(f"{TASKS}/{task_id}")
    assert [*counts, len(list(uploads.iterdir()))] == [2, 1, 0]


def test_delete_cancels_what_has_not_ended(client: TestClient, services: Services) -> None:
    task_id = submitted(client)
    assert client.delete(f"{TASKS}/{task_id}").status_code == 204
    assert services.queue.claim() is None


def ids(page: dict[str, Any]) -> list[str]:
    return [task["task_id"] for task in page["tasks"]]


def test_the_list_is_newest_first_and_its_pages_join(client: TestClient) -> None:
    made = [submitted(client) for _ in range(5)]
    first = client.get(TASKS, params={"limit": 2, "status": "queued"})
    assert ids(first.json()) == made[:2:-1]
    link = first.headers["Link"]
    assert link.endswith('>; rel="next"')
    second = client.get(link[1 : link.index(">")])
    third = client.get(TASKS, params={"limit": 2, "cursor": second.json()["next_cursor"]})
    assert ids(second.json()) + ids(third.json()) == made[2::-1]
    assert third.json()["next_cursor"] is None
    assert "Link" not in third.headers


def test_the_list_is_filtered(client: TestClient) -> None:
    kept = submitted(client)
    other = submitted(client, model_type="TI2V-5B")
    client.post(f"{TASKS}/{other}/cancel")
    assert ids(client.get(f"{TASKS}?status=QUEUED").json()) == [kept]
    assert ids(client.get(f"{TASKS}?model_type=ti2v-5b").json()) == [other]
    assert ids(client.get(f"{TASKS}?model_type=TI2V-5B&status=queued").json()) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=" + "9" * 5_000, "limit")),
        *(("cursor=x", "cursor"), ("cursor=%00", "cursor"), ("cursor=" + "A" * 999, "cursor"), ("cursor=", "cursor")),
        *(("status=done", "status"), ("status=", "status"), ("model_type=T3V", "model_type"), ("offset=1", "offset")),
    ],
)
def test_a_wrong_parameter_is_named(client: TestClient, query: str, field: str) -> None:
    answer = client.get(f"{TASKS}?{query}")
    assert answer.status_code == 422, answer.text
    assert [item["field"] for item in answer.json()["errors"]] == [field]
    assert answer.json()["errors"][0]["message"]


def test_every_status_can_be_listed(client: TestClient) -> None:
    assert all(client.get(f"{TASKS}?status={status.value}").status_code == 200 for status in Status)
