"""A small made-up organisation for the report, exports and notebooks: teams, media, clients, a policy, newcomers, leavers, a gap."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from releases import HOSTILE
from worlds import SOURCE, batch, built, event, person

from connectors.records import Batch
from metrics.parameters import Parameters
from pipelines.declarations import Declarations
from pipelines.publish import publish

START = date(2025, 1, 6)
TEAMS = ("Advice", "Design", "Finance", "Legal", "Operations", "People", "Platform", "Research", "Sales", "Support")
MEDIA = ("slack_dm", "email", "teams_chat", "meeting_online", "meeting_in_person")
KEPT = {"slack_dm": 70.0, "email": 110.0, "teams_chat": 45.0, "meeting_online": 90.0, "meeting_in_person": 200.0}
"""Mean life of a tie in days, by the medium in which it begins."""
CLIENTS = (
    ("acme", "Acme", "client", 7001),
    ("borealis", "Borealis & Sons", "supplier", 7002),
    ("city", "City council", "public_body", 7003),
)


def organisation(
    people: int = 110, days: int = 420, seed: int = 1, names: tuple[str, ...] = TEAMS, small: str | None = "Archive"
) -> tuple[Batch, Declarations]:
    """Ties that begin at random, mostly within teams, and live as long as their medium lets them; one team of three people."""
    random = np.random.default_rng(seed)
    team = {number: names[(number - 1) % len(names)] for number in range(1, people + 1)}
    if small:
        team |= dict.fromkeys((people - 2, people - 1, people), small)
    outside = {number: CLIENTS[number % 3] for number in range(people + 1, people + 25)}
    records = [person(number, domain_key=client[3]) for number, client in outside.items()]
    records += [person(number, domain_key=7000) for number in team]
    everyone = np.array([*team, *outside])
    of_team = {name: np.array([number for number, its in team.items() if its == name]) for name in set(team.values())}
    silent = set(range(60, 66))
    events: list[dict[str, Any]] = []
    for _ in range(people * days // 22):
        first = int(random.integers(1, people + 1))
        pool = of_team[team[first]] if random.random() < 0.55 else everyone
        second = int(random.choice(pool))
        if first == second:
            continue
        medium = MEDIA[int(random.choice(len(MEDIA), p=[0.3, 0.25, 0.2, 0.15, 0.1]))]
        begins = int(random.integers(-60, days))
        lives = random.exponential(KEPT[medium])
        day = float(begins)
        while day < min(begins + lives, days):
            if day >= 0 and int(day) not in silent and (START + timedelta(days=int(day))).weekday() < 5:
                moment = datetime(START.year, START.month, START.day, 9, tzinfo=UTC) + timedelta(
                    days=int(day), minutes=int(random.integers(480))
                )
                one, other = (first, second) if random.random() < 0.6 else (second, first)
                used = medium if random.random() < 0.85 else MEDIA[int(random.integers(len(MEDIA)))]
                events.append(event(moment, one, [other], used, minutes=30.0 if used.startswith("meeting") else None))
            day += random.exponential(6.0) + 0.5
    events.sort(key=lambda row: row["occurred_at"])
    declarations = Declarations(
        organisations=[("own", "Harbour & Hill", "own"), *((key, name, kind) for key, name, kind, _ in CLIENTS)],
        domains=[(7000, "own"), *((domain, key) for key, _, _, domain in CLIENTS)],
        policies=[("quiet_mornings", "Quiet mornings", date(2025, 6, 2), [names[0], names[1], names[2]], "No meetings before noon.")],
        relationships=[
            ("advice_design", "Advice with Design", names[0], "team", names[1], "team", 3, 30),
            ("sales_acme", "Sales with Acme", names[8 % len(names)], "team", "acme", "organisation", 2, 30),
            ("legal_city", "Legal with the city", names[3], "team", "city", "organisation", 2, 30),
        ],
    )
    made = batch(events, records, team)
    assert made.source == SOURCE
    return made, declarations


@cache
def published_organisation() -> Path:
    """The published file of an organisation two of whose teams have names that a browser or a spreadsheet would run.

    It is built once, whatever tests ask for it: the build is most of what they cost. Nobody may write to it.
    """
    home = Path(tempfile.mkdtemp(prefix="perdure-test-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    made, declarations = organisation(people=80, days=330, names=(*HOSTILE, *TEAMS[2:]))
    with built(made, declarations=declarations) as warehouse:
        publish(warehouse, home / "analytics.duckdb", Parameters())
    return home / "analytics.duckdb"
