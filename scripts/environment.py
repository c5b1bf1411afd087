"""Makes the checkout's virtual environment, `.venv`, and keeps it equal to `constraints.txt`. Starts nothing in it.

A stamp in the environment says what it was made from; while that holds, preparing it again takes no time. Which torch
goes into it is decided in `torch_build`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from commands import Commands, SetupFailed
from gpu import Gpu
from interpreter import why_unfit
from torch_build import Choice, Present, asker, choose, find_present, serves

IMPORTS = "from diffusers import AutoencoderKLWan, WanPipeline; from transformers import UMT5EncoderModel"
# pip may be set to install into the user's own folder, which it refuses inside a virtual environment.
PIP_ENVIRONMENT = {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Checkout:
    """Where things are in a checkout of the project."""

    root: Path

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    @property
    def constraints(self) -> Path:
        """The exact version of every dependency."""
        return self.root / "scripts" / "constraints.txt"

    @property
    def pip_log(self) -> Path:
        """What pip said."""
        return self.venv / "wan22-pip.log"

    @property
    def stamp(self) -> Path:
        """What the environment was made from."""
        return self.venv / "wan22-stamp.json"


@dataclass(frozen=True)
class Stamp:
    """What stands in an environment: the key of what it was made from, and the extras that were installed."""

    key: str = ""
    extras: frozenset[str] = frozenset()

    @classmethod
    def read(cls, file: Path) -> Stamp:
        """The stamp in the file; an empty one, which covers nothing, if none can be read."""
        try:
            stored = json.loads(file.read_text("utf-8"))
            return cls(stored["key"], frozenset(stored["extras"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, file: Path) -> None:
        """Put it into the file."""
        file.write_text(json.dumps({"key": self.key, "extras": sorted(self.extras)}), "utf-8")


@dataclass(frozen=True)
class Setup:
    """One preparation of a checkout's environment: with which extras, by which tools, telling whom."""

    checkout: Checkout
    commands: Commands
    say: Say
    gpu: Gpu | None = None
    extras: frozenset[str] = frozenset()


def prepare(setup: Setup) -> Path:
    """The interpreter of an environment in which the project is installed; installs what is missing.

    Raises SetupFailed with the cure.
    """
    checkout = setup.checkout
    stamp = Stamp.read(checkout.stamp)
    if stamp.key == key_of(setup) and setup.extras <= stamp.extras and _works(setup):
        return checkout.python
    if not _works(setup):
        _make(setup)
    _pip(setup, ["install", "--upgrade", "-c", str(checkout.constraints), "pip", "setuptools"])
    _install_all(setup)
    key = key_of(setup)
    Stamp(key, setup.extras | (stamp.extras if stamp.key == key else frozenset())).write(checkout.stamp)
    return checkout.python


def key_of(setup: Setup) -> str:
    """A hash of all that the environment depends on; another key means that it has to be looked over."""
    checkout, digest = setup.checkout, hashlib.sha256()
    for file in (checkout.root / "pyproject.toml", checkout.constraints, checkout.venv / "pyvenv.cfg"):
        digest.update(file.read_bytes() if file.is_file() else b"")  # pyvenv.cfg names the interpreter and its version
    digest.update(f"{checkout.root}\0{setup.gpu is not None}".encode())  # an editable install knows where it lies
    return digest.hexdigest()


def _works(setup: Setup) -> bool:
    """Whether there is an environment whose Python starts, fits and has pip."""
    ask = [str(setup.checkout.python), "-c", "import sys, pip; print(*sys.version_info[:2])"]
    answer = setup.commands.ask(ask)
    return answer.ok and why_unfit(tuple(int(part) for part in answer.out.split())) is None


def _make(setup: Setup) -> None:
    """A new, empty environment, in the place of one that does not work."""
    venv = setup.checkout.venv
    if venv.exists():
        if any(venv.iterdir()) and not (venv / "pyvenv.cfg").is_file():
            raise SetupFailed(f"{venv} is in the way and is no virtual environment: move it elsewhere and start again.")
        setup.say(f"{venv} no longer works; it is made anew.")
        shutil.rmtree(venv)
    setup.say(f"Making a virtual environment with Python {platform.python_version()} in {venv}")
    answer = setup.commands.ask([sys.executable, "-m", "venv", str(venv)], timeout_s=300)
    if not answer.ok:
        shutil.rmtree(venv, ignore_errors=True)
        raise SetupFailed(_why_no_venv(answer.out + answer.err))


def _why_no_venv(told: str) -> str:
    if "ensurepip" in told:
        return "This Python can't make virtual environments: install its part for that (apt-get install python3-venv)."
    return f"The virtual environment can't be made: {told.strip()[-500:]} Cure that and start again."


def pinned_torch(constraints: str) -> str:
    """The line that pins torch, as `torch==2.13.0`."""
    found = re.search(r"^torch==[\w.]+", constraints, re.MULTILINE)
    if not found:
        raise SetupFailed("scripts/constraints.txt pins no torch: restore the file.")
    return found[0]


def oldest_torch(pyproject: str) -> tuple[int, int]:
    """The oldest torch that the project takes, as pyproject.toml says."""
    found = re.search(r'"torch>=(\d+)\.(\d+)"', pyproject)
    if not found:
        raise SetupFailed("pyproject.toml names no oldest torch: restore the file.")
    return int(found[1]), int(found[2])


def _torch_for(setup: Setup) -> Choice | Present:
    """The torch that is there already, in the environment or around it, if it serves; else what to install."""
    checkout, commands = setup.checkout, setup.commands
    oldest = oldest_torch((checkout.root / "pyproject.toml").read_text("utf-8"))
    own = find_present(commands, str(checkout.python))
    if own:  # one that does not serve is replaced in there: it would hide any around it
        stays = _is_pinned(setup, own) or not _is_inside(own, checkout.venv)
        return own if stays and serves(own.build, setup.gpu, oldest) else _offer(setup)
    around = find_present(commands, sys.executable)
    if around and serves(around.build, setup.gpu, oldest) and not _is_inside(around, checkout.venv):
        return around
    return _offer(setup)


def _offer(setup: Setup) -> Choice:
    """The torch to install."""
    ask = asker(setup.commands, str(setup.checkout.python), _pin(setup), system=platform.system())
    return choose(ask, setup.gpu)


def _pin(setup: Setup) -> str:
    return pinned_torch(setup.checkout.constraints.read_text("utf-8"))


def _is_pinned(setup: Setup, present: Present) -> bool:
    return "torch==" + present.build.version.partition("+")[0] == _pin(setup)


def _is_inside(present: Present, venv: Path) -> bool:
    return venv.resolve() in present.folder.resolve().parents


def _install_all(setup: Setup) -> None:
    """Torch, then the project over it; a torch from around the environment only if the rest goes with it."""
    torch = _torch_for(setup)
    if isinstance(torch, Choice):
        _fetch_torch(setup, torch)
    elif not _is_inside(torch, setup.checkout.venv):
        _install_project(setup, _inherit(setup, torch))
        if setup.commands.ask([str(setup.checkout.python), "-c", IMPORTS], timeout_s=300).ok:
            return
        setup.say(f"The packages in {torch.folder} do not go with WAN22's, so it gets a torch of its own.")
        _path_file(setup).unlink()
        _fetch_torch(setup, _offer(setup))
    _install_project(setup, setup.checkout.constraints)


def _install_project(setup: Setup, constraints: Path) -> None:
    root, extras = str(setup.checkout.root), ",".join(sorted(setup.extras))
    setup.say("Installing WAN22" + (f" with the extra {extras}" if extras else ""))
    # Built with the setuptools that stands here at its pinned version, not with a second one fetched for the moment.
    wish = f"{root}[{extras}]" if extras else root
    _pip(setup, ["install", "--no-build-isolation", "-c", str(constraints), "-e", wish])


def _fetch_torch(setup: Setup, choice: Choice) -> None:
    if choice.warning:
        setup.say(f"WARNING: {choice.warning}")
    setup.say(f"Installing {choice.build.name} from {choice.place.name}")
    _pip(setup, ["install", "--no-deps", *choice.place.options, f"torch=={choice.build.version}"])


def _inherit(setup: Setup, torch: Present) -> Path:
    """Let the environment see the packages around it, which have a torch that serves; the constraints that fit that.

    A path file, not --system-site-packages, because the torch may be in a virtual environment or in the user's folder.
    """
    checkout = setup.checkout
    setup.say(f"Using {torch.build.name} from {torch.folder}")
    _path_file(setup).write_text(f"{torch.folder}\n", "utf-8")
    text = checkout.constraints.read_text("utf-8")
    fitting = checkout.venv / "wan22-constraints.txt"
    fitting.write_text(text.replace(pinned_torch(text), f"torch=={torch.build.version}"), "utf-8")
    return fitting


def _path_file(setup: Setup) -> Path:
    ask = [str(setup.checkout.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(setup.commands.ask(ask).out.strip()) / "wan22-inherited.pth"


def _pip(setup: Setup, args: list[str]) -> None:
    """Run pip in the environment: all it says goes to a file, the larger downloads to the user as well.

    Raises SetupFailed with the end of what it said.
    """
    command = [str(setup.checkout.python), "-m", "pip", *args, "--progress-bar", "off"]

    def tell(line: str) -> None:
        if re.search(r"Downloading .*\([\d.]+ [MG]B\)", line):
            setup.say(f"  {line.strip()}")

    answer = setup.commands.log(command, into=setup.checkout.pip_log, tell=tell, env=PIP_ENVIRONMENT)
    if not answer.ok:
        raise SetupFailed(
            f"pip failed, and said last:\n{answer.out}\nAll it said is in {setup.checkout.pip_log}. Check the network,"
            " the proxy and the free space on the disk, then start again: what is installed stays."
        )
