"""Embedded prompts on disk: bit for bit what was put in, within the limit, and never worse than no cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipelines_kit import T2V, Recorder, ask, plan_of

from wan22.pipelines.kept import Kept
from wan22.pipelines.loader import LoadedModel, load
from wan22.pipelines.prompt_cache import PromptCache
from wan22.pipelines.text import MAX_TOKENS, encode_text
from wan22.tasks import ModelType

ENCODER = "an encoder"


def embedding(rows: int, *, tokens: int = 8, width: int = 4, dtype: str = "bfloat16") -> object:
    """(1, tokens, width), zero after so many rows, as the pipeline pads."""
    import torch

    made = torch.zeros(1, tokens, width, dtype=getattr(torch, dtype))
    made[0, :rows] = torch.randn(rows, width).to(made.dtype)
    return made


def put(cache: PromptCache, prompt: str, rows: int = 8) -> None:
    cache.put(ENCODER, prompt, embedding(rows))  # type: ignore[arg-type]  # torch is imported in functions alone


def known(cache: PromptCache, prompt: str) -> bool:
    return cache.get(ENCODER, prompt, tokens=8) is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(0, 8), prompt=st.text(), dtype=st.sampled_from(["bfloat16", "float32", "float16"]))
def test_what_comes_back_is_what_was_put_in(tmp_path: Path, rows: int, prompt: str, dtype: str) -> None:
    import torch

    cache, made = PromptCache(Kept(tmp_path, 10**6)), embedding(rows, dtype=dtype)
    cache.put(ENCODER, prompt, made)  # type: ignore[arg-type]
    back = cache.get(ENCODER, prompt, tokens=8)
    assert back is not None
    assert back.dtype == made.dtype  # type: ignore[attr-defined]
    assert torch.equal(back, made)  # type: ignore[arg-type]


def test_another_encoder_or_another_letter_is_another_prompt(tmp_path: Path) -> None:
    cache = PromptCache(Kept(tmp_path, 10**6))
    put(cache, "a cat")
    assert cache.get("another encoder", "a cat", tokens=8) is None
    assert not known(cache, "a cat ")
    assert known(cache, "a cat")


def test_the_folder_tells_nobody_what_was_asked_for(tmp_path: Path) -> None:
    put(PromptCache(Kept(tmp_path, 10**6)), "secret")
    (file,) = tmp_path.iterdir()
    assert b"secret" not in file.name.encode() + file.read_bytes()


def test_what_was_unused_longest_goes_first(tmp_path: Path) -> None:
    cache = PromptCache(Kept(tmp_path, 10**6))
    for age, prompt in enumerate(["new", "used", "old"]):
        put(cache, prompt)
        for file in tmp_path.iterdir():
            if file.stat().st_mtime > 10**9:
                os.utime(file, (10**6 - age, 10**6 - age))
    (size,) = {file.stat().st_size for file in tmp_path.iterdir()}
    assert known(cache, "used")
    put(PromptCache(Kept(tmp_path, 3 * size)), "newest")
    assert [known(cache, prompt) for prompt in ("newest", "used", "new", "old")] == [True, True, True, False]


def test_a_limit_of_nothing_keeps_nothing_and_uses_nothing(tmp_path: Path) -> None:
    put(PromptCache(Kept(tmp_path / "none")), "a cat")
    assert not (tmp_path / "none").exists()
    put(PromptCache(Kept(tmp_path, 10**6)), "a cat")
    assert not known(PromptCache(Kept(tmp_path)), "a cat")


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, b"{", None])
def test_a_damaged_file_is_as_good_as_none_and_is_replaced(tmp_path: Path, damage: bytes | None) -> None:
    cache = PromptCache(Kept(tmp_path, 10**6))
    put(cache, "a cat")
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-1] if damage is None else damage)
    assert not known(cache, "a cat")
    put(cache, "a cat")
    assert known(cache, "a cat")


def test_a_disk_that_takes_nothing_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = PromptCache(Kept(tmp_path / "file", 10**6))
    put(cache, "a cat")
    assert not known(cache, "a cat")
    cache = PromptCache(Kept(tmp_path / "kept", 10**6))
    part = cache.kept.path(ENCODER, "a cat").with_suffix(f".{os.getpid()}.part")
    part.mkdir(parents=True)
    put(cache, "a cat")
    assert not known(cache, "a cat")


@pytest.fixture
def bare(demos: Callable[[ModelType], Path]) -> LoadedModel:
    """A model whose text encoder nobody has needed yet."""
    return load(demos(T2V), T2V, plan=plan_of(), reporter=Recorder())


def test_only_new_prompts_load_the_text_encoder(
    bare: LoadedModel, models: Callable[[ModelType], LoadedModel], tmp_path: Path
) -> None:
    import torch

    cache, request = PromptCache(Kept(tmp_path, 10**6)), ask(T2V, prompt="a red circle", negative_prompt="grey")
    fresh = encode_text(models(T2V), request, Recorder(), cache)
    kept = encode_text(bare, request, Recorder(), cache)
    assert bare.pipeline.text_encoder is None
    assert kept.negative is not None
    assert fresh.negative is not None
    assert torch.equal(kept.prompt, fresh.prompt)
    assert torch.equal(kept.negative, fresh.negative)
    encode_text(bare, ask(T2V, prompt="a blue star", negative_prompt="grey"), Recorder(), cache)
    assert bare.pipeline.text_encoder is not None
    assert kept.prompt.shape[1] == MAX_TOKENS


def test_a_prompt_without_guidance_needs_no_negative_one(bare: LoadedModel, tmp_path: Path) -> None:
    plain = ask(T2V, guidance_scale=1.0, guidance_scale_2=1.0)
    encode_text(bare, plain, Recorder(), PromptCache(Kept(tmp_path, 10**6)))
    assert len(list(tmp_path.iterdir())) == 1
