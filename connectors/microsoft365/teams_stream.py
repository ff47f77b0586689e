"""Reading Teams: each member's chats, each team's channels, by when a message last changed.

A reply, a reaction, an edit or a deletion changes when a message was last modified, so that also what happens late to an
old message is met. That time is the service's own, so little of what was read need be read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from connectors.columns import Interactions
from connectors.microsoft365.client import UNKNOWN_MEMBERS, GraphError
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.known_chats import KnownChats
from connectors.microsoft365.people import Member
from connectors.microsoft365.pump import Batcher, Emit, Extras, Part, each
from connectors.microsoft365.run import ROWS_A_PART, Run
from connectors.microsoft365.teams import (
    CHANNELS,
    CHATS,
    Chat,
    TeamsParser,
    channel_key,
    channel_record,
    chat_ids,
    chat_key,
    one_on_one,
    parse_chat,
)
from connectors.microsoft365.times import graph_time
from connectors.microsoft365.windows import Coverage
from connectors.records import Batch

_CHAT_MEDIA: Final = ("teams_chat", "teams_group_chat")
_READ_AGAIN: Final = 0.25
"""Which share of what is new is read again before it."""


def _query(start: Any, run: Run) -> dict[str, Any]:
    return {
        "filter": f"lastModifiedDateTime gt {graph_time(start)} and lastModifiedDateTime lt {graph_time(run.until)}",
        "top": run.settings.teams_page_size,
    }


@dataclass(slots=True)
class _ChatReader:
    run: Run
    parser: TeamsParser
    coverage: Coverage
    known: KnownChats
    chats: dict[str, Chat] = field(default_factory=dict)
    spaces: list[dict[str, Any]] = field(default_factory=list)
    unread: dict[int, str] = field(default_factory=dict)
    asked: dict[str, asyncio.Future[None]] = field(default_factory=dict)

    async def read(self, member: Member, emit: Emit) -> None:
        """Read a member's chats."""
        run = self.run
        start = self.coverage.windows.start(member.key)
        if start >= run.until:
            self.coverage.read_count += 1
            await emit(Part(units=1))
            return
        builder = run.graph.client.users.by_user_id(member.user_id).chats.get_all_messages
        rows = Interactions()
        met: set[str] = set()
        try:
            async for page in run.graph.pages(builder, unit=member.user_id, prefer=(UNKNOWN_MEMBERS,), **_query(start, run)):
                names = chat_ids(page.values)
                await self._learn(names)
                met.update(names)
                self.parser.chat_messages(page.values, self.chats, rows)
                if len(rows) >= ROWS_A_PART:
                    await emit(Part(rows))
                    rows = Interactions()
        except GraphError as error:
            self.coverage.fail(member.key, error)
            await emit(Part(rows, units=1))
            return
        part = self.coverage.done(member.key)
        part.interactions = rows
        if not any(self.unread.get(chat_key(name, run.people)) == "unavailable" for name in met):
            # else the messages are read once more, when it may be learnt whom they reached
            part.cursors |= self.coverage.windows.cursor(member.key, run.until)
        await emit(part)

    def extras(self, faults: Faults) -> Extras:
        """Return what goes along with each batch: the chats learnt, and that they are known."""
        taken = self.run.extras(faults)

        def extras() -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
            rows, cursors = taken()
            rows["space"], self.spaces = self.spaces, []
            return rows, {**cursors, **self.known.cursors()}

        return extras

    async def _learn(self, names: Mapping[str, int | None]) -> None:
        """Learn chats' kinds and members: from the id of a one-on-one chat, from earlier nights, else by one request, once a run."""
        for name, changed_at in names.items():
            if name not in self.chats and name not in self.asked:
                self.asked[name] = asyncio.ensure_future(self._learn_one(name, changed_at))
        # another mailbox's reader may be asking for the same chat
        await asyncio.gather(*(self.asked[name] for name in names if name in self.asked))
        for name in names:
            self.asked.pop(name, None)

    async def _learn_one(self, name: str, changed_at: int | None) -> None:
        people = self.run.people
        key = chat_key(name, people)
        chat = one_on_one(name, people, known_only=True)
        if chat is None:
            chat = self.known.get(key, changed_at)
            if chat is not None:
                self.chats[name] = chat
                return
            try:
                builder = self.run.graph.client.chats.by_chat_id(name)
                answer = await self.run.graph.get(builder, prefer=(UNKNOWN_MEMBERS,), has="members", expand=["members"])
            except GraphError as error:
                chat = one_on_one(name, people)
                if chat is None:
                    # the message stays, counted, without anybody whom it reached
                    self.unread[key] = error.reason
                    self.chats[name] = Chat(key, "teams_group_chat", (), 0)
                    return
            else:
                chat = parse_chat(name, answer, people)
                self.known.put(chat)
        self.chats[name] = chat
        self.spaces.append(chat.record(people))


async def read_chats(run: Run) -> AsyncGenerator[Batch, None]:
    """Read the Teams chats of every member in scope."""
    faults = Faults(run.people.pseudonyms, CHATS)
    coverage = Coverage(run.windows(CHATS, timedelta(hours=run.settings.overlap_hours), share=_READ_AGAIN), _CHAT_MEDIA)
    known = KnownChats(run.state, run.people, run.directory.registry, run.settings.opted_out, run.until)
    reader = _ChatReader(run, TeamsParser(run.people, faults), coverage, known)
    batcher = Batcher(CHATS, len(run.chatters), reader.extras(faults))
    members = coverage.windows.in_turn(run.chatters, lambda member: member.key)
    async with aclosing(each(members, reader.read, workers=run.settings.concurrency)) as parts:
        async for part in parts:
            batcher.put(part)
            if (batch := batcher.due()) is not None:
                yield batch
    batcher.put(coverage.finish())
    day = {"date_from": coverage.windows.until.date(), "date_to": coverage.windows.until.date()}
    partial = [
        {"stream": CHATS, "unit_key": key, "medium": "teams_group_chat", "status": "partial", "reason": f"members_{reason}", **day}
        for key, reason in sorted(reader.unread.items())
    ]
    batcher.put(Part(rows={"coverage": partial}))
    yield batcher.flush()


# -- channels -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _ChannelReader:
    run: Run
    parser: TeamsParser
    coverage: Coverage

    async def read(self, team: str, emit: Emit) -> None:
        """Read a team's channels, replies among them."""
        run = self.run
        key = team_key(team, run)
        start = self.coverage.windows.start(key)
        if start >= run.until:
            self.coverage.read_count += 1
            await emit(Part(units=1))
            return
        channels = run.graph.client.teams.by_team_id(team).channels
        rows = Interactions()
        spaces: set[int] = set()
        try:
            async for page in run.graph.pages(channels.get_all_messages, prefer=(UNKNOWN_MEMBERS,), **_query(start, run)):
                spaces |= self.parser.channel_messages(page.values, rows)
                if len(rows) >= ROWS_A_PART:
                    await emit(Part(rows))
                    rows = Interactions()
        except GraphError as error:
            self.coverage.fail(key, error)
            await emit(Part(rows, units=1))
            return
        part = self.coverage.done(key)
        part.interactions = rows
        kinds = await self._memberships(channels) if spaces else None
        if kinds is not None or self.coverage.windows.stored(key) is None:
            # what was known of a channel is not overwritten because it could not be asked for
            kinds = kinds or {}
            part.rows["space"] = [channel_record(space, kinds.get(space)) for space in sorted(spaces)]
        part.cursors |= self.coverage.windows.cursor(key, run.until)
        await emit(part)

    async def _memberships(self, channels: Any) -> dict[int, str] | None:
        """Return which channels are private or shared; None where Channel.ReadBasic.All is not granted."""
        found: dict[int, str] = {}
        try:
            async for page in self.run.graph.pages(channels, prefer=(UNKNOWN_MEMBERS,), select=["id", "membershipType"]):
                for channel in page.values:
                    if isinstance(channel, dict) and isinstance(channel.get("id"), str) and isinstance(channel.get("membershipType"), str):
                        found[channel_key(channel["id"], self.run.people)] = channel["membershipType"]
        except GraphError:
            return None
        return found


def team_key(team: str, run: Run) -> int:
    """Return the key under which a team's cursor and coverage are kept."""
    return run.people.pseudonyms.key("microsoft365:team", team)


async def read_channels(run: Run) -> AsyncGenerator[Batch, None]:
    """Read the channels of every team, or of those that settings name."""
    faults = Faults(run.people.pseudonyms, CHANNELS)
    coverage = Coverage(run.windows(CHANNELS, timedelta(hours=run.settings.overlap_hours), share=_READ_AGAIN), ("teams_channel",))
    reader = _ChannelReader(run, TeamsParser(run.people, faults), coverage)
    teams = set(run.settings.teams)
    if not teams:
        try:
            async for page in run.graph.pages(run.graph.client.teams, select=["id"], top=999):
                teams |= {team["id"] for team in page.values if isinstance(team, dict) and isinstance(team.get("id"), str) and team["id"]}
        except GraphError as error:
            coverage.fail(0, error)
    batcher = Batcher(CHANNELS, len(teams), run.extras(faults))
    in_turn = coverage.windows.in_turn(teams, lambda team: team_key(team, run))
    async with aclosing(each(in_turn, reader.read, workers=run.settings.concurrency)) as parts:
        async for part in parts:
            batcher.put(part)
            if (batch := batcher.due()) is not None:
                yield batch
    batcher.put(coverage.finish())
    yield batcher.flush()
