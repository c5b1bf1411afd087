"""The libraries' bars and warnings stay out of the server's log."""

from __future__ import annotations

import subprocess
import sys

from pipelines_kit import I2V

FIRST_TASK = """
import sys
from pathlib import Path
from pipelines_kit import I2V, PICTURE, ask, frames_of, latents_of, load_from

model = load_from(Path(sys.argv[1]), I2V)
frames_of(model, latents_of(model, ask(I2V), PICTURE))
"""


def test_a_process_says_nothing_from_loading_to_the_last_frame(demos) -> None:
    """In a fresh one: some warnings come once, at the first import."""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{FIRST_TASK}", str(demos(I2V))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
