"""What a conversion makes is what diffusers would have saved, to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from convert_kit import SHARD, STEM
from hypothesis import given
from hypothesis import strategies as st
from models_kit import T2V, TI2V
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from wan22.models.catalogue import SPECS
from wan22.models.convert import Conversion, make_plan, slices
from wan22.models.convert.layout import KINDS, Target, layout_of
from wan22.models.convert.source import find_tensors
from wan22.models.demo_weights import SHIPPED
from wan22.models.eight_bit import config_of, is_narrow, narrowed, parts_of


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def saved_by_diffusers(transformer: Path, kind: str, folder: Path) -> Path:
    from diffusers import TorchAoConfig, WanTransformer3DModel

    narrowing = {} if kind == "bf16" else {"quantization_config": TorchAoConfig(config_of(kind))}
    network = WanTransformer3DModel.from_pretrained(transformer, dtype=torch.bfloat16, **narrowing)
    network.save_pretrained(folder, max_shard_size=SHARD)
    return folder


def content(path: Path) -> tuple[Any, Any]:
    """What a file says beside its tensors, and each tensor's dtype, shape and bytes."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    values = load_file(path).items()
    return metadata, {
        name: (value.dtype, value.shape, value.flatten().view(torch.uint8).tolist()) for name, value in values
    }


def settings(path: Path) -> dict[str, Any]:
    return {name: value for name, value in json.loads(path.read_text()).items() if name != "_name_or_path"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model_type", [T2V, TI2V])
def test_a_transformer_is_what_diffusers_saves_of_one_that_was_narrowed_whole(
    tmp_path: Path, model_type: Any, kind: Any
) -> None:
    source = SHIPPED / SPECS[model_type].slug
    target = tmp_path / kind
    Conversion(make_plan(source, target, kind, max_shard=SHARD)).run()
    for name in ("transformer", "transformer_2")[: len(SPECS[model_type].transformers)]:
        wanted = saved_by_diffusers(source / name, kind, tmp_path / f"{name} by diffusers")
        made = target / name
        assert {path.name for path in made.iterdir()} == {path.name for path in wanted.iterdir()}
        for path in wanted.iterdir():
            same = content if path.suffix == ".safetensors" else settings
            assert same(made / path.name) == same(path), path.name


@pytest.mark.parametrize("kind", ["int8", "bf16"])
def test_a_transformer_of_odd_sizes_in_fp32_shards_too(tmp_path: Path, kind: Any) -> None:
    """Sizes at which no tensor fills whole words, so that nothing is aligned by chance."""
    from diffusers import WanTransformer3DModel

    sizes = {"num_attention_heads": 1, "attention_head_dim": 12, "ffn_dim": 33, "text_dim": 7, "freq_dim": 6}
    network = WanTransformer3DModel(**sizes, num_layers=2, in_channels=3, out_channels=3)
    network.save_pretrained(tmp_path / "dev" / "transformer", max_shard_size="8KB")
    (tmp_path / "dev" / "model_index.json").write_text("{}")
    Conversion(make_plan(tmp_path / "dev", tmp_path / kind, kind, max_shard="5KB")).run()
    made = WanTransformer3DModel.from_pretrained(tmp_path / kind / "transformer", dtype=torch.bfloat16).state_dict()
    wide = {name: value.dequantize() if is_narrow(value) else value for name, value in made.items()}
    wanted = network.state_dict()
    assert wide.keys() == wanted.keys()
    assert all((wide[name].float() - wanted[name]).abs().max() < 0.02 for name in wanted)


@given(
    rows=st.integers(1, 40),
    width=st.integers(2, 40),  # torchao itself fails over a single column
    dtype=st.sampled_from(["float32", "bfloat16", "float16"]),
    kind=st.sampled_from(KINDS),
    slice_bytes=st.integers(1, 5_000),
    seed=st.integers(0, 99),
)
def test_slices_of_any_size_make_the_bytes_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    width: int,
    dtype: str,
    kind: str,
    slice_bytes: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("slices")
    value = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)).to(getattr(torch, dtype))
    save_file({"before": torch.zeros(3), "x": value}, folder / f"{STEM}.safetensors")
    wide = value.to(torch.bfloat16)
    whole = {"": wide} if kind == "bf16" else parts_of(narrowed(wide, kind))
    before = slices.SLICE_BYTES
    slices.SLICE_BYTES = slice_bytes
    try:
        target = Target((rows, width), "bfloat16", None if kind == "bf16" else kind)
        made = {part: bytearray(one.nbytes) for part, one in whole.items()}
        for part, data in made.items():
            for offset, piece in slices._tensor(find_tensors(folder)["x"], target, {part: 0}):
                data[offset : offset + piece.nbytes] = piece
    finally:
        slices.SLICE_BYTES = before
    assert made == {part: bytearray(one.view(torch.uint8).numpy().tobytes()) for part, one in whole.items()}


def test_shards_keep_their_limit_and_every_part_of_every_tensor_has_one_place() -> None:
    config = json.loads((SHIPPED / SPECS[TI2V].slug / "transformer" / "config.json").read_text())
    layout = layout_of(config, "fp8", "100KB")
    places = [(name, part) for shard in layout.shards for name, parts in shard.places.items() for part in parts]
    assert len(places) == len(set(places))
    assert {name for name, _ in places} == layout.targets.keys()
    assert all(shard.size - len(shard.header) <= 100_000 or len(shard.places) == 1 for shard in layout.shards)
