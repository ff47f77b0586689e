"""What is true of a planted organisation: for each quantity its definition, and its value under the process that was planted.

A truth is a number of the process (what one would find in the mean of endlessly many organisations of these settings), not a count
in one organisation, save for the policy's effect, of which the sandbox knows both what happened and what would have.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from connectors.sandbox import Organisation, World, make
from connectors.sandbox.world import KIND_MEDIA, KINDS
from metrics.policy._design import Blocks
from planted.society import alike

KIND: Final = {
    **{medium: kind for kind, media in KIND_MEDIA.items() for medium in media},
    **dict.fromkeys(("slack_group_dm", "teams_group_chat"), "chat"),
}
HORIZONS: Final = (30, 60, 90)


def log_hazard_ratio(world: World, medium: str, reference: str | None = None) -> float:
    """Log hazard ratio of ties that use a medium, against ties otherwise alike that do not, or that use the reference in its place.

    The rate at which ties end is multiplied by one planted factor for each kind of medium that they use. Contact comes at random while
    a tie lives, so that the last contact, which is what can be seen, has the same hazard at every age after any given one.
    """
    effect = world.medium_effects.get(KIND[medium], 0.0)
    return effect - (world.medium_effects.get(KIND[reference], 0.0) if reference else 0.0)


def control_log_hazard_ratio(world: World, term: str) -> float:
    """Log hazard ratio of a control: planted for teams and outside people; none for strength, mutuality and common contacts."""
    return {"is_cross_team": world.cross_team_effect, "is_external": world.external_effect, "is_mutual": world.mutual_effect}.get(term, 0.0)


def weekly_hazard(world: World, kind: str) -> float:
    """Ends a week of ties that use one kind of medium, where nothing else matters."""
    return world.weekly_hazard * math.exp(world.log_hazard_ratio(kind))


def seen_again(world: World, kind: str) -> float:
    """Chance that a tie which has just been seen is ever seen again: m / (m + h), m being days of contact a week, over its spread."""
    hazard = weekly_hazard(world, kind)
    floor, spread = 0.7 * world.contact_rate, world.contact_spread * world.contact_rate
    rest = world.contact_rate - floor
    rates = floor + np.random.default_rng(0).gamma((rest / spread) ** 2, spread**2 / rest, 100_000)
    return float((rates / (rates + hazard)).mean())


def survival(world: World, kind: str, days: float) -> float:
    """Share of ties in contact `days` or more after they qualified: alive with chance exp(-h t), and to be seen again."""
    return seen_again(world, kind) * math.exp(-weekly_hazard(world, kind) * days / 7)


def half_life(world: World, kind: str) -> float:
    """Weeks after which half of the ties that qualify have been in contact for the last time."""
    return math.log(2 * seen_again(world, kind)) / weekly_hazard(world, kind)


def half_life_from_landmark(world: World, kind: str, landmark_days: float) -> float:
    """Age in weeks at which half of the ties that were in contact at or after the landmark have been so for the last time.

    From any age on the hazard is that of the tie, so it is the landmark and a planted half-life more.
    """
    return landmark_days / 7 + math.log(2) / weekly_hazard(world, kind)


def kept_from_landmark(world: World, kind: str, days: float) -> float:
    """Share of the ties in contact at or after the landmark that are so `days` days later, whatever their strength."""
    return math.exp(-weekly_hazard(world, kind) * days / 7)


def reciprocity(world: World) -> float:
    """Binary reciprocity of a month, in all media or one: 2 p / (1 + p) for a share p of ties that is mutual.

    A mutual tie sees messages both ways on each day of contact, a one-way tie never, and no two ties of a pair fall into one month:
    so p is the chance that a pair which wrote in the month did so both ways.
    """
    return 2 * world.mutual_share / (1 + world.mutual_share)


def cross_team_share(world: World) -> float:
    """Share of a month's ties that run between teams: that of ties begun, where those between teams end no faster than others."""
    return world.cross_team_share


@cache
def newcomer_ties(worlds: int) -> tuple[float, ...]:
    """People with whom a newcomer of `alike` has a tie that can be seen 30, 60 and 90 days after joining.

    Newcomers begin ties along the planted ramp, others begin some with them, and a tie can be seen from its first day of messages both
    ways or its third day of contact on. The mean is taken over newcomers of organisations other than those under test, from the days of
    contact that were planted, not from messages or tables.
    """
    found = [counts for seed in range(worlds) for counts in _newcomers(make(alike(1_000_000 + seed)))]
    totals = np.array([[math.nan if count is None else count for count in counts] for counts in found])
    return tuple(float(mean) for mean in np.nanmean(totals, axis=0))


def _newcomers(organisation: Organisation) -> list[list[int | None]]:
    ties, roster, days = organisation.ties, organisation.roster, organisation.contact_days
    frame = pd.DataFrame({"tie": days.tie, "day": days.day, "both": ties.is_mutual[days.tie] & (days.kind != KINDS.index("meeting"))})
    frame = frame[~ties.is_external[frame["tie"]]]
    counts: list[list[int | None]] = []
    for person in np.flatnonzero(roster.joined >= 0).tolist():
        since, left = roster.joined[person], roster.left[person]
        own = frame[(ties.a[frame["tie"]] == person) | (ties.b[frame["tie"]] == person)]
        row: list[int | None] = []
        for horizon in HORIZONS:
            if since + horizon > organisation.world.days or left < since + horizon:
                row.append(None)
                continue
            met = own[own["day"] < since + horizon].groupby("tie").agg(both=("both", "any"), days=("day", "nunique"))
            row.append(int((met["both"] | (met["days"] >= 3)).sum()))
        counts.append(row)
    return counts


def policy_for_all(world: World, hours_after: float) -> float:
    """Change of meeting hours a member and week, on average over the weeks after a policy for everyone.

    The planted ratio is of meetings held to meetings that would have been: they held `hours_after`, so they went without the rest.
    """
    return hours_after * (1 - math.exp(-world.policy_meeting_effect))


def policy_by_team(world: World, design: Blocks) -> float:
    """The same of teams that start one after another: each team's mean over the blocks in which it is compared, then the teams' mean.

    Args:
        world: The world.
        design: Meeting hours by team and block of four weeks.
    """
    losses: dict[int, list[float]] = {}
    for cell in design.cells():
        if cell.time >= cell.group:
            for team in cell.treated.tolist():
                losses.setdefault(team, []).append(policy_for_all(world, float(design.outcome[team, design.times.index(cell.time)])))
    return float(np.mean([np.mean(found) for found in losses.values()]))
