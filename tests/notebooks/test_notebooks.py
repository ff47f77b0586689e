"""Each notebook runs from top to bottom on a built file, and holds no output."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from organisations import published_organisation

marimo = pytest.importorskip("marimo")

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))
EXPECTED = ["01_first_look", "02_media_and_survival", "03_team_network", "04_policy_effect", "05_your_own_question"]


@pytest.fixture(scope="module")
def home() -> Path:
    return published_organisation().parent


def loaded(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"notebook_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def test_there_are_five() -> None:
    assert [path.stem for path in NOTEBOOKS] == EXPECTED


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_HOME", str(home))
    outputs, definitions = loaded(path).run()  # type: ignore[attr-defined]
    assert any(output is not None for output in outputs)
    shown = "".join(marimo.as_html(output).text for output in outputs if output is not None)
    assert "<script>alert" not in shown
    if "connection" in definitions:
        definitions["connection"].close()
    if path.stem == "05_your_own_question":
        assert definitions["answer"] is not None
    if path.stem == "03_team_network":
        assert definitions["teams"].number_of_edges() > 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_plain_python_without_outputs_or_writes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "read_only=True" in text or "graph.load(published" in text
    assert not re.search(r"https?://|__generated_with|data:image", text)


def test_where_nothing_is_published_duckdb_says_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path))
    with pytest.raises(Exception, match=r"analytics\.duckdb"):
        loaded(FOLDER / "01_first_look.py").run()  # type: ignore[attr-defined]


# -- as apps: one process serves the folder ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[str]:
    """`marimo run` on the folder of notebooks, on a free loopback port; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "marimo", "run", str(FOLDER), "--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "PERDURE_HOME": str(home), "PYTHONPATH": str(FOLDER.parent)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if process.poll() is not None:
                pytest.fail(f"marimo ended: {process.stdout.read() if process.stdout else ''}")
            try:
                with urllib.request.urlopen(address, timeout=5):
                    break
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=60)


def app_page(address: str, name: str) -> str:
    with urllib.request.urlopen(f"{address}/?file={name}", timeout=60) as answer:  # noqa: S310 - our own loopback address
        assert answer.status == 200
        return str(answer.read().decode())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_starts_as_an_app_and_answers(served: str, path: Path) -> None:
    title = re.search(r'app_title="([^"]+)"', path.read_text(encoding="utf-8"))
    assert title
    assert f"<title>{title[1]}</title>" in app_page(served, path.name)


def test_what_is_no_notebook_is_not_served(served: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        app_page(served, "nothing.py")


@pytest.mark.full
@pytest.mark.browser
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_as_an_app_in_a_browser(served: str, path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here: install the system's chromium")
    heading = re.search(r"# ([^\\\n\"]+)", path.read_text(encoding="utf-8"))
    assert heading
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.goto(f"{served}/?file={path.name}")
        tab.locator("h1", has_text=heading[1]).first.wait_for(timeout=180_000)
        assert tab.locator(".marimo-error").count() == 0
        browser.close()
