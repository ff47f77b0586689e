"""Two languages with the same texts, and each written as it should be."""

from __future__ import annotations

import re
from datetime import date

import pytest
from markupsafe import Markup

from pipelines.report.language import LANGUAGES, Words, catalogue, french

PLACEHOLDER = re.compile(r"\{(\w+)\}")
NARROW, NO_BREAK = "\u202f", "\u00a0"


def test_the_catalogues_have_the_same_keys() -> None:
    assert catalogue("en").keys() == catalogue("fr").keys()


@pytest.mark.parametrize("key", sorted(catalogue("en")))
def test_each_text_has_the_same_placeholders_and_markup_in_both(key: str) -> None:
    english, other = catalogue("en")[key], catalogue("fr")[key]
    assert sorted(PLACEHOLDER.findall(english)) == sorted(PLACEHOLDER.findall(other))
    assert sorted(re.findall(r"<\w+", english)) == sorted(re.findall(r"<\w+", other))


@pytest.mark.parametrize("key", sorted(catalogue("fr")))
def test_french_is_set_as_french(key: str) -> None:
    text = re.sub(r"<[^>]+>|\{\w+\}", "x", catalogue("fr")[key])
    assert not re.search(r"(?<![\u202f])[;!?%]", text), text
    assert not re.search(r"(?<!\u00a0):", text), text
    assert "'" not in text
    assert "  " not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_left_to_do(language: str) -> None:
    assert not [key for key, text in catalogue(language).items() if not text or "TODO" in text or "XXX" in text]


def test_french_spaces_and_apostrophes() -> None:
    assert french("l'a : « b » ; c ! d ? 5 %") == f"l\u2019a{NO_BREAK}: «{NARROW}b{NARROW}»{NARROW}; c{NARROW}! d{NARROW}? 5{NARROW}%"
    assert french('<a href="x:y;z">{a:b}') == '<a href="x:y;z">{a:b}'


def test_numbers_in_both_languages() -> None:
    english, other = Words("en"), Words("fr")
    assert (english.number(1234567), other.number(1234567)) == ("1,234,567", f"1{NARROW}234{NARROW}567")
    assert (english.number(0.5, 2), other.number(0.5, 2)) == ("0.50", "0,50")
    assert (english.number(-1.25, 1), other.number(-1.25, 1)) == ("\u22121.2", "\u22121,2")
    assert (english.percent(0.471), other.percent(0.471)) == ("47%", f"47{NARROW}%")
    assert english.number(-0.001, 2) == "0.00"


def test_dates_in_both_languages() -> None:
    assert Words("en").day(date(2026, 3, 1)) == "1 March 2026".replace(" ", NO_BREAK)
    assert Words("fr").day(date(2026, 3, 1)) == "1er mars 2026".replace(" ", NO_BREAK)
    assert Words("fr").day(date(2026, 3, 11)) == "11 mars 2026".replace(" ", NO_BREAK)
    assert Words("fr").month(date(2026, 8, 1)) == f"août{NO_BREAK}2026"


def test_what_is_put_into_a_text_is_escaped() -> None:
    words = Words("en")
    assert "&lt;b&gt;" in words("page.title_of", name="<b>")
    assert "<b>" in words("page.title_of", name=Markup("<b>"))
    assert words.name("medium", "carrier_pigeon<") == "carrier pigeon&lt;"
    assert words.listed([Markup("a"), Markup("b"), Markup("c")]) == "a, b and c"
