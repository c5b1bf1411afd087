"""Chooses the build of torch: which one is there already, where others can be had, which of them suits the machine.

Installs nothing: `environment` does. The rule: what is there, if it suits; on a machine with an NVIDIA GPU a CUDA build
that its driver and its card can run; else a CPU build, because a CUDA build is gigabytes that nothing would use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import Commands, SetupFailed
from gpu import Gpu

INDEX = "https://download.pytorch.org/whl/"

# PyTorch's own indexes with CUDA builds of torch 2.13, best first.
CUDA_BUILDS = (
    ("cu130", (13, 0)),  # what the default index has for Linux
    ("cu129", (12, 9)),  # for 50-series cards under a 12.x driver; unsure: announced for 2.13, not seen, so just asked
    ("cu126", (12, 6)),  # for older drivers, and the only one for cards before Turing
)
CUDA_13_CAPABILITY = (7, 5)  # CUDA 13 left out Maxwell, Pascal and Volta
BLACKWELL = ((10, 0), (12, 8))  # cards from this capability on need code from this CUDA on

# Short, because a machine without a way there must not wait: it has other places to ask.
ASKING = ("--timeout", "10", "--retries", "1")


@dataclass(frozen=True)
class Build:
    """A build of torch: its version, and the CUDA that it is made for, None for a CPU build."""

    version: str
    cuda: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """For people."""
        kind = f"for CUDA {self.cuda[0]}.{self.cuda[1]}" if self.cuda else "for the CPU"
        return f"torch {self.version} {kind}"


@dataclass(frozen=True)
class Place:
    """Where pip looks: a name for people, and pip's options."""

    name: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """What to install from where; `warning` says what is wrong with it, if something is."""

    place: Place
    build: Build
    warning: str | None = None


@dataclass(frozen=True)
class Present:
    """A torch that a Python can import, and the folder of packages that it is in."""

    build: Build
    folder: Path


DEFAULT = Place("the package index that pip is set to")
CPU_INDEX = Place("PyTorch's index of CPU builds", ("--index-url", INDEX + "cpu"))

PROBE = """
import json, pathlib, torch
print(json.dumps([torch.__version__, torch.version.cuda, str(pathlib.Path(torch.__file__).parent.parent)]))
"""


def find_present(commands: Commands, python: str) -> Present | None:
    """The torch that `python` can import; None if it has none, or one that can't be imported."""
    answer = commands.ask([python, "-c", PROBE], timeout_s=300)
    if not answer.ok:
        return None
    version, cuda, folder = json.loads(answer.out.splitlines()[-1])
    return Present(Build(version, _pair(cuda or "")), Path(folder))


def runs_on(cuda: tuple[int, int], gpu: Gpu) -> bool:
    """Whether a build for this CUDA runs on the GPU.

    A driver runs every build of its own major version of CUDA and of older ones (NVIDIA's minor-version compatibility).
    What the driver does not say is taken to be in order.
    """
    if gpu.driver_cuda and cuda[0] > gpu.driver_cuda[0]:
        return False
    if gpu.capability and gpu.capability < CUDA_13_CAPABILITY and cuda[0] >= 13:
        return False
    return not (gpu.capability and gpu.capability >= BLACKWELL[0] and cuda < BLACKWELL[1])


def suits(build: Build, gpu: Gpu | None) -> bool:
    """Whether nothing better can be had: a CPU build without a GPU, a CUDA build that runs with one."""
    if gpu is None:
        return build.cuda is None
    return build.cuda is not None and runs_on(build.cuda, gpu)


def serves(build: Build, gpu: Gpu | None, oldest: tuple[int, int]) -> bool:
    """Whether a build that is there already can stay: new enough, and able to use the GPU if there is one.

    A CUDA build on a machine without a GPU serves: its gigabytes are there already.
    """
    return (_pair(build.version) or (0, 0)) >= oldest and (gpu is None or suits(build, gpu))


def places(gpu: Gpu | None) -> list[Place]:
    """Where to ask, in order. The CPU index comes last with a GPU, too: a CUDA build that can't run is no use."""
    cuda = [
        Place(f"PyTorch's index of CUDA {major}.{minor} builds", ("--index-url", INDEX + tag))
        for tag, (major, minor) in CUDA_BUILDS
        if gpu and runs_on((major, minor), gpu)
    ]
    return [DEFAULT, *cuda, CPU_INDEX]


def choose(ask: Callable[[Place], Build | None], gpu: Gpu | None) -> Choice:
    """The first build that suits; failing that a CPU build, failing that any, each with a warning.

    `ask` says what a place would give, None for nothing. Raises SetupFailed if no place has anything.
    """
    offers: list[Choice] = []
    for place in places(gpu):
        build = ask(place)
        if build and suits(build, gpu):
            return Choice(place, build)
        if build:
            offers.append(Choice(place, build))
    if not offers:
        raise SetupFailed("torch can't be had from any index: check the network, or the proxy that pip is set to.")
    second = next((offer for offer in offers if offer.build.cuda is None), offers[0])
    return Choice(second.place, second.build, _warning(second.build, gpu))


def _warning(build: Build, gpu: Gpu | None) -> str:
    if gpu is None:
        return (
            f"No CPU build of torch can be reached, so this takes {build.name}: some gigabytes that nothing here uses."
            f" Open the way to {INDEX}cpu, remove .venv and start again to have the small one."
        )
    driver = f"; its driver is for CUDA {gpu.driver_cuda[0]}.{gpu.driver_cuda[1]}" if gpu.driver_cuda else ""
    return (
        f"No build of torch for this machine's GPU can be reached{driver}. This takes {build.name}, and the GPU stays"
        f" idle: update NVIDIA's driver or open the way to {INDEX}, remove .venv and start again."
    )


def asker(commands: Commands, python: str, requirement: str, *, system: str) -> Callable[[Place], Build | None]:
    """Asks pip what it would install for `requirement`, without fetching the wheel: metadata only.

    `fast-deps` reads the metadata out of the remote wheel where the index does not offer it by itself.
    """
    wish = ["install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--report", "-", requirement]

    def ask(place: Place) -> Build | None:
        args = [python, "-m", "pip", *wish, "--use-feature=fast-deps", *ASKING, *place.options]
        answer = commands.ask(args, timeout_s=300)
        return build_of(json.loads(answer.out), system=system) if answer.ok else None

    return ask


def build_of(report: dict[str, Any], *, system: str) -> Build | None:
    """The build in a report of pip's, told by the version's local part, else by the CUDA packages that it needs."""
    found = [item["metadata"] for item in report["install"] if item["metadata"]["name"] == "torch"]
    if not found:
        return None
    version = str(found[0]["version"])
    local = re.search(r"\+(?:cu(\d+)(\d))?", version)
    if local:
        return Build(version, (int(local[1]), int(local[2])) if local[1] else None)
    return Build(version, _cuda_needed(found[0].get("requires_dist") or [], system))


def _cuda_needed(requirements: Sequence[str], system: str) -> tuple[int, int] | None:
    """The CUDA of the packages that the requirements name for this system (`platform.system()`)."""
    ours = [line for line in requirements if "platform_system" not in line or f'"{system}"' in line]
    exact = [re.match(r"(?:cuda-toolkit|nvidia-cuda-runtime)\b[^=;]*==(\d+)\.(\d+)", line) for line in ours]
    named = [re.match(r"nvidia-[\w-]+-cu(\d+)\b", line) for line in ours]
    for match in filter(None, [*exact, *named]):
        return int(match[1]), int(match[2]) if match.re.groups > 1 else 0
    return None


def _pair(version: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None
