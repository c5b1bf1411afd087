"""What a conversion promises, measured: memory, time, bytes, and that a killed one ends with the same files.

    python scripts/bench/convert.py [--gb 3] [--kills 3]

The model is a transformer of random weights in fp32 with as many of TI2V-5B's own blocks as `--gb` holds, in files of
1 GB, in a temporary folder; the rest of it is the demo's. Each kind is made by a process of its own, in which the
resident memory is looked at every 2 ms: what it had once the libraries were imported is idle, and since nothing is
mapped, all that is touched counts. Then a process is killed (kill -9) again and again and gone on with. The output is
in files of 300 MB here, so that there is something to go on with. Ends with 1 if a bound does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from wan22.models.catalogue import SPECS  # noqa: E402 - found by the line above
from wan22.models.convert import Conversion, make_plan  # noqa: E402 - as above
from wan22.models.convert.layout import KINDS  # noqa: E402 - as above
from wan22.models.demo_weights import SHIPPED  # noqa: E402 - as above
from wan22.pipelines.quiet import be_quiet  # noqa: E402 - as above
from wan22.tasks import ModelType  # noqa: E402 - as above

SPEC = SPECS[ModelType.TI2V_5B]
IN_FILES_OF, OUT_FILES_OF = "1GB", "300MB"
BLOCK_BYTES = 4 * 163_656_704  # one of TI2V-5B's, in fp32
MAX_PEAK_BYTES = 2_000_000_000
LOOK_S = 0.002


def child(source: str, target: str, kind: Any) -> None:
    """What runs in a process of its own: prints how it went."""
    be_quiet()
    from diffusers import WanTransformer3DModel  # noqa: F401 - imported, it counts as idle

    with peak() as most:
        began = time.perf_counter()
        Conversion(make_plan(Path(source), Path(target), kind, max_shard=OUT_FILES_OF)).run()
        took_s = time.perf_counter() - began
    print(json.dumps({"seconds": took_s, "peak": most[0]}))


@contextmanager
def peak() -> Iterator[list[int]]:
    """The most resident bytes while the block runs, beyond those at its start."""
    process, ended, most = psutil.Process(), threading.Event(), [0]
    idle = process.memory_info().rss

    def look() -> None:
        while not ended.wait(LOOK_S):
            most[0] = max(most[0], process.memory_info().rss - idle)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def make_model(folder: Path, gb: float) -> None:
    """The model, with a block of the real size for every 0.65 GB."""
    shutil.copytree(SHIPPED / SPEC.slug, folder, ignore=shutil.ignore_patterns("transformer"))
    config = {**SPEC.transformer, "num_layers": max(1, round(gb * 1e9 / BLOCK_BYTES))}
    (folder / "transformer").mkdir()
    named = json.dumps({**config, "_class_name": "WanTransformer3DModel"})
    (folder / "transformer" / "config.json").write_text(named, "utf-8")
    save_random(config, folder / "transformer")


def save_random(config: dict[str, Any], folder: Path) -> None:
    """Random weights of such a transformer, as diffusers would save them in files of 1 GB; a file at a time."""
    import torch
    from diffusers import WanTransformer3DModel
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.numpy import save_file

    with torch.device("meta"):
        tensors = WanTransformer3DModel.from_config(config).state_dict()
    pattern, draw = "diffusion_pytorch_model{suffix}.safetensors", np.random.default_rng(0)
    split = split_torch_state_dict_into_shards(tensors, max_shard_size=IN_FILES_OF, filename_pattern=pattern)
    for name, keys in split.filename_to_tensors.items():
        save_file({key: draw.standard_normal(tuple(tensors[key].shape), np.float32) for key in keys}, folder / name)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def start(source: Path, target: Path, kind: str) -> subprocess.Popen[str]:
    """A child of this script."""
    command = [sys.executable, __file__, "--child", str(source), str(target), kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def converted(source: Path, target: Path, kind: str) -> dict[str, float]:
    """How a child says that it went."""
    process = start(source, target, kind)
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the conversion to {kind} ended with {process.returncode}")
    answer: dict[str, float] = json.loads(said)
    return answer


def written_bytes(target: Path) -> int:
    """Of the transformer so far, whole files and the one that is being written."""
    return sum(path.stat().st_size for path in (target / "transformer").glob("*.safetensors*"))


def size_of(folder: Path) -> int:
    """Bytes of the transformer's weights."""
    return sum(path.stat().st_size for path in (folder / "transformer").glob("*.safetensors"))


def hashes(target: Path) -> dict[str, str]:
    """Of every file of the model."""
    paths = (path for path in target.rglob("*") if path.is_file() and ".wan22" not in path.parts)
    return {str(path.relative_to(target)): _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def through_kills(source: Path, target: Path, kind: str, *, kills: int, size: int) -> None:
    """Kill the conversion whenever it has written so much, the last time near its end; then let it finish."""
    draw = random.Random(3)
    for mark in sorted(draw.randrange(size // 10, size) for _ in range(kills)):
        process = start(source, target, kind)
        while process.poll() is None and not (target.is_dir() and written_bytes(target) >= mark):
            time.sleep(0.01)
        process.kill()
        process.communicate()
        whole = len(list((target / "transformer").glob("*.safetensors")))
        print(f"  killed after {mark / 1e6:,.0f} MB, with {whole} whole files")
    converted(source, target, kind)


def main() -> int:
    """Measure and print; 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=3, help="of the transformer in fp32")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return 0
    with tempfile.TemporaryDirectory() as name:
        return judge(Path(name), arguments.gb, arguments.kills)


def judge(folder: Path, gb: float, kills: int) -> int:
    """Each kind once, and int8 through kills."""
    be_quiet()
    source, most = folder / "dev", 0.0
    make_model(source, gb)
    before = size_of(source)
    for kind in KINDS:
        went = converted(source, folder / kind, kind)
        most = max(most, went["peak"])
        speed, peak_mb = before / went["seconds"] / 1e6, went["peak"] / 1e6
        sizes = f"{before / 1e9:.2f} GB to {size_of(folder / kind) / 1e9:.2f} GB"
        print(f"{kind}: {sizes} in {went['seconds']:.1f} s, {speed:.0f} MB/s read, {peak_mb:.0f} MB over idle")
    wanted = hashes(folder / "int8")
    through_kills(source, folder / "killed", "int8", kills=kills, size=size_of(folder / "int8"))
    same = hashes(folder / "killed") == wanted
    print(f"after {kills} kills: {len(wanted)} files, {'all the same' if same else 'NOT the same'}")
    print(f"most memory: {most / 1e6:.0f} MB over idle (under {MAX_PEAK_BYTES / 1e6:.0f})")
    return int(not same or most >= MAX_PEAK_BYTES)


if __name__ == "__main__":
    sys.exit(main())
