"""Mail as Graph shows it: a copy in the sender's mailbox, one in every recipient's, drafts in Drafts; as unkind as Exchange.

Some of what people send and get lies in other folders by night; a conversation has another id in every mailbox; addresses are written
with quotes, marks that nobody sees and prefixes, and colleagues by directory paths. The ledger knows nothing of it.
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from datetime import date
from typing import Any, Final

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.evolution import Clock
from connectors.sandbox.log import MEDIUM, PROOF
from connectors.sandbox.odata import GraphRefusal, time_text
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.people import Ints

FOLDERS: Final = ("inbox", "sentitems", "drafts", "archive", "deleteditems", "junkemail")
_DELIVERY: Final = 3_000_000
"""Mail arrives so many microseconds after it was sent."""
_ALIAS_DAYS: Final = 40
_FILED: Final = 6
"""One message of so many lies in the archive by night."""
_WRITTEN: Final = ("{}", "{}", "{}", "{}", "'{}'", "\u202a{}\u202c", "SMTP:{}", "<{}>", "{};")
"""How addresses are written."""


class Mail:
    """Mailboxes at the clock's time.

    Args:
        organisation: The organisation.
        clock: The time.
    """

    def __init__(self, organisation: Organisation, clock: Clock) -> None:
        self._organisation = organisation
        self._log = log = organisation.log
        self._clock = clock
        mail = np.flatnonzero(log.medium == MEDIUM["email"])
        drafts = mail[log.what[mail] == l.DRAFT]
        sent = mail[log.what[mail] != l.DRAFT]
        owner = log.owner()
        got = np.flatnonzero((log.medium[owner] == MEDIUM["email"]) & (log.what[owner] != l.DRAFT))
        senders, getters, came = log.sender[sent], log.who[got], owner[got]
        is_sent_filed, is_filed = (sent + senders) % _FILED == 0, (came + getters) % _FILED == 1
        filed = np.concatenate([senders[is_sent_filed], getters[is_filed]]), np.concatenate([sent[is_sent_filed], came[is_filed]])
        self._folders = {
            "sentitems": Grouped(senders[~is_sent_filed], sent[~is_sent_filed]),
            "inbox": Grouped(getters[~is_filed], came[~is_filed]),
            "archive": Grouped(*filed),
            "drafts": Grouped(log.sender[drafts], drafts),
        }
        self._is_internal = [person.is_internal for person in organisation.people]
        self._addresses = [person.address for person in organisation.people]
        self._names = [person.name for person in organisation.people]
        self._dated = {
            person.number: (address, organisation_day(organisation, known))
            for person in organisation.people
            for address, known in person.aliases
            if known is not None
        }

    def count(self, person: int, folder: str) -> int:
        """Return how many messages a folder holds."""
        return len(self.messages(person, folder, None, "sentDateTime"))

    def messages(self, person: int, folder: str | None, span: tuple[int, int] | None, field: str) -> list[tuple[int, str]]:
        """Return the messages of a folder, or of all, in a span of time, newest first: event and folder."""
        name = folder.lower() if folder is not None else None
        if name is not None and name not in FOLDERS:
            raise GraphRefusal(404, "ErrorItemNotFound")
        shift = _DELIVERY if field == "receivedDateTime" else 0
        found: list[tuple[int, str]] = []
        for kind in [name] if name is not None else list(self._folders):
            if kind not in self._folders:
                continue
            events = self._folders[kind].of(person)
            times = self._log.at[events] // 1_000_000 * 1_000_000 + shift
            high = int(np.searchsorted(self._log.at[events] + _DELIVERY, self._clock.microseconds, "right"))
            low = 0
            if span is not None:
                low = int(np.searchsorted(times, span[0], "left"))
                high = min(high, int(np.searchsorted(times, span[1], "left")))
            found += [(event, kind) for event in events[low:high][::-1].tolist()]
        if name is None:
            found.sort(key=lambda pair: -pair[0])
        return found

    def build(self, person: int, event: int, folder: str, fields: frozenset[str] | None) -> dict[str, Any]:
        """Return a message object with the selected fields; without a selection also all content."""
        log = self._log
        at = int(log.at[event])
        sender = int(log.sender[event])
        if fields is None or "toRecipients" in fields or "ccRecipients" in fields or "bccRecipients" in fields:
            to, cc = self._recipients(event)
        else:
            to, cc = [], []
        author = self._party(sender, event)
        thread = int(log.thread[event])
        thread = event if thread < 0 else thread
        message: dict[str, Any] = {
            "@odata.etag": f'W/"{event:x}"',
            "id": f"AAMkAG{person:06x}{FOLDERS.index(folder):x}{event:010x}AAA=",
            "internetMessageId": f"<{event:x}.{sender:x}@mail.kestrel-lowe.example>",
            "conversationId": _conversation_id(person, thread),
            "conversationIndex": _conversation_index(event, thread),
            "from": author,
            "sender": author,
            "toRecipients": to,
            "ccRecipients": cc,
            "bccRecipients": [],
            "replyTo": [],
            "sentDateTime": time_text(at),
            "receivedDateTime": time_text(at + _DELIVERY),
            "createdDateTime": time_text(at),
            "lastModifiedDateTime": time_text(at + _DELIVERY),
            "isDraft": folder == "drafts",
            "importance": "normal",
            "parentFolderId": f"AQMkF{folder}",
        }
        if fields is not None:
            wanted = fields | {"id", "@odata.etag"}
            message = {name: value for name, value in message.items() if name in wanted}
            if fields.isdisjoint(_CONTENT):
                return message
            return message | {name: value for name, value in self._content(event).items() if name in fields}
        return message | self._content(event)

    @staticmethod
    def _content(event: int) -> dict[str, Any]:
        return {
            "subject": f"{CANARIES['subject']} {event}",
            "bodyPreview": f"{CANARIES['preview']} {event}",
            "body": {"contentType": "html", "content": f"<p>{CANARIES['body']} {event}</p>"},
            "uniqueBody": {"contentType": "html", "content": f"<p>{CANARIES['body']} {event}</p>"},
            "internetMessageHeaders": [{"name": "X-Note", "value": CANARIES["header"]}],
            "hasAttachments": event % 19 == 0,
            "attachments": [{"name": f"{CANARIES['attachment']}.docx"}] if event % 19 == 0 else [],
            "categories": [CANARIES["note"]],
            "webLink": f"https://{CANARIES['link']}.example/{event}",
            "isRead": True,
            "flag": {"flagStatus": "notFlagged"},
        }

    def _recipients(self, event: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        to: list[dict[str, Any]] = []
        cc: list[dict[str, Any]] = []
        for who, proof in self._log.participants(event):
            (cc if proof == PROOF["copied"] else to).append(self._party(who, event))
        return to, cc

    def _party(self, person: int, event: int) -> dict[str, Any]:
        address = self._addresses[person]
        if person in self._dated and event % 3 == 0:
            # a new address is in use before the directory tells of it
            alias, known = self._dated[person]
            if int(self._log.at[event]) > known - _ALIAS_DAYS * 86_400_000_000:
                address = alias
        elif self._is_internal[person] and (event + person) % 29 == 0:
            return {"emailAddress": {"name": self._names[person], "address": directory_path(person).upper()}}
        address = _WRITTEN[(event + person) % len(_WRITTEN)].format(address)
        return {"emailAddress": {"name": self._names[person], "address": address}}


def directory_path(person: int) -> str:
    """Return the X.500 path by which old mail names a colleague."""
    return f"/o=ExchangeLabs/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn={person:08x}"


def _conversation_id(person: int, thread: int) -> str:
    """The mailbox's id as text and the conversation's own: another one in every mailbox."""
    return urlsafe_b64encode(b"\0\4\x24\0" + f"{person:036d}".encode() + b"\0\x10\0" + thread.to_bytes(16, "big")).decode()


def _conversation_index(event: int, thread: int) -> str:
    """A byte, five of time, sixteen of the conversation, and five more for each answer."""
    return b64encode(b"\1\xd3\x27\x5b\xbc\x4e" + thread.to_bytes(16, "big") + (b"" if event == thread else b"\0\0\0\3\x49")).decode()


_CONTENT: Final = frozenset(Mail._content(0))


def organisation_day(organisation: Organisation, day: date) -> int:
    """Return a date's midnight UTC as microseconds since 1970."""
    return organisation.calendar.epoch + (day - organisation.world.start).days * 86_400_000_000


class Grouped:
    """Events by person, in order of time."""

    def __init__(self, people: Ints, events: Ints) -> None:
        order = np.lexsort((events, people))
        self._people, self._events = people[order], events[order]

    def of(self, person: int) -> Ints:
        """Return a person's events."""
        low, high = np.searchsorted(self._people, [person, person + 1])
        return self._events[low:high]
