"""Reading one conversation: its messages newest first, the threads that changed, and what was deleted.

Slack's history holds first messages only, so a reply to an old thread shows only in its root's `latest_reply` and
`reply_count`. Each night therefore reads a trailing window of roots again and asks for the replies of those threads whose
statement moved. Reading a window whole also shows edits, reactions and, by what is missing, deletions.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final, Protocol

from connectors.columns import MICROSECOND, to_instant
from connectors.slack.client import SlackClient, SlackError, next_cursor
from connectors.slack.messages import MessageParser, format_ts, parse_ts
from connectors.slack.pages import Page, Root, as_root
from connectors.slack.progress import CONVERSATION_CURSOR, MEMBERS_CURSOR, THREAD_CURSOR, Progress, ThreadMark, dump_members
from connectors.slack.settings import SlackSettings
from connectors.slack.spaces import Conversation

_HOUR: Final = 3600 * MICROSECOND
_DAY: Final = 24 * _HOUR
_REVISITED_DAYS: Final = 180
"""Replies to a thread that went on since then are read again when their channel is swept."""


class Sink(Protocol):
    """Where a reader puts what it reads."""

    parser: MessageParser
    rows: dict[str, list[dict[str, Any]]]
    cursors: dict[str, str]

    async def flush_if_full(self) -> None:
        """Hand over what has been gathered, if that is a batch's worth."""


class ConversationReader:
    """Reads one conversation up to a frozen end.

    Args:
        client: The API.
        settings: The connector's settings.
        until: The run's frozen end, in microseconds: nothing at or after it is read.
        sink: Where records and cursors go.
        members: How to learn the members of a direct message.
        stored_keys: How to ask which messages of a space are stored, for a sweep.
    """

    def __init__(
        self,
        client: SlackClient,
        settings: SlackSettings,
        until: int,
        sink: Sink,
        members: Callable[[Conversation], Awaitable[Conversation]],
        stored_keys: Callable[[int, int, int], Awaitable[set[int]]],
    ) -> None:
        self._client = client
        self._settings = settings
        self._until = until
        self._sink = sink
        self._members = members
        self._stored_keys = stored_keys
        self._window = settings.late_reply_days * _DAY
        self._kept_from = until - self._window  # threads that began before are left to the rolling sweep
        self._revisited = until - _REVISITED_DAYS * _DAY
        self._oldest_swept = 0 if settings.retention_days is None else until - settings.retention_days * _DAY

    async def read(
        self, conversation: Conversation, progress: Progress, marks: dict[str, str], *, since: int, is_explicit: bool, is_sweep: bool
    ) -> None:
        """Read what is new or may have changed, and put records and cursors into the sink.

        Args:
            conversation: The conversation.
            progress: What earlier runs left; None the first time.
            marks: Its thread cursors: name -> value.
            since: Where a first reading begins.
            is_explicit: Whether the caller asked for `since`; a later run then also goes back to it.
            is_sweep: Whether to read everything again.

        Raises:
            SlackError: If the conversation cannot be read.
            SlackUnavailableError, UserError: As `SlackClient.call`.
        """
        today = to_instant(self._until).date().isoformat()
        progress.swept = progress.swept or today
        name = f"{CONVERSATION_CURSOR}{conversation.space_key}"
        if progress.begun is not None:
            start, reached, end = progress.begun
            await self._read_window(conversation, progress, name, marks, start, reached, end, None, trusted=end)
            progress.begun = None
            if end >= progress.floor:
                progress.floor, progress.through = min(progress.floor, start), max(progress.through, end)
        start = trailing = max(progress.floor, min(progress.through, self._until) - self._window)
        is_known = progress.is_known
        if is_explicit and (since < progress.floor or self._until <= progress.through):
            start = since
        stored: set[int] | None = None
        if is_sweep:
            start = min(start, progress.floor)
            stored = await self._stored_keys(conversation.space_key, start, self._until)
            progress.swept = today
        # a message missing from the trailing window was deleted; one missing further back may have expired by policy
        trusted = trailing if is_known else self._until
        if start < self._until:
            await self._read_window(conversation, progress, name, marks, start, self._until, self._until, stored, trusted=trusted)
            # a window that does not touch what has been read leaves the statement of what has been read as it was
            if self._until >= progress.floor:
                progress.floor, progress.through = min(progress.floor, start), max(progress.through, self._until)
        progress.begun = None
        progress.is_finished = conversation.is_archived is True
        progress.is_gone = False
        for mark in list(marks):
            known = ThreadMark.parse(marks[mark])
            if known is None or known.root < self._kept_from:
                self._sink.cursors[mark] = ""
        if progress.missing_from is not None:
            self._sink.rows["coverage"].append(
                {
                    "stream": "messages",
                    "unit_key": conversation.space_key,
                    "medium": conversation.medium,
                    "date_from": progress.missing_from,
                    "date_to": to_instant(self._until).date(),
                    "status": "observed",
                }
            )
            progress.missing_since = None
        self._sink.cursors[name] = progress.dump()

    # -- messages -----------------------------------------------------------------------------------------------------

    async def _read_window(
        self,
        conversation: Conversation,
        progress: Progress,
        name: str,
        marks: dict[str, str],
        start: int,
        reached: int,
        end: int,
        stored: set[int] | None,
        *,
        trusted: int,
    ) -> None:
        """Read [start, reached) of a window that ends at `end`, and leave after each page a cursor that says how far it got.

        Pages come newest first, so each is a whole reading of the time between its oldest message and the page before. What is
        missing at or after `trusted` was deleted; of what is older, only what is missing between messages was.
        """
        top = reached
        earlier: set[int] = set()
        unsaid: tuple[int, int, set[int]] | None = None
        async with aclosing(self._pages(conversation, start, reached)) as pages:
            async for messages, is_last in pages:
                conversation = await self._with_members(conversation, messages)
                page = self._take(conversation, messages, start, end)
                if any(moment >= top and key not in earlier for moment, key in page.moments):
                    await self._read_unordered(conversation, marks, start, reached, stored, trusted=trusted)
                    return
                # only now is it sure that the page before was a whole reading of its time
                if unsaid is not None:
                    self._sweep(conversation, *unsaid)
                    progress.begun = (start, top, end)
                    self._sink.cursors[name] = progress.dump()
                lowest = min(top, page.lowest)
                await self._read_threads(conversation, page.roots, marks, stored)
                unsaid = (min(lowest, max(start, trusted)) if is_last else lowest, top, page.keys)
                top, earlier = lowest, page.keys or earlier
                await self._sink.flush_if_full()
        if unsaid is not None:
            self._sweep(conversation, *unsaid)

    async def _read_unordered(
        self, conversation: Conversation, marks: dict[str, str], start: int, end: int, stored: set[int] | None, *, trusted: int
    ) -> None:
        """Read [start, end) from a server that does not sort its pages: as one piece, without a cursor inside."""
        keys: set[int] = set()
        lowest = end
        async with aclosing(self._pages(conversation, start, end)) as pages:
            async for messages, _ in pages:
                conversation = await self._with_members(conversation, messages)
                page = self._take(conversation, messages, start, end)
                keys |= page.keys
                lowest = min(lowest, page.lowest)
                await self._read_threads(conversation, page.roots, marks, stored)
                await self._sink.flush_if_full()
        self._sweep(conversation, min(lowest, max(start, trusted)), end, keys)

    async def _with_members(self, conversation: Conversation, messages: list[Any]) -> Conversation:
        """Return a direct message in which something was said with its members, and remember them."""
        if not messages or conversation.has_members:
            return conversation
        found = await self._members(conversation)
        if found.members:
            keys = dict.fromkeys(self._sink.parser.people.key(member) for member in found.members)
            self._sink.cursors[f"{MEMBERS_CURSOR}{found.space_key}"] = dump_members(list(keys))
        return found

    def _take(self, conversation: Conversation, messages: list[Any], start: int, end: int) -> Page:
        """Parse a page's messages in [start, end) and return what reading on depends on."""
        parser = self._sink.parser
        page = Page(end)
        for message in messages:
            moment = parse_ts(message.get("ts")) if isinstance(message, dict) else None
            if moment is not None and not start <= moment < end:
                continue  # the server went beyond what was asked
            reason = parser.add(message, conversation)
            if reason is not None:
                parser.refuse(reason, message, conversation)
            if moment is not None:
                key = parser.columns.interaction_key[-1] if reason is None else parser.key(conversation.channel, format_ts(moment))
                page.keys.add(key)
                page.moments.append((moment, key))
                page.lowest = min(page.lowest, moment)
                root = as_root(message, moment, key)
                if root is not None:
                    page.roots.append(root)
        return page

    async def _pages(self, conversation: Conversation, start: int, end: int) -> AsyncGenerator[tuple[list[Any], bool], None]:
        """Give pages of a conversation's messages in [start, end) and whether each is the last.

        Slack's cursor is followed where it gives one, since an empty page may come before the end; where the cursor is
        refused, or for Discovery, which has none, the oldest message so far says where to go on.
        """
        method = "discovery.conversations.history" if conversation.is_discovered else "conversations.history"
        extra: dict[str, object] = {"team": conversation.team, "reactions": 1} if conversation.is_discovered else {}
        cursor: str | None = None
        followed: set[str] = set()
        latest = asked_from = end
        while True:
            try:
                data = await self._client.call(
                    method,
                    channel=conversation.channel,
                    # both bounds are exclusive in Slack; one microsecond less makes the start inclusive
                    oldest=format_ts(start - 1),
                    latest=format_ts(latest if cursor is None else end),
                    limit=self._settings.page_size,
                    cursor=cursor,
                    **extra,
                )
            except SlackError as error:
                # a refused cursor is replaced by the time read so far, if that got any further since the last one was
                if cursor is None or error.code != "invalid_cursor" or latest >= asked_from:
                    raise
                cursor, asked_from = None, latest
                continue
            found = data.get("messages")
            messages: list[Any] = found if isinstance(found, list) else []
            moments = [moment for m in messages if isinstance(m, dict) and (moment := parse_ts(m.get("ts"))) is not None]
            lowest = min(moments, default=latest)
            following = next_cursor(data)
            if following is not None and following in followed:
                # cursors that come round: go on by time, as long as that leads further back
                if min(latest, lowest) >= asked_from:
                    raise SlackError("cursor_cycle")
                followed, following, asked_from = set(), None, min(latest, lowest)
                has_more = True
            else:
                has_more = following is not None or ((data.get("has_more") is True or bool(data.get("offset"))) and lowest < latest)
            yield messages, not has_more
            if not has_more:
                return
            if following is not None:
                followed.add(following)
            cursor = following
            latest = min(latest, lowest)

    def _sweep(self, conversation: Conversation, since: int, until: int, seen: set[int], thread_key: int | None = None) -> None:
        since = max(since, self._oldest_swept)
        if since < until:
            self._sink.rows["sweep"].append(
                {
                    "space_key": conversation.space_key,
                    "thread_key": thread_key,
                    "since": to_instant(since),
                    "until": to_instant(until),
                    "seen": sorted(seen),
                }
            )

    # -- threads ------------------------------------------------------------------------------------------------------

    async def _read_threads(self, conversation: Conversation, roots: list[Root], marks: dict[str, str], stored: set[int] | None) -> None:
        """Read the replies of those threads whose first message says something else than when they were last read."""
        if conversation.is_discovered:
            return  # Discovery's history holds replies among the messages
        settle = self._settings.settle_hours * _HOUR
        for root in roots:
            name = f"{THREAD_CURSOR}{conversation.space_key}:{root.key}"
            known = ThreadMark.parse(marks[name]) if name in marks else None
            if root.count == 0 and not root.latest:
                if known is not None:  # all its replies were deleted
                    self._sweep(conversation, root.moment, self._until, set(), root.key)
                    self._sink.cursors[name] = ""
                continue
            is_settled = self._until - root.latest >= settle
            if stored is not None:
                # a sweep reads replies again, for their edits and reactions; of what ended long ago only what is not stored
                if root.latest < self._revisited and self._sink.parser.key(conversation.channel, format_ts(root.latest)) in stored:
                    continue
            elif known is not None and (known.latest, known.count) == (root.latest, root.count) and (known.is_settled or not is_settled):
                continue
            is_kept = root.moment >= self._kept_from
            if is_kept and known is None:
                # in the same batch as its first replies: a run that is killed between them leaves a thread to look at again
                self._sink.cursors[name] = ThreadMark(root.moment, 0, -1, False).dump()
            try:
                last = await self._read_replies(conversation, root, known)
            except SlackError as error:
                if error.code == "missing_scope":
                    raise
                self._thread_unread(conversation, root, error.code)
                continue
            await self._sink.flush_if_full()
            if is_kept:
                # replies after the run's end were not read: then what was read stands, and the next run sees it moved
                latest = root.latest if root.latest < self._until else last
                self._sink.cursors[name] = ThreadMark(root.moment, latest, root.count, is_settled).dump()

    async def _read_replies(self, conversation: Conversation, root: Root, known: ThreadMark | None) -> int:
        """Read a thread's replies; return when the latest was sent.

        A thread that fits a page is read whole: that costs the same request and shows edits and deletions. Of a longer one
        only what is new, unless the counts then say that something went missing before.
        """
        if known is not None and known.count >= self._settings.page_size and root.count > known.count:
            last, count = await self._replies(conversation, root, known.latest, None)
            if known.count + count == root.count:
                return last
        seen: set[int] = set()
        last, _ = await self._replies(conversation, root, root.moment, seen)
        self._sweep(conversation, root.moment, self._until, seen, root.key)
        return last

    async def _replies(self, conversation: Conversation, root: Root, after: int, seen: set[int] | None) -> tuple[int, int]:
        """Read a thread's replies after a moment; return when the latest was sent and how many there were."""
        parser = self._sink.parser
        last, count = after, 0
        async for messages in self._client.pages(
            "conversations.replies",
            "messages",
            channel=conversation.channel,
            ts=root.ts,
            oldest=format_ts(after),
            latest=format_ts(self._until),
            limit=self._settings.page_size,
        ):
            for message in messages:
                moment = parse_ts(message.get("ts")) if isinstance(message, dict) else None
                if moment is not None:
                    if moment == root.moment or not after < moment < self._until:
                        continue  # Slack repeats the root in every answer
                    last, count = max(last, moment), count + 1
                    if seen is not None:
                        seen.add(parser.key(conversation.channel, format_ts(moment)))
                reason = parser.add(message, conversation)
                if reason is not None:
                    parser.refuse(reason, message, conversation)
            await self._sink.flush_if_full()
        return last, count

    def _thread_unread(self, conversation: Conversation, root: Root, reason: str) -> None:
        day = to_instant(root.moment).date()
        self._sink.rows["coverage"].append(
            {
                "stream": "threads",
                "unit_key": conversation.space_key,
                "medium": conversation.medium,
                "date_from": day,
                "date_to": min(day + timedelta(days=self._settings.late_reply_days), to_instant(self._until).date()),
                "status": "partial",
                "reason": reason,
            }
        )
