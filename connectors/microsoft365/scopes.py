"""Which application permissions are needed, what for, and a check that proves each with one cheap request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.checks import ScopeCheck
from connectors.microsoft365.client import Graph, GraphError
from connectors.microsoft365.settings import SOURCE, Microsoft365Settings
from connectors.microsoft365.times import graph_time

SCOPES: Final[Mapping[str, str]] = {
    "User.Read.All": "Who is who: addresses, departments, offices, managers. Nothing can be read without it.",
    "Organization.Read.All": "Which e-mail domains are your own; without it, those of licensed members count.",
    "GroupMember.Read.All": "Which addresses are groups and not people; whose mailboxes to read, where settings name groups.",
    "Place.Read.All": "Which accounts are rooms.",
    "MailboxSettings.Read": "Which accounts are shared mailboxes (only accounts without a licence are asked about).",
    "Mail.ReadBasic.All": "Who wrote to whom by mail, and when; this permission cannot read bodies.",
    "Calendars.ReadBasic.All": "Who met whom; this permission cannot read bodies or attachments.",
    "Chat.Read.All": "Who wrote to whom in Teams chats. There is no permission without text; it is dropped in the parser.",
    "Chat.ReadBasic.All": "Who is a member of which chat.",
    "ChannelMessage.Read.All": "Who wrote, answered and mentioned in Teams channels. Text is dropped in the parser.",
    "Team.ReadBasic.All": "Which teams there are.",
    "Channel.ReadBasic.All": "Which channels are private or shared.",
    "CallRecords.Read.All": "Who called whom, for how long, and who attended online meetings.",
    "OnlineMeetings.Read.All": "Finding an online meeting's attendance report; needs a Teams application access policy.",
    "OnlineMeetingArtifact.Read.All": "Reading attendance reports; needs the same policy.",
    "User-LifeCycleInfo.Read.All": "The day on which people leave.",
}
"""Application permissions -> why. Which of them are needed depends on what settings switch on."""

_GRANT: Final = (
    "Microsoft Entra admin center, App registrations, API permissions, Microsoft Graph, Application permissions: "
    "add {scope}, then grant admin consent."
)
_POLICY: Final = " Then allow the application: New-CsApplicationAccessPolicy and Grant-CsApplicationAccessPolicy (Teams PowerShell)."


@dataclass(frozen=True, slots=True)
class _Probe:
    """One cheap request that fails without the permission.

    Attributes:
        scope: The permission.
        costs: What is not observed without it.
        is_wanted: Whether settings need it.
        builder: The request, given the SDK's client and a user's id.
        query: Its query.
        grant: What to do beside granting the permission.
    """

    scope: str
    costs: str
    is_wanted: bool
    builder: Callable[[Any, str], Any]
    query: Mapping[str, Any]
    grant: str = ""


async def check(settings: Microsoft365Settings) -> list[ScopeCheck]:
    """Sign in and prove each permission that settings need.

    What is probed at one mailbox is probed at that of the first member with a mailbox, or the first in
    `microsoft365.mailboxes`: a restriction to other mailboxes (RBAC for Applications) shows as a missing permission.

    Raises:
        UserError: If the sign-in is refused.
        GraphError: If Graph does not answer.
    """
    async with Graph(settings) as graph:
        user, is_listed = await _somebody(graph)
        found = [_verdict("User.Read.All", "everything: nothing can be read", is_listed)]
        if not is_listed:
            return found
        for probe in _probes(settings):
            if probe.is_wanted:
                found.append(_verdict(probe.scope, probe.costs, await _works(graph, probe, user), probe.grant))
        return found


def _verdict(scope: str, costs: str, works: bool, grant: str = "") -> ScopeCheck:
    return ScopeCheck(SOURCE, scope, works, costs, _GRANT.format(scope=scope) + grant)


async def _somebody(graph: Graph) -> tuple[str, bool]:
    """Return the id of a member with a mailbox, and whether users may be listed at all."""
    query: dict[str, Any] = {"select": ["id", "mail", "userType", "accountEnabled", "assignedLicenses"], "top": 50}
    try:
        answer = await graph.get(graph.client.users, **query)
    except GraphError as error:
        if error.status == 403:
            return "", False
        raise
    if graph.settings.mailboxes:
        return graph.settings.mailboxes[0], True
    users = [user for user in answer.get("value") or [] if isinstance(user, dict) and isinstance(user.get("id"), str)]
    # a licensed, enabled member is likeliest to have a mailbox
    users.sort(
        key=lambda user: (
            not user.get("mail"),
            user.get("userType") == "Guest",
            user.get("accountEnabled") is False,
            user.get("assignedLicenses") == [],
        )
    )
    return (users[0]["id"] if users else ""), True


async def _works(graph: Graph, probe: _Probe, user: str) -> bool:
    try:
        await graph.get(probe.builder(graph.client, user), unit=user, **probe.query)
    except GraphError as error:
        if error.status in {400, 404}:
            # asked for something that is not there, and allowed to
            return True
        if error.status == 403:
            return False
        raise
    return True


def _probes(settings: Microsoft365Settings) -> list[_Probe]:
    now = datetime.now(UTC)
    hour, day = now - timedelta(hours=1), now - timedelta(days=1)
    changed = f"lastModifiedDateTime gt {graph_time(hour)} and lastModifiedDateTime lt {graph_time(now)}"
    calendar = {"select": ["id"], "start_date_time": graph_time(day), "end_date_time": graph_time(now), "top": 1}
    nobody = "00000000-0000-0000-0000-000000000000"
    return [
        _Probe(
            "Organization.Read.All",
            "which domains are your own, where members' own addresses do not tell",
            True,
            lambda c, u: c.organization,
            {"select": ["id"]},
        ),
        _Probe(
            "GroupMember.Read.All",
            "mail to groups counts as mail to an unknown person",
            True,
            lambda c, u: c.groups,
            {"select": ["id"], "top": 1},
        ),
        _Probe(
            "Place.Read.All",
            "rooms are only known by their unlicensed accounts",
            True,
            lambda c, u: c.places.graph_room,
            {"top": 1},
        ),
        _Probe(
            "MailboxSettings.Read",
            "shared mailboxes count as deactivated people",
            True,
            lambda c, u: c.users.by_user_id(u).mailbox_settings,
            {"select": ["userPurpose"]},
        ),
        _Probe(
            "Mail.ReadBasic.All",
            "all mail",
            settings.mail,
            lambda c, u: c.users.by_user_id(u).messages,
            {"select": ["id"], "top": 1},
        ),
        _Probe("Calendars.ReadBasic.All", "all meetings", settings.calendar, lambda c, u: c.users.by_user_id(u).calendar_view, calendar),
        _Probe(
            "Chat.Read.All",
            "all Teams chats",
            settings.chats,
            lambda c, u: c.users.by_user_id(u).chats.get_all_messages,
            {"filter": changed, "top": 1},
        ),
        _Probe(
            "Chat.ReadBasic.All",
            "who is in group chats; their messages reach nobody",
            settings.chats,
            lambda c, u: c.users.by_user_id(u).chats,
            {"top": 1},
        ),
        _Probe("Team.ReadBasic.All", "all Teams channels", settings.channels, lambda c, u: c.teams, {"select": ["id"], "top": 1}),
        _Probe(
            "ChannelMessage.Read.All",
            "all messages in Teams channels",
            settings.channels,
            lambda c, u: c.teams.by_team_id(nobody).channels.get_all_messages,
            {"filter": changed, "top": 1},
        ),
        _Probe(
            "Channel.ReadBasic.All",
            "which Teams channels are private or shared",
            settings.channels,
            lambda c, u: c.teams.by_team_id(nobody).channels,
            {"select": ["id", "membershipType"]},
        ),
        _Probe(
            "CallRecords.Read.All",
            "all calls, and who attended online meetings (who accepted counts instead)",
            settings.calls,
            lambda c, u: c.communications.call_records,
            {"filter": f"startDateTime ge {graph_time(hour)}"},
        ),
        _Probe(
            "OnlineMeetings.Read.All",
            "attendance reports (who accepted counts instead)",
            settings.attendance_reports,
            lambda c, u: c.users.by_user_id(u).online_meetings,
            {"filter": "JoinWebUrl eq 'https://teams.microsoft.com/l/meetup-join/none'"},
            _POLICY,
        ),
        _Probe(
            "OnlineMeetingArtifact.Read.All",
            "attendance reports (who accepted counts instead)",
            settings.attendance_reports,
            lambda c, u: c.users.by_user_id(u).online_meetings.by_online_meeting_id(nobody).attendance_reports,
            {},
            _POLICY,
        ),
        _Probe(
            "User-LifeCycleInfo.Read.All",
            "the day on which people leave",
            settings.leave_dates,
            lambda c, u: c.users,
            {"select": ["id", "employeeLeaveDateTime"], "top": 1},
        ),
    ]
