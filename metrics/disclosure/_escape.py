"""Text that a browser or a spreadsheet would run is made to be only text."""

from __future__ import annotations

import html
from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the full-width forms of the first four."""


def escape_html(text: object) -> str:
    """Return text for use in an HTML element or a quoted attribute."""
    return html.escape(str(text), quote=True)


def escape_spreadsheet(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: an apostrophe goes before one that starts like it.

    Leading blanks do not hide a formula, since some programs trim them. Numbers are not text: write them as numbers, or
    -1 would become '-1.

    Source: OWASP, CSV Injection.
    """
    return f"'{text}" if text.lstrip(" \u00a0\u202f\ufeff").startswith(_FORMULA_STARTS) or text.startswith(_FORMULA_STARTS) else text
