"""Something that a person should hear of, as a value: raised once, cleared once. Judged by `monitoring`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Severity = Literal["warning", "critical"]


class Raised(BaseModel):
    """One rule that was broken, by one subject."""

    model_config = ConfigDict(frozen=True)

    rule: str = Field(description="Which rule, as vram_full.")
    subject: str = Field(description="What broke it, as gpu0 or T2V-A14B.")
    severity: Severity = Field(description="warning, or critical: work fails or can't be watched.")
    detail: str = Field(description="What was found when it was raised, then the cure.")
    value: float = Field(description="The figure that raised it, in the unit of the rule.")
    raised_at: datetime = Field(description="When.")


class Alert(Raised):
    """The same as it is kept, until it is cleared and after that."""

    id: int = Field(description="Grows with each alert.")
    cleared_at: datetime | None = Field(default=None, description="When it was over; null while it is not.")
    acknowledged_at: datetime | None = Field(default=None, description="When a person first said to have seen it.")
