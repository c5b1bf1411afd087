"""A submission is queued whole or not at all; pictures may come in any form; a repeated call makes one task."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from api_kit import BODY, SUBMIT, TASKS, URL, open_services, settings_for, submitted
from starlette.testclient import TestClient
from support.pictures import data_url, encoded, gradient

from wan22.api.app import create_app
from wan22.api.handlers.pictures import Given, keep
from wan22.api.services import Services
from wan22.errors import InvalidRequest
from wan22.queue import Queue

PNG = encoded(gradient(64, 48))
I2V = {"model_type": "I2V-A14B", "prompt": "it moves"}
ENHANCED = f"{TASKS}/enhanced/submit"


def client_with(closing: ExitStack, home: Path, **rooms: dict[str, Any]) -> tuple[TestClient, Services]:
    services = open_services(settings_for(home, **rooms), closing)
    return TestClient(create_app(services), base_url=URL), services


class LateQueue(Queue):
    """Has room whenever it is asked, and may be full by the time the task comes, as if others came in between."""

    def check_room(self) -> None:
        """Never raises."""


def nothing_is_left(services: Services) -> bool:
    uploads = services.settings.storage.uploads_dir
    is_empty = not uploads.exists() or not any(uploads.iterdir())
    return is_empty and not any(services.queue.counts().values())


@pytest.mark.parametrize("path", [SUBMIT, ENHANCED])
def test_a_task_is_accepted_and_named(client: TestClient, services: Services, path: str) -> None:
    answer = client.post(path, json=BODY)
    task = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{TASKS}/{task['task_id']}"
    assert answer.headers["Retry-After"] == "1"
    assert "Idempotent-Replayed" not in answer.headers
    assert (task["status"], task["queue_position"], task["model_type"]) == ("queued", 1, "T2V-A14B")
    assert services.queue.get(task["task_id"]).request.prompt == BODY["prompt"]


def test_what_is_left_out_is_filled_in_and_shown(client: TestClient) -> None:
    task = client.post(SUBMIT, json={**BODY, "resolution": "854x480", "metadata": {"mine": [1]}}).json()
    request = task["request"]
    assert (request["width"], request["height"], request["metadata"]) == (854, 480, {"mine": [1]})
    assert None not in (request["seed"], request["steps"], request["fps"], request["num_frames"])
    assert all(choice["why"] for choice in task["plan"]["choices"])


def test_a_form_gives_the_same_task_as_json(client: TestClient) -> None:
    from_json = client.post(SUBMIT, json={**BODY, "seed": 5, "steps": 4, "enable_optimization": False}).json()
    form = {**BODY, "seed": "5", "steps": "4", "enable_optimization": "false"}
    answer = client.post(SUBMIT, files={name: (None, value) for name, value in form.items()})
    assert answer.status_code == 202, answer.text
    assert answer.json()["request"] == from_json["request"]


@pytest.mark.parametrize(
    "image",
    [
        data_url(gradient(64, 48)),
        base64.b64encode(PNG).decode(),
        base64.encodebytes(PNG).decode(),
        base64.urlsafe_b64encode(PNG).decode().rstrip("="),
        "data:image/jpeg;base64," + base64.b64encode(PNG).decode(),
    ],
    ids=["data url", "base64", "with line breaks", "url-safe", "wrong type named"],
)
def test_a_picture_comes_as_text(client: TestClient, services: Services, image: str) -> None:
    answer = client.post(SUBMIT, json={**I2V, "image": image})
    assert answer.status_code == 202, answer.text
    ref = answer.json()["request"]["image"]
    assert (ref["width"], ref["height"]) == (64, 48)
    assert services.uploads.get(ref["id"]).width == 64


def test_a_picture_comes_as_a_file_and_again_by_its_id(client: TestClient) -> None:
    first = client.post(SUBMIT, data=I2V, files={"image": ("..\\..\\evil.svg", PNG, "image/svg+xml")})
    assert first.status_code == 202, first.text
    upload = first.json()["request"]["image"]
    again = client.post(SUBMIT, json={**I2V, "image": upload["id"], "last_image": upload["id"]})
    assert again.json()["request"]["image"] == again.json()["request"]["last_image"] == upload


def test_pictures_sent_with_a_task_that_is_refused_in_the_end_are_removed(tmp_path: Path, closing: ExitStack) -> None:
    services = open_services(settings_for(tmp_path, queue={"max_queued": 1}), closing, queue_type=LateQueue)
    client = TestClient(create_app(services), base_url=URL)
    kept = client.post(SUBMIT, data=I2V, files={"image": ("a.png", PNG)}).json()["request"]["image"]["id"]
    last = {"last_image": data_url(gradient(32, 32))}
    assert client.post(SUBMIT, json={**I2V, "image": kept, **last}).status_code == 429
    assert [path.stem for path in services.settings.storage.uploads_dir.iterdir()] == [kept]


def test_a_picture_that_goes_while_a_task_names_it_is_told(client: TestClient, services: Services) -> None:
    first = client.post(SUBMIT, data=I2V, files={"image": ("a.png", PNG)}).json()
    upload = first["request"]["image"]["id"]
    given = {"image": Given(services.uploads.get(upload))}
    client.delete(f"{TASKS}/{first['task_id']}")
    with pytest.raises(InvalidRequest, match="send the picture itself"):
        keep(given, services)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("upl_" + "0" * 32, "no picture that this server has"),
        ("upl_../../etc/passwd", "no picture that this server has"),
        ("https://a.example/cat.png", "fetches nothing"),
        ("file:///etc/passwd", "fetches nothing"),
        ("cat.png", "can't see your files"),
        ("/home/me/cat.jpeg", "can't see your files"),
        ("data:image/svg+xml;base64,AAAA", "data URL of a PNG"),
        ("data:image/png,raw", "data URL of a PNG"),
        ("data:image/png;base64,***", "is not base64"),
        ("ключ", "is not base64"),
        ("AAAAA", "cut short"),
        ("AAAA", "PNG, JPEG or WebP"),
        (base64.b64encode(PNG[:60]).decode(), "damaged"),
    ],
)
def test_what_is_no_picture_is_told_by_field(client: TestClient, services: Services, image: str, words: str) -> None:
    answer = client.post(SUBMIT, json={**I2V, "last_image": image})
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["errors"]] == ["last_image"]
    assert words in answer.json()["detail"]
    assert nothing_is_left(services)


def test_file_and_text_for_one_picture_are_one_too_many(client: TestClient) -> None:
    form = [("image", ("a.png", PNG)), ("image", (None, "upl_x")), ("model_type", (None, "I2V-A14B"))]
    assert "twice" in client.post(SUBMIT, files=form).json()["detail"]


def test_a_picture_is_not_kept_where_the_request_is_refused(client: TestClient, services: Services) -> None:
    answer = client.post(SUBMIT, json={**I2V, "image": data_url(gradient()), "width": 1})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"]
    assert nothing_is_left(services)


def test_a_full_disk_refuses_before_anything_is_kept(tmp_path: Path, closing: ExitStack) -> None:
    client, services = client_with(closing, tmp_path, storage={"min_free_bytes": 2**62})
    answer = client.post(SUBMIT, json={**I2V, "image": data_url(gradient())})
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert nothing_is_left(services)


def test_a_full_queue_says_when_to_come_again_and_keeps_nothing(tmp_path: Path, closing: ExitStack) -> None:
    client, services = client_with(closing, tmp_path, queue={"max_queued": 1})
    submitted(client)
    answer = client.post(SUBMIT, json={**I2V, "image": data_url(gradient())})
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert 1 <= int(answer.headers["Retry-After"]) <= 120
    assert not services.settings.storage.uploads_dir.exists()


def test_missing_weights_are_told_with_their_cure(tmp_path: Path, closing: ExitStack) -> None:
    client, services = client_with(closing, tmp_path, models={"variant": "dev"})
    answer = client.post(SUBMIT, json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "model_missing")
    assert nothing_is_left(services)


def test_the_enhanced_call_chooses_a_model_from_the_inputs(client: TestClient) -> None:
    text = client.post(ENHANCED, json={"prompt": "a cat"}).json()
    image = client.post(ENHANCED, json={"image": data_url(gradient(64, 48))}).json()
    assert (text["model_type"], image["model_type"]) == ("T2V-A14B", "I2V-A14B")
    assert all(task["plan"]["choices"][0]["what"] == "model" for task in (text, image))
    assert client.post(SUBMIT, json={"prompt": "a cat"}).status_code == 422


def test_one_key_and_body_are_one_task(client: TestClient, services: Services) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = client.post(SUBMIT, json={**I2V, "image": data_url(gradient(64, 48))}, headers=headers)
    again = client.post(SUBMIT, data=I2V, files={"image": ("a.png", PNG)}, headers=headers)
    assert again.status_code == 202
    assert again.json()["task_id"] == first.json()["task_id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert sum(services.queue.counts().values()) == 1


def test_a_key_with_another_body_is_refused(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    assert client.post(SUBMIT, json=BODY, headers=headers).status_code == 202
    other = client.post(SUBMIT, json={**BODY, "steps": 7}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def test_a_refused_call_does_not_use_its_key_up(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    assert client.post(SUBMIT, json={**BODY, "steps": 0}, headers=headers).status_code == 422
    assert client.post(SUBMIT, json=BODY, headers=headers).status_code == 202


def test_a_repeated_call_is_answered_though_the_queue_is_full(tmp_path: Path, closing: ExitStack) -> None:
    client, _ = client_with(closing, tmp_path, queue={"max_queued": 1})
    for _ in range(2):
        assert client.post(SUBMIT, json=BODY, headers={"Idempotency-Key": "k"}).status_code == 202


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "ключ".encode(), b"a\x7fb"])
def test_a_key_that_can_be_none_is_refused(client: TestClient, key: str | bytes) -> None:
    answer = client.post(SUBMIT, json=BODY, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


def test_the_longest_key_is_taken(client: TestClient) -> None:
    assert client.post(SUBMIT, json=BODY, headers={"Idempotency-Key": "x" * 255}).status_code == 202
