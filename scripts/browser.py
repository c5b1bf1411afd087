"""Finds Chromium for the browser tests, and installs it where that can be done without asking. Starts no browser."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from commands import Commands

VARIABLE = "WAN22_CHROMIUM"  # names the browser to the tests; set by hand, it goes before what is found
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "microsoft-edge")
PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
CURES = {"darwin": "brew install --cask chromium", "win32": "winget install Google.Chrome"}
CURE = "sudo apt-get install chromium"
APT = (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"])


@dataclass(frozen=True)
class System:
    """What finding a browser depends on."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    which: Callable[[str], str | None] = shutil.which
    is_file: Callable[[str], bool] = lambda path: Path(path).is_file()
    platform: str = sys.platform
    is_root: bool = hasattr(os, "geteuid") and os.geteuid() == 0


def find_chromium(system: System) -> str | None:
    """The path of a Chromium, Chrome or Edge; the one in WAN22_CHROMIUM or none if that is set."""
    named = system.environ.get(VARIABLE)
    if named:
        return named if system.is_file(named) else None
    found = [*(system.which(name) for name in NAMES), *(path for path in PATHS if system.is_file(path))]
    return next((path for path in found if path), None)


def provide_chromium(system: System, commands: Commands, say: Callable[[str], None]) -> str | None:
    """A browser's path, or None. Where root runs this on a Debian-like system, one is installed, and that is said."""
    found = find_chromium(system)
    if found or system.environ.get(VARIABLE) or not (system.is_root and system.which("apt-get")):
        return found
    for command in APT:
        say(f"No Chromium here; the browser tests need it: {' '.join(command)}")
        if not commands.do(command, env={"DEBIAN_FRONTEND": "noninteractive"}).ok:
            return None
    return find_chromium(system)


def how_to_get_chromium(system: System) -> str:
    """What to do where there is none."""
    named = system.environ.get(VARIABLE)
    if named:
        return f"{VARIABLE} names {named}, which is no file: correct it or unset it."
    return f"Install Chromium ({CURES.get(system.platform, CURE)}) or name one in {VARIABLE}."
