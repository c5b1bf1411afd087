"""Mistakes that real clients make, recognised by their shape, each with its cure. Pure.

What PowerShell, cmd.exe and curl do to a body is from Microsoft's documentation of Invoke-RestMethod and about_Parsing.
"""

from __future__ import annotations

import re
from typing import Any

CHARSET_CURE = (
    "Windows PowerShell 5.1 sends text as Latin-1 unless told otherwise: "
    "add -ContentType 'application/json; charset=utf-8'."
)
FILE_CURE = (
    'put the JSON into a file and send it with curl.exe -H "Content-Type: application/json" --data-binary "@body.json"'
)
CONVERT_CURE = "In PowerShell, make the body with `@{ … } | ConvertTo-Json -Depth 10`."
MULTIPART_CURE = "Send a picture as the part `image` of a multipart form, or as base64 in the JSON field `image`."
VIDEO = '{"model_type": "T2V-A14B", "prompt": "a cat"}, with `num_videos` for several of one prompt'
"""What the body of a submit call looks like."""

_EXAMPLE = "<example>"
_OBJECT = f"Send a JSON object such as {_EXAMPLE}; `/docs` lists all fields."

_BY_TEXT: tuple[tuple[str, str], ...] = (
    (r"\s*\Z", f"The body is empty. {_OBJECT}"),
    (
        r"\s*\{\s*\w+\s*:",
        "The double quotes are gone, as Windows PowerShell removes them for other programs: use Invoke-RestMethod, or "
        f"{FILE_CURE}.",
    ),
    (r"\s*'", f'cmd.exe hands single quotes on as they are: write \\" inside double quotes, or {FILE_CURE}.'),
    (r"\s*\\?\{\s*\\", f"The quotes are escaped once too often: {FILE_CURE}."),
    (r"\s*\{\s*'", "JSON needs double quotes; in Python, send json=body, or json.dumps(body)."),
    (r"\s*@\{", f"This is how PowerShell shows an object. {CONVERT_CURE}"),
    (r"\s*System\.Collections\.", f"This is the name of a PowerShell type, not its content. {CONVERT_CURE}"),
    (
        r"\s*@",
        'This is a file\'s name, not its content: curl reads it with --data-binary "@file", PowerShell with -InFile.',
    ),
    (r"\s*--", "This is a multipart body: let your client set Content-Type itself, since it carries the boundary."),
    (r"\s*<", f"This is XML or HTML. {_OBJECT}"),
    (r"[^{\[\"]*=", f"This is a form, not JSON. {CONVERT_CURE} With curl, send JSON with -d and its Content-Type."),
    (r"[^\"]*[“”„]", "These are typographic quotes; JSON needs the straight one."),
    (r".*[:\[,]\s*(True|False|None)\b", "JSON writes true, false and null; in Python, send json.dumps(body)."),
    (r".*,\s*[}\]]", "JSON has no comma after the last field."),
    (r".*\\[^\"\\/bfnrtu]", "In JSON a backslash is written twice, as in C:\\\\videos."),
    (r".*^[ \t]*(//|#)", "JSON has no comments."),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL | re.MULTILINE), hint) for pattern, hint in _BY_TEXT)
_LOOKED_AT = 4_000

_HASHTABLE = re.compile(r"System\.Collections\.\w+|System\.Object\[\]|@\{\w+=.*\}", re.DOTALL)
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")


def hint_for_text(text: str, example: str = VIDEO) -> str:
    """What most likely happened to a body that does not parse, and how to prevent it. `example`: a body of the call."""
    start = text[:_LOOKED_AT]
    known = next((hint for pattern, hint in _PATTERNS if pattern.match(start)), None)
    if known is None and text.lstrip().startswith("{") and not text.rstrip().endswith("}"):
        return "The body ends before its last `}`; perhaps it was cut short."
    return (known or _OBJECT).replace(_EXAMPLE, example)


def hint_for_bytes(raw: bytes) -> str:
    """The same for a body that is no text in its charset."""
    if raw.startswith(_PICTURES):
        return f"This is a picture. {MULTIPART_CURE}"
    if raw.startswith(b"\x1f\x8b"):
        return "This is compressed; send it as it is."
    return CHARSET_CURE


def hint_for_value(value: Any, example: str = VIDEO) -> str:
    """The same for a body that is JSON but no object."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return "The body was turned into JSON twice; once is enough."
    if isinstance(value, list):
        return f"Send one object a call, without a list around it, such as {example}."
    return _OBJECT.replace(_EXAMPLE, example)


def not_read_here(content_type: str) -> str:
    """What is said of a Content-Type that is not read."""
    return (
        f"A body of the type {content_type[:80]!r} is not read here."
        if content_type
        else "The body has no Content-Type."
    )


def hint_for_type(content_type: str, start: bytes) -> str:
    """The cure for a Content-Type that is not read; `start` is the beginning of the body."""
    if content_type.startswith("image/") or start.startswith(_PICTURES):
        return MULTIPART_CURE
    if start.lstrip()[:1] in (b"{", b"["):
        return (
            "The body looks like JSON, so say so: -ContentType 'application/json; charset=utf-8' in PowerShell, "
            '-H "Content-Type: application/json" for curl.'
        )
    return f"Send JSON with Content-Type: application/json, or a multipart form. {CONVERT_CURE}"


def lost_its_letters(text: str) -> bool:
    """Whether a prompt went through a charset that has none of its letters: question marks are all that is left."""
    return text.count("?") >= 3 and not any(character.isalpha() for character in text)


def is_hashtable(value: Any) -> bool:
    """Whether ConvertTo-Json has replaced an object, at its default depth of 2, by a type's name or by `@{…}`."""
    return isinstance(value, str) and _HASHTABLE.fullmatch(value) is not None
