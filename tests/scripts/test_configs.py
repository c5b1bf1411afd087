"""Every file in configs/ is one that `wan22 serve --config` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from wan22.settings import load_settings

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("file", sorted(CONFIGS.iterdir()), ids=lambda file: file.name)
def test_it_loads(file: Path) -> None:
    load_settings(file)


def test_the_workstations_weights_are_where_they_are() -> None:
    settings = load_settings(CONFIGS / "rtx4080-threadripper.toml")
    assert [str(folder) for folder in settings.models.models_dirs] == ["D:\\AI\\models"]
    assert (settings.device.device, settings.device.precision) == ("cuda", "bf16")
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
