"""The real weights are used where they are whole; otherwise it is said why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from models_kit import I2V, T2V, TI2V, write_weights

from wan22.errors import InvalidRequest, ModelCorrupt, ModelMissing
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED, about
from wan22.models.variants import Models
from wan22.models.verification import WrongFile, keep_check
from wan22.settings import ModelsSettings
from wan22.tasks import Draft, ModelType

SHARD = "transformer/diffusion_pytorch_model-00001-of-00003.safetensors"


def models(tmp_path: Path, variant: str = "auto", folders: tuple[str, ...] = ("first", "second")) -> Models:
    settings = ModelsSettings(models_dirs=tuple(tmp_path / name for name in folders), variant=variant)
    return Models(settings, tmp_path / "home")


def put(tmp_path: Path, place: str, model_type: ModelType = T2V) -> Path:
    return write_weights(tmp_path / place, SPECS[model_type])


def test_with_nothing_on_disk_the_demo_is_used_as_it_was_shipped(tmp_path: Path) -> None:
    variant = models(tmp_path).get(TI2V)
    assert (variant.name, variant.path) == ("demo", SHIPPED / "ti2v-5b")
    assert (variant.native_area, variant.defaults) == (224 * 128, SPECS[TI2V].demo_defaults)
    assert models(tmp_path).weights_bytes(variant) > 0
    assert not list(tmp_path.iterdir()), "looking makes no folder"


def test_real_weights_are_used_as_soon_as_they_are_whole(tmp_path: Path) -> None:
    shelf = models(tmp_path)
    assert shelf.get(T2V).name == "demo"
    path = put(tmp_path, "second/t2v-A14B/dev")
    variant = shelf.get(T2V)
    assert (variant.name, variant.path, variant.native_area) == ("dev", path, None)
    assert variant.defaults == SPECS[T2V].defaults
    assert shelf.weights_bytes(variant) > 0
    assert shelf.get(I2V).name == "demo", "each model for itself"


@pytest.mark.parametrize("place", ["first/t2v-A14B/dev", "home/t2v-A14B/dev", "first/T2V-A14B/Dev"])
def test_every_folder_is_searched_without_regard_to_case(tmp_path: Path, place: str) -> None:
    path = put(tmp_path, place)
    assert models(tmp_path).get(T2V).path.samefile(path)


def test_the_first_whole_folder_wins(tmp_path: Path) -> None:
    (put(tmp_path, "first/t2v-A14B/dev") / SHARD).unlink()
    second = put(tmp_path, "second/t2v-A14B/dev")
    put(tmp_path, "home/t2v-A14B/dev")
    assert models(tmp_path).get(T2V).path == second


def test_incomplete_weights_give_the_demo_and_the_reason(tmp_path: Path) -> None:
    path = put(tmp_path, "first/t2v-A14B/dev")
    (path / SHARD).unlink()
    shelf = models(tmp_path)
    report = shelf.describe(T2V)
    assert (report.state, report.path, report.missing) == ("partial", path, (SHARD,))
    assert SHARD in report.why
    assert shelf.get(T2V).name == "demo"
    assert report.why in shelf.get(T2V).why


def test_a_long_list_of_missing_files_is_cut_in_words_only(tmp_path: Path) -> None:
    path = put(tmp_path, "first/t2v-A14B/dev")
    for shard in path.glob("transformer*/*-of-*"):
        shard.unlink()
    report = models(tmp_path).describe(T2V)
    assert len(report.missing) == 6
    assert report.why.endswith("and 3 more.")


def test_incomplete_weights_are_an_error_where_only_they_are_allowed(tmp_path: Path) -> None:
    (put(tmp_path, "first/t2v-A14B/dev") / SHARD).unlink()
    with pytest.raises(ModelMissing, match=f"missing {SHARD}.*set models.variant to auto"):
        models(tmp_path, "dev").get(T2V)


def test_absent_weights_are_an_error_that_says_where_they_belong(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as failure:
        models(tmp_path, "dev").get(T2V)
    assert "Run `wan22 models download t2v-a14b`" in failure.value.detail
    assert models(tmp_path, "dev").describe(T2V).state == "missing"


def test_the_demo_can_be_asked_for_although_real_weights_are_there(tmp_path: Path) -> None:
    put(tmp_path, "first/t2v-A14B/dev")
    shelf = models(tmp_path, "demo")
    assert shelf.get(T2V).name == "demo"
    assert shelf.describe(T2V).state == "ready"


def test_a_folder_called_demo_is_not_taken_for_the_shipped_one(tmp_path: Path) -> None:
    put(tmp_path, "second/ti2v-5b/demo", TI2V)
    assert models(tmp_path).get(TI2V).path == SHIPPED / "ti2v-5b"


@pytest.mark.parametrize("variant", ["auto", "demo"])
def test_what_the_demo_weights_know_is_told_with_the_reason_for_them(tmp_path: Path, variant: str) -> None:
    why = models(tmp_path, variant).get(T2V).why
    assert why.endswith(about(T2V))
    assert why != about(T2V)


def test_a_planned_variant_is_found_by_its_name(tmp_path: Path) -> None:
    put(tmp_path, "first/t2v-A14B/dev")
    shelf = models(tmp_path, "demo")
    assert shelf.named(T2V, "dev").name == "dev"
    assert shelf.named(T2V, "demo") == shelf.named(T2V, "demo")
    with pytest.raises(ModelMissing):
        shelf.named(I2V, "dev")


def test_a_draft_leads_to_its_models_variant(tmp_path: Path) -> None:
    assert models(tmp_path).for_draft(Draft(model_type="i2v-a14b")).spec is SPECS[I2V]
    with pytest.raises(InvalidRequest, match="model_type"):
        models(tmp_path).for_draft(Draft())


def test_weights_that_were_found_wrong_give_way_to_others_that_are_whole(tmp_path: Path) -> None:
    preferred, shelf = put(tmp_path, "first/t2v-A14B/bf16"), models(tmp_path)
    put(tmp_path, "first/t2v-A14B/dev")
    assert shelf.get(T2V).name == "bf16"
    file = preferred / "vae" / "config.json"
    keep_check(preferred, [WrongFile("vae/config.json", "wrong content")])
    assert shelf.describe(T2V, "bf16").state == "corrupt"
    used = shelf.get(T2V)
    assert used.name == "dev"
    assert "vae/config.json of T2V-A14B (bf16)" in used.why
    with pytest.raises(ModelCorrupt, match="not touched since"):
        shelf.named(T2V, "bf16")
    file.write_text(file.read_text() + " ")
    assert shelf.get(T2V).name == "bf16"


def test_the_only_real_weights_that_are_wrong_are_told_and_not_replaced_by_the_demo(tmp_path: Path) -> None:
    folder = put(tmp_path, "first/t2v-A14B/dev")
    keep_check(folder, [WrongFile("vae/config.json", "wrong content")])
    with pytest.raises(ModelCorrupt, match=r"vae/config\.json") as refused:
        models(tmp_path).get(T2V)
    assert "--repair" in refused.value.hint


def test_a_partial_folder_lacks_what_its_libraries_look_for(tmp_path: Path) -> None:
    folder = put(tmp_path, "first/t2v-A14B/dev")
    for path in folder.glob("*/*.safetensors"):
        path.unlink()
    missing = models(tmp_path).describe(T2V, "dev").missing
    assert "text_encoder/model.safetensors" in missing
    assert "vae/diffusion_pytorch_model.safetensors" in missing
