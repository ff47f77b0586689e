"""Three organisations a seed, of the sandbox's own making, taken through the events file into built tables.

They are what the sandbox serves (`test_ways.py` compares the tables that both ways give), in three settings, since one organisation
cannot hold every truth at once:

default: Effects as in every sandbox: four kinds of media in ten mixes, each with its hazard ratio, others for ties across teams and
    with people outside; a policy for everyone that takes a fifth of the meetings. What adds up in the planted hazard is what
    `medium_hazard` (media used) models, so that its ratios are the planted ones.
alike: Every tie uses one kind of medium and ends at that kind's rate, across teams or not, inside or outside: then a
    half-life, a survival and a share across teams have a truth that is one number, and no mean over unlike ties. Nobody changes
    team, for the share across teams is planted at a tie's birth. Nothing happens on the days that two made-up policies name.
apart: No medium matters and nothing else does. Ties stay within teams, so that what a policy does to one team does nothing to
    those it is compared with, as the design of `policy_effect` supposes; teams take it up one after another.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import pandas as pd
from worlds import tables

from connectors import events_file
from connectors.pseudonyms import Pseudonymiser
from connectors.sandbox import Organisation, World, make, write_events
from pipelines.build import build
from pipelines.catalog import TableSpec
from pipelines.settings import Settings, load_declarations
from pipelines.warehouse import Warehouse

KEY: Final = b"a key for tests that has 32 bytes at least"
# large enough for teams not to run out of people to meet, and over before Christmas, which is an effect of its own
_SHARED: Final[dict[str, Any]] = {"people": 160, "days": 350, "formation_rate": 0.15, "newcomer_ties": 5.0}


def default(seed: int) -> World:
    """The effects of every sandbox."""
    return World(**_SHARED, seed=seed)


def alike(seed: int) -> World:
    """One kind of medium a tie, nothing else matters, no policy."""
    return World(
        **_SHARED,
        seed=seed,
        mixes={"channel": 0.3, "email": 0.25, "chat": 0.25, "meeting": 0.2},
        external_mixes={"channel": 0.1, "email": 0.6, "chat": 0.1, "meeting": 0.2},
        weekly_hazard=math.log(2) / 7,
        cross_team_effect=0.0,
        external_effect=0.0,
        mover_share=0.0,
        policy_day=None,
    )


def apart(seed: int) -> World:
    """No medium matters, teams keep to themselves and take up the policy one after another."""
    return World(
        **_SHARED,
        seed=seed,
        medium_effects={},
        cross_team_effect=0.0,
        external_effect=0.0,
        cross_team_share=0.0,
        policy_day=112,
        policy_staggered=True,
    )


WORLDS: Final[Mapping[str, Callable[[int], World]]] = {"default": default, "alike": alike, "apart": apart}


@dataclass(frozen=True)
class Society:
    """An organisation and the tables that were built from what passed in it."""

    organisation: Organisation
    warehouse: Warehouse

    @property
    def world(self) -> World:
        """What it was made from."""
        return self.organisation.world

    def table(self, name: str) -> pd.DataFrame:
        """A table of metrics."""
        return self.warehouse.connection.sql(f"select * from metrics.{name}").df()


def placebo(organisation: Organisation) -> list[dict[str, Any]]:
    """Two policies that are declared and change nothing: one for everyone, one that teams take up by two and two."""
    start, teams = organisation.world.start, organisation.roster.teams
    policies = [{"key": "nothing_for_all", "name": "Nothing", "starts_on": start + timedelta(days=196), "teams": []}]
    for step in range((len(teams) - 1) // 2):
        day = start + timedelta(days=112 + 28 * step)
        policies.append({"key": "nothing_by_team", "name": "Nothing", "starts_on": day, "teams": teams[2 * step : 2 * step + 2]})
    return policies


def built(organisation: Organisation, only: Iterable[str], policies: list[dict[str, Any]] | None = None) -> Society:
    """Store what passed in an organisation, through the events file, and build the tables named with all that they read.

    Args:
        organisation: The organisation.
        only: Names of metrics.
        policies: What settings declare in place of the organisation's own policies.
    """
    pseudonyms = Pseudonymiser(KEY)
    given = organisation.settings()
    if policies is not None:
        given["policies"] = policies
    # no verdict is about the networks that nulls are drawn from, and they are what takes long
    given["measure"]["null_draws"] = 5
    settings = Settings(**given)
    warehouse = Warehouse(None)
    # seeds run side by side: threads within one would only wait for each other
    warehouse.run("set threads = 1")
    with tempfile.TemporaryDirectory() as folder:
        events, people = write_events(organisation, Path(folder))
        for batch in events_file.read(events, pseudonyms, people=people):
            warehouse.store(batch)
        build(warehouse, settings.measure, load_declarations(settings, Path(folder), pseudonyms), catalog=_catalog(tuple(only)))
    return Society(organisation, warehouse)


@cache
def _catalog(only: tuple[str, ...]) -> dict[str, TableSpec]:
    return tables(only)


def society(name: str, seed: int, only: Iterable[str]) -> Society:
    """One of the three organisations of a seed."""
    organisation = make(WORLDS[name](seed))
    return built(organisation, only, placebo(organisation) if name == "alike" else None)
