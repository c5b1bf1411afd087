"""A model in memory: its pipelines, where they are and how much they hold. Reads no file and runs nothing."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from wan22.errors import ModelCorrupt
from wan22.pipelines.attention import attending
from wan22.pipelines.compiled import compiled
from wan22.pipelines.preview import PreviewMap
from wan22.pipelines.slices import in_slices
from wan22.pipelines.staging import Stage
from wan22.pipelines.tiles import in_tiles
from wan22.tasks import ModelType, Plan, Reporter


@dataclass(eq=False)
class LoadedModel:
    """One model's weights and the pipelines that share them. Used by one thread at a time; useless once closed."""

    model_type: ModelType
    device: str  # what computes: cpu, cuda:0 or mps
    dtypes: dict[str, str]  # fp32, bf16 or fp16 of transformer, text_encoder and vae
    size_bytes: int  # of all weights, wherever they wait, and of the text encoder while that is still on disk
    text: Any = field(repr=False)  # the pipeline from text alone; None for I2V-A14B
    image: Any = field(repr=False)  # the pipeline from pictures and text; None for T2V-A14B
    preview_map: PreviewMap | None = field(repr=False)  # how latents look, roughly; None where the VAE allows none
    text_stamp: str  # another one where the same prompt may be embedded otherwise
    picture_stamp: str  # and where the same picture may be encoded otherwise
    read_text_encoder: Callable[[Reporter], Any] = field(repr=False)
    stage: Stage = field(repr=False)  # brings the networks that wait in RAM to the device
    is_damaged: bool = False  # it turned out when the text encoder was to be read

    @property
    def pipeline(self) -> Any:
        """Either pipeline, for the components that both share."""
        return self.text or self.image

    @property
    def vae(self) -> Any:
        """The VAE of both pipelines."""
        return self.pipeline.vae

    @property
    def experts(self) -> tuple[Any, ...]:
        """The transformers: high-noise and low-noise, or the only one."""
        return tuple(expert for expert in (self.pipeline.transformer, self.pipeline.transformer_2) if expert)

    def bring_text_encoder(self, reporter: Reporter) -> None:
        """Load the text encoder unless it is there: only the first prompt that is new needs it.

        Raises ModelCorrupt, OutOfMemory, and Cancelled by the reporter.
        """
        if self.pipeline.text_encoder is None:
            try:
                encoder = self.read_text_encoder(reporter)
            except ModelCorrupt:
                self.is_damaged = True
                raise
            for pipeline in filter(None, (self.text, self.image)):
                pipeline.register_modules(text_encoder=encoder)

    @contextmanager
    def run_as(self, plan: Plan) -> Iterator[None]:
        """Inside, networks take turns on the device and work as the plan says: kernels, tiles, slices; then all go.

        Raises GenerationFailed if the attention can't be had.
        """
        blocks = [block for expert in self.experts for block in expert.blocks]
        with ExitStack() as stack:
            stack.enter_context(attending(self.experts, plan.attention))
            if plan.compiled:
                stack.enter_context(compiled(blocks))
            if plan.slices:
                stack.enter_context(in_slices(blocks, plan.slices))
            stack.enter_context(in_tiles(self.vae, plan.vae_tile))
            self.stage.keep(plan.resident_blocks)
            stack.callback(self.stage.clear)
            yield

    def reset_peak(self) -> None:
        """Start measuring the GPU memory that a run takes at most."""
        if cuda := _cuda(self.device):
            cuda.reset_peak_memory_stats(self.device)

    def peak_vram_bytes(self) -> int | None:
        """The most that tensors took since `reset_peak`; None where there is no GPU memory of its own."""
        cuda = _cuda(self.device)
        return int(cuda.max_memory_allocated(self.device)) if cuda else None

    def close(self) -> None:
        """Give back all memory, pinned host memory included. Closing twice is fine."""
        self.stage.close()
        self.text = self.image = None
        gc.collect()  # hooks of group offloading and modules hold each other
        if cuda := _cuda(self.device):
            cuda.empty_cache()
            _unpin()


def _cuda(device: str) -> Any:
    """torch's CUDA module for a device that is one, else None."""
    import torch

    return torch.cuda if device.startswith("cuda") else None


def _unpin() -> None:
    """Pinned memory is kept for reuse, tens of GB of it after group offloading; to let it go has no public name."""
    import torch

    empty = getattr(torch._C, "_host_emptyCache", None)
    if empty:
        empty()
