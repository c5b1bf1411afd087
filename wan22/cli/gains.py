"""What `wan22 optimizations` lists. Loaded only for it."""

from __future__ import annotations

from typing import Any

from wan22.hardware.probe import probe
from wan22.hardware.process import prepare_process
from wan22.models.variants import Models
from wan22.orchestrator.optimizations.advisor import Advisor
from wan22.orchestrator.optimizations.registry import BY_ID
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.tuning import Tuning
from wan22.settings import Settings


def look(settings: Settings, *, measure: bool) -> list[dict[str, Any]]:
    """Every optimization as JSON has it, measured first if told. Raises ConfigurationError."""
    models = Models(settings.models, settings.storage.home / "models")
    tuning = Tuning(settings.device, probe)
    planner = Planner(models, settings.device, probe)
    advisor = Advisor(settings, planner, tuning, probe, settings.storage.gains_path)
    if measure:
        prepare_process()
        tuning.prepare()
        advisor.measure(BY_ID)
    return [report.as_json() for report in advisor.reports()]
