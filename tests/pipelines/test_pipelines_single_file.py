"""Transformers in single files are loaded as they are meant: whole, multiplied out, wide where they must be wide."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
from pipelines_kit import T2V, Recorder, ask, frames_of, latents_of, plan_of
from safetensors.torch import load_file, save_file
from support.loras import lora_for
from support.single_files import describe, exported, file_names, put_dev, put_files
from train_demo.export import wan_name

from wan22.errors import ModelCorrupt
from wan22.models.demo_weights import SHIPPED
from wan22.models.files import read_json
from wan22.models.loras.files import read
from wan22.models.variants import Models
from wan22.pipelines.adapters import Adapter, put_on
from wan22.pipelines.loader import LoadedModel, load
from wan22.pipelines.single_file import read_transformer
from wan22.settings import ModelsSettings

Kind = gguf.GGMLQuantizationType
CONFIG = read_json(SHIPPED / "t2v-A14B/transformer/config.json") or {}
AWAY = {"x-fp16": 0.0, "x-gguf": 0.03, "x-fp8": 0.2}
"""How far the latents may be from those of the demo weights themselves, by root mean square."""


def write(path: Path, tensors: dict[str, Any]) -> Path:
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)
    return path


def tensors_of(kind: str, part: str = "transformer") -> dict[str, Any]:
    found: dict[str, Any] = load_file(exported() / file_names(kind)[part])
    return found


def loaded(home: Path, kind: str, *, offload: str = "none", transformer: str = "fp32") -> LoadedModel:
    variant = Models(ModelsSettings(), home / "models").named(T2V, kind)
    precision = {"transformer": transformer, "text_encoder": "fp32", "vae": "fp32"}
    plan = plan_of(variant=kind, precision=precision, offload=offload)
    return load(variant.parts, T2V, plan=plan, reporter=Recorder(), cure=variant.mend)


def away(one: Any, other: Any) -> float:
    return float((one - other).square().mean().sqrt() / other.square().mean().sqrt())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the demo weights as the official ones, and their experts in single files of all kinds."""
    home = tmp_path_factory.mktemp("home")
    put_dev(home)
    for kind in AWAY:
        describe(home, kind)
        put_files(home, kind)
    return home


@pytest.mark.parametrize("kind", AWAY)
def test_a_video_of_single_files_is_that_of_the_demo_weights(
    home: Path, kind: str, models: Callable[[Any], LoadedModel]
) -> None:
    request = ask(T2V)
    model = loaded(home, kind)
    latents = latents_of(model, request)
    assert away(latents, latents_of(models(T2V), request)) <= AWAY[kind]
    assert (kind == "x-fp16") == (away(latents, latents_of(models(T2V), request)) == 0)
    assert frames_of(model, latents).shape == (request.num_frames, request.height, request.width, 3)


@pytest.mark.parametrize("kind", AWAY)
def test_what_must_stay_wide_does_in_bf16(home: Path, kind: str) -> None:
    import torch

    single, whole = loaded(home, kind, transformer="bf16"), loaded(home, "dev", transformer="bf16")
    for mine, theirs in zip(single.experts, whole.experts, strict=True):
        wanted = {name: value.dtype for name, value in theirs.named_parameters()}
        found = {name: value.dtype for name, value in mine.named_parameters()}
        assert found.keys() == wanted.keys()
        assert {(wanted[name], found[name]) for name in wanted} <= {
            (torch.float32, torch.float32),
            (torch.bfloat16, torch.bfloat16),
            (torch.bfloat16, torch.uint8),  # GGUF, which is widened as it is used
        }
    if kind == "x-fp16":
        request = ask(T2V)
        assert away(latents_of(single, request), latents_of(whole, request)) == 0


@pytest.mark.parametrize("kind", ["x-gguf", "x-fp8"])
def test_a_lora_goes_on_and_off_without_a_trace(home: Path, tmp_path: Path, kind: str) -> None:
    model, request = loaded(home, kind), ask(T2V)
    before = latents_of(model, request)
    put_on(model, [Adapter(n, read(lora_for(T2V, tmp_path / f"{n}.safetensors")), 1.0) for n in (0, 1)])
    assert away(latents_of(model, request), before) > 0.01
    put_on(model, [])
    assert away(latents_of(model, request), before) == 0


def test_gguf_stays_small_in_memory(home: Path) -> None:
    models = Models(ModelsSettings(), home / "models")
    fp32 = dict.fromkeys(("transformer", "text_encoder", "vae"), "fp32")
    whole, single = (loaded(home, name).size_bytes for name in ("dev", "x-gguf"))
    assert single < 0.7 * whole
    for name, held in (("dev", whole), ("x-gguf", single)):
        assert models.loaded_bytes(models.named(T2V, name), fp32) == pytest.approx(held, rel=0.06)


def write_gguf(path: Path, tensors: dict[str, Any], kind_of: Callable[[Any], Any]) -> Path:
    """A file with each tensor in the kind that is said of it."""
    writer: Any = gguf.GGUFWriter(path, "wan")
    for name, value in tensors.items():
        kind = kind_of(value)
        writer.add_tensor(name, gguf.quants.quantize(value.float().numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("kind_of", "far"),
    [
        (lambda value: Kind.BF16, 0.02),  # norms, biases and the embedding of patches too
        (lambda value: Kind.Q8_0 if value.ndim == 2 and value.shape[-1] % 32 == 0 else Kind.BF16, 0.05),
        (lambda value: Kind.Q4_0 if value.ndim == 2 and value.shape[-1] % 32 == 0 else Kind.F16, 0.5),
    ],
)
def test_gguf_may_have_any_tensor_in_any_kind(tmp_path: Path, kind_of: Callable[[Any], Any], far: float) -> None:
    import torch

    def made_by(network: Any) -> Any:
        torch.manual_seed(0)
        with torch.no_grad():
            inputs = torch.randn(1, 16, 2, 8, 8), torch.tensor([500]), torch.randn(1, 7, 96)
            return network(*inputs, return_dict=False)[0]

    whole = read_transformer(exported() / file_names("x-fp16")["transformer"], CONFIG, torch.float32)
    found = read_transformer(write_gguf(tmp_path / "x.gguf", tensors_of("x-fp16"), kind_of), CONFIG, torch.float32)
    assert 0 < away(made_by(found), made_by(whole)) < far


WIDE = {**CONFIG, "num_attention_heads": 8, "ffn_dim": 512, "num_layers": 1, "text_dim": 256}
"""Rows of 256 numbers, which is what the K kinds take."""

SCALES = {Kind.Q2_K: (80, 84), Kind.Q3_K: (108, 110), Kind.Q4_K: (0, 4), Kind.Q5_K: (0, 4), Kind.Q6_K: (208, 210)}
"""Where a block has its scales, as numbers of 16 bits; all its other bytes may be anything."""


@pytest.mark.parametrize("kind", SCALES)
def test_the_k_kinds_are_widened_as_their_inventors_do(tmp_path: Path, kind: Any) -> None:
    import numpy as np
    import torch
    from diffusers import WanTransformer3DModel

    random, (first, end) = np.random.default_rng(0), SCALES[kind]
    _, size = gguf.GGML_QUANT_SIZES[kind]
    torch.manual_seed(0)
    expected = WanTransformer3DModel.from_config(WIDE)
    writer: Any = gguf.GGUFWriter(tmp_path / "x.gguf", "wan")
    for name, value in expected.state_dict().items():
        if value.ndim != 2 or not name.startswith("blocks."):
            writer.add_tensor(wan_name(name), value.numpy())
            continue
        blocks = random.integers(0, 256, (value.shape[0], value.shape[1] // 256, size), dtype=np.uint8)
        scales = random.uniform(-1e-4, 1e-4, (*blocks.shape[:2], (end - first) // 2)).astype(np.float16)
        blocks[..., first:end] = scales.view(np.uint8)
        rows = blocks.reshape(value.shape[0], -1)
        writer.add_tensor(wan_name(name), rows, raw_dtype=kind)
        value.copy_(torch.from_numpy(gguf.quants.dequantize(rows, kind)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_transformer(tmp_path / "x.gguf", WIDE, torch.float32)
    with torch.no_grad():
        inputs = torch.randn(1, 16, 1, 8, 8), torch.tensor([500]), torch.randn(1, 7, 256)
        made, wanted = (network(*inputs, return_dict=False)[0] for network in (found, expected))
    assert away(made, wanted) < 1e-3  # diffusers multiplies some scales in half precision


def test_gguf_works_with_weights_that_are_streamed(home: Path) -> None:
    request = ask(T2V)
    assert (
        away(latents_of(loaded(home, "x-gguf", offload="group"), request), latents_of(loaded(home, "x-gguf"), request))
        == 0
    )


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "diffusion_model.", ""])
def test_names_of_comfyui_and_of_diffusers_are_understood(tmp_path: Path, prefix: str) -> None:
    import torch

    wanted = read_transformer(exported() / file_names("x-fp16")["transformer"], CONFIG, torch.float32).state_dict()
    theirs = load_file(SHIPPED / "t2v-A14B/transformer/diffusion_pytorch_model.safetensors")
    for tensors in (tensors_of("x-fp16"), theirs):
        path = write(tmp_path / "x.safetensors", {prefix + name: value for name, value in tensors.items()})
        found = read_transformer(path, CONFIG, torch.float32).state_dict()
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_scales_are_multiplied_in_and_the_rest_of_fp8s_marks_left_out(tmp_path: Path) -> None:
    import torch

    tensors = tensors_of("x-fp8")
    layer = "blocks.0.self_attn.q"
    tensors[f"{layer}.scale_input"] = torch.ones(1)
    network = read_transformer(write(tmp_path / "x.safetensors", tensors), CONFIG, torch.float32)
    wanted = tensors[f"{layer}.weight"].float() * tensors[f"{layer}.scale_weight"]
    assert torch.equal(network.blocks[0].attn1.to_q.weight, wanted)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"blocks.3.ffn.2.weight": None}, r"x.safetensors lacks blocks.3.ffn.net.2.weight"),
        ({"blocks.0.ffn.9.weight": (4, 4)}, r"has a tensor blocks.0.ffn.9.weight, which this model does not have"),
        ({"blocks.0.self_attn.q.comfy_quant": (4,)}, r"has a tensor blocks.0.attn1.to_q.comfy_quant"),
        ({"head.modulation": (1, 2, 64)}, r"has scale_shift_table of \(1, 2, 64\) where the model's is \(1, 2, 128\)"),
    ],
)
def test_a_file_that_is_not_the_models_is_told_by_its_first_tensor(tmp_path: Path, change: Any, told: str) -> None:
    import torch

    tensors = tensors_of("x-fp16")
    for name, shape in change.items():
        tensors.pop(name, None)
        if shape:
            tensors[name] = torch.zeros(shape)
    with pytest.raises(ModelCorrupt, match=told):
        read_transformer(write(tmp_path / "x.safetensors", tensors), CONFIG, torch.float32)


def test_loading_names_the_file_and_the_cure(tmp_path: Path) -> None:
    put_dev(tmp_path)
    describe(tmp_path, "x-fp16")
    name = file_names("x-fp16")["transformer_2"]
    tensors = tensors_of("x-fp16", "transformer_2")
    del tensors["head.head.bias"]
    write(put_files(tmp_path, "x-fp16") / "transformer_2" / name, tensors)
    with pytest.raises(ModelCorrupt, match=rf"{name} lacks proj_out.bias") as told:
        loaded(tmp_path, "x-fp16")
    assert re.match(r"Remove .*x-fp16\. Put its files into ", told.value.hint)


def test_the_catalogues_sizes_serve_where_no_config_is_on_disk(home: Path, tmp_path: Path) -> None:
    """Then a file of another size is refused before it is read."""
    put_dev(tmp_path)
    describe(tmp_path, "x-gguf")
    put_files(tmp_path, "x-gguf")
    (tmp_path / "models/t2v-A14B/dev/transformer/config.json").unlink()
    report = Models(ModelsSettings(), tmp_path / "models").describe(T2V, "x-gguf")
    assert "another model's: 128 wide and not 5120" in report.missing[0]
