"""A LoRA file is understood by its header alone, whoever wrote it, and a bad one is told and never raises."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loras_kit import (
    BLOCKS,
    FFN,
    LAYERS,
    ORIGINAL,
    WIDTH,
    Shapes,
    as_header,
    diffusers,
    kohya,
    lightx2v,
    lora,
    raw,
    tensor,
    write,
)
from safetensors import safe_open
from safetensors.numpy import save_file

from wan22.models import demo_weights
from wan22.models.loras import files as lora_files
from wan22.models.loras.files import LoraFile, read
from wan22.models.loras.fit import Transformer

FORMATS = {
    "diffusers": diffusers(),
    "original": lora(alpha=True),
    "lightx2v": lightx2v(),
    "kohya": kohya(),
    "diffusers without prefix": diffusers(prefix=""),
    "original without prefix": lora(prefix="", ends=("lora_A", "lora_B")),
}


def file_of(folder: Path, shapes: Shapes, **metadata: str) -> LoraFile:
    return read(
        write(folder / "a.safetensors", shapes, {key.replace("__", "."): said for key, said in metadata.items()})
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_same_layers(tmp_path: Path, name: str) -> None:
    file = file_of(tmp_path, FORMATS[name])
    assert (file.problem, file.format, file.foreign) == (None, name, ())
    assert (file.rank, file.width, file.ffn_width, file.blocks) == (2, WIDTH, FFN, BLOCKS)
    in_blocks = [layer for layer in file.layers if layer.name != "proj_out"]
    assert len(in_blocks) == LAYERS
    assert {layer.name for layer in in_blocks} == {layer.name for layer in file_of(tmp_path, diffusers()).layers}


@pytest.mark.parametrize(
    "model", sorted(path.parent.parent.name for path in demo_weights.SHIPPED.glob("*/transformer/config.json"))
)
def test_layers_are_those_of_the_shipped_transformers_with_their_sizes(tmp_path: Path, model: str) -> None:
    """Every linear layer there has a name in diffusers and one of Wan's own, and its sizes follow from config.json."""
    folder = demo_weights.SHIPPED / model
    transformer = Transformer.of(json.loads((folder / "transformer/config.json").read_bytes()))
    with safe_open(folder / "transformer/diffusion_pytorch_model.safetensors", framework="numpy") as weights:
        shapes = {key: weights.get_slice(key).get_shape() for key in weights.keys()}  # noqa: SIM118 - no mapping
    linear = {key.removesuffix(".weight"): shape for key, shape in shapes.items() if len(shape) == 2}
    keys = {f"{name}.lora_{end}.weight": size for name, shape in linear.items() for end, size in sizes(shape)}
    assert {layer.name: (layer.outputs, layer.inputs) for layer in file_of(tmp_path, keys).layers} == {
        name: tuple(shape) for name, shape in linear.items()
    }
    assert {name: (transformer.sizes(name)[1], transformer.sizes(name)[0]) for name in linear} == {
        name: tuple(shape) for name, shape in linear.items()
    }


def sizes(shape: list[int]) -> list[tuple[str, tuple[int, int]]]:
    return [("A", (2, shape[1])), ("B", (shape[0], 2))]


def test_a_layer_names_the_keys_of_its_tensors(tmp_path: Path) -> None:
    (layer,) = [one for one in file_of(tmp_path, kohya()).layers if one.name == "blocks.0.ffn.net.0.proj"]
    base = "lora_unet_blocks_0_ffn_0"
    assert (layer.down, layer.up) == (f"{base}.lora_down.weight", f"{base}.lora_up.weight")
    assert (layer.alpha, layer.bias) == (f"{base}.alpha", None)
    assert (layer.rank, layer.inputs, layer.outputs) == (2, WIDTH, FFN)


def test_what_lightx2v_has_beside_the_matrices_is_used_or_noted(tmp_path: Path) -> None:
    file = file_of(tmp_path, lightx2v())
    by_name = {layer.name: layer for layer in file.layers}
    assert by_name["blocks.1.attn2.to_out.0"].bias == "diffusion_model.blocks.1.cross_attn.o.diff_b"
    head = by_name["proj_out"]
    assert (head.down, head.up, head.rank) == ("diffusion_model.head.head.diff", None, 12)
    assert file.rank == 2, "the head's whole difference has no rank"
    assert [note.split(" ")[:2] for note in file.notes] == [["2", "tensors"], ["2", "changes"]]


def test_the_largest_rank_is_told_where_layers_differ(tmp_path: Path) -> None:
    shapes = {**lora(names=ORIGINAL[:8]), **lora(names=ORIGINAL[8:], rank=4)}
    assert file_of(tmp_path, shapes).rank == 4


def test_a_part_of_the_layers_is_a_lora_too(tmp_path: Path) -> None:
    file = file_of(tmp_path, lora(names=["self_attn.q"]))
    assert (len(file.layers), file.width, file.ffn_width, file.blocks) == (BLOCKS, WIDTH, None, BLOCKS)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"diffusion_model.blocks.0.self_attn.q.lora_up.weight": None}, "lacks one of its two matrices"),
        ({"diffusion_model.blocks.0.self_attn.q.lora_up.weight": (WIDTH, 3)}, "they don't match"),
        ({"diffusion_model.blocks.0.self_attn.q.lora_down.weight": (2, WIDTH, 1)}, "they don't match"),
        ({"diffusion_model.blocks.0.self_attn.q.lora_down.weight": (2, 0)}, "they don't match"),
        ({"diffusion_model.blocks.0.self_attn.q.diff_b": (WIDTH + 1,)}, "bias of its layer"),
        ({"blocks.0.self_attn.q.lora_up.weight": (WIDTH, 2)}, "twice"),
        ({"diffusion_model.blocks.00.self_attn.q.lora_up.weight": (WIDTH, 2)}, "twice"),
        ({"transformer_2.blocks.1.attn1.to_q.lora_A.weight": (2, WIDTH)}, "both experts"),
    ],
)
def test_layers_that_are_not_whole_are_a_problem(tmp_path: Path, changed: dict[str, object], problem: str) -> None:
    shapes = {key: shape for key, shape in ({**lora(), **changed}).items() if shape is not None}
    file = file_of(tmp_path, shapes)  # type: ignore[arg-type]  # the Nones are gone
    assert problem in str(file.problem)
    assert not file.layers


@pytest.mark.parametrize(
    ("shapes", "problem"),
    [
        ({"blocks.0.attn1.to_q.weight": (WIDTH, WIDTH)}, "no LoRA layers"),
        ({"diffusion_model.blocks.0.norm3.diff": (WIDTH,)}, "no LoRA layers"),
        ({"diffusion_model.blocks.0.cross_attn.k_img.lora_down.weight": (2, 2)}, "no LoRA layers"),
        ({"lora_unet_blocks_0_self_attn_q.lokr_w1": (2, 2)}, "LoKr"),
        ({"blocks.0.self_attn.q.hada_w1_a": (2, 2)}, "LoHa"),
    ],
)
def test_files_without_lora_layers_are_a_problem(tmp_path: Path, shapes: Shapes, problem: str) -> None:
    assert problem in str(file_of(tmp_path, shapes).problem)


def test_layers_of_other_models_are_kept_apart(tmp_path: Path) -> None:
    file = file_of(tmp_path, lora() | lora(prefix="vace_", blocks=1))
    assert len(file.layers) == LAYERS
    assert file.foreign[0] == "vace_blocks.0.cross_attn.k"
    assert len(file.foreign) == len(ORIGINAL)


def test_a_dora_is_noted(tmp_path: Path) -> None:
    file = file_of(tmp_path, lora() | {"diffusion_model.blocks.0.self_attn.q.dora_scale": (WIDTH, 1)})
    assert "DoRA" in file.notes[0]


@pytest.mark.parametrize(
    ("said", "timesteps"),
    [
        ("875,1000", (875, 1000)),
        (" 0, 875 ", (0, 875)),
        ("0,99999", None),
        ("900", None),
        ("9,1", None),
        ("٣,٤", None),
        ("", None),
    ],
)
def test_the_trained_timesteps_are_told(tmp_path: Path, said: str, timesteps: tuple[int, int] | None) -> None:
    file = file_of(tmp_path, lora(), modelspec__timestep_range=said, ss_output_name=" name ", modelspec__title="name")
    assert (file.timesteps, file.titles) == (timesteps, ("name",))


WHOLE = raw(as_header(a=tensor([2], 4)), b"1234")
HARMED = {
    "empty": b"",
    "seven bytes": WHOLE[:7],
    "cut in the header": WHOLE[:20],
    "cut in the data": WHOLE[:-1],
    "longer than it says": WHOLE + b"1",
    "huge header": raw(b"{}", length=2**63 - 1),
    "header over the limit": raw(b"{}", length=100_000_001),
    "negative header": raw(b"{}", length=2**64 - 1),
    "pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00cposix\nsystem\n",
    "zip, as torch.save writes": b"PK\x03\x04" + b"\0" * 60,
    "web page": b"<!DOCTYPE html><html>404</html>",
    "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "no JSON": raw(b"{]"),
    "list": raw(b"[]"),
    "no UTF-8": raw(b'{"\xff": 1}'),
    "deep": raw(b'{"a":' * 50_000),
    "unknown dtype": raw(as_header(a=tensor([2], 4, "PICKLE")), b"1234"),
    "numbers in metadata": raw(as_header(__metadata__={"a": 1})),
    "overflowing shape": raw(as_header(a=tensor([2**40, 2**40], 4)), b"1234"),
    "negative shape": raw(as_header(a=tensor([-2], 4)), b"1234"),
    "offsets beyond": raw(as_header(a=tensor([2], 2**62)), b"1234"),
}


@pytest.mark.parametrize("harm", HARMED)
def test_what_is_no_safetensors_file_is_told(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(HARMED[harm])
    assert str(read(path).problem).startswith("It is cut off, damaged or no safetensors file; ")


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_can_be_read(tmp_path_factory: pytest.TempPathFactory, content: bytes, framed: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(raw(content) if framed else content)
    lora_files._read.cache_clear()  # the same name, size and tick of the clock
    assert read(path).problem


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pkl", ".PT"])
def test_pickles_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    """Not even opened: there is no such file."""
    assert "run code" in str(read(tmp_path / f"a{suffix}").problem)


def test_too_many_tensors_are_refused(tmp_path: Path) -> None:
    empty = {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw(as_header(**dict.fromkeys(map(str, range(lora_files.MAX_TENSORS + 1)), empty))))
    assert "more than 20,000 tensors" in str(read(path).problem)


def test_every_problem_ends_in_a_cure(tmp_path: Path) -> None:
    for problem in (lora_files._PICKLE, lora_files._DAMAGED, lora_files._NO_LORA, str(read(tmp_path / "no").problem)):
        assert ";" in problem
        assert problem.endswith(".")


def test_a_folder_or_a_file_that_is_gone_does_not_raise(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").mkdir()
    assert "no regular file" in str(read(tmp_path / "a.safetensors").problem)
    assert "can't be opened" in str(read(tmp_path / "b.safetensors").problem)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    assert "no regular file" in str(read(tmp_path / "a.safetensors").problem)


def test_why_a_file_can_not_be_opened_is_told_in_the_systems_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's own error has none, and speaks of a file that is not there."""
    path = write(tmp_path / "a.safetensors")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert read(path).problem == "It can't be opened (Permission denied); let the server's account read it."


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_can_not_be_opened_is_told_and_tried_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors")
    path.chmod(0)
    assert "can't be opened" in str(read(path).problem)
    path.chmod(stat.S_IRUSR)
    assert read(path).problem is None


def test_a_file_is_opened_again_only_when_it_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors")
    first = read(path)
    assert read(path) is first
    write(path, lora(rank=4))
    assert read(path).rank == 4


@pytest.mark.parametrize("shape", [(7,), (0,)])
def test_an_alpha_that_is_no_single_number_is_told(tmp_path: Path, shape: tuple[int, ...]) -> None:
    shapes = lora(alpha=True)
    alpha = next(key for key in shapes if key.endswith(".alpha"))
    problem = file_of(tmp_path, {**shapes, alpha: shape}).problem
    assert problem
    assert "is no single number" in problem


def of_types(path: Path, matrices: str, alpha: str) -> LoraFile:
    """One layer of rank 1 with an alpha; the bytes behind the header are zeros."""
    layer, content, end = "diffusion_model.blocks.0.self_attn.q", {}, 0
    for part, shape, dtype in (
        ("lora_down.weight", [1, WIDTH], matrices),
        ("lora_up.weight", [WIDTH, 1], matrices),
        ("alpha", [], alpha),
    ):
        begin, end = end, end + BITS[dtype] // 8 * int(np.prod(shape))
        content[f"{layer}.{part}"] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    path.write_bytes(raw(as_header(**content), bytes(end)))
    return read(path)


BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8}
BITS |= {"I64": 64, "U8": 8, "BOOL": 8, "F8_E8M0": 8, "C64": 64}


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"])
def test_every_floating_point_can_be_used(tmp_path: Path, dtype: str) -> None:
    file = of_types(tmp_path / "a.safetensors", dtype, dtype)
    assert (file.problem, len(file.layers)) == (None, 1)


@pytest.mark.parametrize("dtype", ["I64", "U8"])
def test_an_alpha_may_be_a_whole_number(tmp_path: Path, dtype: str) -> None:
    file = of_types(tmp_path / "a.safetensors", "F16", dtype)
    assert (file.problem, len(file.layers)) == (None, 1)


@pytest.mark.parametrize(
    ("part", "dtype"),
    [
        *(("matrices", dtype) for dtype in ("I64", "U8", "BOOL", "F8_E8M0", "C64")),
        *(("alpha", dtype) for dtype in ("BOOL", "F8_E8M0", "C64")),
    ],
)
def test_any_part_of_another_type_is_told_with_a_cure(tmp_path: Path, part: str, dtype: str) -> None:
    problem = of_types(tmp_path / "a.safetensors", **{"matrices": "F16", "alpha": "F32", part: dtype}).problem
    assert problem
    assert f" is of {dtype}, " in problem
    assert problem.endswith("; get the LoRA from its author again.")


@pytest.mark.parametrize("dtype", [np.int64, np.bool_])
def test_what_is_no_floating_point_is_told(tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "a.safetensors"
    save_file({key: np.zeros(shape, dtype) for key, shape in lora().items()}, path)
    assert (problem := read(path).problem)
    assert "are no numbers of a LoRA" in problem
