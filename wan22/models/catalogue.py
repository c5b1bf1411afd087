"""The three models and the variants of their weights as values, and the limits that all models share.

The figures are in `catalogue.toml`, beside this file. Does not look at the disk (`variants`) and judges no request
(`rules`).
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from wan22.models.catalogue_file import Variants, read_catalogue, read_variants
from wan22.models.specs import MAX_AREA, SMALL_AREA, Defaults, ModelSpec, VariantSpec

__all__ = ["MAX_AREA", "SMALL_AREA", "SPECS", "VARIANTS", "Defaults", "ModelSpec", "VariantSpec", "variants_with"]

FPS_CHOICES = (8, 12, 16, 24)

# Sides are even because the usual pixel format of videos, yuv420p, has one colour sample for each 2x2 pixels.
MIN_SIDE = 64  # ours: below, the tokens of the 5B model (32 x 32 pixels each) are a handful
# Ours: what players decode in hardware ends there (H.264 level 5). The models themselves count 1024 tokens an axis
# (rope_max_seq_len), that is 16,384 pixels, far beyond.
MAX_SIDE = 4096

MIN_FRAMES_WITH_LAST_IMAGE = 5  # the first and the last picture need a latent frame each, the second one has 4 frames
DEFAULT_STRENGTH = 0.6  # ours: image to image keeps the layout and changes what the prompt names

_MODELS, VARIANTS = read_catalogue(Path(__file__).parent / "catalogue.toml")
"""By model and name, in the order in which they are preferred."""

SPECS = MappingProxyType({spec.model_type: spec for spec in _MODELS})


def variants_with(folder: Path) -> Variants:
    """The shipped variants and, behind them, those that TOML files in `folder` add. Raises ConfigurationError."""
    return read_variants(folder, SPECS, VARIANTS)
