"""A real server with a painter in the place of the models, noted in its home as `wan22 serve` would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wan22.cli.address import noted
from wan22.cli.background import served
from wan22.runtime import Runtime
from wan22.settings import load_settings
from wan22.testing import Painter


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the server."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[str]:
    """Its URL. A step takes 20 ms, so that a hundred of them can be interrupted."""
    settings = load_settings(storage={"home": home, "min_free_bytes": 0})
    runtime = Runtime(settings, painter=lambda outputs: Painter(outputs, step_s=0.02))
    try:
        with served(runtime.app) as url, noted(home, url):
            yield url
    finally:
        runtime.close()
