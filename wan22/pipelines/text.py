"""The text phase: prompt and negative prompt through the text encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import names_oom
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
def encode_text(model: LoadedModel, request: Request, reporter: Reporter) -> TextCondition:
    """Embed the request's prompts; the same for each of its videos.

    Raises Cancelled between the encoder's blocks, and OutOfMemory.
    """
    import torch

    guided = is_guided(request.guidance_scale, request.guidance_scale_2)
    blocks = model.pipeline.text_encoder.encoder.block
    ticker = Ticker(reporter, len(blocks) * (1 + guided))
    reporter.phase(Phase.TEXT_ENCODE)
    with torch.no_grad(), watching(blocks, ticker.tick):
        prompt, negative = model.pipeline.encode_prompt(
            request.prompt,
            request.negative_prompt,
            do_classifier_free_guidance=guided,
            max_sequence_length=MAX_TOKENS,
        )
    reporter.progress(1.0)
    return TextCondition(prompt, negative)
