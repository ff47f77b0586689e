"""The states of declared relationships, by rows derived by hand: thirty days within which to be in contact, the last day is 2025-07-01.

Each case is a relationship between two teams of five people of its own, so that one world holds them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from narrow import built_only
from worlds import event, person

from pipelines.declarations import Declarations

LAST = datetime(2025, 7, 1, 12, tzinfo=UTC)
PULSE = range(9001, 9011)
Row = dict[str, Any]


def pulse(without: range = range(0)) -> list[Row]:
    """Messages each day among others, so that every day counts as observed, but those so many days ago as are in `without`."""
    return [
        event(LAST - timedelta(days=back, minutes=number), 9001 + number, 9002 + number)
        for back in range(200)
        if back not in without
        for number in range(6)
    ]


class Case:
    """One relationship: its people are a(1) to a(5) and b(1) to b(5)."""

    def __init__(
        self, number: int, minimum: int = 2, party_b: tuple[str, str] | None = None, party_a: tuple[str, str] | None = None
    ) -> None:
        self.number = number
        self.minimum = minimum
        self.party_a = party_a or (f"Legal {number}", "team")
        self.party_b = party_b or (f"Works {number}", "team")
        self.events: list[Row] = []

    def a(self, one: int) -> int:
        return 100 * self.number + one

    def b(self, one: int) -> int:
        return 100 * self.number + 50 + one

    def talk(self, one: int, other: int, *back: int) -> Case:
        """A message each way on the days so many days ago."""
        return self.add(*((self.a(one), self.b(other), day) for day in back))

    def add(self, *messages: tuple[int, int, int]) -> Case:
        """A message each way between any two on a day so many days ago."""
        for a, b, day in messages:
            self.events += [event(LAST - timedelta(days=day), a, b), event(LAST - timedelta(days=day, hours=1), b, a)]
        return self

    def say(self, sender: int, recipient: int, *back: int, medium: str = "email", **fields: Any) -> Case:
        """One message or meeting on each of the days."""
        self.events += [event(LAST - timedelta(days=day), sender, recipient, medium, **fields) for day in back]
        return self


def world(cases: Mapping[str, Case], without: range = range(0)) -> dict[str, Row]:
    people = [person(number, domain_key=1, kind="human") for number in PULSE]
    teams = dict.fromkeys(PULSE, "Others")
    for case in cases.values():
        for one in range(1, 6):
            is_client = case.party_b[1] == "organisation"
            people += [person(case.a(one), domain_key=1), person(case.b(one), domain_key=2 if is_client else 1)]
            teams[case.a(one)] = f"Legal {case.number}"
            teams |= {} if is_client else {case.b(one): f"Works {case.number}"}
    declared = Declarations(
        organisations=[("own", "Own", "own"), ("acme", "Acme", "client")],
        domains=[(1, "own"), (2, "acme")],
        relationships=[(key, key, *case.party_a, *case.party_b, case.minimum, 30) for key, case in cases.items()],
    )
    events = pulse(without) + [each for case in cases.values() for each in case.events]
    warehouse = built_only("metrics.charter_status", events, people=people, teams=teams, declarations=declared)
    rows = {row["relationship_key"]: row for row in warehouse.arrow("select * from metrics.charter_status").to_pylist()}
    assert set(rows) == set(cases)
    return rows


@pytest.fixture(scope="module")
def told() -> dict[str, Row]:
    meetings = {"medium": "meeting_online", "minutes": 30.0}
    cases = {
        "two_of_two": Case(1).talk(1, 1, 5, 12).talk(2, 2, 3, 20),
        "one_of_two": Case(2).talk(1, 1, 5, 12),
        "one_person": Case(3).talk(1, 1, 5, 12).talk(1, 2, 3, 20),
        "one_of_one": Case(4, 1).talk(1, 1, 5, 12),
        "two_of_three": Case(5, 3).talk(1, 1, 5, 12).talk(2, 2, 3, 20),
        "fallen": Case(6).talk(1, 1, 5, 12, 95, 100).talk(2, 2, 3, 20, 96).talk(3, 3, 97),
        "long_ago": Case(7).talk(1, 1, 30, 40).talk(2, 2, 35),
        "just_in_time": Case(8, 1).talk(1, 1, 29),
        "nobody": Case(10, 1, ("Nowhere", "team")),
        "client": Case(11, 2, ("acme", "organisation")).talk(1, 1, 5).talk(2, 2, 6),
    }
    one_way, met = Case(12, 1), Case(13, 1)
    cases["one_way"] = one_way.say(one_way.a(1), one_way.b(1), 1, 2, 3, 4)
    cases["meetings"] = met.say(met.a(1), met.b(1), 1, 8, 15, **meetings)
    return world(cases)


@pytest.mark.parametrize(
    "key,status,reason",
    [
        ("two_of_two", "on_track", "met"),
        ("one_of_two", "hanging_on_one", "one_person"),
        ("one_person", "hanging_on_one", "one_person"),
        ("one_of_one", "on_track", "met"),
        ("two_of_three", "thinning", "below_minimum"),
        ("fallen", "thinning", "falling"),
        ("long_ago", "lost", "no_tie"),
        ("just_in_time", "on_track", "met"),
        ("nobody", "not_observed", "no_people"),
        ("client", "on_track", "met"),
        ("one_way", "lost", "no_tie"),
        ("meetings", "on_track", "met"),
    ],
)
def test_states(told: dict[str, Row], key: str, status: str, reason: str) -> None:
    assert (told[key]["status"], told[key]["reason"]) == (status, reason)


def test_evidence_of_a_relationship_on_track(told: dict[str, Row]) -> None:
    row = told["two_of_two"]
    assert (row["met_count"], row["required_count"], row["side_a_number"], row["side_b_number"]) == (2, 2, 2, 2)
    assert (row["top_a_ratio"], row["top_b_ratio"]) == (0.5, 0.5)
    assert row["last_contact_date"] == row["last_mutual_contact_date"] == date(2025, 6, 28)
    assert (row["person_count"], row["window_days"], row["observed_days"]) == (10, 90, 30)


def test_evidence_of_others(told: dict[str, Row]) -> None:
    assert (told["one_person"]["side_a_number"], told["one_person"]["side_b_number"], told["one_person"]["top_b_ratio"]) == (1, 2, 0.5)
    assert (told["fallen"]["previous_met_count"], told["fallen"]["met_count"]) == (3, 2)
    assert (told["long_ago"]["mutual_tie_count"], told["long_ago"]["contact_pair_count"]) == (0, 2)
    assert told["long_ago"]["last_mutual_contact_date"] == date(2025, 6, 1)
    assert (told["one_way"]["contact_pair_count"], told["one_way"]["last_mutual_contact_date"]) == (1, None)
    # five of the team and five of the client
    assert (told["client"]["met_count"], told["client"]["person_count"]) == (2, 10)


def test_a_gap_is_not_observed_unless_what_was_seen_suffices() -> None:
    rows = world({"silent": Case(1), "seen": Case(2).talk(1, 1, 1).talk(2, 2, 2)}, without=range(3, 25))
    assert (rows["silent"]["status"], rows["silent"]["reason"], rows["silent"]["observed_days"]) == ("not_observed", "gap", 8)
    assert rows["seen"]["status"] == "on_track"


@pytest.mark.parametrize(
    "contacts,status,met",
    [
        ([(101, 151, 5), (102, 152, 6)], "on_track", 2),
        ([(101, 151, 5), (101, 152, 6)], "thinning", 1),
        ([(101, 151, 5), (102, 151, 6)], "hanging_on_one", 2),
        ([], "lost", 0),
    ],
)
def test_newcomers_with_a_team(contacts: list[tuple[int, int, int]], status: str, met: int) -> None:
    # persons 101 and 102 are first seen sixty days ago, long after collection began; one mutual tie is asked of each
    case = Case(1, 1, party_a=("newcomers", "newcomers")).add((101, 9001, 60), (102, 9002, 60), *contacts)
    # all of the team have been there from the start
    case.add(*((one, one + 1, 199) for one in range(151, 155)))
    row = world({"welcome": case})["welcome"]
    assert (row["status"], row["met_count"], row["required_count"]) == (status, met, 2)


def test_without_newcomers_there_is_nothing_to_observe() -> None:
    row = world({"welcome": Case(1, 1, party_a=("newcomers", "newcomers"))})["welcome"]
    assert (row["status"], row["reason"]) == ("not_observed", "no_newcomers")
