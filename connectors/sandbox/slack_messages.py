"""Slack's message objects, shaped like those of its documentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox import names
from connectors.sandbox.background import BOTS
from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.evolution import Clock, Evolution
from connectors.sandbox.log import MEDIUM, PROOF
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.people import Ints

SLACK_CODES = (l.SLACK_CHANNEL, l.SLACK_DM, l.SLACK_GROUP)


def user_id(person: int) -> str:
    """Return a person's Slack user id."""
    return f"U0{person:07d}K"


def bot_id(bot: int) -> str:
    """Return a bot's id."""
    return f"B0{bot:05d}BOT"


def bot_user_id(bot: int) -> str:
    """Return the user id under which a bot posts."""
    return f"U0{bot:05d}BOT"


def channel_id(space: l.Space) -> str:
    """Return a conversation's id: D for direct messages, C for all others."""
    return f"{'D' if space.code == l.SLACK_DM else 'C'}0{space.code}{space.payload:X}"


def ts_text(microseconds: int) -> str:
    """Return a moment as Slack writes it."""
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


class Messages:
    """Builds message objects as they are at the clock's time.

    Args:
        organisation: The organisation.
        evolution: What changes later.
        clock: The time.
    """

    def __init__(self, organisation: Organisation, evolution: Evolution, clock: Clock) -> None:
        self._log = log = organisation.log
        self._evolution = evolution
        self._clock = clock
        self._users = [user_id(person.number) for person in organisation.people]
        self._teams = [
            names.SLACK_TEAM if person.is_internal else names.EXTERNAL_TEAMS.get(person.domain, "T0UNKNOWN")
            for person in organisation.people
        ]
        count = len(log)
        self._reactions = log.reaction_offsets()
        self.is_reply = (log.thread >= 0) & (log.thread != np.arange(count))
        self.is_broadcast = self.is_reply & (np.arange(count) % 50 == 7)
        replies = np.flatnonzero(self.is_reply)
        replies = replies[np.argsort(log.thread[replies], kind="stable")]
        self._replies, self._roots = replies, log.thread[replies]

    def replies(self, root: int) -> Ints:
        """Return the replies of a thread that are there now, oldest first."""
        low, high = np.searchsorted(self._roots, [root, root + 1])
        return self.visible(self._replies[low:high])

    def visible(self, events: Ints) -> Ints:
        """Return those of the events that have happened and are not deleted."""
        now = self._clock.microseconds
        deleted = self._evolution.deleted[events]
        found: Ints = events[(self._log.at[events] <= now) & ((deleted == 0) | (deleted > now))]
        return found

    def build(self, event: int, *, channel: str) -> dict[str, Any]:
        """Return the object of an event, as the API and exports show it in a conversation."""
        log = self._log
        what = int(log.what[event])
        if what == l.BOT:
            return self._of_bot(event)
        ts = ts_text(int(log.at[event]))
        sender = int(log.sender[event])
        user = self._users[sender]
        if what == l.JOIN:
            return {"type": "message", "subtype": "channel_join", "user": user, "text": f"<@{user}> has joined the channel", "ts": ts}
        if int(log.medium[event]) == MEDIUM["slack_huddle"]:
            return self._of_huddle(event, ts, channel)
        now = self._clock.microseconds
        edited = int(self._evolution.edited[event])
        is_edited = 0 < edited <= now
        text, blocks = self._content(event, is_edited)
        message: dict[str, Any] = {"user": user, "type": "message", "ts": ts, "text": text, "team": self._teams[sender]}
        message["client_msg_id"] = f"00000000-0000-4000-8000-{event:012x}"
        if blocks is not None:
            message["blocks"] = blocks
        if self._teams[sender] != names.SLACK_TEAM:
            message["user_team"] = message["source_team"] = self._teams[sender]
            message["user_profile"] = {"real_name": CANARIES["title"], "display_name": CANARIES["title"], "team": self._teams[sender]}
        if is_edited:
            message["edited"] = {"user": user, "ts": ts_text(edited // 1_000_000 * 1_000_000)}
        if event % 31 == 3:
            message["files"] = [_file(event, user)]
            message["upload"] = False
        if event % 97 == 5:
            message["attachments"] = [
                {"fallback": CANARIES["attachment"], "title": CANARIES["title"], "text": CANARIES["attachment"], "id": 1}
            ]
        self._add_reactions(message, event, now)
        thread = int(log.thread[event])
        if thread == event:
            self._add_thread(message, event, ts)
        elif thread >= 0:
            message["thread_ts"] = ts_text(int(log.at[thread]))
            message["parent_user_id"] = self._users[int(log.sender[thread])]
            if self.is_broadcast[event]:
                message["subtype"] = "thread_broadcast"
                message["root"] = {
                    "text": CANARIES["text"],
                    "ts": message["thread_ts"],
                    "user": message["parent_user_id"],
                    "type": "message",
                }
        return message

    def _content(self, event: int, is_edited: bool) -> tuple[str, list[dict[str, Any]] | None]:
        log = self._log
        mentioned: list[str] = []
        low, high = int(log.offsets[event]), int(log.offsets[event + 1])
        if high > low and (is_edited or not self._evolution.adds_mention[event]):
            for who, proof in zip(log.who[low:high].tolist(), log.proof[low:high].tolist(), strict=True):
                if proof == PROOF["mentioned"]:
                    mentioned.append(self._users[who])
        words = f"{CANARIES['text']} {event}" + (" (edited)" if is_edited else "")
        style = event % 4
        if style == 0:
            return "".join(f"<@{user}> " for user in mentioned) + words, None
        elements: list[dict[str, Any]] = [{"type": "user", "user_id": user} for user in mentioned]
        elements.append({"type": "text", "text": f" {CANARIES['block']} {event}"})
        section = {"type": "rich_text_section", "elements": elements}
        blocks = [{"type": "rich_text", "block_id": f"b{event:x}", "elements": [section]}]
        if style == 3:
            # some clients write the mention into the blocks only
            return words, blocks
        return "".join(f"<@{user}> " for user in mentioned) + words, blocks

    def _add_reactions(self, message: dict[str, Any], event: int, now: int) -> None:
        log = self._log
        low, high = self._reactions[event], self._reactions[event + 1]
        if low == high:
            return
        users = [
            self._users[who]
            for who, at in zip(log.reaction_who[low:high].tolist(), log.reaction_at[low:high].tolist(), strict=True)
            if at <= now
        ]
        if users:
            message["reactions"] = [{"name": CANARIES["emoji"], "users": users, "count": len(users)}]

    def _add_thread(self, message: dict[str, Any], event: int, ts: str) -> None:
        replies = self.replies(event)
        if not len(replies):
            return
        authors = list(dict.fromkeys(self._users[who] for who in self._log.sender[replies].tolist()))
        message |= {
            "thread_ts": ts,
            "reply_count": len(replies),
            "reply_users_count": len(authors),
            "latest_reply": ts_text(int(self._log.at[replies[-1]])),
            "reply_users": authors[:5],
            "is_locked": False,
            "subscribed": False,
        }

    def _of_bot(self, event: int) -> dict[str, Any]:
        bot = -1 - int(self._log.sender[event])
        return {
            "subtype": "bot_message",
            "text": f"{CANARIES['text']} {event}",
            "username": BOTS[bot],
            "attachments": [{"text": CANARIES["attachment"], "fallback": CANARIES["attachment"], "id": 1}],
            "type": "message",
            "ts": ts_text(int(self._log.at[event])),
            "bot_id": bot_id(bot),
            "app_id": f"A0{bot:05d}APP",
        }

    def _of_huddle(self, event: int, ts: str, channel: str) -> dict[str, Any]:
        log = self._log
        started = int(log.at[event]) // 1_000_000
        ended = started + round(float(log.minutes[event]) * 60)
        if ended * 1_000_000 > self._clock.microseconds:
            ended = 0
        founder = self._users[int(log.sender[event])]
        guests = [self._users[who] for who, proof in log.participants(event) if proof == PROOF["co_present"]]
        return {
            "user": "USLACKBOT",
            "type": "message",
            "subtype": "huddle_thread",
            "ts": ts,
            "text": f"{CANARIES['text']} A huddle started",
            "team": names.SLACK_TEAM,
            "permalink": f"https://{CANARIES['link']}.example/{event}",
            "room": {
                "id": f"R0{event:08d}",
                "name": CANARIES["room"],
                "media_server": "",
                "created_by": founder,
                "date_start": started,
                "date_end": ended,
                "participants": [] if ended else [founder, *guests],
                "participant_history": [founder, *guests],
                "participants_events": {},
                "channels": [channel],
                "is_dm_call": True,
                "was_missed": False,
                "has_ended": bool(ended),
                "call_family": "huddle",
            },
        }


def _file(event: int, user: str) -> dict[str, Any]:
    return {
        "id": f"F0{event:08d}",
        "name": f"{CANARIES['file']}.pdf",
        "title": f"{CANARIES['file']} {CANARIES['title']}",
        "mimetype": "application/pdf",
        "filetype": "pdf",
        "user": user,
        "size": 12345,
        "preview": CANARIES["preview"],
        "url_private": f"https://files.{CANARIES['link']}.example/F0{event:08d}",
    }
