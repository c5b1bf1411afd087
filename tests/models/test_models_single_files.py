"""A transformer in a single file is judged by its header alone, and nothing that is in it raises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models_kit import I2V, T2V, TI2V
from support.single_files import exported, file_names, write_embedding

from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.models.files import read_json
from wan22.models.single_files import fault_of, plain, shapes_in
from wan22.tasks import ModelType

DEMO = read_json(SHIPPED / "t2v-A14B/transformer/config.json") or {}
KINDS = ("x-fp16", "x-fp8", "x-gguf")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["transformer", "transformer_2"])
def test_every_kind_is_its_models_and_no_other(kind: str, part: str) -> None:
    path = exported() / file_names(kind)[part]
    assert fault_of(path, DEMO) is None
    assert fault_of(path, DEMO, path.stat().st_size) is None
    assert "another version" in str(fault_of(path, DEMO, path.stat().st_size + 1))
    assert "takes 16 channels and not 36" in str(fault_of(path, DEMO | {"in_channels": 36}))
    assert "128 wide and not 5120" in str(fault_of(path, SPECS[T2V].transformer))


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model."])
@pytest.mark.parametrize("model_type", ModelType)
def test_the_real_sizes_tell_the_three_apart(tmp_path: Path, model_type: ModelType, prefix: str) -> None:
    path = write_embedding(tmp_path / "x.safetensors", model_type, prefix)
    fits = [one for one in (T2V, I2V, TI2V) if fault_of(path, SPECS[one].transformer) is None]
    assert fits == [model_type]


def test_prefixes_are_dropped_and_names_kept() -> None:
    names = ("model.diffusion_model.head.head.bias", "diffusion_model.head.head.bias", "head.head.bias")
    assert {plain(name) for name in names} == {"head.head.bias"}


def test_a_file_that_is_no_transformer_or_not_there_is_told(tmp_path: Path) -> None:
    encoder = SHIPPED / "t2v-A14B/text_encoder/model.safetensors"
    assert fault_of(encoder, DEMO) == "no transformer of Wan"
    assert fault_of(tmp_path / "nowhere.gguf", DEMO) == "absent"


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_file_is_looked_at_again(tmp_path: Path, kind: str) -> None:
    path = tmp_path / file_names(kind)["transformer"]
    path.write_bytes((exported() / path.name).read_bytes()[:5_000])
    assert "cut off or damaged" in str(fault_of(path, DEMO))
    path.write_bytes((exported() / path.name).read_bytes())
    assert fault_of(path, DEMO) is None


@settings(max_examples=60)
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_a_damaged_beginning_is_told_and_never_raises(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str
) -> None:
    content = bytearray((exported() / file_names(kind)["transformer"]).read_bytes()[:60_000])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / file_names(kind)["transformer"]
    path.write_bytes(content)
    assert shapes_in(path, len(content), path.stat().st_mtime_ns) is None, "it is cut off too"
