"""Any events file as an organisation that the sandbox can serve: real data through the real APIs' shapes.

Nothing is planted in it, so it has no ties and its truth is empty. People outside are those of other domains than the most
frequent one, or those whom a people file gives another organisation.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from connectors.errors import UserError
from connectors.records import EVIDENCE, MEDIA
from connectors.sandbox import log as l
from connectors.sandbox import names, ties
from connectors.sandbox.calendar import DAY, Calendar
from connectors.sandbox.channels import GENERAL, Channels
from connectors.sandbox.contacts import ContactDays
from connectors.sandbox.log import MEDIUM, PROOF, Part, assembled
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.people import NEVER, Ints, Person, Place, Roster
from connectors.sandbox.world import World

_MEETINGS: Final = ("slack_huddle", "call", "meeting_online", "meeting_in_person", "meeting_hybrid", "meeting_unknown")
_CHANNELS: Final = {"slack_channel": l.SLACK_CHANNEL, "teams_channel": l.TEAMS_CHANNEL}


def organisation_of(events: Path, people: Path | None = None) -> Organisation:
    """Read an events file, and a people file beside it, as an organisation.

    Args:
        events: Parquet or CSV with the columns of `connectors.events_file`.
        people: CSV of people.

    Raises:
        UserError: If a file is missing or lacks a column.
    """
    frame = _rows(events)
    listed = _people_rows(people)
    everyone = _everyone(frame, listed)
    number = {identifier: place for place, (identifier, *_) in enumerate(everyone)}
    moments = frame["at"].astype("int64").to_numpy()
    first = datetime.fromtimestamp(int(moments.min()) / 1e6, UTC).date()
    days = int((moments.max() - _midnight(first)) // DAY) + 1
    own = sum(person.kind == "own" for _, _, person in everyone)
    world = World(people=max(10, own), days=days, start=first, policy_day=None, time_zone="UTC")
    roster = _roster([person for *_, person in everyone], own)
    calendar = Calendar.of(world, roster, np.random.default_rng(0))
    parts, reactions, members = _part(frame, number)
    log = assembled([parts], reactions, members)
    empty = np.zeros(0, dtype=np.int64)
    nothing = ContactDays(empty, empty, empty)
    planted = ties.none_at_all()
    return Organisation(world, roster, calendar, Channels(roster), planted, np.full(1, NEVER), log, nothing, nothing, 0, 0)


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY


def _rows(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path.name}: no such file")
    frame = pq.read_table(path).to_pandas() if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
    for column in ("at", "sender"):
        if column not in frame:
            raise UserError(f"{path.name}: lacks the column {column}")
    if "recipients" not in frame:
        if "recipient" not in frame:
            raise UserError(f"{path.name}: lacks the column recipient (or a list, recipients)")
        frame["recipients"] = [[value] for value in frame["recipient"]]
    frame["recipients"] = [value.split(";") if isinstance(value, str) else list(value) for value in frame["recipients"]]
    seconds = pd.to_numeric(frame["at"], errors="coerce") if not pd.api.types.is_datetime64_any_dtype(frame["at"]) else None
    if seconds is not None and seconds.notna().all():
        moments = pd.to_datetime(seconds, unit="s", utc=True)
    else:
        moments = pd.to_datetime(frame["at"], utc=True)
    frame["at"] = moments.dt.tz_localize(None).astype("datetime64[us]")
    frame["medium"] = frame["medium"].fillna("email") if "medium" in frame else "email"
    together = np.where(frame["medium"].isin(_MEETINGS), "co_present", np.where(frame["medium"].isin(_CHANNELS), "mentioned", "addressed"))
    frame["evidence"] = frame["evidence"].fillna(pd.Series(together)) if "evidence" in frame else together
    frame["minutes"] = pd.to_numeric(frame["minutes"]) if "minutes" in frame else np.nan
    if "interaction_id" not in frame:
        frame["interaction_id"] = np.arange(len(frame))
    good = frame["medium"].isin(MEDIA) & frame["evidence"].isin(EVIDENCE) & frame["sender"].notna()
    found: pd.DataFrame = frame[good].reset_index(drop=True)
    if found.empty:
        raise UserError(f"{path.name}: holds no event")
    return found


def _people_rows(path: Path | None) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    if path is not None:
        for row in pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records"):
            found.setdefault(str(row["person"]), []).append({str(name): str(value) for name, value in row.items()})
    return found


def _everyone(frame: pd.DataFrame, listed: dict[str, list[dict[str, str]]]) -> list[tuple[str, str, Person]]:
    """Return identifier, address and person of everyone, own people first."""
    identifiers = list(dict.fromkeys([*listed, *frame["sender"].astype(str), *(str(one) for row in frame["recipients"] for one in row)]))
    addresses = [name if "@" in name else f"{name}@{names.OWN_DOMAIN}" for name in identifiers]
    domains = [address.rpartition("@")[2] for address in addresses]
    home = Counter(domains).most_common(1)[0][0]
    home_name = next((rows[0].get("organisation", "") for name, rows in listed.items() if name.endswith(f"@{home}")), "")
    order = sorted(range(len(identifiers)), key=lambda place: (domains[place] != home, place))
    places = {identifiers[place]: position for position, place in enumerate(order)}
    everyone = []
    for position, place in enumerate(order):
        rows = listed.get(identifiers[place], [])
        is_own = domains[place] == home
        held = tuple(
            Place(
                row.get("team") or "Everyone",
                places.get(row.get("manager", "")),
                _day(row.get("valid_from")) or date(1970, 1, 1),
                _day(row.get("valid_to")),
            )
            for row in rows
        )
        about: dict[str, Any] = rows[0] if rows else {}
        person = Person(
            number=position,
            name=f"{names.FIRST_NAMES[position % 50]} {names.SURNAMES[position // 50 % 50]}",
            address=addresses[place],
            aliases=(),
            organisation=about.get("organisation") or (home_name or names.OWN_NAME if is_own else domains[place]),
            kind="own" if is_own else "unknown",
            office=about.get("office") or None,
            time_zone="UTC",
            places=(held or (Place("Everyone", None, date(1970, 1, 1), None),)) if is_own else (),
            joined_on=_day(about.get("joined_on")),
            left_on=_day(about.get("left_on")),
        )
        everyone.append((identifiers[place], addresses[place], person))
    return everyone


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def _roster(people: list[Person], own: int) -> Roster:
    count = len(people)
    zeros, nobody = np.zeros(count, dtype=np.int64), np.full(count, -1)
    teams = tuple(dict.fromkeys(place.team for person in people for place in person.places)) or ("Everyone",)
    team = np.array([teams.index(person.places[-1].team) if person.places else -1 for person in people])
    return Roster(
        own=own, team=team, team_after=team, move_day=np.full(count, NEVER), manager=nobody, manager_after=nobody, office=zeros,
        outside=nobody, joined=np.full(count, -NEVER), left=np.full(count, NEVER), affinity=nobody, keys=None, facing=np.ones(count),
        teams=teams, affinities=(), people=people,
    )  # fmt: skip


def _part(frame: pd.DataFrame, number: dict[str, int]) -> tuple[Part, tuple[Ints, Ints, Ints], dict[int, tuple[int, ...]]]:
    """Turn rows into events; rows that share an interaction_id are one."""
    codes, _ = pd.factorize(frame["interaction_id"])
    heads = pd.Series(np.arange(len(frame))).groupby(codes).first().to_numpy()
    sender = np.array([number[str(name)] for name in frame["sender"]])
    owner: list[int] = []
    who: list[int] = []
    proof: list[int] = []
    reactions: list[tuple[int, int]] = []
    for event, recipients, evidence in zip(codes.tolist(), frame["recipients"], frame["evidence"], strict=True):
        for one in recipients:
            if evidence == "reacted":
                reactions.append((event, number[str(one)]))
            else:
                owner.append(event)
                who.append(number[str(one)])
                proof.append(PROOF[evidence])
    part = Part.of(
        frame["at"].astype("int64").to_numpy()[heads],
        np.array([MEDIUM[name] for name in frame["medium"]])[heads],
        sender[heads],
        np.array(owner, dtype=np.int64),
        np.array(who, dtype=np.int64),
        np.array(proof, dtype=np.int64),
        minutes=frame["minutes"].to_numpy(dtype=np.float64)[heads],
    )
    is_meeting = np.isin(part.medium, [MEDIUM[name] for name in _MEETINGS])
    part.minutes = np.where(is_meeting & np.isnan(part.minutes), 30.0, part.minutes)
    members = _give_spaces(part)
    columns = np.array(reactions, dtype=np.int64).reshape(-1, 2)
    return part, (columns[:, 0], columns[:, 1], np.full(len(columns), 60_000_000)), members


def _give_spaces(part: Part) -> dict[int, tuple[int, ...]]:
    """Put messages into direct messages by who is in them, and channel messages into one channel; a wider chat is a group's."""
    groups: dict[frozenset[int], int] = {}
    members: dict[int, tuple[int, ...]] = {}
    inside: dict[int, set[int]] = {}
    for event, person in zip(part.owner.tolist(), part.who.tolist(), strict=True):
        inside.setdefault(event, set()).add(person)
    for event, code in enumerate(part.medium.tolist()):
        name = MEDIA[code]
        people = frozenset(inside.get(event, set()) | {int(part.sender[event])})
        if name in _CHANNELS:
            part.key[event] = l.space_key(_CHANNELS[name], GENERAL)
        elif name in ("slack_dm", "slack_group_dm", "teams_chat", "teams_group_chat", "slack_huddle"):
            is_teams = name.startswith("teams")
            if len(people) == 2:
                low, high = sorted(people)
                part.key[event] = l.space_key(l.TEAMS_CHAT if is_teams else l.SLACK_DM, (low << 24) + high)
            else:
                key = int(l.space_key(l.TEAMS_GROUP if is_teams else l.SLACK_GROUP, groups.setdefault(people, len(groups))))
                part.key[event] = key
                members[key] = tuple(sorted(people))
    return members
