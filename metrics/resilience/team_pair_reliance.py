# description: On how few people the contact of two teams rests: the share of its days that the busiest one and two on each side carry,
#   and how
#   many carry 80 per cent, beside what chance among people as busy would give.
# question: Which bridges between teams hang on one or two people?
# grain: panel_kind, panel_start, team_a, team_b
# role: people | person_count
# role: people of team_a | side_a_number
# role: people of team_b | side_b_number
# role: pairs | pair_count
# role: pairs among pair_count | tie_count
# role: inside | contact_days, top_one_a_ratio, top_two_a_ratio, null_top_one_a_ratio, carriers_a_number, top_one_b_ratio, top_two_b_ratio,
#   null_top_one_b_ratio, carriers_b_number
# role: design | null_draw_count
# role: words | is_hanging_on_one, is_hanging_on_two, reason
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
#   proportion to how many people of other teams each is in contact with; empty where there is too little to judge by.
# column: carriers_a_number | count | The fewest people of team_a who together carry 80 per cent.
# column: top_one_b_ratio | ratio | As top_one_a_ratio, for team_b.
# column: top_two_b_ratio | ratio | As top_two_a_ratio, for team_b.
# column: null_top_one_b_ratio | ratio | As null_top_one_a_ratio, for team_b.
# column: carriers_b_number | count | As carriers_a_number, for team_b.
# column: null_draw_count | count | How many draws the null shares are the mean of: `null_draws`, down to ten in a period of very many
#   contacts. A share that varies by .1 from draw to draw is then known to .03.
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
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from metrics.panels import Flags, Floats, codes, flags, floats, generator, integers, number_people
from metrics.panels import Integers as Ints
from metrics.parameters import Parameters

SIDES: Final = ("a", "b")
DRAW_BUDGET: Final = 4_000_000
"""About how many pairs' days are dealt out for one side of one period."""
LEAST_DRAWS: Final = 10
MINIMUM_DAYS: Final = 10
MINIMUM_SIDE: Final = 5
CARRIED: Final = 0.8

COLUMNS: Final = (
    "panel_kind", "panel_start", "team_a", "team_b", "person_count", "pair_count", "tie_count", "contact_days", "side_a_number",
    "side_b_number", "top_one_a_ratio", "top_two_a_ratio", "null_top_one_a_ratio", "carriers_a_number",
    "top_one_b_ratio", "top_two_b_ratio", "null_top_one_b_ratio", "carriers_b_number", "null_draw_count", "is_hanging_on_one",
    "is_hanging_on_two", "reason",
)  # fmt: skip


def team_pair_reliance(team_pair_contact: duckdb.DuckDBPyRelation, parameters: Parameters) -> pa.Table:
    """Concentration of each team pair's contact on people; a period is read at a time.

    Args:
        team_pair_contact: One row a pair of people of two teams and period.
        parameters: `hanging_share`, `null_draws` and `seed` are used.

    Returns:
        One row for each period and couple of teams in contact; see the header of this file.
    """
    parts = []
    for kind, start in team_pair_contact.select("panel_kind", "panel_start").distinct().order("all").fetchall():
        rows = team_pair_contact.filter(f"panel_kind = '{kind}' and panel_start = date '{start}'")
        table = rows.order("team_a, team_b, side_a_key, side_b_key").to_arrow_table()
        parts.append(_panel(table, parameters, generator(parameters.seed, "team_pair_reliance", kind, start)))
    return pa.concat_tables(parts) if parts else pa.table({name: pa.nulls(0) for name in COLUMNS})


def _panel(table: pa.Table, parameters: Parameters, rng: np.random.Generator) -> pa.Table:
    teams, _ = codes(pa.chunked_array([*table["team_a"].chunks, *table["team_b"].chunks], pa.string()))
    team = dict(zip(SIDES, np.split(teams, 2), strict=True))
    people, numbered = number_people(*(integers(table, f"side_{side}_key") for side in SIDES))
    person = dict(zip(SIDES, numbered, strict=True))
    days = floats(table, "contact_days")
    is_first = (np.diff(team["a"], prepend=-1) != 0) | (np.diff(team["b"], prepend=-1) != 0)
    starts, group = np.flatnonzero(is_first), np.cumsum(is_first) - 1
    held = np.add.reduceat(days, starts)
    is_much = held >= MINIMUM_DAYS
    drawn = is_much[group]
    couple = (np.cumsum(is_much) - 1)[group[drawn]]
    draws = max(min(parameters.null_draws, LEAST_DRAWS), min(parameters.null_draws, DRAW_BUDGET // max(int(drawn.sum()), 1)))
    found: dict[str, Any] = {
        "panel_kind": table["panel_kind"].take(starts), "panel_start": table["panel_start"].take(starts),
        "team_a": table["team_a"].take(starts), "team_b": table["team_b"].take(starts),
        "pair_count": np.diff(starts, append=len(days)), "tie_count": np.add.reduceat(flags(table, "is_tie").astype(np.int64), starts),
        "contact_days": held.astype(np.int64),
    }  # fmt: skip
    members = _members(team, person, {side: floats(table, f"side_{side}_degree") for side in SIDES}, len(people))
    capacity = {}
    for side in SIDES:
        number, one, two, carriers = concentration(group, person[side], days)
        found |= {f"side_{side}_number": number, f"carriers_{side}_number": carriers}
        found |= {f"top_one_{side}_ratio": one, f"top_two_{side}_ratio": two}
        null, size = np.full(len(starts), np.nan), np.zeros(len(starts), dtype=np.int64)
        if is_much.any():
            null[is_much], size[is_much] = chance_share(
                couple, days[drawn], team[side][drawn], *members, draws, lambda: rng.random(len(couple))
            )
        found[f"null_top_one_{side}_ratio"], capacity[side] = pa.array(null, mask=np.isnan(null)), size
    found["person_count"] = found["side_a_number"] + found["side_b_number"]
    found["null_draw_count"] = pa.array(np.full(len(starts), draws), mask=~is_much)
    return pa.table(found | _flags(found, is_much, capacity, parameters)).select(COLUMNS)


def _flags(found: dict[str, Any], is_much: Flags, capacity: dict[str, Ints], parameters: Parameters) -> dict[str, pa.Array]:
    able = {side: capacity[side] >= MINIMUM_SIDE for side in SIDES}
    one, two = (
        np.logical_or.reduce([able[side] & (found[f"top_{name}_{side}_ratio"] >= parameters.hanging_share - 1e-12) for side in SIDES])
        for name in ("one", "two")
    )
    is_small = is_much & ~two & ~(able["a"] & able["b"])
    is_known = is_much & ~is_small
    reason = np.where(is_small, "small_team", "too_few").astype(object)
    return {
        "is_hanging_on_one": pa.array(one, mask=~is_known), "is_hanging_on_two": pa.array(two, mask=~is_known),
        "reason": pa.array(reason, pa.string(), mask=is_known),
    }  # fmt: skip


def _members(team: dict[str, Ints], person: dict[str, Ints], degree: dict[str, Floats], people: int) -> tuple[Ints, Floats]:
    """Every member's team, in order, and degree. A team's people stand on either side of couples: both are looked through."""
    code = np.concatenate([team[side] * people + person[side] for side in SIDES])
    member, first = np.unique(code, return_index=True)
    return member // people, np.concatenate([degree[side] for side in SIDES])[first]


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
