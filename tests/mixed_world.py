"""A made-up organisation that uses every kind of contact, for comparing two ways to the same tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from worlds import SOURCE, event, person

from connectors.records import Batch, table

START = date(2025, 1, 6)
TEAMS = ("Advice", "Design", "Finance", "Legal")
MEDIA = (
    "email",
    "slack_dm",
    "slack_group_dm",
    "slack_channel",
    "teams_channel",
    "meeting_online",
    "meeting_in_person",
    "call",
    "slack_huddle",
)
OUTSIDE, BOT = 7001, 9001


def mixed(seed: int = 1, people: int = 24, days: int = 150, count: int = 1_500) -> Batch:
    """Threads that last for days, reactions, mentions, copies, standing meetings, mass mail, bots, aliases, moves, leavers, a gap."""
    random = np.random.default_rng(seed)
    accounts = [person(number, is_active=True) for number in range(1, people + 1)]
    accounts[1] |= {"alias_ids": [f"{people:016x}{0:016x}"]}  # the last account is the second person's too
    accounts += [person(people + number, domain_key=OUTSIDE) for number in (1, 2, 3)]
    accounts.append({"source": SOURCE, "account_key": BOT, "kind": "bot"})
    everyone = [row["account_key"] for row in accounts]
    rows: list[dict[str, Any]] = []
    threads: list[tuple[int, datetime, str]] = []
    for key in range(1, count + 1):
        # everyone is nearest to a few, so that pairs recur and become ties
        sender = int(random.integers(1, people + 1))
        near = [(sender + step - 1) % people + 1 for step in (1, 2, 5)]
        medium = str(random.choice(MEDIA))
        others = int(random.choice([1, 2, 4, 30], p=[0.55, 0.3, 0.14, 0.01])) if medium != "call" else 1
        recipients = sorted({int(random.choice(near)) if random.random() < 0.8 else int(random.choice(everyone)) for _ in range(others)})
        moment = _moment(random, days)
        parts = [{"account_key": number, "evidence": _evidence(random, medium)} for number in recipients if number != sender]
        if medium.startswith("meeting") or medium in ("slack_huddle", "call"):
            parts = [{"account_key": number, "evidence": "co_present"} for number in sorted({sender, *recipients})]
        if medium.endswith("channel") and random.random() < 0.5:
            parts += [{"account_key": int(number), "evidence": "reacted"} for number in random.choice(near, 2, replace=False)]
        fields: dict[str, Any] = {"interaction_key": key, "space_key": int(random.integers(1, 9)), "participants": parts}
        if medium.endswith("channel") and threads and random.random() < 0.6:
            root, began, medium = threads[int(random.integers(max(0, len(threads) - 12), len(threads)))]
            moment = began + timedelta(hours=float(random.exponential(30)))
            fields["thread_key"] = root
        elif medium.endswith("channel"):
            threads.append((key, moment, medium))
            fields["thread_key"] = key if random.random() < 0.5 else None
        if parts and parts[0]["evidence"] == "co_present":
            fields["minutes"] = float(random.choice([15, 30, 60]))
        rows.append(
            event(moment, BOT if random.random() < 0.02 else sender, recipients, medium, **fields)
            | {"recipient_count": 30 if others == 30 else len(recipients)}
            | ({"exclusion": "cancelled"} if random.random() < 0.02 else {})
        )
    spaces = [{"source": SOURCE, "space_key": key, "kind": "channel", "is_standing": key < 3} for key in range(1, 9)]
    return Batch(
        SOURCE,
        "events",
        {
            "account": table("account", accounts),
            "membership": table("membership", _places(people)),
            "space": table("space", spaces),
            "interaction": table("interaction", rows),
        },
    )


def _moment(random: np.random.Generator, days: int) -> datetime:
    gap = range(days // 2, days // 2 + 12)
    day = next(day for day in iter(lambda: int(random.integers(days)), None) if day not in gap)
    return datetime(START.year, START.month, START.day, tzinfo=UTC) + timedelta(days=day, seconds=int(random.integers(86_400)))


def _evidence(random: np.random.Generator, medium: str) -> str:
    if medium == "email":
        return "copied" if random.random() < 0.3 else "addressed"
    return "mentioned" if medium.endswith("channel") else "addressed"


def _places(people: int) -> list[dict[str, Any]]:
    """Teams, with managers, two who moved, one who left and one who joined late."""
    rows: list[dict[str, Any]] = [
        {"source": SOURCE, "account_key": number, "observed_on": START, "team": TEAMS[number % 4], "manager_key": number // 4 + 1}
        for number in range(1, people + 1)
    ]
    rows[4]["left_on"] = START + timedelta(days=80)
    rows[6]["joined_on"] = START + timedelta(days=20)
    rows += [{**rows[place], "observed_on": START + timedelta(days=60), "team": TEAMS[0]} for place in (2, 9)]
    return rows
