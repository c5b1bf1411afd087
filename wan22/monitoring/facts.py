"""What alerts are judged by, as one value: the last minute's readings, how tasks went, how the models' files stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from wan22.models.shelf import VariantReport
from wan22.monitoring.reading import Reading
from wan22.tasks import ModelType, Run


@dataclass(frozen=True)
class Facts:
    """At one moment. What is not known is absent, and then nothing follows from it."""

    at: datetime
    clock_s: float  # of a clock that is never set, for how long something has held
    readings: tuple[Reading, ...] = ()  # oldest first; none if the sampler has stopped
    sampler_age_s: float | None = None  # seconds since the last reading, or since there should have been one
    runs: Mapping[ModelType, tuple[Run, ...]] = field(default_factory=dict)  # newest first, one that goes on included
    models: Mapping[ModelType, VariantReport] = field(default_factory=dict)
    system: str = ""  # as the probe calls it

    @property
    def latest(self) -> Reading | None:
        """The last reading."""
        return self.readings[-1] if self.readings else None
