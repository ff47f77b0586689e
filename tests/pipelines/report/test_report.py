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
from metrics.disclosure import WHOLE, WITHHELD, DisclosurePolicy
from pipelines.exports import export
from pipelines.exports.release import Release
from pipelines.report import LANGUAGES, pdf, render, render_release
from pipelines.report.language import Words, catalogue

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


def number_of(text: str, language: str) -> tuple[float, int]:
    """The first number of a text, read as the language writes it, and how many decimals it has."""
    plain = text.replace("\u202f", "").replace("\u00a0", "").replace("\u2212", "-")
    plain = plain.replace(",", ".") if language == "fr" else plain.replace(",", "")
    found = re.search(r"-?\d+(?:\.(\d+))?", plain)
    assert found, text
    return float(found.group()), len(found.group(1) or "")


def cells(release: Release) -> dict[tuple[str, str], dict[str, Any]]:
    """(table, key) -> row, key as the page states it."""
    found = {}
    for name, table in release.tables.items():
        grain = release.specs[name].grain
        for row in table.to_pylist():
            key = {column: row[column].isoformat() if hasattr(row[column], "isoformat") else row[column] for column in grain}
            found[name, json.dumps(key, sort_keys=True)] = row
    return found


def fixed(language: str) -> list[str]:
    """What the catalogue itself says with digits, such as "90 days"."""
    pieces = [piece for text in catalogue(language).values() for piece in re.split(r"<[^>]*>|\{\w+\}", text)]
    return sorted({piece.strip() for piece in pieces if re.search(r"\d", piece)}, key=len, reverse=True)


def misread(piece: Text, owner: dict[str, str], row: dict[str, Any], language: str) -> bool:
    """Whether a marked figure says anything else than its cell does."""
    value = row[owner["data-column"]]
    style = owner["data-style"]
    is_dimension = owner["data-column"] in json.loads(owner["data-key"])
    if (row[WITHHELD] == WHOLE and not is_dimension) or value is None:
        return True
    if owner["value"] != str(value.isoformat() if hasattr(value, "isoformat") else value):
        return True
    if style == "date":
        return piece.text != Words(language).day(value)
    if style == "text":
        return piece.text != str(value)
    shown, decimals = number_of(piece.text, language)
    scale = 100 if "percent" in style else 1
    # half of the last digit that is shown, and nothing more
    return abs(shown - value * scale) > 0.5 * 10**-decimals + 1e-9


def unfounded(text: str, language: str, release: Release) -> tuple[list[str], int]:
    """Every number of a page that is no cell of a released table, or is not what the cell says; and how many are."""
    rows, said = cells(release), fixed(language)
    wrong, checked = [], 0
    for piece in taken_apart(text).texts:
        if not re.search(r"\d", piece.text):
            continue
        tags = [tag for tag, _ in piece.around]
        attributes = {name for _, attributes in piece.around for name in attributes}
        if {"style", "title", "time", "nav", "code"} & set(tags) or attributes & set(NOT_FIGURES):
            continue
        owner = next((attributes for tag, attributes in reversed(piece.around) if tag == "data"), None)
        if owner is None:
            rest = piece.text
            for each in said:
                rest = rest.replace(each, "")
            wrong += [piece.text] if re.search(r"\d", rest) else []
            continue
        row = rows.get((owner["data-table"], json.dumps(json.loads(owner["data-key"]), sort_keys=True)))
        wrong += [piece.text] if row is None or misread(piece, owner, row, language) else []
        checked += 1
    return wrong, checked


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_is_a_cell_and_reads_as_it(allowed: Release, language: str) -> None:
    wrong, checked = unfounded(render_release(allowed, language=language), language, allowed)
    assert wrong == []
    assert checked > 300


FIGURE = re.compile(r'(<data [^>]*data-style="(\w+)">)([^<]*)(</data>)')


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_figure_that_is_altered_is_found(allowed: Release, language: str) -> None:
    """The test above cannot pass by accident: whatever figure is changed, in whatever way, it is found."""
    text = render_release(allowed, language=language)
    figures = list(FIGURE.finditer(text))
    by_style: dict[str, list[re.Match[str]]] = {}
    for each in figures:
        by_style.setdefault(each[2], []).append(each)
    assert {"count", "percent", "bare_percent", "number", "times", "days", "bare_duration", "date", "text"} <= set(by_style)
    for style, found in by_style.items():
        one = found[len(found) // 2]
        shown = one[3]
        digit = re.search(r"\d(?!.*\d)", shown)
        assert digit
        other = f"{shown[: digit.start()]}{(int(digit[0]) + 1) % 10}{shown[digit.end() :]}"
        column = re.search(r'data-column="(\w+)"', one[1])
        assert column
        changed = [
            one[0].replace(f">{shown}<", f">{other}<"),
            one[0].replace(' value="', ' value="1'),
            one[0].replace('data-key="{', 'data-key="{&#34;stray&#34;: 1, '),
            f" {shown} ",
        ]
        for replacement in changed:
            assert replacement != one[0], style
            altered = f"{text[: one.start()]}{replacement}{text[one.end() :]}"
            # a page taken apart anew for each: sections suffice
            start, end = altered.rindex("<section", 0, one.start()), altered.index("</section>", one.start()) + len("</section>")
            assert len(unfounded(altered[start:end], language, allowed)[0]) == 1, (style, replacement)


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


WORD = re.compile(r"[^\W\d_]{3,}")


def test_the_french_page_has_no_english_left(allowed: Release) -> None:
    """Every word outside names, codes and quoted definitions that the English catalogue has and the French has not."""
    english, french = (set(WORD.findall(" ".join(catalogue(language).values()).lower())) for language in ("en", "fr"))
    page = taken_apart(render_release(allowed, language="fr"))
    left = set()
    for piece in page.texts:
        attributes = {name: value for _, attributes in piece.around for name, value in attributes.items()}
        tags = {tag for tag, _ in piece.around}
        if attributes.get("lang", "fr") == "en" or {"data-name", "data-setting"} & set(attributes) or {"style", "code"} & tags:
            continue
        left |= {word for word in WORD.findall(piece.text.lower()) if word in english - french}
    labels = [
        value
        for tag, attributes in page.tags
        for name, value in attributes.items()
        if name in {"aria-label", "title", "alt", "data-label"} and tag != "html"
    ]
    left |= {word for label in labels for word in WORD.findall(label.lower()) if word in english - french}
    assert left == set()
    assert len(english - french) > 300


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
    lax = render(demo).count("<data ")
    strict = render(demo, policy=DisclosurePolicy(minimum_group_size=40)).count("<data ")
    assert 0 < strict < lax
