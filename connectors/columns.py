"""Times, and records built column by column: one mapping a row would cost more than parsing a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa

from connectors.records import INSTANT, PARTICIPANT, SCHEMAS, table

PARTICIPANT_LIMIT: Final = 250
"""More recipients than this are only counted."""
MICROSECOND: Final = 1_000_000
"""Microseconds a second: every time between parser and Arrow is a whole number of them since 1970."""
_DAY: Final = 86_400 * MICROSECOND
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


def to_microseconds(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970, in whole numbers throughout."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * MICROSECOND + since.microseconds


def to_instant(microseconds: int) -> datetime:
    """Return microseconds since 1970 as an aware instant."""
    return datetime.fromtimestamp(microseconds // MICROSECOND, UTC).replace(microsecond=microseconds % MICROSECOND)


def utc_day(microseconds: int) -> date:
    """Return the UTC day of microseconds since 1970."""
    return date.fromordinal(_EPOCH_ORDINAL + microseconds // _DAY)


class Interactions:
    """Interactions as growing columns; participants lie in two flat columns with offsets."""

    __slots__ = (
        "exclusion",
        "interaction_key",
        "is_received",
        "medium",
        "minutes",
        "mode_evidence",
        "occurred_at",
        "offsets",
        "participant",
        "participant_evidence",
        "recipient_count",
        "reply_count",
        "sender_key",
        "space_key",
        "thread_key",
    )

    def __init__(self) -> None:
        self.interaction_key: list[int] = []
        self.occurred_at: list[int] = []
        self.medium: list[str] = []
        self.space_key: list[int | None] = []
        self.thread_key: list[int | None] = []
        self.sender_key: list[int | None] = []
        self.recipient_count: list[int | None] = []
        self.minutes: list[float | None] = []
        self.mode_evidence: list[str | None] = []
        self.reply_count: list[int | None] = []
        self.exclusion: list[str | None] = []
        self.is_received: list[bool | None] = []
        self.offsets: list[int] = [0]
        self.participant: list[int] = []
        self.participant_evidence: list[str] = []

    def __len__(self) -> int:
        return len(self.interaction_key)

    def add(
        self,
        key: int,
        at: int,
        medium: str,
        sender: int | None,
        participants: Iterable[tuple[int, str]] = (),
        *,
        space: int | None = None,
        thread: int | None = None,
        recipients: int | None = None,
        minutes: float | None = None,
        mode: str | None = None,
        replies: int | None = None,
        exclusion: str | None = None,
        is_received: bool | None = None,
    ) -> None:
        """Add an interaction.

        Args:
            key: Its key.
            at: Microseconds since 1970.
            medium: One of `connectors.records.MEDIA`.
            sender: The sender's account key.
            participants: Account key and evidence of each other participant.
            space: Its space's key.
            thread: Its thread's key.
            recipients: To how many it was addressed.
            minutes: How long it lasted.
            mode: On what a meeting's mode rests.
            replies: How many replies the source says that its thread has.
            exclusion: Why it makes no contact.
            is_received: Whether an e-mail is known by a recipient's copy only.
        """
        self.interaction_key.append(key)
        self.occurred_at.append(at)
        self.medium.append(medium)
        self.sender_key.append(sender)
        self.space_key.append(space)
        self.thread_key.append(thread)
        self.recipient_count.append(recipients)
        self.minutes.append(minutes)
        self.mode_evidence.append(mode)
        self.reply_count.append(replies)
        self.exclusion.append(exclusion)
        self.is_received.append(is_received)
        for account, evidence in participants:
            self.participant.append(account)
            self.participant_evidence.append(evidence)
        self.offsets.append(len(self.participant))

    def table(self, source: str) -> pa.Table:
        """Return the allow-listed Arrow table of a source."""
        schema = SCHEMAS["interaction"]
        people = pa.StructArray.from_arrays(
            [pa.array(self.participant, pa.int64()), pa.array(self.participant_evidence, pa.string())], fields=list(PARTICIPANT)
        )
        columns: dict[str, pa.Array] = {
            "source": pa.repeat(source, len(self)),
            "occurred_at": pa.array(self.occurred_at, pa.int64()).cast(INSTANT),
            "participants": pa.ListArray.from_arrays(pa.array(self.offsets, pa.int32()), people, type=schema.field("participants").type),
        }
        for name in schema.names:
            if name not in columns:
                columns[name] = pa.array(getattr(self, name), schema.field(name).type)
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def records(source: str, **kinds: Sequence[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """Return the tables of the small record kinds from rows without `source`; kinds without rows are left out."""
    return {kind: table(kind, [{"source": source, **row} for row in rows]) for kind, rows in kinds.items() if rows}
