"""Mail: who wrote to whom, and when. No subject, body, attachment or folder name is asked for.

A message lies in its sender's mailbox and in each recipient's. The sender's own copy also tells blind copies, so it holds; a
received copy counts where the sender's was not met: of people outside, of leavers, of mailboxes that are closed, out of scope or on
premises, and of what was sent without a copy. That a sender is a colleague does not show that their copy was read.

The key is `Pseudonymiser.key("microsoft365:mail", internetMessageId)`: a message found twice is one. The thread is the conversation's
own id in `conversationIndex`; `conversationId` is another one in every mailbox. Mail that its sender deleted was sent all the same, so
mail is never swept. Invitations and answers to them are meetings, not mail.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from connectors.columns import PARTICIPANT_LIMIT, Interactions, utc_day
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.people import People
from connectors.microsoft365.times import parse_time
from connectors.pseudonyms import normalise_address

STREAM: Final = "mail"
SELECT: Final = (
    "id",
    "internetMessageId",
    "conversationId",
    "conversationIndex",
    "from",
    "sender",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "sentDateTime",
    "receivedDateTime",
    "isDraft",
    "parentFolderId",
)
_LONGEST_ID: Final = 2000
_LONGEST_LIST: Final = 100_000
_SEEN_LIMIT: Final = 4_000_000
_RECIPIENTS: Final = (("toRecipients", "addressed"), ("bccRecipients", "addressed"), ("ccRecipients", "copied"))
_CONVERSATION: Final = slice(6, 22)
# a conversationId: the mailbox's id as text between two marks of length, then the conversation's own
_MAILBOX_AND_CONVERSATION: Final = 59
_MAILBOX_MARK: Final = b"\x00\x04\x24\x00"


@dataclass(slots=True)
class Mailbox:
    """A mailbox that is being read.

    Attributes:
        owner: Its account.
        rows: Interactions found in it and not handed over yet.
        needs_sent_items: Whether a message was met of which only the folder tells whether the owner wrote it (it names a shared
            mailbox as its sender, and was not sent to the owner), or whose folder is not told.
        unsigned: Messages that name no sender whom anybody knows, by hash, with their id and day: Sent Items may tell that the owner wrote
            them.
        to_oneself: Of messages that the owner sent to themselves, how many recipients the fullest copy names.
    """

    owner: int
    rows: Interactions = field(default_factory=Interactions)
    needs_sent_items: bool = False
    unsigned: dict[int, tuple[object, date]] = field(default_factory=dict)
    to_oneself: dict[int, int] = field(default_factory=dict)


class MailParser:
    """Turns Graph messages into interactions.

    Args:
        people: The run's accounts.
        faults: Where records that make no sense are counted.
    """

    def __init__(self, people: People, faults: Faults) -> None:
        self._people = people
        self._faults = faults
        self._key = people.pseudonyms.key
        self._own: set[int] = set()
        self._received: set[int] = set()

    def take(self, messages: Iterable[object], mailbox: Mailbox, *, is_sent: bool) -> None:
        """Take messages of a mailbox; `is_sent` says that their folder is Sent Items."""
        if len(self._own) + len(self._received) > _SEEN_LIMIT:
            # only a saving: what is stored twice is stored once
            self._own.clear()
            self._received.clear()
        for message in messages:
            if type(message) is not dict:
                self._faults.add("not_an_object", message)
                continue
            self._take(message, mailbox, is_sent)

    def finish(self, mailbox: Mailbox) -> None:
        """End a mailbox: what nobody is known to have sent is put aside."""
        for mark, (name, day) in mailbox.unsigned.items():
            if mark not in self._own:
                self._faults.add("missing_sender", {"id": name}, day)
        mailbox.unsigned.clear()

    def _take(self, message: dict[str, Any], mailbox: Mailbox, is_sent: bool) -> None:
        get = message.get
        people, owner = self._people, mailbox.owner
        if not is_sent and "parentFolderId" not in message:
            mailbox.needs_sent_items = True
        is_draft = get("isDraft") is True
        if is_draft and not is_sent:
            return
        name = get("internetMessageId")
        if type(name) is not str or not 0 < len(name) <= _LONGEST_ID:
            name = get("id")
        # in one run messages are told apart by Python's own hash: most copies were met before, and need no keyed one
        mark = hash(name) if type(name) is str and 0 < len(name) <= _LONGEST_ID else None
        if mark in self._own and mark not in mailbox.to_oneself:
            return
        shown = _account(get("from"), people)
        wrote = shown if get("sender") == get("from") else _account(get("sender"), people)
        sender = shown if shown == wrote else _author(message, shown, wrote, people)
        is_shared = people.kinds.get(sender or 0) == "shared_mailbox"
        if is_sent and (sender is None or is_shared) and (get("from") or get("sender")):
            # sent as a shared mailbox or a group; an old message names its sender by a directory path
            sender, is_shared = owner, False
        is_own = is_sent or owner == sender
        # in the owner's name: their own, unless it was sent to them too
        is_in_name = not is_own and owner in (shown, wrote)
        if mark in self._received and not (is_own or is_shared or is_in_name):
            return
        at = parse_time(get("sentDateTime")) or parse_time(get("receivedDateTime"))
        if at is None:
            self._faults.add("bad_time", message)
            return
        if mark is None:
            self._faults.add("missing_id", message, utc_day(at))
            return
        if sender is None and not is_draft:
            mailbox.needs_sent_items = True
            mailbox.unsigned[mark] = message.get("id"), utc_day(at)
            return
        read = self._reached(message)
        if read is None:
            self._faults.add("bad_recipients", message, utc_day(at))
            return
        reached, count = read
        is_own = is_own or (is_in_name and owner not in reached)
        if owner in reached:
            if is_own and mailbox.to_oneself.get(mark, -1) >= count:
                # of two copies of a message to oneself, the one that names more recipients is the one that was sent
                return
            if is_own:
                mailbox.to_oneself[mark] = count
        elif is_shared and not is_own:
            mailbox.needs_sent_items = True
        exclusion = "draft" if is_draft else "opted_out" if sender in people.opted_out else None
        if exclusion is None and _is_about_meeting(message):
            exclusion = "system"
        if exclusion is not None or count > PARTICIPANT_LIMIT:
            reached = {}
        reached.pop(sender, None)  # type: ignore[arg-type]
        if people.opted_out:
            reached = {account: evidence for account, evidence in reached.items() if account not in people.opted_out}
        if not is_draft:
            (self._own if is_own else self._received).add(mark)
        mailbox.rows.add(
            self._key("microsoft365:mail", str(name), remember=False),
            at,
            "email",
            None if exclusion == "opted_out" else sender,
            reached.items(),
            thread=self._thread(message),
            recipients=count,
            exclusion=exclusion,
            is_received=not is_own,
        )

    def _reached(self, message: dict[str, Any]) -> tuple[dict[int, str], int] | None:
        """Return the recipients' accounts with their evidence, and how many were named; None if they cannot be read."""
        people = self._people
        reached: dict[int, str] = {}
        count = 0
        for name, evidence in _RECIPIENTS:
            listed = message.get(name)
            if not listed:
                continue
            if type(listed) is not list or len(listed) > _LONGEST_LIST:
                return None
            count += len(listed)
            if count <= PARTICIPANT_LIMIT:
                for recipient in listed:
                    account = _account(recipient, people)
                    if account is not None:
                        # to before cc: whoever is in both was addressed
                        reached.setdefault(account, evidence)
        return reached, count

    def _thread(self, message: dict[str, Any]) -> int | None:
        conversation = conversation_id(message.get("conversationIndex"), message.get("conversationId"))
        return None if conversation is None else self._key("microsoft365:conversation", conversation, remember=False)


def conversation_id(index: object, name: object) -> str | None:
    """Return what names a conversation in every mailbox: bytes 6 to 22 of its index, in hexadecimal.

    Args:
        index: `conversationIndex`: base64 of a byte, five of time, sixteen of the conversation, and five for each answer.
        name: `conversationId`, looked at where the index is none: it ends with the same sixteen bytes, or else is taken as it is.
    """
    if type(index) is str and 28 <= len(index) <= _LONGEST_ID:
        try:
            found = binascii.a2b_base64(index, strict_mode=True)
        except (binascii.Error, ValueError):
            found = b""
        if len(found) >= _CONVERSATION.stop:
            return found[_CONVERSATION].hex()
    if type(name) is not str or not name:
        return None
    try:
        found = urlsafe_b64decode(name) if name.isascii() and len(name) == 80 else b""
    except (binascii.Error, ValueError):
        found = b""
    if len(found) == _MAILBOX_AND_CONVERSATION and found.startswith(_MAILBOX_MARK):
        return found[-16:].hex()
    return name


def _author(message: dict[str, Any], shown: int | None, wrote: int | None, people: People) -> int | None:
    """Return who wrote a message that is sent in another's name: `sender`, except where that is no person, or another company's.

    A delegate's work is the delegate's. A service that sends in its customer's name is neither a person nor the customer's colleague.
    """
    if shown is None or wrote is None:
        return wrote if shown is None else shown
    if wrote in people.kinds:
        return shown
    if people.is_internal(wrote) or people.is_internal(shown):
        return wrote
    one, other = _domain(message.get("from")), _domain(message.get("sender"))
    return wrote if f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}") else shown


def _domain(recipient: Any) -> str:
    address = recipient["emailAddress"]["address"]
    return (normalise_address(address) or "").rpartition("@")[2]


def _is_about_meeting(message: dict[str, Any]) -> bool:
    """Return whether a message is an invitation, an answer to one or its withdrawal; Graph marks those by their type."""
    kind = message.get("@odata.type")
    return (type(kind) is str and "eventmessage" in kind.casefold()) or message.get("meetingMessageType") not in (None, "", "none")


def _account(recipient: Any, people: People) -> int | None:
    """Return the account of a recipient object (`{"emailAddress": {"address": ..., "name": ...}}`), or None."""
    if type(recipient) is not dict:
        return None
    address = recipient.get("emailAddress")
    return people.by_address(address.get("address")) if type(address) is dict else None
