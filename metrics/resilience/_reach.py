"""Who can be reached through contacts in the order of their days.

A fact that starts with a source passes along contacts, at most one hop a day, since the order within a day is not used.
Sources are bits of 64-bit words, so that a day's contacts pass on what all sources sent at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class ContactDays:
    """Directed contacts by day.

    Attributes:
        days: Days since 1970 of each contact, in order.
        source: Number of the person who passes on.
        target: Number of the person who learns; within a day in order.
    """

    days: Ints
    source: Ints
    target: Ints

    @classmethod
    def read(cls, person_contact_day: duckdb.DuckDBPyRelation, first: int, last: int, people: Ints) -> ContactDays:
        """The contacts among some people on the days from `first` to `last` (since 1970); nothing else is read.

        Args:
            person_contact_day: The table of that name.
            first: The first day.
            last: The last.
            people: Keys of the people, in order: they are numbered by their place.
        """
        low, high = (np.datetime64(day, "D").astype(object) for day in (first, last))
        table = person_contact_day.filter(f"date between date '{low}' and date '{high}'").to_arrow_table()
        keys = {name: table[name].to_numpy() for name in ("from_key", "to_key")}
        is_known = np.isin(keys["from_key"], people) & np.isin(keys["to_key"], people)
        day = table["date"].to_numpy()[is_known].astype("datetime64[D]").astype(np.int64)
        source, target = (np.searchsorted(people, listed[is_known]) for listed in keys.values())
        return cls.of(day, source, target)

    @classmethod
    def of(cls, days: Ints, source: Ints, target: Ints) -> ContactDays:
        """Put contacts in order of day and target."""
        order = np.lexsort((source, target, days))
        return cls(days[order], source[order], target[order])

    def between(self, first: int, last: int) -> ContactDays:
        """Contacts of the days from `first` to `last`, both included."""
        low, high = np.searchsorted(self.days, [first, last + 1])
        return ContactDays(self.days[low:high], self.source[low:high], self.target[low:high])

    def without(self, is_removed: Flags) -> ContactDays:
        """Contacts between people who stay."""
        keep = ~(is_removed[self.source] | is_removed[self.target])
        return ContactDays(self.days[keep], self.source[keep], self.target[keep])

    def each_day(self) -> Iterator[tuple[int, Ints, Ints]]:
        """Day, sources, targets, for the days that have contacts."""
        starts = np.flatnonzero(np.diff(self.days, prepend=-(1 << 40)))
        ends = np.append(starts, len(self.days))[1:]
        for low, high in zip(starts, ends, strict=True):
            yield int(self.days[low]), self.source[low:high], self.target[low:high]


def seeded(people: int, sources: Ints) -> Words:
    """The state on the first morning: each source knows its own fact (people x words; bit i is source i)."""
    state = np.zeros((people, (len(sources) + 63) // 64), dtype=np.uint64)
    bit = np.arange(len(sources))
    np.bitwise_or.at(state, (sources, bit // 64), np.uint64(1) << (bit % 64).astype(np.uint64))
    return state


def pass_on(state: Words, source: Ints, target: Ints) -> tuple[Ints, Words]:
    """Let one day's contacts pass on what was known in the morning; changes `state`.

    Args:
        state: people x words.
        source: Who passes on.
        target: Who learns, in order.

    Returns:
        The people who had contacts to them, and the bits that are new to each.
    """
    starts = np.flatnonzero(np.diff(target, prepend=-1))
    learners = target[starts]
    # reads the morning's state in whole before any of it is changed: one hop a day
    told = np.bitwise_or.reduceat(state[source], starts, axis=0)
    fresh = told & ~state[learners]
    state[learners] |= fresh
    return learners, fresh


def count_bits(words: Words) -> int:
    """How many bits are set."""
    return int(np.unpackbits(words.view(np.uint8)).sum())


def bits(words: Words, count: int) -> Flags:
    """Rows of words as rows of `count` flags."""
    return np.unpackbits(words.view(np.uint8), axis=1, count=count, bitorder="little").astype(bool)


def reached_share(contacts: ContactDays, people: int, sources: Ints) -> float | None:
    """Share of the couples (source, other person) in which the other is reached by the end; None without others or sources.

    Args:
        contacts: Contacts of the whole period.
        people: How many people there are to reach, the sources among them.
        sources: Who starts; numbered among all of `contacts`.
    """
    if people < 2 or not len(sources):
        return None
    size = int(max(contacts.source.max(initial=0), contacts.target.max(initial=0), sources.max(initial=0))) + 1
    state = seeded(size, sources)
    for _, source, target in contacts.each_day():
        pass_on(state, source, target)
    return (count_bits(state) - len(sources)) / (len(sources) * (people - 1))
