"""The three models: what they are, which weights are on disk, and what a request means for them.

`catalogue` holds the figures; `variants` finds the weights, with `files` looking into their folders; `resolve` turns a
draft into a request by `rules` and `size`; `geometry` says what is rendered for it. Loads no weights (`pipelines`).
"""

from wan22.models.catalogue import SPECS, Defaults, ModelSpec
from wan22.models.geometry import render_for
from wan22.models.resolve import resolve
from wan22.models.variants import Models, Variant, VariantReport

__all__ = [
    "SPECS",
    "Defaults",
    "ModelSpec",
    "Models",
    "Variant",
    "VariantReport",
    "render_for",
    "resolve",
]
