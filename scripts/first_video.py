"""The quickstart's steps: environment, server, a first video through it, and where everything is to be found."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from commands import RealCommands, SetupFailed
from environment import Checkout, Setup, prepare
from gpu import find_gpu
from server import Server, free_port, last_words, running

ROOT = Path(__file__).resolve().parent.parent
PROMPT = "a red circle moving right on a blue background"  # which the demo weights know, and the real ones too
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the steps; the exit code."""
    options = _options(argv)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # SIGINT, too: a shell starts background programs deaf to it
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), _interrupt)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # a terminal that lacks a letter of a path
    try:
        return run(options)
    except SetupFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED


def run(options: argparse.Namespace) -> int:
    """Environment, server, video; then wait for Ctrl+C unless --once."""
    commands = RealCommands(ROOT)
    python = prepare(Setup(Checkout(ROOT), commands, _say, find_gpu(commands)))
    port, log = options.port or free_port(), ROOT / "build" / "server.log"
    serve = [str(python), "-m", "wan22", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running(serve, port=port, log=log, say=_say) as server:
        video = generate(python, server, options)
        for line in addresses(server.url, video):
            print(line)
        if options.once:
            print(video, flush=True)
            return 0
        return keep(server, log)


def generate(python: Path, server: Server, options: argparse.Namespace) -> Path:
    """The first video, made by the server; the progress bar is the command line's own.

    Raises SetupFailed if there is none; the command has said why by then.
    """
    args = [str(python), "-m", "wan22", "generate", options.prompt, "--server", server.url]
    args += ["--output", str(ROOT / "first-video.mp4"), "--force"]
    args += ["--model", options.model] if options.model else []
    _say(f"Making a first video: {options.prompt}")
    ended = subprocess.run(args, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace", check=False)
    if ended.returncode == INTERRUPTED:
        raise KeyboardInterrupt
    if ended.returncode or not ended.stdout.strip():
        raise SetupFailed("The first video was not made; the reason stands above. Cure it and start again.")
    return Path(ended.stdout.splitlines()[-1])


def addresses(url: str, video: Path) -> list[str]:
    """What to say once there is a video."""
    return [
        "",
        f"  first video  {video}",
        f"  dashboard    {url}/api/v1/dashboard/html",
        f"  API          {url}/docs",
        "",
    ]


def keep(server: Server, log: Path) -> int:
    """Serve until Ctrl+C, or until the server ends by itself, which is a fault."""
    if server.process is None:
        print(f"The server at {server.url} was running before and goes on.")
        return 0
    print("Serving. Stop with Ctrl+C.", flush=True)
    try:
        server.process.wait()
    except KeyboardInterrupt:
        print("\nStopping the server.", flush=True)
        return 0
    raise SetupFailed(f"The server ended by itself. The last lines of {log}:\n{last_words(log)}")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="quickstart.py", description="Install WAN22 into .venv, start its server and make a first video."
    )
    parser.add_argument("--prompt", default=PROMPT, help="what the video shows (default: %(default)s)")
    parser.add_argument("--model", help="T2V-A14B or TI2V-5B (default: the server chooses)")
    parser.add_argument("--port", type=int, default=8000, help="where the server listens; 0 picks a free port")
    parser.add_argument("--once", action="store_true", help="stop after the video; its path is the last line of stdout")
    return parser.parse_args(argv)


def _say(line: str) -> None:
    print(f"-> {line}", flush=True)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """End as after Ctrl+C, so that the server is stopped, too."""
    raise KeyboardInterrupt
