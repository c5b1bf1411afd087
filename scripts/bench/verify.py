"""How long `wan22 models verify MODEL --quick` takes on a tree as large as a real model's.

    python scripts/bench/verify.py [--size 40GB] [--rounds 3]

Makes the files of T2V-A14B in a temporary folder, with real numbers of shards and tensors, and true headers over
contents that are sparse and take no room on disk. Runs the command against a loopback hub that lists them: start of
Python, listing and all. Then cuts a byte off one file. Ends with 1 if it takes over two seconds, finds anything wrong
before, or nothing after.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # the loopback hub lives beside the tests

# found by the line above, which mypy does not run
from support.loopback_hub import Bytes, LoopbackHub  # type: ignore[import-not-found]  # noqa: E402
from support.weight_files import write_sparse  # type: ignore[import-not-found]  # noqa: E402

from wan22.models.catalogue import SPECS  # noqa: E402
from wan22.models.specs import OFFICIAL  # noqa: E402
from wan22.tasks import ModelType  # noqa: E402

UNITS = {"MB": 1_000_000, "GB": 1_000_000_000}
MAX_S = 2.0
SPEC = SPECS[ModelType.T2V_A14B]
REPOSITORY = "Wan-AI/Wan2.2-T2V-A14B-Diffusers"
SHARDS = {"transformer": (12, 1_095), "transformer_2": (12, 1_095), "text_encoder": (3, 242), "vae": (1, 194)}
"""Files and tensors of each component in that repository."""
SHARE = {"transformer": 0.45, "transformer_2": 0.45, "text_encoder": 0.09, "vae": 0.01}
SMALL = {
    "tokenizer": ("tokenizer_config.json", "special_tokens_map.json", "tokenizer.json", "spiece.model"),
    "scheduler": ("scheduler_config.json",),
}


@dataclass(frozen=True)
class Listed:
    """A file that the hub lists and never sends."""

    size: int
    sha256: str = "0" * 64

    def read(self, start: int, end: int) -> bytes:
        """What nobody asks for."""
        raise AssertionError("a quick verification fetches nothing")


def make(folder: Path, size: int, hub: LoopbackHub) -> list[Path]:
    """The whole tree; gives its weight files."""
    small = {"model_index.json": b'{"transformer": ["diffusers", "WanTransformer3DModel"]}'}
    small |= {f"{name}/{file}": b"{}\n" for name in SPEC.components for file in SMALL.get(name, ("config.json",))}
    for path, data in small.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        hub.put(path, Bytes(data), lfs=False)
    return [path for name in SHARDS for path in make_component(folder, name, int(size * SHARE[name]), hub)]


def make_component(folder: Path, name: str, size: int, hub: LoopbackHub) -> list[Path]:
    """Its shards, each with an equal share of the bytes and the tensors."""
    count, tensors = SHARDS[name]
    numbers = size // 2 // tensors  # bf16
    paths = []
    for shard in range(count):
        path = folder / name / f"model-{shard + 1:05}-of-{count:05}.safetensors"
        inside = {f"blocks.{number}.weight": ("BF16", (numbers,)) for number in range(shard, tensors, count)}
        hub.put(path.relative_to(folder).as_posix(), Listed(write_sparse(path, inside)))
        paths.append(path)
    return paths


@dataclass(frozen=True)
class Ended:
    """One command: seconds by the clock, seconds that a core worked for it, exit code, and what it said."""

    took_s: float
    cpu_s: float
    code: int
    said: str


def verify(home: Path, hub: LoopbackHub) -> Ended:
    """Run the command."""
    environment = {**os.environ, "WAN22_HOME": str(home), "WAN22_DOWNLOAD__HUB": hub.endpoint, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "wan22", "models", "verify", "t2v-a14b", "--quick"]
    began, worked = time.perf_counter(), os.times()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    took_s, now = time.perf_counter() - began, os.times()
    cpu_s = now.children_user + now.children_system - worked.children_user - worked.children_system
    return Ended(took_s, cpu_s, ended.returncode, ended.stdout + ended.stderr)


def bytes_of(text: str) -> int:
    """The number in `40GB` or `200MB`."""
    unit = text[-2:].upper()
    return int(float(text[:-2]) * UNITS[unit]) if unit in UNITS else int(text)


def main() -> int:
    """Make, measure, damage, measure; 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=bytes_of, default="40GB", help="of the model, as 40GB")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, LoopbackHub(repository=REPOSITORY) as hub:
        home = Path(name)
        weights = make(home / "models" / SPEC.slug / OFFICIAL, arguments.size, hub)
        files = sum(path.is_file() for path in home.rglob("*"))
        print(f"{sum(path.stat().st_size for path in weights):,} bytes in {files} files")
        rounds = [verify(home, hub) for _ in range(arguments.rounds)]
        os.truncate(weights[-1], weights[-1].stat().st_size - 1)
        damaged = verify(home, hub)
    best = min(rounds, key=lambda one: one.took_s)
    print(f"verified with --quick in {best.took_s:.1f} s, the best of {len(rounds)} (at most {MAX_S:.0f} s)")
    print(f"of these a core worked {best.cpu_s:.1f} s; other programs had the rest")
    wrong = [one.said for one in rounds if one.code]
    print(f"of the whole tree it said: {wrong[0].strip() if wrong else 'whole'}")
    print(f"of one file that is a byte short: {damaged.said.strip().splitlines()[0]}")
    return int(best.took_s > MAX_S or bool(wrong) or not damaged.code)


if __name__ == "__main__":
    sys.exit(main())
