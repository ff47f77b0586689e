"""Disclosure control: what is withheld, and that an attacker with everything shown cannot work it out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics.disclosure._cells import AT_LEAST, AT_MOST, SUM, Cells
from pydantic import ValidationError

from metrics.disclosure import (
    PART,
    WHOLE,
    WITHHELD,
    DisclosureError,
    DisclosurePolicy,
    control,
    escape_html,
    escape_spreadsheet,
    feasible_intervals,
    roles_of,
)
from metrics.disclosure._attack import bounds_of, cleared


@dataclass(frozen=True)
class Column:
    name: str
    unit: str


@dataclass(frozen=True)
class Spec:
    name: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    schema: str = "metrics"
    is_restricted: bool = False


def spec(name: str, grain: str, columns: str, **fields: object) -> Spec:
    """`columns` as `name:unit ...`."""
    return Spec(
        name,
        tuple(grain.split()),
        tuple(Column(*each.split(":")) for each in columns.split()),
        **fields,  # type: ignore[arg-type]
    )


TEAM = spec("team_x", "team", "team:text person_count:count tie_count:count mutual_ratio:ratio")


def teams(**counts: int) -> pa.Table:
    """Teams and their people; ties are ten a person."""
    return pa.table(
        {
            "team": [None if name == "total" else name for name in counts],
            "person_count": pa.array(list(counts.values()), pa.int64()),
            "tie_count": pa.array([10 * value for value in counts.values()], pa.int64()),
            "mutual_ratio": [0.123456] * len(counts),
        }
    )


def withheld(table: pa.Table, column: str = "team") -> set[object]:
    return {name for name, reason in zip(table[column].to_pylist(), table[WITHHELD].to_pylist(), strict=True) if reason}


def one(table: pa.Table, of: Spec = TEAM, **options: object) -> pa.Table:
    return control({f"metrics.{of.name}": table}, {f"metrics.{of.name}": of}, **options).tables[f"metrics.{of.name}"]  # type: ignore[arg-type]


# -- what is withheld ---------------------------------------------------------------------------------------------------


def test_a_group_of_four_is_withheld_whole_and_one_of_five_is_shown() -> None:
    out = one(teams(small=4, five=5, large=40))
    assert withheld(out) == {"small"}
    row = out.to_pylist()[0]
    assert row == {"team": "small", "person_count": None, "tie_count": None, "mutual_ratio": None, WITHHELD: "small_group"}
    assert out.to_pylist()[1]["person_count"] == 5


def test_nobody_is_not_a_small_group() -> None:
    assert withheld(one(teams(empty=0, large=40))) == set()


def test_the_minimum_moves_only_upward() -> None:
    assert withheld(one(teams(nine=9, large=40), policy=DisclosurePolicy(minimum_group_size=10))) == {"nine"}
    for laxer in ({"minimum_group_size": 4}, {"rounding_base": 0}, {"ratio_digits": 3}):
        with pytest.raises(ValidationError):
            DisclosurePolicy(**laxer)


def test_any_guard_withholds_the_row() -> None:
    of = spec("client_x", "client", "client:text own_person_count:count client_person_count:count tie_count:count")
    table = pa.table({"client": ["a", "b"], "own_person_count": [30, 30], "client_person_count": [3, 8], "tie_count": [9, 9]})
    assert withheld(one(table, of), "client") == {"a"}


def test_pairs_guard_where_people_are_not_counted_and_seven_are_needed() -> None:
    of = spec("curve_x", "age_days", "age_days:count tie_count:count survival_ratio:ratio")
    table = pa.table({"age_days": [30, 60, 90], "tie_count": [70, 7, 6], "survival_ratio": [0.9, 0.8, 0.7]})
    assert withheld(one(table, of), "age_days") == {90}


def test_figures_without_a_known_number_of_people_are_withheld() -> None:
    table = teams(a=10, b=20).set_column(1, "person_count", pa.array([None, 20], pa.int64()))
    assert withheld(one(table)) == {"a"}


def test_rounding_is_to_the_base_and_leaves_the_calendar_alone() -> None:
    of = spec("x", "team", "team:text person_count:count day_count:count observed_day_count:count minutes:minutes z:z")
    table = pa.table(
        {"team": ["a"], "person_count": [13], "day_count": [31], "observed_day_count": [29], "minutes": [12.34], "z": [-1.239]}
    )
    row = one(table, of).to_pylist()[0]
    assert row == {"team": "a", "person_count": 15, "day_count": 31, "observed_day_count": 29, "minutes": 12.3, "z": -1.24, WITHHELD: None}


def test_whatever_it_is_called_a_count_of_people_or_contacts_is_rounded_and_a_share_of_the_busiest_is_coarse() -> None:
    of = spec(
        "x",
        "team",
        "team:text person_count:count side_a_number:count carriers_a_number:count contact_days:count top_one_a_ratio:ratio r:ratio",
    )
    table = pa.table(
        {
            "team": ["a"],
            "person_count": [13],
            "side_a_number": [3],
            "carriers_a_number": [1],
            "contact_days": [33],
            "top_one_a_ratio": [0.848],
            "r": [0.848],
        }
    )
    row = one(table, of).to_pylist()[0]
    assert list(row.values()) == ["a", 15, 5, 0, 35, 0.8, 0.85, None]


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20), st.integers(1, 100))
def test_rounding_goes_to_the_nearest_multiple(values: list[int], base: int) -> None:
    of = spec("x", "row", "row:text person_count:count change_count:count")
    table = pa.table({"row": [str(n) for n in range(len(values))], "person_count": [500] * len(values), "change_count": values})
    out = one(table, of, policy=DisclosurePolicy(rounding_base=base))["change_count"].to_pylist()
    assert all(got % base == 0 and abs(got - value) * 2 <= base for got, value in zip(out, values, strict=True))


# -- what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        spec("pair_x", "team", "team:text person_count:count", is_restricted=True),
        spec("pair_x", "person_key", "person_key:key person_count:count"),
        spec("x", "team", "team:text member_keys:keys"),
        spec("person", "team", "team:text", schema="core"),
        spec("account", "team", "team:text", schema="raw"),
    ],
)
def test_restricted_and_identifying_tables_are_refused(table: Spec) -> None:
    with pytest.raises(DisclosureError, match=table.name):
        roles_of(table)
    with pytest.raises(DisclosureError):
        control({f"{table.schema}.{table.name}": pa.table({"team": ["a"]})}, {f"{table.schema}.{table.name}": table})


def test_a_metric_that_does_not_say_how_many_people_it_is_about_is_left_out_by_name() -> None:
    of = spec("model_x", "term", "term:text coefficient:log_odds")
    out = control({"metrics.model_x": pa.table({"term": ["age"], "coefficient": [0.5]})}, {"metrics.model_x": of})
    assert out.tables == {}
    assert out.refused == {"metrics.model_x": "no_people_count"}


def test_tables_of_what_was_collected_need_no_guard() -> None:
    of = spec("panel", "panel_kind panel_start", "panel_kind:text panel_start:text day_count:count", schema="core")
    table = pa.table({"panel_kind": ["month"], "panel_start": ["2026-01-01"], "day_count": [31]})
    assert control({"core.panel": table}, {"core.panel": of}).tables["core.panel"].num_rows == 1


# -- what an attacker can work out --------------------------------------------------------------------------------------


def assert_protected(outcome: object, protection: float = 4, slack: float = 0.0) -> int:
    cells, done = outcome.audit  # type: ignore[attr-defined]
    answers = feasible_intervals(cells, done.hidden, slack=slack)
    for cell, interval in answers.items():
        assert interval.low <= cells.values[cell] + 1e-6
        assert interval.high >= cells.values[cell] - 1e-6
        if cell not in set(done.exposed):
            assert interval.width >= protection - 1e-6
    return len(answers)


def test_a_single_small_team_under_a_total_takes_the_smallest_other_with_it() -> None:
    outcome = control({"metrics.team_x": teams(total=55, small=3, a=12, b=40)}, {"metrics.team_x": TEAM})
    assert withheld(outcome.tables["metrics.team_x"]) == {"small", "a"}
    assert outcome.row_counts["metrics.team_x"] == (4, 1, 1)
    assert assert_protected(outcome) == 2


def test_two_tiny_groups_do_not_shield_each_other() -> None:
    # 2 + 1 = 3 would leave each within 1 to 2
    outcome = control({"metrics.team_x": teams(total=55, one=1, two=2, a=12, b=40)}, {"metrics.team_x": TEAM})
    assert withheld(outcome.tables["metrics.team_x"]) == {"one", "two", "a"}
    assert_protected(outcome)


def test_where_no_part_is_left_the_total_goes() -> None:
    outcome = control({"metrics.team_x": teams(total=5, small=2, other=3)}, {"metrics.team_x": TEAM})
    assert withheld(outcome.tables["metrics.team_x"]) == {None, "small", "other"}


def test_the_total_may_stand_in_another_table() -> None:
    whole = spec("org_x", "medium", "medium:text person_count:count r:ratio")
    tables = {
        "metrics.team_x": teams(small=3, a=12, b=40),
        "metrics.org_x": pa.table({"medium": ["any"], "person_count": [55], "r": [0.5]}),
    }
    outcome = control(tables, {"metrics.team_x": TEAM, "metrics.org_x": whole})
    assert withheld(outcome.tables["metrics.team_x"]) == {"small", "a"}
    assert_protected(outcome)


def test_a_cell_withheld_in_one_table_is_withheld_in_every_table_that_repeats_it() -> None:
    other = spec("team_y", "team", "team:text person_count:count churn_ratio:ratio")
    again = pa.table({"team": ["small", "a", "b"], "person_count": [3, 12, 40], "churn_ratio": [0.1, 0.2, 0.3]})
    outcome = control(
        {"metrics.team_x": teams(total=55, small=3, a=12, b=40), "metrics.team_y": again}, {"metrics.team_x": TEAM, "metrics.team_y": other}
    )
    assert withheld(outcome.tables["metrics.team_y"]) == {"small", "a"}


def test_the_size_of_a_team_is_one_cell_wherever_a_pair_of_teams_repeats_it() -> None:
    pair = spec("team_pair_x", "team_a team_b", "team_a:text team_b:text team_a_person_count:count team_b_person_count:count ratio:ratio")
    table = pa.table(
        {
            "team_a": ["a", "a", "b"],
            "team_b": ["b", "c", "c"],
            "team_a_person_count": [12, 12, 40],
            "team_b_person_count": [40, 3, 30],
            "ratio": [1.0, 2.0, 3.0],
        }
    )
    outcome = control(
        {"metrics.team_x": teams(total=85, small=3, a=12, b=40, c=30), "metrics.team_pair_x": table},
        {"metrics.team_x": TEAM, "metrics.team_pair_x": pair},
    )
    # team a shields `small`, so no row may tell its size; that b stands beside a in a withheld row is no reason to hide b
    assert outcome.tables["metrics.team_pair_x"][WITHHELD].to_pylist() == ["small_group", "small_group", None]


def test_people_counted_once_over_media_bound_a_withheld_medium() -> None:
    # any = 20 people, email 19: a hidden chat of 3 lies within 1 to 20
    of = spec("m", "medium", "medium:text person_count:count")
    outcome = control({"metrics.m": pa.table({"medium": ["any", "email", "chat"], "person_count": [20, 19, 3]})}, {"metrics.m": of})
    assert withheld(outcome.tables["metrics.m"], "medium") == {"chat"}
    assert_protected(outcome)


def test_a_grouping_and_its_level_are_one_dimension_with_its_total() -> None:
    of = spec("curve", "grouping level age_days", "grouping:text level:text age_days:days person_count:count survival_ratio:ratio")
    rows = [("all", "all", 60), ("external_kind", "own", 45), ("external_kind", "client", 12), ("external_kind", "supplier", 3)]
    table = pa.table(
        {
            "grouping": [row[0] for row in rows],
            "level": [row[1] for row in rows],
            "age_days": [30.0] * 4,
            "person_count": [row[2] for row in rows],
            "survival_ratio": [0.5] * 4,
        }
    )
    outcome = control({"metrics.curve": table}, {"metrics.curve": of})
    assert withheld(outcome.tables["metrics.curve"], "level") == {"supplier", "client"}
    assert_protected(outcome)


def test_a_bridge_between_two_closed_patterns_is_found_by_the_attacker() -> None:
    # every line has two hidden cells, yet the one that joins the two squares follows from the others
    rows, columns = 4, 4
    hidden = {(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3), (1, 2)}
    values = {(r, c): 3 if (r, c) in hidden else 50 for r in range(rows) for c in range(columns)}
    of = spec("grid", "team office", "team:text office:text person_count:count")
    cells = [(f"t{r}", f"o{c}", value) for (r, c), value in values.items()]
    cells += [(f"t{r}", None, sum(values[r, c] for c in range(columns))) for r in range(rows)]
    cells += [(None, f"o{c}", sum(values[r, c] for r in range(rows))) for c in range(columns)]
    cells += [(None, None, sum(values.values()))]
    table = pa.table(dict(zip(("team", "office", "person_count"), map(list, zip(*cells, strict=True)), strict=True)))
    outcome = control({"metrics.grid": table}, {"metrics.grid": of})
    assert outcome.row_counts["metrics.grid"][2] > 0
    assert assert_protected(outcome) > 9


@st.composite
def cubes(draw: st.DrawFn) -> pa.Table:
    """Team by office by month with all totals, mostly small numbers."""
    sizes = [draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 2))]
    people = np.array(draw(st.lists(st.integers(0, 30), min_size=int(np.prod(sizes)), max_size=int(np.prod(sizes))))).reshape(sizes)
    rows = []
    for month in range(sizes[2]):
        for team in (*range(sizes[0]), None):
            for office in (*range(sizes[1]), None):
                part = people[:, :, month]
                part = part if team is None else part[[team], :]
                part = part if office is None else part[:, [office]]
                rows.append(
                    (
                        f"2026-0{month + 1}",
                        f"t{team}" if team is not None else None,
                        f"o{office}" if office is not None else "all",
                        int(part.sum()),
                    )
                )
    columns = list(zip(*rows, strict=True))
    return pa.table(
        {
            "panel_kind": ["month"] * len(rows),
            "panel_start": list(columns[0]),
            "team": pa.array(columns[1], pa.string()),
            "office": list(columns[2]),
            "person_count": pa.array(columns[3], pa.int64()),
        }
    )


CUBE = spec("cube", "panel_kind panel_start team office", "panel_kind:text panel_start:date team:text office:text person_count:count")


@settings(max_examples=25, deadline=None)
@given(cubes(), st.integers(5, 9))
def test_no_withheld_cell_of_any_cube_can_be_worked_out(table: pa.Table, minimum: int) -> None:
    policy = DisclosurePolicy(minimum_group_size=minimum)
    outcome = control({"metrics.cube": table}, {"metrics.cube": CUBE}, policy)
    assert_protected(outcome, policy.protection)
    assert_protected(outcome, policy.protection, slack=2.0)
    shown = outcome.tables["metrics.cube"]
    assert all(value is None or value == 0 or value >= 5 for value in shown["person_count"].to_pylist())


@settings(max_examples=25, deadline=None)
@given(cubes(), st.randoms(use_true_random=False))
def test_neither_row_order_nor_a_second_copy_changes_what_is_withheld(table: pa.Table, random: object) -> None:
    first = control({"metrics.cube": table}, {"metrics.cube": CUBE}).tables["metrics.cube"]
    order = list(range(table.num_rows))
    random.shuffle(order)  # type: ignore[attr-defined]
    second = control({"metrics.cube": table.take(order)}, {"metrics.cube": CUBE}).tables["metrics.cube"]
    assert second.to_pylist() == first.take(order).to_pylist()


@settings(max_examples=15, deadline=None)
@given(cubes())
def test_two_exports_together_give_no_more_away_than_either(table: pa.Table) -> None:
    """A month closes; a new one is measured; the old month's figures are the same cells in both exports."""
    old = table.filter(pa.compute.equal(table["panel_start"], "2026-01"))
    first = control({"metrics.cube": old}, {"metrics.cube": CUBE})
    both = control({"metrics.cube": table}, {"metrics.cube": CUBE}, previous=first.tables)
    earlier = first.tables["metrics.cube"][WITHHELD].to_pylist()
    now = both.tables["metrics.cube"].filter(pa.compute.equal(both.tables["metrics.cube"]["panel_start"], "2026-01"))[WITHHELD].to_pylist()
    assert now == earlier
    assert both.already_shown_count == 0
    assert_protected(both)


def test_what_shielded_last_month_goes_on_shielding() -> None:
    def month(a: int, b: int) -> pa.Table:
        return pa.table(
            {
                "panel_kind": ["month"] * 4,
                "panel_start": ["2026-01"] * 4,
                "team": [None, "small", "a", "b"],
                "office": ["all"] * 4,
                "person_count": [3 + a + b, 3, a, b],
            }
        )

    first = control({"metrics.cube": month(12, 40)}, {"metrics.cube": CUBE})
    assert withheld(first.tables["metrics.cube"]) == {"small", "a"}
    # corrected later so that b is now the smaller: withholding b instead of a would leave `small` open
    second = control({"metrics.cube": month(42, 40)}, {"metrics.cube": CUBE}, previous=first.tables)
    assert withheld(second.tables["metrics.cube"]) >= {"small", "a"}


def test_one_total_that_is_no_sum_leaves_the_other_sums_protected() -> None:
    """In one of many months parts make more than their total; in all others totals are sums."""
    months = [f"2026-{number:02d}" for number in range(1, 21)]
    rows = [(month, team, count) for month in months for team, count in ((None, 58), ("small", 6), ("a", 12), ("b", 40))]
    rows.remove((months[-1], None, 58))
    rows.append((months[-1], None, 57))
    names = ("panel_start", "team", "at_risk_count")
    table = pa.table({"panel_kind": ["month"] * len(rows), **{name: [row[at] for row in rows] for at, name in enumerate(names)}})
    guarded = spec("team_x", "panel_kind panel_start team", "panel_kind:text panel_start:text team:text at_risk_count:count")
    shown = control({"metrics.team_x": table}, {"metrics.team_x": guarded}).tables["metrics.team_x"]
    for month in months[:-1]:
        assert withheld(shown.filter(pa.compute.equal(shown["panel_start"], month))) == {"small", "a"}


def test_a_zero_of_the_last_export_has_not_shown_a_few_of_this_one() -> None:
    first = control({"metrics.team_x": teams(new=0, a=12, b=40)}, {"metrics.team_x": TEAM})
    second = control({"metrics.team_x": teams(new=2, a=12, b=40)}, {"metrics.team_x": TEAM}, previous=first.tables)
    assert withheld(second.tables["metrics.team_x"]) == {"new"}
    assert second.already_shown_count == 0


def test_what_cannot_be_protected_any_more_is_counted() -> None:
    shown = teams(total=55, small=3, a=12, b=40).append_column(WITHHELD, pa.nulls(4, pa.string()))
    outcome = control(
        {"metrics.team_x": teams(total=55, small=3, a=12, b=40)}, {"metrics.team_x": TEAM}, previous={"metrics.team_x": shown}
    )
    assert outcome.already_shown_count > 0
    assert "small" in withheld(outcome.tables["metrics.team_x"])


def test_a_figure_withheld_in_one_table_is_emptied_in_every_other_that_repeats_it() -> None:
    """The ties of two teams stand in a table guarded by the smaller side, and in one guarded by both sides together."""
    columns = "team_a:text team_b:text person_count:count tie_count:count share_ratio:ratio"
    narrow, wide = spec("narrow", "team_a team_b", columns), spec("wide", "team_a team_b", columns.replace("share", "other"))
    rows = {"team_a": ["a", "a", "b"], "team_b": ["b", "c", "c"], "tie_count": [7, 30, 40]}
    tables = {
        "metrics.narrow": pa.table({**rows, "person_count": [3, 20, 20], "share_ratio": [0.1, 0.2, 0.3]}).select(
            ["team_a", "team_b", "person_count", "tie_count", "share_ratio"]
        ),
        "metrics.wide": pa.table({**rows, "person_count": [10, 40, 40], "other_ratio": [0.4, 0.5, 0.6]}).select(
            ["team_a", "team_b", "person_count", "tie_count", "other_ratio"]
        ),
    }
    out = control(tables, {"metrics.narrow": narrow, "metrics.wide": wide}).tables
    assert out["metrics.narrow"][WITHHELD].to_pylist() == [WHOLE, None, None]
    assert out["metrics.wide"].to_pylist()[0] == {
        "team_a": "a",
        "team_b": "b",
        "person_count": 10,
        "tie_count": None,
        "other_ratio": 0.4,
        WITHHELD: PART,
    }
    assert out["metrics.wide"]["tie_count"].to_pylist()[1:] == [30, 40]


def test_columns_of_one_name_that_disagree_are_two_figures() -> None:
    one, other = (
        spec("one", "team", "team:text person_count:count tie_count:count"),
        spec("two", "team", "team:text n_person_count:count tie_count:count"),
    )
    tables = {
        "metrics.one": pa.table({"team": ["a", "b", "c"], "person_count": [3, 20, 30], "tie_count": [7, 30, 40]}),
        "metrics.two": pa.table({"team": ["a", "b", "c"], "n_person_count": [30, 20, 30], "tie_count": [70, 31, 44]}),
    }
    out = control(tables, {"metrics.one": one, "metrics.two": other}).tables
    assert out["metrics.two"]["tie_count"].to_pylist() == [70, 30, 45]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([SUM, AT_MOST, AT_LEAST]),
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 6),
    st.floats(0, 1),
)
def test_what_arithmetic_clears_linear_programming_clears_too(
    kind: int, parts: list[tuple[int, bool]], is_total_hidden: bool, slack: int, at: float
) -> None:
    """A line by itself, beside another like it: whatever is taken as wide enough without the solver is so."""
    values = [value for value, _ in parts]
    total = {SUM: sum(values), AT_LEAST: sum(values) + slack, AT_MOST: round(max(values) + at * (sum(values) - max(values)))}[kind]
    size = len(parts) + 1
    hidden = np.array([*(flag and value > 0 for value, flag in parts), is_total_hidden and total > 0] * 2)
    links = np.arange(2 * size).reshape(2, size)
    cells = Cells(
        keys=np.arange(2 * size, dtype=np.uint64),
        values=np.array([*values, total] * 2, float),
        row_cell=np.empty((0, 3), np.int64),
        row=np.empty(0, np.int64),
        parent=np.repeat(links[:, -1], size - 1),
        child=links[:, :-1].ravel(),
        kind=np.full(2 * (size - 1), kind),
        line=np.repeat([0, 1], size - 1),
    )
    clear = cleared(cells, *bounds_of(cells, hidden), 4)
    assert not clear[~hidden].any()
    intervals = feasible_intervals(cells, hidden, np.flatnonzero(clear)) if hidden.any() else {}
    assert all(interval.width >= 4 - 1e-6 for interval in intervals.values())
    if kind != AT_MOST and hidden.any():
        # and where the whole line is open, nothing that is wide is left to the solver
        every = feasible_intervals(cells, hidden)
        assert clear[hidden].all() == all(interval.width >= 4 - 1e-6 for interval in every.values())


# -- escaping -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\uff1d1", "\ufeff=1"]
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert escape_spreadsheet(text) == f"'{text}"


@given(st.text())
def test_escaped_text_never_starts_a_formula_and_is_kept(text: str) -> None:
    out = escape_spreadsheet(text)
    assert out.endswith(text)
    assert not out.strip().startswith(("=", "+", "-", "@"))


def test_html_is_only_text() -> None:
    assert escape_html("<script>alert('1')</script>") == "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;"


def test_a_size_that_many_rows_repeat_is_one_secret_whatever_the_column_is_called() -> None:
    of = spec("reach", "from_team to_team", "from_team:text to_team:text from_person_count:count to_person_count:count reached_ratio:ratio")
    sizes = {"small": 3, "a": 12, "b": 13, "c": 40}
    sides = {**sizes, "any": sum(sizes.values())}
    pairs = [(one, other) for one in sides for other in sides]
    table = pa.table(
        {
            "from_team": [one for one, _ in pairs],
            "to_team": [other for _, other in pairs],
            "from_person_count": [sides[one] for one, _ in pairs],
            "to_person_count": [sides[other] for _, other in pairs],
            "reached_ratio": [0.5] * len(pairs),
        }
    )
    outcome = control({"metrics.reach": table}, {"metrics.reach": of})
    rows = outcome.tables["metrics.reach"].to_pylist()
    # were a's size shown in any row, the small team's would follow from the total
    assert all(row[WITHHELD] for row in rows if {row["from_team"], row["to_team"]} & {"small", "a"})
    assert not [row for row in rows if row[WITHHELD] and {row["from_team"], row["to_team"]} <= {"b", "c", "any"}]
    assert_protected(outcome)
