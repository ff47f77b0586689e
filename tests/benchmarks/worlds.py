"""Large made-up worlds for benchmarks, drawn as arrays and handed over as Arrow: heavy-tailed, in teams, over nine media.

Volume: by default 20,000 people make 20 million interactions in a year: 35 million contacts, 25 million pair-days, 3.8 million pairs.
That is 1,000 interactions a person and year, four on each working day: what a person *starts* (mail sent, messages that turn to somebody,
meetings called), on an average over heavy and light users. Vendors' figures of messages *received* a day lie far higher: they count copies
and broadcasts, which make no contact here. Drawing takes about 12 s (arrays of all events at once).

What makes it like an organisation: activity and strength of ties are log-normal; most ties lie within teams and departments; ties begin
and end, by medium at different rates; half of all messages are answered, in minutes to days; mail and meetings draw further people from
among the sender's other ties, which closes triangles; people join, leave and move; some people are clients and suppliers.

    with Warehouse(path) as warehouse:
        store(warehouse, World(people=20_000, days=365, seed=1))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.records import INSTANT, PARTICIPANT, SCHEMAS, Batch
from pipelines.declarations import Declarations
from pipelines.touched import touch_every_day
from pipelines.warehouse import Warehouse

Array = npt.NDArray[Any]

SOURCE: Final = "benchmark"
START: Final = date(2025, 1, 1)
MEDIA: Final = (
    "slack_dm",
    "slack_group_dm",
    "slack_channel",
    "teams_chat",
    "email",
    "call",
    "meeting_online",
    "meeting_in_person",
    "meeting_hybrid",
)
_SHARES: Final = np.array([0.28, 0.07, 0.18, 0.1, 0.24, 0.03, 0.06, 0.03, 0.01])
_LIVES: Final = np.array([150.0, 120, 110, 160, 220, 200, 180, 320, 200])
"""Mean life of a tie in days, by the medium in which it mostly lives."""
_OTHERS: Final = np.array([0.0, 2.0, 0.0, 0.0, 0.8, 0.0, 2.5, 2.5, 3.0])
"""Mean number of further people on one interaction."""
_ANSWER_HOURS: Final = np.array([0.2, 0.4, 1.0, 0.25, 4.0, 0, 0, 0, 0])
_CHANNEL: Final = MEDIA.index("slack_channel")
_EMAIL: Final = MEDIA.index("email")
_SPOKEN: Final = MEDIA.index("call")
_EXTERNAL_SHARE: Final = 0.06
_BATCH: Final = 1_000_000


@dataclass(frozen=True)
class World:
    """A made-up organisation; equal arguments give equal records.

    Attributes:
        people: How many people of the own organisation; 6% more are clients' and suppliers'.
        days: How many days are observed, from 1 January 2025.
        seed: Seed of everything.
        interactions: About how many interactions in all; None for 1,000 a person and year.
    """

    people: int = 1_000
    days: int = 365
    seed: int = 1
    interactions: int | None = None

    @cached_property
    def team(self) -> Array:
        """The team of each person, numbered from 0; -1 for people of other organisations, who come last."""
        random = np.random.default_rng([self.seed, 1])
        sizes = np.clip(random.lognormal(2.3, 0.5, self.people // 4 + 2).astype(int), 3, 60)
        inside = np.repeat(np.arange(len(sizes)), sizes)[: self.people]
        return np.concatenate([inside, np.full(max(int(self.people * _EXTERNAL_SHARE), 2), -1)])

    @cached_property
    def stay(self) -> tuple[Array, Array]:
        """First and last day of each person: 8% join and 6% leave in a year."""
        random = np.random.default_rng([self.seed, 2])
        count, year = len(self.team), self.days / 365
        joins = np.where((random.random(count) < 0.08 * year) & (self.team >= 0), random.integers(0, self.days, count), -1000)
        leaves = np.where((random.random(count) < 0.06 * year) & (self.team >= 0), random.integers(0, self.days, count), 100_000)
        return joins, np.where(leaves > joins + 20, leaves, 100_000)

    @cached_property
    def _ties(self) -> dict[str, Array]:
        """Pairs that are in contact at all, each with its medium, its days and how strong it is against others."""
        random = np.random.default_rng([self.seed, 3])
        count, inside = len(self.team), self.people
        wanted = np.clip(random.lognormal(3.9, 0.9, count), 2, max(inside / 3, 2)).astype(int)
        wanted[inside:] = np.minimum(wanted[inside:], 6)
        first = np.repeat(np.arange(count), wanted)
        total = len(first)
        department = np.where(self.team >= 0, self.team // 9, 0)
        reach = random.random(total)
        popular = np.sort(random.permutation(inside)[(inside * random.random(total) ** 2).astype(int)])
        random.shuffle(popular)
        outside = random.integers(inside, count, total)
        team_start, team_size = _groups(self.team[:inside])
        mates = team_start[self.team[first]] + (random.random(total) * team_size[self.team[first]]).astype(int)
        area_start, area_size = _groups(department[:inside])
        near = area_start[department[first]] + (random.random(total) * area_size[department[first]]).astype(int)
        second = np.select([reach < 0.3, reach < 0.65, reach < 0.97], [mates, near, popular], outside)
        second = np.where(self.team[first] < 0, popular, second)
        low, high = np.minimum(first, second), np.maximum(first, second)
        code = np.unique((low * np.int64(count) + high)[low != high])
        a, b = code // count, code % count
        medium = random.choice(len(MEDIA), len(code), p=_SHARES)
        begins = random.uniform(-200, self.days, len(code))
        ends = begins + random.exponential(_LIVES[medium]) + 1
        joins, leaves = self.stay
        begins = np.maximum(np.maximum(begins, 0), np.maximum(joins[a], joins[b]))
        ends = np.minimum(np.minimum(ends, self.days), np.minimum(leaves[a], leaves[b]))
        kept = ends > begins + 0.5
        near_tie = (self.team[a] == self.team[b]) & (self.team[a] >= 0)
        strength = random.lognormal(0, 1.3, len(code)) * np.where(near_tie, 4.0, 1.0)
        ties = {"a": a, "b": b, "medium": medium, "begins": begins, "ends": ends, "strength": strength}
        ties["forward"] = random.beta(3, 3, len(code))
        return {name: values[kept] for name, values in ties.items()}

    @cached_property
    def events(self) -> dict[str, Array]:
        """One entry an interaction, in time: second since the start, sender, other, medium and which entry it answers (-1 for none)."""
        random = np.random.default_rng([self.seed, 4])
        ties = self._ties
        target = self.interactions or int(self.people * self.days * 1_000 / 365)
        answered = float((_SHARES[:5].sum()) * 0.5)
        weight = ties["strength"] * (ties["ends"] - ties["begins"])
        counts = random.poisson(weight * (target / (1 + answered) / weight.sum()))
        tie = np.repeat(np.arange(len(counts)), counts)
        day = np.floor(random.uniform(ties["begins"][tie], ties["ends"][tie])).astype(np.int64)
        weekday = (day + START.weekday()) % 7
        # most of a weekend's contacts happen on the days before it
        day = np.maximum(np.where((weekday >= 5) & (random.random(len(day)) < 0.93), day - (weekday - 4), day), 0)
        second = (
            day * 86_400 + np.clip(random.normal(46_800, 9_400, len(day)), 0, 86_000).astype(np.int64) + random.integers(0, 60, len(day))
        )
        medium = np.where(random.random(len(tie)) < 0.8, ties["medium"][tie], random.choice(len(MEDIA), len(tie), p=_SHARES))
        forward = random.random(len(tie)) < ties["forward"][tie]
        sender = np.where(forward, ties["a"][tie], ties["b"][tie])
        other = np.where(forward, ties["b"][tie], ties["a"][tie])
        base = np.flatnonzero((medium < _SPOKEN) & (random.random(len(tie)) < 0.5))
        delay = random.lognormal(np.log(_ANSWER_HOURS[medium[base]]), 1.4) * 3600 + 5
        answer_second = second[base] + delay.astype(np.int64)
        base, answer_second = base[answer_second < self.days * 86_400], answer_second[answer_second < self.days * 86_400]
        both = {
            "second": np.concatenate([second, answer_second]),
            "sender": np.concatenate([sender, other[base]]),
            "other": np.concatenate([other, sender[base]]),
            "medium": np.concatenate([medium, medium[base]]),
            "answers": np.concatenate([np.full(len(second), -1), base]),
        }
        order = np.argsort(both["second"], kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        events = {name: values[order].astype(np.int8 if name == "medium" else np.int32) for name, values in both.items()}
        events["answers"] = np.where(events["answers"] >= 0, place[events["answers"]], -1).astype(np.int32)
        return events

    def batches(self) -> Iterator[Batch]:
        """Batches in time: the first brings accounts and memberships, each whole days, about a million interactions."""
        reference = {"account": self._accounts(), "membership": self._memberships()}
        day = self.events["second"] // 86_400
        # cut between days, so that what is summed by day and batch needs no second sum
        wanted = np.searchsorted(day, day[_BATCH::_BATCH])
        cuts = np.unique([0, *wanted, len(day)])
        for number, (low, high) in enumerate(pairwise(cuts)):
            interactions = self._interactions(slice(int(low), int(high)), number)
            yield Batch(SOURCE, "events", {**(reference if number == 0 else {}), "interaction": interactions})

    def declarations(self) -> Declarations:
        """Two policies, clients, suppliers and three declared relationships, so that every metric has something to speak of."""
        kinds = (("acme", "Acme", "client"), ("borealis", "Borealis", "supplier"), ("city", "City council", "public_body"))
        quarter = [f"Team {number:04d}" for number in range(0, int(self.team.max()) + 1, 4)]
        middle = np.datetime64(START) + self.days // 2
        return Declarations(
            organisations=[("own", "Own", "own"), *kinds],
            domains=[(7_000, "own"), *((7_001 + number, kind[0]) for number, kind in enumerate(kinds))],
            policies=[
                ("quiet_mornings", "Quiet mornings", middle.item(), quarter, "No meetings before noon."),
                ("one_chat", "One chat tool", middle.item(), [], "Everyone uses one chat tool."),
            ],
            relationships=[
                ("first", "Team 0 with team 1", "Team 0000", "team", "Team 0001", "team", 3, 30),
                ("second", "Team 0 with Acme", "Team 0000", "team", "acme", "organisation", 2, 30),
            ],
        )

    def _accounts(self) -> pa.Table:
        count = len(self.team)
        numbers = np.arange(1, count + 1)
        domain = np.where(self.team >= 0, 7_000, 7_001 + numbers % 3)
        columns = {
            "source": pa.array([SOURCE] * count),
            "account_key": pa.array(numbers),
            # spread like a hash, so that keys say nothing about the order
            "person_id": pa.array([f"{(int(n) * 0x9E3779B97F4A7C15) % 2**64:016x}{n:016x}" for n in numbers]),
            "domain_key": pa.array(domain),
            "kind": pa.array(["human"] * count),
        }
        return _filled("account", columns, count)

    def _memberships(self) -> pa.Table:
        """One row a person; one person in twenty-five moves to another team on some day."""
        random = np.random.default_rng([self.seed, 5])
        inside = np.arange(self.people)
        teams = int(self.team.max()) + 1
        moves = np.flatnonzero(random.random(self.people) < 0.04 * self.days / 365)
        on = random.integers(1, max(self.days, 2), len(moves))
        start, _ = _groups(self.team[: self.people])
        joins, leaves = (values[: self.people] for values in self.stay)
        first_day = np.datetime64(START, "D")

        def rows(who: Array, team: Array, since: Array | None, until: Array | None) -> pa.Table:
            def dates(offsets: Array | None, real: Array | None = None) -> pa.Array:
                if offsets is None:
                    return pa.nulls(len(who), pa.date32())
                return pa.array(first_day + offsets, pa.date32(), mask=None if real is None else ~real)

            columns = {
                "source": pa.array([SOURCE] * len(who)),
                "account_key": pa.array(who + 1),
                "observed_on": pa.array([START] * len(who)),
                "valid_from": dates(since),
                "valid_to": dates(until),
                "team": pa.array([f"Team {number:04d}" for number in team]),
                # the first of a team leads it
                "manager_key": pa.array(start[team] + 1, mask=start[team] == who),
                "joined_on": dates(joins[who], joins[who] >= 0),
                "left_on": dates(leaves[who], leaves[who] < self.days),
            }
            return _filled("membership", columns, len(who))

        still = np.setdiff1d(inside, moves)
        return pa.concat_tables(
            [
                rows(still, self.team[still], None, None),
                rows(moves, self.team[moves], None, on),
                rows(moves, (self.team[moves] + 1) % teams, on, None),
            ]
        )

    @cached_property
    def _neighbours(self) -> tuple[Array, Array]:
        """Everyone's others, the strongest ties first, and where each person's begin."""
        one = np.concatenate([self._ties["a"], self._ties["b"]])
        other = np.concatenate([self._ties["b"], self._ties["a"]])
        strength = np.concatenate([self._ties["strength"]] * 2)
        order = np.lexsort((-strength, one))
        return other[order], np.searchsorted(one[order], np.arange(len(self.team) + 1))

    def _interactions(self, part: slice, number: int) -> pa.Table:
        random = np.random.default_rng([self.seed, 6, number])
        second, sender, other, medium, answers = (self.events[name][part] for name in ("second", "sender", "other", "medium", "answers"))
        count = len(second)
        extra = random.poisson(_OTHERS[medium])
        row = np.repeat(np.arange(count), extra)
        neighbours, starts = self._neighbours
        degree = (starts[1:] - starts[:-1])[sender[row]]
        drawn = neighbours[starts[sender[row]] + (random.random(len(row)) ** 4 * degree).astype(np.int64)]
        # a reply in a channel mentions nobody: whom it answers follows from its thread
        named = np.flatnonzero(~((medium == _CHANNEL) & (answers >= 0)))
        called = np.flatnonzero(medium >= _SPOKEN + 1)
        rows = np.concatenate([named, row, called])
        who = np.concatenate([other[named], drawn, sender[called]])
        code = np.unique(rows * np.int64(len(self.team)) + who)
        rows, who = code // len(self.team), code % len(self.team)
        keep = (who != sender[rows]) | (medium[rows] > _SPOKEN)
        rows, who = rows[keep], who[keep]
        evidence = np.select(
            [
                medium[rows] > _SPOKEN,
                medium[rows] == _CHANNEL,
                (medium[rows] == _EMAIL) & (who % 3 == 0) & (who != other[rows]),
            ],
            [2, 1, 3],
            0,
        )
        kinds = pa.DictionaryArray.from_arrays(pa.array(evidence, pa.int8()), pa.array(["addressed", "mentioned", "co_present", "copied"]))
        parts = pa.StructArray.from_arrays([pa.array(who + 1, pa.int64()), kinds.cast(pa.string())], fields=list(PARTICIPANT))
        offsets = np.searchsorted(rows, np.arange(count + 1)).astype(np.int32)
        keys = np.arange(part.start, part.stop, dtype=np.int64) + 1
        moments = np.datetime64(START, "us") + second.astype("timedelta64[s]").astype("timedelta64[us]")
        media = pa.DictionaryArray.from_arrays(pa.array(medium, pa.int8()), pa.array(MEDIA)).cast(pa.string())
        spoken = medium >= _SPOKEN
        threaded = medium == _CHANNEL
        columns = {
            "source": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([SOURCE])).cast(pa.string()),
            "interaction_key": pa.array(keys),
            "occurred_at": pa.array(moments).cast(INSTANT),
            "medium": media,
            "thread_key": pa.array(np.where(answers >= 0, answers + 1, keys), mask=~threaded),
            "sender_key": pa.array(sender + 1),
            "participants": pa.ListArray.from_arrays(pa.array(offsets), parts),
            "recipient_count": pa.array(np.diff(offsets)),
            "minutes": pa.array(np.where(medium == _SPOKEN, 12.0, 30.0 + 15 * (keys % 3)), mask=~spoken),
        }
        return _filled("interaction", columns, count)


def store(warehouse: Warehouse, world: World) -> None:
    """Store a world's records as a connector's batches, and leave its days touched for the next build."""
    for batch in world.batches():
        warehouse.store(batch)


def land(warehouse: Warehouse, world: World) -> None:
    """Put a world's records straight into the raw tables of an empty warehouse: as `store`, in a fraction of the time."""
    for batch in world.batches():
        for kind, records in batch.records.items():
            columns = ", ".join("occurred_at at time zone 'UTC'" if name == "occurred_at" else name for name in records.column_names)
            warehouse.connection.register("landing", records)
            warehouse.run(f"insert into raw.{kind} select {columns} from landing")
            warehouse.connection.unregister("landing")
    touch_every_day(warehouse, warehouse.time_zone)


def _groups(labels: Array) -> tuple[Array, Array]:
    """Where each group begins, and its size, of sorted labels numbered from 0."""
    sizes = np.bincount(labels)
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes


def _filled(kind: str, columns: dict[str, pa.Array], count: int) -> pa.Table:
    schema = SCHEMAS[kind]
    return pa.Table.from_arrays([columns.get(field.name, pa.nulls(count, field.type)).cast(field.type) for field in schema], schema=schema)
