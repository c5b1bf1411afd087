"""Two hundred tasks at once, models mixed: all complete, and memory stays where it was after the twentieth."""

from __future__ import annotations

import time

import httpx
import psutil
import pytest
from support.pictures import data_url, gradient

COUNT = 200
GROWTH_ALLOWED_BYTES = 60_000_000
"""What the allocators may still take between the 20th and the 200th task; a leak of one frame a task would be more."""

SMALL = {"width": 256, "height": 144, "num_frames": 9, "steps": 2}
INPUTS = [
    {"model_type": "T2V-A14B", "prompt": "a cat"},
    {"model_type": "I2V-A14B", "image": data_url(gradient())},
    {"model_type": "TI2V-5B", "prompt": "a cat"},
]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_tasks_complete_in_flat_memory(client: httpx.Client) -> None:
    for number in range(COUNT):
        body = {**SMALL, **INPUTS[number % 3], "metadata": {"many": number}}
        assert client.post("/api/v1/generation/submit", json=body).status_code == 202
    done, rss_at = 0, {}
    while done < COUNT:
        counts = client.get("/v2/health").json()["components"]["store"]["facts"]["tasks"]
        done = COUNT - counts["queued"] - counts["running"]
        rss_at[done] = psutil.Process().memory_info().rss
        time.sleep(0.2)
    failed = client.get("/api/v1/generation", params={"status": "failed"}).json()
    assert not failed["tasks"]
    after_20 = next(rss for count, rss in sorted(rss_at.items()) if count >= 20)
    assert rss_at[COUNT] - after_20 < GROWTH_ALLOWED_BYTES, (
        f"{after_20 / 1e6:.0f} MB, then {rss_at[COUNT] / 1e6:.0f} MB"
    )
