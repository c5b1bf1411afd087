"""Services over real rooms in a temporary folder, and the few things that tests of the API do again and again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from wan22.api.services import Services
from wan22.errors import WrongState
from wan22.hardware.machine import Machine
from wan22.media.outputs import Outputs
from wan22.media.uploads import Uploads
from wan22.models.downloads import Downloads
from wan22.models.loras.arrivals import Arrivals
from wan22.models.loras.folders import Loras
from wan22.models.variants import Models
from wan22.models.weights import Weights
from wan22.monitoring.gatherer import Gatherer
from wan22.monitoring.keeper import Keeper
from wan22.monitoring.monitor import Monitor
from wan22.monitoring.rules import rules_of
from wan22.orchestrator.optimizations.advisor import Advisor
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.residency import ModelKey, Resident
from wan22.orchestrator.tuning import Tuning
from wan22.queue.feed import Feed
from wan22.queue.queue import Queue
from wan22.settings import Settings, load_settings
from wan22.store import Store
from wan22.tasks import Artifact, ModelType, Plan

URL = "http://127.0.0.1:8000"
TASKS = "/api/v1/generation"
SUBMIT = f"{TASKS}/submit"
BODY = {"model_type": "T2V-A14B", "prompt": "a cat in a garden"}
NOBODY = "01980f2e-5b5c-7d3a-9f7e-3a1b2c4d5e6f"

LAPTOP = Machine(
    os="Linux",
    cpu="a CPU",
    cores=2,
    ram_total_bytes=8 << 30,
    ram_available_bytes=4 << 30,
    gpus=(),
    torch_version=None,
    torch_cuda=None,
    cpu_bf16_fast=False,
)


def settings_for(home: Path, **rooms: dict[str, Any]) -> Settings:
    """Settings with the demo weights, no demand on the disk, and a hub at whose address nobody answers."""
    defaults: dict[str, dict[str, Any]] = {
        "storage": {"home": home, "min_free_bytes": 0},
        "models": {"variant": "demo"},
        "download": {"hub": "http://127.0.0.1:9"},
    }
    return load_settings(**{name: defaults.get(name, {}) | rooms.get(name, {}) for name in defaults | rooms})


def open_services(
    settings: Settings, closing: ExitStack, *, queue_type: type[Queue] = Queue, **changes: Any
) -> Services:
    """Real queue, planner and media over a store in memory; nothing drains the queue."""
    home = settings.storage.home
    store = Store.open(None)
    closing.callback(store.close)
    feed = Feed(store)
    queue = queue_type(store, feed, settings.queue)
    models = Models(settings.models, home / "models")
    loras = Loras((settings.storage.loras_dir,))
    downloads = Downloads(Weights(models, settings.download))
    closing.callback(downloads.close)
    monitor = Monitor.of(store, queue, home)
    planner, tuning = (
        Planner(models, settings.device, lambda: LAPTOP, loras=loras),
        Tuning(settings.device, lambda: LAPTOP),
    )
    parts: dict[str, Any] = {
        "settings": settings,
        "feed": feed,
        "queue": queue,
        "outputs": Outputs(settings.storage.outputs_dir),
        "uploads": Uploads(settings.storage.uploads_dir),
        "models": models,
        "loras": loras,
        "arrivals": Arrivals(settings.storage.loras_dir, max_bytes=settings.models.max_lora_bytes, loras=loras),
        "downloads": downloads,
        "residents": lambda: (),
        "load": nothing_to_load,
        "unload": nothing_to_unload,
        "between": in_use,
        "monitor": monitor,
        "alerts": Keeper(store, feed, rules_of(settings.alerts), Gatherer(monitor, queue, models).gather),
        "planner": planner,
        "tuning": tuning,
        "advisor": Advisor(settings, planner, tuning, lambda: LAPTOP, settings.storage.gains_path),
        "probe": lambda: LAPTOP,
        "worker_alive": lambda: True,
        "version": "0.0.1",
    }
    return Services(**{**parts, **changes})


async def in_use(_: Callable[[], None]) -> None:
    """As a server answers whose device is in use."""
    raise WrongState("The device is in use by a task.")


async def nothing_to_load(_: ModelType, __: Plan) -> Resident[Any]:
    """As a server answers whose device is in use."""
    raise WrongState("The device is in use by a task.")


async def nothing_to_unload(_: ModelType) -> tuple[ModelKey, ...]:
    """As a server answers that has loaded nothing."""
    return ()


def submitted(client: TestClient, **changes: Any) -> str:
    """The id of a task that now waits."""
    answer = client.post(SUBMIT, json={**BODY, **changes})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def complete(services: Services, content: bytes = b"0123456789", format: str = "mp4") -> str:
    """Run the next task: one output of the given bytes, with a thumbnail. Gives the task's id."""
    claim = services.queue.claim()
    assert claim
    folder = services.settings.storage.outputs_dir / claim.task.task_id
    folder.mkdir(parents=True)
    (folder / f"0.{format}").write_bytes(content)
    (folder / "0.thumb.jpg").write_bytes(b"\xff\xd8thumbnail")
    services.queue.complete(claim, [artifact(len(content), format)])
    return claim.task.task_id


def artifact(size: int, format: str = "mp4") -> Artifact:
    """What is known of such an output."""
    return Artifact(
        index=0,
        file_name=f"0.{format}",
        thumbnail_name="0.thumb.jpg",
        format=format,
        width=64,
        height=64,
        num_frames=8,
        fps=8,
        duration_s=1.0,
        size_bytes=size,
        sha256="ab" * 32,
        seed=7,
    )
