"""A tenant with all the shapes of real ones at once, and a ledger of what is true of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from graph_world import UNTIL, FakeGraph, P, account, chat_message, event, mail, outsider, person

CLIENT = "client@far.example"
LIST = "everyone@own.example"
GROUP = "team@own.example"
ORGANISERS = ("own", "own", "own", "client", "group", "nobody", "path", "leaver")


@dataclass
class Ledger:
    """Meeting's or call's key -> who was there, for what makes contacts; and the keys of what was private, a telephone's, ..."""

    together: dict[int, set[int]] = field(default_factory=dict)
    excluded: dict[int, str] = field(default_factory=dict)
    chats: dict[int, set[int]] = field(default_factory=dict)


def identifier(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def address(number: int) -> str:
    return f"p{number}@own.example"


class Tenant:
    """So many people, of whom every eighth has no mailbox and one has left, with meetings, calls and chats over three weeks.

    Args:
        graph: Filled with it.
        people: How many people.
        seed: Of what is drawn.
    """

    def __init__(self, graph: FakeGraph, people: int = 24, seed: int = 1) -> None:
        self.graph = graph
        self.chance = random.Random(seed)
        self.ledger = Ledger()
        self.with_mailbox = []
        for number in range(people):
            if number % 8 == 7:
                graph.user(identifier(number), "", mail=None, userPrincipalName=address(number), proxyAddresses=[])
            else:
                graph.user(identifier(number), address(number))
                self.with_mailbox.append(number)
        self.leaver = people
        graph.user(identifier(people), address(people), accountEnabled=False, assignedLicenses=[])
        graph.put("groups", {"id": "g", "mail": GROUP}, {"id": "l", "mail": LIST})
        for path in ("places/graph.room", "teams", "communications/callRecords"):
            graph.put(path)
        for number in range(6 * people):
            self.meeting(number)
        for number in range(2 * people):
            self.call(number)
            self.chat(number, people)
        self.channels(people)
        for number in range(people):
            self.letter(number)

    def moment(self) -> str:
        return (
            (UNTIL - timedelta(hours=self.chance.uniform(2, 500))).replace(microsecond=0, second=0, minute=0).strftime("%Y-%m-%dT%H:%M:%S")
        )

    def meeting(self, number: int) -> None:
        chance, graph = self.chance, self.graph
        kind = chance.choice(ORGANISERS)
        host, *guests = chance.sample(self.with_mailbox, chance.randint(2, 6))
        organiser: Any = {"own": address(host), "client": CLIENT, "group": GROUP, "leaver": address(self.leaver)}.get(kind, "x")
        by_list, is_private, answers_sent = (chance.random() < share for share in (0.3, 0.1, 0.5))
        answers = {guest: chance.choice(["accepted", "accepted", "declined", "none", "tentativelyAccepted"]) for guest in guests}
        named = {LIST: "none"} if by_list else {address(guest): "none" for guest in guests}
        at = self.moment()
        online = chance.random() < 0.3
        more: dict[str, Any] = {"sensitivity": "private" if is_private else "normal"}
        if online:
            more["location"] = {"displayName": f"https://acme.zoom.us/j/{number}", "locationType": "default"}
        if kind in {"nobody", "path"}:
            more["organizer"] = None if kind == "nobody" else person("/O=X/OU=EXCHANGE/CN=RECIPIENTS/CN=abc")
        made = event(f"m{number}", organiser, named, at, **more)
        for mailbox in [host, *guests] if kind == "own" else guests:
            own = {"isOrganizer": mailbox == host, "responseStatus": {"response": "organizer" if mailbox == host else answers[mailbox]}}
            copy = {**made, **own}
            if mailbox == host and answers_sent and not by_list:
                copy["attendees"] = [
                    {**person(address(guest)), "type": "required", "status": {"response": answer}} for guest, answer in answers.items()
                ]
            graph.put(f"users/{identifier(mailbox)}/calendarView", copy)
        key = P.key("microsoft365:meeting", f"ical-m{number}|{_microseconds(at)}")
        there = {account(identifier(guest)) for guest, answer in answers.items() if answer == "accepted"}
        there |= {
            "own": {account(identifier(host))},
            "client": {outsider(CLIENT)},
            "leaver": {account(identifier(self.leaver))},
        }.get(kind, set())
        if is_private:
            self.ledger.excluded[key] = "out_of_scope"
        else:
            self.ledger.together[key] = there

    def call(self, number: int) -> None:
        chance, graph = self.chance, self.graph
        first, second = chance.sample(self.with_mailbox, 2)
        at = self.moment()
        record = {"id": f"c{number}", "version": 1, "type": "peerToPeer", "startDateTime": f"{at}Z", "endDateTime": f"{at[:14]}20:00Z"}
        graph.put("communications/callRecords", record | {"organizer": {"user": {"id": identifier(first)}}})
        other: dict[str, Any] = {"user": {"id": identifier(second)}}
        key = P.key("microsoft365:call", f"c{number}")
        if chance.random() < 0.3:
            other = {"phone": {"id": "+491234"}, "user": None}
            self.ledger.excluded[key] = "out_of_scope"
        else:
            self.ledger.together[key] = {account(identifier(first)), account(identifier(second))}
        sides = {"caller": {"identity": {"user": {"id": identifier(first)}}}, "callee": {"identity": other}}
        graph.put(f"communications/callRecords/c{number}/sessions", {"failureInfo": None, **sides})

    def chat(self, number: int, people: int) -> None:
        chance, graph = self.chance, self.graph
        is_group = chance.random() < 0.5
        members = chance.sample(range(people), chance.randint(3, 5) if is_group else 2)
        name = f"19:{number}@thread.v2" if is_group else f"19:{identifier(members[0])}_{identifier(members[1])}@unq.gbl.spaces"
        graph.objects[f"chats/{name}"] = {
            "chatType": "group" if is_group else "oneOnOne",
            "members": [{"userId": identifier(member)} for member in members],
        }
        for turn in range(3):
            made = chat_message(f"{number}-{turn}", identifier(members[turn % 2]), f"{self.moment()}Z", chatId=name)
            for member in members:
                graph.put(f"users/{identifier(member)}/chats/getAllMessages()", made)
            reached = {account(identifier(member)) for place, member in enumerate(members) if place != turn % 2}
            self.ledger.chats[P.key("microsoft365:chat_message", f"{name}:{number}-{turn}")] = reached

    def channels(self, people: int) -> None:
        for team in range(3):
            identity = {"teamId": f"t{team}", "channelId": f"19:c{team}"}
            self.graph.put("teams", {"id": f"t{team}"})
            self.graph.put(f"teams/t{team}/channels", {"id": f"19:c{team}", "membershipType": "standard"})
            self.graph.put(
                f"teams/t{team}/channels/getAllMessages()",
                *(chat_message(str(n), identifier(n % people), f"{self.moment()}Z", channelIdentity=identity) for n in range(10)),
            )

    def letter(self, number: int) -> None:
        sender, other = self.chance.sample(self.with_mailbox, 2)
        made = mail(f"l{number}", address(sender), [address(other)], f"{self.moment()}Z")
        for path in ("mailFolders/sentitems/messages", "messages"):
            self.graph.put(f"users/{identifier(sender)}/{path}", made)
        for path in ("mailFolders/inbox/messages", "messages"):
            self.graph.put(f"users/{identifier(other)}/{path}", made)


def _microseconds(at: str) -> int:
    from connectors.microsoft365.times import parse_time

    found = parse_time(at)
    assert found is not None
    return found
