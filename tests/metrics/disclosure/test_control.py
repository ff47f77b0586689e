"""The one door: what is withheld, how the rest is told, and that linear programming over it finds nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from releases import spec

from metrics.disclosure import (
    WITHHELD,
    Controlled,
    DisclosureError,
    DisclosurePolicy,
    control,
    escape_html,
    escape_spreadsheet,
    feasible_intervals,
    ranges,
)
from pipelines.catalog import TableSpec

TEAM = spec(
    "team_x", "team", "team:text person_count:count tie_count:count mutual_ratio:ratio",
    roles=["people | person_count", "pairs | tie_count", "share over tie_count | mutual_ratio"],
)  # fmt: skip


def table(of: TableSpec, **columns: list[Any]) -> pa.Table:
    kinds = {"count": pa.int64(), "text": pa.string(), "flag": pa.bool_(), "date": pa.string()}
    return pa.table({c.name: pa.array(columns[c.name], kinds.get(c.unit, pa.float64())) for c in of.columns})


def teams(**counts: int) -> pa.Table:
    return table(
        TEAM,
        team=[None if name == "total" else name for name in counts],
        person_count=list(counts.values()),
        tie_count=[10 * value for value in counts.values()],
        mutual_ratio=[0.52] * len(counts),
    )


def out(*tables: tuple[TableSpec, pa.Table], **policy: int) -> Controlled:
    named = {of.full_name: made for of, made in tables}
    return control(named, {of.full_name: of for of, _ in tables}, DisclosurePolicy(**policy))


def rows(of: TableSpec, made: pa.Table, **policy: int) -> list[dict[str, Any]]:
    return out((of, made), **policy).tables[of.full_name].to_pylist()


# -- rows ---------------------------------------------------------------------------------------------------------------


def test_a_group_of_four_is_withheld_whole_and_nobody_like_it_and_one_of_five_is_shown() -> None:
    small, none, five = rows(TEAM, teams(small=4, none=0, five=5))
    empty = {"person_count": None, "tie_count": None, "mutual_ratio": None, WITHHELD: "small_group"}
    assert small == {"team": "small", **empty}
    assert none == {"team": "none", **empty}
    assert five["person_count"] == 5
    assert five[WITHHELD] is None


def test_the_smaller_side_guards() -> None:
    of = spec(
        "client_x", "client", "client:text own_count:count their_count:count tie_count:count",
        roles=["people of inside | own_count", "people of outside | their_count", "pairs | tie_count"],
    )  # fmt: skip
    found = rows(of, table(of, client=["a", "b"], own_count=[30, 30], their_count=[1, 8], tie_count=[30, 90]))
    assert [row[WITHHELD] for row in found] == ["small_group", None]


def test_what_nobody_counted_the_people_of_is_withheld() -> None:
    made = teams(a=10, b=20).set_column(1, "person_count", pa.array([None, 20], pa.int64()))
    assert [row[WITHHELD] for row in rows(TEAM, made)] == ["small_group", None]


def test_seven_pairs_stand_for_five_people_where_nobody_counted_them() -> None:
    of = spec("curve_x", "age", "age:count pair_count:count", roles=["people in pairs | pair_count"])
    found = rows(of, table(of, age=[1, 2], pair_count=[6, 7]))
    assert [row[WITHHELD] for row in found] == ["small_group", None]


def test_the_minimum_moves_only_upward() -> None:
    assert [row[WITHHELD] for row in rows(TEAM, teams(nine=9, large=40), minimum_group_size=10)] == ["small_group", None]
    for laxer in ({"minimum_group_size": 4}, {"rounding_base": 1}, {"ratio_digits": 3}):
        with pytest.raises(ValidationError):
            DisclosurePolicy(**laxer)


# -- figures ------------------------------------------------------------------------------------------------------------


def test_few_and_none_are_told_alike() -> None:
    of = spec(
        "x", "team", "team:text person_count:count tied_count:count",
        roles=["people | person_count", "people among person_count | tied_count"],
    )  # fmt: skip
    found = rows(of, table(of, team=list("abcd"), person_count=[40] * 4, tied_count=[0, 2, 7, 8]))
    assert [row["tied_count"] for row in found] == [None, None, None, 10]
    assert [row[WITHHELD] for row in found] == ["part", "part", "part", None]


def test_ties_of_one_of_six_people_are_not_told_by_their_number() -> None:
    of = spec(
        "x", "client", "client:text person_count:count tied_count:count tie_count:count mutual_ratio:ratio",
        roles=["people | person_count", "people among person_count | tied_count", "pairs by tied_count | tie_count",
               "share over tie_count | mutual_ratio"],
    )  # fmt: skip
    one, many = rows(of, table(of, client=["a", "b"], person_count=[9, 9], tied_count=[1, 9], tie_count=[40, 40], mutual_ratio=[0.5, 0.5]))
    assert (one["tie_count"], one["mutual_ratio"]) == (None, None)
    assert (many["tie_count"], many["mutual_ratio"]) == (40, 0.4)


def test_a_share_whose_part_or_rest_is_few_is_told_as_none_or_all() -> None:
    made = teams(a=10, b=10, c=10).set_column(3, "mutual_ratio", pa.array([0.03, 0.52, 0.96]))
    assert [row["mutual_ratio"] for row in rows(TEAM, made)] == [0.0, 0.5, 1.0]


def test_an_interval_widens_to_the_steps_of_its_share_and_holds_it() -> None:
    of = spec(
        "x", "team", "team:text person_count:count kept:ratio low:ratio high:ratio",
        roles=["people | person_count", "share over person_count | kept", "interval of kept | low, high"],
    )  # fmt: skip
    (row,) = rows(of, table(of, team=["a"], person_count=[103], kept=[0.52], low=[0.422], high=[0.613]))
    assert (row["low"], row["kept"], row["high"]) == (0.4, 0.5, 0.65)


def test_what_is_about_the_busiest_few_stays_inside_and_volumes_are_round_numbers() -> None:
    of = spec(
        "x", "team", "team:text person_count:count top_ratio:ratio hours:hours hangs:flag",
        roles=["people | person_count", "inside | top_ratio", "volume | hours", "words | hangs"],
    )  # fmt: skip
    (row,) = rows(of, table(of, team=["a"], person_count=[40], top_ratio=[0.9], hours=[1234.56], hangs=[True]))
    assert row == {"team": "a", "person_count": 40, "top_ratio": None, "hours": 1250.0, "hangs": True, WITHHELD: "part"}


def test_a_lag_repeats_what_the_period_before_tells() -> None:
    of = spec(
        "x", "panel_kind panel_start", "panel_kind:text panel_start:date person_count:count tie_count:count before:count",
        roles=["people | person_count", "pairs | tie_count", "lag of tie_count | before"],
    )  # fmt: skip
    starts = ["2025-01-01", "2025-02-01", "2025-03-01", "2025-05-01"]
    made = table(
        of,
        panel_kind=["month"] * 4,
        panel_start=starts,
        person_count=[3, 30, 30, 30],
        tie_count=[60, 41, 52, 63],
        before=[None, 60, 41, 50],
    )
    # February's lag is January's withheld count; May's is that of April, which has no row
    assert [row["before"] for row in rows(of, made)] == [None, None, 40, None]


def test_a_table_that_another_guards_leaves_no_row_of_what_that_withholds() -> None:
    effort = spec("effort", "panel_kind medium", "panel_kind:text medium:text person_count:count", roles=["people | person_count"])
    gap = spec("gap", "medium date_from", "medium:text date_from:date date_to:date", roles=["calendar with metrics.effort | date_to"])
    used = table(effort, panel_kind=["all"] * 2, medium=["call", "email"], person_count=[2, 90])
    gaps = table(gap, medium=["call", "email"], date_from=["2025-01-01"] * 2, date_to=["2025-01-09"] * 2)
    assert [row["medium"] for row in out((effort, used), (gap, gaps)).tables["metrics.gap"].to_pylist()] == ["email"]


# -- refusals -----------------------------------------------------------------------------------------------------------


def test_restricted_identifying_and_undescribed_tables_stop_everything() -> None:
    for of in (
        spec("x", "team", "team:text person_count:count", is_restricted=True, roles=["people | person_count"]),
        spec("x", "team", "team:text person_key:key person_count:count", roles=["people | person_key, person_count"]),
        spec("x", "team", "team:text person_count:count", roles=None),
    ):
        with pytest.raises(DisclosureError, match=r"metrics\.x"):
            control({"metrics.x": pa.table({"team": ["a"]})}, {"metrics.x": of})


def test_a_table_that_nobody_guards_is_left_out_by_name() -> None:
    of = spec("x", "team", "team:text tie_count:count", roles=["pairs | tie_count"])
    found = out((of, table(of, team=["a"], tie_count=[50])))
    assert found.refused == {"metrics.x": "no_people_count"}
    assert not found.tables


def test_a_sum_that_no_header_declares_stops_the_release_with_its_name() -> None:
    columns = "week medium", "week:date medium:text person_count:count hours:hours"
    weeks = [f"2025-01-{day:02d}" for day in range(1, 11)]
    random = np.random.default_rng(5)
    parts = random.uniform(50, 90, (10, 2))
    made = {
        "week": [week for week in weeks for _ in range(3)],
        "medium": ["a", "b", "any"] * 10,
        "person_count": [20, 20, 30] * 10,
        "hours": [value for pair in parts for value in (*pair, pair.sum())],
    }
    silent = spec("x", *columns, roles=["people | person_count", "volume | hours"])
    with pytest.raises(DisclosureError, match=r"metrics\.x\.hours over medium"):
        out((silent, table(silent, **made)))
    said = spec("x", *columns, roles=["people | person_count", "volume over medium | hours"])
    assert out((said, table(said, **made))).tables["metrics.x"].num_rows == 30


# -- the web ------------------------------------------------------------------------------------------------------------


def narrowest(done: Controlled, minimum: int = 5) -> float:
    """How near the attacker comes to any untold count or volume, each asked for by itself: range less what is needed, at its least."""
    cells, told = done.audit
    low, high = ranges(cells, told.base, told.untold, DisclosurePolicy(minimum_group_size=minimum))
    wanted = np.flatnonzero(told.withheld & (cells.values >= 1))
    found = feasible_intervals(cells, low, high, wanted)
    needs = np.maximum(np.where(cells.is_volume, 0.0, minimum - 1.0), 0.1 * cells.values)
    return min((interval.width - needs[cell] for cell, interval in found.items()), default=np.inf)


def test_hours_of_the_only_two_who_phone_are_not_all_less_the_others() -> None:
    of = spec(
        "effort", "medium", "medium:text person_count:count hours:hours",
        roles=["people | person_count", "volume over medium | hours"],
    )  # fmt: skip
    made = table(of, medium=["any", "email", "call"], person_count=[60, 60, 2], hours=[1100.3, 1000.2, 100.1])
    done = out((of, made))
    found = {row["medium"]: row["hours"] for row in done.tables["metrics.effort"].to_pylist()}
    assert found["call"] is None
    least, most = found["any"] * 0.9 - found["email"] * 1.1, found["any"] * 1.1 - found["email"] * 0.9
    assert most - max(least, 0) > 0.1 * 100.1
    assert narrowest(done) >= -1e-6


@st.composite
def cubes(draw: st.DrawFn) -> tuple[TableSpec, pa.Table]:
    """Two dimensions with all their totals; people counted once, ties and hours as exact sums."""
    of = spec(
        "cube", "team medium", "team:text medium:text person_count:count tie_count:count hours:hours",
        roles=["people | person_count", "pairs over team and medium | tie_count", "volume over team and medium | hours"],
    )  # fmt: skip
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    sizes = np.array(draw(st.lists(st.integers(1, 30), min_size=height * width, max_size=height * width))).reshape(height, width)
    ties = sizes * np.array(draw(st.lists(st.integers(1, 12), min_size=height * width, max_size=height * width))).reshape(height, width)
    hours = ties * draw(st.floats(0.3, 40))
    columns: dict[str, list[Any]] = {"team": [], "medium": [], "person_count": [], "tie_count": [], "hours": []}
    for row in (*range(height), None):
        for column in (*range(width), None):
            at = np.ix_([row] if row is not None else range(height), [column] if column is not None else range(width))
            columns["team"].append(f"team {row}" if row is not None else "all")
            columns["medium"].append(f"medium {column}" if column is not None else "any")
            columns["person_count"].append(int(sizes[at].sum()))
            columns["tie_count"].append(int(ties[at].sum()))
            columns["hours"].append(float(hours[at].sum()))
    return of, table(of, **columns)


@settings(max_examples=40, deadline=None)
@given(cubes())
def test_no_withheld_figure_of_any_cube_is_known_within_four_people_or_a_tenth(cube: tuple[TableSpec, pa.Table]) -> None:
    assert narrowest(out(cube)) >= -1e-6


@settings(max_examples=15, deadline=None)
@given(cubes(), st.randoms())
def test_the_order_of_rows_changes_nothing(cube: tuple[TableSpec, pa.Table], random: Any) -> None:
    of, made = cube
    order = list(range(made.num_rows))
    random.shuffle(order)
    straight = {(row["team"], row["medium"]): row for row in rows(of, made)}
    mixed = {(row["team"], row["medium"]): row for row in rows(of, made.take(order))}
    assert straight == mixed


def test_what_one_table_withholds_no_other_tells() -> None:
    left = spec("left", "team", "team:text person_count:count tie_count:count", roles=["people | person_count", "pairs | tie_count"])
    right = spec("right", "team", "team:text member_count:count tie_count:count", roles=["people | member_count", "pairs | tie_count"])
    names = [f"team {number}" for number in range(6)]
    ties = [31, 42, 53, 64, 75, 86]
    done = out(
        (left, table(left, team=names, person_count=[3, 9, 9, 9, 9, 9], tie_count=ties)),
        (right, table(right, team=names, member_count=[12] * 6, tie_count=ties)),
    )
    assert [row["tie_count"] for row in done.tables["metrics.right"].to_pylist()] == [None, 40, 55, 65, 75, 85]


# -- escapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\uff1d1", "\ufeff=1"]
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert escape_spreadsheet(text) == f"'{text}"


@given(st.text())
def test_escaped_text_never_starts_a_formula_and_is_kept(text: str) -> None:
    found = escape_spreadsheet(text)
    assert found.endswith(text)
    assert not found.strip().startswith(("=", "+", "-", "@"))


def test_html_is_only_text() -> None:
    assert escape_html("<script>alert('1')</script>") == "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;"
