"""What the machine does, for the calls that ask. Blocking; the routes call these in a thread."""

from __future__ import annotations

from wan22.api.monitoring_views import Metrics, PerformanceStatus, ReadingView
from wan22.api.services import Services

HOUR_S = 3_600


def status(services: Services) -> PerformanceStatus:
    """Now."""
    reading, age_s = services.monitor.history.latest, services.monitor.sampler.age_s
    return PerformanceStatus(
        reading=ReadingView.model_validate(reading.model_dump()) if reading else None,
        age_s=None if age_s is None else round(age_s, 1),
        videos_last_hour=services.monitor.completed_within(HOUR_S),
        models_loaded=tuple(sorted({resident.key.model_type for resident in services.residents()})),
    )


def metrics(services: Services, window_s: float, step_s: float) -> Metrics:
    """Over time."""
    found = services.monitor.history.series(window_s, step_s)
    return Metrics(window_s=window_s, step_s=found.step_s, times=found.times, series=dict(found.values))
