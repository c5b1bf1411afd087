"""A message about weights ends in what helps, whoever they came from."""

from __future__ import annotations

from pathlib import Path

import pytest
from models_kit import T2V
from support.single_files import describe

from wan22.models.catalogue import SPECS, VARIANTS
from wan22.models.cures import FETCH_A_COPY, cure_of, mend_of
from wan22.models.variants import Models
from wan22.settings import ModelsSettings


@pytest.mark.parametrize(
    ("name", "cure", "mend"),
    [
        ("dev", "Run `wan22 models download t2v-a14b`.", "Run `wan22 models verify t2v-a14b --repair`."),
        (
            "gguf-q8_0",
            "Run `wan22 models download t2v-a14b --variant gguf-q8_0`.",
            "Run `wan22 models verify t2v-a14b --variant gguf-q8_0 --repair`.",
        ),
        (
            "int8",
            "Run `wan22 models convert t2v-a14b --to int8`, or put its files there.",
            "Remove here. Run `wan22 models convert t2v-a14b --to int8`, or put its files there.",
        ),
    ],
)
def test_the_cure_depends_on_where_the_weights_came_from(name: str, cure: str, mend: str) -> None:
    variant = VARIANTS[T2V][name]
    assert cure_of(variant) == cure
    assert mend_of(variant, Path("here")) == mend
    assert mend_of(variant, Path("here"), "Hugging Face's cache") == FETCH_A_COPY


def test_demo_weights_come_back_with_the_package() -> None:
    assert mend_of(VARIANTS[T2V]["demo"], Path("here")) == "Install wan22 again; these weights come with it."


def test_what_a_user_put_there_by_hand_only_the_user_can_mend(tmp_path: Path) -> None:
    describe(tmp_path, "x-fp16")
    variant = Models(ModelsSettings(), tmp_path / "models").known(T2V, "x-fp16")
    assert mend_of(variant, Path("here")) == (
        f"Remove here. Put its files into {SPECS[T2V].slug}/x-fp16 of a models' folder."
    )
