"""The three models: what they are, which weights are on disk, and what a request means for them.

`catalogue` holds the figures, which `catalogue_file` reads from TOML into `specs`.
`variants` chooses the weights; `shelf` finds them, in the places of other programs through `elsewhere`, and looks into
folders by `files` and into single files by `single_files`; `parts` tells where each component is, and `demo_weights`
knows the ones that ship with the package. What helps where they are not right, `cures` says.
`resolve` turns a draft into a request by `rules` and `size`; `geometry` says what is rendered for it. `loras` lists the
LoRA files and tells which model one fits; `presets` picks one for few steps.
`weights` says what to fetch (`weights_plan`), `download` brings it from a hub and mirrors. `downloads` runs it, and
`verification`, one at a time for each model; `headers` reads what a weight file says at its beginning.
`capabilities` says what each model can do beside what is `reported`, `needs` and `arithmetic` what a size asks of a
machine, `history` how it went so far; `comparison` and `recommendation` are made of these.
Loads no weights (`pipelines`).
"""
