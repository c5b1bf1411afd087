"""What Prometheus reads is its format, in base units, under the names that boards know, and tells no one's prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support import samples

from wan22.monitoring.monitor import Monitor
from wan22.queue.feed import Feed
from wan22.queue.queue import Queue
from wan22.settings import QueueSettings
from wan22.store import Store
from wan22.tasks import Phase
from wan22.testing import Card, FakeNvml

SECRET = "a prompt that nobody else may read"


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.open(None)
    yield opened
    opened.close()


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store, Feed(store), QueueSettings())


def families(monitor: Monitor) -> dict[str, dict[tuple[str, ...], float]]:
    """Samples by name and the values of their labels."""
    text = monitor.exporter.text().decode()
    assert SECRET not in text
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def complete_one(queue: Queue) -> None:
    queue.submit(samples.request(prompt=SECRET), samples.plan())
    claim = queue.claim()
    assert claim
    claim.reporter.phase(Phase.DENOISE)
    claim.reporter.phase(Phase.DECODE)
    queue.complete(claim, [], peak_vram_bytes=None)


def test_tasks_are_counted_with_the_seconds_of_their_phases(store: Store, queue: Queue, tmp_path: Path) -> None:
    complete_one(queue)
    complete_one(queue)
    queue.submit(samples.request(), samples.plan())
    found = families(Monitor.of(store, queue, tmp_path))
    assert found["wan_tasks_total"] == {("T2V-A14B", "completed"): 2, ("T2V-A14B", "queued"): 1}
    assert found["wan_task_phase_seconds_count"][("T2V-A14B", "denoise")] == 2
    assert found["wan_task_phase_seconds_count"][("T2V-A14B", "image_encode")] == 0
    assert found["wan_task_phase_seconds_sum"][("T2V-A14B", "denoise")] >= 0


def test_the_machine_and_its_cards(store: Store, queue: Queue, tmp_path: Path) -> None:
    card = Card()
    monitor = Monitor.of(store, queue, tmp_path, nvml=FakeNvml(card), every_s=0.01)
    assert "wan_ram_total_bytes" not in families(monitor), "nothing was read yet"
    monitor.sampler.start()
    while monitor.history.latest is None:
        pass
    monitor.sampler.stop()
    found = families(monitor)
    named = ("0", "NVIDIA GeForce RTX 4080")
    assert found["DCGM_FI_DEV_GPU_UTIL"] == {named: 99}
    assert found["DCGM_FI_DEV_FB_USED"] == {named: (card.total - card.free) / 2**20}
    assert found["DCGM_FI_DEV_SM_CLOCK"] == {named: 2730}
    assert found["wan_ram_total_bytes"][()] > 0
    assert found["wan_queue_depth"] == {(): 0}
    assert "wan_gpu_memory_held_bytes" not in found, "torch has taken none: absent, not 0"
