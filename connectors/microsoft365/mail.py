"""Mail: who wrote to whom, and when. No subject, body, attachment or folder name is asked for.

The Sent Items of each member give every internal message once, with its blind copies; other folders are read only for
senders outside, and for members whose Sent Items cannot be read (no mailbox any more, or refused the last time).
The key is `Pseudonymiser.key("microsoft365:mail", internetMessageId)`: a message found twice is one.
Mail that its sender deleted was sent all the same, so mail is never swept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from connectors.columns import PARTICIPANT_LIMIT, Interactions, utc_day
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.people import People
from connectors.microsoft365.times import parse_time

STREAM: Final = "mail"
SELECT: Final = (
    "id",
    "internetMessageId",
    "conversationId",
    "from",
    "sender",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "sentDateTime",
    "receivedDateTime",
    "isDraft",
)
_LONGEST_ID: Final = 2000
_LONGEST_LIST: Final = 100_000
_RECIPIENTS: Final = (("toRecipients", "addressed"), ("bccRecipients", "addressed"), ("ccRecipients", "copied"))


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

    def sent(self, messages: Iterable[object], rows: Interactions, owner: int) -> None:
        """Take messages of the Sent Items folder of an account: all of them."""
        for message in messages:
            self._take(message, rows, owner)

    def received(self, messages: Iterable[object], rows: Interactions) -> None:
        """Take messages of other folders whose sender is outside, or not read. The others are in their sender's Sent Items."""
        for message in messages:
            self._take(message, rows, None)

    def _take(self, message: object, rows: Interactions, owner: int | None) -> None:
        if type(message) is not dict:
            self._faults.add("not_an_object", message)
            return
        get = message.get
        people = self._people
        is_draft = get("isDraft") is True
        sender = _account(get("from"), people)
        if sender is None:
            sender = _account(get("sender"), people)
        if sender is None and owner is not None and (get("from") or get("sender")):
            # an old message names its sender by a directory path instead of an address
            sender = owner
        if owner is None and (is_draft or (sender is not None and people.is_internal(sender) and sender not in people.unread)):
            return
        at = parse_time(get("sentDateTime")) or parse_time(get("receivedDateTime"))
        if at is None:
            self._faults.add("bad_time", message)
            return
        name = get("internetMessageId")
        if type(name) is not str or not 0 < len(name) <= _LONGEST_ID:
            name = get("id")
            if type(name) is not str or not 0 < len(name) <= _LONGEST_ID:
                self._faults.add("missing_id", message, utc_day(at))
                return
        if sender is None and not is_draft:
            self._faults.add("missing_sender", message, utc_day(at))
            return
        reached: dict[int, str] = {}
        count = 0
        for field, evidence in _RECIPIENTS:
            listed = get(field)
            if not listed:
                continue
            if type(listed) is not list or len(listed) > _LONGEST_LIST:
                self._faults.add("bad_recipients", message, utc_day(at))
                return
            count += len(listed)
            if count <= PARTICIPANT_LIMIT:
                for recipient in listed:
                    account = _account(recipient, people)
                    if account is not None:
                        # to before cc: whoever is in both was addressed
                        reached.setdefault(account, evidence)
        exclusion = "draft" if is_draft else "opted_out" if sender in people.opted_out else None
        conversation = get("conversationId")
        thread = None
        if type(conversation) is str and conversation:
            thread = self._key("microsoft365:conversation", conversation, remember=False)
        key = self._key("microsoft365:mail", name, remember=False)
        if exclusion is not None or count > PARTICIPANT_LIMIT:
            reached = {}
        reached.pop(sender, None)  # type: ignore[arg-type]
        if people.opted_out:
            reached = {account: evidence for account, evidence in reached.items() if account not in people.opted_out}
        rows.add(
            key,
            at,
            "email",
            None if exclusion == "opted_out" else sender,
            reached.items(),
            thread=thread,
            recipients=count,
            exclusion=exclusion,
        )


def _account(recipient: Any, people: People) -> int | None:
    """Return the account of a recipient object (`{"emailAddress": {"address": ..., "name": ...}}`), or None."""
    if type(recipient) is not dict:
        return None
    address = recipient.get("emailAddress")
    return people.by_address(address.get("address")) if type(address) is dict else None
