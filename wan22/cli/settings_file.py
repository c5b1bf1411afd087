"""Writes `configs/default.toml` from the settings classes, so that the two can't drift apart."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from wan22.settings import Settings

HEAD = """\
# Every setting of WAN22 with its default. Keep the lines you change and give the file to `wan22 serve --config FILE`,
# or name it in WAN22_CONFIG. A flag goes before WAN22_<ROOM>__<SETTING> in the environment, and that before this file.
# Lines that start with `# name =` have no fixed default: remove the # to set them.
"""


def settings_toml() -> str:
    """The text of the file; what it sets is exactly what holds without it."""
    rooms = [_room(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join([HEAD, *rooms])


def _room(name: str, field: FieldInfo) -> str:
    room = cast("type[BaseModel]", field.annotation)
    lines = [*_comment(room.__doc__ or ""), f"[{name}]"]
    for setting, described in room.model_fields.items():
        lines += ["", *_comment(described.description or ""), _line(setting, described)]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, 118):
        yield f"# {line}"


def _line(setting: str, field: FieldInfo) -> str:
    if field.default_factory is not None or field.default is None:
        return f'# {setting} = ""'
    return f"{setting} = {_value(field.default)}"


def _value(value: Any) -> str:
    """A TOML value; JSON writes strings, numbers, booleans and lists of them the same way."""
    return json.dumps(value, ensure_ascii=False)
