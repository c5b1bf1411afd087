"""Trains the demo weights: small Wan models of a world that a script draws. `python scripts/train_demo --help`.

`world` says what there is and draws it, `captions` says it in words, `variety` draws what only the VAE must know.
"""
