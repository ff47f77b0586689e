"""Text that a browser or a spreadsheet would run is made to be only text."""

from __future__ import annotations

import html
import re
from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the full-width forms of the first four."""


_UNSEEN: Final = re.compile(r"^[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]+")
"""Blanks, control characters and marks without a width, with which a text may begin."""


def escape_html(text: object) -> str:
    """Return text for use in an HTML element or a quoted attribute."""
    return html.escape(str(text), quote=True)


def escape_spreadsheet(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: an apostrophe goes before one that starts like it.

    What is not seen at its beginning does not hide a formula, since some programs trim it. Numbers are not text: write them as numbers, or
    -1 would become '-1.

    Source: OWASP, CSV Injection.
    """
    bare = _UNSEEN.sub("", text, count=1)
    return f"'{text}" if bare.startswith(_FORMULA_STARTS) or text.startswith(_FORMULA_STARTS) else text
