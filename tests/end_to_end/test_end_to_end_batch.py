"""Tasks that wait and are alike run together: each with its own words, events, end and file, as it is alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.server import process, wait
from support.videos import decode_video

SMALL = {"model_type": "T2V-A14B", "width": 64, "height": 64, "num_frames": 5, "fps": 8, "steps": 6}
PROMPTS = ("a red circle moving right", "a blue star on white", "a green square growing")
LEVELS = 3  # of 255, after a lossy file; rounding of a few pixels is all that a batch changes


def submit(client: httpx.Client, **body: Any) -> str:
    answer = client.post("/api/v1/generation/submit", json={**SMALL, **body})
    assert answer.status_code == 202, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


def each(**body: Any) -> Iterator[dict[str, Any]]:
    for number, prompt in enumerate(PROMPTS):
        yield {"prompt": prompt, "seed": 7 + number, **body}


@contextmanager
def busy(client: httpx.Client) -> Iterator[None]:
    """A server that has something else to do for as long as the block lasts."""
    task_id = submit(client, prompt="a long one", steps=200, width=256, height=256)
    yield
    client.post(f"/api/v1/generation/{task_id}/cancel").raise_for_status()


def frames(client: httpx.Client, task: dict[str, Any], folder: Path, *, output: int = 0) -> Any:
    path = folder / f"{task['task_id']}-{output}.mp4"
    path.write_bytes(client.get(task["outputs"][output]["url"]).raise_for_status().content)
    return decode_video(path).astype(int)


def until_begun(client: httpx.Client, *ids: str) -> None:
    """Return once each has denoised a step."""
    while not all(client.get(f"/api/v1/generation/{task_id}").json()["step"] for task_id in ids):
        time.sleep(0.05)


def test_tasks_that_wait_run_together_and_give_what_they_give_alone(client: httpx.Client, tmp_path: Path) -> None:
    alone = [wait(client, submit(client, **body)) for body in each()]
    with busy(client):
        ids = [submit(client, **body) for body in each()]
        standing = [client.get(f"/api/v1/generation/{task_id}").json() for task_id in ids]
    together = [wait(client, task_id) for task_id in ids]
    assert [task["queue_position"] for task in standing] == [1, 2, 3]
    assert [task["timings"]["denoised_together"] for task in alone + together] == [1, 1, 1, 3, 3, 3]
    for one, other in zip(alone, together, strict=True):
        assert other["request"]["prompt"] == one["request"]["prompt"]
        found, expected = frames(client, other, tmp_path), frames(client, one, tmp_path)
        assert found.shape == (5, 64, 64, 3)
        assert np.abs(found - expected).max() <= LEVELS
    assert np.abs(frames(client, together[0], tmp_path) - frames(client, together[1], tmp_path)).max() > 50


def test_each_has_its_own_events(client: httpx.Client) -> None:
    with busy(client):
        ids = [submit(client, **body) for body in each()]
    for task_id in ids:
        wait(client, task_id)
        kinds, steps = set(), [0]
        with client.stream("GET", f"/api/v1/generation/{task_id}/events", headers={"Last-Event-ID": "0"}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    event = json.loads(line.removeprefix("data: "))
                    assert event["task_id"] == task_id
                    kinds.add(event["type"])
                    steps.append(event["data"].get("step") or steps[-1])
        assert kinds >= {"task.queued", "task.started", "task.completed"}
        assert steps == sorted(steps)


def test_a_cancel_of_one_leaves_the_others_going(client: httpx.Client, tmp_path: Path) -> None:
    expected = [wait(client, submit(client, **body)) for body in each(steps=60)]
    with busy(client):
        ids = [submit(client, **body) for body in each(steps=60)]
    until_begun(client, ids[1])
    assert client.post(f"/api/v1/generation/{ids[1]}/cancel").status_code == 200
    cancelled = wait(client, ids[1])
    assert client.get(f"/api/v1/generation/{ids[0]}").json()["status"] == "running", "it ended at once, not with them"
    assert (cancelled["status"], cancelled["outputs"]) == ("cancelled", [])
    for n in (0, 2):
        task = wait(client, ids[n])
        assert task["status"] == "completed"
        assert np.abs(frames(client, task, tmp_path) - frames(client, expected[n], tmp_path)).max() <= LEVELS


def test_a_deleted_one_leaves_the_others_going(client: httpx.Client) -> None:
    with busy(client):
        ids = [submit(client, **body) for body in each(steps=60)]
    until_begun(client, ids[0])
    assert client.delete(f"/api/v1/generation/{ids[0]}").status_code == 204
    assert [wait(client, task_id)["status"] for task_id in ids[1:]] == ["completed", "completed"]


def test_the_videos_of_one_task_are_denoised_together(client: httpx.Client, tmp_path: Path) -> None:
    listed = wait(client, submit(client, prompt=PROMPTS[0], seed=7, num_videos=3))
    assert listed["plan"]["at_once"] == 8
    assert (listed["step"], listed["total_steps"]) == (18, 18)
    for output, seed in enumerate((7, 8, 9)):
        alone = wait(client, submit(client, prompt=PROMPTS[0], seed=seed))
        difference = frames(client, listed, tmp_path, output=output) - frames(client, alone, tmp_path)
        assert np.abs(difference).max() <= LEVELS


def test_other_sizes_and_guidance_run_by_themselves_after_it(client: httpx.Client) -> None:
    with busy(client):
        ids = [
            submit(client, prompt="one"),
            submit(client, prompt="two", guidance_scale=2),
            submit(client, prompt="three"),
            submit(client, prompt="four", width=96),
        ]
        positions = [client.get(f"/api/v1/generation/{task_id}").json()["queue_position"] for task_id in ids]
    assert positions == [1, 3, 2, 4]
    assert [wait(client, task_id)["timings"]["denoised_together"] for task_id in ids] == [2, 1, 2, 1]


@pytest.mark.parametrize("body", [{"enable_optimization": False}, {"width": 256, "height": 256, "num_frames": 17}])
def test_a_plan_tells_why_a_task_runs_alone(client: httpx.Client, body: dict[str, Any]) -> None:
    plan = client.post("/api/v1/generation/estimate", json={**SMALL, "prompt": "a cat", **body}).json()["plan"]
    (choice,) = (choice for choice in plan["choices"] if choice["what"] == "batch")
    assert (plan["at_once"], choice["choice"]) == (1, "1")
    assert choice["why"]


def test_a_batch_whose_server_is_killed_goes_back_to_the_queue_whole(tmp_path: Path) -> None:
    with process(tmp_path) as (server, client):
        with busy(client):
            ids = [submit(client, **body) for body in each(steps=200)]
        until_begun(client, *ids)
        server.kill()
        server.wait()
    with process(tmp_path) as (_, client):
        tasks = [wait(client, task_id) for task_id in ids]
    assert [(task["status"], task["attempts"]) for task in tasks] == [("completed", 2)] * 3
    assert [task["timings"]["denoised_together"] for task in tasks] == [1] * 3, "one may be what kills the server"
    assert not list((tmp_path / "outputs").rglob("*.part*"))
