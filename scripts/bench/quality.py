"""What each optimization does to picture and time, against the plain path with the same seeds, on the demo weights.

    python scripts/bench/quality.py [--kind t2v] [--prompts 8] [--only int8 --only slices] [--json FILE]

Kinds and prompts are those of `demo_quality.py`; the server's phases run in this process and frames are compared before
any video encoder. Each row: PSNR in dB of all frames of a video, mean and least (108 is the same bytes), SSIM, the
share of prompts that are followed in all that they say, and the core seconds of all phases, as a share of the plain
path's in this run. With few prompts one that is lost is many points: ask for 200 before believing a share.

Ends with 1 unless every row is as near to the plain path as is promised of it (`at_least_db`).
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "bench")]

from demo_quality import FRAMES, HEIGHT, MODELS, WIDTH, Case, cases, score, shots  # noqa: E402 - through the line above
from demo_runners import Shot, Unheard  # noqa: E402 - as above
from train_demo.drawing import Frames  # noqa: E402 - as above
from train_demo.sight import psnr  # noqa: E402 - as above

from wan22.hardware.probe import probe  # noqa: E402 - as above
from wan22.hardware.process import prepare_process  # noqa: E402 - as above
from wan22.models import demo_weights  # noqa: E402 - as above
from wan22.models.loras.folders import Loras  # noqa: E402 - as above
from wan22.models.loras.uses import files_of  # noqa: E402 - as above
from wan22.models.variants import Models  # noqa: E402 - as above
from wan22.orchestrator.planning import Planner  # noqa: E402 - as above
from wan22.pipelines.adapters import Adapter, put_on  # noqa: E402 - as above
from wan22.pipelines.kept import Kept  # noqa: E402 - as above
from wan22.pipelines.loaded import LoadedModel  # noqa: E402 - as above
from wan22.pipelines.loader import load  # noqa: E402 - as above
from wan22.pipelines.phases import decode, denoise, encode_image, encode_text  # noqa: E402 - as above
from wan22.pipelines.prompt_cache import NO_CACHE, PromptCache  # noqa: E402 - as above
from wan22.pipelines.slices import in_slices  # noqa: E402 - as above
from wan22.pipelines.step_cache import step_cached  # noqa: E402 - as above
from wan22.settings import DeviceSettings, ModelsSettings  # noqa: E402 - as above
from wan22.tasks import Draft, ImageRef, Plan, Request  # noqa: E402 - as above

SLICE_TOKENS = 128  # of 560, so that there are five slices
TILE, STRIDE = 96, 72  # pixels: diffusers' 256 and 192 would leave frames of 224x128 whole
SAME = 108.0  # dB of equal bytes, as `psnr` has it
WINDOW, C1, C2 = 7, (0.01 * 255) ** 2, (0.03 * 255) ** 2  # of SSIM, as in its paper and in scikit-image
_REF = ImageRef(id="upl_" + "0" * 32, width=WIDTH, height=HEIGHT)


@contextmanager
def tiled(model: LoadedModel) -> Iterator[None]:
    """The VAE decodes in tiles that are small enough for the demo's frames."""
    sizes = {f"tile_sample_{what}_{side}": getattr(model.vae, f"tile_sample_{what}_{side}") for what, side in _SIDES}
    model.vae.enable_tiling(TILE, TILE, STRIDE, STRIDE)
    try:
        yield
    finally:
        model.vae.enable_tiling(*sizes.values())
        model.vae.disable_tiling()


_SIDES = (("min", "height"), ("min", "width"), ("stride", "height"), ("stride", "width"))


@dataclass(frozen=True)
class Way:
    """An optimization: what is asked for, what differs in the plan, and what is done to the loaded model."""

    fields: dict[str, Any] = field(default_factory=dict)
    precision: dict[str, str] = field(default_factory=dict)
    slices: int | None = None
    changed: Callable[[LoadedModel], AbstractContextManager[Any]] = nullcontext
    keeps_prompts: bool = False
    at_least_db: float | None = None  # from the plain path; None: it is another picture by design


WAYS = {
    "int8": Way({"quantization": "int8"}, at_least_db=30),
    "fp8": Way({"quantization": "fp8"}, at_least_db=20),
    "bf16 transformers": Way(precision={"transformer": "bf16"}, at_least_db=25),
    "bf16 VAE": Way(precision={"vae": "bf16"}, at_least_db=35),
    "VAE in tiles": Way(changed=tiled, at_least_db=30),
    "slices": Way(slices=SLICE_TOKENS, at_least_db=60),
    "step cache": Way({"step_cache": True}, at_least_db=30),
    "prompt cache": Way(keeps_prompts=True, at_least_db=SAME - 1),
    "preset fast": Way({"preset": "fast"}),
}
OF_TEXT_ALONE = ("preset fast",)  # the demo weights of T2V-A14B alone have that LoRA


@dataclass(frozen=True)
class Made:
    """A video, the core seconds that it took, and what of its passes was spared."""

    frames: Frames
    core_s: float
    spared: float


class Studio:
    """Makes videos in one way after the other; loaded models are kept while their precision is that of the last."""

    def __init__(self, home: Path) -> None:
        self._models = Models(ModelsSettings(variant="demo"), home)
        self._loras = Loras((), shipped=[demo_weights.LORAS])
        self._planner = Planner(self._models, DeviceSettings(precision="fp32"), probe, loras=self._loras)
        self._prompts = PromptCache(Kept(home / "prompts", 10**9))
        self._loaded: tuple[tuple[Any, ...], LoadedModel] | None = None

    def load(self, shot: Shot, way: Way) -> tuple[Request, Plan, LoadedModel]:
        """What a video is made of, all but the text encoder in memory."""
        ref = _REF if shot.pictures else None
        last = ref if len(shot.pictures) > 1 else None
        request, plan = self._planner.prepare(Draft(**shot.body, **way.fields), image=ref, last_image=last)
        plan = plan.model_copy(update={"precision": {**plan.precision, **way.precision}, "slices": way.slices})
        return request, plan, self._model(request, plan)

    def make(self, shot: Shot, way: Way) -> Made:
        """One video."""
        request, plan, model = self.load(shot, way)
        adapters = [Adapter(*one) for use in request.loras for one in files_of(use, self._loras, len(model.experts))]
        put_on(model, adapters)
        with ExitStack() as stack:
            if plan.slices:
                blocks = [block for expert in model.experts for block in expert.blocks]
                stack.enter_context(in_slices(blocks, plan.slices))
            thresholds = plan.step_cache or [0.0] * len(model.experts)
            spared = stack.enter_context(step_cached(model.experts, thresholds))
            stack.enter_context(way.changed(model))
            frames, core_s = self._through(model, request, plan, shot, way)
        return Made(frames, core_s, spared.spared / spared.passes)

    def _through(self, model: LoadedModel, request: Request, plan: Plan, shot: Shot, way: Way) -> tuple[Frames, float]:
        """All phases, timed; a prompt that is to be known from before is embedded once ahead of that."""
        prompts, unheard = self._prompts if way.keeps_prompts else NO_CACHE, Unheard()
        if way.keeps_prompts:
            encode_text(model, request, unheard, prompts)
        pictures = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in shot.pictures]
        first, last = (*pictures, None, None)[:2]
        model.bring_text_encoder(unheard)
        began = time.process_time()
        text = encode_text(model, request, unheard, prompts)
        image = encode_image(model, request, plan.render, first, last, reporter=unheard)
        latents = denoise(model, request, plan.render, text, image, seed=request.seed, reporter=unheard)
        frames = np.stack(list(decode(model, latents, unheard)))
        return frames, time.process_time() - began

    def _model(self, request: Request, plan: Plan) -> LoadedModel:
        key = (tuple(plan.precision.items()), plan.compute)
        if self._loaded is None or self._loaded[0] != key:
            path = self._models.get(request.model_type).path
            self._loaded = key, load(path, request.model_type, plan=plan, reporter=Unheard())
        return self._loaded[1]


def ssim(one: Frames, other: Frames) -> float:
    """Structural similarity of the frames' luma, by means over a square window; 1 is the same.

    Written out, since the package that has it brings all of scipy for these lines.
    """
    x, y = (frames.astype(np.float64) @ (0.299, 0.587, 0.114) for frames in (one, other))
    mean_x, mean_y = _means(x), _means(y)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    varies_x, varies_y = unbiased * (_means(x * x) - mean_x**2), unbiased * (_means(y * y) - mean_y**2)
    together = unbiased * (_means(x * y) - mean_x * mean_y)
    likeness = (2 * mean_x * mean_y + C1) * (2 * together + C2)
    return float((likeness / ((mean_x**2 + mean_y**2 + C1) * (varies_x + varies_y + C2))).mean())


def _means(frames: Any) -> Any:
    """Over every WINDOW x WINDOW square of (T, H, W)."""
    for axis in (1, 2):
        sums = np.cumsum(np.pad(frames, [(1, 0) if n == axis else (0, 0) for n in range(3)]), axis=axis)
        upper, lower = np.split(np.arange(sums.shape[axis]), [WINDOW])[1], np.arange(sums.shape[axis] - WINDOW)
        frames = (sums.take(upper, axis) - sums.take(lower, axis)) / WINDOW
    return frames


def row_of(wanted: list[Case], plain: list[Made], made: list[Made]) -> dict[str, float]:
    """How the videos of one way differ from the plain ones."""
    decibels = [psnr(one.frames, two.frames) for one, two in zip(plain, made, strict=True)]
    alike = [ssim(one.frames, two.frames) for one, two in zip(plain, made, strict=True)]
    return {
        "psnr_db": round(sum(decibels) / len(decibels), 1),
        "psnr_db_least": round(min(decibels), 1),
        "ssim": round(sum(alike) / len(alike), 4),
        "right": score(wanted, [one.frames for one in made])["all"],
        "core_s_of_plain": round(sum(one.core_s for one in made) / sum(one.core_s for one in plain), 3),
        "passes_spared": round(sum(one.spared for one in made) / len(made), 3),
    }


def said(name: str, row: dict[str, float]) -> str:
    """One line of the table."""
    return (
        f"{name:20}{row['psnr_db']:8.1f}{row['psnr_db_least']:8.1f}{row['ssim']:9.4f}{row['right']:9.1%}"
        f"{row['core_s_of_plain']:11.2f}{row['passes_spared']:9.1%}"
    )


def main() -> int:
    """Measure and print; 1 if a bound does not hold."""
    options = _options()
    prepare_process()
    wanted = cases(options.kind, options.prompts, vary=False, seed=options.seed)
    sent = list(shots(options.kind, wanted, {}))
    asked = [name for name in options.only or WAYS if options.kind == "t2v" or name not in OF_TEXT_ALONE]
    rows: dict[str, dict[str, float]] = {}
    print(f"{'':20}{'PSNR dB':>8}{'least':>8}{'SSIM':>9}{'right':>9}{'core s':>11}{'spared':>9}")
    with tempfile.TemporaryDirectory() as home:
        studio = Studio(Path(home))
        studio.make(sent[0], Way())  # what is done once is no way's
        make = partial(_all, studio, sent)
        plain = make(Way())
        for name in ("plain", *asked):
            rows[name] = row_of(wanted, plain, plain if name == "plain" else make(WAYS[name]))
            print(said(name, rows[name]), flush=True)
    result = {"kind": options.kind, "frames": FRAMES, "prompts": len(wanted), "rows": rows}
    print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    far = [name for name in asked if rows[name]["psnr_db"] < (WAYS[name].at_least_db or 0)]
    if far:
        print(f"Further from the plain path than promised: {', '.join(far)}.", file=sys.stderr)
    return int(bool(far))


def _all(studio: Studio, sent: list[Shot], way: Way) -> list[Made]:
    return [studio.make(shot, way) for shot in sent]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=MODELS, default="t2v")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the choice of prompts")
    parser.add_argument("--only", choices=WAYS, action="append", help="may be repeated")
    parser.add_argument("--json", type=Path, help="a file for the rows")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
