"""From outcomes by week to what each design needs: who starts when, in blocks of four weeks, and the organisation's own series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metrics.policy._staggered import MINIMUM_UNITS, NEVER, Cell, cells

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OUTCOMES: Final = {
    "meeting_hours": "meeting_hours",
    "tie_formation": "new_tie_ratio",
    "persistence": "kept_ratio",
    "cross_team": "cross_team_ratio",
}
"""What policies are judged by, and its column of `team_week_outcome`."""

BLOCK_WEEKS: Final = 4
"""Weeks are too few contacts a team: staggered designs compare blocks of four, counted from the policy's first start."""

MINIMUM_BLOCK_WEEKS: Final = 2
"""A block is known where at least so many of its weeks are."""

MINIMUM_NEVER: Final = 5
"""With fewer teams than this that never start, teams that start later serve for comparison too."""


@dataclass(frozen=True, slots=True)
class Start:
    """When a policy began for whom.

    Attributes:
        key: The policy.
        first: The first start.
        teams: Start of each team named; where a row names none, it holds for all other teams, under the empty name.
    """

    key: str
    first: date
    teams: dict[str, date]

    @property
    def is_for_all(self) -> bool:
        """Whether everyone started at once."""
        return set(self.teams) == {""}


def starts(policy: pd.DataFrame) -> list[Start]:
    """The policies in order of their keys; a policy with several rows starts at several times."""
    found = []
    for key, rows in policy.sort_values(["policy_key", "starts_on"]).groupby("policy_key", sort=True):
        teams: dict[str, date] = {}
        for day, listed in zip(pd.to_datetime(rows["starts_on"]).dt.date, rows["teams"], strict=True):
            named = [str(team) for team in listed] if listed is not None else []
            for team in named or [""]:
                teams.setdefault(team, day)
        found.append(Start(str(key), min(teams.values()), teams))
    return found


def people_under(weeks: pd.DataFrame, start: Start) -> int | None:
    """How many people a policy is about: members of the teams that it names, or of the organisation, in their fullest week."""
    named = set(start.teams) - {""}
    teams = weeks[weeks["team"].isin(named) if named and "" not in start.teams else weeks["team"].isna()]
    if teams.empty:
        return None
    return int(teams.groupby("week_start")["member_count"].sum().max())


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def policy_week(day: date) -> date:
    """Monday of the first week that is wholly under a policy that starts on `day`."""
    return _monday(day + timedelta(days=6))


@dataclass(frozen=True, slots=True)
class Blocks:
    """A staggered design.

    Attributes:
        outcome: Teams x blocks; NaN where not known.
        starts: First block under the policy of each team, `NEVER` for none.
        times: Numbers of the blocks, from 1; the policy's first start is at `anchor`.
        anchor: That block.
        treated_count: Teams that start within the observed time.
        compared_count: Teams that never start in it.
        baseline: Mean outcome of the teams that start, before they did.
    """

    outcome: Floats
    starts: Ints
    times: list[int]
    anchor: int
    treated_count: int
    compared_count: int
    baseline: float

    @property
    def is_later_compared(self) -> bool:
        """Whether teams that start later serve for comparison."""
        return self.compared_count < MINIMUM_NEVER

    def cells(self) -> list[Cell]:
        """Every ATT(g, t) of the design."""
        return cells(self.outcome, self.starts, self.times, is_later_compared=self.is_later_compared)


def blocks(team_week_outcome: pd.DataFrame, start: Start, column: str) -> Blocks | str:
    """Lay out a staggered design.

    Args:
        team_week_outcome: Outcomes by team and week.
        start: The policy.
        column: The outcome's column.

    Returns:
        The design, or why there is none: not_observed or too_few_teams.
    """
    rows = team_week_outcome[team_week_outcome["team"].notna()]
    known = rows[rows[column].notna()]
    if known.empty:
        return "not_observed"
    anchor_week = policy_week(start.first)
    weeks = pd.to_datetime(known["week_start"])
    block = np.floor_divide((weeks - pd.Timestamp(anchor_week)).dt.days.to_numpy(np.int64), 7 * BLOCK_WEEKS)
    grouped = known.assign(block=block).groupby(["team", "block"], sort=True)[column].agg(["mean", "size"])
    table = grouped["mean"].where(grouped["size"] >= MINIMUM_BLOCK_WEEKS).unstack("block")
    table = table.reindex(columns=range(int(block.min()), int(block.max()) + 1))
    first = int(table.columns[0])
    # numbered from 1, so that 0 can stand for never
    times = [int(name) - first + 1 for name in table.columns]
    begun = np.full(len(table), NEVER, dtype=np.int64)
    for place, team in enumerate(table.index):
        day = start.teams.get(str(team), start.teams.get(""))
        if day is not None:
            number = (policy_week(day) - anchor_week).days // (7 * BLOCK_WEEKS) - first + 1
            if number <= times[-1]:
                # 1 for teams that started before anything was observed: they take no part
                begun[place] = max(number, 1)
    outcome = table.to_numpy(np.float64)
    before = [outcome[place, : number - 1] for place, number in enumerate(begun) if number > 1]
    values = np.concatenate(before) if before else np.empty(0)
    values = values[np.isfinite(values)]
    treated, compared = int((begun > 1).sum()), int((begun == NEVER).sum())
    if treated < MINIMUM_UNITS or int(((begun == NEVER) | (begun > begun[begun > 1].min())).sum()) < MINIMUM_UNITS:
        return "too_few_teams"
    return Blocks(outcome, begun, times, 1 - first, treated, compared, float(values.mean()) if len(values) else float("nan"))


def series(team_week_outcome: pd.DataFrame, column: str) -> tuple[Ints, Floats, list[date]]:
    """The organisation's own outcome by week, where it is known.

    Returns:
        Week numbers (weeks since the first Monday there is), values, and the Mondays.
    """
    rows = team_week_outcome[team_week_outcome["team"].isna()].sort_values("week_start")
    mondays = [pd.Timestamp(day).date() for day in rows["week_start"]]
    values = rows[column].to_numpy(dtype=np.float64, na_value=np.nan)
    keep = np.flatnonzero(np.isfinite(values))
    numbers = np.array([(mondays[place] - mondays[0]).days // 7 for place in keep], dtype=np.int64)
    return numbers, values[keep], mondays
