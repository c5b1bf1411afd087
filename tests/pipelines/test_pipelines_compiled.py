"""Compiled blocks give what plain ones give, are watched as those, are found on disk again, and leave nothing."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pipelines_kit import I2V, PICTURE, T2V, TI2V, Recorder, ask, latents_of, load_from, plan_of
from support.loras import lora_for
from support.single_files import describe, put_dev, put_files

from wan22.errors import Cancelled
from wan22.hardware.probe import probe
from wan22.hardware.process import prepare_process
from wan22.models.loras.files import read
from wan22.models.variants import Models
from wan22.pipelines.adapters import Adapter, put_on
from wan22.pipelines.loader import LoadedModel, load
from wan22.settings import ModelsSettings, StorageSettings
from wan22.tasks import ModelType, Phase

COMPILED = plan_of(compiled=True)
CASES = {"text to video": (T2V, ()), "image to video": (I2V, (PICTURE,)), "5B from a picture": (TI2V, (PICTURE,))}
needs_compiler = pytest.mark.skipif(not probe().has_cpp_compiler, reason="torch compiles for CPUs with C++ alone")


@pytest.fixture(autouse=True)
def kept(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for what is compiled, in a home of its own, and a process that has compiled nothing yet."""
    import torch._dynamo
    from torch._dynamo.utils import counters

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "set so that it is put back")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    folder = StorageSettings(home=tmp_path_factory.getbasetemp() / "home").compiled_dir
    prepare_process(compiled=folder)
    torch._dynamo.reset()
    counters.clear()
    yield folder
    torch._dynamo.reset()


def counted(of: str) -> dict[str, int]:
    """What torch's compiler has counted in this test."""
    from torch._dynamo.utils import counters

    return dict(counters[of])


def is_plain(model: LoadedModel) -> bool:
    return not any("forward" in vars(block) for expert in model.experts for block in expert.blocks)


def off(one: Any, other: Any) -> float:
    return float((one - other).abs().max())


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("model_type", "images"), CASES.values(), ids=CASES)
def test_a_run_gives_the_same_and_leaves_nothing(models, model_type, images) -> None:
    model, request, told, told_compiled = models(model_type), ask(model_type), Recorder(), Recorder()
    plain = latents_of(model, request, *images, reporter=told)
    with model.run_as(COMPILED):
        assert off(latents_of(model, request, *images, reporter=told_compiled), plain) < 1e-4
        graphs = counted("stats")["unique_graphs"]
    with model.run_as(COMPILED):
        latents_of(model, request, *images)
    assert counted("stats")["unique_graphs"] == graphs, "the second run, and the second expert, compile nothing anew"
    assert counted("graph_break") == {}, "a block is one piece"
    assert told_compiled.checks == told.checks, "watched between blocks as always"
    assert is_plain(model)
    assert latents_of(model, request, *images).equal(plain)


@pytest.mark.slow
@needs_compiler
def test_what_was_compiled_is_on_disk_and_found_again(models, kept) -> None:
    """By a process that has nothing in memory."""
    import torch._dynamo

    model = models(T2V)
    for _ in range(2):
        torch._dynamo.reset()
        with model.run_as(COMPILED):
            latents_of(model, ask(T2V))
    assert counted("inductor")["fxgraph_cache_hit"] > 0
    assert any(path.suffix == ".so" for path in kept.rglob("*"))


@pytest.mark.slow
@needs_compiler
def test_with_a_lora_and_without_it_again(models, tmp_path) -> None:
    model, request = models(T2V), ask(T2V)
    adapters = [Adapter(0, read(lora_for(T2V, tmp_path / "a.safetensors")), 1.0)]
    plain = latents_of(model, request)
    put_on(model, adapters)
    adapted = latents_of(model, request)
    for wanted, latents in ((adapters, adapted), ([], plain)) * 2:
        put_on(model, wanted)
        with model.run_as(COMPILED):
            assert off(latents_of(model, request), latents) < 1e-4 < off(adapted, plain)
    assert counted("stats")["unique_graphs"] <= 4, "the same LoRA, put on again, is not compiled again"


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("bits", ["int8", "fp8"])
def test_with_narrow_weights(demos: Callable[[ModelType], Path], bits) -> None:
    precision = {"transformer": bits, "text_encoder": "fp32", "vae": "fp32"}
    model = load_from(demos(TI2V), TI2V, precision=precision, compute="fp32")
    plain = latents_of(model, ask(TI2V))
    with model.run_as(COMPILED):
        assert off(latents_of(model, ask(TI2V)), plain) < 1e-4
    assert counted("stats")["unique_graphs"] > 0


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("is_rounded", "within"), [(True, 1e-4), (False, 1e-2)])
def test_with_weights_of_gguf(tmp_path, is_rounded, within) -> None:
    """They are multiplied out in fp16, which the compiler rounds only at the end, unless it is told to do as torch."""
    from torch._inductor import config

    put_dev(tmp_path), describe(tmp_path, "x-gguf"), put_files(tmp_path, "x-gguf")
    variant = Models(ModelsSettings(), tmp_path / "models").named(T2V, "x-gguf")
    model = load(variant.parts, T2V, plan=plan_of(variant="x-gguf"), reporter=Recorder(), cure=variant.mend)
    plain = latents_of(model, ask(T2V))
    with config.patch(emulate_precision_casts=is_rounded), model.run_as(COMPILED):
        assert off(latents_of(model, ask(T2V)), plain) < within


@pytest.mark.slow
@needs_compiler
def test_a_cancelled_run_leaves_nothing_and_a_closed_model_goes(demos) -> None:
    model = load_from(demos(T2V), T2V)
    with pytest.raises(Cancelled), model.run_as(COMPILED):
        latents_of(model, ask(T2V), reporter=Recorder(cancel_in=Phase.DENOISE, cancel_at=8))
    assert is_plain(model)
    weight = weakref.ref(model.experts[0].blocks[0].ffn)
    model.close()
    gc.collect()
    assert weight() is None, "the compiler keeps no weights"


def test_where_the_compiler_fails_blocks_run_as_always(models) -> None:
    from torch._inductor import config

    model, request = models(T2V), ask(T2V)
    plain = latents_of(model, request)
    with config.patch({"cpp.cxx": ("no-such-compiler",)}), model.run_as(COMPILED):
        assert not is_plain(model)
        assert off(latents_of(model, request), plain) < 1e-5
    assert counted("stats")["unique_graphs"] > 0, "it was tried"
    assert is_plain(model)
