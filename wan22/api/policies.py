"""What browsers may do with our pages: every Content-Security-Policy of the server. The guard sends them."""

from __future__ import annotations

_OWN_FILES = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "

PAGE = _OWN_FILES + (
    "style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Of every page: own files only, nothing inline, and no text can become markup (browsers that know how)."""

MANUAL = _OWN_FILES + (
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; worker-src blob:"
)
"""Of Swagger UI and ReDoc, which write style elements and markup of their own; inline scripts stay shut out."""

BY_PATH = {"/docs": MANUAL, "/redoc": MANUAL}
"""The pages that have another policy than PAGE."""
