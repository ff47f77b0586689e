"""Every figure on the page is a cell of a released table, and what is withheld is nowhere on it."""

from __future__ import annotations

import html.parser
import itertools
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from releases import HOSTILE, published_file, spec

from connectors.errors import UserError
from metrics.disclosure import WITHHELD, DisclosurePolicy
from pipelines.exports import export
from pipelines.exports.release import Release
from pipelines.report import pdf, render, render_release

VOID = {"meta", "link", "br", "i"}
FIXED = re.compile(r"\b(30|90|180|365|100)\b")
"""Numbers that are part of a text of the catalogue, such as 90 days."""
NOT_FIGURES = ("data-axis", "data-setting", "data-definition", "data-name")
ORDER = [
    "summary",
    "scorecard",
    "survival",
    "reciprocity",
    "teams",
    "outside",
    "charter",
    "policy",
    "resilience",
    "coverage",
    "method",
    "questions",
]


@dataclass
class Text:
    """A piece of text and the elements around it, outermost first."""

    text: str
    around: list[tuple[str, dict[str, str]]]


@dataclass
class Page(html.parser.HTMLParser):
    """A page taken apart."""

    texts: list[Text] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stack: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attributes})
        self.tags.append(element)
        if tag not in {"meta", "link", "br"}:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, tag
        assert self.stack[-1][0] == tag, (self.stack[-1], tag)
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(Text(data, list(self.stack)))


def taken_apart(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert page.stack == []
    return page


@pytest.fixture(scope="module", params=["en", "fr"])
def page(request: pytest.FixtureRequest, allowed: Release) -> tuple[str, Page]:
    return request.param, taken_apart(render_release(allowed, language=request.param))


def number_of(text: str, language: str) -> float:
    """The first number of a text, read as the language writes it."""
    plain = text.replace("\u202f", "").replace("\u00a0", "").replace("\u2212", "-")
    plain = plain.replace(",", ".") if language == "fr" else plain.replace(",", "")
    found = re.search(r"-?\d+(\.\d+)?", plain)
    assert found, text
    return float(found.group())


def cells(release: Release) -> dict[tuple[str, str], dict[str, Any]]:
    """(table, key) -> row, key as the page states it."""
    found = {}
    for name, table in release.tables.items():
        grain = release.specs[name].grain
        for row in table.to_pylist():
            key = {column: row[column].isoformat() if hasattr(row[column], "isoformat") else row[column] for column in grain}
            found[name, json.dumps(key, sort_keys=True)] = row
    return found


def test_every_figure_is_a_cell_and_reads_as_it(page: tuple[str, Page], allowed: Release) -> None:
    language, parsed = page
    rows = cells(allowed)
    checked = 0
    for piece in parsed.texts:
        if not re.search(r"\d", piece.text):
            continue
        tags = [tag for tag, _ in piece.around]
        attributes = {name for _, attributes in piece.around for name in attributes}
        if "style" in tags or "title" in tags or "time" in tags or "nav" in tags or attributes & set(NOT_FIGURES):
            continue
        owner = next((attributes for tag, attributes in reversed(piece.around) if tag == "data"), None)
        if owner is None:
            assert "code" in tags or FIXED.search(piece.text), piece.text
            continue
        row = rows[owner["data-table"], json.dumps(json.loads(owner["data-key"]), sort_keys=True)]
        value = row[owner["data-column"]]
        assert row[WITHHELD] is None
        assert owner["value"] == str(value.isoformat() if hasattr(value, "isoformat") else value)
        style = owner["data-style"]
        if style in {"date", "text"}:
            continue
        shown = number_of(piece.text, language) / (100 if "percent" in style else 1)
        tolerance = {"count": 1e-9, "percent": 0.00501, "bare_percent": 0.00501}.get(style, max(0.0051, abs(value) * 0.051))
        assert abs(shown - value) <= tolerance, (piece.text, value, style)
        checked += 1
    assert checked > 150


def test_every_figure_is_in_the_exported_files(demo: Path, tmp_path: Path) -> None:
    folder = export(demo, tmp_path / "exports").folder
    parsed = taken_apart((folder / "report.en.html").read_text(encoding="utf-8"))
    tables = {path.stem: pq.read_table(path).to_pylist() for path in (folder / "parquet").glob("*.parquet")}
    found = [attributes for tag, attributes in parsed.tags if tag == "data"]
    for attributes in found:
        key = json.loads(attributes["data-key"])
        matching = [
            row
            for row in tables[attributes["data-table"]]
            if all((v.isoformat() if hasattr(v := row[c], "isoformat") else v) == wanted for c, wanted in key.items())
        ]
        assert len(matching) == 1
        value = matching[0][attributes["data-column"]]
        assert attributes["value"] == str(value.isoformat() if hasattr(value, "isoformat") else value)
    assert len(found) > 150


def test_the_sections_stand_in_their_order(page: tuple[str, Page]) -> None:
    _, parsed = page
    assert [attributes["id"] for tag, attributes in parsed.tags if tag == "section"] == ORDER


def test_nothing_is_loaded_run_or_sent(page: tuple[str, Page]) -> None:
    _, parsed = page
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "form", "base", "audio", "video"}
    for tag, attributes in parsed.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"href", "src"}:
                assert value.startswith(("#", "data:,")), value
    policy = next(attributes["content"] for tag, attributes in parsed.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_headings_labels_and_twins(page: tuple[str, Page]) -> None:
    language, parsed = page
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert next(attributes for tag, attributes in parsed.tags if tag == "html")["lang"] == language
    for tag, attributes in parsed.tags:
        if attributes.get("role") == "img":
            assert attributes.get("aria-label"), tag
    figures = sum(tag == "figure" for tag, _ in parsed.tags)
    assert figures == sum(tag == "figcaption" for tag, _ in parsed.tags) > 0
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_withheld_cells_say_so_and_why(page: tuple[str, Page], allowed: Release) -> None:
    _, parsed = page
    marked = [attributes for _, attributes in parsed.tags if attributes.get("class") == "withheld"]
    assert marked
    assert all("5" in attributes["title"] for attributes in marked)
    small = {row["team_b"] for row in allowed.tables["metrics.team_pair_panel"].to_pylist() if row[WITHHELD]}
    assert small
    assert allowed.controlled.already_shown_count == 0


def test_a_hostile_team_name_is_only_text(page: tuple[str, Page], allowed: Release) -> None:
    language, parsed = page
    text = render_release(allowed, language=language)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert HOSTILE[1] in "".join(piece.text for piece in parsed.texts)


def test_the_page_is_small_and_holds_no_person(allowed: Release) -> None:
    text = render_release(allowed, language="en")
    assert len(text.encode()) < 3_000_000
    restricted = [name for name, table in allowed.specs.items() if table.is_restricted]
    assert restricted
    assert not [name for name in restricted if f'data-table="{name}"' in text]


def test_a_file_with_nothing_in_it_gives_a_page_that_says_so(tmp_path: Path) -> None:
    path = published_file(tmp_path / "empty.duckdb", [])
    text = render(path, language="en")
    parsed = taken_apart(text)
    assert [attributes["id"] for tag, attributes in parsed.tags if tag == "section"] == ORDER
    assert "metrics.medium_scorecard" in text
    assert "Nothing can be said yet" in text


def test_a_table_without_a_count_of_people_is_named_and_not_shown(tmp_path: Path) -> None:
    curve = spec("tie_survival", "grouping level age_days", "grouping:text level:text age_days:days survival_ratio:ratio")
    text = render(published_file(tmp_path / "a.duckdb", [(curve, [["all", "all", 30.0, 0.987654]])]))
    assert "does not say how many people it is about" in text
    assert "987" not in text


def test_there_is_no_third_language(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--lang de"):
        render(tmp_path / "x", language="de")


def test_a_pdf_needs_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="Chromium"):
        pdf(tmp_path / "a.html", tmp_path / "a.pdf")


def test_a_stricter_policy_withholds_more_of_the_page(demo: Path) -> None:
    lax = render(demo).count('class="withheld"')
    strict = render(demo, policy=DisclosurePolicy(minimum_group_size=40)).count('class="withheld"')
    assert strict > lax
