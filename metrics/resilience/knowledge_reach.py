# description: How far and how fast what one person knows could travel from team to team: along contacts in the order of their days, one
#   hop a
#   day, the share of the other team that could have heard within `reach_days`, and the median days until then.
# question: How long does it take for something known in one team to reach another?
# grain: from_team, to_team
# role: people of from_team | from_person_count
# role: people of to_team | to_person_count
# role: design | within_days, start_number
# role: volume | source_number
# role: estimate over from_person_count | reached_ratio, median_days, reached_median_days
# role: interval of reached_ratio | lower_ratio, upper_ratio
# role: words | reason
# column: from_team | text | The team in which one person knows something; `any` for all people of the organisation.
# column: to_team | text | The team that is to hear of it; `any` for all people.
# column: within_days | days | Within how many days (`reach_days`); the first day counts as 1.
# column: start_number | count | From how many starting days, spread over the observed time, it was followed.
# column: from_person_count | count | People of from_team on those days, on average, rounded.
# column: to_person_count | count | People of to_team on those days, on average, rounded.
# column: source_number | count | How many people it was started from, over all starting days: everyone, or a sample in a large
#   organisation.
# column: reached_ratio | ratio | Of all couples (one who knows, one of the other team), the share in which it arrived in time.
# column: lower_ratio | ratio | Lower bound of its interval over the starting days.
# column: upper_ratio | ratio | Upper bound.
# column: median_days | days | Days by which it had reached half of all couples; empty where half was not reached in time (censored, not
#   fast or slow).
# column: reached_median_days | days | Median days among the couples that were reached; says little where few are.
# column: reason | text | Why the share is empty: not_observed (no observed stretch is as long as `reach_days`) or too_few (no couple to
#   follow).
# unique: from_team, to_team
# not_null: from_team, to_team, within_days, start_number
# assert: reached_ratio between 0 and 1
# assert: lower_ratio <= reached_ratio + 1e-9 and reached_ratio <= upper_ratio + 1e-9
# assert: median_days <= within_days and reached_median_days <= within_days
# assert: (reached_ratio is null) = (reason is not null)
# caveat: What could travel, not what did: a contact is a chance to pass something on, and most are about something else.
# caveat: One hop a day is careful: within a day word can go further.
# caveat: Paths through people of other organisations, and talk that no medium records, are not seen; small teams change a lot with one
#   person.
# caveat: In an organisation of more than 100 teams only the 100 with most people are shown one by one.
# reference: Holme (2005), Network reachability of real-world contact sequences, Phys. Rev. E 71, 046119.
# reference: Kossinets, Kleinberg, Watts (2008), The structure of information pathways in a social communication network, KDD 2008.
"""Earliest-arrival paths between teams."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from metrics.parameters import Parameters
from metrics.resilience._reach import ContactDays, bits, pass_on, seeded

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SHOWN_TEAMS: Final = 100
EVERYONE: Final = 1500
"""Up to so many people everyone is a source; beyond, `SAMPLED` of all and `SAMPLED_A_TEAM` of each shown team."""
SAMPLED: Final = 256
SAMPLED_A_TEAM: Final = 4

COLUMNS: Final = (
    "from_team", "to_team", "within_days", "start_number", "from_person_count", "to_person_count", "source_number", "reached_ratio",
    "lower_ratio", "upper_ratio", "median_days", "reached_median_days", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class _Arrivals:
    """Counts from one starting day.

    Attributes:
        couples: from x to: how many couples of a source and another person there are.
        arrived: from x to x day: how many of them were reached first on that day.
        sources: How many sources of each team (or of any).
        members: How many people of each team (or of any).
    """

    couples: Floats
    arrived: Floats
    sources: Floats
    members: Floats


def knowledge_reach(
    person_contact_day: duckdb.DuckDBPyRelation,
    membership: pa.Table,
    person: pa.Table,
    observed_stretch: pa.Table,
    parameters: Parameters,
) -> pd.DataFrame:
    """Share reached and days until then, from team to team.

    Args:
        person_contact_day: Who could pass on to whom on which day.
        membership: Who was in which team when.
        person: Who is internal, who joined and left when.
        observed_stretch: When days were observed.
        parameters: `reach_days`, `reach_start_count`, `confidence` and `seed` are used.

    Returns:
        One row for each ordered couple of teams (and one for the whole organisation); see the header of this file.
    """
    rng = np.random.default_rng(parameters.seed)
    starts = _starts(observed_stretch.to_pandas(), parameters, rng)
    internal = person.to_pandas()
    internal = internal[internal["is_internal"].astype(bool)].sort_values("person_key", ignore_index=True)
    places = membership.select(["person_key", "team", "valid_from", "valid_to"]).to_pandas().dropna(subset=["team"])
    base = {"within_days": float(parameters.reach_days), "start_number": len(starts)}
    if not len(starts):
        return pd.DataFrame([{"from_team": "any", "to_team": "any", **base, "reason": "not_observed"}], columns=list(COLUMNS))
    keys = internal["person_key"].to_numpy(dtype=np.int64)
    teams = [_teams_on(int(start), internal, places) for start in starts]
    shown = _shown([team for team, _ in teams])
    found = []
    for start, (team, is_here) in zip(starts.tolist(), teams, strict=True):
        contacts = ContactDays.read(person_contact_day, start, start + parameters.reach_days - 1, keys)
        found.append(arrivals(contacts, team_codes(team, shown), is_here, start, parameters.reach_days, rng))
    rows = _rows(found, [*shown, "any"], base, parameters.confidence)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _starts(stretches: pd.DataFrame, parameters: Parameters, rng: np.random.Generator) -> Ints:
    """Starting days, evenly spread over the days from which the whole horizon was observed, from a drawn offset."""
    eligible: list[Ints] = []
    for first, last in stretches.sort_values("date_from")[["date_from", "date_to"]].itertuples(index=False):
        low, high = (np.datetime64(pd.Timestamp(value), "D").astype(np.int64) for value in (first, last))
        eligible.append(np.arange(low, high - parameters.reach_days + 2, dtype=np.int64))
    days = np.concatenate(eligible) if eligible else np.empty(0, dtype=np.int64)
    count = min(parameters.reach_start_count, len(days))
    return np.unique(days[((np.arange(count) + rng.random()) * len(days) / max(count, 1)).astype(np.int64)])


def _teams_on(day: int, people: pd.DataFrame, places: pd.DataFrame) -> tuple[NDArray[Any], Flags]:
    """Each person's team on the day (None if unknown), and whether they were with the organisation then."""
    moment = np.datetime64(day, "D").astype(object)
    held = places[(places["valid_from"] <= moment) & (places["valid_to"] > moment)]
    team = people["person_key"].map(dict(zip(held["person_key"], held["team"], strict=True)))
    joined, left = people["joined_on"], people["left_on"]
    is_here = (joined.isna() | (joined <= moment)) & (left.isna() | (left >= moment))
    return team.astype(object).where(team.notna(), None).to_numpy(dtype=object), is_here.to_numpy(dtype=bool)


def _shown(teams: list[NDArray[Any]]) -> list[str]:
    """The teams with most people over all starting days, by name."""
    counted = pd.Series(np.concatenate(teams)).dropna().value_counts()
    order = sorted(counted.index, key=lambda name: (-int(counted[name]), str(name)))
    return sorted(str(name) for name in order[:SHOWN_TEAMS])


def team_codes(team: NDArray[Any], shown: list[str]) -> Ints:
    """The position of each person's team among the shown ones, -1 for others."""
    position = {name: number for number, name in enumerate(shown)}
    return np.array([position.get(name, -1) for name in team], dtype=np.int64)


def arrivals(contacts: ContactDays, team: Ints, is_here: Flags, start: int, horizon: int, rng: np.random.Generator) -> _Arrivals:
    """Follow what every source knows on the morning of `start` through the contacts of `horizon` days.

    Args:
        contacts: Contacts of all days.
        team: Each person's team, -1 for none.
        is_here: Who is there to know or hear.
        start: First day, in days since 1970.
        horizon: How many days.
        rng: Draws sources where there are too many people.
    """
    groups = int(team.max(initial=-1)) + 1
    sources, is_general = _sources(team, is_here, rng)
    # sources in order of their team, so that a team's bits are next to each other
    order = np.argsort(team[sources], kind="stable")
    sources, is_general = sources[order], is_general[order]
    member = np.bincount(team[is_here & (team >= 0)], minlength=groups).astype(float)
    started = np.bincount(team[sources][team[sources] >= 0], minlength=groups).astype(float)
    couples = np.zeros((groups + 1, groups + 1))
    couples[:groups, :groups] = np.outer(started, member) - np.diag(started)
    couples[groups, groups] = is_general.sum() * max(is_here.sum() - 1, 0)
    arrived = np.zeros((groups + 1, groups + 1, horizon))
    state = seeded(len(team), sources)
    edges = np.searchsorted(team[sources], np.arange(groups))
    known = int((team[sources] < 0).sum())
    for day, source, target in contacts.between(start, start + horizon - 1).each_day():
        learners, fresh = pass_on(state, source, target)
        some = fresh.any(axis=1) & is_here[learners]
        learners, heard = learners[some], bits(fresh[some], len(sources))
        if not len(learners):
            continue
        arrived[groups, groups, day - start] = heard[:, is_general].sum()
        if known < len(sources):
            by_team = np.zeros((len(learners), groups))
            present = started > 0
            by_team[:, present] = np.add.reduceat(heard, edges[present], axis=1, dtype=np.int64)
            placed = team[learners] >= 0
            summed = np.zeros((groups, groups))
            np.add.at(summed, team[learners[placed]], by_team[placed])
            arrived[:groups, :groups, day - start] = summed.T
    return _Arrivals(couples, arrived, np.append(started, is_general.sum()), np.append(member, is_here.sum()))


def _sources(team: Ints, is_here: Flags, rng: np.random.Generator) -> tuple[Ints, Flags]:
    """Who it is started from, and which of them speak for the organisation as a whole."""
    people = np.flatnonzero(is_here)
    if len(people) <= EVERYONE:
        return people, np.ones(len(people), dtype=bool)
    general = rng.choice(people, SAMPLED, replace=False)
    shuffled = rng.permutation(people[team[people] >= 0])
    by_team = shuffled[np.argsort(team[shuffled], kind="stable")]
    rank = np.arange(len(by_team)) - np.searchsorted(team[by_team], team[by_team])
    sources = np.union1d(general, by_team[rank < SAMPLED_A_TEAM])
    return sources, np.isin(sources, general)


def _rows(found: list[_Arrivals], names: list[str], base: dict[str, Any], confidence: float) -> list[dict[str, Any]]:
    couples = np.stack([each.couples for each in found])
    arrived = np.stack([each.arrived for each in found])
    sources, members = (np.stack([getattr(each, name) for each in found]) for name in ("sources", "members"))
    total, reached = couples.sum(axis=0), arrived.sum(axis=(0, 3))
    by_day = np.cumsum(arrived.sum(axis=0), axis=2)
    rows = []
    last = len(names) - 1
    for i, j in [*((i, j) for i in range(last) for j in range(last) if i != j), (last, last)]:
        row = {
            "from_team": names[i], "to_team": names[j], **base, "from_person_count": round(members[:, i].mean()),
            "to_person_count": round(members[:, j].mean()), "source_number": int(sources[:, i].sum()),
        }  # fmt: skip
        if not total[i, j]:
            rows.append(row | {"reason": "too_few"})
            continue
        ratio = float(reached[i, j] / total[i, j])
        lower, upper = _interval(arrived[:, i, j].sum(axis=1), couples[:, i, j], ratio, confidence)
        rows.append(
            row
            | {"reached_ratio": ratio, "lower_ratio": lower, "upper_ratio": upper}
            | {"median_days": _day_of(by_day[i, j], total[i, j] / 2), "reached_median_days": _day_of(by_day[i, j], reached[i, j] / 2)}
            | {"reason": None}
        )
    return rows


def _interval(reached: Floats, couples: Floats, ratio: float, confidence: float) -> tuple[float | None, float | None]:
    """Interval of the ratio over starting days (a ratio estimator with Student's t); empty for fewer than two."""
    count = int((couples > 0).sum())
    if count < 2:
        return None, None
    variance = ((reached - ratio * couples) ** 2).sum() * count / (count - 1) / couples.sum() ** 2
    half = _quantile(confidence, count - 1) * float(np.sqrt(variance))
    return max(0.0, ratio - half), min(1.0, ratio + half)


@cache
def _quantile(confidence: float, freedom: int) -> float:
    return float(stats.t.ppf(0.5 + confidence / 2, freedom))


def _day_of(cumulated: Floats, needed: float) -> float | None:
    """The first day (1 is the first) by which `needed` couples were reached; None if that never was."""
    return float(np.searchsorted(cumulated, needed) + 1) if 0 < needed <= cumulated[-1] else None
