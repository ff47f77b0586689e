"""What the rows of other tools' exports mean: each function turns an export into the columns of an events file.

A frame's columns are named by what they are for (see `connectors.events_file.formats`), its values are texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import pandas as pd

from connectors.events_file.layout import plain


@dataclass(slots=True)
class Context:
    """What a format is told, and what it tells.

    Attributes:
        before: The lines before the header.
        when: Reads a column of times, or raises `UserError` where they are not certain.
        left_out: Why rows were left out, with how many.
        notes: What else is to be said.
    """

    before: list[list[str]]
    when: Callable[[pd.Series[Any]], pd.Series[Any]]
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def keep(self, frame: pd.DataFrame, mask: pd.Series[Any], reason: str) -> pd.DataFrame:
        """Return the rows that are marked; the others are counted under a reason."""
        self.left_out[reason] += int((~mask).sum())
        return frame[mask]


def _column(frame: pd.DataFrame, role: str) -> pd.Series[Any]:
    """Return a column's texts, empty where the export does not have it."""
    return frame[role].fillna("").astype(str).str.strip() if role in frame else pd.Series("", index=frame.index)


def _plain_column(frame: pd.DataFrame, role: str) -> pd.Series[Any]:
    return _column(frame, role).map(plain)


# -- Exchange -----------------------------------------------------------------------------------------------------------


def message_trace(frame: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row a recipient (PowerShell, admin centre), an event (extended report) or a mail (enhanced summary): what was delivered."""
    if "recipients_with_status" in frame:
        told = _column(frame, "recipients_with_status").str.contains("##", regex=False)
        if told.any():
            frame = frame.assign(recipients=_column(frame, "recipients_with_status").map(_delivered))
            frame = context.keep(frame, frame["recipients"] != "", "not_delivered")
    if "event" in frame:
        frame = context.keep(frame, _plain_column(frame, "event").isin(["deliver", "send"]), "not_delivered")
    elif "status" in frame:
        frame = context.keep(frame, _plain_column(frame, "status").isin(["delivered", "deliver", "send", "sent"]), "not_delivered")
    frame = context.keep(frame, ~_column(frame, "sender").isin(["", "<>"]), "no_sender")
    key = _column(frame, "id").where(_column(frame, "id") != "", _column(frame, "other_id"))
    rows = frame.assign(interaction_id=key.where(key != "", None))[["at", "sender", "recipients", "interaction_id"]]
    return rows.drop_duplicates(["interaction_id", "sender", "recipients"]) if (key != "").all() else rows.drop_duplicates()


def _delivered(cell: str) -> str:
    """Return the recipients of `address##Receive, Deliver;...` to whom it was delivered, or who are outside and it was sent to."""
    people = (entry.partition("##") for entry in cell.split(";"))
    return ";".join(person.strip() for person, _, status in people if {"deliver", "delivered", "send"} & set(map(plain, status.split(","))))


# -- Google -------------------------------------------------------------------------------------------------------------

_GOOGLE_EPOCH: Final = 62_135_683_200
"""Google's logs count some times in seconds from the year 1; this is 1970."""


def _google_times(values: pd.Series[Any], context: Context) -> pd.Series[Any]:
    numbers = pd.to_numeric(values, errors="coerce")
    since = numbers.where(numbers < _GOOGLE_EPOCH, numbers - _GOOGLE_EPOCH)
    return context.when(values.where(numbers.isna(), since.fillna(0).astype("int64").astype(str)))


def google_calendar(frame: pd.DataFrame, context: Context) -> pd.DataFrame:
    """What happened to each event: who was asked, who accepted, whether it was withdrawn. The last word of the log holds."""
    frame = context.keep(frame, _column(frame, "event_id") != "", "no_event")
    frame = frame.assign(
        said=context.when(_column(frame, "logged_at")),
        what=_plain_column(frame, "event"),
        answer=_plain_column(frame, "answer"),
        guest=_column(frame, "guest").str.casefold(),
        begins=_google_times(_column(frame, "start"), context),
        ends=_google_times(_column(frame, "end"), context),
        host=_column(frame, "organiser").where(_column(frame, "organiser") != "", _column(frame, "actor")),
    ).sort_values("said", kind="stable")
    rows = [_meeting(str(event), log, context) for event, log in frame.groupby("event_id", sort=False)]
    return pd.DataFrame([row for row in rows if row], columns=["at", "sender", "recipients", "interaction_id", "medium", "minutes"])


def _meeting(event: str, log: pd.DataFrame, context: Context) -> dict[str, Any] | None:
    guests: dict[str, str] = {}
    is_off = False
    for what, guest, answer in log[["what", "guest", "answer"]].itertuples(index=False):
        is_removed = "remove" in what or "delete" in what
        if guest and is_removed and "guest" in what:
            guests.pop(guest, None)
        elif guest:
            guests[guest] = answer or guests.get(guest, "")
        elif is_removed and "event" in what:
            is_off = True
        elif what.startswith("create") or what.endswith("created"):
            is_off = False
    begins, ends = log["begins"].dropna(), log["ends"].dropna()
    accepted = sorted(guest for guest, answer in guests.items() if answer == "accepted")
    reason = "withdrawn" if is_off else "nobody_accepted" if not accepted else "no_start" if begins.empty else ""
    if reason:
        context.left_out[reason] += len(log)
        return None
    minutes = (ends.iloc[-1] - begins.iloc[-1]).total_seconds() / 60 if len(ends) else None
    return {
        "at": begins.iloc[-1],
        "sender": log["host"].iloc[0],
        "recipients": ";".join(accepted),
        "interaction_id": event,
        "medium": "meeting_unknown",
        "minutes": minutes,
    }


def google_chat(frame: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Posted messages. A log names no readers: between two people they follow from who writes there; in a group only if stated."""
    what = _plain_column(frame, "event")
    everyone = frame.assign(room=_column(frame, "room"), actor=_column(frame, "actor").str.casefold(), kind=_plain_column(frame, "kind"))
    frame = context.keep(everyone, what.isin(["messageposted", "postedmessage", "messagesent", "postmessage"]), "no_message")
    frame = context.keep(frame, ~frame["kind"].str.contains("app"), "with_an_app")
    is_group = frame["kind"].str.contains("group")
    is_pair = ~is_group & frame["kind"].str.contains("direct|usertouser|onetoone|^dm$")
    people = _people_of_rooms(everyone)
    others = [
        ";".join(sorted(people.get(room, set()) - {actor})) if pair and room and len(people.get(room, set()) - {actor}) == 1 else ""
        for room, actor, pair in zip(frame["room"], frame["actor"], is_pair, strict=True)
    ]
    stated = _column(frame, "targets").str.replace(",", ";")
    frame = frame.assign(recipients=stated.where(stated != "", pd.Series(others, index=frame.index)))
    frame = frame.assign(medium=is_group.map({True: "teams_group_chat", False: "teams_chat"}))
    frame = context.keep(frame, (is_pair | is_group) & (frame["recipients"] != ""), "readers_not_in_the_log")
    key = _column(frame, "id")
    context.notes.append("Google Chat stands under teams_chat and teams_group_chat, the media of chats beside Slack's")
    return frame.assign(interaction_id=key.where(key != "", None), sender=frame["actor"])[
        ["at", "sender", "recipients", "interaction_id", "medium"]
    ]


def _people_of_rooms(frame: pd.DataFrame) -> dict[str, set[str]]:
    """Return who is known to be in each room: who did something there, and whom the log names as the target of it."""
    people: dict[str, set[str]] = {}
    for room, actor, targets in zip(frame["room"], frame["actor"], _column(frame, "targets"), strict=True):
        if room:
            people.setdefault(room, set()).update(
                person.strip().casefold() for person in [actor, *targets.replace(",", ";").split(";")] if person.strip()
            )
    return people


# -- Zoom ---------------------------------------------------------------------------------------------------------------


def zoom(frame: pd.DataFrame, context: Context) -> pd.DataFrame:
    """A meeting for all who were there. Whoever gives no address (a guest by name alone) is nobody who can be known."""
    about = _about_the_meeting(context.before)
    frame = context.keep(frame, _plain_column(frame, "waiting") != "yes", "waiting_room")
    begins = context.when(_column(frame, "join") if "join" in frame else pd.Series(about.get("starttime", ""), index=frame.index))
    starts = _column(frame, "start") if "start" in frame else pd.Series(about.get("starttime", ""), index=frame.index)
    meeting = _column(frame, "meeting") if "meeting" in frame else pd.Series(about.get("meetingid", ""), index=frame.index)
    ends = context.when(_column(frame, "leave")) if "leave" in frame else begins
    # one number serves all meetings of a series, and a personal room for years
    key = meeting.str.replace(" ", "") + "|" + starts.where(starts != "", begins.dt.strftime("%Y-%m-%d").fillna(""))
    host = _column(frame, "host").where(_column(frame, "host") != "", about.get("useremail", "").strip())
    frame = frame.assign(begins=begins, ends=ends, key=key, host=host.str.casefold(), email=_column(frame, "email").str.casefold())
    frame = context.keep(frame, frame["email"].str.contains("@"), "no_address")
    rows = []
    for name, present in frame.sort_values("begins", kind="stable").groupby("key", sort=False):
        people = list(dict.fromkeys(present["email"]))
        sender = present["host"].iloc[0] or people[0]
        if len(set(people) | {sender}) < 2:
            context.left_out["alone"] += len(present)
            continue
        minutes = (present["ends"].max() - present["begins"].min()).total_seconds() / 60
        if minutes == 0 or pd.isna(minutes):
            minutes = pd.to_numeric(_column(present, "duration"), errors="coerce").max()
        others = ";".join(person for person in people if person != sender) or sender
        rows.append((present["begins"].min(), sender, others, name, "meeting_online", minutes))
    return pd.DataFrame(rows, columns=["at", "sender", "recipients", "interaction_id", "medium", "minutes"])


def _about_the_meeting(before: list[list[str]]) -> dict[str, str]:
    """Return what the lines above the list of participants say of the meeting, by plain column name."""
    for names, values in pairwise(before):
        if "meetingid" in map(plain, names):
            return {plain(name): value.strip() for name, value in zip(names, values, strict=False)}
    return {}


# -- networks -----------------------------------------------------------------------------------------------------------


def viva(frame: pd.DataFrame, context: Context) -> pd.DataFrame:
    """A tie of two people in a period, both ways, on the period's first day: the export says neither how often nor by what."""
    scores = [pd.to_numeric(_column(frame, role), errors="coerce") for role in ("strong", "diverse") if role in frame]
    if scores:
        frame = context.keep(frame, pd.concat(scores, axis=1).fillna(0).max(axis=1) > 0, "no_tie")
    sender, other = _column(frame, "sender"), _column(frame, "recipients")
    pair = sender.where(sender < other, other) + "|" + other.where(sender < other, sender) + "|" + _column(frame, "at")
    context.notes.append("Viva does not say by which medium: each tie stands as one meeting_unknown; --medium names another")
    return frame.assign(interaction_id=pair, medium="", evidence="co_present")[
        ["at", "sender", "recipients", "interaction_id", "medium", "evidence"]
    ]


def orgnet(frame: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Orgnet's mails, direct messages and meetings, and any list of edges with a time. A weight is no count of messages."""
    columns = {"at": frame["at"], "sender": frame["sender"], "recipients": frame["recipients"]}
    rows = pd.DataFrame(columns)
    if "id" in frame:
        rows["interaction_id"] = frame["id"]
    if "is_dm" in frame:
        rows["medium"] = "slack_dm"
        rows = context.keep(rows, _plain_column(frame, "is_dm").isin(["true", "1", "yes"]), "no_direct_message")
    if "end" in frame:
        begins, ends = context.when(_column(frame, "at")), context.when(_column(frame, "end"))
        rows = rows.assign(medium="meeting_unknown", at=begins, minutes=(ends - begins).dt.total_seconds() / 60)
    if "weight" in frame:
        context.notes.append("weights were not read: each row is one contact")
    return rows
