"""Several videos denoised at once are those of single runs within 1e-4, and each leaves by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pipelines_kit import I2V, PICTURE, REF, STEPS, T2V, TI2V, Recorder, ask, ask_still, bare, latents_of, render_of

from wan22.errors import Cancelled, GenerationFailed, Wan22Error
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.phases import Take, denoise_together, encode_image, encode_text
from wan22.pipelines.slices import in_slices
from wan22.tasks import ModelType, Phase, Request

TOLERANCE = 1e-4  # of latents, whose deviation is about 1; diffusers' own batch is 2.5e-5 from its single runs
PROMPTS = ("a red circle moving right", "a blue star", "a green square growing")
NEGATIVES = ("grey", "dark", "grey")

CASES = {
    "T2V-A14B": ask(T2V),
    "I2V-A14B": ask(I2V, image=REF),
    "TI2V-5B from text": ask(TI2V),
    "TI2V-5B from a picture": ask(TI2V, image=REF),
    "T2V-A14B without guidance": ask(T2V, guidance_scale=1.0, guidance_scale_2=1.0),
    "T2V-A14B plain steps": ask(T2V, preset="fast"),
    "TI2V-5B image to image": ask_still(TI2V, strength=0.6),
    "I2V-A14B image to image": ask_still(I2V, strength=0.6),
}


def requests_like(request: Request, count: int = 3) -> list[Request]:
    return [
        request.model_copy(update={"prompt": PROMPTS[n % 3], "negative_prompt": NEGATIVES[n % 3], "seed": 7 + n})
        for n in range(count)
    ]


def taken(model: LoadedModel, request: Request, reporter: Recorder) -> Take:
    return Take(encode_text(model, request, reporter), request.seed, reporter)


def together(
    model: LoadedModel, requests: list[Request], reporters: list[Recorder]
) -> tuple[list[Any], list[tuple[int, Wan22Error]]]:
    """The latents of each, None where it left; and who left, with the reason."""
    shared, left = requests[0], []
    takes = [taken(model, each, reporter) for each, reporter in zip(requests, reporters, strict=True)]
    picture = PICTURE if shared.image else None
    image = encode_image(model, shared, render_of(shared), picture, reporter=Recorder())
    finished = denoise_together(
        model,
        shared,
        render_of(shared),
        takes,
        image,
        dropped=lambda take, error: left.append((takes.index(take), error)),
    )
    return [finished.get(take) for take in takes], left


def alone(model: LoadedModel, request: Request) -> Any:
    pictures = (PICTURE,) if request.image else ()
    return latents_of(model, request, *pictures, seed=request.seed)


def furthest(one: Any, other: Any) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize("name", CASES)
def test_each_of_a_batch_is_what_it_is_alone(models: Callable[[ModelType], LoadedModel], name: str) -> None:
    model, requests = models(CASES[name].model_type), requests_like(CASES[name])
    found, left = together(model, requests, [Recorder() for _ in requests])
    assert not left
    singles = [alone(model, request) for request in requests]
    assert max(furthest(one, single) for one, single in zip(found, singles, strict=True)) < TOLERANCE
    assert furthest(singles[0], singles[1]) > 0.1, "or the comparison would say nothing"


def test_a_batch_is_to_the_bit_what_diffusers_makes_of_lists(models: Callable[[ModelType], LoadedModel]) -> None:
    import torch

    model, request = models(T2V), CASES["T2V-A14B"]
    found, _ = together(model, requests_like(request), [Recorder() for _ in range(3)])
    with bare(model.text, request) as pipeline:
        made = pipeline(
            prompt=list(PROMPTS),
            negative_prompt=list(NEGATIVES),
            width=request.width,
            height=request.height,
            num_frames=request.num_frames,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance_scale,
            guidance_scale_2=request.guidance_scale_2,
            generator=[torch.Generator().manual_seed(7 + n) for n in range(3)],
            output_type="latent",
        ).frames
    assert torch.equal(torch.cat(found), made)


def test_a_batch_in_slices_is_what_each_is_alone(models: Callable[[ModelType], LoadedModel]) -> None:
    model, requests = models(T2V), requests_like(CASES["T2V-A14B"])
    with in_slices([block for expert in model.experts for block in expert.blocks], 16):
        found, _ = together(model, requests, [Recorder() for _ in requests])
    assert all(furthest(one, alone(model, each)) < TOLERANCE for one, each in zip(found, requests, strict=True))


@pytest.mark.parametrize("name", ["T2V-A14B", "I2V-A14B", "TI2V-5B from a picture"])
@pytest.mark.parametrize("at", [1, 12, 30])
def test_one_that_is_cancelled_leaves_the_others_as_they_are_alone(
    models: Callable[[ModelType], LoadedModel], name: str, at: int
) -> None:
    model, requests = models(CASES[name].model_type), requests_like(CASES[name])
    reporters = [Recorder(), Recorder(cancel_in=Phase.DENOISE, cancel_at=at), Recorder()]
    found, left = together(model, requests, reporters)
    assert [(place, type(error)) for place, error in left] == [(1, Cancelled)]
    assert found[1] is None
    assert reporters[1].checks[Phase.DENOISE] == at, "nobody asks again"
    for n in (0, 2):
        assert furthest(found[n], alone(model, requests[n])) < TOLERANCE
        assert reporters[n].told[-1] == (1.0, STEPS, STEPS)


def test_a_batch_shrinks_so_that_who_left_costs_no_more(models: Callable[[ModelType], LoadedModel]) -> None:
    model, requests = models(T2V), requests_like(CASES["T2V-A14B"])
    sizes: list[int] = []
    hooks = [
        expert.patch_embedding.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
        for expert in model.experts
    ]
    together(model, requests, [Recorder(), Recorder(cancel_in=Phase.DENOISE, cancel_at=1), Recorder()])
    for hook in hooks:
        hook.remove()
    assert sizes == [3, 3, *[2] * 2 * (STEPS - 1)]


def test_where_all_are_cancelled_the_steps_end(models: Callable[[ModelType], LoadedModel]) -> None:
    model, requests = models(T2V), requests_like(CASES["T2V-A14B"], 2)
    reporters = [Recorder(cancel_in=Phase.DENOISE, cancel_at=at) for at in (3, 5)]
    found, left = together(model, requests, reporters)
    assert found == [None, None]
    assert [place for place, _ in left] == [0, 1]
    assert furthest(together(model, requests, [Recorder(), Recorder()])[0][0], alone(model, requests[0])) < TOLERANCE


def test_one_without_numbers_leaves_and_the_others_go_on(models: Callable[[ModelType], LoadedModel]) -> None:
    model, requests = models(T2V), requests_like(CASES["T2V-A14B"])
    takes = [taken(model, each, Recorder()) for each in requests]
    takes[2].text.prompt.fill_(float("nan"))
    left: list[tuple[int, Wan22Error]] = []
    finished = denoise_together(
        model,
        requests[0],
        render_of(requests[0]),
        takes,
        None,
        dropped=lambda take, error: left.append((takes.index(take), error)),
    )
    assert [(place, type(error)) for place, error in left] == [(2, GenerationFailed)]
    assert furthest(finished[takes[0]], alone(model, requests[0])) < TOLERANCE


def test_each_hears_of_its_own_progress_and_sees_its_own_previews(models: Callable[[ModelType], LoadedModel]) -> None:
    model, requests = models(T2V), requests_like(CASES["T2V-A14B"], 2)
    reporters = [Recorder(), Recorder()]
    together(model, requests, reporters)
    assert [reporter.told[-1] for reporter in reporters] == [(1.0, STEPS, STEPS)] * 2
    first, second = (reporter.previews[-1][0] for reporter in reporters)
    single = Recorder()
    latents_of(model, requests[1], seed=requests[1].seed, reporter=single)
    assert first != second
    assert single.previews[0][0] == reporters[1].previews[0][0]
