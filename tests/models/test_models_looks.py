"""What the system does not let us look at, and what leads nowhere, is not there, and is no error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from support.single_files import describe, file_names

from wan22.models import looks
from wan22.models.elsewhere import Elsewhere
from wan22.models.loras.folders import Loras
from wan22.models.variants import Models
from wan22.settings import ModelsSettings
from wan22.tasks import ModelType


def refused(*_: object) -> NoReturn:
    raise PermissionError(13, "Permission denied")


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that this account may not enter, as the system answers for whoever is not root."""
    folder = tmp_path / "closed"
    folder.mkdir()

    def guarding(real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path, *rest, **more: (
            refused() if path.is_relative_to(folder) and path != folder else real(path, *rest, **more)
        )

    for name in ("is_dir", "is_file", "exists", "stat", "iterdir"):
        monkeypatch.setattr(Path, name, guarding(getattr(Path, name)))
    return folder


def test_a_closed_folder_is_empty(closed: Path) -> None:
    inside = closed / "a"
    assert (looks.is_dir(inside), looks.is_file(inside), looks.exists(inside), looks.entries(inside)) == (
        False,
        False,
        False,
        [],
    )
    assert looks.is_dir(closed)


def test_weights_and_loras_in_a_closed_folder_are_not_there(closed: Path, tmp_path: Path) -> None:
    models = Models(ModelsSettings(models_dirs=(closed,), comfyui_dirs=(closed,)), tmp_path / "home" / "models")
    for model_type in ModelType:
        assert models.describe(model_type).state == "missing"
        assert models.get(model_type).is_demo
    assert Loras([closed / "loras"], lent=[closed / "models/loras"]).scan() == {}


def test_links_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    describe(tmp_path, "x-gguf")
    name = file_names("x-gguf")["transformer"]
    for loop in (tmp_path / "ComfyUI/unet" / name, tmp_path / "ComfyUI/diffusion_models"):
        loop.parent.mkdir(parents=True, exist_ok=True)
        loop.symlink_to(loop)
        assert looks.real(loop) is None
    elsewhere = Elsewhere(hf_cache=False, comfyui_dirs=(tmp_path / "ComfyUI",))
    assert elsewhere.files(name) == []
    models = Models(ModelsSettings(comfyui_dirs=(tmp_path / "ComfyUI",)), tmp_path / "models")
    assert models.describe(ModelType.T2V_A14B, "x-gguf").state == "missing"
