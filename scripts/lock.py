"""Writes `constraints.txt` beside it: the exact version of everything that the project needs, direct or not.

    python scripts/lock.py             keeps the versions that stand there; adds and drops what pyproject.toml changed
    python scripts/lock.py --upgrade   takes the newest of everything but torch, whose pin is moved by hand

The resolving is uv's, which does it for all Pythons and systems at once; it is installed for the moment only.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from commands import RealCommands, SetupFailed

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
UV = "uv==0.13.9"
# A CUDA build of torch pins what it needs below it by itself, and every build pins something else.
LEFT_TO_TORCH = re.compile(r"(?:nvidia-(?!ml-py)|cuda-|triton\b)")
HEAD = """\
# The exact version of every package that WAN22 needs, direct or not, its tests included: two installations are equal.
# Written by `python scripts/lock.py` (there is what it does); used by scripts/quickstart.py, scripts/test.py and the
# Dockerfile. It is here and not in configs/ because configs/ is what `wan22 serve --config` reads.
# torch stands without a local version, so that CPU and CUDA builds both fit; a CUDA build itself pins what is below it.
# Where a package's newest version has left an old Python, a marker keeps the last one that had not.
"""


def main() -> int:
    """Write the file; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest of everything but torch")
    upgrade = parser.parse_args().upgrade
    try:
        with tempfile.TemporaryDirectory() as folder:
            CONSTRAINTS.write_text(HEAD + tidied(_resolved(Path(folder), upgrade=upgrade)), "utf-8")
    except SetupFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def tidied(resolved: str) -> str:
    """uv's answer without what torch pins by itself, without browsers' Python, its reasons without padding."""
    lines = [re.sub(r"  +# via", "  # via", line) for line in resolved.splitlines()]
    kept = [line for line in lines if not LEFT_TO_TORCH.match(line) and "== 'emscripten'" not in line]
    return "".join(f"{line}\n" for line in kept)


def _resolved(folder: Path, *, upgrade: bool) -> str:
    commands, answer, extra = RealCommands(ROOT), folder / "answer.txt", folder / "extra.in"
    torch = re.search(r"^torch==\S+", CONSTRAINTS.read_text("utf-8"), re.MULTILINE)
    if not torch:
        raise SetupFailed(f"{CONSTRAINTS} pins no torch: write the line torch==VERSION into it first.")
    shutil.copy(CONSTRAINTS, answer)  # uv keeps the versions that it finds in its output
    extra.write_text(f"pip\n{torch[0]}\n", "utf-8")  # pip, because environment.py brings it to this version, too
    tool = [sys.executable, "-m", "venv", str(folder / "uv")]
    python = str(folder / "uv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    options = ["--extra", "test", "--universal", "--python-version", "3.10", "--no-python-downloads"]
    style = ["--no-header", "--annotation-style", "line", "--quiet", "-o", str(answer)]
    compile_ = ["pip", "compile", "pyproject.toml", str(extra), *options, *style, *(["--upgrade"] if upgrade else [])]
    for command in (tool, [python, "-m", "pip", "install", "--quiet", UV], [python, "-m", "uv", *compile_]):
        if not commands.do(command).ok:
            raise SetupFailed(f"This failed: {' '.join(command)}. The cause stands above; the file is unchanged.")
    return answer.read_text("utf-8").replace(f"-r {extra}", "scripts/lock.py")


if __name__ == "__main__":
    sys.exit(main())
