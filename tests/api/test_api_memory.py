"""Models in memory by HTTP: loaded ahead of their first task, seen where they are, dropped, and refused with a cure."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_kit import SUBMIT, URL, open_services, settings_for
from starlette.testclient import TestClient
from support.weight_files import tensors_of, write_sparse

from wan22.api.app import create_app
from wan22.cli.background import served
from wan22.errors import OutOfMemory
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.orchestrator.residency import Resident
from wan22.runtime import Runtime
from wan22.tasks import ModelType, Plan
from wan22.testing import Painter

MODELS = "/api/v1/models"
TI2V = SPECS[ModelType.TI2V_5B]
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
TASK = {"model_type": "T2V-A14B", "prompt": "a cat", "width": 64, "height": 64, "num_frames": 5, "steps": 40}


def opened(home: Path, closing: ExitStack, **rooms: dict[str, Any]) -> TestClient:
    """A client of a whole server, with a painter for the tasks and real weights for what is loaded."""
    settings = settings_for(home, **{"server": {"shutdown_grace_s": 0}, **rooms})
    runtime = Runtime(settings, painter=lambda outputs: Painter(outputs, step_s=0.1))
    closing.callback(runtime.close)
    return closing.enter_context(TestClient(runtime.app, base_url=URL, raise_server_exceptions=False))


@pytest.fixture
def server(tmp_path: Path, closing: ExitStack) -> TestClient:
    return opened(tmp_path, closing)


def test_a_model_is_loaded_once_seen_everywhere_and_dropped(server: TestClient) -> None:
    first = server.post(f"{MODELS}/load/ti2v-5b")
    assert first.status_code == 200, first.text
    loaded = first.json()["loaded"]
    assert (first.json()["was_loaded"], loaded["variant"], loaded["device"]) == (False, "demo", "cpu")
    assert set(loaded["precision"]) == {"transformer", "text_encoder", "vae"}
    assert loaded["size_bytes"] > 1_000_000
    again = server.post(f"{MODELS}/load/TI2V-5B").json()
    assert (again["was_loaded"], again["loaded"]["size_bytes"]) == (True, loaded["size_bytes"])
    assert again["loaded"]["used_at"] >= loaded["used_at"]
    (resident,) = server.get(f"{MODELS}/health").json()["residents"]
    steady = ("model_type", "variant", "device", "precision", "offload", "size_bytes", "leases")
    assert [resident[name] for name in steady] == [loaded[name] for name in steady]
    health = server.get("/api/v1/wan-models/health/ti2v-5b").json()["loaded"]
    assert [health[name] for name in steady] == [loaded[name] for name in steady]
    (dropped,) = server.post(f"{MODELS}/unload/ti2v-5b").json()["unloaded"]
    assert dropped["variant"] == "demo"
    assert server.get("/api/v1/wan-models/health/ti2v-5b").json()["loaded"] is None
    assert server.get(f"{MODELS}/health").json()["residents"] == []


def test_while_a_task_runs_it_is_refused_with_the_cure(server: TestClient) -> None:
    task_id = server.post(SUBMIT, json=TASK).json()["task_id"]
    while server.get(f"/api/v1/generation/{task_id}").json()["status"] == "queued":
        time.sleep(0.01)
    refused = server.post(f"{MODELS}/load/ti2v-5b")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert "Wait until the task has ended" in refused.json()["hint"]
    server.post(f"/api/v1/generation/{task_id}/cancel")


def test_weights_that_are_not_there_are_a_problem_with_the_command(tmp_path: Path, closing: ExitStack) -> None:
    server = opened(tmp_path, closing, models={"variant": "dev"})
    missing = server.post(f"{MODELS}/load/ti2v-5b")
    assert (missing.status_code, missing.json()["code"]) == (503, "model_missing")
    assert "wan22 models download ti2v-5b" in missing.json()["detail"]


def test_weights_that_are_damaged_are_named_by_file_and_tensor(tmp_path: Path, closing: ExitStack) -> None:
    folder = shutil.copytree(SHIPPED / TI2V.slug, tmp_path / "models" / TI2V.slug / "dev")
    tensors = tensors_of(folder / TRANSFORMER)
    del tensors["proj_out.bias"]
    write_sparse(folder / TRANSFORMER, tensors)
    server = opened(tmp_path, closing, models={"variant": "dev"})
    corrupt = server.post(f"{MODELS}/load/ti2v-5b")
    assert (corrupt.status_code, corrupt.json()["code"]) == (503, "model_corrupt")
    assert f"{TRANSFORMER} lacks proj_out.bias of 192" in corrupt.json()["detail"]
    assert server.get(f"{MODELS}/health").json()["residents"] == []


def test_a_load_that_failed_is_in_health_until_the_model_is_loaded(tmp_path: Path, closing: ExitStack) -> None:
    server = opened(tmp_path, closing, models={"variant": "auto"})
    assert server.get(f"{MODELS}/health").json()["last_load_error"] is None
    folder = shutil.copytree(SHIPPED / TI2V.slug, tmp_path / "models" / TI2V.slug / "dev")
    whole = tensors_of(folder / TRANSFORMER)
    write_sparse(folder / TRANSFORMER, {name: whole[name] for name in whole if name != "proj_out.bias"})
    answer = server.post(f"{MODELS}/load/ti2v-5b").json()
    assert server.post(f"{MODELS}/load/i2v-a14b").status_code == 200
    told = server.get(f"{MODELS}/health").json()["last_load_error"]
    assert (told["model_type"], told["error"]) == ("TI2V-5B", {**answer, "instance": f"{MODELS}/load/TI2V-5B"})
    assert "lacks proj_out.bias" in told["error"]["detail"]
    shutil.rmtree(folder)
    assert server.post(f"{MODELS}/load/ti2v-5b").json()["loaded"]["variant"] == "demo"
    assert server.get(f"{MODELS}/health").json()["last_load_error"] is None


def test_a_load_that_had_to_wait_is_no_error_of_the_model(server: TestClient) -> None:
    task_id = server.post(SUBMIT, json=TASK).json()["task_id"]
    while server.get(f"/api/v1/generation/{task_id}").json()["status"] == "queued":
        time.sleep(0.01)
    assert server.post(f"{MODELS}/load/ti2v-5b").status_code == 409
    assert server.get(f"{MODELS}/health").json()["last_load_error"] is None
    server.post(f"/api/v1/generation/{task_id}/cancel")


def test_a_model_that_does_not_fit_is_a_problem_with_its_cure(tmp_path: Path, closing: ExitStack) -> None:
    async def load(_: ModelType, __: Plan) -> Resident[Any]:
        raise OutOfMemory("Memory ran out while loading the model. Close what else uses memory.", hint="Close it.")

    services = open_services(settings_for(tmp_path), closing, load=load)
    full = TestClient(create_app(services), base_url=URL).post(f"{MODELS}/load/ti2v-5b")
    assert (full.status_code, full.json()["code"], full.json()["hint"]) == (500, "out_of_memory", "Close it.")


def test_the_server_answers_while_a_model_is_loaded(tmp_path: Path, closing: ExitStack) -> None:
    begun, let_go = threading.Event(), threading.Event()
    runtime = Runtime(settings_for(tmp_path), painter=Painter)
    closing.callback(runtime.close)

    async def load(_: ModelType, __: Plan) -> Resident[Any]:
        return await runtime.worker.between(work)

    def work() -> Resident[Any]:
        begun.set()
        let_go.wait(30)
        raise OutOfMemory("It was too large.")

    services = open_services(settings_for(tmp_path / "app"), closing, load=load)
    with served(create_app(services)) as url, httpx.Client(base_url=url, timeout=60) as client:
        answers: list[httpx.Response] = []
        caller = threading.Thread(target=lambda: answers.append(client.post(f"{MODELS}/load/ti2v-5b")))
        caller.start()
        assert begun.wait(30)
        assert client.get("/health").status_code == 200
        assert client.get(f"{MODELS}/health").status_code == 200
        assert answers == []
        let_go.set()
        caller.join()
    assert answers[0].json()["code"] == "out_of_memory"


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_an_unknown_name_is_told_the_three(client: TestClient, verb: str) -> None:
    answer = client.post(f"{MODELS}/{verb}/T2V-14B")
    assert answer.status_code == 404
    assert "there are T2V-A14B, I2V-A14B and TI2V-5B." in answer.json()["detail"]
