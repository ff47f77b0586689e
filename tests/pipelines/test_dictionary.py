"""The data dictionary in the tree is the one that the tables' own files give."""

from __future__ import annotations

from pathlib import Path

from pipelines.catalog import load_catalog
from pipelines.dictionary import data_dictionary, settings_table

COMMITTED = Path(__file__).resolve().parents[2] / "metrics" / "DICTIONARY.md"


def test_the_committed_dictionary_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == data_dictionary(), "run: perdure dictionary > metrics/DICTIONARY.md"


def test_it_holds_every_table_column_and_caveat() -> None:
    text = data_dictionary()
    for name, spec in load_catalog().items():
        assert f"## {name}\n" in text
        assert all(f"| {column.name} | {column.unit} |" in text for column in spec.columns)
        assert all(caveat in text for caveat in spec.caveats)


def test_every_setting_is_in_one_table() -> None:
    assert "| `measure.half_life_days` | 60 |" in settings_table()
