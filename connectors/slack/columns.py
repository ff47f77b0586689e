"""Arrow tables built column by column, since one mapping a row would cost more than parsing the message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa

from connectors.records import INSTANT, PARTICIPANT, SCHEMAS, table

SOURCE: Final = "slack"
MICROSECOND: Final = 1_000_000
_DAY: Final = 86_400 * MICROSECOND
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


def utc_day(microseconds: int) -> date:
    """Return the UTC day of an instant given in microseconds since 1970."""
    return date.fromordinal(_EPOCH_ORDINAL + microseconds // _DAY)


def to_microseconds(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970, in whole numbers throughout."""
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * MICROSECOND + since.microseconds


def to_instant(microseconds: int) -> datetime:
    """Return microseconds since 1970 as an aware instant."""
    return datetime.fromtimestamp(microseconds // MICROSECOND, UTC).replace(microsecond=microseconds % MICROSECOND)


class InteractionColumns:
    """Interactions as growing columns; participants lie in two flat columns with offsets."""

    __slots__ = (
        "exclusion",
        "interaction_key",
        "medium",
        "minutes",
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
        self.space_key: list[int] = []
        self.thread_key: list[int | None] = []
        self.sender_key: list[int | None] = []
        self.recipient_count: list[int | None] = []
        self.minutes: list[float | None] = []
        self.reply_count: list[int | None] = []
        self.exclusion: list[str | None] = []
        self.offsets: list[int] = [0]
        self.participant: list[int] = []
        self.participant_evidence: list[str] = []

    def __len__(self) -> int:
        return len(self.interaction_key)

    def close_row(self) -> None:
        """Say that the participants added so far belong to the rows so far."""
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
            "mode_evidence": pa.nulls(count, pa.string()),
        }
        for name in schema.names:
            if name not in columns:
                columns[name] = pa.array(getattr(self, name), schema.field(name).type)
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def records(**kinds: Sequence[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """Return the tables of the small record kinds from rows without `source`; kinds without rows are left out."""
    return {kind: table(kind, [{"source": SOURCE, **row} for row in rows]) for kind, rows in kinds.items() if rows}
