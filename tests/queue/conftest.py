"""Fixtures: a queue over a store in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from queue_kit import House, opened


@pytest.fixture
def house() -> Iterator[House]:
    with opened() as house:
        yield house


@pytest.fixture(scope="module")
def house_for_all() -> Iterator[House]:
    """One house for all examples of a property."""
    with opened() as house:
        yield house
