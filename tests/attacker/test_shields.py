"""Each shield of the disclosure control by itself: with all of them nothing is found, without that one something is.

Where the organisation `small` does not show what a shield is for, a table written by hand does. Its dimensions are a week and a site, so
that the judge counts the people of a row by the row's own counts.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from releases import published_file, spec

from attacker import attack
from attacker.files import read_export
from attacker.judge import Judgement, Truth, Verdict, judge, small_rows
from attacker.shares import METHODS
from metrics.disclosure import DisclosurePolicy, _control, _policy, _precision, _protect
from metrics.roles import LAG
from pipelines.catalog import TableSpec
from pipelines.exports import release, told
from pipelines.exports.csv_files import write_csv
from pipelines.exports.datapackage import write_datapackage

# the package names the function as the module is named
release_module = importlib.import_module("pipelines.exports.release")
Tables = Sequence[tuple[TableSpec, Sequence[Sequence[Any]]]]
Shield = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Case:
    """Published files of one home, the latest last."""

    truths: tuple[Path, ...]

    def verdict(self, place: Path, without: Shield | None = None) -> Judgement:
        """Export each in turn, with all shields or without one; attack the exports and judge."""
        shutil.rmtree(place, ignore_errors=True)
        folders: list[Path] = []
        with pytest.MonkeyPatch.context() as patch:
            if without is not None:
                without(patch)
            for number, truth in enumerate(self.truths):
                allowed = release(truth, DisclosurePolicy(), place / "told")
                folder = place / str(number)
                folder.mkdir(parents=True)
                write_datapackage(allowed, folder, write_csv(allowed, folder / "csv"))
                folders.insert(0, folder)
        findings = attack(*folders, seconds=0.3)
        truths = {str(folder): Truth(path) for folder, path in zip(folders, reversed(self.truths), strict=True)}
        verdicts = judge(findings, truths)
        # by the latest truth: what is small now
        rows = [row for folder in folders for row in small_rows(read_export(folder), truths[str(folders[0])])]
        for opened in truths.values():
            opened.close()
        return Judgement(verdicts, rows, folders)


def by_hand(place: Path, *tables: tuple[TableSpec, Sequence[Sequence[Any]]]) -> Case:
    """One published file of some tables."""
    return Case((published_file(place / "analytics.duckdb", tables),))


def week(number: int) -> date:
    return date(2026, 1, 5) + timedelta(days=7 * number)


def table(name: str, columns: str, *roles: str) -> TableSpec:
    return spec(name, "week_start site", f"week_start:date site:text {columns}", roles=roles)


def found(case: Case, place: Path, without: Shield, technique: str = "") -> list[Verdict]:
    """Return what is recovered without a shield, where nothing is with all."""
    assert not case.verdict(place).recovered()
    return case.verdict(place, without).recovered(technique)


# -- the shields, each taken away by itself ---------------------------------------------------------------------------


def no_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "_small_rows", lambda rows, *_: np.zeros(rows.num_rows, np.bool_))


def no_few(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "rounded", lambda values, base, *_: np.floor(values / base + 0.5) * base)


def no_rounding(patch: pytest.MonkeyPatch) -> None:
    rounded = _precision.rounded
    patch.setattr(_control, "rounded", lambda values, *others: np.where(np.isnan(rounded(values, *others)), np.nan, values))


def no_preferred(patch: pytest.MonkeyPatch) -> None:
    preferred = _precision.preferred
    patch.setattr(_control, "preferred", lambda values: np.where(np.isnan(preferred(values)), np.nan, values))


def no_steps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "share", lambda values, *_: np.round(values, 2))


def no_snapping(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "share", lambda values, on, step, small: np.round(np.round(values / step) * step, 6))


def no_outward(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "outward", lambda values, step, *, is_low: np.round(values, 2))


def no_told_lag(patch: pytest.MonkeyPatch) -> None:
    """A lag is a count of its own, rounded like others."""
    count = _control._Shaped.count

    def by_itself(shaped: Any, *others: Any) -> None:
        count(shaped, *others)
        for name, role in shaped._roles.columns.items():
            if role.kind == LAG:
                shaped._told[name] = _precision.rounded(shaped._exact[name], np.full(len(shaped._exact[name]), 5.0))

    patch.setattr(_control._Shaped, "count", by_itself)
    patch.setattr(told, "_with_lags", lambda rows, *_: rows)


def no_by(patch: pytest.MonkeyPatch) -> None:
    roles_of = _policy.roles_of

    def without(documented: Any) -> Any:
        roles = roles_of(documented)
        return replace(roles, columns={name: replace(role, by=()) for name, role in roles.columns.items()})

    patch.setattr(_control, "roles_of", without)


def no_withheld_elsewhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "_withheld", lambda cells, *_: np.zeros(len(cells.keys), np.bool_))


def no_repeated(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "repeated", lambda *_: {})


def no_program(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_protect, "too_narrow", lambda *_: np.array([], np.int64))


def no_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release_module, "as_told", lambda fresh, *_: dict(fresh))


def no_closing(patch: pytest.MonkeyPatch) -> None:
    blocks = told._blocks
    patch.setattr(told, "_blocks", lambda rows, grain, as_of: blocks(rows, grain, as_of + timedelta(days=31)))


# -- in an organisation -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def an_organisation(judged: Callable[[str], Judgement]) -> Case:
    """The world `small`, of which nothing is recovered with all shields."""
    with_all = judged("small")
    assert not with_all.recovered()
    assert not with_all.rows
    return Case((with_all.folders[0].parent.parent / "analytics.duckdb",))


def test_without_the_least_number_of_people_rows_about_few_are_shown(an_organisation: Case, tmp_path: Path) -> None:
    without = an_organisation.verdict(tmp_path / "out", no_rows)
    assert {"team with team", "two media", "party"} <= {row.why for row in without.rows}
    assert without.recovered("told")


def test_without_preferred_numbers_hours_of_few_are_all_less_the_others(an_organisation: Case, tmp_path: Path) -> None:
    assert an_organisation.verdict(tmp_path / "out", no_preferred).recovered("magnitude by subtraction", table="medium_effort")


# -- in tables written by hand ----------------------------------------------------------------------------------------


def test_without_leaving_few_empty_one_and_two_are_told_from_three(tmp_path: Path) -> None:
    of = table(
        "kept", "person_count:count kept_person_count:count", "people | person_count", "people among person_count | kept_person_count"
    )
    rows = [[week(number), f"s{site}", 40, (7 * number + 3 * site) % 30] for number in range(10) for site in range(4)]
    assert found(by_hand(tmp_path, (of, rows)), tmp_path / "out", no_few)


def _sites(totals: Sequence[Sequence[int]]) -> Tables:
    of = table(
        "tied",
        "person_count:count tied_person_count:count",
        "people | person_count",
        "people among person_count over site | tied_person_count",
    )
    rows = []
    for number, parts in enumerate(totals):
        named = {"any": sum(parts)} | {f"s{place}": part for place, part in enumerate(parts)}
        rows += [[week(number), site, 200, part] for site, part in named.items()]
    return [(of, rows)]


ROUND = [[20 + 3 * number % 17, 31 + 5 * number % 19, 45 + 7 * number % 23] for number in range(10)]


def test_without_rounding_what_is_left_empty_is_the_total_less_the_others(tmp_path: Path) -> None:
    assert found(by_hand(tmp_path, *_sites([*ROUND, [3, 31, 44]])), tmp_path / "out", no_rounding)


def test_without_linear_programs_roundings_that_meet_tell_what_is_left_empty(tmp_path: Path) -> None:
    # 23 and 33 are told as 25 and 35, of a total of 57 that would be told as 55: of the third no more than one is left
    assert found(by_hand(tmp_path, *_sites([*ROUND, [1, 23, 33]])), tmp_path / "out", no_program)


def _shares(cases: Iterable[tuple[int, int]]) -> Tables:
    """Shares that so many are of so many; the part has a column, and the description says that the share is of it."""
    of = table(
        "held",
        "person_count:count held_person_count:count held_ratio:ratio",
        "people | person_count",
        "people among person_count | held_person_count",
        "share over person_count | held_ratio",
    )
    said = {"held_ratio": "held_person_count / person_count"}
    of = replace(of, columns=tuple(replace(each, description=said.get(each.name, each.description)) for each in of.columns))
    return [(of, [[week(place // 4), f"s{place % 4}", whole, part, part / whole] for place, (part, whole) in enumerate(cases)])]


def test_without_steps_a_share_times_its_whole_is_a_few(tmp_path: Path) -> None:
    case = by_hand(tmp_path, *_shares(product(range(1, 16), range(20, 60, 3))))
    assert found(case, tmp_path / "out", no_steps, "share times denominator")


def _behind_none(case: Case, place: Path, without: Shield | None) -> set[int]:
    """Return of how many people the shares are that are told as none."""
    sheet = read_export(case.verdict(place, without).folders[0]).sheets["metrics.held"]
    with duckdb.connect(str(case.truths[0]), read_only=True) as connection:
        exact = {
            (str(day), site): part
            for day, site, part in connection.sql("select week_start, site, held_person_count from metrics.held").fetchall()
        }
    return {exact[str(key[0]), key[1]] for key, row in sheet.rows.items() if row["held_ratio"] == 0}


def test_without_none_or_all_a_share_told_as_none_is_of_one_or_two(tmp_path: Path) -> None:
    # not by the judge: an attacker who takes none for none to two is right or wrong by how many there are of each
    case = by_hand(tmp_path, *_shares(product(range(1, 40), (50, 51, 52))))
    assert _behind_none(case, tmp_path / "out", None) == {1, 2, 3, 4, 5}
    assert _behind_none(case, tmp_path / "out", no_snapping) == {1, 2}


PANEL = spec("panel", "panel_kind panel_start", "panel_kind:text panel_start:date panel_end:date", schema="core", is_restricted=True)
CONTACT = spec("contact", "date", "date:date", schema="core", is_restricted=True)


def test_without_the_told_lag_a_withheld_count_stands_beside_the_period_after(tmp_path: Path) -> None:
    of = spec(
        "team_tie",
        "panel_kind panel_start site",
        "panel_kind:text panel_start:date site:text person_count:count tie_count:count previous_tie_count:count",
        roles=["people | person_count", "pairs | tie_count", "lag of tie_count | previous_tie_count"],
    )
    ties = [[40 + (11 * number + 17 * site) % 60 for number in range(12)] for site in range(4)]
    rows: list[list[Any]] = [
        [
            "week",
            week(number),
            f"s{site}",
            3 if (number, site) == (0, 2) else 20,
            ties[site][number],
            ties[site][number - 1] if number else None,
        ]
        for number in range(12)
        for site in range(4)
    ]
    panels = [["week", week(number), week(number + 1)] for number in range(12)]
    case = by_hand(tmp_path, (of, rows), (PANEL, panels), (CONTACT, [[week(0)]]))
    assert found(case, tmp_path / "out", no_told_lag, technique="lag")


def test_without_by_ties_of_one_person_among_many_are_told(tmp_path: Path) -> None:
    of = table(
        "tie",
        "person_count:count internal_person_count:count tie_count:count",
        "people | person_count",
        "people among person_count | internal_person_count",
        "pairs by internal_person_count | tie_count",
    )
    rows = [
        [week(number), f"s{site}", 60, 1 + (number + site) % 5 * 9, 90 + 7 * number + site] for number in range(10) for site in range(4)
    ]
    assert found(by_hand(tmp_path, (of, rows)), tmp_path / "out", no_by)


def _two(column: str, *roles: str) -> Tables:
    """Two tables that repeat a figure, and count ties of their own; the one withholds it in a row, as it counts three people there."""
    made: list[tuple[TableSpec, list[list[Any]]]] = []
    for name, people, ties, least in (("left_side", "person_count", "tie_count", 3), ("right_side", "member_count", "arc_count", 40)):
        stated = [role.replace("TIES", ties) for role in roles]
        of = table(name, f"{people}:count {ties}:count {column}", f"people | {people}", f"pairs | {ties}", *stated)
        rows = []
        for number, site in product(range(8), range(4)):
            own = 90 + number if name == "left_side" else 130 + site
            rows.append([week(number), f"s{site}", least if (number, site) == (3, 1) else 40, own, 31 + 6 * number + 2 * site])
        made.append((of, rows))
    return made


def test_without_withholding_elsewhere_another_table_tells(tmp_path: Path) -> None:
    assert found(
        by_hand(tmp_path, *_two("kept_tie_count:count", "pairs among TIES | kept_tie_count")), tmp_path / "out", no_withheld_elsewhere
    )


def test_without_withholding_repeated_estimates_another_table_tells(tmp_path: Path) -> None:
    assert found(by_hand(tmp_path, *_two("median_days:days", "estimate over TIES | median_days")), tmp_path / "out", no_repeated)


def _narrowest(case: Case, place: Path, without: Shield | None) -> int:
    """In how many rows the upper end of an interval leaves one number of people only, of one to four, whatever is told of the share.

    The ends may have been rounded or widened, in the finest step that lies between two of them.
    """
    rows = read_export(case.verdict(place, without).folders[0]).sheets["metrics.kept"].rows.values()
    told = [(float(row["high_ratio"]), float(row["person_count"])) for row in rows if row["high_ratio"] and row["person_count"]]
    step = float(np.diff(sorted({high for high, _ in told})).min())
    count = 0
    for high, about in told:
        part, whole = np.meshgrid(np.arange(40.0), np.arange(about - 2, about + 3))
        end = METHODS[0](np.minimum(part, whole), whole)[1]
        fits = set(part[(part <= whole) & (high - step < end) & (end < high + step / 2)])
        count += fits in ({1.0}, {2.0}, {3.0}, {4.0})
    return count


def test_without_widening_the_ends_of_an_interval_are_a_few(tmp_path: Path) -> None:
    of = table(
        "kept",
        "person_count:count kept_ratio:ratio low_ratio:ratio high_ratio:ratio",
        "people | person_count",
        "share over person_count | kept_ratio",
        "interval of kept_ratio | low_ratio, high_ratio",
    )
    rows: list[list[Any]] = []
    for number in range(40):
        part, whole = 1 + number % 10, 25 + number % 13
        low, high = METHODS[0](np.array([float(part)]), np.array([float(whole)]))
        rows.append([week(number // 4), f"s{number % 4}", whole, part / whole, float(low[0]), float(high[0])])
    case = by_hand(tmp_path, (of, rows))
    assert _narrowest(case, tmp_path / "out", None) == 0
    assert _narrowest(case, tmp_path / "out", no_outward) > 0


# -- over time --------------------------------------------------------------------------------------------------------

TEAM = table("team_tie", "person_count:count tie_count:count", "people | person_count", "pairs | tie_count")
OBSERVED = spec("observed_day", "date", "date:date is_observed:flag", roles=["calendar | is_observed"])


def _twice(place: Path, as_of: tuple[date, date], people: tuple[int, int], at: int) -> Case:
    """Two published files a while apart; the row of week `at` and site 1 is about so many in the one and in the other."""
    truths = []
    for name, day, number in zip(("one", "two"), as_of, people, strict=True):
        observed = [[date(2026, 1, 1) + timedelta(days=each), True] for each in range((day - date(2026, 1, 1)).days + 1)]
        rows = [
            [week(each), f"s{site}", number if (each, site) == (at, 1) else 30, 60 + 13 * each + 5 * site]
            for each in range(8)
            for site in range(4)
        ]
        truth = published_file(place / f"{name}.duckdb", [(TEAM, rows), (OBSERVED, observed)])
        with duckdb.connect(str(truth)) as connection:
            connection.execute("update metrics.about set as_of = $1", [day])
        truths.append(truth)
    return Case(tuple(truths))


def test_without_keeping_what_was_told_two_exports_tell_what_one_withholds(tmp_path: Path) -> None:
    # a person was erased: what was told of them and four others would be withheld now, and who sees that knows it
    case = _twice(tmp_path, (date(2026, 6, 30), date(2026, 6, 30)), (5, 4), 3)
    assert not case.verdict(tmp_path / "out").recovered("another export")
    assert case.verdict(tmp_path / "out", no_memory).recovered("another export")


def test_without_waiting_for_its_end_a_week_is_told_that_is_withheld_after_it(tmp_path: Path) -> None:
    case = _twice(tmp_path, (week(7) + timedelta(days=3), week(8)), (5, 4), 7)
    assert not case.verdict(tmp_path / "out").rows
    assert case.verdict(tmp_path / "out", no_closing).rows
