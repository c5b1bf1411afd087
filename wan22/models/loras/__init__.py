"""LoRA files: `folders` lists them by name, `files` reads a header, `fit` tells whether one fits a model.

What their keys and names say is in `keys` and `names`. Puts none on a model (`pipelines.adapters`).
"""
