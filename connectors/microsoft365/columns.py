"""Times, and Arrow tables built column by column: one mapping a row would cost more than parsing the message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from connectors.records import INSTANT, PARTICIPANT, SCHEMAS, table

SOURCE: Final = "microsoft365"
PARTICIPANT_LIMIT: Final = 250
"""More recipients than this are only counted."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EARLIEST: Final = 631_152_000_000_000  # 1990
_LATEST: Final = 4_102_444_800_000_000  # 2100


def to_microseconds(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def to_instant(microseconds: int) -> datetime:
    """Return microseconds since 1970 as an aware instant."""
    return _EPOCH + timedelta(microseconds=microseconds)


def utc_day(microseconds: int) -> date:
    """Return the UTC day of microseconds since 1970."""
    return to_instant(microseconds).date()


def graph_time(instant: datetime) -> str:
    """Return an instant as Graph's filters want it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(value: object) -> int | None:
    """Return a Graph timestamp (`2026-03-01T09:30:00.1234567Z`) as microseconds since 1970, or None if it is none.

    Without a zone it is UTC. Digits past the microsecond are cut off. Years outside 1990 to 2099 are no timestamps of
    this service: Graph writes year 1 for "never".
    """
    if type(value) is not str or not 16 <= len(value) <= 40 or value[10] != "T":
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        found = (moment - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
    return found if _EARLIEST <= found < _LATEST else None


class Interactions:
    """Interactions as growing columns; participants lie in two flat columns with offsets."""

    __slots__ = (
        "exclusion",
        "interaction_key",
        "medium",
        "minutes",
        "mode_evidence",
        "occurred_at",
        "offsets",
        "participant",
        "participant_evidence",
        "recipient_count",
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
        self.exclusion: list[str | None] = []
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
        exclusion: str | None = None,
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
            exclusion: Why it makes no contact.
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
        self.exclusion.append(exclusion)
        for account, evidence in participants:
            self.participant.append(account)
            self.participant_evidence.append(evidence)
        self.offsets.append(len(self.participant))

    def table(self) -> pa.Table:
        """Return the allow-listed Arrow table."""
        schema = SCHEMAS["interaction"]
        count = len(self.interaction_key)
        people = pa.StructArray.from_arrays(
            [pa.array(self.participant, pa.int64()), pa.array(self.participant_evidence, pa.string())], fields=list(PARTICIPANT)
        )
        columns: dict[str, pa.Array] = {
            "source": pa.repeat(SOURCE, count),
            "occurred_at": pa.array(self.occurred_at, pa.int64()).cast(INSTANT),
            "participants": pa.ListArray.from_arrays(pa.array(self.offsets, pa.int32()), people, type=schema.field("participants").type),
            "reply_count": pa.nulls(count, pa.int32()),
        }
        for name in schema.names:
            if name not in columns:
                columns[name] = pa.array(getattr(self, name), schema.field(name).type)
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def records(**kinds: Sequence[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """Return the tables of the small record kinds from rows without `source`; kinds without rows are left out."""
    return {kind: table(kind, [{"source": SOURCE, **row} for row in rows]) for kind, rows in kinds.items() if rows}
