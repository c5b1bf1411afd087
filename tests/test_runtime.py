"""The composition root: everything fits together, work that waits is carried out, a second server is refused."""

from __future__ import annotations

import queue
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.loopback_hook import loopback_hook
from support.loopback_hub import LoopbackHub
from support.loras import lora_for
from support.videos import probe_video

from wan22.errors import ConfigurationError
from wan22.hardware.probe import probe
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.runtime import Runtime
from wan22.settings import load_settings
from wan22.tasks import Event, EventType, ModelType
from wan22.testing import Painter

BODY = {"model_type": "TI2V-5B", "prompt": "a cat", "width": 66, "height": 64, "num_frames": 6, "steps": 3}


def painted(home: Path) -> Runtime:
    settings = load_settings(storage={"home": home, "min_free_bytes": 0})
    return Runtime(settings, painter=Painter)


def ended(client: TestClient, task_id: str, *, seconds: int = 10) -> dict[str, Any]:
    for _ in range(50 * seconds):
        task: dict[str, Any] = client.get(f"/api/v1/generation/{task_id}").json()
        if task["status"] not in ("queued", "running"):
            return task
        time.sleep(0.02)
    raise AssertionError(task)


def test_a_request_becomes_a_file(tmp_path: Path) -> None:
    runtime = painted(tmp_path)
    with TestClient(runtime.app, base_url="http://127.0.0.1") as client:
        task = ended(client, client.post("/api/v1/generation/submit", json=BODY).json()["task_id"])
    assert task["status"] == "completed", task["error"]
    assert probe_video(runtime.outputs.path(task["task_id"], "0.mp4")) == (66, 64, 6, 24)
    runtime.close()


def test_what_waits_when_the_server_stops_is_done_by_the_next_one(tmp_path: Path) -> None:
    first = painted(tmp_path)
    client = TestClient(first.app, base_url="http://127.0.0.1")  # without its lifespan: no worker
    task_id = client.post("/api/v1/generation/submit", json=BODY).json()["task_id"]
    first.close()
    second = painted(tmp_path)
    with TestClient(second.app, base_url="http://127.0.0.1") as client:
        assert ended(client, task_id)["status"] == "completed"
    second.close()


def test_one_server_for_each_folder(tmp_path: Path) -> None:
    runtime = painted(tmp_path)
    with pytest.raises(ConfigurationError):
        painted(tmp_path)
    runtime.close()
    painted(tmp_path).close()


def test_attention_that_is_not_there_ends_the_start_with_a_cure(tmp_path: Path) -> None:
    settings = load_settings(storage={"home": tmp_path}, device={"device": "cpu", "attention": "flash"})
    with pytest.raises(ConfigurationError, match="Set it to auto"):
        Runtime(settings, painter=Painter)
    painted(tmp_path).close()


@pytest.mark.slow
@pytest.mark.skipif(not probe().has_cpp_compiler, reason="torch compiles for CPUs with C++ alone")
def test_compiled_blocks_are_kept_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "set so that it is put back")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    device = {"device": "cpu", "precision": "fp32", "compile": True}
    models = {"variant": "demo", "use_hf_cache": False}
    runtime = Runtime(load_settings(storage={"home": tmp_path, "min_free_bytes": 0}, models=models, device=device))
    with TestClient(runtime.app, base_url="http://127.0.0.1") as client:
        task = ended(client, client.post("/api/v1/generation/submit", json=BODY).json()["task_id"], seconds=200)
    runtime.close()
    assert task["status"] == "completed", task["error"]
    assert ("compile", "blocks") in [(choice["what"], choice["choice"]) for choice in task["plan"]["choices"]]
    assert any(path.suffix == ".so" for path in (tmp_path / "cache/compiled").rglob("*"))


def test_a_lora_that_is_sent_takes_no_name_from_the_shipped_ones(tmp_path: Path) -> None:
    runtime = painted(tmp_path)
    client = TestClient(runtime.app, base_url="http://127.0.0.1")
    body = {**BODY, "model_type": "T2V-A14B", "loras": ["sunset"]}
    lora = lora_for(ModelType.TI2V_5B, tmp_path / "elsewhere/x.safetensors").read_bytes()
    sent = client.post("/api/v1/models/loras", files={"file": ("sunset.safetensors", lora)})
    assert sent.json()["name"].startswith("sunset-")
    assert client.post("/api/v1/generation/submit", json=body).status_code == 202
    assert client.get("/api/v1/models/loras").json()["folders"][0] == str(tmp_path / "loras")
    runtime.close()


def test_a_download_is_told_by_events_and_its_model_is_used(tmp_path: Path) -> None:
    spec, told = SPECS[ModelType.TI2V_5B], queue.Queue[None]()
    folder = SHIPPED / spec.slug
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
    with LoopbackHub(files, repository=spec.repository) as hub:
        settings = load_settings(storage={"home": tmp_path, "min_free_bytes": 0}, download={"hub": hub.endpoint})
        runtime = Runtime(settings, painter=Painter)
        reader = runtime.feed.subscribe(on_ready=lambda: told.put(None))
        client = TestClient(runtime.app, base_url="http://127.0.0.1")
        client.post("/api/v1/models/download", json={"model_type": "TI2V-5B"})
        events: list[Event] = []
        while not events or events[-1].data["state"] == "running":
            told.get(timeout=30)
            events += reader.take()
        assert {event.type for event in events} == {EventType.MODEL_DOWNLOAD}
        assert events[-1].data["state"] == "done"
        assert client.get("/api/v1/models/status/ti2v-5b").json()["variant"] == "dev"
        runtime.close()


def test_an_alert_is_sent_and_outlives_its_server(tmp_path: Path) -> None:
    """More than there is must be free on the disk, until a person says otherwise in the settings."""
    told = []
    with loopback_hook() as hook:
        for wanted in (2**60, 0):
            alerts = {"disk_free_bytes": wanted, "webhook_url": hook.url}
            runtime = Runtime(
                load_settings(storage={"home": tmp_path, "min_free_bytes": 0}, alerts=alerts), painter=Painter
            )
            with TestClient(runtime.app, base_url="http://127.0.0.1") as client:
                told.append(hook.next())
                listed = client.get("/api/v1/dashboard/alerts").json()["alerts"]
                assert [alert["rule"] for alert in listed] == (["disk_low"] if wanted else [])
            runtime.close()
    assert [one["type"] for one in told] == ["alert.raised", "alert.cleared"]
    assert told[0]["data"]["id"] == told[1]["data"]["id"]
