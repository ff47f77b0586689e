"""Words, numbers and dates in the reader's language.

All text of the report stands in `words/<language>.toml`; a test holds the languages to the same keys and placeholders.
French typography is put in when the catalogue is read: a narrow no-break space before ; ! ? and %, a no-break space before a
colon, narrow ones inside guillemets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from markupsafe import Markup, escape

NARROW: Final = "\u202f"
NO_BREAK: Final = "\u00a0"
MINUS: Final = "\u2212"
LANGUAGES: Final = ("en", "fr")
_LOCALES: Final = {"en": "en_GB", "fr": "fr_FR"}
_FOLDER: Final = Path(__file__).parent / "words"


class Words:
    """One language's catalogue, numbers and dates.

    Args:
        language: `en` or `fr`.

    Raises:
        KeyError: On an unknown language, or when an unknown text is asked for.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self.locale = Locale.parse(_LOCALES[language])
        self.texts = catalogue(language)

    def __call__(self, key: str, **values: Any) -> Markup:
        """Return a text with its placeholders filled; values that are not markup are escaped."""
        return Markup(self.texts[key]).format(**values)  # noqa: S704 - the catalogue is ours

    def has(self, key: str) -> bool:
        """Whether the catalogue has a text."""
        return key in self.texts

    def name(self, group: str, value: object) -> Markup:
        """Return the reader's word for a code such as a medium or a state; a code without a word stands for itself."""
        key = f"{group}.{value}"
        return Markup(self.texts[key]) if key in self.texts else escape(str(value).replace("_", " "))  # noqa: S704 - ours

    def listed(self, parts: list[Markup]) -> Markup:
        """Join parts as a sentence does: a, b and c."""
        if len(parts) < 2:
            return Markup("").join(parts)
        return Markup("{} {} {}").format(Markup(", ").join(parts[:-1]), self("and"), parts[-1])

    def number(self, value: float, digits: int = 0) -> str:
        """A number with at least and at most `digits` decimals."""
        pattern = "#,##0." + "0" * digits if digits else "#,##0"
        return _signed(format_decimal(_plain(value, digits), format=pattern, locale=self.locale))

    def percent(self, share: float, digits: int = 0) -> str:
        """A share as a percentage."""
        text = format_percent(_plain(share, digits + 2), format="#,##0" + ("." + "0" * digits if digits else "") + "%", locale=self.locale)
        return _signed(text if self.language == "en" else text.replace("%", "").strip() + NARROW + "%")

    def unit(self, unit: str, value: float, number: str) -> str:
        """A number with its unit, in the singular where the language wants it."""
        plain = Decimal(str(int(value) if value == int(value) else value))
        key = f"unit.{unit}_one" if self.locale.plural_form(plain) == "one" else f"unit.{unit}"
        return str(self(key, n=number))

    def day(self, value: date) -> str:
        """A day, written out."""
        return _french_first(format_date(value, "d MMMM y", locale=self.locale), self.language).replace(" ", NO_BREAK)

    def month(self, value: date) -> str:
        """A month, written out."""
        return format_date(value, "LLLL y", locale=self.locale).replace(" ", NO_BREAK)

    def short_month(self, value: date) -> str:
        """A month, in short and without its year."""
        return format_date(value, "LLL", locale=self.locale)

    def short_day(self, value: date) -> str:
        """A day, in short and without its year."""
        return format_date(value, "d LLL", locale=self.locale).replace(" ", NO_BREAK)


def _plain(value: float, digits: int) -> float:
    """Round half to even, and let no -0 through."""
    return round(value, digits) + 0.0


def _signed(text: str) -> str:
    return text.replace("-", MINUS).replace(NO_BREAK, NARROW)


def _french_first(text: str, language: str) -> str:
    return text.replace("1 ", "1er ", 1) if language == "fr" and text.startswith("1 ") else text


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return a language's texts under dotted keys."""
    with (_FOLDER / f"{language}.toml").open("rb") as file:
        texts = dict(_flat(tomllib.load(file)))
    return {key: french(text) for key, text in texts.items()} if language == "fr" else texts


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value.strip())]
    return found


def french(text: str) -> str:
    """Put French spaces and apostrophes in; markup and placeholders are left alone."""
    parts = re.split(r"(<[^>]*>|\{[^}]*\})", text)
    return "".join(part if part.startswith(("<", "{")) else _french(part) for part in parts)


def _french(text: str) -> str:
    text = text.replace("'", "\u2019")
    text = re.sub(r"\s+([;!?%])", NARROW + r"\1", text)
    text = re.sub(r"\s+:", NO_BREAK + ":", text)
    return re.sub(r"\s+»", NARROW + "»", re.sub(r"«\s+", "«" + NARROW, text))
