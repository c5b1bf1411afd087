"""What a pass over a Wan transformer holds in memory, whole and in slices, and whether it gives the same.

    python scripts/bench/slices.py [--tokens 12288] [--only fp32|bf16|math|ti2v]

Random weights, 2 layers, 1024 wide, in Wan's proportions: 8 heads of 128, a feed-forward of 2.7 times the width (A14B)
or 4.67 times (5B), 512 tokens of text. Four cases: A14B's kind in fp32; in bf16, half the tokens; in fp32 with
attention that keeps its matrix of scores, a third of the tokens; 5B's kind in bf16, half the tokens, with the timestep
said for each token or once. Beside `wan22.pipelines.slices` what would be simpler is measured too: attention alone or
the feed-forward alone in slices.

Each row is one pass in a process of its own: the kernel's own mark of the most resident memory, set back once the
weights are there and a small pass has run, less what is resident then. `x input` is that in sizes of the hidden states,
`core s` the seconds of all cores together, `off` the output's largest difference from the case's first row. Linux only.
Ends with 1 unless every row of blocks in slices holds at least 30 % less than the first and is within 1e-5 of it in
fp32, two units of the last place in bf16.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from wan22.pipelines.quiet import be_quiet  # noqa: E402 - found by the line above
from wan22.pipelines.slices import in_slices  # noqa: E402 - as above

HEADS, HEAD, LAYERS, TEXT = 8, 128, 2, 512
WIDTH = HEADS * HEAD
SIDE = 32  # tokens of a frame's height and width
MIN_SAVED = 0.3
MAX_OFF = {"float32": 1e-5, "bfloat16": 0.03}


@dataclass(frozen=True)
class Case:
    """A transformer and its input."""

    name: str
    dtype: str
    frames: int  # of SIDE x SIDE tokens
    ffn: float = 13824 / 5120  # times the width
    keeps_scores: bool = False
    each_token: bool = False  # has a timestep of its own
    slice: int = 512
    queries: int = 512


@dataclass(frozen=True)
class Row:
    """A case in one of the ways to run it."""

    way: str
    case: Case


def rows_of(name: str, tokens: int) -> list[Row]:
    """The rows of a case, plain first."""
    frames = tokens // SIDE**2
    a14b = ("plain", "attention in slices", "feed-forward in slices", "both in slices", "blocks in slices")
    if name == "fp32":
        return [Row(way, Case(name, "float32", frames, slice=1024, queries=1024)) for way in a14b]
    if name == "bf16":
        return [Row(way, Case(name, "bfloat16", frames // 2)) for way in a14b]
    if name == "math":
        return [Row(way, Case(name, "float32", frames // 3, keeps_scores=True, queries=128)) for way in a14b]
    once, each = (Case(name, "bfloat16", frames // 2, ffn=14336 / 3072, each_token=each) for each in (False, True))
    return [Row("plain", each), Row("plain", once), Row("blocks in slices", each), Row("blocks in slices", once)]


CASES = ("fp32", "bf16", "math", "ti2v")


def child(row: Row, output: str) -> None:
    """What runs in a process of its own: prints how it went, and leaves the output in a file."""
    be_quiet()
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    torch.manual_seed(0)
    model, case = made(row.case), row.case
    kernel = sdpa_kernel(SDPBackend.MATH) if case.keeps_scores else nullcontext()
    with torch.no_grad(), kernel:
        model(**given(case, frames=1))  # libraries keep something from their first call
        with WAYS[row.way](model, case):
            arguments = given(case, frames=case.frames)
            Path("/proc/self/clear_refs").write_text("5")
            idle, began = resident("VmRSS"), time.process_time()
            sample = model(**arguments)[0]
            seconds, peak = time.process_time() - began, resident("VmHWM") - idle
    torch.save(sample.float(), output)
    print(json.dumps({"seconds": seconds, "peak": peak}))


def resident(field: str) -> int:
    """Bytes, as the kernel counts them for this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def made(case: Case) -> Any:
    """The transformer, with the modules in fp32 that diffusers keeps so."""
    import torch
    from diffusers import WanTransformer3DModel

    config = {"num_attention_heads": HEADS, "attention_head_dim": HEAD, "num_layers": LAYERS}
    model = WanTransformer3DModel(**config, ffn_dim=round(case.ffn * WIDTH), text_dim=TEXT).eval()
    for name, value in model.named_parameters():
        if not any(kept in name for kept in model._keep_in_fp32_modules):
            value.data = value.data.to(getattr(torch, case.dtype))
    return model


def given(case: Case, *, frames: int) -> dict[str, Any]:
    """What a pass is called with."""
    import torch

    generator, dtype = torch.Generator().manual_seed(frames), getattr(torch, case.dtype)
    latents = torch.randn(1, 16, frames, 2 * SIDE, 2 * SIDE, generator=generator).to(dtype)
    text = torch.randn(1, TEXT, TEXT, generator=generator).to(dtype)
    shape = (1, frames * SIDE**2) if case.each_token else (1,)
    return {
        "hidden_states": latents,
        "timestep": torch.full(shape, 700.0),
        "encoder_hidden_states": text,
        "return_dict": False,
    }


@contextmanager
def attention_in_slices(model: Any, case: Case) -> Iterator[None]:
    """Queries alone, from whole queries to a whole output."""
    import torch
    from diffusers.models.transformers import transformer_wan

    whole = transformer_wan.dispatch_attention_fn

    def sliced(query: Any, key: Any, value: Any, **others: Any) -> Any:
        return torch.cat([whole(some, key, value, **others) for some in query.split(case.queries, dim=1)], dim=1)

    with patch.object(transformer_wan, "dispatch_attention_fn", sliced):
        yield


@contextmanager
def ffn_in_slices(model: Any, case: Case) -> Iterator[None]:
    """The feed-forward alone, from whole input to whole output."""
    import torch

    def sliced(whole: Callable[..., Any]) -> Callable[..., Any]:
        return lambda hidden: torch.cat([whole(some) for some in hidden.split(case.slice, dim=1)], dim=1)

    with ExitStack() as stack:
        for block in model.blocks:
            stack.enter_context(patch.object(block.ffn, "forward", sliced(block.ffn.forward)))
        yield


@contextmanager
def both_in_slices(model: Any, case: Case) -> Iterator[None]:
    """The two above."""
    with attention_in_slices(model, case), ffn_in_slices(model, case):
        yield


WAYS: dict[str, Callable[[Any, Case], AbstractContextManager[None]]] = {
    "plain": lambda model, case: nullcontext(),
    "attention in slices": attention_in_slices,
    "feed-forward in slices": ffn_in_slices,
    "both in slices": both_in_slices,
    "blocks in slices": lambda model, case: in_slices(model.blocks, case.slice, queries=case.queries),
}


def measured(row: Row, output: Path) -> dict[str, float]:
    """How a child says that it went."""
    # every tensor mapped for itself, so that a freed one is given back at once and not kept for the next
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 20), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--child", json.dumps(asdict(row)), str(output)]
    answer: dict[str, float] = json.loads(
        subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
    )
    return answer


def judge(rows: list[Row], folder: Path) -> bool:
    """Measure a case and print its rows; whether its bounds hold."""
    import torch

    case, holds, plain, peak = rows[0].case, True, None, 0.0
    tokens = case.frames * SIDE**2
    print(f"\n{case.name}: {tokens:,} tokens, {case.dtype}, slices of {case.slice} tokens and {case.queries} queries")
    print(f"  {'':42}{'MB over idle':>13}{'of plain':>10}{'x input':>9}{'core s':>9}{'off':>10}")
    for row in rows:
        went = measured(row, folder / "output")
        output = torch.load(folder / "output")
        plain, peak = (output, went["peak"]) if plain is None else (plain, peak)
        off, share = float((output - plain).abs().max()), went["peak"] / peak
        size = tokens * WIDTH * getattr(torch, case.dtype).itemsize
        timesteps = "" if case.name != "ti2v" else ", timestep " + ("of each token" if row.case.each_token else "once")
        print(f"  {row.way + timesteps:42}{went['peak'] / 1e6:13,.0f}{share:10.0%}", end="")
        print(f"{went['peak'] / size:9.1f}{went['seconds']:9.1f}{off:10.1e}", flush=True)
        if row.way == "blocks in slices":
            holds &= share <= 1 - MIN_SAVED and off <= MAX_OFF[case.dtype]
    return holds


def main() -> int:
    """Measure and print; 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=12288, help="of the first case")
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        row, output = arguments.child
        said = json.loads(row)
        child(Row(said["way"], Case(**said["case"])), output)
        return 0
    with tempfile.TemporaryDirectory() as name:
        held = [judge(rows_of(case, arguments.tokens), Path(name)) for case in CASES if arguments.only in (None, case)]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
