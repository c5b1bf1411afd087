"""What a task would take is told without making one, of the same bodies that submit takes."""

from __future__ import annotations

import pytest
from api_kit import BODY, SUBMIT, TASKS
from starlette.testclient import TestClient
from support.pictures import data_url, encoded, gradient

from wan22.api.services import Services
from wan22.tasks import Status, Timings

ESTIMATE = f"{TASKS}/estimate"
PNG = encoded(gradient(64, 48))


def nothing_is_kept(services: Services) -> bool:
    return not services.settings.storage.uploads_dir.exists() and not any(services.queue.counts().values())


def test_it_says_what_submit_would_plan_and_keeps_nothing(client: TestClient, services: Services) -> None:
    answer = client.post(ESTIMATE, json={**BODY, "seed": 1})
    assert answer.status_code == 200
    told = answer.json()
    assert nothing_is_kept(services)
    task = client.post(SUBMIT, json={**BODY, "seed": 1}).json()
    assert (told["request"], told["plan"]) == (task["request"], task["plan"])
    assert [one["phase"] for one in told["forecast"]["phases"]] == ["text_encode", "denoise", "decode"]
    assert told["forecast"]["basis"] == "none"


def test_a_picture_is_a_phase_and_is_not_kept(client: TestClient, services: Services) -> None:
    body = {"model_type": "I2V-A14B", "image": data_url(gradient(64, 48))}
    told = client.post(ESTIMATE, json=body).json()
    assert [one["phase"] for one in told["forecast"]["phases"]] == ["text_encode", "image_encode", "denoise", "decode"]
    form = client.post(ESTIMATE, data={"model_type": "I2V-A14B"}, files={"image": ("a.png", PNG)}).json()
    assert form["forecast"] == told["forecast"]
    assert nothing_is_kept(services)


def test_the_model_may_be_left_out(client: TestClient) -> None:
    assert client.post(ESTIMATE, json={"prompt": "a cat"}).json()["request"]["model_type"] == "T2V-A14B"


def test_a_wrong_body_is_told_as_by_submit(client: TestClient, services: Services) -> None:
    wrong = {**BODY, "num_frames": 500, "steps": 0}
    told, refused = (client.post(path, json=wrong) for path in (ESTIMATE, SUBMIT))
    assert told.status_code == refused.status_code == 422
    assert told.json()["errors"] == refused.json()["errors"]
    assert nothing_is_kept(services)


def test_what_ran_here_is_what_it_rests_on(client: TestClient, services: Services) -> None:
    task = client.post(SUBMIT, json={**BODY, "steps": 10}).json()
    claim = services.queue.claim()
    assert claim is not None
    ran = claim.task.with_(
        status=Status.COMPLETED,
        timings=Timings(loading_s=5.0, text_encode_s=0.5, denoise_s=8.0, decode_s=1.0, encode_s=0.5, total_s=15.0),
    )
    services.queue._pace.learn(ran)
    once, twice = (client.post(ESTIMATE, json={**BODY, "steps": steps}).json()["forecast"] for steps in (10, 20))
    assert task["plan"]["variant"] == "demo"
    assert once["basis"] == "measured"
    assert once["total_s"] == pytest.approx(10.0)
    assert twice["total_s"] == pytest.approx(18.0)
