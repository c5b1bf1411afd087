"""Makes the README's moving picture: a few prompts through the server with the demo weights, side by side.

python scripts/bench/demo_gif.py docs/demo.gif
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "bench")]

from demo_runners import Served, Shot  # noqa: E402 - found through the line above

PROMPTS = (
    "a red circle moving right on a blue background",
    "a yellow star rising at night",
    "a purple square shrinking on a green background",
    "a white triangle moving left on a blue background",
    "an orange ball falling in the snow",
    "a blue star growing on a white background",
)
COLUMNS, GAP, MILLISECONDS = 3, 4, 90


def main() -> None:
    """Generate, tile and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    path = parser.parse_args().path
    shared = {"model_type": "T2V-A14B", "width": 224, "height": 128, "num_frames": 17}
    shots = [Shot({**shared, "prompt": prompt, "seed": number}) for number, prompt in enumerate(PROMPTS)]
    with tempfile.TemporaryDirectory() as home:
        videos = list(Served(Path(home))(shots))
    frames = [Image.fromarray(tiled(np.stack([video[n] for video in videos]))) for n in range(len(videos[0]))]
    path.parent.mkdir(exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)
    print(*PROMPTS, sep="\n")


def tiled(pictures: Any) -> Any:
    """Pictures (N, H, W, 3) in rows of COLUMNS, with a white gap between."""
    framed = np.pad(pictures, ((0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    rows = [np.concatenate(framed[n : n + COLUMNS], axis=1) for n in range(0, len(framed), COLUMNS)]
    return np.concatenate(rows)[:-GAP, :-GAP]


if __name__ == "__main__":
    main()
