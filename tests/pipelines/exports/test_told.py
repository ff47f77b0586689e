"""Exports over time are one release: what was told stays as it was told, and its difference tells of nobody."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from releases import published_file, spec

from connectors.errors import UserError
from metrics.disclosure import DisclosurePolicy
from pipelines.exports import export
from pipelines.exports.release import release

TEAM = spec(
    "team_tie",
    "panel_kind panel_start team",
    "panel_kind:text panel_start:date team:text person_count:count tie_count:count before:count hours:hours",
    roles=["people | person_count", "pairs | tie_count", "lag of tie_count | before", "volume | hours"],
)
OBSERVED = spec("observed_day", "date", "date:date is_observed:flag", roles=["calendar | is_observed"])


def row(month: int, team: str, people: int, ties: int, before: int | None, hours: float, kind: str = "month") -> list[Any]:
    return [kind, date(2026, month, 1), team, people, ties, before, hours]


def publish(path: Path, rows: list[list[Any]], days: int = 181, as_of: date | None = None) -> Path:
    """A home's published file; a second call is the next night's."""
    path.unlink(missing_ok=True)
    observed = [[date.fromordinal(date(2026, 1, 1).toordinal() + day), True] for day in range(days)]
    published_file(path, [(TEAM, rows), (OBSERVED, observed)])
    if as_of:
        with duckdb.connect(str(path)) as connection:
            connection.execute("update metrics.about set as_of = $1", [as_of])
    return path


def told(folder: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    table = pq.read_table(folder / "parquet" / "metrics.team_tie.parquet").to_pylist()
    return {(line["panel_kind"], line["panel_start"].month, line["team"]): line for line in table}


FIRST = [row(4, "a", 30, 60, None, 400), row(5, "a", 30, 70, 60, 500), row(1, "a", 40, 200, None, 2000, "all")]


def test_a_closed_month_stays_as_it_was_told_whatever_folder_it_goes_to_and_whoever_was_erased(tmp_path: Path) -> None:
    home = tmp_path / "analytics.duckdb"
    one = told(export(publish(home, FIRST), tmp_path / "exports").folder)
    # somebody who worked 90 hours in May was erased
    erased = [row(4, "a", 29, 52, None, 310), row(5, "a", 29, 61, 52, 410), row(1, "a", 39, 180, None, 1700, "all")]
    two = told(export(publish(home, erased), tmp_path / "elsewhere").folder)
    assert two == one


def test_a_row_that_was_withheld_stays_withheld_and_one_that_was_told_stays(tmp_path: Path) -> None:
    home = tmp_path / "analytics.duckdb"
    first = [row(5, "small", 4, 40, None, 100), row(5, "large", 5, 50, None, 200)]
    one = told(export(publish(home, first), tmp_path / "exports").folder)
    late = [row(5, "small", 5, 44, None, 130), row(5, "large", 4, 40, None, 150), row(5, "new", 9, 40, None, 150)]
    assert told(export(publish(home, late), tmp_path / "exports").folder) == one


def test_a_month_that_is_not_over_is_not_told(tmp_path: Path) -> None:
    rows = [*FIRST, row(6, "a", 30, 80, 70, 450)]
    early = told(export(publish(tmp_path / "analytics.duckdb", rows, as_of=date(2026, 6, 29)), tmp_path / "exports").folder)
    assert ("month", 6, "a") not in early
    over = told(export(publish(tmp_path / "analytics.duckdb", rows, as_of=date(2026, 6, 30)), tmp_path / "exports").folder)
    assert over["month", 6, "a"]["tie_count"] == 80


def test_a_lag_repeats_what_was_told_then_not_what_is_known_now(tmp_path: Path) -> None:
    home = tmp_path / "analytics.duckdb"
    export(publish(home, FIRST[:2], as_of=date(2026, 5, 31), days=151), tmp_path / "exports")
    # of May three are fewer now, and June is new
    later = [row(4, "a", 30, 60, None, 400), row(5, "a", 30, 67, 60, 500), row(6, "a", 30, 80, 67, 450)]
    two = told(export(publish(home, later), tmp_path / "exports").folder)
    assert two["month", 5, "a"]["tie_count"] == 70
    assert two["month", 6, "a"]["before"] == 70


def test_a_month_of_which_more_was_collected_is_told_anew(tmp_path: Path) -> None:
    home = tmp_path / "analytics.duckdb"
    export(publish(home, FIRST, days=140), tmp_path / "exports")
    more = [row(4, "a", 30, 60, None, 400), row(5, "a", 60, 170, 60, 1000)]
    two = told(export(publish(home, more, days=181), tmp_path / "exports").folder)
    assert two["month", 5, "a"]["tie_count"] == 170


def test_the_whole_time_is_told_anew_when_a_week_is_over(tmp_path: Path) -> None:
    home = tmp_path / "analytics.duckdb"
    whole = [row(1, "a", 40, 200, None, 2000, "all")]
    more = [row(1, "a", 60, 400, None, 4000, "all")]
    export(publish(home, whole, as_of=date(2026, 6, 22)), tmp_path / "exports")
    assert told(export(publish(home, more, as_of=date(2026, 6, 26)), tmp_path / "exports").folder)["all", 1, "a"]["tie_count"] == 200
    assert told(export(publish(home, more, as_of=date(2026, 6, 28)), tmp_path / "exports").folder)["all", 1, "a"]["tie_count"] == 400


def test_what_was_told_under_a_smaller_group_is_told_anew_under_a_larger(tmp_path: Path) -> None:
    home = publish(tmp_path / "analytics.duckdb", [row(5, "a", 8, 60, None, 400), row(5, "b", 30, 60, None, 400)])
    export(home, tmp_path / "exports")
    stricter = told(export(home, tmp_path / "exports", DisclosurePolicy(minimum_group_size=10)).folder)
    assert {key[2]: line["withheld"] for key, line in stricter.items()} == {"a": "small_group", "b": None}


def test_the_page_and_the_files_are_one_release_and_a_lost_memory_is_said(tmp_path: Path) -> None:
    home = publish(tmp_path / "analytics.duckdb", FIRST)
    first = release(home, DisclosurePolicy()).tables["metrics.team_tie"].to_pylist()
    changed = publish(tmp_path / "analytics.duckdb", [row(5, "a", 30, 75, None, 560)])
    assert release(changed, DisclosurePolicy()).tables["metrics.team_tie"].to_pylist() == first
    assert (tmp_path / "told").stat().st_mode & 0o077 == 0
    (tmp_path / "told" / "told.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="what was told before cannot be read"):
        export(home, tmp_path / "exports")
