"""The three models: what they are, which weights are on disk, and what a request means for them.

`catalogue` holds the figures; `variants` finds the weights, with `files` looking into their folders, and `demo_weights`
knows the ones that ship with the package; `resolve` turns a draft into a request by `rules` and `size`; `geometry` says
what is rendered for it. `loras` lists the LoRA files and their fit to a model is judged there.
Loads no weights (`pipelines`).
"""
