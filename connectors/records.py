"""The allow-list: the only records, and the only fields of them, that may leave a connector.

Each record kind is one Arrow schema; every field carries the sentence that a data protection officer reads. A field
that is not here does not exist: there is no free-text column, no subject, no title, no name and no address.

Keys are keyed hashes (see `connectors.pseudonyms`): 64-bit integers for accounts, spaces, threads and interactions,
128-bit identifiers (32 hexadecimal digits) for persons. Times are UTC with microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pyarrow as pa

KEY: Final = pa.int64()
PERSON_ID: Final = pa.string()
INSTANT: Final = pa.timestamp("us", tz="UTC")
PARTICIPANT: Final = pa.struct([pa.field("account_key", KEY, nullable=False), pa.field("evidence", pa.string(), nullable=False)])

MEDIA: Final = (
    "slack_dm",
    "slack_group_dm",
    "slack_channel",
    "slack_huddle",
    "email",
    "teams_chat",
    "teams_group_chat",
    "teams_channel",
    "call",
    "meeting_online",
    "meeting_in_person",
    "meeting_hybrid",
    "meeting_unknown",
)
"""Every medium that perdure knows, in the order in which reports show them."""

EVIDENCE: Final = ("addressed", "replied", "mentioned", "reacted", "copied", "co_present")
"""What shows that two people were in contact. `replied` is derived from threads in the warehouse; what a connector says of whom a reply
answers counts only where the thread's first message is not stored."""

ACCOUNT_KINDS: Final = ("human", "bot", "app", "room", "shared_mailbox", "unknown")
"""Only `human` and `unknown` accounts become persons."""

EXCLUSIONS: Final = (
    "bot",
    "join_or_leave",
    "system",
    "deleted",
    "draft",
    "cancelled",
    "all_day",
    "free",
    "missed",
    "no_sender",
    "opted_out",
    "out_of_scope",
    "app",
)
"""Why an interaction is stored, and counted, without making any contact.

`out_of_scope` is what is nobody else's, or private: an appointment with nobody else in it, a meeting that its organiser marks private or
personal (neither organiser nor people are kept of it), and a call that was answered where nobody has an account: at a telephone, by a
guest without a name. `missed` is a call that nobody answered; a voice mailbox, a queue or another service is nobody. What an app sent in
somebody's name (`app`) makes contacts all the same if the account is known to be a person's; the warehouse tells.
"""

Authority = Literal["replaces", "completes", "yields"]
"""How a batch's records meet those that are stored: they replace them; they do so where they say anything; or only fill in what is
not known, since what is stored is newer."""

COVERAGE_STATUSES: Final = ("observed", "partial", "missing")


def _field(name: str, kind: pa.DataType, sentence: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=not required, metadata={"description": sentence})


_SOURCE = _field(
    "source", pa.string(), "Which system the record comes from: slack, microsoft365, or the name given to an events file.", required=True
)

SCHEMAS: Final[Mapping[str, pa.Schema]] = {
    "account": pa.schema(
        [
            _SOURCE,
            _field("account_key", KEY, "The account, as a keyed hash of the id that the source gives it.", required=True),
            _field(
                "person_id",
                PERSON_ID,
                "The person, as a keyed hash of the account's main address; empty where the source shows no address.",
            ),
            _field("alias_ids", pa.list_(PERSON_ID), "Keyed hashes of the account's other addresses, so that one person is counted once."),
            _field(
                "domain_key",
                KEY,
                "Keyed hash of the address's domain (or Slack workspace), to tell the own organisation from clients and others.",
            ),
            _field("kind", pa.string(), "human, bot, app, room, shared_mailbox or unknown.", required=True),
            _field("is_active", pa.bool_(), "Whether the account can still be used (not deactivated, not blocked)."),
            _field("is_guest", pa.bool_(), "Whether the source marks the account as a guest or an outside person."),
            _field("is_licensed", pa.bool_(), "Whether the account holds a licence or mailbox, where the source tells."),
        ]
    ),
    "membership": pa.schema(
        [
            _SOURCE,
            _field("account_key", KEY, "The account whose place in the organisation this is.", required=True),
            _field("observed_on", pa.date32(), "The day on which the directory said so.", required=True),
            _field("valid_from", pa.date32(), "First day of this place, where the source states it; otherwise empty."),
            _field("valid_to", pa.date32(), "First day on which it no longer holds, where the source states it; otherwise empty."),
            _field("team", pa.string(), "The team or department, as the organisation names it."),
            _field("office", pa.string(), "The office or site, as the organisation names it."),
            _field("manager_key", KEY, "The manager's account."),
            _field("joined_on", pa.date32(), "The day on which the person joined, where the source states it."),
            _field("left_on", pa.date32(), "The day on which the person left, where the source states it."),
            _field(
                "organisation",
                pa.string(),
                "The organisation by the name that settings give it, where a people file states it; otherwise empty.",
            ),
        ]
    ),
    "space": pa.schema(
        [
            _SOURCE,
            _field("space_key", KEY, "The channel, chat, mailbox thread or meeting series, as a keyed hash.", required=True),
            _field("kind", pa.string(), "channel, group_dm, dm, chat, group_chat, mail_thread or meeting_series.", required=True),
            _field("medium", pa.string(), "The medium of what happens in it."),
            _field("is_private", pa.bool_(), "Whether only invited people see it."),
            _field("is_shared", pa.bool_(), "Whether people of another organisation are in it."),
            _field("is_archived", pa.bool_(), "Whether it is closed."),
            _field("is_standing", pa.bool_(), "Whether it is a recurring meeting series."),
            _field("member_count", pa.int32(), "How many members the source says it has now."),
        ]
    ),
    "interaction": pa.schema(
        [
            _SOURCE,
            _field("interaction_key", KEY, "The message, meeting or call, as a keyed hash of its natural id.", required=True),
            _field("occurred_at", INSTANT, "When it was sent or started, UTC.", required=True),
            _field("medium", pa.string(), "The medium, one of connectors.records.MEDIA.", required=True),
            _field("space_key", KEY, "The space in which it happened."),
            _field(
                "thread_key",
                KEY,
                "The interaction_key of the thread's first message, for a reply and for that first message itself; empty outside threads.",
            ),
            _field("sender_key", KEY, "The account that sent or organised it."),
            _field(
                "participants",
                pa.list_(PARTICIPANT),
                "The other accounts, each once for each kind of evidence: addressed, mentioned, replied, reacted, copied, co_present.",
            ),
            _field("recipient_count", pa.int32(), "To how many it was addressed in all, also where the list was too long to keep."),
            _field("minutes", pa.float64(), "How long it lasted, for meetings and calls."),
            _field("mode_evidence", pa.string(), "For meetings, on what online or in-person rests: stated, room, inferred or none."),
            _field(
                "reply_count",
                pa.int32(),
                "How many replies the source says the thread has (on its first message), to measure completeness.",
            ),
            _field("exclusion", pa.string(), "Why it makes no contact, one of connectors.records.EXCLUSIONS; empty where it may."),
            _field(
                "is_received",
                pa.bool_(),
                "Whether an e-mail is known by a recipient's copy only. The sender's own copy, which also tells blind copies, replaces it "
                "and is never replaced by it.",
            ),
        ]
    ),
    "coverage": pa.schema(
        [
            _SOURCE,
            _field("stream", pa.string(), "Which stream of the source: messages, mail, calendar, and so on.", required=True),
            _field(
                "unit_key",
                KEY,
                "The mailbox, channel or other unit that the statement is about, as a keyed hash; 0 for the whole stream.",
                required=True,
            ),
            _field("medium", pa.string(), "The medium that the stream observes; empty for directories."),
            _field("date_from", pa.date32(), "First UTC day of the statement.", required=True),
            _field("date_to", pa.date32(), "Last UTC day of the statement.", required=True),
            _field("status", pa.string(), "observed, partial or missing.", required=True),
            _field(
                "reason",
                pa.string(),
                "Why it is partial or missing, as a code: missing_scope, not_in_channel, mailbox_not_found, forbidden, and so on.",
            ),
        ]
    ),
    "quarantine": pa.schema(
        [
            _SOURCE,
            _field("stream", pa.string(), "Which stream the record came in.", required=True),
            _field("record_key", KEY, "Keyed hash of the record, so that the same fault is counted once.", required=True),
            _field("reason", pa.string(), "What was wrong, as a code; never a value from the record.", required=True),
            _field("observed_on", pa.date32(), "The day to which the record belongs, where that could be read."),
        ]
    ),
    "sweep": pa.schema(
        [
            _SOURCE,
            _field("space_key", KEY, "Only interactions of this space; empty for any."),
            _field("thread_key", KEY, "Only replies of this thread; empty for messages outside threads and threads' first messages."),
            _field("sender_key", KEY, "Only interactions sent or organised by this account; empty for any."),
            _field("media", pa.list_(pa.string()), "Only interactions of these media; empty for any."),
            _field("since", INSTANT, "Start of the window that was read whole (inclusive).", required=True),
            _field("until", INSTANT, "End of the window that was read whole (exclusive).", required=True),
            _field(
                "seen",
                pa.list_(KEY),
                "Every interaction that was seen in it: what is stored there and not listed was deleted at the source.",
                required=True,
            ),
        ]
    ),
}

NATURAL_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "account": ("source", "account_key"),
    "membership": ("source", "account_key", "observed_on", "valid_from"),
    "space": ("source", "space_key"),
    "interaction": ("source", "interaction_key"),
    "quarantine": ("source", "stream", "record_key"),
}
"""What makes two records of a kind the same record. Storing it again replaces it; of two in one batch the later wins.

Statements of coverage have none: they are about stretches of days that overlap, and the last word on each day holds.
"""


def table(kind: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Build the Arrow table of one record kind from rows.

    Args:
        kind: A key of `SCHEMAS`.
        rows: One mapping a record; absent fields become null.

    Raises:
        KeyError: If `kind`, or a field of a row, is not on the allow-list.
    """
    schema = SCHEMAS[kind]
    known = set(schema.names)
    listed = list(rows)
    for row in listed:
        if not known.issuperset(row):
            raise KeyError(f"{kind}: {sorted(set(row) - known)} not on the allow-list (connectors/records.py)")
    columns = {name: [row.get(name) for row in listed] for name in schema.names}
    return pa.Table.from_pydict(columns, schema=schema)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a connector hands over at once: records, and the cursors that are true once they are stored.

    Attributes:
        source: The source's name.
        stream: The stream's name, for progress and coverage.
        records: Record kind -> Arrow table with exactly the schema of `SCHEMAS[kind]`.
        cursors: Cursor name -> value. Names hold no raw id: use `Pseudonymiser.key` for the varying part. An empty
            value removes the cursor.
        units_done: Progress: how many units (channels, mailboxes, files) of the stream are done after this batch.
        units_total: Progress: how many there are, or None while unknown.
        authority: How the records meet those that are stored.
    """

    source: str
    stream: str
    records: Mapping[str, pa.Table] = field(default_factory=dict)
    cursors: Mapping[str, str] = field(default_factory=dict)
    units_done: int = 0
    units_total: int | None = None
    authority: Authority = "replaces"

    def __post_init__(self) -> None:
        for kind, records in self.records.items():
            if records.schema != SCHEMAS[kind]:
                raise ValueError(f"a {kind} table of {self.source}/{self.stream} does not have the allow-listed schema")

    @property
    def record_count(self) -> int:
        """How many records the batch holds, all kinds together."""
        return sum(records.num_rows for records in self.records.values())
