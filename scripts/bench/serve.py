"""Throughput of 40 mixed tasks through real servers: with nothing, then with each of what is meant to make it faster.

    python scripts/bench/serve.py [--tasks 40] [--rounds 2] [--json]
    python scripts/bench/serve.py --steps

All models run with the demo weights, in a budget of RAM that holds one of them: as on a machine where two of the real
ones don't fit. Each setting has a server of its own; all are up at once and take turns, so that whatever else
ones don't fit. Each setting has its own server; all are up at once and take turns, so that whatever else
round has prompts of its own, one in four of which comes again.

`--steps` times a pass through each model's transformer over 1 to 8 videos, on one thread and on two: what a batch can
gain at most.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image
from serve_steps import print_steps
from server import free_port, running

from wan22.models.demo_weights import SHIPPED

PICTURE_SIDE = 64


@dataclass(frozen=True)
class Setting:
    """What a server has on."""

    name: str
    prompt_cache: bool = False
    affinity: bool = False
    batching: bool = False

    def toml(self, ram_fraction: float) -> str:
        """Its settings file."""
        return "\n".join(
            [
                f"storage.prompt_cache_bytes = {500_000_000 if self.prompt_cache else 0}",
                f"queue.max_passed = {16 if self.affinity else 0}",
                f"device.max_batch = {8 if self.batching else 1}",
                'models.variant = "demo"',
                f"models.ram_fraction = {ram_fraction}",
            ]
        )


SETTINGS = (
    Setting("nothing"),
    Setting("prompt cache", prompt_cache=True),
    Setting("affinity", affinity=True),
    Setting("batching and affinity", batching=True, affinity=True),
    Setting("all", prompt_cache=True, affinity=True, batching=True),
    Setting("all but batching", prompt_cache=True, affinity=True),
)
PAIRS = (("all", "nothing"), ("all", "all but batching"), ("prompt cache", "nothing"), ("affinity", "nothing"))

SHAPES = ("circle", "square", "triangle", "star")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white")


def bodies(count: int, round_number: int, picture: str) -> Iterator[dict[str, Any]]:
    """The tasks of a round, model after model, small enough that a batch can gain something."""
    kinds = (
        {"model_type": "T2V-A14B", "width": 128, "height": 128, "num_frames": 5},
        {"model_type": "TI2V-5B", "width": 128, "height": 128, "num_frames": 5},
        {"model_type": "T2V-A14B", "width": 64, "height": 64, "mode": "image", "output_format": "png"},
        {"model_type": "I2V-A14B", "width": 64, "height": 64, "num_frames": 5, "image": picture},
    )
    for number in range(count):
        words = f"a {COLOURS[number % 7]} {SHAPES[number % 4]} number {number if number % 4 else 0} {round_number}"
        yield {**kinds[number % len(kinds)], "prompt": words, "seed": number}


def ram_fraction() -> float:
    """A budget for the largest of the demo models and none beside it, as a share of this machine's RAM."""
    largest = max(sum(file.stat().st_size for file in folder.rglob("*.safetensors")) for folder in SHIPPED.glob("*2v*"))
    return 2 * 1.2 * largest / psutil.virtual_memory().total  # in fp32 twice as many bytes as on disk


@contextmanager
def served(setting: Setting, home: Path) -> Iterator[httpx.Client]:
    """A client of a server with that setting, each of whose models has run once."""
    home.mkdir()
    config = home / "config.toml"
    config.write_text(setting.toml(ram_fraction()), "utf-8")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "wan22",
        "serve",
        "--port",
        str(port),
        "--home",
        str(home),
        "--config",
        str(config),
    ]
    with (
        running(command, port=port, log=home / "serve.log", say=lambda _: None) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def picture_id(client: httpx.Client) -> str:
    """A picture that the server knows: it comes with a first task, and is named by its id from then on."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        Image.radial_gradient("L").convert("RGB").resize((PICTURE_SIDE, PICTURE_SIDE)).save(path)
        fields = {"model_type": "I2V-A14B", "width": "64", "height": "64", "num_frames": "5", "steps": "1"}
        answer = client.post("/api/v1/generation/submit", data=fields, files={"image": path.read_bytes()})
    picture: str = answer.raise_for_status().json()["request"]["image"]["id"]
    return picture


def submit(client: httpx.Client, body: dict[str, Any]) -> str:
    """The id of the new task."""
    task_id: str = client.post("/api/v1/generation/submit", json=body).raise_for_status().json()["task_id"]
    return task_id


def throughput(client: httpx.Client, tasks: Sequence[dict[str, Any]]) -> float:
    """Tasks a second, from the first POST to the end of the last."""
    began = time.perf_counter()
    ids = [submit(client, body) for body in tasks]
    while (left := client.get("/v2/health").json()["components"]["store"]["facts"]["tasks"])["queued"] + left[
        "running"
    ]:
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    for task_id in ids:
        status = client.get(f"/api/v1/generation/{task_id}").json()["status"]
        if status != "completed":
            raise SystemExit(f"task {task_id} is {status}")
    return len(tasks) / seconds


def measure(count: int, rounds: int) -> dict[str, list[float]]:
    """Tasks a second of each setting, in each round."""
    found: dict[str, list[float]] = {setting.name: [] for setting in SETTINGS}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        clients = {
            setting.name: stack.enter_context(served(setting, Path(folder) / str(number)))
            for number, setting in enumerate(SETTINGS)
        }
        pictures = {name: picture_id(client) for name, client in clients.items()}
        for name, client in clients.items():  # the first of each pays for imports
            throughput(client, list(bodies(4, -1, pictures[name])))
        for number in range(rounds):
            for name, client in clients.items():
                found[name].append(throughput(client, list(bodies(count, number, pictures[name]))))
    return found


def main() -> None:
    """Measure and print; exit 1 if all together are not faster than nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--steps", action="store_true")
    options = parser.parse_args()
    if options.steps:
        print_steps()
        return
    found = measure(options.tasks, options.rounds)
    median = {name: statistics.median(rates) for name, rates in found.items()}
    ratios = {f"{one} / {other}": round(median[one] / median[other], 2) for one, other in PAIRS}
    if options.json:
        print(json.dumps({"tasks_per_s": found, "ratios": ratios}))
    else:
        for name, rates in found.items():
            print(f"{name:>22}  {', '.join(f'{rate:.2f}' for rate in rates)} tasks/s")
        for name, ratio in ratios.items():
            print(f"{name:>34}  {ratio}")
    raise SystemExit(0 if ratios["all / nothing"] > 1 else 1)


if __name__ == "__main__":
    main()
