"""Keeps the libraries' own bars and warnings out of the server's log. What matters of them is checked and raised."""

from __future__ import annotations

import warnings

from wan22.models.eight_bit import torchao


def be_quiet() -> None:
    """For the whole process; called before the libraries do anything. Cheap to call again."""
    torchao()  # before diffusers looks for it
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", "Already found a `peft_config`")  # a second LoRA on one transformer
    warnings.filterwarnings("ignore", r"\w+ does not implement _stable_hash_for_caching")  # 8 bits, when compiled
