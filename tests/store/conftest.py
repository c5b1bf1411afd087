"""Fixtures: a store in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wan22.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.open(None)
    yield opened
    opened.close()
