"""Which weights a conversion is made of, and where they go."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from models_kit import TI2V

from wan22.errors import ModelMissing
from wan22.models.catalogue import SPECS
from wan22.models.conversions import plan_conversion
from wan22.models.demo_weights import SHIPPED
from wan22.models.variants import Models
from wan22.settings import ModelsSettings

SLUG = SPECS[TI2V].slug


def models(*roots: Path) -> Models:
    *others, home = roots
    return Models(ModelsSettings(models_dirs=tuple(others), use_hf_cache=False), home)


def put(root: Path, *names: str) -> None:
    for name in names:
        shutil.copytree(SHIPPED / SLUG, root / SLUG / name)


def test_it_is_made_of_the_widest_weights_and_stands_beside_them(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    put(first, "bf16")
    put(second, "dev")
    plan = plan_conversion(models(first, second), TI2V, "int8")
    assert (plan.source, plan.target) == (second / SLUG / "dev", second / SLUG / "int8")


def test_it_goes_on_where_it_was_begun(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    put(second, "dev")
    (first / SLUG / "int8").mkdir(parents=True)
    assert plan_conversion(models(first, second), TI2V, "int8").target == first / SLUG / "int8"


@pytest.mark.parametrize("there", [(), ("bf16",), ("int8",)])
def test_what_it_is_made_of_must_be_wider(tmp_path: Path, there: tuple[str, ...]) -> None:
    put(tmp_path, *there)
    with pytest.raises(ModelMissing, match=r"bf16 is made of them\. Run `wan22 models download ti2v-5b`"):
        plan_conversion(models(tmp_path), TI2V, "bf16")
