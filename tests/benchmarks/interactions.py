"""Synthetic organisations of any size: interactions as Arrow batches, made by the million and the same for the same seed.

People sit in teams of a dozen and work in two project groups of eight. E-mails and direct messages run along a person's ties, of which
a third lie within the team and a twentieth lead to clients; how much passes along a tie is very uneven (lognormal), and each leans to
one direction. Group messages, channels with threads and meetings are held in teams and project groups. Messages come in conversations.

What is dear to build is how many different pairs and days there are. In real data a pair exchanges 1.8 (e-mails of EU-core), 2.3
(CollegeMsg) or 4.5 (texts of Copenhagen) messages on a day on which it does; here there are 1.8 contacts
to each pair, day and medium, and 40 partners a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from connectors.records import EVIDENCE, INSTANT, MEDIA, PARTICIPANT, SCHEMAS, Batch
from pipelines.warehouse import Warehouse

TEAM_SIZE = 12
TIES_A_PERSON = 12
PROJECTS_A_PERSON = 2
PROJECT_SIZE = 8
FIRST_DAY = date(2025, 1, 1)
DAY_COUNT = 365
MEDIUM_SHARES = {
    "email": 0.42,
    "slack_dm": 0.26,
    "slack_channel": 0.2,
    "slack_group_dm": 0.05,
    "meeting_online": 0.05,
    "meeting_in_person": 0.02,
}
_ADDRESSED, _MENTIONED, _COPIED, _TOGETHER = (EVIDENCE.index(name) for name in ("addressed", "mentioned", "copied", "co_present"))
_BATCH = 1_000_000
SOURCE = "bench"


@dataclass
class Organisation:
    """People, teams and ties, from a seed.

    Attributes:
        people: How many people; those from `people * 19 // 20` on belong to clients.
        has_channels: Whether there are channel messages, with threads.
        pair: The ties, two people a row; a pair may stand twice.
    """

    people: int
    seed: int = 7
    has_channels: bool = True
    pair: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng([self.seed, self.people])
        count = self.people * TIES_A_PERSON
        first = np.repeat(np.arange(self.people), TIES_A_PERSON)
        in_team = first // TEAM_SIZE * TEAM_SIZE + random.integers(0, TEAM_SIZE, count)
        anyone = random.integers(0, self.people, count)
        second = np.where(random.random(count) < 0.35, np.minimum(in_team, self.people - 1), anyone)
        kept = first != second
        self.pair = np.stack([first[kept], second[kept]], axis=1)
        self._volume = _shares(random.lognormal(0, 1.6, len(self.pair)))
        self._lean = random.beta(4, 4, len(self.pair))
        # whom each person is tied to, either way round, the closest first
        ends = np.concatenate([self.pair, self.pair[:, ::-1]])
        order = np.lexsort((-np.tile(np.diff(self._volume, prepend=0), 2), ends[:, 0]))
        self._partner = ends[order, 1]
        self._start = np.searchsorted(ends[order, 0], np.arange(self.people + 1))
        # teams, then projects: one row a group, people numbered around a table
        teams = np.arange(self.people // TEAM_SIZE * TEAM_SIZE).reshape(-1, TEAM_SIZE)
        projects = np.concatenate([random.permutation(self.people) for _ in range(PROJECTS_A_PERSON)])
        projects = projects[: len(projects) // PROJECT_SIZE * PROJECT_SIZE].reshape(-1, PROJECT_SIZE)
        self._member = np.concatenate([teams, np.pad(projects, ((0, 0), (0, TEAM_SIZE - PROJECT_SIZE)))])
        self._size = np.repeat([TEAM_SIZE, PROJECT_SIZE], [len(teams), len(projects)])
        self._group_volume = _shares(random.lognormal(0, 1.0, len(self._member)))

    def key(self, number: np.ndarray) -> np.ndarray:
        """Account keys: scattered over 64 bits, as keyed hashes are."""
        return _scattered(number.astype(np.uint64) + np.uint64(1 << 40))

    def partner(self, person: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """One of each person's partners at random, the closest ones far more often."""
        size = self._start[person + 1] - self._start[person]
        return self._partner[self._start[person] + (random.random(len(person)) ** 4 * size).astype(np.int64)]

    def directory(self) -> Batch:
        """Accounts and teams."""
        number = np.arange(self.people)
        keys = self.key(number)
        outside = number >= self.people * 19 // 20
        person_ids = [f"{key & (2**64 - 1):016x}{0:016x}" for key in keys.tolist()]
        count = self.people
        account = {
            "source": pa.array([SOURCE] * count),
            "account_key": pa.array(keys),
            "person_id": pa.array(person_ids),
            "kind": pa.array(["human"] * count),
            "is_guest": pa.array(outside),
        }
        member = {
            "source": pa.array([SOURCE] * count),
            "account_key": pa.array(keys),
            "observed_on": pa.array([FIRST_DAY] * count, pa.date32()),
            "team": pa.array([f"team {place // TEAM_SIZE:05d}" for place in number]),
        }
        inner = pa.array(~outside)
        return Batch(
            SOURCE,
            "directory",
            {"account": _filled("account", account, count), "membership": _filled("membership", member, count).filter(inner)},
        )

    def interactions(
        self, count: int, first_day: date = FIRST_DAY, day_count: int = DAY_COUNT, *, first_number: int = 0
    ) -> Iterator[pa.Table]:
        """About `count` interactions over the days, in order of time, in tables of about a million.

        Args:
            count: How many.
            first_day: The first day.
            day_count: How many days.
            first_number: From which number on keys are taken, so that two calls do not repeat each other's.
        """
        days = [first_day + timedelta(days=offset) for offset in range(day_count)]
        share = np.array([1.0 if day.weekday() < 5 else 0.08 for day in days])
        bounds = np.round(np.cumsum(share) / share.sum() * count).astype(np.int64)
        counts = np.diff(bounds, prepend=0)
        at = 0
        while at < day_count:
            until = at + 1
            while until < day_count and counts[at : until + 1].sum() <= _BATCH:
                until += 1
            yield self._batch(days[at], counts[at:until], first_number + int(bounds[at] - counts[at]))
            at = until

    def _batch(self, day: date, counts: np.ndarray, first_number: int) -> pa.Table:
        random = np.random.default_rng([self.seed, day.toordinal(), first_number])
        count = int(counts.sum())
        start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        second = np.clip(random.normal(13, 3, count), 0, 23.99) * 3600
        moment = np.sort(((start + np.repeat(np.arange(len(counts)), counts) * 86_400 + second) * 1e6).astype(np.int64))
        number = first_number + np.arange(count)
        key = _scattered(number.astype(np.uint64))
        share = np.array([value if self.has_channels or name != "slack_channel" else 0.0 for name, value in MEDIUM_SHARES.items()])
        medium = random.choice(len(share), count, p=share / share.sum()).astype(np.int8)
        email, _, channel, group, online, in_person = (medium == place for place in range(6))
        meeting = online | in_person
        is_group = channel | group | meeting
        # messages come in conversations of about four: most go along a tie, or into a group, used a moment ago
        tie, at = np.searchsorted(self._volume, random.random(count)), np.searchsorted(self._group_volume, random.random(count))
        is_again = ~meeting & (random.random(count) < 0.75)
        for chosen, kind in ((tie, ~is_group), (at, group | channel)):
            opening, again = np.flatnonzero(kind & ~is_again), np.flatnonzero(kind & is_again)
            if len(opening):
                chosen[again] = chosen[opening[np.maximum(np.searchsorted(opening, again) - random.integers(1, 20, len(again)), 0)]]
        forth = random.random(count) < self._lean[tie]
        sender = np.where(forth, self.pair[tie, 0], self.pair[tie, 1])
        other = np.where(forth, self.pair[tie, 1], self.pair[tie, 0])
        thread = np.zeros(count, np.int64)
        is_reply = channel & (random.random(count) < 0.6)
        roots = np.flatnonzero(channel & ~is_reply)
        replies = np.flatnonzero(is_reply)
        latest = np.searchsorted(roots, replies) - 1 - random.integers(0, 60, len(replies)) if len(roots) else np.full(len(replies), -1)
        replies, latest = replies[latest >= 0], latest[latest >= 0]
        root = roots[latest]
        thread[replies], thread[root] = key[root], key[root]
        at[replies] = at[root]
        answers = np.bincount(root, minlength=count)
        seat = (random.random(count) * self._size[at]).astype(np.int64)
        # an author who goes on in their own thread
        is_author = random.random(len(replies)) < 0.35
        seat[replies[is_author]] = seat[root[is_author]]
        sender[is_group] = self._member[at[is_group], seat[is_group]]
        # how many are addressed, and what shows it
        size = np.ones(count, np.int64)
        size[email] = random.choice([1, 2, 3, 5], int(email.sum()), p=[0.62, 0.2, 0.13, 0.05])
        size[group] = random.integers(2, 6, int(group.sum()))
        size[meeting] = random.choice([2, 3, 5, 8], int(meeting.sum()), p=[0.5, 0.25, 0.18, 0.07])
        size[channel] = random.random(int(channel.sum())) < 0.4
        size[replies] = random.random(len(replies)) < 0.15
        offset = np.concatenate([[0], np.cumsum(size)])
        row = np.repeat(np.arange(count), size)
        place = np.arange(len(row)) - offset[row]
        person = np.where(place == 0, other[row], self.partner(sender[row], random))
        # the next ones around the table; whoever called a meeting is there
        beside = (seat[row] + place + ~meeting[row]) % self._size[at[row]]
        person = np.where(is_group[row], self._member[at[row], beside], person)
        evidence = np.full(len(row), _ADDRESSED, np.int8)
        evidence[channel[row]] = _MENTIONED
        evidence[email[row] & (place > 0) & (random.random(len(row)) < 0.5)] = _COPIED
        evidence[meeting[row]] = _TOGETHER
        # a participant is named once, in the order of keys, as the warehouse keeps them
        people = self.key(person)
        order = np.lexsort((people, row))
        row, people, evidence = row[order], people[order], evidence[order]
        fresh = np.ones(len(row), np.bool_)
        fresh[1:] = (row[1:] != row[:-1]) | (people[1:] != people[:-1])
        row, people, evidence = row[fresh], people[fresh], evidence[fresh]
        size = np.bincount(row, minlength=count)
        participants = pa.ListArray.from_arrays(
            pa.array(np.concatenate([[0], np.cumsum(size)]), pa.int32()),
            pa.StructArray.from_arrays([pa.array(people), _words(evidence, list(EVIDENCE))], fields=list(PARTICIPANT)),
        )
        columns = {
            "source": _words(np.zeros(count, np.int8), [SOURCE]),
            "interaction_key": pa.array(key),
            "occurred_at": pa.array(moment).cast(INSTANT),
            "medium": _words(medium, list(MEDIUM_SHARES)),
            "space_key": pa.array(_scattered(np.where(is_group, at, self.pair[tie].sum(axis=1) + (1 << 50)).astype(np.uint64))),
            "thread_key": pa.array(thread, mask=thread == 0),
            "sender_key": pa.array(self.key(sender)),
            "participants": participants,
            "recipient_count": pa.array(size.astype(np.int32)),
            "reply_count": pa.array(answers.astype(np.int32), mask=answers == 0),
            "minutes": pa.array(random.choice([15.0, 30.0, 60.0], count), mask=~meeting),
        }
        return _filled("interaction", columns, count)


def organisation_of(count: int, *, has_channels: bool = True) -> Organisation:
    """The organisation that makes `count` interactions a year: 400 people for each million."""
    return Organisation(max(count // 2_500, 60), has_channels=has_channels)


def land(warehouse: Warehouse, organisation: Organisation, count: int, first_day: date = FIRST_DAY, day_count: int = DAY_COUNT) -> None:
    """Store the directory and `count` interactions as `Warehouse.store` would, without looking for what is already there."""
    warehouse.store(organisation.directory())
    for table in organisation.interactions(count, first_day, day_count):
        warehouse.connection.register("incoming", table)
        warehouse.run(
            "insert into raw.interaction select * replace (occurred_at at time zone 'UTC' as occurred_at, "
            "coalesce(participants, []) as participants) from incoming order by occurred_at"
        )
        warehouse.connection.unregister("incoming")
    warehouse.run("insert into raw.touched_day select distinct occurred_at::date from raw.interaction")
    warehouse.run("checkpoint")


def as_batch(organisation: Organisation, count: int, first_day: date, day_count: int = 1, *, first_number: int = 1 << 36) -> Batch:
    """A batch of new interactions, as a connector would hand it over."""
    tables = list(organisation.interactions(count, first_day, day_count, first_number=first_number))
    return Batch(SOURCE, "messages", {"interaction": pa.concat_tables(tables)})


def _shares(volume: np.ndarray) -> np.ndarray:
    """Cumulative shares of volumes, to draw by."""
    summed = np.cumsum(volume)
    drawn: np.ndarray = summed / summed[-1]
    return drawn


def _filled(kind: str, columns: dict[str, pa.Array], count: int) -> pa.Table:
    schema = SCHEMAS[kind]
    return pa.Table.from_arrays([columns.get(field.name, pa.nulls(count, field.type)) for field in schema], schema=schema)


def _words(codes: np.ndarray, words: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(words)).cast(pa.string())


def _scattered(number: np.ndarray) -> np.ndarray:
    """Distinct 64-bit integers without order, one for each number (splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = number * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).view(np.int64)


assert set(MEDIUM_SHARES) <= set(MEDIA)
