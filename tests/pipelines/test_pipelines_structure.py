"""Before a tensor is read, headers show what is wrong with a component's files, and the first wrong one is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pipelines_kit import T2V, TI2V, load_from
from support.weight_files import Tensors, header_of, tensors_of, write_sparse

from wan22.errors import ModelCorrupt
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.pipelines.components import _network_class
from wan22.pipelines.structure import check_structure

FILES = {
    "transformer": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}
EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight")
REAL_CONFIG = {
    "num_layers": 40,
    "num_attention_heads": 40,
    "attention_head_dim": 128,
    "ffn_dim": 13824,
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": [1, 2, 2],
    "text_dim": 4096,
}  # of T2V-A14B


def demo(name: str) -> Path:
    return SHIPPED / SPECS[TI2V].slug / name


def check(place: Path, name: str) -> None:
    check_structure(place, name, _network_class(name))


@pytest.fixture
def sparse(tmp_path: Path) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """A component with the headers of the small model and no content, and what its file says."""

    def make(name: str) -> tuple[Path, dict[str, Any]]:
        tensors = tensors_of(demo(name) / FILES[name])
        write_sparse(tmp_path / name / FILES[name], tensors)
        shutil.copyfile(demo(name) / "config.json", tmp_path / name / "config.json")
        return tmp_path / name, tensors

    return make


def refused(place: Path, name: str) -> str:
    with pytest.raises(ModelCorrupt) as caught:
        check(place, name)
    return caught.value.detail


def shard(place: Path, tensors: Tensors, count: int = 3) -> list[Path]:
    """Write the tensors as that many shards with their index, in place of a single file."""
    (place / FILES["transformer"]).unlink(missing_ok=True)
    names, paths, listed = list(tensors), [], {}
    for number in range(count):
        path = place / f"diffusion_pytorch_model-{number + 1:05}-of-{count:05}.safetensors"
        part = {name: tensors[name] for name in names[number::count]}
        write_sparse(path, part)
        listed |= dict.fromkeys(part, path.name)
        paths.append(path)
    index = {"metadata": {}, "weight_map": listed}
    (place / f"{FILES['transformer']}.index.json").write_text(json.dumps(index))
    return paths


@pytest.mark.parametrize("model_type", SPECS)
def test_the_shipped_weights_have_nothing_wrong(model_type) -> None:
    for name in SPECS[model_type].components:
        if name not in ("tokenizer", "scheduler"):
            check(SHIPPED / SPECS[model_type].slug / name, name)


@pytest.mark.parametrize("name", FILES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_any_one_wrong_tensor_is_found_and_named(sparse, name, data) -> None:
    place, tensors = sparse(name)
    wrong = data.draw(st.sampled_from(sorted(tensors)))
    dtype, shape = tensors[wrong]
    changes: dict[str, Any] = {
        "lacks": None,
        "config.json implies": (dtype, (*shape[:-1], shape[-1] + data.draw(st.integers(1, 9)))),
        "plain weights are": (data.draw(st.sampled_from(["I8", "I32", "I64", "BOOL", "F8_E4M3"])), shape),
    }
    told = data.draw(st.sampled_from(sorted(changes)))
    changed = {key: value for key, value in tensors.items() if key != wrong}
    write_sparse(place / FILES[name], changed | ({wrong: changes[told]} if changes[told] else {}))
    detail = refused(place, name)
    assert detail.startswith(f"{name}/{FILES[name]} ")
    assert told in detail
    assert wrong in detail or wrong in EMBEDDINGS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(kept=st.floats(0, 1, exclude_max=True))
@example(kept=0.0)
def test_a_file_that_is_cut_off_anywhere_is_named(sparse, kept) -> None:
    place, _ = sparse("vae")
    path = place / FILES["vae"]
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * kept))
    assert refused(place, "vae").startswith(f"vae/{FILES['vae']} is cut off or damaged")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(length=st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 20_000)), head=st.binary(max_size=60))
@example(length=2**64 - 1, head=b"")
@example(length=60, head=b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,NaN]}}  ')
def test_a_header_of_any_length_and_content_is_refused(sparse, length, head) -> None:
    place, tensors = sparse("vae")
    sound = header_of(tensors)
    (place / FILES["vae"]).write_bytes(length.to_bytes(8, "little") + head + sound[8 + len(head) :])
    assert refused(place, "vae").startswith(f"vae/{FILES['vae']} ")


def test_bytes_behind_the_last_tensor_are_refused(sparse) -> None:
    place, _ = sparse("transformer")
    with (place / FILES["transformer"]).open("ab") as file:
        file.write(b"x")
    assert "is cut off or damaged" in refused(place, "transformer")


def test_shards_are_taken_together(sparse) -> None:
    place, tensors = sparse("transformer")
    shard(place, tensors)
    check(place, "transformer")


def test_a_shard_of_another_size_of_model_is_named_with_both_shapes(sparse) -> None:
    place, tensors = sparse("transformer")
    _, second, _ = shard(place, tensors)
    other = tensors_of(SHIPPED / SPECS[T2V].slug / "transformer" / FILES["transformer"])
    write_sparse(second, {name: other[name] for name in tensors_of(second) if name in other})
    detail = refused(place, "transformer")
    assert second.name in detail
    assert "where config.json implies" in detail


def test_a_tensor_is_missed_in_the_shard_that_the_index_names(sparse) -> None:
    place, tensors = sparse("transformer")
    _, _, third = shard(place, tensors)
    inside = tensors_of(third)
    lost = sorted(inside)[1]
    write_sparse(third, {name: value for name, value in inside.items() if name != lost})
    assert refused(place, "transformer").startswith(f"transformer/{third.name} lacks {lost} of ")


def test_a_tensor_that_no_shard_has_is_missed_in_the_index(sparse) -> None:
    place, tensors = sparse("transformer")
    shard(place, {name: value for name, value in tensors.items() if name != "proj_out.bias"})
    assert ".index.json lacks proj_out.bias of 192" in refused(place, "transformer")


def test_a_shard_that_is_absent_and_an_index_of_nothing_are_named(sparse) -> None:
    place, tensors = sparse("transformer")
    first, *_ = shard(place, tensors)
    first.unlink()
    assert f"transformer/{first.name} can't be read" in refused(place, "transformer")
    (place / f"{FILES['transformer']}.index.json").write_text('{"weight_map": {}}')
    assert "has no weight_map" in refused(place, "transformer")


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_a_config_that_is_none_is_named(sparse, content) -> None:
    place, _ = sparse("vae")
    (place / "config.json").write_text(content)
    assert refused(place, "vae").startswith("vae/config.json ")


def test_files_that_nothing_reads_and_tensors_beyond_do_no_harm(sparse) -> None:
    place, tensors = sparse("transformer")
    write_sparse(place / FILES["transformer"], {**tensors, "ema.step": ("I64", ())})
    (place / "other.safetensors").write_bytes(b"no such file")
    check(place, "transformer")


@pytest.mark.parametrize("kept", [EMBEDDINGS[:1], EMBEDDINGS[1:], EMBEDDINGS])
def test_the_embedding_may_have_either_name_or_both(sparse, kept) -> None:
    place, tensors = sparse("text_encoder")
    embedding = tensors["shared.weight"]
    rest = {name: value for name, value in tensors.items() if name not in EMBEDDINGS}
    write_sparse(place / FILES["text_encoder"], rest | dict.fromkeys(kept, embedding))
    check(place, "text_encoder")
    write_sparse(place / FILES["text_encoder"], rest | dict.fromkeys(kept, ("F16", (1, 1))))
    assert f"has {kept[0]} of 1x1" in refused(place, "text_encoder")


def test_an_embedding_by_its_other_name_is_loaded(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(demo(""), tmp_path / "model")
    file = folder / "text_encoder" / FILES["text_encoder"]
    tensors = load_file(file)
    tensors[EMBEDDINGS[1]] = tensors.pop(EMBEDDINGS[0])
    save_file(tensors, file, metadata={"format": "pt"})
    encoder = load_from(folder, TI2V).pipeline.text_encoder
    assert encoder.shared.weight.equal(tensors[EMBEDDINGS[1]].float())


def test_formats_with_loaders_of_their_own_are_left_to_them(sparse, tmp_path) -> None:
    place, _ = sparse("transformer")
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "torchao"}}))
    (place / FILES["transformer"]).write_bytes(b"")
    check(place, "transformer")
    single = tmp_path / "wan.gguf"
    single.write_bytes(b"GGUF")
    check(single, "transformer")


def test_a_real_expert_of_57_gigabytes_is_looked_through(tmp_path) -> None:
    import torch
    from diffusers import WanTransformer3DModel

    (tmp_path / "config.json").write_text(json.dumps(REAL_CONFIG))
    with torch.device("meta"):
        shapes = WanTransformer3DModel.from_config(REAL_CONFIG).state_dict()
    tensors = {name: ("F32", tuple(value.shape)) for name, value in shapes.items()}
    paths = shard(tmp_path, tensors, 12)
    assert sum(path.stat().st_size for path in paths) > 57_000_000_000
    check(tmp_path, "transformer")
    with paths[7].open("r+b") as file:
        file.truncate(paths[7].stat().st_size - 1)
    assert f"transformer/{paths[7].name} is cut off" in refused(tmp_path, "transformer")
