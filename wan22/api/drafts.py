"""From the fields of a body to a Draft, or to an error that names every wrong field and its cure. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wan22.api.mistakes import CHARSET_CURE, is_hashtable, lost_its_letters
from wan22.api.wording import field_errors, nearest_word, unknown
from wan22.errors import FieldError, InvalidRequest
from wan22.tasks import Draft
from wan22.tasks.request import LoraUse

KNOWN = tuple(Draft.model_fields)

LATER = ("webhook_url",)
"""Fields of the contract that this version does not serve yet."""

COUNTS = ("width", "height", "num_frames", "fps")
"""Whole numbers whose limits only the model knows; under 1 they are wrong for every model."""

MAX_UNKNOWN = 50
"""Unknown fields that are looked at: more are no typing errors, and an answer has no room for more."""

LOST_LETTERS = f"has lost its letters on the way: only question marks are left. {CHARSET_CURE}"

ELSEWHERE = {
    "cfg": "guidance_scale",
    "cfg_scale": "guidance_scale",
    "cfg_scale_2": "guidance_scale_2",
    "duration": "num_frames",
    "first_frame": "image",
    "frame_rate": "fps",
    "frames": "num_frames",
    "image_url": "image",
    "init_image": "image",
    "input_image": "image",
    "input_reference": "image",
    "last_frame": "last_image",
    "model": "model_type",
    "n": "num_videos",
    "num_inference_steps": "steps",
    "sampling_steps": "steps",
    "seconds": "num_frames",
    "shift": "flow_shift",
    "size": "resolution",
    "text": "prompt",
}
"""What other servers of the field call it."""


def read_draft(fields: dict[str, Any]) -> Draft:
    """The draft that `fields` say. Raises InvalidRequest with one entry for each wrong field."""
    wrong = [*_unknown(fields), *_not_yet(fields), *_garbled(fields)]
    named = {error.field for error in wrong}
    kept = {name: value for name, value in fields.items() if name in KNOWN and name not in named}
    try:
        draft = Draft.model_validate(kept)
    except ValidationError as error:
        wrong += [_nested(one) for one in error.errors(include_url=False)]
        wrong += _under_one(kept)
    if wrong:
        raise InvalidRequest(wrong)
    return draft


def _dotted(where: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in where if part != "[key]")


def _nested(error: ErrorDetails) -> FieldError:
    """One of pydantic's; of an unknown field of a LoRA with the nearest that there is."""
    where = error["loc"]
    if error["type"] == "extra_forbidden" and where[0] == "loras":
        known = tuple(LoraUse.model_fields)
        return unknown(_dotted(where), error["input"], known=known, nearest=nearest_word(str(where[-1]), known))
    return field_errors([error], _dotted)[0]


def _unknown(fields: dict[str, Any]) -> Iterator[FieldError]:
    strangers = (name for name in fields if name not in KNOWN and name not in LATER)
    for name in islice(strangers, MAX_UNKNOWN):
        yield unknown(name, fields[name], known=KNOWN, nearest=nearest_field(name))


def nearest_field(name: str) -> str | None:
    """The known field that `name` most likely means: another server's word for it, another spelling, or a typo."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:80]).lower().replace("-", "_").replace(" ", "_")
    if snake in KNOWN:
        return snake
    return ELSEWHERE.get(snake) or nearest_word(snake, (*KNOWN, *LATER))


def _under_one(fields: dict[str, Any]) -> Iterator[FieldError]:
    """Beside other errors; alone they are left to the model's own rules, which name its limits."""
    for name in COUNTS:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            yield FieldError(name, "must be at least 1", value)


def _not_yet(fields: dict[str, Any]) -> Iterator[FieldError]:
    for name in LATER:
        if fields.get(name):
            yield FieldError(name, "is part of the API, but not served by this version yet; leave it out", fields[name])


def _garbled(fields: dict[str, Any]) -> Iterator[FieldError]:
    """Values that a client's shell has destroyed before sending; to run them would waste minutes."""
    for name in ("prompt", "negative_prompt"):
        value = fields.get(name)
        if isinstance(value, str) and lost_its_letters(value):
            yield FieldError(name, LOST_LETTERS, value)
    for name, value in fields.items():
        if any(is_hashtable(item) for item in _inside(value)):
            cure = "make the body with ConvertTo-Json -Depth 10"
            yield FieldError(name[:80], f"has a PowerShell type's name in the place of its content; {cure}", value)


def _inside(value: Any) -> Iterator[Any]:
    """The value and all that it holds, however deep; the parser has bounded the depth."""
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _inside(item)
