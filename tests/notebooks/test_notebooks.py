"""Each notebook runs from top to bottom on a built file, and holds no output."""

from __future__ import annotations

import importlib.util
import re
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
