"""Measures on this machine what an optimization gains: the same work without it and with it, by turns, in seconds each.

The work is a model's in small: a product of matrices, weights from a file, frames into a video. What only a whole run
can tell (streaming, batches, step caches) is measured by the benches in `scripts/bench`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wan22.hardware.process import run_on
from wan22.media.ffmpeg import FramePipe, find_ffmpeg
from wan22.media.recipes import recipe
from wan22.tasks import Render

TURNS = 5
"""Of which the quickest counts: what else runs on a machine only ever makes it slower."""

_SIDE = 1_024
_WEIGHTS = 16_777_216  # numbers in the file, 64 MB of fp32
_COPIED_BYTES = 2**28
_CLIP = (480, 832, 17)  # height, width, frames


@dataclass(frozen=True)
class Gain:
    """Seconds for the same work."""

    work: str
    without_s: float
    with_s: float


@dataclass(frozen=True)
class Bench:
    """Where to measure: torch's name of the device, what it calculates in, threads (0: torch's own), cores."""

    device: str
    compute: str
    threads: int = 0
    encoder_threads: int = 0
    near_cores: frozenset[int] | None = None
    all_cores: frozenset[int] | None = None


def measure(optimization_id: str, bench: Bench) -> Gain | None:
    """What it gains here; None for what is not measured so. Takes up to some seconds, and all cores meanwhile."""
    measured = _MEASURED.get(optimization_id)
    return measured(bench) if measured else None


def _by_turns(work: str, without: Callable[[], object], with_: Callable[[], object]) -> Gain:
    without(), with_()  # the first time each pays for what is made once
    seconds = [(_seconds(without), _seconds(with_)) for _ in range(TURNS)]
    return Gain(work, min(one for one, _ in seconds), min(other for _, other in seconds))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _multiplied(device: str, dtype: str) -> Callable[[], None]:
    """A product of two matrices there, done when it returns."""
    import torch

    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    side = 4 * _SIDE if device.startswith("cuda") else _SIDE
    matrix = torch.rand(side, side, device=device, dtype=dtypes[dtype])

    def multiply() -> None:
        (matrix @ matrix).sum().item()

    return multiply


def _matrices(bench: Bench) -> Gain | None:
    if bench.compute == "fp32":
        return None
    work = f"a product of matrices, in fp32 and in {bench.compute}"
    return _by_turns(work, _multiplied(bench.device, "fp32"), _multiplied(bench.device, bench.compute))


def _threads(bench: Bench) -> Gain:
    import torch

    count = bench.threads or torch.get_num_threads()
    multiply = _multiplied("cpu", "fp32")

    def on(threads: int) -> None:
        with _torch_threads(threads):
            multiply()

    return _by_turns(f"a product of matrices on the CPU, on 1 thread and on {count}", lambda: on(1), lambda: on(count))


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _mapped(_: Bench) -> Gain:
    """Weights that are used from a file, read into memory of their own or mapped."""
    import torch
    from safetensors.torch import load, load_file, save_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_file({"weight": torch.zeros(_WEIGHTS)}, path)
        return _by_turns(
            f"{4 * _WEIGHTS // 10**6} MB of weights from a file, read and mapped",
            lambda: load(path.read_bytes())["weight"].sum().item(),
            lambda: load_file(path)["weight"].sum().item(),
        )


def _encoders(bench: Bench) -> Gain:
    height, width, frames = _CLIP
    rows, columns = np.mgrid[0:height, 0:width]
    clip = [
        np.stack([rows + 5 * n, columns + 3 * n, rows + columns], axis=-1).astype(np.uint8).tobytes()
        for n in range(frames)
    ]
    with tempfile.TemporaryDirectory() as folder:
        return _by_turns(
            f"{frames} frames of {width}x{height} into an MP4, on 1 thread and on all",
            lambda: _encode(clip, Path(folder), threads=1),
            lambda: _encode(clip, Path(folder), threads=bench.encoder_threads),
        )


def _encode(clip: list[bytes], folder: Path, *, threads: int) -> None:
    height, width, frames = _CLIP
    size = {"width": width, "height": height, "crop_width": width, "crop_height": height}
    render = Render(
        **size, output_width=width, output_height=height, num_frames=frames, keep=tuple(range(frames)), summary=""
    )
    told = recipe(render, "clip.mp4", output_format="mp4", quality="medium", fps=16, threads=threads)
    pipe = FramePipe(find_ffmpeg(), told, folder=folder)
    for frame in clip:
        pipe.write(memoryview(frame), _go_on)
    pipe.close(_go_on)


def _go_on() -> None:
    """Nobody stops a measurement."""


def _copied(device: str, source: Any) -> Callable[[], None]:
    """A copy of RAM to the GPU, done when it returns."""
    import torch

    target = torch.empty_like(source, device=device)

    def copy() -> None:
        target.copy_(source, non_blocking=True)
        torch.cuda.synchronize(device)

    return copy


def _pinned(bench: Bench) -> Gain | None:
    import torch

    if not bench.device.startswith("cuda"):
        return None
    plain = torch.zeros(_COPIED_BYTES, dtype=torch.uint8)
    work = f"{_COPIED_BYTES // 2**20} MiB from RAM to the GPU, from plain and from pinned memory"
    return _by_turns(work, _copied(bench.device, plain), _copied(bench.device, plain.pin_memory()))


def _placed(bench: Bench) -> Gain | None:
    """Memory that was first written far from the GPU, and near it."""
    import torch

    if not bench.device.startswith("cuda") or not bench.near_cores or not bench.all_cores:
        return None
    far = bench.all_cores - bench.near_cores
    if not far:
        return None

    def written_on(cores: frozenset[int]) -> Any:
        run_on(cores)
        return torch.ones(_COPIED_BYTES, dtype=torch.uint8).pin_memory()

    try:
        copies = _copied(bench.device, written_on(far)), _copied(bench.device, written_on(bench.near_cores))
    finally:
        run_on(bench.all_cores)
    return _by_turns(f"{_COPIED_BYTES // 2**20} MiB to the GPU, from RAM far from it and near it", *copies)


_MEASURED: dict[str, Callable[[Bench], Gain | None]] = {
    "tensor-cores": _matrices,
    "mixed-precision": _matrices,
    "thread-allocation": _threads,
    "mmap-loading": _mapped,
    "parallel-preprocessing": _encoders,
    "cuda-allocation": _pinned,
    "numa-placement": _placed,
}
