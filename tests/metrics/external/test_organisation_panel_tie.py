"""Relationships with other organisations, on a client that is followed over four months."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from worlds import built, event, person

from pipelines.declarations import Declarations
from pipelines.warehouse import Warehouse

OWN, CLIENT = 100, 200
DECLARED = Declarations(organisations=[("own", "Us", "own"), ("acme", "Acme", "client")], domains=[(OWN, "own"), (CLIENT, "acme")])
PEOPLE = [person(n, domain_key=OWN) for n in (1, 2, 3, 4)] + [person(n, domain_key=CLIENT) for n in (11, 12, 13)]


@pytest.fixture(scope="module")
def world() -> Warehouse:
    rows = [event(f"2024-{month:02}-{day:02}T10:00", 3, 4, medium="call") for month in (1, 2, 3, 4) for day in range(1, 29)]
    rows += [event("2024-01-31", 3, 4), event("2024-04-30", 3, 4)]
    # January: 1-11 mutual, 1-12 one way on three days, 2-13 met on three days; 3-13 wrote once, which is no tie
    rows += [event("2024-01-05", 1, 11), event("2024-01-06", 11, 1)]
    rows += [event(f"2024-01-{day:02}", 1, 12) for day in (8, 9, 10)]
    rows += [event(f"2024-01-{day:02}", 2, 13, medium="meeting_online") for day in (11, 12, 13)]
    rows += [event("2024-01-15", 3, 13)]
    # February: only 1-11, and a talk among outsiders that is not ours
    rows += [event("2024-02-05", 1, 11), event("2024-02-06", 11, 1), event("2024-02-07", 11, 12), event("2024-02-08", 12, 11)]
    # April: 1-11 again and 2-11
    rows += [event("2024-04-05", 1, 11), event("2024-04-06", 11, 1), event("2024-04-07", 2, 11), event("2024-04-08", 11, 2)]
    return built(rows, people=PEOPLE, declarations=DECLARED, only=("organisation_panel_tie",), as_of=date(2024, 4, 30))


def row(world: Warehouse, month: int, columns: str, kind: str = "month") -> tuple[Any, ...]:
    found = world.run(
        f"select {columns} from metrics.organisation_panel_tie "
        "where panel_kind = $1 and external_organisation = 'acme' and month(panel_start) = $2",
        [kind, month],
    )
    assert len(found) == 1
    return tuple(found[0])


def test_counts_people_pairs_and_ties_on_both_sides(world: Warehouse) -> None:
    counts = "external_kind, internal_person_count, external_person_count, pair_count, contact_count, tie_count"
    assert row(world, 1, counts) == ("client", 3, 3, 4, 9, 3)
    assert row(world, 1, "tied_internal_person_count, tied_external_person_count") == (2, 3)
    assert row(world, 2, counts) == ("client", 1, 1, 1, 2, 1)


def test_kinds_and_all_together_have_rows_of_their_own() -> None:
    declared = Declarations(
        organisations=[*DECLARED.organisations, ("bolt", "Bolt", "client"), ("mill", "Mill", "supplier")],
        domains=[*DECLARED.domains, (300, "bolt"), (400, "mill")],
    )
    people = [*PEOPLE, person(21, domain_key=300), person(31, domain_key=400)]
    pairs = [(1, 11), (2, 11), (1, 21), (3, 31)]
    rows = [event(f"2024-01-{day:02}", one, other) for day in (5, 6, 7) for one, other in pairs]
    world = built(rows, people=people, declarations=declared, only=("organisation_panel_tie",), as_of=date(2024, 1, 31))
    found = world.run(
        "select external_kind, external_organisation, internal_person_count, external_person_count, tie_count, top_internal_share "
        "from metrics.organisation_panel_tie where panel_kind = 'month' order by all"
    )
    assert [tuple(line) for line in found] == [
        # person 1 deals with two clients and is counted once
        ("any", "any", 3, 3, 4, 0.5),
        ("client", "acme", 2, 1, 2, 0.5),
        ("client", "any", 2, 2, 3, pytest.approx(2 / 3)),
        ("client", "bolt", 1, 1, 1, 1.0),
        ("supplier", "any", 1, 1, 1, 1.0),
        ("supplier", "mill", 1, 1, 1, 1.0),
    ]


def test_mutual_share_leaves_out_ties_of_meetings(world: Warehouse) -> None:
    # of three ties, one only met: 1 of 2 is mutual; Wilson's interval of 1 in 2 is .0945 to .9055
    share, low, high = row(world, 1, "mutual_share, mutual_share_low, mutual_share_high")
    assert (share, low, high) == (0.5, pytest.approx(0.0945, abs=2e-4), pytest.approx(0.9055, abs=2e-4))


def test_hanging_on_one_asks_who_carries_the_contact(world: Warehouse) -> None:
    # January: person 1 has 5 of 9 contacts; February all
    assert row(world, 1, "top_internal_share, is_hanging_on_one") == (pytest.approx(5 / 9), False)
    assert row(world, 2, "top_internal_share, is_hanging_on_one") == (1.0, True)


def test_decay_follows_the_ties_of_the_month_before(world: Warehouse) -> None:
    assert row(world, 1, "previous_tie_count, kept_tie_count, decay, decay_reason") == (None, None, None, "no_previous")
    assert row(world, 2, "previous_tie_count, kept_tie_count, decay, decay_reason") == (3, 1, pytest.approx(2 / 3), None)
    assert row(world, 3, "previous_tie_count, kept_tie_count, decay, decay_reason") == (1, 0, 1.0, None)
    assert row(world, 4, "previous_tie_count, kept_tie_count, decay, decay_reason") == (0, 0, None, "no_tie")


def test_a_silent_month_is_a_row_of_zeros(world: Warehouse) -> None:
    assert row(world, 3, "tie_count, pair_count, mutual_share, top_internal_share, is_hanging_on_one, reason") == (
        0,
        0,
        None,
        None,
        None,
        None,
    )


def test_trend_is_against_the_three_months_before(world: Warehouse) -> None:
    assert row(world, 1, "trend") == (None,)
    assert row(world, 2, "trend") == (pytest.approx(1 / 3),)
    assert row(world, 4, "trend") == (pytest.approx(2 / ((3 + 1 + 0) / 3)),)
    assert row(world, 1, "trend, decay_reason", kind="all") == (None, "no_previous")


def test_what_was_not_observed_has_no_figures() -> None:
    rows = [event(f"2024-{month:02}-{day:02}T{hour}:00", 1, 11) for month in (1, 4) for day in range(1, 29) for hour in (10, 11)]
    world = built(rows, people=PEOPLE, declarations=DECLARED, only=("organisation_panel_tie",))
    assert row(world, 2, "tie_count, previous_tie_count, decay, decay_reason, reason") == (None, None, None, "not_complete", "not_observed")
    assert row(world, 1, "tie_count, reason") == (1, None)
    assert row(world, 4, "tie_count, kept_tie_count, trend") == (1, None, None)
