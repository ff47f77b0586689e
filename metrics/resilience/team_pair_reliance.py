# description: On how few people the contact of two teams rests: the share of its days that the busiest one and two on each side carry,
#   and how
#   many carry 80 per cent, beside what chance among people as busy would give.
# question: Which bridges between teams hang on one or two people?
# grain: panel_kind, panel_start, team_a, team_b
# column: panel_kind | text | week, month or all.
# column: panel_start | date | First day of the period.
# column: team_a | text | The team whose name comes first.
# column: team_b | text | The other team.
# column: person_count | count | People of both teams who were in contact with the other.
# column: pair_count | count | Pairs of people between the two teams that were in contact.
# column: tie_count | count | How many of those were ties.
# column: contact_days | count | Days with contact, summed over pairs.
# column: side_a_number | count | People of team_a in contact with team_b.
# column: side_b_number | count | People of team_b in contact with team_a.
# column: top_one_a_ratio | ratio | Share of the contact days that the busiest person of team_a has a part in.
# column: top_two_a_ratio | ratio | The same for the busiest two.
# column: null_top_one_a_ratio | ratio | The share of the busiest one if each pair's contact fell to a person of team_a by chance, in
#   proportion to how
#   many people of other teams each is in contact with.
# column: carriers_a_number | count | The fewest people of team_a who together carry 80 per cent.
# column: top_one_b_ratio | ratio | As top_one_a_ratio, for team_b.
# column: top_two_b_ratio | ratio | As top_two_a_ratio, for team_b.
# column: null_top_one_b_ratio | ratio | As null_top_one_a_ratio, for team_b.
# column: carriers_b_number | count | As carriers_a_number, for team_b.
# column: is_hanging_on_one | flag | Whether one person of either team carries at least `hanging_share`; empty if there is too little to
#   judge by.
# column: is_hanging_on_two | flag | Whether two people of either team do.
# column: reason | text | Why the flags are empty: too_few (under ten days of contact) or small_team (a side on which fewer than five
#   people deal with
#   other teams at all, and no side that hangs on few though it has more).
# unique: panel_kind, panel_start, team_a, team_b
# not_null: panel_kind, panel_start, team_a, team_b, person_count, pair_count, tie_count, contact_days, side_a_number, side_b_number
# assert: team_a < team_b
# assert: top_one_a_ratio <= top_two_a_ratio + 1e-9 and top_one_b_ratio <= top_two_b_ratio + 1e-9
# assert: top_two_a_ratio <= 1 + 1e-9 and top_two_b_ratio <= 1 + 1e-9
# assert: (is_hanging_on_two is null) = (reason is not null)
# assert: not is_hanging_on_one or is_hanging_on_two
# caveat: Little contact is always carried by few: read the top share beside its null, and the flag rather than the share.
# caveat: A person whose task is to be the link carries a lot by design; whether that is a risk is for the teams to say.
# caveat: Teams without any contact have no row; a bridge that is missing is not a bridge that is safe.
# reference: Burt (2002), Bridge decay, Social Networks 24, 333-363; the chance share is perdure's own null.
# rebuild: panel
"""Reliance of team pairs on few people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from metrics.panels import generator
from metrics.parameters import Parameters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MINIMUM_DAYS: Final = 10
MINIMUM_SIDE: Final = 5
CARRIED: Final = 0.8

COLUMNS: Final = (
    "panel_kind", "panel_start", "team_a", "team_b", "person_count", "pair_count", "tie_count", "contact_days", "side_a_number",
    "side_b_number", "top_one_a_ratio", "top_two_a_ratio", "null_top_one_a_ratio", "carriers_a_number",
    "top_one_b_ratio", "top_two_b_ratio", "null_top_one_b_ratio", "carriers_b_number", "is_hanging_on_one", "is_hanging_on_two", "reason",
)  # fmt: skip


def team_pair_reliance(team_pair_contact: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Concentration of each team pair's contact on people.

    Args:
        team_pair_contact: One row a pair of people of two teams and period.
        parameters: `hanging_share`, `null_draws` and `seed` are used.

    Returns:
        One row for each period and couple of teams in contact; see the header of this file.
    """
    if not team_pair_contact.num_rows:
        return pd.DataFrame(columns=list(COLUMNS))
    keys = ["panel_kind", "panel_start", "team_a", "team_b"]
    frame = team_pair_contact.to_pandas().sort_values([*keys, "side_a_key", "side_b_key"], ignore_index=True)
    grouped = frame.groupby(keys, sort=True)
    group = grouped.ngroup().to_numpy(dtype=np.int64)
    days = frame["contact_days"].to_numpy(dtype=float)
    found = grouped.agg(pair_count=("is_tie", "size"), tie_count=("is_tie", "sum"), contact_days=("contact_days", "sum")).reset_index()
    capacity = {}
    for side in ("a", "b"):
        people = np.unique(frame[f"side_{side}_key"].to_numpy(dtype=np.int64), return_inverse=True)[1].astype(np.int64)
        number, one, two, carriers = concentration(group, people, days)
        found[f"side_{side}_number"], found[f"carriers_{side}_number"] = number, carriers
        found[f"top_one_{side}_ratio"], found[f"top_two_{side}_ratio"] = one, two
        # a team's people stand on either side of couples, so that the panel and the team's name find all of them
        team = _team_members(frame, side)
        found[f"null_top_one_{side}_ratio"], capacity[side] = chance_share(
            group, days, *team, parameters.null_draws, _by_panel(frame, parameters.seed, side)
        )
    found["person_count"] = found["side_a_number"] + found["side_b_number"]
    return _flagged(found, capacity, parameters.hanging_share)[list(COLUMNS)]


def _flagged(found: pd.DataFrame, capacity: dict[str, Ints], hanging_share: float) -> pd.DataFrame:
    able = {side: capacity[side] >= MINIMUM_SIDE for side in capacity}
    one, two = (
        np.logical_or.reduce([able[side] & (found[f"top_{name}_{side}_ratio"].to_numpy() >= hanging_share - 1e-12) for side in able])
        for name in ("one", "two")
    )
    is_little = found["contact_days"].to_numpy() < MINIMUM_DAYS
    is_small = ~is_little & ~two & ~(able["a"] & able["b"])
    reason = np.where(is_little, "too_few", np.where(is_small, "small_team", ""))
    known = reason == ""
    for name, flag in (("is_hanging_on_one", one), ("is_hanging_on_two", two)):
        found[name] = pd.arrays.BooleanArray(flag, ~known)
    found["reason"] = [None if text == "" else str(text) for text in reason]
    return found


def concentration(group: Ints, people: Ints, days: Floats) -> tuple[Ints, Floats, Floats, Ints]:
    """How concentrated each group's days are on people.

    Returns:
        For each group: how many people, the share of the busiest one, of the busiest two, and the fewest people with 80 per cent.
    """
    slot, at = np.unique(group * (people.max() + 1) + people, return_inverse=True)
    held = np.bincount(at, days)
    of = slot // (people.max() + 1)
    order = np.lexsort((-held, of))
    held, of = held[order], of[order]
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    sizes = np.diff(np.append(starts, len(of)))
    total = np.add.reduceat(held, starts)
    summed = np.cumsum(held)
    within = summed - np.repeat(summed[starts] - held[starts], sizes)
    two = within[starts + np.minimum(sizes - 1, 1)]
    # people before those who complete the 80 per cent, and that one
    short = within < CARRIED * np.repeat(total, sizes) - 1e-9
    carriers = np.add.reduceat(short.astype(np.int64), starts) + 1
    return sizes.astype(np.int64), np.asarray(held[starts] / total), np.asarray(two / total), carriers.astype(np.int64)


def _team_members(frame: pd.DataFrame, side: str) -> tuple[Ints, Ints, Floats]:
    """For each row its team's number; for each member of a team, in order of teams, the team's number and the member's degree."""
    parts = [
        frame[["panel_kind", "panel_start", f"team_{each}", f"side_{each}_key", f"side_{each}_degree"]].set_axis(
            ["panel_kind", "panel_start", "team", "person", "degree"], axis=1
        )
        for each in ("a", "b")
    ]
    both = pd.concat(parts, ignore_index=True)
    number = both.groupby(["panel_kind", "panel_start", "team"], sort=True).ngroup()
    members = both.assign(number=number).drop_duplicates(["number", "person"]).sort_values(["number", "person"])
    rows = number[: len(frame)] if side == "a" else number[len(frame) :]
    return np.asarray(rows, dtype=np.int64), np.asarray(members["number"], dtype=np.int64), np.asarray(members["degree"], dtype=np.float64)


def _by_panel(frame: pd.DataFrame, seed: int, side: str) -> Callable[[], Floats]:
    """Draw a number for each row, from a stream a panel: a panel's figures do not depend on which others are computed with it."""
    sizes = frame.groupby(["panel_kind", "panel_start"], sort=True).size()
    streams = [(generator(seed, side, panel), int(size)) for panel, size in sizes.items()]
    return lambda: np.concatenate([stream.random(size) for stream, size in streams])


def chance_share(
    group: Ints, days: Floats, team: Ints, member_team: Ints, degree: Floats, draws: int, uniform: Callable[[], Floats]
) -> tuple[Floats, Ints]:
    """The mean share of the busiest member if each pair's days fell to a member of its team in proportion to degree.

    Args:
        group: Couple of teams of each pair, in order.
        days: Days of contact of each pair.
        team: Number of the team that is drawn from, for each pair.
        member_team: Team of each member, in order.
        degree: Degree of each member.
        draws: How often to draw.
        uniform: Draws a number of [0, 1) for each pair.

    Returns:
        The share, and how many members there are, for each couple of teams.
    """
    first = np.searchsorted(member_team, np.arange(int(member_team.max()) + 2))
    cumulated = np.concatenate([[0.0], np.cumsum(degree)])
    low, high = cumulated[first[team]], cumulated[first[team + 1]]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    size = (first[team[starts] + 1] - first[team[starts]]).astype(np.int64)
    offset = np.cumsum(size) - size
    total = np.add.reduceat(days, starts)
    summed = np.zeros(len(starts))
    for _ in range(draws):
        drawn = np.searchsorted(cumulated, low + uniform() * (high - low), side="right") - 1
        drawn = np.clip(drawn, first[team], first[team + 1] - 1)
        held = np.bincount(offset[group] + drawn - first[team], days, minlength=int(size.sum()))
        summed += np.maximum.reduceat(held, offset) / total
    return summed / draws, size
