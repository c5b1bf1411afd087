"""Has torch compile the transformers' blocks. Where that is of use is for whoever plans the run.

A block is compiled and not a transformer: all are the same code, so that one compilation serves them all, the second
expert's too. What is compiled is a block's own forward. diffusers' `compile_repeated_blocks` takes what is around it in
too, where hooks are: ours ask after each block whether to stop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

LIMIT = 32
"""Kinds of work that blocks are compiled for in one process (models, sizes, LoRAs); more of them run as always."""


@contextmanager
def compiled(blocks: Iterable[Any]) -> Iterator[None]:
    """Inside, each of the blocks (WanTransformerBlock) runs compiled, once a first pass has compiled it.

    A pass is within 1e-5 of the plain one in fp32; in 16 bits less is rounded on the way. Another size is compiled once
    more, for all sizes then; so is a LoRA. What was compiled is found again by later runs, by other models with blocks
    of the same widths, and through the folder TORCHINDUCTOR_CACHE_DIR by the next process. A block that can't be
    compiled runs as always.

    Not with anything else in the place of a block's forward, as hooks or slices are.
    """
    import torch
    from torch._dynamo import config

    blocks = list(blocks)
    with config.patch(suppress_errors=True, recompile_limit=LIMIT):
        for block in blocks:
            block.forward = torch.compile(type(block).forward.__get__(block))
        try:
            yield
        finally:
            for block in blocks:
                del block.forward  # the class has it
