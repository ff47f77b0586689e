"""What makes a tie: exchange and days in touch, by the weight and the size of groups; never a group alone that writes once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import built, days, event

from pipelines.warehouse import Warehouse

MONTH = "2024-03-01"


def panel(events: Iterable[Mapping[str, Any]], pair: tuple[int, int] = (1, 2), **parameters: Any) -> tuple[Any, ...]:
    """direct_days, is_mutual, is_tie and is_group_tie of a pair in the month, over all media."""
    warehouse = built(events, only=["pair_panel"], **parameters)
    found = warehouse.run(
        "select direct_days, is_mutual, is_tie, is_group_tie from metrics.pair_panel "
        "where panel_kind = 'month' and medium = 'any' and person_a_key = $1 and person_b_key = $2",
        list(pair),
    )
    assert len(found) == 1
    return found[0]


def others(size: int, sender: int) -> list[int]:
    return [number for number in range(1, size + 1) if number != sender]


def test_a_message_and_its_answer_make_a_tie() -> None:
    first, second = days(MONTH, 3, 4)
    assert panel([event(first, 1, 2), event(second, 2, 1)]) == (2, True, True, False)
    assert panel([event(first, 1, 2), event(second, 1, 2)]) == (2, False, False, False)


@pytest.mark.parametrize("size, expected", [(6, (2, True, True, False)), (7, (0, False, False, False))])
def test_a_message_to_more_than_five_is_its_weight(size: int, expected: tuple[Any, ...]) -> None:
    # of six people each writes to five: both ways whole; of seven each writes to six: a sixth each way
    moments = days(MONTH, *range(3, 3 + size))
    assert panel([event(moment, n, others(size, n)) for n, moment in enumerate(moments, start=1)]) == expected


def test_weights_of_a_large_group_add_up_to_a_tie_that_rests_on_groups() -> None:
    # 1 and 2 each write six times to the same six others: 6/6 each way, and 12/6 = 2 days in touch
    moments = days(MONTH, *range(3, 15))
    written = [event(moment, 1 + k % 2, others(7, 1 + k % 2)) for k, moment in enumerate(moments)]
    assert panel(written) == (2, True, True, True)
    # without the last message b's five sixths are no answer
    assert panel(written[:-1]) == (1, False, False, False)


def test_a_meeting_stands_for_either_way_but_for_one_only() -> None:
    first, second = days(MONTH, 3, 4)
    met, again = (event(moment, 1, 2, medium="meeting_online") for moment in (first, second))
    assert panel([met]) == (1, False, False, False)
    assert panel([met, again]) == (2, False, True, False)
    assert panel([met, event(second, 2, 1)]) == (2, False, True, False)


def test_reactions_are_no_exchange() -> None:
    moments = days(MONTH, *range(1, 15))
    liked = [event(moment, 2, 1, "slack_channel", "reacted") for moment in moments]
    assert panel([*liked, event(moments[0], 2, 1, "slack_dm")])[2] is False


def test_a_chat_over_the_bulk_cap_makes_no_contact() -> None:
    (moment,) = days(MONTH, 3)
    warehouse = built([event(moment, 1, others(60, 1), "slack_group_dm")], only=["pair_panel"])
    assert warehouse.run("select exclusion from core.interaction") == [("over_cap",)]
    assert warehouse.value("select count(*) from core.contact") == 0


def office() -> list[dict[str, Any]]:
    """Forty people in four teams over two months: each writes to the next and to one across, most are answered."""
    found = []
    for month in ("2024-03-01", "2024-04-01"):
        for n in range(1, 41):
            for step in (1, 11):
                other = (n + step - 1) % 40 + 1
                one, two = days(month, 2 + n % 20, 4 + n % 20)
                if (n + step + len(found)) % 5:
                    found += [event(one, n, other), event(two, other, n)]
    return found


def by_month(events: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    warehouse = built(events, teams={n: f"team {n % 4}" for n in range(1, 61)}, only=["org_panel_cross_team", "org_panel_churn"])
    return warehouse.run(
        "select c.tie_count, c.persistence_ratio, x.cross_team_share from metrics.org_panel_churn as c "
        "join metrics.org_panel_cross_team as x using (panel_kind, panel_start, medium) "
        "where c.medium = 'any' and c.slice = 'all' and c.panel_kind = 'month' order by c.panel_start"
    )


@pytest.mark.parametrize("size, medium", [(60, "teams_group_chat"), (21, "email"), (21, "slack_group_dm")])
def test_one_group_in_which_each_writes_once_changes_no_month(size: int, medium: str) -> None:
    before = office()
    moments = days(MONTH, *[1 + n % 25 for n in range(size)])
    group = [event(moment, n, others(size, n), medium) for n, moment in enumerate(moments, start=1)]
    assert by_month(before + group) == by_month(before)


RULE = """
select
    (p.person_a_key, p.person_b_key) as pair, p.is_tie, s.is_tie as state_is_tie, t.person_a_key is not null as spell_is_tie
from metrics.pair_panel as p
left join metrics.pair_state as s on s.person_a_key = p.person_a_key and s.person_b_key = p.person_b_key
left join (select distinct person_a_key, person_b_key from metrics.tie_spell) as t
    on t.person_a_key = p.person_a_key and t.person_b_key = p.person_b_key
where p.panel_kind = 'all' and p.medium = 'any' and p.active_days > 0
"""
MEDIA = ["email", "slack_dm", "meeting_online"]
SENT = st.tuples(st.integers(0, 20), st.integers(1, 8), st.sampled_from([2, 4, 8]), st.sampled_from(MEDIA))


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(SENT, min_size=10, max_size=40))
def test_every_table_has_the_same_tie(sent: list[tuple[int, int, int, str]]) -> None:
    written = [event(days(MONTH, day)[0], n, others(size, n) if n <= size else [1], medium) for day, n, size, medium in sent]
    warehouse: Warehouse = built(written, only=["pair_panel", "pair_state", "tie_spell"])
    for pair, in_panel, in_state, in_spells in warehouse.run(RULE):
        assert in_panel == in_state, pair
        # a spell is noticed on a day in touch only, so that a tie of weights may lack one: never the other way round
        assert in_panel or not in_spells, pair


def test_other_thresholds_stand_beside() -> None:
    start = days(MONTH, 2, 3, 4, 5, 6, 8)
    five = [event(moment, 1, 2) for moment in start[:5]]
    three = [event(moment, 3, 4) for moment in start[:3]]
    answered = [event(start[0], 5, 6), event(start[1], 6, 5)]
    once = [event(start[0], 7, 8)]
    warehouse = built([*five, *three, *answered, *once], only=["tie_definition_sensitivity"])
    found = warehouse.run(
        "select definition, pair_count, person_count, mutual_share from metrics.tie_definition_sensitivity "
        "where panel_kind = 'month' order by pair_count desc"
    )
    assert found == [
        ("contact", 4, 8, 0.25),
        ("exchange_or_days", 3, 6, pytest.approx(1 / 3)),
        ("days", 2, 4, 0.0),
        ("more_days", 1, 2, 0.0),
    ]
