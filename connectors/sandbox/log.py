"""The log of a synthetic organisation: everything that happened, as columns, and the spaces in which it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from connectors.records import EVIDENCE, MEDIA
from connectors.sandbox.people import Flags, Ints

MEDIUM: Final = {name: number for number, name in enumerate(MEDIA)}
PROOF: Final = {**{name: number for number, name in enumerate(EVIDENCE)}, "declined": len(EVIDENCE)}
"""Codes of evidence. `declined` stands for people who were invited to a meeting and did not come: no contact."""

MESSAGE, CHATTER, BOT, JOIN, BULK, CANCELLED, ALL_DAY, FREE, ALL_HANDS, DRAFT = range(10)
"""What an event is: an ordinary one, or which of those that make no contact."""
NO_CONTACT: Final = (CHATTER, BOT, JOIN, BULK, CANCELLED, ALL_DAY, FREE, ALL_HANDS, DRAFT)

# what a space's key says it is; the rest of the key tells which
SLACK_DM, TEAMS_CHAT, SLACK_CHANNEL, TEAMS_CHANNEL, SERIES, SLACK_GROUP, TEAMS_GROUP = range(1, 8)
_SHIFT: Final = 52
_EVENT_COLUMNS: Final = ("at", "medium", "sender", "key", "minutes", "what", "tie", "step")


@dataclass(frozen=True, slots=True)
class Space:
    """A channel, chat or meeting series.

    Attributes:
        number: Its place in `EventLog.spaces`.
        code: What it is: SLACK_DM, TEAMS_CHAT, SLACK_CHANNEL, TEAMS_CHANNEL, SERIES, SLACK_GROUP or TEAMS_GROUP.
        payload: Which one: the channel's number for channels, the tie's for a series.
        members: Numbers of the people in it, in order.
    """

    number: int
    code: int
    payload: int
    members: tuple[int, ...]


@dataclass(slots=True)
class EventLog:
    """Events in order of time, as columns of equal length; participants and reactions as columns of their own.

    Attributes:
        at: Microseconds since 1970, UTC; all different.
        medium: Code in `connectors.records.MEDIA`.
        sender: The person's number; negative (-1 - n) for bot n.
        space: Number of the space; -1 for mail, calls and single meetings.
        thread: Event number of the thread's or conversation's first message; -1 outside.
        minutes: Length of meetings and calls; NaN otherwise.
        what: MESSAGE, or one of `NO_CONTACT`.
        tie: Number of the tie that it comes from; -1 otherwise.
        step: Place in its burst, 0 for the first.
        offsets: Event i has the participants offsets[i] to offsets[i + 1].
        who: The participant's number, never the sender's.
        proof: Code in `PROOF`.
        reaction_event: Event of each reaction, in order.
        reaction_who: Who reacted.
        reaction_at: When.
        spaces: All spaces.
    """

    at: Ints
    medium: Ints
    sender: Ints
    space: Ints
    thread: Ints
    minutes: npt.NDArray[np.float64]
    what: Ints
    tie: Ints
    step: Ints
    offsets: Ints
    who: Ints
    proof: Ints
    reaction_event: Ints
    reaction_who: Ints
    reaction_at: Ints
    spaces: list[Space]

    def __len__(self) -> int:
        return len(self.at)

    def participants(self, event: int) -> list[tuple[int, int]]:
        """Return number and evidence code of an event's participants."""
        span = slice(int(self.offsets[event]), int(self.offsets[event + 1]))
        return list(zip(self.who[span].tolist(), self.proof[span].tolist(), strict=True))

    def reaction_offsets(self) -> Ints:
        """Return for event i that its reactions are those from entry i to entry i + 1."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.reaction_event, minlength=len(self)))])

    def owner(self) -> Ints:
        """Return the event of each participant."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


def space_key(code: int, payload: Any) -> Any:
    """Return the keys of spaces of one sort, from an array of payloads or one."""
    return np.int64(code << _SHIFT) | payload


def pair_payload(a: Ints, b: Ints) -> Ints:
    """Return a payload that tells an unordered pair."""
    return np.minimum(a, b) * (1 << 24) + np.maximum(a, b)


@dataclass(slots=True)
class Part:
    """Events of one sort, before they are put in order. `thread` counts within the part; `owner` too."""

    at: Ints
    medium: Ints
    sender: Ints
    key: Ints
    thread: Ints
    minutes: npt.NDArray[np.float64]
    what: Ints
    tie: Ints
    step: Ints
    owner: Ints
    who: Ints
    proof: Ints

    @classmethod
    def of(
        cls,
        at: Ints,
        medium: Ints | int,
        sender: Ints | int,
        owner: Ints,
        who: Ints,
        proof: Ints | int,
        *,
        key: Ints | int = -1,
        thread: Ints | int = -1,
        minutes: npt.NDArray[np.float64] | float = np.nan,
        what: int = MESSAGE,
        tie: Ints | int = -1,
        step: Ints | int = 0,
    ) -> Part:
        """Make a part, spreading single values over all events."""
        count = len(at)

        def spread(value: Ints | int, length: int = count) -> Ints:
            return np.broadcast_to(np.asarray(value, dtype=np.int64), (length,)).copy()

        lengths = np.broadcast_to(np.asarray(minutes, dtype=np.float64), (count,)).copy()
        return cls(
            np.asarray(at, dtype=np.int64), spread(medium), spread(sender), spread(key), spread(thread), lengths, spread(what), spread(tie),
            spread(step), np.asarray(owner, dtype=np.int64), np.asarray(who, dtype=np.int64), spread(proof, len(who)),
        )  # fmt: skip

    def kept(self, keep: Flags) -> Part:
        """Return the events to be kept, with their participants; threads whose first message goes end with it."""
        place = np.where(keep, np.cumsum(keep) - 1, -1)
        thread = np.where(self.thread >= 0, place[np.maximum(self.thread, 0)], -1)
        stays = keep[self.owner]
        columns: dict[str, Any] = {name: getattr(self, name)[keep] for name in _EVENT_COLUMNS}
        return Part(**columns, thread=thread[keep], owner=place[self.owner[stays]], who=self.who[stays], proof=self.proof[stays])


def assembled(parts: list[Part], reactions: tuple[Ints, Ints, Ints] | None, members: dict[int, tuple[int, ...]]) -> EventLog:
    """Put parts together in order of time.

    Args:
        parts: The parts.
        reactions: Event (counted over all parts, in their order), who, and microseconds after the event.
        members: Members of channels, chats and series by key; those of others are taken from who is in their events.
    """
    starts = np.cumsum([0, *(len(part.at) for part in parts)])
    at, medium, sender, key, minutes, what, tie, step = (np.concatenate([getattr(part, name) for part in parts]) for name in _EVENT_COLUMNS)
    thread = np.concatenate([np.where(part.thread >= 0, part.thread + start, -1) for part, start in zip(parts, starts, strict=False)])
    owner = np.concatenate([part.owner + start for part, start in zip(parts, starts, strict=False)])
    who, proof = (np.concatenate([getattr(part, name) for part in parts]) for name in ("who", "proof"))
    count = len(at)
    order = np.argsort(at, kind="stable")
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    at = at[order]
    # a ts is unique in Slack: whatever falls together moves on by a microsecond
    steps = np.arange(count)
    at = np.maximum.accumulate(at - steps) + steps
    thread = thread[order]
    thread = np.where(thread >= 0, place[np.maximum(thread, 0)], -1)
    owner = place[owner]
    rank = np.lexsort((proof, who, owner))
    owner, who, proof = owner[rank], who[rank], proof[rank]
    first = np.ones(len(owner), dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | (who[1:] != who[:-1])
    first &= who != sender[order][owner]
    owner, who, proof = owner[first], who[first], proof[first]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))])
    if reactions is None:
        empty = np.zeros(0, dtype=np.int64)
        reactions = (empty, empty, empty)
    event = place[reactions[0]]
    rank = np.lexsort((reactions[1], reactions[2], event))
    event, reactor, delay = event[rank], reactions[1][rank], reactions[2][rank]
    keys, space = np.unique(key[order], return_inverse=True)
    log = EventLog(
        at, medium[order], sender[order], space - int(keys[0] == -1) if len(keys) else space, thread, minutes[order], what[order],
        tie[order], step[order], offsets, who, proof, event, reactor, at[event] + delay, [],
    )  # fmt: skip
    log.spaces = _spaces(log, keys[keys != -1], members)
    return log


def _spaces(log: EventLog, keys: Ints, members: dict[int, tuple[int, ...]]) -> list[Space]:
    """Make the spaces. A pair's members are in its key; others have those given and whoever is in their events."""
    mask = (1 << _SHIFT) - 1
    seen: dict[int, set[int]] = {}
    wide = ~np.isin(keys >> _SHIFT, (SLACK_DM, TEAMS_CHAT))
    owner = log.owner()
    for place, people in ((log.space, log.sender), (log.space[owner], log.who)):
        wanted = (place >= 0) & (people >= 0)
        wanted[wanted] = wide[place[wanted]]
        pairs = np.unique(place[wanted] << 32 | people[wanted])
        for number, person in zip((pairs >> 32).tolist(), (pairs & 0xFFFFFFFF).tolist(), strict=True):
            seen.setdefault(number, set()).add(person)
    spaces = []
    for number, key in enumerate(keys.tolist()):
        code, payload = key >> _SHIFT, key & mask
        found: tuple[int, ...]
        if code in (SLACK_DM, TEAMS_CHAT):
            found = (payload >> 24, payload & ((1 << 24) - 1))
        else:
            found = tuple(sorted(seen.get(number, set()).union(members.get(key, ()))))
        spaces.append(Space(number, code, payload, found))
    return spaces
