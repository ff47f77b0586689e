"""Reading mail: each mailbox's messages of all folders, by when they came.

One listing holds what was sent and what was received, wherever it was filed since. Sent Items are asked for as well where the listing
does not say in which folders its messages lie, or where only the folder tells who wrote; folder by folder, where there is no listing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote

from connectors.columns import Interactions, to_instant
from connectors.microsoft365.client import GraphError, Page
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.mail import SELECT, STREAM, Mailbox, MailParser
from connectors.microsoft365.people import Member
from connectors.microsoft365.pump import Batcher, Emit, Part, each
from connectors.microsoft365.run import ROWS_A_PART, Run
from connectors.microsoft365.times import graph_time, parse_time
from connectors.microsoft365.windows import Coverage
from connectors.records import Batch

ALL: Final = "all"
SENT: Final = "sentitems"
INBOX: Final = "inbox"
_FOLDERS: Final = {"all_folders": (ALL,), "inbox": (SENT, INBOX), "off": (SENT,)}
_SEEN: Final = {"all_folders": ("observed", "all_folders"), "inbox": ("partial", "inbox_only"), "off": ("partial", "sent_only")}


@dataclass(slots=True)
class _MailReader:
    run: Run
    parser: MailParser
    coverage: Coverage

    async def read(self, member: Member, emit: Emit) -> None:
        """Read a mailbox. A folder that fails costs that folder; the mailbox is then read again from the same moment."""
        start = self.coverage.windows.start(member.key)
        if start >= self.run.until:
            await emit(Part(units=1))
            return
        mailbox = Mailbox(member.key)
        failure: GraphError | None = None
        folders = list(_FOLDERS[self.run.settings.external_mail])
        was_split = False
        while folders:
            folder = folders.pop(0)
            try:
                await self._folder(member, mailbox, folder, start, emit)
            except GraphError as error:
                if folder == ALL and error.reason == "not_found":
                    folders, was_split = [SENT, INBOX], True
                else:
                    failure = failure or error
                continue
            if folder == ALL and mailbox.needs_sent_items:
                folders.append(SENT)
        self.parser.finish(mailbox)
        if failure is not None:
            self.coverage.fail(member.key, failure)
            await emit(Part(mailbox.rows, units=1))
            return
        part = self.coverage.done(member.key, "inbox_only" if was_split else None)
        part.interactions = mailbox.rows
        part.cursors |= self.coverage.windows.cursor(member.key, self.run.until)
        await emit(part)

    async def _folder(self, member: Member, mailbox: Mailbox, folder: str, start: datetime, emit: Emit) -> None:
        run = self.run
        user = run.graph.client.users.by_user_id(member.user_id)
        builder: Any = user.messages if folder == ALL else user.mail_folders.by_mail_folder_id(folder).messages
        moment = "sentDateTime" if folder == SENT else "receivedDateTime"
        following: datetime | None = start
        while following is not None:
            start, following = following, None
            query: dict[str, Any] = {
                "select": list(SELECT),
                "filter": f"{moment} ge {graph_time(start)} and {moment} lt {graph_time(run.until)}",
                "orderby": [f"{moment} asc"],
                "top": run.settings.page_size,
            }
            async with aclosing(run.graph.pages(builder, unit=member.user_id, **query)) as pages:
                async for page in pages:
                    self.parser.take(page.values, mailbox, is_sent=folder == SENT)
                    if len(mailbox.rows) >= ROWS_A_PART:
                        await emit(Part(mailbox.rows))
                        mailbox.rows = Interactions()
                    if (following := goes_on_at(page, moment, start)) is not None:
                        break


def goes_on_at(page: Page, field: str, start: datetime) -> datetime | None:
    """Return from when on to ask anew after a page, in place of following a link that counts what to skip; None to follow the link.

    What vanishes from a mailbox while it is read shifts what such a link counts, and as many messages would never be seen.
    """
    if not isinstance(page.link, str) or "$skip=" not in unquote(page.link):
        return None
    times = [parse_time(value.get(field)) if isinstance(value, dict) else None for value in page.values]
    known = [time for time in times if time is not None]
    # in another order than asked for, or all of one moment: time leads nowhere
    is_ordered = len(known) == len(times) > 0 and all(one <= other for one, other in pairwise(known))
    return to_instant(known[-1]) if is_ordered and to_instant(known[-1]) > start else None


async def read_mail(run: Run) -> AsyncGenerator[Batch, None]:
    """Read the mail of every mailbox in scope."""
    faults = Faults(run.people.pseudonyms, STREAM)
    coverage = Coverage(run.windows(STREAM, timedelta(hours=run.settings.overlap_hours)), ("email",))
    coverage.status, coverage.told = _SEEN[run.settings.external_mail]
    if run.people.scope is not None:
        # of those out of scope only what reached someone in scope is seen
        coverage.status, coverage.told = "partial", "out_of_scope"
    reader = _MailReader(run, MailParser(run.people, faults), coverage)
    batcher = Batcher(STREAM, len(run.mailboxes), run.extras(faults))
    members = coverage.windows.in_turn(run.mailboxes, lambda member: member.key)
    async with aclosing(each(members, reader.read, workers=run.settings.concurrency)) as parts:
        async for part in parts:
            batcher.put(part)
            if (batch := batcher.due()) is not None:
                yield batch
    batcher.put(coverage.finish())
    yield batcher.flush()
