"""How every optimization stands on this machine, and what it gained when that was last measured here."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, computed_field

from wan22.errors import InvalidRequest, ModelCorrupt, ModelMissing
from wan22.hardware.choose import choose_device, choose_precision
from wan22.hardware.machine import Machine
from wan22.orchestrator.optimizations.registry import OPTIMIZATIONS, Optimization
from wan22.orchestrator.optimizations.standing import Facts, Standing
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.tuning import Tuning
from wan22.pipelines.gains import Bench, measure
from wan22.settings import Settings
from wan22.tasks import ModelType, Plan

logger = logging.getLogger(__name__)


class Measured(BaseModel):
    """What one gained, in seconds for the same work, and when that was measured."""

    model_config = ConfigDict(frozen=True)

    work: str
    without_s: float
    with_s: float
    at: datetime

    @computed_field  # type: ignore[prop-decorator]
    @property
    def times_faster(self) -> float:
        """Over 1 where it gains."""
        return round(self.without_s / self.with_s, 3)


class _Kept(BaseModel):
    """The file of what was measured, and on what; on another machine it counts nothing."""

    machine: str
    gains: dict[str, Measured] = {}


@dataclass(frozen=True)
class Report:
    """One optimization, how it stands, and what it gained; None where that was never measured here."""

    optimization: Optimization
    standing: Standing
    gain: Measured | None

    def as_json(self) -> dict[str, Any]:
        """The same as JSON has it."""
        one = self.optimization
        said = {name: getattr(one, name) for name in ("id", "name", "kind", "about", "can_turn_off")}
        gain = self.gain.model_dump(mode="json") if self.gain else None
        return {**said, "state": self.standing.state, "why": self.standing.why, "gain": gain}


class Advisor:
    """Looks at the machine anew for each answer. `kept` is the file of gains, which may be removed at any time."""

    def __init__(
        self, settings: Settings, planner: Planner, tuning: Tuning, probe: Callable[[], Machine], kept: Path
    ) -> None:
        self._settings = settings
        self._planner = planner
        self._tuning = tuning
        self._probe = probe
        self._path = kept

    def reports(self) -> list[Report]:
        """All optimizations. Raises ConfigurationError if the device of the settings is not there."""
        facts = self._facts()
        gains = self._read(_machine_name(facts)).gains
        off = self._tuning.off
        return [Report(one, one.standing(facts, off), gains.get(one.id)) for one in OPTIMIZATIONS]

    def measure(self, ids: Collection[str]) -> None:
        """Measure and keep what those among `ids` gain that can be measured by themselves: seconds of full load.

        In the device's thread, as a run. Raises as `reports` does.
        """
        facts = self._facts()
        kept = self._read(_machine_name(facts))
        gpu, asked = facts.gpu, self._settings.device.threads
        bench = Bench(
            device=facts.device,
            compute=facts.precision.compute,
            threads=asked,
            encoder_threads=self._settings.media.encoder_threads,
            near_cores=gpu.near_cores if gpu else None,
            all_cores=frozenset(range(facts.machine.cores)),
        )
        for optimization in OPTIMIZATIONS:
            gain = measure(optimization.id, bench) if optimization.id in ids else None
            if gain:
                kept.gains[optimization.id] = Measured(**asdict(gain), at=datetime.now(timezone.utc))
        self._write(kept)

    def _facts(self) -> Facts:
        machine = self._probe()
        device = choose_device(machine, self._settings.device.device)
        asked = self._settings.device.precision
        return Facts(
            machine=machine,
            device=device,
            precision=choose_precision(machine, device, None if asked == "auto" else asked),
            settings=self._settings,
            environment=os.environ,
            plans=self._plans(),
        )

    def _plans(self) -> Mapping[ModelType, Plan]:
        plans = {}
        for model_type in ModelType:
            with suppress(ModelMissing, ModelCorrupt, InvalidRequest):
                plans[model_type] = self._planner.default(model_type)
        return plans

    def _read(self, machine: str) -> _Kept:
        try:
            kept = _Kept.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return _Kept(machine=machine)
        return kept if kept.machine == machine else _Kept(machine=machine)

    def _write(self, kept: _Kept) -> None:
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(kept.model_dump_json(indent=1), "utf-8")
            part.replace(self._path)
        except OSError as error:  # a full disk, mostly: what was measured is told all the same, until the next time
            logger.warning("%s can't be written: %s", self._path, error, extra={"action": "gains_lost"})


def _machine_name(facts: Facts) -> str:
    """What changes figures where it changes."""
    machine = facts.machine
    gpu = f"{facts.gpu.name}, driver {facts.gpu.driver}" if facts.gpu else facts.device
    return f"{machine.cpu}, {machine.cores} threads, {gpu}, torch {machine.torch_version}, {facts.precision.compute}"
