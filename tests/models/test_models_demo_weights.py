"""The shipped demo weights are whole, few, and tied to no machine; a damaged copy is refused by its file's name."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from models_kit import TI2V

from wan22.errors import ModelCorrupt
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import CURE, KNOWN, LORAS, SHIPPED, SUMS, about, verify
from wan22.models.files import missing_files
from wan22.tasks import ModelType

FILES = {path.relative_to(SHIPPED).as_posix(): path for path in sorted(SHIPPED.rglob("*")) if path.is_file()}
WEIGHTS = f"{SPECS[TI2V].slug}/vae/diffusion_pytorch_model.safetensors"
MAX_BYTES = 30_000_000
ABSOLUTE = re.compile(r"^(?:/.+|~.*|[A-Za-z]:[\\/].*|\\\\.*|file:.*)$")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The folder of TI2V-5B in a copy that a test may damage."""
    shutil.copy(SHIPPED / SUMS, tmp_path)
    return shutil.copytree(SHIPPED / SPECS[TI2V].slug, tmp_path / SPECS[TI2V].slug)


def texts(value: object) -> list[str]:
    """Every text in what a JSON file holds, keys too."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("model_type", ModelType)
def test_the_folder_of_each_model_is_whole_and_as_shipped(model_type: ModelType) -> None:
    spec = SPECS[model_type]
    assert missing_files(SHIPPED / spec.slug, spec.components) == ()
    verify(SHIPPED / spec.slug)


def test_every_file_is_listed_with_its_checksum_and_no_other() -> None:
    found = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in FILES.items() if name != SUMS}
    assert json.loads((SHIPPED / SUMS).read_text("utf-8")) == found


def test_there_are_only_weights_and_settings_for_the_models_that_there_are() -> None:
    assert {path.suffix for path in FILES.values()} == {".json", ".safetensors"}
    assert {name.split("/")[0] for name in FILES} == {SUMS, LORAS.name, *(spec.slug for spec in SPECS.values())}


def test_equal_files_counted_once_they_are_small() -> None:
    """As git and a wheel's download count, but for what those compress."""
    sizes = {hashlib.sha256(path.read_bytes()).hexdigest(): path.stat().st_size for path in FILES.values()}
    assert sum(sizes.values()) < MAX_BYTES


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
def test_no_setting_names_a_place_on_the_machine_that_made_it(name: str) -> None:
    assert [text for text in texts(json.loads(FILES[name].read_text("utf-8"))) if ABSOLUTE.match(text)] == []


@pytest.mark.parametrize("model_type", ModelType)
def test_their_settings_are_the_catalogue_s(model_type: ModelType) -> None:
    spec = SPECS[model_type]
    index = json.loads((SHIPPED / spec.slug / "model_index.json").read_text("utf-8"))
    scheduler = json.loads((SHIPPED / spec.slug / "scheduler/scheduler_config.json").read_text("utf-8"))
    assert index["boundary_ratio"] == spec.boundary_ratio
    assert scheduler["flow_shift"] == spec.demo_defaults.flow_shift


def test_a_whole_copy_is_accepted(copy: Path) -> None:
    verify(copy)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [cut, changed, Path.unlink])
@pytest.mark.parametrize("name", [WEIGHTS, f"{SPECS[TI2V].slug}/model_index.json"])
def test_a_damaged_copy_is_refused_with_the_file_and_the_cure(
    copy: Path, name: str, harm: Callable[[Path], object]
) -> None:
    harm(copy.parent / name)
    with pytest.raises(ModelCorrupt) as refused:
        verify(copy)
    assert str(copy.parent / name) in refused.value.detail
    assert refused.value.detail.endswith(CURE)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"other/model_index.json": "0"}', None])
def test_without_its_checksums_nothing_is_trusted(copy: Path, content: str | None) -> None:
    sums = copy.parent / SUMS
    sums.unlink() if content is None else sums.write_text(content)
    with pytest.raises(ModelCorrupt) as refused:
        verify(copy)
    assert str(sums) in refused.value.detail
    assert refused.value.detail.endswith(CURE)


def test_what_people_are_told_is_two_sentences_with_the_way_to_the_real_ones() -> None:
    told = about(ModelType.TI2V_5B)
    assert told.startswith(KNOWN)
    assert len(re.findall(r"\.(?: |$)", told)) == 2
    assert "`wan22 models download ti2v-5b`" in told
