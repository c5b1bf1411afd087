"""What the download engine promises, measured against a loopback hub: wrong bytes, bytes fetched twice, throughput.

    python scripts/bench/download.py [--size 2GB] [--kills 20] [--rounds 3]

The model is four files of bytes that are made as they are asked for. It is fetched once for each fault of a list, with
a mirror beside the hub; then by a process that is killed again and again, where every byte that the hub sent counts,
also what was lost on the way; then as fast as it goes, in turns with a bare streamed GET that is hashed and written
nowhere, and with one that is written and synced. The first is compared with a download into memory, where the system
has a folder of it: a disk may be slower than either. Server and downloads share the machine's cores. Ends with 1 if a
bound does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # the loopback hub lives beside the tests

# found by the line above, which mypy does not run
from support.loopback_hub import COMMIT, REPOSITORY, Fault, LoopbackHub  # type: ignore[import-not-found]  # noqa: E402

from wan22.models.download import Download, Hub, HubSource, MirrorSource, Options, Source, choose, make_plan  # noqa: E402

FILES = 4
LINE_S = 60  # for the whole model through kills: a line slower than the disk, so that no bytes wait in sockets
BLOCK = 1 << 20
UNITS = {"KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
MAX_TWICE = 0.01
MIN_RATIO = 0.8
STALL_S = 1.0
SHM = Path("/dev/shm")
BARE, KEPT = "a GET, hashed and kept nowhere", "a GET, hashed, written and synced"
OURS, IN_MEMORY = "ours", "ours, into memory"


class Made:
    """A file's content: one random block over and over, each with its number in front."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._block = random.Random(seed).randbytes(BLOCK)
        digest = hashlib.sha256()
        for start in range(0, size, BLOCK):
            digest.update(self.read(start, min(start + BLOCK, size)))
        self.sha256 = digest.hexdigest()

    def read(self, start: int, end: int) -> bytes:
        """Bytes from `start` to `end`."""
        pieces = []
        while start < end:
            number, offset = divmod(start, BLOCK)
            piece = self._block[offset : min(BLOCK, offset + end - start)]
            head = number.to_bytes(8, "big")[offset : offset + len(piece)]
            pieces += [head, piece[len(head) :]]
            start += len(piece)
        return b"".join(pieces)


def faults(size: int) -> dict[str, tuple[Fault | None, Fault | None]]:
    """By name: the fault of the hub and that of the mirror; each file is `size` bytes."""
    third = size // 3
    return {
        "none": (None, None),
        "hub cuts": (Fault(cut_after=third), None),
        "hub and mirror cut": (Fault(cut_after=third), Fault(cut_after=third)),
        "hub stalls": (Fault(stall_after=third), None),
        "429 for a second": (Fault(status=429, retry_after="1", times=2), Fault(status=404)),
        "503 and no word": (Fault(status=503, times=2), Fault(status=503, times=2)),
        "hub wrong": (Fault(wrong_bytes=True), None),
        "mirror wrong in the middle": (Fault(cut_after=third, times=FILES), Fault(wrong_bytes=True)),
        "hub wrong, then cuts": (Fault(wrong_bytes=True, cut_after=third), None),
        "ranges ignored": (Fault(cut_after=third, times=FILES), Fault(ignore_range=True)),
        "headers missing": (Fault(without=("ETag", "X-Repo-Commit", "X-Linked-Etag"), cut_after=third), None),
        "hub redirects to nowhere": (Fault(redirect_to="http://127.0.0.1:1/"), None),
    }


def child(mode: str, endpoint: str, *rest: str) -> None:
    """What runs in a process of its own: prints the seconds that it took, without its start."""
    logging.disable()  # what goes wrong is what is asked for
    began = time.perf_counter()
    if mode == "bare":
        bare(endpoint, rest)
    elif mode == "kept":
        bare(endpoint, rest[1:], Path(rest[0]))
    else:
        download(endpoint, Path(rest[0]), mirror=rest[1], parallel=int(rest[2]))
    print(json.dumps(time.perf_counter() - began))


def bare(endpoint: str, paths: tuple[str, ...], target: Path | None = None) -> None:
    """Stream the files one after another and hash them; with `target`, write and sync them, too."""
    with httpx.Client(follow_redirects=True) as client:
        for path in paths:
            digest, url = hashlib.sha256(), f"{endpoint}/{REPOSITORY}/resolve/{COMMIT}/{path}"
            with client.stream("GET", url) as response, ExitStack() as closing:
                file = closing.enter_context((target / Path(path).name).open("wb", 0)) if target else None
                for chunk in response.iter_raw():
                    digest.update(chunk)
                    if file:
                        file.write(chunk)
                if file:
                    os.fsync(file.fileno())


def download(endpoint: str, target: Path, *, mirror: str, parallel: int = FILES) -> None:
    """Our own way, from the hub and the mirror."""
    hub = HubSource(REPOSITORY, endpoint)
    sources: list[Source] = [hub, *([MirrorSource(REPOSITORY, mirror)] if mirror else [])]
    listing = Hub(hub).find_listing("main", target)
    Download(make_plan(listing, choose(listing), target), sources, Options(parallel=parallel, stall_s=STALL_S)).run()


def start(*arguments: str) -> subprocess.Popen[str]:
    """A child of this script."""
    return subprocess.Popen([sys.executable, __file__, "--child", *arguments], stdout=subprocess.PIPE, text=True)


def seconds(*arguments: str) -> float:
    """What a child says it took."""
    process = start(*arguments)
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return float(json.loads(said))


def server_of(model: dict[str, Made], fault: Fault | None = None) -> LoopbackHub:
    """A hub or a mirror that has the model, with that fault on each file by itself."""
    server = LoopbackHub()
    for path, content in model.items():
        server.put(path, content)
    if fault is not None:
        server.fault("*", fault)
    return server


def wrong_bytes(target: Path, model: dict[str, Made]) -> int:
    """Bytes of files that have their name and not their content."""
    named = {path: target / path for path in model if (target / path).exists()}
    return sum(there.stat().st_size for path, there in named.items() if sha256_of(there) != model[path].sha256)


def sha256_of(path: Path) -> str:
    """In hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def through_faults(model: dict[str, Made], folder: Path) -> int:
    """Fetch the model once for each fault; gives the wrong bytes that were accepted."""
    accepted = 0
    for name, (on_hub, on_mirror) in faults(next(iter(model.values())).size).items():
        with server_of(model, on_hub) as hub, server_of(model, on_mirror) as mirror:
            took_s = seconds("download", hub.endpoint, str(folder / "faults"), mirror.endpoint, str(FILES))
            sent = hub.sent() + mirror.sent()
        wrong = wrong_bytes(folder / "faults", model)
        accepted += wrong
        share = sent / sum(content.size for content in model.values())
        print(f"  {name:28} {took_s:6.1f} s, sent {share:5.2f} times, wrong bytes accepted {wrong}")
        shutil.rmtree(folder / "faults")
    return accepted


def through_kills(model: dict[str, Made], folder: Path, kills: int) -> tuple[float, int]:
    """Kill the download at random moments; gives the share of bytes that were sent twice, and the wrong bytes."""
    size, target = sum(content.size for content in model.values()), folder / "kills"
    with server_of(model, Fault(bytes_per_s=size // FILES // LINE_S)) as hub:
        for mark in sorted(random.Random(3).sample(range(size), kills)):
            process = start("download", hub.endpoint, str(target), "", str(FILES))
            while hub.sent() < mark and process.poll() is None:
                time.sleep(0.002)
            process.kill()
            process.communicate()
        seconds("download", hub.endpoint, str(target), "", str(FILES))
        twice = (hub.sent() - size) / size
    wrong = wrong_bytes(target, model)
    shutil.rmtree(target)
    return twice, wrong


def at_full_speed(model: dict[str, Made], folder: Path, rounds: int) -> dict[str, float]:
    """Median bytes per second of each way, in turns."""
    size = sum(content.size for content in model.values())
    with server_of(model) as hub, ExitStack() as closing:
        disk, memory = str(folder / "speed"), in_memory(size, closing)
        ways = {BARE: ("bare", hub.endpoint, *model), KEPT: ("kept", hub.endpoint, disk, *model)}
        ways |= {OURS: ("download", hub.endpoint, disk, "", str(FILES))}
        ways |= {"ours, one file at a time": ("download", hub.endpoint, disk, "", "1")}
        ways |= {IN_MEMORY: ("download", hub.endpoint, memory, "", str(FILES))} if memory else {}
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                Path(disk).mkdir()
                took[name].append(seconds(*way))
                for place in filter(None, (disk, memory)):
                    shutil.rmtree(place, ignore_errors=True)
    return {name: size / statistics.median(times) for name, times in took.items()}


def in_memory(size: int, closing: ExitStack) -> str | None:
    """A folder in the memory file system that Linux has, if it takes so many bytes twice over."""
    if not SHM.is_dir() or shutil.disk_usage(SHM).free < 2 * size:
        return None
    return str(Path(closing.enter_context(tempfile.TemporaryDirectory(dir=SHM))) / "speed")


def bytes_of(text: str) -> int:
    """The number in `2GB` or `200MB`."""
    unit = text[-2:].upper()
    return int(float(text[:-2]) * UNITS[unit]) if unit in UNITS else int(text)


def main() -> int:
    """Run the three parts; 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=bytes_of, default="2GB", help="of the model, as 200MB or 2GB")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return 0
    return judge(arguments)


def judge(arguments: argparse.Namespace) -> int:
    """Measure, print, and compare with the bounds."""
    model = {f"transformer/{number}.safetensors": Made(arguments.size // FILES, number) for number in range(FILES)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{arguments.size:,} bytes in {FILES} files, once for each fault:")
        wrong = through_faults(model, folder)
        twice, wrong_after_kills = through_kills(model, folder, arguments.kills)
        speed = at_full_speed(model, folder, arguments.rounds)
    wrong += wrong_after_kills
    ratios = {OURS: speed[OURS] / speed[KEPT]}
    if IN_MEMORY in speed:
        ratios[IN_MEMORY] = speed[IN_MEMORY] / speed[BARE]
    print(f"wrong bytes accepted: {wrong} (must be 0)")
    print(f"fetched twice after {arguments.kills} kills: {twice:.2%} (at most {MAX_TWICE:.0%})")
    for way, bytes_per_s in speed.items():
        print(f"{way}: {bytes_per_s / 1e6:.0f} MB/s, {bytes_per_s / speed[BARE]:.2f} of the first")
    for way, ratio in ratios.items():
        print(f"throughput, {way}: {ratio:.2f} of a GET with sha256 that does the same (at least {MIN_RATIO})")
    return int(wrong > 0 or twice > MAX_TWICE or min(ratios.values()) < MIN_RATIO)


if __name__ == "__main__":
    sys.exit(main())
