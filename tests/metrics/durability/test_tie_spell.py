"""When ties begin and end, and what a gap, a leaver or the edge of time hides. Silence of ten days ends a tie here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import built, days, event, person

START = "2024-01-01"
LENGTH = 200
SMALL = {"silence_days": 10, "landmark_days": 7, "short_gap_days": 0}


def backdrop(gap: range = range(0), length: int = LENGTH) -> list[dict[str, Any]]:
    """Two people who write to each other every day but in a gap, so that every other day is seen to be observed."""
    return [event(moment, 900, 901) for offset, moment in enumerate(days(START, *range(length))) if offset not in gap]


def spells(
    contacts: Iterable[Mapping[str, Any]] | Sequence[int], gap: range = range(0), length: int = LENGTH, **options: Any
) -> pd.DataFrame:
    """The spells of all but the backdrop; plain numbers are days on which 1 writes to 2."""
    written = [event(moment, 1, 2) for moment in days(START, *contacts)] if all(isinstance(c, int) for c in contacts) else list(contacts)
    warehouse = built([*backdrop(gap, length), *written], only=["tie_spell"], **{**SMALL, **options})
    frame = warehouse.connection.sql(
        "select * from metrics.tie_spell where person_a_key < 900 order by person_a_key, person_b_key, spell_number, stretch_number"
    ).df()
    origin = pd.Timestamp(START)
    for name in ("first_date", "tie_date", "last_date"):
        frame[name] = (frame[name] - origin).dt.days
    return frame


def only(frame: pd.DataFrame) -> pd.Series:
    assert len(frame) == 1
    return frame.iloc[0]


def test_a_tie_qualifies_on_its_third_day_and_ends_with_its_last() -> None:
    row = only(spells([50, 52, 54, 60]))
    assert (row["first_date"], row["tie_date"], row["last_date"], row["active_days"]) == (50, 54, 60, 4)
    # the days 54 to 60, both included
    assert (row["entry_age_days"], row["exit_age_days"], row["is_ended"], row["exit_reason"]) == (0, 7, True, "silence")
    assert row["has_ended"]
    assert row["is_at_risk"]


def test_an_answer_makes_a_tie_at_once() -> None:
    first, second, third = days(START, 50, 53, 55)
    row = only(spells([event(first, 1, 2), event(second, 2, 1), event(third, 1, 2)]))
    assert (row["tie_date"], row["exit_age_days"], row["start_is_mutual"]) == (53, 3, True)


def test_two_days_without_an_answer_are_no_tie() -> None:
    assert spells([50, 52]).empty


def test_meetings_stand_for_either_way_each_for_one() -> None:
    meetings = [event(moment, 1, 2, medium="meeting_online") for moment in days(START, 50, 51)]
    assert spells(meetings[:1]).empty
    row = only(spells(meetings))
    assert (row["tie_date"], row["start_is_mutual"]) == (51, False)


def test_what_goes_to_many_keeps_no_tie_alive() -> None:
    """After three days in touch, only a circular to twelve a week: eleven twelfths of a day in touch come to none, the next to one."""
    direct = [event(moment, 1, 2) for moment in days(START, 50, 51, 52)]
    circular = [event(moment, 1, list(range(2, 14))) for moment in days(START, *range(57, 190, 7))]
    row = only(spells([*direct, *circular]).query("person_a_key == 1 and person_b_key == 2 and spell_number == 1"))
    assert (row["last_date"], row["has_ended"]) == (52, True)


@pytest.mark.parametrize("later, count", [(62, 1), (63, 2)])
def test_ten_silent_days_part_two_spells(later: int, count: int) -> None:
    frame = spells([50, 51, 52, later, later + 1, later + 2])
    assert frame["spell_number"].tolist() == list(range(1, count + 1))
    assert frame["first_date"].tolist() == [50, later][:count]


def test_a_spell_that_never_qualifies_is_not_counted() -> None:
    assert spells([50, 51, 52, 80, 110, 111, 112])["spell_number"].tolist() == [1, 2]


@pytest.mark.parametrize("last, is_ended", [(189, True), (190, False)])
def test_an_end_needs_ten_observed_days_of_silence(last: int, is_ended: bool) -> None:
    # the last day is 199
    row = only(spells([180, 182, 184, last]))
    assert row["is_ended"] == is_ended
    assert row["exit_age_days"] == 189 - 184 + 1
    assert row["exit_reason"] == ("silence" if is_ended else "present")


def test_a_tie_that_qualifies_in_the_last_ten_days_is_not_followed() -> None:
    row = only(spells([191, 192, 193]))
    assert not row["is_at_risk"]
    assert pd.isna(row["exit_age_days"])


@pytest.mark.parametrize("first, is_truncated", [(9, True), (10, False)])
def test_ties_of_the_first_days_have_no_known_age(first: int, is_truncated: bool) -> None:
    row = only(spells([first, first + 1, first + 2, first + 8]))
    assert row["is_left_truncated"] == is_truncated
    assert row["is_at_risk"] == (not is_truncated)


def test_a_newcomer_s_ties_are_new() -> None:
    joined = {
        "source": "test", "account_key": 2, "observed_on": date(2024, 1, 2), "joined_on": date(2024, 1, 2),
    }  # fmt: skip
    assert not spells_with_membership(joined, [5, 6, 7, 9])["is_left_truncated"]


def test_leaving_is_not_fading() -> None:
    left = {"source": "test", "account_key": 2, "observed_on": date(2024, 1, 1), "left_on": date(2024, 4, 1)}  # day 91
    row = spells_with_membership(left, [50, 52, 54, 60, 68, 76, 84])
    # silence after day 84 lasts to the 91st only: known to be alive on day 81
    assert (row["is_ended"], row["exit_reason"], row["exit_age_days"]) == (False, "leaver", 81 - 54 + 1)


def test_contact_after_leaving_is_passed_over() -> None:
    left = {"source": "test", "account_key": 2, "observed_on": date(2024, 1, 1), "left_on": date(2024, 4, 1)}
    row = spells_with_membership(left, [50, 52, 54, 60, 95])
    assert (row["is_ended"], row["last_date"]) == (True, 60)


def spells_with_membership(membership: dict[str, Any], contacts: list[int]) -> pd.Series:
    from worlds import batch, table

    events = [*backdrop(), *(event(moment, 1, 2) for moment in days(START, *contacts))]
    found = batch(events)
    found.records["membership"] = table("membership", [membership])
    warehouse = built(found, only=["tie_spell"], **SMALL)
    frame = warehouse.connection.sql("select * from metrics.tie_spell where person_a_key < 900").df()
    frame["last_date"] = (frame["last_date"] - pd.Timestamp(START)).dt.days
    return only(frame)


class TestGap:
    CONTACTS = (60, 62, 64, *range(66, 99, 4), 98)

    def test_a_tie_that_a_gap_cuts_off_has_not_ended(self) -> None:
        row = only(spells(self.CONTACTS, gap=range(100, 140)))
        # known to be alive on day 89, ten days before the last that was observed
        assert (row["is_ended"], row["exit_reason"], row["exit_age_days"]) == (False, "gap", 89 - 64 + 1)

    def test_a_tie_seen_again_after_a_gap_comes_back_at_its_age(self) -> None:
        frame = spells([*self.CONTACTS, 141, 143], gap=range(100, 140))
        assert frame["spell_number"].tolist() == [1, 1]
        assert frame["stretch_number"].tolist() == [1, 2]
        assert frame["entry_age_days"].tolist() == [0, 141 - 64]
        assert frame["exit_age_days"].tolist() == [89 - 64 + 1, 143 - 64 + 1]
        assert frame["is_ended"].tolist() == [False, True]
        assert frame["has_ended"].all()

    def test_an_end_before_a_gap_is_an_end(self) -> None:
        assert only(spells([60, 62, 64, 80], gap=range(100, 140)))["is_ended"]

    def test_silence_on_both_sides_of_a_gap_is_no_end_but_parts_spells(self) -> None:
        frame = spells([60, 62, 64, 72, 80, 86, 94, 145, 146, 147], gap=range(100, 140))
        assert frame["is_ended"].tolist() == [False, True]
        assert frame["spell_number"].tolist() == [1, 2]
        # contact in the gap may have come before: its age is not known
        assert frame["is_left_truncated"].tolist() == [False, True]

    def test_a_short_gap_is_passed_over(self) -> None:
        # ten observed days of silence after day 72: 73 to 77, then 83 to 87
        options = {"gap": range(78, 83), "gap_minimum_expected": 1, "short_gap_days": 7}
        row = only(spells([60, 62, 64, 72], length=88, **options))
        assert (row["is_ended"], row["exit_age_days"]) == (True, 72 - 64 + 1)
        row = only(spells([60, 62, 64, 72], length=87, **options))
        assert (row["is_ended"], row["exit_age_days"], row["exit_reason"]) == (False, 71 - 64 + 1, "present")
        assert only(spells([60, 62, 64, 72, 87], **options))["last_date"] == 87

    @settings(max_examples=6, deadline=None)
    @given(st.lists(st.integers(20, 99), min_size=3, max_size=25, unique=True), st.lists(st.integers(140, 195), max_size=12, unique=True))
    def test_a_gap_twice_as_long_changes_no_end(self, before: list[int], after: list[int]) -> None:
        contacts, shifted = sorted([*before, *after]), sorted([*before, *(day + 40 for day in after)])
        short = spells(contacts, gap=range(100, 140))
        long = spells(shifted, gap=range(100, 180), length=LENGTH + 40)
        columns = [
            "spell_number",
            "stretch_number",
            "active_days",
            "is_ended",
            "has_ended",
            "exit_reason",
            "is_at_risk",
            "is_left_truncated",
        ]
        pd.testing.assert_frame_equal(short[columns], long[columns])


def test_start_is_read_from_the_landmark_s_days_only() -> None:
    contacts = [
        *(event(moment, 1, 2, medium="slack_dm") for moment in days(START, 50, 51, 52)),
        event(days(START, 51)[0], 2, 1),
        event(days(START, 57)[0], 1, 2, medium="meeting_online"),
        event(days(START, 58)[0], 1, 2, medium="teams_channel"),
    ]
    row = only(spells(contacts))
    # qualified on day 51: from then to day 57
    assert (row["tie_date"], row["landmark_age_days"], row["start_active_days"]) == (51, 7, 3)
    assert row["medium_mix"] == "chat+email+meeting"
    assert list(row["start_media"]) == ["email", "meeting_online", "slack_dm"]
    assert (row["origin_medium"], list(row["origin_media"])) == ("slack_dm", ["slack_dm"])


def test_a_landmark_that_was_not_observed_is_empty() -> None:
    row = only(spells([190, 192, 195]))
    assert pd.isna(row["landmark_age_days"])
    assert row["medium_mix"] is None


def test_the_medium_of_origin_is_the_busiest_then_the_first_by_name() -> None:
    first, second, third = days(START, 50, 51, 52)
    busy = [event(first, 1, 2), event(first, 1, 2, medium="teams_chat"), event(first, 1, 2, medium="teams_chat"), event(second, 2, 1)]
    equal = [event(first, 3, 4, medium="teams_chat"), event(first, 3, 4), event(third, 4, 3)]
    assert spells([*busy, *equal])["origin_medium"].tolist() == ["teams_chat", "email"]


def test_teams_and_organisations_are_those_of_the_first_day() -> None:
    events = [event(moment, 1, 2) for moment in days(START, 50, 51, 52)]
    frame = spells_in_teams(events, {1: "north", 2: "south"})
    assert (frame["is_cross_team"], frame["team_a"], frame["team_b"], frame["is_external"]) == (True, "north", "south", False)


def spells_in_teams(events: list[dict[str, Any]], teams: dict[int, str]) -> pd.Series:
    warehouse = built([*backdrop(), *events], teams=teams, people=[person(1), person(2)], only=["tie_spell"], **SMALL)
    return only(warehouse.connection.sql("select * from metrics.tie_spell where person_a_key < 900").df())


@settings(max_examples=5, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 120), st.integers(1, 5), st.integers(1, 5)), min_size=5, max_size=60),
    st.permutations(range(1, 6)),
    st.randoms(use_true_random=False),
)
def test_names_order_and_bystanders_change_nothing(contacts: list[tuple[int, int, int]], names: list[int], random: Any) -> None:
    def told(rename: Mapping[int, int], order: Any = None) -> pd.DataFrame:
        events = [event(days(START, day)[0], rename[a], rename[b]) for day, a, b in contacts if a != b]
        if order:
            order.shuffle(events)
        frame = spells([*events, event(days(START, 3)[0], 899, ())] if order else events or [event(days(START, 3)[0], 1, 2)])
        back = {new: old for old, new in rename.items()}
        frame["pair"] = [tuple(sorted((back[a], back[b]))) for a, b in zip(frame["person_a_key"], frame["person_b_key"], strict=True)]
        return frame.sort_values(["pair", "spell_number", "stretch_number"], ignore_index=True)

    columns = ["pair", "spell_number", "first_date", "tie_date", "last_date", "active_days", "is_ended", "entry_age_days", "exit_age_days"]
    same = {number: number for number in range(1, 6)}
    other = dict(zip(range(1, 6), names, strict=True))
    pd.testing.assert_frame_equal(told(same)[columns], told(other, random)[columns])
