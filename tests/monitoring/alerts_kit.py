"""Facts made of readings of the fake card, and a keeper over a store that is told what to judge."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from wan22.models.shelf import VariantReport
from wan22.monitoring.facts import Facts
from wan22.monitoring.keeper import Keeper
from wan22.monitoring.reading import Reading
from wan22.monitoring.rules import Rule, rules_of
from wan22.monitoring.sensors import Sensors
from wan22.monitoring.webhook import Webhook
from wan22.queue.feed import Feed
from wan22.settings import AlertsSettings
from wan22.store import Store
from wan22.tasks import Event, Failure, ModelType, Run, Status
from wan22.testing import Card, FakeNvml

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
T2V = ModelType.T2V_A14B
RULES = {rule.name: rule for rule in rules_of(AlertsSettings())}
HEALTHY: dict[str, Any] = {
    "ram_total_bytes": 100,
    "ram_used_bytes": 50,
    "swap_used_bytes": 0,
    "disk_free_bytes": 10**12,
    "queued": 0,
    "running": 0,
}


def reading(folder: Path, card: Card | None = None, **figures: Any) -> Reading:
    """Of a healthy machine with that card, but for `figures`."""
    taken = Sensors(folder, nvml=FakeNvml(card or Card())).read()
    return taken.model_copy(update={**HEALTHY, **figures})


def facts(*readings: Reading, **known: Any) -> Facts:
    """Of a minute of them, by turns, taken by a sampler that is alive."""
    minute = tuple(readings[n % len(readings)] for n in range(60)) if readings else ()
    return Facts(**{"at": NOON, "clock_s": 0.0, "readings": minute, "sampler_age_s": 0.5, **known})


def run(step_s: float | None = 1.0, **changes: Any) -> Run:
    """A task that completed an hour ago, four steps of so many seconds."""
    fields: dict[str, Any] = {
        "task_id": "t",
        "status": Status.COMPLETED,
        "variant": "dev",
        "device": "cuda:0",
        "mode": "video",
        "width": 1280,
        "height": 720,
        "num_frames": 81,
        "num_videos": 1,
        "guidance_scale": 4.0,
        "total_steps": 4,
        "denoise_s": None if step_s is None else 4 * step_s,
        "total_s": 60.0,
        "peak_vram_bytes": None,
        "finished_at": NOON - timedelta(hours=1),
    }
    return Run(**{**fields, **changes})


def failed(**changes: Any) -> Run:
    """One that ran out of memory."""
    error = Failure(code="out_of_memory", title="Out of memory", detail="The GPU is full.", hint="Ask for less.")
    return run(None, status=Status.FAILED, error=error, **changes)


def report(state: Any) -> VariantReport:
    """How a model's files stand."""
    return VariantReport(state, "vae/x.safetensors has wrong content. Run `wan22 models verify --repair`.")


@dataclass
class House:
    """A keeper, its store and feed; `facts` is what it finds, `clock_s` when."""

    store: Store
    feed: Feed
    keeper: Keeper
    facts: Facts
    heard: Any

    @classmethod
    def over(cls, store: Store, *, rules: Iterable[Rule] = RULES.values(), webhook: Webhook | None = None) -> House:
        """With an event reader from now on."""
        feed = Feed(store)
        house: House
        keeper = Keeper(store, feed, tuple(rules), lambda: house.facts, webhook=webhook)
        house = cls(store, feed, keeper, facts(), feed.subscribe(on_ready=lambda: None))
        return house

    def look(self, found: Facts, *, after_s: float = 0.0) -> None:
        """Judge these facts, so many seconds after the last ones."""
        self.facts = replace(found, clock_s=self.facts.clock_s + after_s)
        self.keeper.look()

    def hold(self, found: Facts, *, for_s: float = 100.0) -> None:
        """Judge them again after so long."""
        self.look(found)
        self.look(found, after_s=for_s)

    def events(self) -> list[Event]:
        """What was told since the last call."""
        return list(self.heard.take())

    def told(self) -> list[tuple[str, str, str]]:
        """The same in short."""
        return [(event.type.value, event.data["rule"], event.data["subject"]) for event in self.events()]


def open_store(closing: ExitStack, path: Path | None = None) -> Store:
    """In memory, or in a file."""
    store = Store.open(path)
    closing.callback(store.close)
    return store
