"""Loading: what is read and where it goes, and an error with a cure for whatever can be wrong with the files."""

from __future__ import annotations

import gc
import json
import shutil
import weakref

import pytest
from pipelines_kit import I2V, PICTURE, T2V, TI2V, Recorder, ask, latents_of, load_from, plan_of

from wan22.errors import Cancelled, ModelCorrupt, ModelMissing, OutOfMemory
from wan22.models.demo_weights import CURE
from wan22.pipelines.loader import load, preload
from wan22.tasks import ModelType

BF16 = {"transformer": "bf16", "text_encoder": "bf16", "vae": "fp32"}


@pytest.fixture
def own(demos, tmp_path):
    """A copy of a small model that a test may damage."""

    def copy(model_type):
        return shutil.copytree(demos(model_type), tmp_path / model_type.value)

    return copy


def change_weights(file, change) -> None:
    from safetensors.torch import load_file, save_file  # here, because it imports torch

    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


def change_json(file, **changes) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **changes}))


@pytest.mark.parametrize(("model_type", "text", "image"), [(T2V, 1, 0), (I2V, 0, 1), (TI2V, 1, 1)])
def test_each_model_has_the_pipelines_for_what_it_takes(models, model_type, text, image) -> None:
    model = models(model_type)
    assert (model.text is not None, model.image is not None) == (text, image)
    assert model.model_type is model_type
    assert model.device == "cpu"
    assert model.peak_vram_bytes() is None


def test_both_pipelines_of_5b_share_their_weights(models) -> None:
    text, image = models(TI2V).text, models(TI2V).image
    assert text.transformer is image.transformer
    assert text.vae is image.vae
    assert image.config.expand_timesteps
    assert not text.config.expand_timesteps


@pytest.mark.parametrize("model_type", list(ModelType))
def test_its_size_is_that_of_all_weights(models, model_type) -> None:
    model = models(model_type)
    parts = (model.pipeline.text_encoder, model.vae, *model.experts)
    assert model.size_bytes == sum(value.nbytes for part in parts for value in (*part.parameters(), *part.buffers()))


def test_progress_is_by_bytes_and_ends_at_one(demos) -> None:
    reporter = Recorder()
    load(demos(T2V), T2V, plan=plan_of(), reporter=reporter)
    fractions = [fraction for fraction, _, _ in reporter.told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_loading_can_be_cancelled(demos) -> None:
    class Impatient(Recorder):
        def check(self) -> None:
            raise Cancelled("Now.")

    with pytest.raises(Cancelled):
        load(demos(T2V), T2V, plan=plan_of(), reporter=Impatient())


def test_running_out_of_memory_has_a_cure_that_helps_while_loading(demos) -> None:
    class Full(Recorder):
        def check(self) -> None:
            raise MemoryError

    with pytest.raises(OutOfMemory, match=r"while loading the model .*quantization int8 or fp8") as caught:
        load(demos(T2V), T2V, plan=plan_of(), reporter=Full())
    assert "frames" not in caught.value.detail + caught.value.hint


def test_half_precision_keeps_what_must_be_exact(demos) -> None:
    import torch

    model = load_from(demos(T2V), T2V, precision=BF16)
    block = model.experts[1].blocks[0]
    assert block.attn1.to_q.weight.dtype is torch.bfloat16
    assert block.scale_shift_table.dtype is block.norm2.weight.dtype is torch.float32
    assert model.pipeline.text_encoder.dtype is torch.bfloat16
    assert model.vae.dtype is torch.float32
    assert model.dtypes == BF16
    assert latents_of(model, ask(T2V)).isfinite().all()


@pytest.mark.parametrize("offload", ["model", "blocks", "group"])
@pytest.mark.parametrize(("model_type", "images"), [(T2V, ()), (I2V, (PICTURE,)), (TI2V, (PICTURE,))])
def test_weights_that_come_from_ram_give_the_same_latents(models, demos, model_type, images, offload) -> None:
    streamed = load_from(demos(model_type), model_type, offload=offload, resident_blocks=1)
    request = ask(model_type)
    assert latents_of(streamed, request, *images).equal(latents_of(models(model_type), request, *images))


def test_a_closed_model_holds_nothing(demos) -> None:
    model = load_from(demos(TI2V), TI2V)
    watched = [weakref.ref(part) for part in (model.vae, *model.experts, model.text, model.image)]
    model.close()
    model.close()
    gc.collect()
    assert [reference() for reference in watched] == [None] * 4


def test_no_folder_is_a_missing_model(tmp_path) -> None:
    with pytest.raises(ModelMissing, match=r"T2V-A14B is not in .*nowhere.*Install wan22 again"):
        load_from(tmp_path / "nowhere", T2V)


@pytest.mark.parametrize("name", ["transformer_2", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_an_absent_component_is_named(own, name) -> None:
    folder = own(T2V)
    shutil.rmtree(folder / name)
    with pytest.raises(ModelCorrupt, match=f"T2V-A14B in .* lacks {name}/") as told:
        load_from(folder, T2V)
    assert told.value.hint == CURE


@pytest.mark.parametrize(
    "file",
    [
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "transformer/config.json",
        "tokenizer/tokenizer.json",
        "scheduler/scheduler_config.json",
        "model_index.json",
    ],
)
def test_a_cut_off_file_is_named_by_its_component(own, file) -> None:
    path = own(TI2V) / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelCorrupt, match=file.split("/")[0]):
        load_from(path.parents[file.count("/")], TI2V)


@pytest.mark.parametrize(
    ("file", "tensor"),
    [
        ("transformer/diffusion_pytorch_model.safetensors", "blocks.1.ffn.net.2.weight"),
        ("vae/diffusion_pytorch_model.safetensors", "quant_conv.weight"),
        ("text_encoder/model.safetensors", "encoder.block.1.layer.1.DenseReluDense.wo.weight"),
        ("text_encoder/model.safetensors", "shared.weight"),
    ],
)
def test_a_missing_tensor_is_no_random_one(own, file, tensor) -> None:
    folder = own(TI2V)
    change_weights(folder / file, lambda weights: weights.pop(tensor))
    with pytest.raises(ModelCorrupt, match=rf"{file} lacks {tensor} of \d") as told:
        load_from(folder, TI2V)
    assert told.value.hint == CURE


def test_an_embedding_of_zeros_is_refused(own) -> None:
    folder = own(TI2V)
    change_weights(folder / "text_encoder/model.safetensors", lambda weights: weights["shared.weight"].zero_())
    with pytest.raises(ModelCorrupt, match="embedding of zeros"):
        load_from(folder, TI2V)


def test_tensors_of_another_shape_are_refused(own) -> None:
    folder = own(TI2V)
    change_json(folder / "transformer/config.json", ffn_dim=64)
    with pytest.raises(ModelCorrupt, match=r"has blocks.0.ffn.net.0.proj.weight of 448x256 where .* implies 64x256"):
        load_from(folder, TI2V)


@pytest.mark.parametrize(("there", "wanted"), [(I2V, T2V), (T2V, I2V)])
def test_the_weights_of_another_model_are_refused(demos, there, wanted) -> None:
    with pytest.raises(ModelCorrupt, match="another model's"):
        load_from(demos(there), wanted)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"boundary_ratio": None}, "boundary_ratio"),
        ({"tokenizer": ["transformers", "PreTrainedModel"]}, "tokenizer is a PreTrainedModel"),
    ],
)
def test_an_index_that_can_t_be_is_refused(own, changes, said) -> None:
    folder = own(T2V)
    change_json(folder / "model_index.json", **changes)
    with pytest.raises(ModelCorrupt, match=said):
        load_from(folder, T2V)


def test_preload_may_be_called_any_time() -> None:
    preload()
    preload()
