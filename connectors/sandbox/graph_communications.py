"""The routes of Graph for Teams, calls and attendance reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.graph_calls import Calls
from connectors.sandbox.graph_directory import Directory, Entry
from connectors.sandbox.graph_teams import Teams
from connectors.sandbox.http import Call
from connectors.sandbox.odata import GraphRefusal, clauses, page, parameter, selected, shown, span

Body = dict[str, Any]


class Communications:
    """Answers requests about chats, channels, calls and online meetings.

    Args:
        directory: The tenant's directory.
        teams: Chats and channels.
        calls: Call records.
        entry: How to find a user by id or address.
    """

    def __init__(self, directory: Directory, teams: Teams, calls: Calls, entry: Callable[[str], Entry]) -> None:
        self._directory = directory
        self._teams_log = teams
        self._calls = calls
        self._entry = entry

    def routes(self) -> list[tuple[Any, ...]]:
        """Return path below the version, the permission it needs, and what answers it."""
        reports = "users/{user}/onlineMeetings/{meeting}/attendanceReports"
        return [
            ("users/{user}/chats", "Chat.ReadBasic.All", self._chats),
            ("users/{user}/chats/getAllMessages", "Chat.Read.All", self._chat_messages),
            ("users/{user}/onlineMeetings", "OnlineMeetings.Read.All", self._online_meetings),
            (reports, "OnlineMeetingArtifact.Read.All", self._reports),
            (f"{reports}/{{report}}", "OnlineMeetingArtifact.Read.All", self._report),
            (f"{reports}/{{report}}/attendanceRecords", "OnlineMeetingArtifact.Read.All", self._attendance),
            ("chats/{chat}", "Chat.ReadBasic.All", self._chat),
            ("chats/{chat}/members", "Chat.ReadBasic.All", self._chat_members),
            ("teams", "Team.ReadBasic.All", self._teams),
            ("teams/{team}/channels", "Channel.ReadBasic.All", self._channels),
            ("teams/{team}/channels/getAllMessages", "ChannelMessage.Read.All", self._channel_messages),
            ("communications/callRecords", "CallRecords.Read.All", self._call_records),
            ("communications/callRecords/{record}", "CallRecords.Read.All", self._call_record),
            ("communications/callRecords/{record}/participants_v2", "CallRecords.Read.All", self._participants),
            ("communications/callRecords/{record}/sessions", "CallRecords.Read.All", self._sessions),
        ]

    # -- Teams --------------------------------------------------------------------------------------------------------

    def _chats(self, call: Call, user: str) -> Body:
        person = self._entry(user).number
        chats = self._teams_log.chats_of(person)
        with_members = "members" in (parameter(call, "expand") or "")
        return page(call, chats, lambda space: self._teams_log.chat(space, with_members=with_members), context="chats", default=20, most=50)

    def _chat(self, call: Call, chat: str) -> Body:
        if chat not in self._teams_log.chats:
            raise GraphRefusal(404, "NotFound")
        return self._teams_log.chat(self._teams_log.chats[chat], with_members="members" in (parameter(call, "expand") or ""))

    def _chat_members(self, call: Call, chat: str) -> Body:
        if chat not in self._teams_log.chats:
            raise GraphRefusal(404, "NotFound")
        return page(
            call, self._teams_log.members(self._teams_log.chats[chat]), lambda member: member, context="members", default=100, most=100
        )

    def _chat_messages(self, call: Call, user: str) -> Body:
        entry = self._entry(user)
        messages = self._teams_log.chat_messages(entry.number, span(call, "lastModifiedDateTime")) if entry.kind == "person" else []
        return page(call, messages, self._teams_log.message, context="Collection(chatMessage)", default=20, most=50)

    def _teams(self, call: Call) -> Body:
        teams = [
            {"id": self._directory.team_id(team), "displayName": CANARIES["group"], "visibility": "private"}
            for team in self._directory.teams()
        ]
        return page(call, teams, lambda team: shown(team, selected(call)), context="teams", default=100, most=999)

    def _team(self, name: str) -> int:
        for team in self._directory.teams():
            if self._directory.team_id(team) == name.lower():
                return team
        raise GraphRefusal(404, "NotFound")

    def _channels(self, call: Call, team: str) -> Body:
        channels = [self._teams_log.channel(space) for space in self._teams_log.channels(self._team(team))]
        return page(call, channels, lambda channel: shown(channel, selected(call)), context="channels", default=100, most=100)

    def _channel_messages(self, call: Call, team: str) -> Body:
        messages = self._teams_log.channel_messages(self._team(team), span(call, "lastModifiedDateTime"))
        return page(call, messages, self._teams_log.message, context="Collection(chatMessage)", default=20, most=50)

    # -- calls --------------------------------------------------------------------------------------------------------

    def _call_records(self, call: Call) -> Body:
        records = self._calls.records(span(call, "startDateTime"))
        return page(call, records, self._calls.record, context="communications/callRecords", default=60, most=60)

    def _call_record(self, call: Call, record: str) -> Body:
        return self._calls.record(self._calls.event_of(record))

    def _participants(self, call: Call, record: str) -> Body:
        found = self._calls.participants(self._calls.event_of(record))
        return page(call, found, lambda one: one, context="participants_v2", default=100, most=100)

    def _sessions(self, call: Call, record: str) -> Body:
        return page(call, self._calls.sessions(self._calls.event_of(record)), lambda one: one, context="sessions", default=100, most=100)

    def _online_meetings(self, call: Call, user: str) -> Body:
        person = self._entry(user).number
        links = [clause.value for clause in clauses(call) if clause.field == "JoinWebUrl" and clause.operator == "eq"]
        if not links:
            raise GraphRefusal(400, "BadRequest")
        meetings = self._calls.meetings_by_url(person, links[0])[:1]
        return page(call, meetings, self._calls.online_meeting, context="onlineMeetings", default=10, most=10)

    def _reports(self, call: Call, user: str, meeting: str) -> Body:
        with_records = "attendanceRecords" in (parameter(call, "expand") or "")
        held = self._calls.meeting_of(meeting)
        return page(
            call, held, lambda event: self._calls.report(event, with_records=with_records), context="attendanceReports", default=50, most=50
        )

    def _held(self, meeting: str, report: str) -> int:
        for event in self._calls.meeting_of(meeting):
            if f"AR{event:x}" == report:
                return event
        raise GraphRefusal(404, "NotFound")

    def _report(self, call: Call, user: str, meeting: str, report: str) -> Body:
        return self._calls.report(self._held(meeting, report), with_records="attendanceRecords" in (parameter(call, "expand") or ""))

    def _attendance(self, call: Call, user: str, meeting: str, report: str) -> Body:
        return page(call, self._calls.attendance(self._held(meeting, report)), lambda one: one, context="records", default=100, most=100)
