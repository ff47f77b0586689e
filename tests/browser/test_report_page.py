"""The report in a real browser: nothing fails, nothing leaves, nothing overflows, and a screen reader can use it."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from organisations import published_organisation
from releases import published_file
from worlds import built, eu_core

from metrics.disclosure import DisclosurePolicy
from metrics.parameters import Parameters
from pipelines.exports.release import release
from pipelines.publish import publish
from pipelines.report import LANGUAGES, pdf, render_release

pytestmark = pytest.mark.browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = (360, 1280)
A4_POINTS = (595, 842)
PATIENCE = 180_000
"""Milliseconds: a machine under load may take its time, but nothing waits for ever."""


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here: install the system's chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of a made-up organisation with hostile team names in both languages, and that of an empty file."""
    folder = tmp_path_factory.mktemp("pages")
    allowed = release(published_organisation(), DisclosurePolicy())
    found = {}
    for language in LANGUAGES:
        found[language] = folder / f"{language}.html"
        found[language].write_text(render_release(allowed, language=language), encoding="utf-8")
    empty = release(published_file(folder / "empty.duckdb", []), DisclosurePolicy())
    found["empty"] = folder / "empty.html"
    found["empty"].write_text(render_release(empty, language="en"), encoding="utf-8")
    return found


def visit(browser: object, path: Path, width: int, scheme: str = "light") -> tuple[object, list[str]]:
    """Open a page; returns it with everything it said to the console, asked the network for or popped up."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[attr-defined]
    tab.set_default_timeout(PATIENCE)
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    tab.on("request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
    tab.goto(path.as_uri())
    return tab, said


@pytest.mark.parametrize("name", ["en", "fr", "empty"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_fails_leaves_or_overflows(browser: object, pages: dict[str, Path], name: str, width: int) -> None:
    tab, said = visit(browser, pages[name], width)
    assert said == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width  # type: ignore[attr-defined]
    tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")  # type: ignore[attr-defined]
    wide = tab.evaluate(  # type: ignore[attr-defined]
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('thead') && e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.outerHTML.slice(0, 120))"
    )
    assert wide == []
    tab.close()  # type: ignore[attr-defined]


def faults(browser: object, page: Path, scheme: str) -> list[tuple[str, str, list[str]]]:
    """What axe finds on a page that is more than minor."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    # axe puts a script of its own into the page, which the page's own policy would refuse
    context = browser.new_context(bypass_csp=True, viewport={"width": 1280, "height": 900}, color_scheme=scheme)  # type: ignore[attr-defined]
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    tab.goto(page.as_uri())
    # the definitions are two dozen tables of one make: one of them speaks for all
    tab.evaluate("document.querySelectorAll('figure details, .folded:first-of-type').forEach(each => each.open = true)")
    rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
    found = axe.Axe().run(tab, options=rules).response["violations"]
    context.close()
    listed = [(each["id"], each["impact"], [node["html"][:120] for node in each["nodes"][:3]]) for each in found]
    return [each for each in listed if each[1] in {"serious", "critical", "moderate"}]


@pytest.mark.parametrize("name,scheme", [("en", "light"), ("fr", "dark")])
def test_axe_finds_no_serious_fault(browser: object, pages: dict[str, Path], name: str, scheme: str) -> None:
    assert faults(browser, pages[name], scheme) == []


def test_everything_is_reached_by_keyboard(browser: object, pages: dict[str, Path]) -> None:
    tab, _ = visit(browser, pages["en"], 1280)
    tab.keyboard.press("Tab")  # type: ignore[attr-defined]
    assert tab.evaluate("document.activeElement.className") == "skip"  # type: ignore[attr-defined]
    reachable = tab.evaluate("document.querySelectorAll('a[href], summary').length")  # type: ignore[attr-defined]
    seen = set()
    for _ in range(reachable + 2):
        seen.add(
            tab.evaluate(
                "(e => e.textContent + e.tagName + [...document.querySelectorAll('a,summary')].indexOf(e))(document.activeElement)"
            )
        )  # type: ignore[attr-defined]
        tab.keyboard.press("Tab")  # type: ignore[attr-defined]
    assert len(seen) >= reachable
    tab.close()  # type: ignore[attr-defined]


def test_it_prints_on_a4(pages: dict[str, Path], browser: object, tmp_path: Path) -> None:
    del browser  # only so that the test is skipped where there is none
    target = tmp_path / "report.pdf"
    pdf(pages["fr"], target)
    data = target.read_bytes()
    assert data.startswith(b"%PDF")
    assert 10_000 < len(data) < 3_000_000
    boxes = {tuple(float(part) for part in box.split()) for box in _media_boxes(data)}
    assert boxes
    assert all(abs(box[2] - A4_POINTS[0]) < 2 and abs(box[3] - A4_POINTS[1]) < 2 for box in boxes)


def _media_boxes(data: bytes) -> list[str]:
    found, start = [], 0
    while (start := data.find(b"/MediaBox", start)) >= 0:
        begin = data.index(b"[", start)
        found.append(data[begin + 1 : data.index(b"]", begin)].decode())
        start = begin
    return found


def test_screenshots_can_be_taken_at_every_width(browser: object, pages: dict[str, Path], tmp_path: Path) -> None:
    for width in WIDTHS:
        tab, _ = visit(browser, pages["en"], width)
        path = tmp_path / f"{width}.png"
        tab.screenshot(path=str(path), full_page=True)  # type: ignore[attr-defined]
        size = struct.unpack(">II", path.read_bytes()[16:24])
        assert size[0] == width
        assert size[1] > 2_000
        tab.close()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def real_pages(oracle_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of EU-core in both languages: no teams, no names, one medium and a long gap."""
    folder = tmp_path_factory.mktemp("real")
    with built(eu_core(oracle_data)) as warehouse:
        publish(warehouse, folder / "analytics.duckdb", Parameters())
    allowed = release(folder / "analytics.duckdb", DisclosurePolicy())
    found = {}
    for language in LANGUAGES:
        found[language] = folder / f"{language}.html"
        found[language].write_text(render_release(allowed, language=language), encoding="utf-8")
    return found


@pytest.mark.full
@pytest.mark.oracle
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("language,scheme", [("en", "light"), ("fr", "dark")])
def test_the_page_of_real_e_mail(real_pages: dict[str, Path], browser: object, language: str, scheme: str) -> None:
    """It holds, says what it cannot tell, and a screen reader can use it. The world is built before a browser waits for it."""
    page = real_pages[language]
    assert page.stat().st_size < 3_000_000
    for width in WIDTHS:
        tab, said = visit(browser, page, width, scheme)
        assert said == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= width  # type: ignore[attr-defined]
        tab.close()  # type: ignore[attr-defined]
    assert faults(browser, page, scheme) == []
