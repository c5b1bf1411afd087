"""The four calls that a run is made of, in their order; each begins its phase with the reporter.

    text = encode_text(model, request, reporter)
    image = encode_image(model, request, render, image, last_image, reporter=reporter)
    for each seed:
        latents = denoise(model, request, render, text, image, seed=seed, reporter=reporter)
        for frame in decode(model, latents, reporter): ...

`denoise_together` is `denoise` for several videos at once.
What they hand to each other is only theirs to read.
"""

from wan22.pipelines.batch import Take
from wan22.pipelines.condition import ImageCondition
from wan22.pipelines.decoding import decode
from wan22.pipelines.denoising import denoise, denoise_together
from wan22.pipelines.picture import encode_image
from wan22.pipelines.text import TextCondition, encode_text

__all__ = [
    "ImageCondition",
    "Take",
    "TextCondition",
    "decode",
    "denoise",
    "denoise_together",
    "encode_image",
    "encode_text",
]
