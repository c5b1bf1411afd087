"""The three models: what they are, which weights are on disk, and what a request means for them.

`catalogue` holds the figures; `variants` finds the weights, with `files` looking into their folders, and `demo_weights`
knows the ones that ship with the package; `resolve` turns a draft into a request by `rules` and `size`; `geometry` says
what is rendered for it. `loras` lists the LoRA files and tells which model one fits; `presets` picks one for few steps;
`download` brings files from the hub and its mirrors.
`capabilities` says what each model can do beside what is `reported`, `needs` what a size asks of a machine, `history`
how it went so far; `comparison` and `recommendation` are made of these.
Loads no weights (`pipelines`).
"""
