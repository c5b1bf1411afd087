"""Whether the demo weights' videos show what their prompts say, through the server, on words that training never saw.

    python scripts/bench/demo_quality.py t2v [--prompts 200] [--guidance 1] [--steps 8] [--only high] [--out FOLDER]

Kinds: `t2v`, `i2v` (a drawn first picture), `flf` (first and last picture), `ti2v` (text alone), `ti2v-image`. Each
prompt is a held-out combination of shape, colour, ground and motion; its video is downloaded, decoded and looked at
(`train_demo/sight.py`). With pictures the first (and last) frame is compared with what was sent. Prints a row of
shares; `--out` keeps a contact sheet. `--later` asks for what the world gained (diagonals, bouncing, turning, two
things side by side), which the experts of `t2v` know. `--lora sunset --ground sunset` and `--preset fast` try the
shipped LoRAs. `--step-cache` asks for that, and the row says what share of the passes it spared. `--only` changes the
loaded model in this process, in which the server's phases then run without HTTP.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "bench")]

from demo_runners import Direct, Served, Shot  # noqa: E402 - found through the line above
from train_demo.captions import plain, varied  # noqa: E402 - as above
from train_demo.drawing import Frames  # noqa: E402 - as above
from train_demo.sight import Seen, psnr, see, see_both  # noqa: E402 - as above
from train_demo.world import (  # noqa: E402 - as above
    GROUNDS,
    SUNSET,
    Words,
    clip,
    combinations,
    later_combinations,
)

from wan22.tasks.request import Quantization  # noqa: E402 - as above

MODELS = {"t2v": "T2V-A14B", "i2v": "I2V-A14B", "flf": "I2V-A14B", "ti2v": "TI2V-5B", "ti2v-image": "TI2V-5B"}
WIDTH, HEIGHT, FRAMES = 224, 128, 17
SHEET_ROWS, SHEET_FRAMES = 24, (0, 5, 11, 16)


@dataclass(frozen=True)
class Case:
    """One prompt and what its video should show; `pictures` are what is sent beside it."""

    words: Words
    prompt: str
    pictures: tuple[Frames, ...]


def cases(
    kind: str, count: int, *, vary: bool, seed: int, ground: str | None = None, later: bool = False
) -> list[Case]:
    """Held-out combinations in chance order, over and over until there are enough; all on one ground, if told."""
    random = np.random.default_rng(seed)
    words = [words for words in (later_combinations() if later else combinations()) if words.is_held_out]
    words = [replace(each, ground=ground) for each in words] if ground else words
    order = [words[int(n)] for _ in range(1 + count // len(words)) for n in random.permutation(len(words))][:count]
    return [Case(each, varied(each, random) if vary else plain(each), _pictures(kind, each, random)) for each in order]


def _pictures(kind: str, words: Words, random: np.random.Generator) -> tuple[Frames, ...]:
    if kind in ("t2v", "ti2v"):
        return ()
    drawn = clip(words, random, width=WIDTH, height=HEIGHT, frames=FRAMES)
    return (drawn[0], drawn[-1]) if kind == "flf" else (drawn[0],)


def shots(kind: str, wanted: list[Case], fields: dict[str, Any]) -> Iterator[Shot]:
    """What is sent for each case."""
    for number, case in enumerate(wanted):
        body = {
            "model_type": MODELS[kind],
            "prompt": case.prompt,
            "width": WIDTH,
            "height": HEIGHT,
            "num_frames": FRAMES,
            "seed": number,
            **fields,
        }
        yield Shot(body, tuple(_png(picture) for picture in case.pictures))


def score(wanted: list[Case], videos: list[Frames]) -> dict[str, Any]:
    """Shares of what is right, motion also without `still`, and the dB of given frames."""
    pairs = [(asked(case.words), looked_at(case.words, video)) for case, video in zip(wanted, videos, strict=True)]
    right = {
        name: [all(getattr(one, name) == getattr(two, name) for one, two in zip(*pair, strict=True)) for pair in pairs]
        for name in Seen._fields
    }
    moving = [ok for ok, case in zip(right["motion"], wanted, strict=True) if case.words.motion != "still"]
    result: dict[str, Any] = {name: _share(values) for name, values in right.items()}
    result |= {"moving": _share(moving), "all": _share([all(four) for four in zip(*right.values(), strict=True)])}
    result["mistakes"] = _mistakes(pairs)
    given = [(case.pictures, video) for case, video in zip(wanted, videos, strict=True) if case.pictures]
    if given:
        result["first_db"] = _decibels([(pictures[0], video[0]) for pictures, video in given])
        if len(given[0][0]) == 2:
            result["last_db"] = _decibels([(pictures[1], video[-1]) for pictures, video in given])
    return result


def asked(words: Words) -> tuple[Seen, ...]:
    """What should be seen: one thing, or the left and the right one."""
    first = Seen(words.shape, words.colour, words.ground, words.motion)
    return (first,) if words.beside is None else (first, Seen(*words.beside, words.ground, words.motion))


def looked_at(words: Words, video: Frames) -> tuple[Seen, ...]:
    """What is seen, in the same order."""
    return (see(video),) if words.beside is None else see_both(video)


def _mistakes(pairs: list[tuple[tuple[Seen, ...], tuple[Seen, ...]]]) -> dict[str, int]:
    """What was taken for what, and how often; with the ground or the motion where it may matter."""
    found: Counter[str] = Counter()
    for words, seen in (things for pair in pairs for things in zip(*pair, strict=True)):
        for name in Seen._fields:
            wanted, got = getattr(words, name), getattr(seen, name)
            if wanted != got:
                beside = words.ground if name == "colour" else words.motion
                found[f"{name}: {wanted} ({beside}) as {got}"] += 1
    return dict(found.most_common(12))


def _share(values: list[bool]) -> float:
    return round(sum(values) / len(values), 3)


def _decibels(pairs: list[tuple[Frames, Frames]]) -> dict[str, float]:
    values = sorted(psnr(one, other) for one, other in pairs)
    return {"mean": round(sum(values) / len(values), 1), "least": round(values[0], 1)}


def sheet(wanted: list[Case], videos: list[Frames], path: Path) -> None:
    """The first videos as rows of frames; a red edge on the left where something is wrong."""
    rows = []
    for case, video in list(zip(wanted, videos, strict=True))[:SHEET_ROWS]:
        wrong = looked_at(case.words, video) != asked(case.words)
        edge = np.zeros((video.shape[1], 6, 3), np.uint8) + np.array([220, 0, 0] if wrong else [0, 0, 0], np.uint8)
        rows.append(np.concatenate([edge, *(video[n] for n in SHEET_FRAMES)], axis=1))
    half = len(rows) // 2
    columns = [np.concatenate(part) for part in (rows[:half], rows[half : 2 * half])] if half else rows
    Image.fromarray(np.concatenate(columns, axis=1)).save(path)


def _png(picture: Frames) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def main() -> None:
    """Measure and print."""
    options = _options()
    names = (
        "guidance_scale",
        "guidance_scale_2",
        "steps",
        "flow_shift",
        "quantization",
        "preset",
        "loras",
        "step_cache",
    )
    fields = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    told = {name: getattr(options, name) for name in ("vary", "seed", "ground", "later")}
    wanted = cases(options.kind, options.prompts, **told)
    sent = list(shots(options.kind, wanted, fields))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as home:
        run = Direct(options.only) if options.only else Served(Path(home))
        videos = list(run(sent))
    result = {"kind": options.kind, "prompts": len(wanted), **score(wanted, videos)}
    result["seconds_each"] = round((time.perf_counter() - began) / len(wanted), 2)
    if run.passes:
        result["spared"] = round(sum(each.spared for each in run.passes) / sum(each.total for each in run.passes), 3)
    print(json.dumps(result))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        sheet(wanted, videos, options.out / f"{options.kind}.png")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=MODELS)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vary", action="store_true", help="other wordings, not only the plainest")
    parser.add_argument("--later", action="store_true", help="what the world gained")
    parser.add_argument("--guidance", dest="guidance_scale", type=float)
    parser.add_argument("--guidance-2", dest="guidance_scale_2", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--shift", dest="flow_shift", type=float)
    parser.add_argument("--quantization", choices=get_args(Quantization), help="as in a request")
    parser.add_argument("--only", choices=("high", "low"), help="one expert at all noise levels")
    parser.add_argument("--step-cache", action=argparse.BooleanOptionalAction, help="as in a request")
    parser.add_argument("--lora", dest="loras", help="by its name")
    parser.add_argument("--preset", help="as in a request")
    parser.add_argument("--ground", choices=(*GROUNDS, SUNSET), help="the only ground that is asked for")
    parser.add_argument("--out", type=Path, help="a folder for the contact sheet")
    return parser.parse_args()


if __name__ == "__main__":
    main()
