"""What the server costs: a task through HTTP against the bare diffusers call, on the same weights, in one run.

    python scripts/bench/overhead.py [--rounds 3] [--json]

Rounds alternate between the two, so that whatever else the machine does hits both. The server's time runs from the
POST to the moment when the finished file is named; it includes the queue, the events, the previews and the video
encoder. The bare call is `pipeline(...)` with its frames in memory and no file at all. In one more task, which is not
timed, `/health` is asked fifty times a second.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from wan22.hardware.process import prepare_process
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.tasks import ModelType

BODY: dict[str, Any] = {
    "model_type": "T2V-A14B",
    "prompt": "A cat walking in a garden, cinematic lighting",
    "negative_prompt": "blurred",
    "width": 224,
    "height": 128,
    "num_frames": 81,
    "fps": 16,
    "steps": 30,
    "guidance_scale": 4.0,
    "guidance_scale_2": 3.0,
    "flow_shift": 3.0,
    "seed": 7,
    "quantization": "fp32",
}
"""Long enough (over five seconds on two cores) that a fixed cost is not blown up, and no larger than the demo weights
render by themselves, so that both sides render the same."""


def bare_call(folder: Path) -> Any:
    """A closure that runs the bare pipeline once for BODY and gives the seconds it took."""
    import torch
    from diffusers import UniPCMultistepScheduler, WanPipeline

    pipe = WanPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=BODY["flow_shift"])
    pipe.set_progress_bar_config(disable=True)

    def run() -> float:
        began = time.perf_counter()
        pipe(
            prompt=BODY["prompt"],
            negative_prompt=BODY["negative_prompt"],
            width=BODY["width"],
            height=BODY["height"],
            num_frames=BODY["num_frames"],
            num_inference_steps=BODY["steps"],
            guidance_scale=BODY["guidance_scale"],
            guidance_scale_2=BODY["guidance_scale_2"],
            generator=torch.Generator("cpu").manual_seed(BODY["seed"]),
        )
        return time.perf_counter() - began

    return run


@contextmanager
def server(home: Path) -> Iterator[str]:
    """A server of its own process on a free port; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "wan22", "serve", "--port", str(port), "--home", str(home)]
    with (home / "serve.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_up(url, process)
            yield url
        finally:
            process.terminate()


def wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when /health answers; raise if the server died or does not answer in a minute."""
    for _ in range(600):
        try:
            httpx.get(f"{url}/health", timeout=1).raise_for_status()
        except httpx.HTTPError:
            if process.poll() is not None:
                raise SystemExit("the server died at start; see serve.log") from None
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not answer within a minute")


def through_server(client: httpx.Client) -> float:
    """Seconds from the POST to the end of the task, heard on its event stream."""
    began = time.perf_counter()
    task = client.post("/api/v1/generation/submit", json=BODY).raise_for_status().json()
    with client.stream("GET", f"/api/v1/generation/{task['task_id']}/events", timeout=None) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: task.completed"):
                return time.perf_counter() - began
    raise SystemExit(f"the task did not complete: {client.get('/api/v1/generation/' + task['task_id']).text}")


class HealthProbe:
    """Asks /health fifty times a second while it is open, and keeps each answer's milliseconds."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.milliseconds: list[float] = []

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url) as client:
            while not self._stop.wait(0.02):
                began = time.perf_counter()
                client.get("/health").raise_for_status()
                self.milliseconds.append(1000 * (time.perf_counter() - began))

    def __enter__(self) -> HealthProbe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def measure(rounds: int) -> dict[str, Any]:
    """Both, alternating; medians, their ratio, and what /health took meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        prepare_process()  # as the server does, so that both wait for the cores in the same way
        bare, bare_s, served_s = bare_call(SHIPPED / SPECS[ModelType.T2V_A14B].slug), [], []
        with server(home) as url, httpx.Client(base_url=url) as client:
            bare(), through_server(client)  # the first of each pays for imports and caches
            for _ in range(rounds):
                bare_s.append(bare())
                served_s.append(through_server(client))
            with HealthProbe(url) as probe:
                through_server(client)
    health_ms = sorted(probe.milliseconds)
    return {
        "bare_s": [round(seconds, 2) for seconds in bare_s],
        "server_s": [round(seconds, 2) for seconds in served_s],
        "ratio": round(statistics.median(served_s) / statistics.median(bare_s), 4),
        "health_asked": len(health_ms),
        "health_p50_ms": round(health_ms[len(health_ms) // 2], 2),
        "health_p99_ms": round(health_ms[int(len(health_ms) * 0.99)], 2),
    }


def main() -> None:
    """Measure and print; exit 1 if the server costs over 5 % or /health's p99 is over 50 ms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.rounds)
    print(json.dumps(result) if options.json else "\n".join(f"{key:>15}  {value}" for key, value in result.items()))
    raise SystemExit(0 if result["ratio"] <= 1.05 and result["health_p99_ms"] < 50 else 1)


if __name__ == "__main__":
    main()
