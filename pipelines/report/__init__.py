"""Leadership's report: one self-contained page, in English or French, in which every figure is a cell of a released table.

It has no script, asks for nothing from any network, prints on A4, and says what is missing where a table is missing.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from connectors.errors import UserError
from metrics.disclosure import DisclosurePolicy
from pipelines.exports.release import Release, release
from pipelines.report.cells import View
from pipelines.report.language import LANGUAGES, Words
from pipelines.report.sections import all_sections, subtitle, title

__all__ = ["LANGUAGES", "pdf", "render", "render_release"]

_TEMPLATES: Final = Path(__file__).parent / "templates"
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_BROWSER_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-pdf-header-footer",
)
_PDF_SECONDS: Final = 120


def render(published: Path, *, language: str = "en", policy: DisclosurePolicy | None = None) -> str:
    """Return the report on a published file as one HTML page.

    Args:
        published: The published file; opened read-only.
        language: `en` or `fr`.
        policy: How strict disclosure control is.

    Raises:
        UserError: If nothing is published, or there is no such language.
    """
    if language not in LANGUAGES:
        raise UserError(f"--lang {language}: there is no such language; choose one of {', '.join(LANGUAGES)}")
    return render_release(release(published, policy or DisclosurePolicy()), language=language)


def render_release(allowed: Release, *, language: str) -> str:
    """Return the report on a release as one HTML page."""
    words = Words(language)
    view = View(allowed, words)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page: str = environment.get_template("page.html.j2").render(
        words=words,
        title=title(view),
        subtitle=subtitle(view),
        sections=all_sections(view),
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - a file of ours
        version=allowed.version,
        withheld=words("withheld.why", n=view.setting(allowed.policy.minimum_group_size)),
        footer=words(
            "page.footer",
            version=Markup('<span data-setting="">{}</span>').format(allowed.version),
            built=view.day(allowed.built_at.date()),
        ),
    )
    return page


def pdf(html_path: Path, pdf_path: Path) -> None:
    """Print a report to PDF with headless Chromium.

    Raises:
        UserError: If no Chromium is installed or it fails.
    """
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise UserError("--pdf: needs Chromium or Chrome on the PATH; install it, or open the HTML file and print it")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            *_BROWSER_FLAGS,
            f"--user-data-dir={profile}",
            f"--print-to-pdf={pdf_path.resolve()}",
            html_path.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_PDF_SECONDS, check=False)  # noqa: S603 - a browser on a file of ours
        except subprocess.TimeoutExpired:
            raise UserError(f"--pdf: {Path(browser).name} did not answer in {_PDF_SECONDS} seconds") from None
    if done.returncode != 0 or not pdf_path.exists():
        raise UserError(f"--pdf: {Path(browser).name} could not print the page (exit code {done.returncode})")
