"""What somebody finds out who holds nothing but exports: by each way in which the first release was broken, and by all together.

The ordinary run attacks the worlds of `conftest.SHORT`. More of them, made at random:

    ATTACKER_WORLDS=20 python -m pytest tests/attacker
    python -m pytest tests/attacker -m full        # 200, and the demo
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from attacker import counted
from attacker.conftest import LONG, SHORT
from attacker.elsewhere import more_told, strangers
from attacker.files import read_export
from attacker.judge import Judgement, SmallRow, Verdict, by_table, by_technique

Judged = Callable[[str], Judgement]


def none(found: Iterable[Verdict | SmallRow]) -> None:
    """Fail with counts by technique and table, never with what was found."""
    verdicts = [each for each in found if isinstance(each, Verdict)]
    rows = [each for each in found if isinstance(each, SmallRow)]
    counts = {**by_technique(verdicts), **by_table(rows)}
    assert not counts, "\n".join([f"{len(verdicts) + len(rows)} figures or rows", *(f"{n:5} {a}: {b}" for (a, b), n in counts.items())])


def test_1_a_team_of_one_is_shown_in_no_table_whatever_its_columns_are_called(judged: Judged) -> None:
    none(judged("small").shown("team", table="team_week"))
    none([row for row in judged("small").shown() if {"team"} <= set(row.row)])


def test_2_the_sole_supplier_does_not_follow_from_totals_less_the_others(judged: Judged) -> None:
    for world in ("small", "hidden_few"):
        none(judged(world).recovered("subtraction", "total", "sum", "linear program", table="organisation_panel_tie"))


def test_3_hours_of_the_only_two_who_phone_do_not_follow_from_sums(judged: Judged) -> None:
    for world in ("small", "hidden_few"):
        none(judged(world).recovered("subtraction", "total", "linear program", table="medium_effort"))


def test_4_a_row_about_two_parties_is_about_the_smaller(judged: Judged) -> None:
    for world in ("small", "hidden_few"):
        none(judged(world).shown(table="team_pair"))
        none(judged(world).shown(table="charter_status"))


def test_5_what_is_withheld_does_not_stand_as_the_figure_of_the_period_before(judged: Judged) -> None:
    for world in ("small", "hidden_few"):
        none(judged(world).recovered("lag"))


def test_6_an_interval_does_not_undo_the_rounding_of_what_it_rests_on(judged: Judged) -> None:
    for world in ("small", "hidden_few"):
        none(judged(world).recovered("interval"))


def test_7_a_share_times_its_denominator_names_nobody(judged: Judged) -> None:
    for world in ("small", "hidden_few"):
        none(judged(world).recovered("share times denominator"))


def test_8_two_exports_around_an_erasure_do_not_tell_the_erased_persons_hours(judged: Judged) -> None:
    none(each for each in judged("erasure").recovered("difference") if "hours" in each.finding.column)


def test_9_no_table_is_held_to_be_about_nobody(judged: Judged) -> None:
    none(judged("small").shown(table="core."))


def test_10_no_count_is_told_exactly_because_of_its_name(judged: Judged) -> None:
    none(judged("small").recovered("told exactly"))


def test_11_words_and_zeros_do_not_bound_what_is_withheld(judged: Judged) -> None:
    for world in ("small", "hidden_few", "a_week_apart"):
        none(judged(world).recovered("word", "part of a total", "chain"))


def test_12_what_other_tables_say_of_exposure_denominators_and_totals_gives_no_group_away(judged: Judged) -> None:
    for world in ("small", "hidden_few"):
        found = judged(world).recovered("subtraction", "another table", "sum of parts", "part of a whole")
        none(each for each in found if not each.finding.table.endswith(("medium_effort", "organisation_panel_tie")))


def test_13_a_row_about_two_media_is_about_the_fewer_who_use_both(judged: Judged) -> None:
    for world in ("small", "hidden_few"):
        none(judged(world).shown("two media", "medium"))


def test_14_what_was_told_in_the_middle_of_a_month_is_not_withheld_after_it(judged: Judged) -> None:
    none(judged("a_week_apart").recovered("another export", "between exports", "difference"))


def test_15_an_erasure_shows_in_no_table(judged: Judged) -> None:
    none(judged("erasure").recovered("difference", "another export"))


@pytest.mark.parametrize("world", [*SHORT, *(pytest.param(name, marks=pytest.mark.full) for name in LONG)])
def test_no_small_row_by_truth(world: str, judged: Judged) -> None:
    none(judged(world).rows)


@pytest.mark.parametrize("world", [*SHORT, *(pytest.param(name, marks=pytest.mark.full) for name in LONG)])
def test_nothing_is_recovered(world: str, judged: Judged) -> None:
    none(judged(world).recovered())


def test_every_file_of_an_export_tells_the_same(judged: Judged) -> None:
    for folder in (*judged("small").folders, *judged("erasure").folders):
        export = read_export(folder)
        assert not counted(list(more_told(export))), "Parquet or the workbook show more than the CSV files"
        assert not strangers(export), "the report shows a count that no table shows"
