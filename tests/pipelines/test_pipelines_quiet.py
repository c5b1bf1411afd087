"""The libraries' bars and warnings stay out of the server's log."""

from __future__ import annotations

import subprocess
import sys

FIRST_TASK = """
import sys
from pathlib import Path
from wan22.pipelines.demo import build_demo
from wan22.tasks import ModelType

build_demo(ModelType.I2V_A14B, Path(sys.argv[1]))

from pipelines_kit import ask, frames_of, latents_of, load_from, PICTURE

model = load_from(Path(sys.argv[1]), ModelType.I2V_A14B)
frames_of(model, latents_of(model, ask(ModelType.I2V_A14B), PICTURE))
"""


def test_a_process_says_nothing_from_the_first_build_to_the_last_frame(tmp_path) -> None:
    """In a fresh one: some warnings come once, at the first import."""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{FIRST_TASK}", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
