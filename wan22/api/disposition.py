"""Reads Content-Disposition of a form's part: whether it is a file, and what its sender calls that."""

from __future__ import annotations

import re
from urllib.parse import unquote

from python_multipart.multipart import parse_options_header

_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_EXTENDED = re.compile(r";\s*filename\*\s*=\s*(?P<charset>[\w-]+)'[\w-]*'(?P<text>[^;\s]*)", re.IGNORECASE)


def file_name(disposition: str) -> str | None:
    """The name of the file that the part is, None if it is none; `disposition` as it came, in latin-1.

    RFC 7578 wants UTF-8 in `filename`, and browsers and curl send that. .NET and urllib3 send `filename*` (RFC 5987)
    instead or beside another spelling of the name, and it is the one to trust where both are.
    """
    plain = parse_options_header(disposition)[1].get(b"filename")
    name = None if plain is None else plain.decode("utf-8", "replace")
    extended = _EXTENDED.search(_QUOTED.sub('""', disposition))
    if extended is None:
        return name
    try:
        return unquote(extended["text"], extended["charset"], "strict")
    except (LookupError, UnicodeError):  # no such charset, or not in it
        return name or unquote(extended["text"])
