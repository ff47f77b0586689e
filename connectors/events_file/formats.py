"""Exports of other tools, read as they are: which columns tell them, and what their rows mean.

Each format finds its columns by their plain names (`Sender Address`, `SenderAddress` and `sender_address` are one), looks at no
other (subjects and titles are never read), and returns the columns of an events file. Names as the tools' own documentation
and real exports have them, November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from connectors.errors import UserError
from connectors.events_file import exports
from connectors.events_file.exports import Context
from connectors.events_file.layout import Layout


@dataclass(frozen=True, slots=True)
class Format:
    """An export that is read as it is.

    Attributes:
        roles: What a column is for -> the plain names that it goes by, the best first.
        needs: The roles without which the export says nothing.
        telling: Sets of plain names that no other file has: the file is known by them.
        rows: Turns the export, its columns named by roles, into the columns of an events file.
        time_zone: That of its times without a zone; None where it is not known, and the organisation's is taken.
        medium: The medium of rows that name none.
        order: The order of day and month that the tool writes before AM and PM, where no row tells it.
    """

    roles: Mapping[str, tuple[str, ...]]
    needs: tuple[str, ...]
    telling: tuple[frozenset[str], ...]
    rows: Callable[[pd.DataFrame, Context], pd.DataFrame]
    time_zone: str | None = "UTC"
    medium: str = "email"
    order: str | None = None

    def columns(self, layout: Layout, name: str) -> dict[str, str]:
        """Return role -> plain name of the columns that are there.

        Raises:
            UserError: If one lacks that is needed.
        """
        found = {role: next((alias for alias in aliases if alias in layout.columns), None) for role, aliases in self.roles.items()}
        if missing := [role for role in self.needs if found[role] is None]:
            raise UserError(
                f"{layout.path.name}: as {name} it lacks {', '.join(missing)}; "
                + "; ".join(f"{role} is a column such as {', '.join(self.roles[role][:3])}" for role in missing)
            )
        return {role: alias for role, alias in found.items() if alias is not None}


def detected(layout: Layout) -> str | None:
    """Return the format that a file's header tells, if it tells exactly one."""
    found = [name for name, known in FORMATS.items() if any(telling <= layout.columns.keys() for telling in known.telling)]
    return found[0] if len(found) == 1 else None


FORMATS: Final[Mapping[str, Format]] = {
    "message-trace": Format(
        {
            "at": ("received", "datetimeutc", "origintimestamputc", "origintimestamp", "receiveddatetime", "datereceived", "date"),
            "sender": ("senderaddress", "sender"),
            "recipients": ("recipientaddress", "recipient", "recipientstatus"),
            "recipients_with_status": ("recipientstatus",),
            "status": ("status", "deliverystatus"),
            "event": ("eventid",),
            "id": ("messageid",),
            "other_id": ("networkmessageid", "messagetraceid"),
        },
        ("at", "sender", "recipients"),
        (
            frozenset({"received", "senderaddress", "recipientaddress"}),
            frozenset({"receiveddatetime", "senderaddress", "recipientaddress"}),
            frozenset({"datetimeutc", "senderaddress"}),
            frozenset({"origintimestamputc", "senderaddress"}),
            frozenset({"origintimestamp", "senderaddress", "recipientstatus"}),
        ),
        exports.message_trace,
    ),
    "google-calendar": Format(
        {
            "logged_at": ("date", "idtime", "time"),
            "event": ("event", "eventname", "name"),
            "actor": ("actor", "actoremail", "user"),
            "event_id": ("eventid", "calendareventid"),
            "guest": ("eventguest", "guest", "guestemail", "targetguest"),
            "answer": ("eventresponsestatus", "responsestatus", "guestresponse", "guestresponsestatus", "eventguestresponse"),
            "organiser": ("organizercalendarid", "organizer", "calendarid"),
            "start": ("eventstarttime", "starttime"),
            "end": ("eventendtime", "endtime"),
        },
        ("logged_at", "event", "event_id", "guest", "answer", "start"),
        (
            frozenset({"eventid", "organizercalendarid"}),
            frozenset({"eventid", "eventguest"}),
            frozenset({"eventid", "calendarid", "actor"}),
        ),
        exports.google_calendar,
    ),
    "google-chat": Format(
        {
            "at": ("date", "idtime", "time"),
            "event": ("event", "eventname", "name"),
            "actor": ("actor", "actoremail", "user"),
            "kind": ("conversationtype",),
            "room": ("roomid", "conversationid", "spaceid"),
            "targets": ("targetusers", "targetuser", "recipients"),
            "id": ("messageid",),
        },
        ("at", "event", "actor", "kind"),
        (
            frozenset({"conversationtype", "roomid"}),
            frozenset({"conversationtype", "targetusers"}),
            frozenset({"conversationtype", "actor"}),
        ),
        exports.google_chat,
    ),
    "zoom": Format(
        {
            "email": ("useremail", "email", "participantemail"),
            "join": ("jointime",),
            "leave": ("leavetime",),
            "duration": ("durationminutes", "totaldurationminutes", "duration"),
            "meeting": ("meetingid",),
            "start": ("starttime",),
            "host": ("hostemail",),
            "waiting": ("inwaitingroom",),
        },
        ("email",),
        (
            frozenset({"nameoriginalname", "useremail"}),
            frozenset({"jointime", "leavetime", "useremail"}),
            frozenset({"jointime", "leavetime", "email", "meetingid"}),
        ),
        exports.zoom,
        time_zone=None,
        order="month-first",
    ),
    "viva-p2p": Format(
        {
            "at": ("metricdate", "date", "startdate", "week"),
            "sender": ("primarycollaboratorpersonid", "tieoriginpersonid"),
            "recipients": ("secondarycollaboratorpersonid", "tiedestinationpersonid"),
            "strong": ("strongtiescore",),
            "diverse": ("diversetiescore",),
        },
        ("at", "sender", "recipients"),
        (
            frozenset({"primarycollaboratorpersonid", "secondarycollaboratorpersonid"}),
            frozenset({"tieoriginpersonid", "tiedestinationpersonid"}),
        ),
        exports.viva,
        medium="meeting_unknown",
    ),
    "orgnet": Format(
        {
            "at": ("timestamp", "starttime", "time", "datetime", "date", "sentat", "created"),
            "sender": ("senderid", "userid", "organizerid", "from", "source", "sourceid", "sender"),
            "recipients": ("recipientid", "targetuserid", "attendeeids", "to", "target", "targetid", "recipient", "recipients", "receiver"),
            "end": ("endtime",),
            "is_dm": ("isdm",),
            "id": ("id",),
            "weight": ("weight",),
        },
        ("at", "sender", "recipients"),
        (
            frozenset({"senderid", "recipientid", "timestamp"}),
            frozenset({"userid", "targetuserid", "timestamp"}),
            frozenset({"organizerid", "attendeeids", "starttime"}),
            *(
                frozenset({one, other, at})
                for one, other in (("from", "to"), ("source", "target"))
                for at in ("timestamp", "time", "date", "datetime")
            ),
        ),
        exports.orgnet,
    ),
}
"""Every format by its name on the command line."""
