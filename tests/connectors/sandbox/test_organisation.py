from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from connectors import events_file
from connectors.pseudonyms import Pseudonymiser
from connectors.records import EVIDENCE, MEDIA
from connectors.sandbox import Organisation, World, make, organisation_of, write_events, write_slack_export
from connectors.sandbox import log as l
from connectors.sandbox.calendar import DAY
from connectors.sandbox.log import PROOF
from connectors.sandbox.names import OWN_DOMAIN
from connectors.slack import export

KEY = b"a key for tests that has 32 bytes at least"


def columns(organisation: Organisation) -> list[bytes]:
    log = organisation.log
    return [getattr(log, name).tobytes() for name in ("at", "medium", "sender", "thread", "who", "proof", "reaction_who", "space")]


def test_equal_worlds_are_equal_to_the_byte_and_other_seeds_are_not() -> None:
    world = World(people=40, days=40, seed=5)
    first, second, other = make(world), make(world), make(World(people=40, days=40, seed=6))
    assert columns(first) == columns(second)
    assert first.truth.to_json() == second.truth.to_json()
    assert columns(first) != columns(other)


def test_a_year_of_200_people_is_made_in_seconds() -> None:
    begun = time.process_time()
    make(World(seed=9))
    assert time.process_time() - begun < 5


def test_events_are_in_order_and_every_moment_is_its_own(year: Organisation) -> None:
    log = year.log
    assert (np.diff(log.at) > 0).all()
    assert log.at[0] >= year.calendar.epoch
    assert log.at[-1] < year.calendar.epoch + (year.world.days + 1) * DAY
    assert (log.thread < len(log)).all()
    threaded = np.flatnonzero(log.thread >= 0)
    assert (log.thread[threaded] <= threaded).all(), "nobody answers what has not been said"


def test_every_medium_and_every_kind_of_evidence_occurs(year: Organisation) -> None:
    assert set(np.unique(year.log.medium)) == set(range(len(MEDIA)))
    assert set(np.unique(year.log.proof)) == set(PROOF.values()) - {PROOF["reacted"]}
    assert set(np.unique(year.log.what)) == set(range(10))


def test_people_write_on_working_days_and_at_working_hours(year: Organisation) -> None:
    log, calendar = year.log, year.calendar
    own = (log.sender >= 0) & (log.what == l.MESSAGE)
    office = year.roster.office[np.maximum(log.sender, 0)]
    day = calendar.day_of(log.at)
    local = (log.at + calendar.offset[office, np.minimum(day, year.world.days - 1)] * 60_000_000 - calendar.epoch) % DAY / DAY * 24
    assert np.mean((local[own] > 7.5) & (local[own] < 19.5)) > 0.97
    weekday = calendar.weekday[np.minimum(day, year.world.days - 1)]
    assert 0 < np.mean(weekday[own] >= 5) < 0.02
    christmas = (year.world.start.replace(month=12, day=25) - year.world.start).days
    assert not (own & (day == christmas) & (log.step == 0)).any()


def test_nobody_writes_before_joining_or_after_leaving(year: Organisation) -> None:
    log = year.log
    day = year.calendar.day_of(log.at).astype(float)
    own = log.sender >= 0
    sender = log.sender[own]
    assert (day[own] >= np.floor(year.roster.joined[sender]) - 1e-9).all()
    assert (day[own] <= year.roster.left[sender]).all()


def test_people_are_made_up_and_apart(year: Organisation) -> None:
    people = year.people
    addresses = [person.address for person in people]
    assert len(set(addresses)) == len(addresses)
    assert all(address.endswith(".example") for address in addresses)
    assert sum(person.is_internal for person in people) == 200
    assert {person.kind for person in people} == {"own", "client", "supplier", "partner", "public_body"}
    assert sum(person.joined_on is not None for person in people) == 24
    assert sum(person.left_on is not None for person in people) == 16
    movers = [person for person in people if len(person.places) == 2]
    assert len(movers) == 8
    assert all(mover.places[0].valid_to == mover.places[1].valid_from for mover in movers)
    assert sum(person.is_internal and person.places[0].manager is None for person in people) == 1


def test_sales_and_support_hang_on_two_people(year: Organisation) -> None:
    truth = year.truth
    assert truth.hanging is not None
    keys = set(truth.hanging["people"])
    crossing = 0
    for tie in truth.ties:
        held = [year.people[who].place_on(year.date_of(max(tie.birth, 0))) for who in (tie.a, tie.b)]
        if {place.team for place in held if place} == {"Sales", "Support"}:
            crossing += 1
            assert keys & {tie.a, tie.b}
    assert crossing > 5


def test_a_collection_gap_is_empty_in_its_source_only() -> None:
    organisation = make(World(people=40, days=60, outages=(("slack", 20, 30),)))
    day = organisation.calendar.day_of(organisation.log.at)
    slack = np.isin(organisation.log.medium, [place for place, name in enumerate(MEDIA) if name.startswith("slack")])
    gap = (day >= 20) & (day < 30)
    assert not (slack & gap).any()
    assert (~slack & gap).any()
    assert organisation.truth.outages[0][0] == "slack"


def test_what_makes_no_contact_has_more_than_twenty_recipients_or_none(year: Organisation) -> None:
    sizes = np.diff(year.log.offsets)
    assert (sizes[year.log.what == l.BULK] >= 21).all()
    for what in (l.CHATTER, l.BOT, l.JOIN, l.ALL_HANDS):
        assert not sizes[year.log.what == what].any()


@pytest.mark.parametrize(
    "world", [World(people=10, days=1), World(people=11, days=9, policy_day=None), World(people=50, days=30, contact_spread=0)]
)
def test_small_worlds_can_be_made(world: World) -> None:
    organisation = make(world)
    assert organisation.truth.to_json()
    assert len(organisation.people) > world.people


@pytest.mark.parametrize("bad", [{"people": 5}, {"days": 0}, {"hazard_shape": 0}, {"mutual_share": 2}, {"mixes": {"pigeon": 1.0}}])
def test_impossible_worlds_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        World(**bad)  # type: ignore[arg-type]


# -- files --------------------------------------------------------------------------------------------------------------


def test_the_events_file_holds_every_contact_once(organisation: Organisation, tmp_path: Path) -> None:
    events, people = write_events(organisation, tmp_path)
    table = pq.read_table(events)
    log = organisation.log
    counted = Counter(table["evidence"].to_pylist())
    assert set(counted) <= set(EVIDENCE)
    quiet = np.isin(log.what, [l.CANCELLED, l.FREE, l.ALL_DAY, l.DRAFT])
    sizes = np.bincount(log.owner()[log.proof != PROOF["declined"]], minlength=len(log))
    assert len(set(table["interaction_id"].to_pylist())) == int(((sizes > 0) & ~quiet).sum() + reacted_only(organisation))
    batches = list(events_file.read(events, Pseudonymiser(KEY), people=people))
    assert not any("quarantine" in batch.records and batch.records["quarantine"].num_rows for batch in batches)
    assert sum(batch.records["interaction"].num_rows for batch in batches if "interaction" in batch.records) == len(
        set(table["interaction_id"].to_pylist())
    )


def reacted_only(organisation: Organisation) -> int:
    log = organisation.log
    reacted = set(log.reaction_event[log.reaction_at < int(organisation.ends.timestamp()) * 1_000_000].tolist())
    sizes = np.diff(log.offsets)
    return sum(not sizes[event] for event in reacted)


def test_the_slack_export_is_read_without_a_fault(organisation: Organisation, tmp_path: Path) -> None:
    path = write_slack_export(organisation, tmp_path / "export.zip")
    counts: Counter[str] = Counter()
    for batch in export.read(path, Pseudonymiser(KEY), own_domains=frozenset({OWN_DOMAIN})):
        for kind, table in batch.records.items():
            counts[kind] += table.num_rows
    slack = np.isin(organisation.log.medium, [place for place, name in enumerate(MEDIA) if name.startswith("slack")])
    assert counts["quarantine"] == 0
    assert 0.97 * slack.sum() < counts["interaction"] <= slack.sum(), "all but what was deleted since"


def test_an_events_file_can_be_served_in_its_place(organisation: Organisation, tmp_path: Path) -> None:
    events, people = write_events(organisation, tmp_path)
    again = organisation_of(events, people)
    assert again.begins == organisation.begins
    assert abs((again.ends - organisation.ends) / timedelta(days=1)) <= 1
    assert again.roster.own == 60
    assert len(again.log) == len(set(pq.read_table(events)["interaction_id"].to_pylist()))
    assert again.truth.ties == ()


def test_a_plain_edge_list_can_be_served(tmp_path: Path) -> None:
    path = tmp_path / "edges.csv"
    path.write_text("at,sender,recipient\n0,1,2\n86400,2,1\n90000,1,3\n", encoding="utf-8")
    organisation = organisation_of(path)
    assert organisation.log.sender.tolist() == [0, 1, 0]
    assert organisation.log.who.tolist() == [1, 0, 2]
    assert organisation.people[0].address == f"1@{OWN_DOMAIN}"
