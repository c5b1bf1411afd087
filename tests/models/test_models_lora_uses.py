"""The LoRAs of a request: what is wrong with them on a model, and which files they come to."""

from __future__ import annotations

from pathlib import Path

import pytest
from loras_kit import EXPERTS, LAYERS, SINGLE, lora, write

from wan22.errors import ModelMissing
from wan22.models.loras.folders import Loras
from wan22.models.loras.uses import choice_of, errors_of, files_of
from wan22.tasks import LoraUse


@pytest.fixture
def loras(tmp_path: Path) -> Loras:
    """A pair, a single file, one that is too wide and a pickle."""
    for name in ("pair_high_noise", "pair_low_noise", "alone"):
        write(tmp_path / f"{name}.safetensors")
    write(tmp_path / "wide.safetensors", lora(width=16))
    (tmp_path / "old.pt").write_bytes(b"\x80\x04")
    return Loras((tmp_path,))


def said(loras: Loras, *uses: LoraUse, single: bool = False) -> dict[str, str]:
    return {error.field: error.message for error in errors_of(uses, loras, SINGLE if single else EXPERTS)}


def test_what_fits_is_not_spoken_of(loras: Loras) -> None:
    assert said(loras, LoraUse(name="pair"), LoraUse(name="alone", weight_low=0.5)) == {}
    assert said(loras, LoraUse(name="alone"), single=True) == {}


def test_every_wrong_one_is_named_by_its_place_with_its_cure(loras: Loras) -> None:
    told = said(loras, *(LoraUse(name=name) for name in ("pear", "alone", "alone", "wide", "old")))
    assert set(told) == {"loras.0", "loras.2", "loras.3", "loras.4"}
    assert told["loras.0"].startswith("There is no LoRA of that name; did you mean pair? ")
    assert told["loras.2"] == "is there twice: name each LoRA once."
    assert "16 wide" in told["loras.3"]
    assert told["loras.4"].startswith("old.pt can't be used. Such files can run code ")
    assert told["loras.4"].endswith("get the LoRA as a safetensors file.")


def test_a_model_with_one_transformer_has_one_weight_and_takes_no_pair(loras: Loras) -> None:
    told = said(loras, LoraUse(name="alone", weight_high=0.5), LoraUse(name="pair"), single=True)
    assert told["loras.0"].endswith("send weight.")
    assert "single transformer" in told["loras.1"]


def test_files_go_to_their_experts_with_their_weights(loras: Loras) -> None:
    use = LoraUse(name="pair", weight=0.7, weight_low=0.2)
    found = [(number, file.path.stem, weight) for number, file, weight in files_of(use, loras, 2)]
    assert found == [(0, "pair_high_noise", 0.7), (1, "pair_low_noise", 0.2)]
    single = LoraUse(name="alone")
    assert [(n, file.path.stem) for n, file, _ in files_of(single, loras, 2)] == [(0, "alone"), (1, "alone")]
    assert [n for n, _, _ in files_of(single, loras, 1)] == [0]


def test_half_of_a_pair_goes_to_its_expert_alone(loras: Loras, tmp_path: Path) -> None:
    (tmp_path / "pair_low_noise.safetensors").unlink()
    assert [number for number, _, _ in files_of(LoraUse(name="pair"), loras, 2)] == [0]
    choice = choice_of(LoraUse(name="pair"), loras.get("pair"), EXPERTS)
    assert choice.why.startswith("rank 2 on the high-noise expert at weight 1; nothing on the low-noise expert.")


def test_one_that_has_gone_since_is_said_to_have(loras: Loras, tmp_path: Path) -> None:
    (tmp_path / "alone.safetensors").unlink()
    with pytest.raises(ModelMissing, match="There is no LoRA alone any more: its file was moved, ") as gone:
        list(files_of(LoraUse(name="alone"), loras, 2))
    assert "`GET /api/v1/models/loras`" in gone.value.hint


def test_one_that_has_broken_since_is_said_to_have(loras: Loras, tmp_path: Path) -> None:
    (tmp_path / "alone.safetensors").write_bytes(b"no longer")
    with pytest.raises(
        ModelMissing, match=r"LoRA alone has changed: alone\.safetensors can't be used\. It is cut off"
    ) as broken:
        list(files_of(LoraUse(name="alone"), loras, 2))
    assert broken.value.hint.startswith("Mend the LoRA's file ")


def test_the_plan_says_what_goes_where(loras: Loras) -> None:
    assert LAYERS == 20
    why = choice_of(LoraUse(name="alone", weight=0.5), loras.get("alone"), SINGLE).why
    assert why == "rank 2 on the transformer at weight 0.5."
