"""The text phase: prompt and negative prompt through the text encoder, or from the disk if it embedded them before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import names_oom
from wan22.pipelines.prompt_cache import NO_CACHE, PromptCache
from wan22.pipelines.staged import is_guided
from wan22.pipelines.watch import Ticker, watching
from wan22.tasks import Phase, Reporter, Request

if TYPE_CHECKING:
    import torch

MAX_TOKENS = 512  # text_len of Wan's shared_config.py; what is longer is cut


@dataclass(frozen=True, eq=False)
class TextCondition:
    """Embedded prompts, (1, MAX_TOKENS, width) each; no negative one where no expert is guided."""

    prompt: torch.Tensor
    negative: torch.Tensor | None


@names_oom("encoding the prompt")
def encode_text(
    model: LoadedModel, request: Request, reporter: Reporter, cache: PromptCache = NO_CACHE
) -> TextCondition:
    """Embed the request's prompts; the same for each of its videos.

    The text encoder is loaded if it is needed and not there. Raises Cancelled before that and between the encoder's
    blocks, ModelCorrupt, and OutOfMemory.
    """
    guided = is_guided(request.guidance_scale, request.guidance_scale_2)
    said = [request.prompt, request.negative_prompt][: 1 + guided]
    kept = {text: cache.get(model.text_stamp, text, tokens=MAX_TOKENS) for text in said}
    known = {text: embedding for text, embedding in kept.items() if embedding is not None}
    if new := [text for text in kept if text not in known]:
        model.bring_text_encoder(reporter)
    reporter.phase(Phase.TEXT_ENCODE)
    for text, embedding in zip(new, _embedded(model, new, reporter), strict=True):
        cache.put(model.text_stamp, text, embedding)
        known[text] = embedding
    reporter.progress(1.0)
    prompt, negative = [*(known[text].to(model.device) for text in said), None][:2]
    return TextCondition(prompt, negative)


def _embedded(model: LoadedModel, texts: list[str], reporter: Reporter) -> Iterator[torch.Tensor]:
    """Each text's embedding, (1, MAX_TOKENS, width)."""
    import torch

    if not texts:
        return
    model.stage.enter(model.pipeline.text_encoder)
    blocks = model.pipeline.text_encoder.encoder.block
    ticker = Ticker(reporter, len(blocks) * len(texts))
    for text in texts:
        with torch.no_grad(), watching(blocks, ticker.tick):
            embedding, _ = model.pipeline.encode_prompt(
                text, do_classifier_free_guidance=False, max_sequence_length=MAX_TOKENS
            )
        yield embedding
