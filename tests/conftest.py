"""For all tests: looking into finished files; and torch's threads wait asleep, as test processes share the cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
from support import videos

# Weights that whoever runs the tests has in there would be used: no test may depend on them.
os.environ["HF_HUB_CACHE"] = str(Path(__file__).parent / "no-cache")

from wan22.hardware.process import prepare_process

prepare_process()

# No deadline for an example: on a machine that is busy with something else it would fail what is right.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


@pytest.fixture(scope="session")
def probe_video() -> Callable[[Path], videos.Probe]:
    """Gives (width, height, frames, fps) of a file, its frames counted by decoding."""
    return videos.probe_video


@pytest.fixture(scope="session")
def decode_video() -> Callable[[Path], npt.NDArray[np.uint8]]:
    """Gives all frames of a file, (frames, height, width, 3) RGB."""
    return videos.decode_video
