"""Fakes that ship, for tests and for trying a client out: a painter for the model, and NVIDIA's library."""

from wan22.testing.nvml import Card, FakeNvml
from wan22.testing.painter import Painter

__all__ = ["Card", "FakeNvml", "Painter"]
