"""From what a caller said to what the server understood: checks the draft, then fills in the model's defaults.

The checks themselves are in `rules`, the size in `size`, the defaults in `catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from wan22.errors import FieldError, InvalidRequest
from wan22.models.catalogue import DEFAULT_STRENGTH, Defaults
from wan22.models.rules import Ask, errors_of
from wan22.models.size import size_of
from wan22.models.variants import Variant
from wan22.tasks import Draft, ImageRef, Request

T = TypeVar("T")


def resolve(
    draft: Draft,
    variant: Variant,
    *,
    image: ImageRef | None,
    last_image: ImageRef | None,
    pick_seed: Callable[[], int],
    wrong: Sequence[FieldError] = (),
) -> Request:
    """The request that the draft means for the variant of the model that it names.

    `image` and `last_image` are the draft's pictures after their check; what the draft says of them is not read.
    `pick_seed` gives a seed from 0 to MAX_SEED. Resolving the fields of a request once more gives the same request.
    Raises InvalidRequest with one error for each wrong field, all at once, those in `wrong` among them.
    """
    ask = Ask(draft, variant.spec, image, last_image)
    if errors := [*errors_of(ask), *wrong]:
        raise InvalidRequest(errors)
    width, height = size_of(draft, variant.spec, image)
    guidance_scale, guidance_scale_2 = _guidance(draft, variant.defaults)
    return Request(
        model_type=variant.spec.model_type,
        mode="image" if ask.is_still else "video",
        prompt=_or(draft.prompt, ""),
        negative_prompt=_or(draft.negative_prompt, variant.spec.negative_prompt),
        image=image,
        last_image=last_image,
        width=width,
        height=height,
        num_frames=1 if ask.is_still else _or(draft.num_frames, variant.spec.num_frames),
        fps=1 if ask.is_still else _or(draft.fps, variant.spec.fps),
        steps=_or(draft.steps, variant.defaults.steps),
        guidance_scale=guidance_scale,
        guidance_scale_2=guidance_scale_2,
        flow_shift=_or(draft.flow_shift, variant.defaults.flow_shift_for(width * height)),
        seed=pick_seed() if draft.seed is None else draft.seed,
        output_format=_or(draft.output_format, "png" if ask.is_still else "mp4"),
        quality=_or(draft.quality, "medium" if draft.output_format == "gif" else "high"),  # a gif's high takes minutes
        quantization=draft.quantization,
        preset=draft.preset,
        loras=_or(draft.loras, ()),
        num_videos=_or(draft.num_videos, 1),
        strength=_or(draft.strength, DEFAULT_STRENGTH) if ask.is_still and image else None,
        priority=_or(draft.priority, 0),
        step_cache=draft.step_cache,
        enable_optimization=_or(draft.enable_optimization, True),
        optimizations=_or(draft.optimizations, ()),
        metadata=_or(draft.metadata, {}),
    )


def _guidance(draft: Draft, defaults: Defaults) -> tuple[float, float | None]:
    """Guidance of the high-noise and of the low-noise expert, the latter None for a single transformer.

    Where only `guidance_scale` is sent the second keeps its default, because Wan tuned the two apart; except that 1 or
    less means "guidance off", which can only be meant for the whole run.
    """
    first = _or(draft.guidance_scale, defaults.guidance_scale)
    if draft.guidance_scale_2 is not None or defaults.guidance_scale_2 is None:
        return first, draft.guidance_scale_2
    return first, first if first <= 1 else defaults.guidance_scale_2


def _or(value: T | None, default: T) -> T:
    """The value, where one was sent; an empty one counts as sent."""
    return default if value is None else value
