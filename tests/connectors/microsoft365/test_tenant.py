"""A tenant of 150 people with every shape of mail at once: what is read is what was sent, to whom, by whom, in which thread."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from graph_world import UNTIL, FakeGraph, Landed, P, account, mail, outsider, person

PEOPLE = [f"p{number}" for number in range(150)]
CLOSED, ON_PREMISES, LEFT = set(PEOPLE[:6]), set(PEOPLE[6:12]), set(PEOPLE[12:18])
"""Mailboxes that may not be read, that are elsewhere, and accounts deleted before the first run."""
GUESTS = [f"g{number}" for number in range(5)]
STRANGERS = [f"c{number}@client{number % 9}.example" for number in range(60)] + [f"z{number}@partner.example" for number in range(8)]
ROBOTS = [
    "noreply@shop.example",
    "mailer-daemon@mx.example",
    "bounces@news.example",
    "jira-notifications@own.example",
    "x@lists.far.example",
]
GROUPS = ["all@own.example", "sales@own.example"]
SHARED = ["help", "info"]
FOLDERS = ["inbox", "archive", "AAMk-rule"]


def address(name: str) -> str:
    return f"{name}@own.example" if name in PEOPLE or name in SHARED else f"{name}@partner.example" if name in GUESTS else name


def path(name: str) -> str:
    return f"/o=ExchangeLabs/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn=0a1b-{name}"


def key(name: str) -> int:
    listed = name in SHARED or name in GUESTS or (name in PEOPLE and name not in LEFT)
    return account(name) if listed else outsider(address(name))


@dataclass
class Tenant:
    """A small service, and what it should tell: message -> sender, who it reached, thread, and whether it is no mail."""

    graph: FakeGraph
    chance: random.Random
    expected: dict[str, tuple[int, frozenset[int], int, str | None]] = field(default_factory=dict)
    persons: set[int] = field(default_factory=set)

    def written(self, name: str) -> str:
        """An address as people and programs write it."""
        plain = address(name)
        forms = [plain, plain.upper(), f"'{plain}'", f"\u202a{plain}\u202c", f"<{plain}>", f"SMTP:{plain}", f"{plain}.", f'"{plain}";']
        if name in PEOPLE and name not in LEFT:
            forms += [path(name).upper(), f"{name}@old.example", f"sip:{plain}"]
        return self.chance.choice(forms)

    def send(self, number: int) -> None:
        chance = self.chance
        sender = chance.choice(chance.choice([PEOPLE, PEOPLE, PEOPLE, STRANGERS, GUESTS, ROBOTS]))
        is_inside = sender in PEOPLE
        to = set(
            chance.sample([*PEOPLE, *STRANGERS[:20], *GUESTS], chance.choice([1, 1, 1, 2, 4])) if is_inside else chance.sample(PEOPLE, 2)
        )
        to.discard(sender)
        blind = {chance.choice(PEOPLE)} - to - {sender} if is_inside and chance.random() < 0.2 else set()
        others = [chance.choice(GROUPS)] if chance.random() < 0.1 else []
        thread = chance.randrange(300)
        shown, wrote = sender, sender
        if is_inside and chance.random() < 0.1:
            shown = chance.choice([*PEOPLE, *SHARED, *GROUPS])
            wrote = chance.choice([sender, shown]) if shown in SHARED else sender
        marks: dict[str, Any] = {}
        if chance.random() < 0.1:
            marks = {"@odata.type": "#microsoft.graph.eventMessageRequest", "meetingMessageType": "meetingRequest"}
        seconds = chance.randrange(25 * 86_400)
        at = (UNTIL - timedelta(days=27) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

        def copy(mailbox: str, *, is_own: bool) -> dict[str, Any]:
            about = f"{PEOPLE.index(mailbox):036d}".encode()
            more = {
                "id": f"AAMk-{number}-{mailbox}-{is_own}",
                "from": person(self.written(shown)),
                "sender": person(self.written(wrote)),
                "bccRecipients": [person(self.written(name)) for name in sorted(blind)] if is_own else [],
                "conversationId": base64.urlsafe_b64encode(b"\0\4\x24\0" + about + b"\0\x10\0" + thread.to_bytes(16, "big")).decode(),
                "conversationIndex": base64.b64encode(b"\1tttt\0" + thread.to_bytes(16, "big") + b"12345" * (number % 3)).decode(),
            }
            return mail(f"m{number}", "", [self.written(name) for name in sorted(to)] + others, at) | more | marks

        readable = [name for name in sorted(to | blind) if name in PEOPLE and name not in CLOSED | ON_PREMISES | LEFT]
        keeps_copy = is_inside and sender not in CLOSED | ON_PREMISES | LEFT and (wrote in SHARED or chance.random() < 0.85)
        if keeps_copy:
            folder = "sentitems" if wrote in SHARED else chance.choice(["sentitems", "sentitems", "sentitems", "AAMk-project"])
            self.graph.put(f"users/{sender}/mailFolders/{folder}/messages", copy(sender, is_own=True))
        for name in readable:
            self.graph.put(f"users/{name}/mailFolders/{chance.choice(FOLDERS)}/messages", copy(name, is_own=False))
        if not keeps_copy and not readable:
            return
        author = sender if wrote == sender or keeps_copy else wrote
        reached = frozenset(key(name) for name in (to | blind if keeps_copy else to) - {author})
        exclusion = "system" if marks else None
        self.expected[f"<m{number}@own.example>"] = (key(author), frozenset() if exclusion else reached, thread, exclusion)
        named = {author, *to, shown, wrote, *(blind if keeps_copy else ())}
        self.persons |= {key(name) for name in named if name not in [*ROBOTS, *SHARED, *GROUPS]}


def tenant(graph: FakeGraph, seed: int, count: int) -> Tenant:
    made = Tenant(graph, random.Random(seed))
    graph.whole_mailboxes = graph.counts_skips = True
    graph.page_size = 13
    graph.put("organization", {"id": "t-own", "verifiedDomains": [{"name": "own.example"}, {"name": "old.example"}]})
    graph.put("groups", *({"id": name, "mail": name, "proxyAddresses": [f"SMTP:{name}"]} for name in GROUPS))
    for name in PEOPLE:
        if name not in LEFT:
            proxies = [f"SMTP:{address(name)}", f"smtp:{name}@old.example", f"x500:{path(name)}", f"SIP:{address(name)}"]
            graph.user(name, address(name), proxyAddresses=proxies, department=f"team {len(name)}")
            made.persons.add(key(name))
    for name in GUESTS:
        graph.user(name, address(name), userPrincipalName=f"{name}_partner.example#EXT#@own.example")
        made.persons.add(key(name))
    for name in SHARED:
        graph.user(name, address(name), assignedLicenses=[], accountEnabled=False)
        graph.objects[f"users/{name}/mailboxSettings"] = {"userPurpose": "shared"}
    for name in CLOSED:
        graph.errors[f"users/{name}/"] = (403, "ErrorAccessDenied")
    for name in ON_PREMISES:
        graph.errors[f"users/{name}/"] = (404, "MailboxNotEnabledForRESTAPI")
    for number in range(count):
        made.send(number)
    return made


def compare(landed: Landed, made: Tenant) -> None:
    found = {row["interaction_key"]: row for row in landed.interactions().values() if row["medium"] == "email"}
    expected = {P.key("microsoft365:mail", name): told for name, told in made.expected.items()}
    assert set(found) == set(expected)
    threads: dict[int, set[int]] = {}
    for name, (sender, reached, thread, exclusion) in expected.items():
        row = found[name]
        assert (row["sender_key"], row["exclusion"]) == (sender, exclusion)
        assert {entry["account_key"] for entry in row["participants"]} == reached
        threads.setdefault(thread, set()).add(row["thread_key"])
    assert all(len(keys) == 1 for keys in threads.values())
    assert len(set.union(*threads.values())) == len(threads)
    assert {key for key, row in landed.accounts().items() if row["kind"] in ("human", "unknown")} == made.persons
    assert not landed.rows("quarantine")


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_read_is_what_was_sent(graph, settings, run, seed: int) -> None:
    made = tenant(graph, seed, 900)
    landed = await run(settings(calendar=False, chats=False, channels=False, calls=False))
    compare(landed, made)
    # another night says nothing else
    await run(settings(calendar=False, chats=False, channels=False, calls=False), landed, until=UNTIL + timedelta(days=1))
    compare(landed, made)
