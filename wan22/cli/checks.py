"""What `doctor` looks at on this machine, one function for each; the models have `model_checks`.

Each check looks at one thing, never raises and never changes anything that stays.
"""

from __future__ import annotations

import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing

from wan22.cli.address import answers, configured_url
from wan22.cli.finding import GB, Finding, fail, failed_by, ok, warn
from wan22.errors import EncoderFailed
from wan22.hardware.machine import Machine
from wan22.media import ffmpeg
from wan22.settings import Settings
from wan22.store.schema import OLDEST_SQLITE

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)
LOW_DISK_BYTES = 20 * GB
LOW_RAM_BYTES = 8 * GB
TORCH_TIMEOUT_S = 120
_ASK_TORCH = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"


def check_python() -> Finding:
    """The interpreter."""
    version = platform.python_version()
    text = f"Python {version}, {platform.machine()}"
    if sys.version_info[:2] < OLDEST_PYTHON or sys.maxsize < 2**32:
        return fail("python", f"{text} is too old or 32-bit", "Install a 64-bit Python 3.10 to 3.13.")
    if sys.version_info[:2] > NEWEST_PYTHON:
        return warn("python", f"{text} is newer than what WAN22 is tested with", "Use Python 3.10 to 3.13.")
    return ok("python", text)


def check_torch(machine: Machine) -> Finding:
    """PyTorch, asked in a process of its own, since a broken one can take its process down."""
    if machine.torch_version is None:
        return fail("torch", "PyTorch is not installed", "Install WAN22 again with `pip install .`; it brings PyTorch.")
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=TORCH_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return fail("torch", f"PyTorch could not be started: {error}", "Install PyTorch again.")
    return judge_torch(machine, asked.stdout.split(), asked.stderr)


def judge_torch(machine: Machine, answer: list[str], complaint: str) -> Finding:
    """The finding behind what PyTorch said: its version, its CUDA version or None, and whether CUDA works."""
    if len(answer) != 3:
        last = (complaint.strip().splitlines() or ["no reason given"])[-1]
        return fail("torch", f"PyTorch {machine.torch_version} can't be imported: {last}", "Install PyTorch again.")
    version, cuda, works = answer
    text = f"PyTorch {version}, " + (f"built for CUDA {cuda}" if cuda != "None" else "built for CPU")
    if machine.gpus and cuda == "None":
        cure = "Replace it by a CUDA build: the Get Started page of pytorch.org has the command for this system."
        return warn("torch", f"{text}, though there is a GPU: everything would run on the CPU", cure)
    if machine.gpus and works != "True":
        return warn("torch", f"{text}, but CUDA does not work", "Update the NVIDIA driver, then restart the machine.")
    return ok("torch", text)


def check_gpus(machine: Machine) -> Iterator[Finding]:
    """Every NVIDIA GPU with its memory."""
    if not machine.gpus:
        yield warn(
            "gpu",
            "no NVIDIA GPU was found: the demo weights run on the CPU, the real ones would take hours",
            "If there is one, install its driver; `nvidia-smi` must list it.",
        )
    for gpu in machine.gpus:
        total, free = gpu.vram_total_bytes / GB, gpu.vram_free_bytes / GB
        slot = f", PCIe {gpu.pcie[0]}.0 with {gpu.pcie[1]} lanes" if gpu.pcie else ""
        text = f"{gpu.name}, {total:.1f} GB of VRAM, {free:.1f} GB free, driver {gpu.driver or 'unknown'}{slot}"
        name = f"gpu {gpu.index}"
        if gpu.vram_free_bytes < gpu.vram_total_bytes / 2:
            yield warn(name, text, "More than half of the VRAM is in use: close other programs before a generation.")
        elif gpu.pcie and gpu.pcie[1] < 8:
            yield warn(name, text, "So few lanes are slow to stream weights over: use a slot with 16, if there is one.")
        else:
            yield ok(name, text)


def check_sysmem_fallback(machine: Machine) -> Iterator[Finding]:
    """Windows drivers from 546.01 on: CUDA may spill into RAM and become very slow, with no error."""
    if machine.os.casefold().startswith("windows") and machine.gpus:
        yield warn(
            "sysmem fallback",
            "Windows may move VRAM into RAM in place of an out-of-memory error, which makes a run many times slower",
            f"NVIDIA Control Panel, Manage 3D settings, Program settings, {sys.executable}: set 'CUDA - Sysmem "
            "Fallback Policy' to 'Prefer No Sysmem Fallback'.",
        )


def check_memory(machine: Machine) -> Finding:
    """RAM."""
    total, available = machine.ram_total_bytes / GB, machine.ram_available_bytes / GB
    text = f"{total:.1f} GB of RAM, {available:.1f} GB available"
    if machine.swap_bytes is not None:
        text += f", {machine.swap_bytes / GB:.1f} GB of swap"
    if machine.numa_nodes > 1:
        text += f", in {machine.numa_nodes} NUMA nodes"
    if machine.ram_available_bytes < LOW_RAM_BYTES:
        return warn("memory", text, "Close other programs: with less than 8 GB even small models may not fit.")
    return ok("memory", text)


def check_home(settings: Settings) -> Finding:
    """The home: can be written, and has room."""
    home = settings.storage.home
    place = next((parent for parent in (home, *home.parents) if parent.exists()), home)
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        return fail("home", f"{home} can't be written: {error}", "Choose another with --home or WAN22_HOME.")
    text = f"{home}, {free / GB:.1f} GB free"
    if free < settings.storage.min_free_bytes:
        return fail("home", text, "Free space: new tasks are refused with less than storage.min_free_bytes.")
    if free < LOW_DISK_BYTES:
        return warn("home", text, "Free space, or choose a larger disk with --home or WAN22_HOME.")
    return ok("home", text)


def check_ffmpeg() -> Finding:
    """ffmpeg and the encoders that outputs need."""
    try:
        found = ffmpeg.check_ffmpeg()
    except EncoderFailed as error:
        return failed_by("ffmpeg", error)
    if found.missing:
        return fail("ffmpeg", f"{found.path} lacks {', '.join(found.missing)}", ffmpeg.CURE)
    return ok("ffmpeg", f"ffmpeg {found.version} with {', '.join(ffmpeg.NEEDED_ENCODERS)}")


def check_sqlite() -> Finding:
    """The SQLite that Python was built with."""
    text = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        return fail("sqlite", f"{text} is too old", f"Use a Python that comes with SQLite {oldest} or newer.")
    return ok("sqlite", text)


def check_port(settings: Settings) -> Finding:
    """The port that the server would listen on."""
    host, port = settings.server.host, settings.server.port
    try:
        with closing(socket.create_connection((host, port), timeout=2)):
            taken = True
    except OSError:
        taken = False
    if not taken:
        return ok("port", f"{port} on {host} is free")
    if answers(configured_url(settings), settings):
        return ok("port", f"a WAN22 server answers on {host}:{port}")
    return warn("port", f"another program listens on {host}:{port}", "Choose another port with --port.")


def check_ipv6() -> Finding:
    """Whether ::1 can be listened on."""
    try:
        with closing(socket.socket(socket.AF_INET6, socket.SOCK_STREAM)) as trial:
            trial.bind(("::1", 0))
    except OSError:
        cure = "Write 127.0.0.1 in place of localhost in URLs: some clients wait for ::1 first."
        return warn("ipv6", "this machine has no IPv6 loopback", cure)
    return ok("ipv6", "::1 can be listened on")
