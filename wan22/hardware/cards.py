"""How fast GPUs are by their published figures, for forecasts before anything has run on one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Card(BaseModel):
    """One GPU of the table, whose head says where its figures come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    tflops: float = Field(gt=0)
    memory_gb_s: float = Field(gt=0)
    bus_gb_s: float = Field(gt=0)
    reached: float = Field(default=0.89, gt=0, le=1)


def card_named(gpu: str, cards: Iterable[Card] | None = None) -> Card | None:
    """The card of a GPU by the driver's name of it, such as "NVIDIA GeForce RTX 4070 Ti SUPER"; None if unknown.

    Of several names that it contains the longest is its own. Laptops' GPUs have desktops' names and other figures.
    """
    if re.search(r"laptop|max-q|mobile", gpu, re.IGNORECASE):
        return None
    known = shipped() if cards is None else cards
    found = (card for card in known if re.search(rf"\b{re.escape(card.name)}\b", gpu, re.IGNORECASE))
    return max(found, key=lambda card: len(card.name), default=None)


@cache
def shipped() -> tuple[Card, ...]:
    """The table that comes with the package."""
    table = tomllib.loads(Path(__file__).with_name("cards.toml").read_text("utf-8"))
    return TypeAdapter(tuple[Card, ...]).validate_python(table["card"])
