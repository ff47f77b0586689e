"""What passes between people who have a tie: on which days, by which medium, in which messages and meetings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox.calendar import MINUTE, Calendar, meeting_minutes, working_minutes
from connectors.sandbox.channels import Channels
from connectors.sandbox.log import MEDIUM, PROOF, Part
from connectors.sandbox.people import Flags, Floats, Ints, Roster
from connectors.sandbox.ties import Ties
from connectors.sandbox.world import KINDS, World

RESPONSE_MINUTES: Final = {"channel": 18.0, "chat": 6.0, "email": 75.0}
"""Median minutes until a message is answered, by kind; the times are lognormal and cut off at the caps below."""
RESPONSE_SPREAD: Final = 1.0
RESPONSE_CAP: Final = {"channel": 240.0, "chat": 240.0, "email": 420.0}
MERGED_MAIL_SHARE: Final = 0.25
GROUP_SHARE: Final = 0.25
LONGEST_BURST: Final = 8


@dataclass(slots=True)
class ContactDays:
    """Days on which ties are in contact, in order of tie and day.

    Attributes:
        tie: The tie's number.
        day: The day.
        kind: Number in `KINDS`.
    """

    tie: Ints
    day: Ints
    kind: Ints

    def of_kind(self, name: str) -> ContactDays:
        """Return those of one kind of media."""
        keep = self.kind == KINDS.index(name)
        return ContactDays(self.tie[keep], self.day[keep], self.kind[keep])


def contact_days(world: World, ties: Ties, calendar: Calendar, rng: np.random.Generator) -> ContactDays:
    """Draw the days of contact of every tie, and their media: each of a tie's kinds comes once before any comes again."""
    workdays = calendar.workdays
    low = np.searchsorted(workdays, np.ceil(np.maximum(ties.birth, 0.0)), "left")
    high = np.searchsorted(workdays, np.floor(np.minimum(ties.end, world.days)), "left")
    span = np.maximum(high - low, 0)
    counts = rng.poisson(ties.rate / 5 * span)
    tie = np.repeat(np.arange(len(ties)), counts)
    place = low[tie] + (rng.random(len(tie)) * span[tie]).astype(np.int64)
    # a tie begins with a contact, so that its birth can be seen
    begun = np.flatnonzero((ties.birth >= 0) & (span > 0))
    width = len(workdays) + 1
    code = np.unique(np.concatenate([tie * width + place, begun * width + low[begun]]))
    tie, place = code // width, code % width
    day = workdays[place]
    is_first = (ties.birth[tie] >= 0) & (place == low[tie])
    here = is_first | ~(calendar.absent[ties.a[tie], day] | calendar.absent[ties.b[tie], day])
    tie, day = tie[here], day[here]
    # now and then somebody writes on a Saturday
    saturday = (calendar.weekday[day] == 4) & (rng.random(len(day)) < 0.03) & (day + 2 <= np.minimum(ties.end[tie], world.days))
    day = day + saturday
    return ContactDays(tie, day, _kinds(ties, tie, rng))


def _kinds(ties: Ties, tie: Ints, rng: np.random.Generator) -> Ints:
    uses = ties.kinds()
    width = uses.sum(axis=1)
    listed = np.argsort(~uses, axis=1, kind="stable")
    starts = np.searchsorted(tie, np.arange(len(ties)))
    rank = np.arange(len(tie)) - starts[tie]
    block, inside = rank // width[tie], rank % width[tie]
    order = np.lexsort((rng.random(len(tie)), block, tie))
    kind = np.empty(len(tie), dtype=np.int64)
    kind[order] = listed[tie[order], inside]
    return kind


def without_dropped_meetings(
    world: World, roster: Roster, ties: Ties, contacts: ContactDays, calendar: Calendar, adoption: Floats, rng: np.random.Generator
) -> tuple[ContactDays, ContactDays]:
    """Let the policy drop meetings, those of Fridays first; return what stays and what was dropped."""
    ratio = float(np.exp(min(world.policy_meeting_effect, 0.0)))
    under = contacts.day >= adoption[roster.team_at(ties.a[contacts.tie], contacts.day.astype(np.float64))]
    meeting = under & (contacts.kind == KINDS.index("meeting"))
    friday = meeting & (calendar.weekday[contacts.day] == 4)
    share = friday.sum() / max(1, meeting.sum())
    keep_friday = max(0.0, 1 - (1 - ratio) / share) if share > 0 else 1.0
    keep_other = 1.0 if keep_friday > 0 or share >= 1 else ratio / (1 - share)
    chance = np.where(friday, keep_friday, keep_other)
    keep = ~meeting | (rng.random(len(meeting)) < chance)

    def part(which: Flags) -> ContactDays:
        return ContactDays(contacts.tie[which], contacts.day[which], contacts.kind[which])

    return part(keep), part(~keep)


def messages(
    world: World,
    roster: Roster,
    ties: Ties,
    channels: Channels,
    contacts: ContactDays,
    kind: str,
    calendar: Calendar,
    rng: np.random.Generator,
) -> Part:
    """Write the messages of the days of contact in one kind of media."""
    here = contacts.of_kind(kind)
    count = len(here.tie)
    tie, day = here.tie, here.day
    is_mutual = ties.is_mutual[tie]
    leaning = rng.beta(4, 4, len(ties))
    first_a = np.where(is_mutual, rng.random(count) < leaning[tie], ties.from_a[tie])
    size = np.minimum(np.where(is_mutual, 2 + rng.poisson(world.burst, count), 1 + rng.poisson(world.burst / 2, count)), LONGEST_BURST)
    starter = np.where(first_a, ties.a[tie], ties.b[tie])
    other = roster.office[np.where(first_a, ties.b[tie], ties.a[tie])]
    minute = calendar.shared(working_minutes(count, rng), day, roster.office[starter], other)
    begin = calendar.moment(day, minute, roster.office[starter])
    leader = _merged(starter, day, rng) if kind == "email" else np.arange(count)
    begin = begin[leader]

    burst = np.repeat(np.arange(count), size)
    start = np.cumsum(size) - size
    step = np.arange(len(burst)) - start[burst]
    switches = is_mutual[burst] & ((step == 1) | ((step > 1) & (rng.random(len(burst)) < 0.6)))
    turns = np.cumsum(switches)
    by_other = (turns - turns[start[burst]]) % 2 == 1
    from_a = first_a[burst] ^ by_other
    sender = np.where(from_a, ties.a[tie[burst]], ties.b[tie[burst]])
    receiver = np.where(from_a, ties.b[tie[burst]], ties.a[tie[burst]])
    answer = np.clip(RESPONSE_MINUTES[kind] * np.exp(rng.normal(0, RESPONSE_SPREAD, len(burst))), 0.3, RESPONSE_CAP[kind])
    more = rng.uniform(10, 90, len(burst)) if kind == "email" else rng.uniform(0.3, 4, len(burst))
    delay = np.where(step == 0, 0.0, np.where(switches, answer, more)) * MINUTE
    waited = np.cumsum(delay)
    at = begin[burst] + (waited - waited[start[burst]]).astype(np.int64) + rng.integers(0, 1_000_000, len(burst))

    events = np.arange(len(burst))
    root = start[leader][burst]
    owner = np.where(step == 0, root, events)
    part = Part.of(at, ties.channel[tie[burst]], sender, owner, receiver, PROOF["addressed"], tie=tie[burst], step=step)
    if kind == "chat":
        part.medium = ties.chat[tie[burst]]
        code = np.where(part.medium == MEDIUM["slack_dm"], l.SLACK_DM, l.TEAMS_CHAT)
        part.key = (code << 52) | l.pair_payload(sender, receiver)
        return part
    if kind == "email":
        part.medium[:] = MEDIUM["email"]
        part.thread = root
        copied = (step == 0) & (leader[burst] != burst) & (rng.random(len(burst)) < 0.4)
        part.proof = np.where(copied, PROOF["copied"], part.proof)
        return part.kept((step > 0) | (leader[burst] == burst))
    is_thread = is_mutual & (rng.random(count) < world.thread_share)
    threaded = is_thread[burst]
    part.thread = np.where(threaded, root, -1)
    part.proof = np.where(threaded & (step > 0), PROOF["replied"], PROOF["mentioned"])
    part.key = channels.keys_of_ties(ties)[tie[burst]]
    return _with_late_replies(world, ties, part, here, start, is_thread, calendar, rng)


def _merged(starter: Ints, day: Ints, rng: np.random.Generator) -> Ints:
    """Let some mails that one person begins on one day be one mail to several; return each one's leader."""
    order = np.lexsort((rng.random(len(day)), day, starter))
    same = np.zeros(len(order), dtype=bool)
    same[1:] = (starter[order][1:] == starter[order][:-1]) & (day[order][1:] == day[order][:-1])
    joins = same & (rng.random(len(order)) < MERGED_MAIL_SHARE)
    heads = np.maximum.accumulate(np.where(joins, 0, np.arange(len(order))))
    leader = np.empty(len(order), dtype=np.int64)
    leader[order] = order[heads]
    return leader


def _with_late_replies(
    world: World, ties: Ties, part: Part, here: ContactDays, start: Ints, is_thread: Flags, calendar: Calendar, rng: np.random.Generator
) -> Part:
    """Add to some threads one more reply, days later, while the tie lives."""
    which = np.flatnonzero(is_thread & (rng.random(len(is_thread)) < world.late_reply_share))
    limit = np.minimum(np.minimum(ties.end[here.tie[which]], world.days) - 1, calendar.workdays[-1] if len(calendar.workdays) else 0)
    place = np.searchsorted(calendar.workdays, here.day[which] + rng.integers(3, 26, len(which)))
    place = np.minimum(place, len(calendar.workdays) - 1)
    day = calendar.workdays[place] if len(place) else place
    fits = (day <= limit) & (day > here.day[which])
    which, day = which[fits], day[fits]
    root = start[which]
    author = part.sender[root]
    pair = ties.a[here.tie[which]], ties.b[here.tie[which]]
    replier = np.where(pair[0] == author, pair[1], pair[0])
    at = part.at[root] + (day - here.day[which]) * 1440 * MINUTE + rng.integers(0, 3600, len(which)) * 1_000_000
    late = Part.of(
        at, part.medium[root], replier, np.arange(len(which)) + len(part.at), author, PROOF["replied"],
        key=part.key[root], thread=root, tie=part.tie[root], step=LONGEST_BURST + 1,
    )  # fmt: skip
    return Part(*(np.concatenate([getattr(part, name), getattr(late, name)]) for name in Part.__slots__))


def meetings(world: World, roster: Roster, ties: Ties, contacts: ContactDays, calendar: Calendar, rng: np.random.Generator) -> Part:
    """Hold the meetings and calls. Some take in a third and fourth person who has a living tie of that medium with all others."""
    here = contacts.of_kind("meeting")
    count = len(here.tie)
    tie, day = here.tie, here.day
    host = np.where((rng.random(count) < 0.7) | ties.is_external[tie], ties.a[tie], ties.b[tie])
    guest = np.where(host == ties.a[tie], ties.b[tie], ties.a[tie])
    minute = calendar.shared(meeting_minutes(count, rng), day, roster.office[host], roster.office[guest])
    at = calendar.moment(day, np.round(minute / 15) * 15, roster.office[host])
    medium = ties.meeting[tie]
    brief = (medium == MEDIUM["slack_huddle"]) | (medium == MEDIUM["call"])
    minutes = np.where(brief, rng.integers(4, 40, count), rng.choice([30.0, 45.0, 60.0], count, p=[0.55, 0.2, 0.25]))
    at = at + np.where(brief, rng.integers(0, 15 * 60, count) * 1_000_000, 0)
    key = np.where(ties.is_standing[tie], l.space_key(l.SERIES, tie), -1)
    key = np.where(medium == MEDIUM["slack_huddle"], l.space_key(l.SLACK_DM, l.pair_payload(host, guest)), key)
    owner, more = _third_people(ties, here, np.flatnonzero(~brief & (rng.random(count) < GROUP_SHARE)), "meeting", rng)
    declined_by = rng.integers(0, roster.own, count)
    declines = (rng.random(count) < 0.08) & ~brief & (declined_by != host) & (declined_by != guest)
    declines &= roster.is_present(declined_by, day.astype(np.float64))
    who = np.concatenate([guest, more, declined_by[declines]])
    proof = np.repeat([PROOF["co_present"], PROOF["declined"]], [count + len(more), int(declines.sum())])
    owners = np.concatenate([np.arange(count), owner, np.flatnonzero(declines)])
    return Part.of(at, medium, host, owners, who, proof, key=key, minutes=minutes, tie=tie)


def group_chats(world: World, roster: Roster, ties: Ties, contacts: ContactDays, calendar: Calendar, rng: np.random.Generator) -> Part:
    """Write in groups of three who all have mutual ties by chat: each says something once, so that all pairs stay mutual."""
    here = contacts.of_kind("chat")
    chosen = np.flatnonzero(ties.is_mutual[here.tie] & (rng.random(len(here.tie)) < 0.15))
    owner, third = _third_people(ties, here, chosen, "chat", rng, most=1)
    tie, day = here.tie[owner], here.day[owner]
    trio = np.stack([ties.a[tie], ties.b[tie], third], axis=1)
    count = len(tie)
    begin = calendar.moment(day, working_minutes(count, rng), roster.office[trio[:, 0]]) if count else np.zeros(0, dtype=np.int64)
    gaps = np.cumsum(rng.uniform(1, 20, (count, 3)), axis=1) * MINUTE
    at = (begin[:, None] + gaps.astype(np.int64)).ravel() + rng.integers(0, 1_000_000, count * 3)
    medium = np.where(ties.chat[tie] == MEDIUM["slack_dm"], MEDIUM["slack_group_dm"], MEDIUM["teams_group_chat"])
    code = np.where(ties.chat[tie] == MEDIUM["slack_dm"], l.SLACK_GROUP, l.TEAMS_GROUP)
    ordered = np.sort(trio, axis=1)
    _, payload = np.unique(ordered, axis=0, return_inverse=True) if count else (ordered, np.zeros(0, dtype=np.int64))
    key = (code << 52) | payload.reshape(-1)
    others = np.stack([trio[:, [1, 2]], trio[:, [0, 2]], trio[:, [0, 1]]], axis=1).reshape(-1)
    owners = np.repeat(np.arange(count * 3), 2)
    return Part.of(
        at, np.repeat(medium, 3), trio.ravel(), owners, others, PROOF["addressed"], key=np.repeat(key, 3), step=np.tile([0, 1, 2], count)
    )


def _third_people(ties: Ties, here: ContactDays, chosen: Ints, kind: str, rng: np.random.Generator, most: int = 2) -> tuple[Ints, Ints]:
    """Find people who have a living tie of the same kind and medium with everyone in it; return contact days and people."""
    uses = ties.kinds()[:, KINDS.index(kind)]
    medium = ties.meeting if kind == "meeting" else ties.chat
    if kind == "chat":
        uses = uses & ties.is_mutual & ~ties.is_external
    able = np.flatnonzero(uses)
    weeks: dict[tuple[int, int], dict[int, set[int]]] = {}
    first = np.ceil(ties.birth[able] / 7).astype(int)
    last = np.floor(ties.end[able] / 7).astype(int)
    wanted = {int(day) // 7 for day in here.day[chosen].tolist()}
    a, b, code = ties.a[able].tolist(), ties.b[able].tolist(), medium[able].tolist()
    for number, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        for week in range(max(low, 0), high):
            if week not in wanted:
                if week > max(wanted, default=-1):
                    break
                continue
            known = weeks.setdefault((week, code[number]), {})
            known.setdefault(a[number], set()).add(b[number])
            known.setdefault(b[number], set()).add(a[number])
    owners: list[int] = []
    people: list[int] = []
    luck = rng.random((len(chosen), most)).tolist()
    for place, contact in enumerate(chosen.tolist()):
        tie = int(here.tie[contact])
        known = weeks.get((int(here.day[contact]) // 7, int(medium[tie])), {})
        common = known.get(int(ties.a[tie]), set()) & known.get(int(ties.b[tie]), set())
        for chance in luck[place]:
            if not common:
                break
            found = sorted(common)[int(chance * len(common))]
            owners.append(contact)
            people.append(found)
            common &= known[found]
    return np.array(owners, dtype=np.int64), np.array(people, dtype=np.int64)
