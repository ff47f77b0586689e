"""Who belongs where, and since when."""

from __future__ import annotations

from datetime import date
from typing import Any

from worlds import SOURCE, batch, built, event, person

from pipelines.declarations import Declarations

OWN, CLIENT, STRANGER = 501, 502, 503
DECLARED = Declarations(organisations=[("own", "Us", "own"), ("acme", "Acme", "client")], domains=[(OWN, "own"), (CLIENT, "acme")])
EVENTS = [event("2024-03-04", 1, [2, 3, 4])]


def place(number: int, observed_on: str, team: str, **fields: Any) -> dict[str, Any]:
    return {"source": SOURCE, "account_key": number, "observed_on": date.fromisoformat(observed_on), "team": team, **fields}


def test_domains_tell_organisations_apart() -> None:
    people = [
        person(1, domain_key=OWN, kind="unknown"),
        person(2, domain_key=CLIENT, kind="unknown"),
        person(3, domain_key=STRANGER, kind="unknown"),
        person(4, domain_key=STRANGER),
    ]
    warehouse = built(EVENTS, people, declarations=DECLARED)
    found = warehouse.run("select person_key, organisation_key, kind, is_internal from core.person order by 1")
    # 4 stands in the own directory, whatever its address
    assert found == [(1, "own", "own", True), (2, "acme", "client", False), (3, "unknown", "unknown", False), (4, "own", "own", True)]


def test_guests_are_not_internal_and_without_any_domain_everyone_is() -> None:
    warehouse = built(EVENTS, [person(2, is_guest=True), person(3, domain_key=STRANGER, kind="unknown")])
    assert warehouse.run("select person_key from core.person where not is_internal") == [(2,)]


def test_external_pairs_carry_the_other_organisation() -> None:
    people = [person(1, domain_key=OWN), person(2, domain_key=CLIENT, kind="unknown")]
    warehouse = built([event("2024-03-04", 1, 2)], people, {1: "Sales"}, DECLARED)
    assert warehouse.run("select is_external, external_kind, is_cross_team from core.pair_day") == [(True, "client", None)]
    assert warehouse.run("select person_key, organisation_key from core.person where not is_internal") == [(2, "acme")]


def test_teams_are_those_of_the_day() -> None:
    memberships = [
        place(1, "2024-01-01", "Sales"),
        place(1, "2024-03-01", "Sales"),
        place(1, "2024-04-01", "Support"),
        place(2, "2024-01-01", "Sales"),
    ]
    days = [event(day, 1, 2) for day in ("2023-12-01", "2024-03-31", "2024-04-01")]
    warehouse = built(batch(days, membership=memberships))
    assert warehouse.run("select date, is_cross_team from core.pair_day order by date") == [
        (date(2023, 12, 1), False),
        (date(2024, 3, 31), False),
        (date(2024, 4, 1), True),
    ]
    assert warehouse.run("select count(*) from core.membership where person_key = 1") == [(2,)]


def test_stated_dates_win_over_observed_ones_and_never_overlap() -> None:
    memberships = [
        place(1, "2024-01-01", "Old", valid_from=date(2023, 1, 1)),
        place(1, "2024-01-01", "New", valid_from=date(2024, 2, 1), valid_to=date(2024, 6, 1)),
        place(1, "2024-05-05", "Seen"),
    ]
    warehouse = built(batch([event("2024-03-04", 1, 2)], membership=memberships))
    assert warehouse.run("select team, valid_from, valid_to from core.membership order by valid_from") == [
        ("Old", date(2023, 1, 1), date(2024, 2, 1)),
        ("New", date(2024, 2, 1), date(2024, 6, 1)),
    ]


def test_an_unknown_team_is_not_another_team() -> None:
    warehouse = built([event("2024-03-04", 1, 2)], teams={1: "Sales"})
    assert warehouse.run("select is_cross_team from core.pair_day") == [(None,)]


def test_accounts_without_address_are_kept_apart_and_counted() -> None:
    people = [{"source": SOURCE, "account_key": number, "kind": "human"} for number in (1, 2)]
    warehouse = built([event("2024-03-04", 1, 2)], people)
    assert warehouse.run("select count(distinct person_key), count(*) filter (where not has_address) from core.account") == [(2, 2)]


def test_a_leavers_address_is_a_colleagues_whatever_domains_are_declared() -> None:
    people = [
        person(1, domain_key=OWN),
        person(2, domain_key=STRANGER, kind="unknown", is_guest=False),
        person(3, domain_key=STRANGER, kind="unknown", is_guest=True),
        person(4, domain_key=CLIENT, kind="unknown", is_guest=True),
    ]
    warehouse = built(EVENTS, people, declarations=DECLARED)
    found = dict(warehouse.run("select person_key, organisation_key from core.person"))
    assert found == {1: "own", 2: "own", 3: "unknown", 4: "acme"}


def mails(sender: int, recipients: list[int], count: int) -> list[dict[str, Any]]:
    return [event(f"2024-03-{1 + n % 28:02d}", sender, recipients[n % len(recipients)], medium="email", minutes=None) for n in range(count)]


def strangers(**kinds: Any) -> list[dict[str, Any]]:
    return [person(900, domain_key=STRANGER, kind="unknown", **kinds), *(person(number) for number in range(1, 26))]


def robots(events: list[dict[str, Any]], people: list[dict[str, Any]]) -> list[int]:
    warehouse = built(events, people, only=[])
    assert warehouse.value("select count(*) from core.account where kind = 'bot' and person_key is not null") == 0
    return [key for (key,) in warehouse.run("select account_key from core.account where kind = 'bot'")]


CROWD = list(range(1, 26))


def test_who_writes_to_very_many_and_is_never_written_to_is_a_robot() -> None:
    assert robots(mails(900, CROWD, 60), strangers(is_guest=True)) == [900]
    # one answer, and it is somebody
    assert robots([*mails(900, CROWD, 60), *mails(3, [900], 1)], strangers(is_guest=True)) == []
    # few mails, few people, a colleague, or an address of which nobody said where it belongs
    assert robots(mails(900, CROWD, 40), strangers(is_guest=True)) == []
    assert robots(mails(900, CROWD[:10], 60), strangers(is_guest=True)) == []
    assert robots(mails(900, CROWD, 60), strangers(is_guest=False)) == []
    assert robots(mails(900, CROWD, 60), strangers()) == []


def test_an_address_inside_that_many_write_to_and_that_never_writes_is_a_list() -> None:
    written = [mail for sender in range(1, 7) for mail in mails(sender, [900], 3)]
    assert robots(written, strangers(is_guest=False)) == [900]
    assert robots([*written, *mails(900, [1], 1)], strangers(is_guest=False)) == []
    assert robots(written, strangers(is_guest=True)) == []
    assert robots(written[:9], strangers(is_guest=False)) == []


def test_a_person_known_elsewhere_is_no_robot() -> None:
    people = strangers(is_guest=True)
    twin = people[0] | {"source": "slack", "account_key": 901, "kind": "human"}
    assert robots(mails(900, CROWD, 60), [*people, twin]) == []
