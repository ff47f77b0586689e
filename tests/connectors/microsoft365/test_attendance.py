"""Who was in a meeting: every copy knows something, none knows all; and what becomes of meetings that are withdrawn."""

from __future__ import annotations

import random
from copy import deepcopy
from datetime import timedelta
from itertools import permutations

import pytest
from graph_world import CANARY, UNTIL, Landed, P, account, event, outsider, person

ANNA, BERT, CARA, DORA = (f"{name}@own.example" for name in ("anna", "bert", "cara", "dora"))
NAMES = {"anna": ANNA, "bert": BERT, "cara": CARA, "dora": DORA}
CLIENT = "client@far.example"
ONLY_CALENDARS = {"mail": False, "calls": False, "chats": False, "channels": False}


@pytest.fixture
def people(graph):
    for name, address in NAMES.items():
        graph.user(name, address)
    graph.put("groups", {"id": "g", "mail": "team@own.example", "proxyAddresses": ["SMTP:team@own.example", "smtp:all@own.example"]})
    return graph


@pytest.fixture
def calendars(settings):
    return lambda **more: settings(**ONLY_CALENDARS, **more)


def put(people, organiser: str, attendees: dict[str, str], own: dict[str, str | None], name: str = "e", **more) -> None:
    """Put a meeting into mailboxes: `own` is mailbox -> its owner's answer, in the order of reading as well as may be."""
    for mailbox, answer in own.items():
        is_organiser = NAMES.get(mailbox) == organiser
        made = event(name, organiser, attendees, **deepcopy(more))
        made |= {"isOrganizer": is_organiser, "responseStatus": {"response": "organizer" if is_organiser else answer or "none"}}
        people.put(f"users/{mailbox}/calendarView", made)


def only(landed: Landed) -> dict:
    (row,) = [row for row in landed.interactions().values() if row["medium"].startswith("meeting")]
    return row


def present(row: dict) -> set[int]:
    return {entry["account_key"] for entry in row["participants"]}


def keys(*names: str) -> set[int]:
    return {account(name) if "@" not in name else outsider(name) for name in names}


# -- answers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "listed, own, expected",
    [
        # an answer that was never sent
        ({BERT: "none", CARA: "none"}, {"bert": "accepted", "cara": "declined"}, {"anna", "bert"}),
        ({BERT: "notResponded"}, {"bert": "accepted"}, {"anna", "bert"}),
        # one's own copy is newer than the organiser's
        ({BERT: "accepted", CARA: "declined"}, {"bert": "declined", "cara": "accepted"}, {"anna", "cara"}),
        ({BERT: "accepted"}, {"bert": "tentativelyAccepted"}, {"anna"}),
        # an answer that only the organiser knows: from a telephone, by a delegate, or of a mailbox that holds no copy
        ({BERT: "accepted", CARA: "accepted"}, {"bert": "none"}, {"anna", "bert", "cara"}),
        ({BERT: "accepted", CLIENT: "accepted"}, {}, {"anna", "bert", CLIENT}),
        # forwarded to somebody whom the organiser's copy does not name
        ({BERT: "accepted"}, {"bert": "accepted", "dora": "accepted"}, {"anna", "bert", "dora"}),
        # taken out, or not answered
        ({BERT: "none", CARA: "none"}, {"bert": None, "cara": "notResponded"}, {"anna"}),
    ],
)
async def test_each_copy_knows_its_owners_answer(people, calendars, run, listed, own, expected):
    put(people, ANNA, listed, {"anna": None, **own})
    row = only(await run(calendars()))
    assert (present(row), row["sender_key"], row["exclusion"]) == (keys(*expected), account("anna"), None)
    assert row["recipient_count"] == len(expected)


@pytest.mark.parametrize("organiser", [ANNA, CLIENT, "team@own.example"])
async def test_the_order_of_reading_is_of_no_consequence(people, calendars, run, organiser):
    own = {"anna": "accepted", "bert": "declined", "cara": "accepted", "dora": "none"}
    put(people, organiser, {BERT: "accepted", CARA: "none", DORA: "accepted"}, own)
    # copies that say different things of what it is
    people.collections["users/bert/calendarView"][0] |= {"showAs": "free", "location": {"displayName": "Zoom", "locationType": "default"}}
    people.collections["users/dora/calendarView"][0] |= {"isCancelled": True}
    landed = [await run(calendars(concurrency=concurrency)) for concurrency in (1, 4)]
    people.collections["users"].reverse()
    landed.append(await run(calendars()))
    rows = [only(one) for one in landed]
    assert rows[0] == rows[1] == rows[2]
    # the organiser has taken Dora out
    assert present(rows[0]) == {"anna@own.example": keys("anna", "cara"), CLIENT: keys(CLIENT, "anna", "cara")}.get(
        organiser, keys("anna", "cara")
    )


def test_copies_join_to_the_same_whatever_their_order():
    from connectors.microsoft365.calendar import CalendarParser, Meetings
    from connectors.microsoft365.faults import Faults
    from connectors.microsoft365.people import Member, People

    chance = random.Random(5)
    people = People(P)
    owners = [Member(name, account(name), address, (), False, True, True, True) for name, address in NAMES.items()]
    for owner in owners:
        people.add(owner, "human")
    parser = CalendarParser(people, Faults(P, "calendar"))
    answers = ["accepted", "declined", "none", "tentativelyAccepted", "notResponded"]
    for _ in range(200):
        organiser = chance.choice([ANNA, CLIENT, "", "no address"])
        copies = []
        for owner in owners:
            made = event("e", organiser, {address: chance.choice(answers) for address in chance.sample([*NAMES.values(), CLIENT], 3)})
            made |= {
                "responseStatus": {"response": chance.choice(answers)},
                "isCancelled": chance.random() < 0.3,
                "showAs": chance.choice(["busy", "free"]),
                "sensitivity": chance.choice(["normal", "normal", "private"]),
                "isOnlineMeeting": chance.random() < 0.5,
            }
            copies.append((made, owner.key))
        found = set()
        for some in permutations(copies):
            meetings = Meetings()
            for made, owner_key in some:
                meetings.take(parser.copies([made], owner_key, 0, 1 << 60))
            (meeting,) = meetings.settled(lambda key, moment: False)
            found.add((meeting.medium, meeting.exclusion, meeting.organiser, tuple(sorted(meeting.present())), tuple(meeting.holders())))
        assert len(found) == 1


# -- lists, groups, nobody ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["team@own.example", "Everyone <all@own.example>", "unlisted-list@own.example"])
async def test_a_meeting_with_a_list_is_a_meeting_of_those_in_it(people, calendars, run, where):
    put(people, ANNA, {where: "none"}, {"anna": None, "bert": "accepted", "cara": "accepted", "dora": "declined"})
    row = only(await run(calendars()))
    assert (present(row), row["exclusion"], row["sender_key"]) == (keys("anna", "bert", "cara"), None, account("anna"))


@pytest.mark.parametrize("holders, exclusion", [({}, "out_of_scope"), ({"bert": "none"}, None)])
async def test_a_list_is_as_many_as_hold_the_meeting(people, calendars, run, holders, exclusion):
    put(people, ANNA, {"team@own.example": "none"}, {"anna": None, **holders})
    row = only(await run(calendars()))
    assert (row["exclusion"], present(row)) == (exclusion, set() if exclusion else keys("anna"))


@pytest.mark.parametrize(
    "organizer",
    [
        person("team@own.example"),
        None,
        {"emailAddress": None},
        {"emailAddress": {"name": CANARY, "address": None}},
        {"emailAddress": {"name": CANARY, "address": ""}},
        {"emailAddress": {"name": CANARY}},
        person("/O=EXCHANGELABS/OU=EXCHANGE ADMINISTRATIVE GROUP (FYDIBOHF23SPDLT)/CN=RECIPIENTS/CN=abc"),
        person("not an address"),
    ],
)
async def test_a_meeting_that_nobody_is_the_organiser_of_is_stored_without_one(people, calendars, run, organizer):
    put(people, "x@own.example", {ANNA: "accepted", BERT: "accepted"}, {"anna": "accepted", "bert": "accepted"}, organizer=organizer)
    landed = await run(calendars())
    row = only(landed)
    assert (row["sender_key"], present(row), row["exclusion"]) == (None, keys("anna", "bert"), None)
    assert not landed.rows("quarantine")


async def test_an_appointment_without_an_organiser_is_nobodys_meeting(people, calendars, run):
    people.put("users/anna/calendarView", event("e", ANNA, {}) | {"organizer": None})
    assert only(await run(calendars()))["exclusion"] == "out_of_scope"


# -- private, cancelled, long -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sensitivity", ["private", "personal"])
async def test_a_private_meeting_is_counted_and_nothing_more(people, calendars, run, sensitivity):
    put(people, ANNA, {BERT: "accepted"}, {"anna": None, "bert": "accepted"}, sensitivity=sensitivity)
    row = only(await run(calendars()))
    assert (row["exclusion"], row["sender_key"], row["participants"]) == ("out_of_scope", None, [])


async def test_who_marks_a_copy_private_is_left_out_alone(people, calendars, run):
    put(people, ANNA, {BERT: "accepted", CARA: "accepted"}, {"anna": None, "bert": "accepted", "cara": "accepted"})
    people.collections["users/bert/calendarView"][0]["sensitivity"] = "private"
    assert present(only(await run(calendars()))) == keys("anna", "cara")


async def test_confidential_meetings_count(people, calendars, run):
    put(people, ANNA, {BERT: "accepted"}, {"anna": None}, sensitivity="confidential")
    assert present(only(await run(calendars()))) == keys("anna", "bert")


async def test_who_was_taken_out_of_an_outside_meeting_does_not_cancel_it(people, calendars, run):
    put(people, CLIENT, {ANNA: "accepted", BERT: "accepted"}, {"anna": "accepted", "bert": "accepted"})
    people.collections["users/anna/calendarView"][0]["isCancelled"] = True
    row = only(await run(calendars()))
    assert (row["exclusion"], present(row)) == (None, keys(CLIENT, "bert"))
    people.collections["users/bert/calendarView"][0]["isCancelled"] = True
    assert only(await run(calendars()))["exclusion"] == "cancelled"


@pytest.mark.parametrize("hours, minutes", [(1, 60.0), (8, 480.0), (9, 480.0), (30, 480.0), (24 * 5, 480.0)])
async def test_no_meeting_counts_for_more_than_a_working_day(people, calendars, run, hours, minutes):
    end = (UNTIL - timedelta(days=8) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S")
    start = (UNTIL - timedelta(days=8)).strftime("%Y-%m-%dT%H:%M:%S")
    put(people, ANNA, {BERT: "accepted"}, {"anna": None}, at=start, end={"dateTime": end, "timeZone": "UTC"})
    row = only(await run(calendars()))
    assert (row["minutes"], row["exclusion"], present(row)) == (minutes, None, keys("anna", "bert"))


# -- where it takes place -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location, mode",
    [
        ("https://us02web.zoom.us/j/8123456789", ("meeting_online", "inferred")),
        ("https://acme.webex.com/meet/anna", ("meeting_online", "inferred")),
        ("https://meet.google.com/abc-defg-hij", ("meeting_online", "inferred")),
        ("Join: https://teams.microsoft.com/l/meetup-join/19%3ameeting", ("meeting_online", "inferred")),
        ("HTTPS://ACME.ZOOM.US/J/1?pwd=x", ("meeting_online", "inferred")),
        ("acme.zoom.us/j/81234", ("meeting_online", "inferred")),
        ("https://whereby.com/anna", ("meeting_online", "inferred")),
        ("https://video.acme.example/room/7", ("meeting_online", "inferred")),
        ("Zoom", ("meeting_online", "inferred")),
        ("Zoom (link in the invitation)", ("meeting_online", "inferred")),
        ("Microsoft Teams Meeting", ("meeting_online", "inferred")),
        ("Google Meet", ("meeting_online", "inferred")),
        ("https://maps.google.com/?q=bern", ("meeting_in_person", "inferred")),
        ("https://www.google.ch/maps/place/Bern", ("meeting_in_person", "inferred")),
        ("https://goo.gl/maps/xyz", ("meeting_in_person", "inferred")),
        ("Room 5, second floor", ("meeting_unknown", "none")),
        ("at anna's desk", ("meeting_unknown", "none")),
        ("", ("meeting_unknown", "none")),
    ],
)
@pytest.mark.parametrize("field", ["displayName", "locationUri", "list"])
async def test_a_link_as_location_means_online(people, calendars, run, location, mode, field):
    place = {"displayName": location if field == "displayName" else CANARY, "locationType": "default"}
    if field == "locationUri":
        place["locationUri"] = location
    several = [{"displayName": location, "locationType": "default"}] if field == "list" else []
    put(people, ANNA, {BERT: "accepted"}, {"anna": None}, location=place, locations=several)
    landed = await run(calendars())
    row = only(landed)
    assert (row["medium"], row["mode_evidence"]) == mode
    for batch in landed.batches:
        for table in batch.records.values():
            assert location not in str(table.to_pydict()) or len(location) < 5


async def test_a_link_and_a_room_is_both(people, calendars, run):
    place = {"displayName": "https://acme.zoom.us/j/1", "locationType": "default"}
    put(
        people, ANNA, {BERT: "accepted"}, {"anna": None}, location=place, locations=[{"displayName": "x", "locationType": "conferenceRoom"}]
    )
    row = only(await run(calendars()))
    assert (row["medium"], row["mode_evidence"]) == ("meeting_hybrid", "room")


# -- withdrawn ----------------------------------------------------------------------------------------------------------


def state(landed: Landed) -> list[str | None]:
    rows = sorted(landed.interactions().values(), key=lambda row: row["occurred_at"])
    assert all(not row["participants"] for row in rows if row["exclusion"] == "deleted")
    return [row["exclusion"] for row in rows]


@pytest.mark.parametrize("organiser", [CLIENT, "team@own.example", ""])
@pytest.mark.parametrize("left", [(), ("anna",)])
async def test_the_only_meeting_of_an_organiser_outside_is_withdrawn(people, calendars, run, organiser, left):
    put(people, organiser, {ANNA: "accepted", BERT: "accepted"}, {"anna": "accepted", "bert": "accepted"})
    landed = await run(calendars())
    assert state(landed) == [None]
    for name in {"anna", "bert"} - set(left):
        people.collections[f"users/{name}/calendarView"].clear()
    await run(calendars(), landed, until=UNTIL + timedelta(days=1))
    # as long as one mailbox holds it, it took place
    assert state(landed) == [None if left else "deleted"]


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_leavers_meeting_is_withdrawn_when_nobody_holds_it_any_more(people, calendars, run, is_deleted):
    put(people, ANNA, {BERT: "accepted", CARA: "accepted"}, {"anna": None, "bert": "accepted", "cara": "accepted"})
    landed = await run(calendars())
    (anna,) = [user for user in people.collections["users"] if user["id"] == "anna"]
    if is_deleted:
        people.collections["users"].remove(anna)
        people.delta_tokens["t1"] = [{"id": "anna", "@removed": {"reason": "deleted"}}]
    else:
        anna |= {"accountEnabled": False, "assignedLicenses": []}
    await run(calendars(), landed, until=UNTIL + timedelta(days=1))
    # leaving alone withdraws nothing
    assert state(landed) == [None]
    for name in ("bert", "cara"):
        people.collections[f"users/{name}/calendarView"].clear()
    await run(calendars(), landed, until=UNTIL + timedelta(days=2))
    assert state(landed) == ["deleted"]


async def test_a_meeting_withdrawn_on_the_day_that_its_organiser_leaves(people, calendars, run):
    put(people, ANNA, {BERT: "accepted", CARA: "accepted"}, {"anna": None, "bert": "accepted", "cara": "accepted"})
    landed = await run(calendars())
    people.collections["users"][0] |= {"accountEnabled": False, "assignedLicenses": []}
    for name in ("bert", "cara"):
        people.collections[f"users/{name}/calendarView"].clear()
    await run(calendars(), landed, until=UNTIL + timedelta(days=1))
    assert state(landed) == ["deleted"]


@pytest.mark.parametrize("gone", ["closed", "left"])
async def test_a_mailbox_that_cannot_be_read_withdraws_nothing(people, calendars, run, gone):
    put(people, CLIENT, {BERT: "accepted"}, {"bert": "accepted"}, name="a")
    put(people, BERT, {CLIENT: "accepted"}, {"bert": None}, name="b", at="2026-03-04T09:00:00")
    landed = await run(calendars())
    if gone == "closed":
        people.errors["users/bert/"] = (403, "ErrorAccessDenied")
    else:
        people.collections["users"][1] |= {"accountEnabled": False, "assignedLicenses": []}
    for day in (1, 2):
        await run(calendars(), landed, until=UNTIL + timedelta(days=day))
        assert state(landed) == [None, None]


async def test_a_moved_outside_meeting_is_one(people, calendars, run):
    put(people, CLIENT, {ANNA: "accepted", BERT: "accepted"}, {"anna": "accepted", "bert": "accepted"})
    landed = await run(calendars())
    for name in ("anna", "bert"):
        people.collections[f"users/{name}/calendarView"].clear()
    put(people, CLIENT, {ANNA: "accepted", BERT: "accepted"}, {"anna": "accepted", "bert": "accepted"}, at="2026-03-05T11:00:00")
    await run(calendars(), landed, until=UNTIL + timedelta(days=1))
    assert state(landed) == ["deleted", None]


async def test_what_the_organisers_mailbox_lacks_is_withdrawn_whatever_copies_say(people, calendars, run):
    put(people, ANNA, {BERT: "accepted"}, {"anna": None, "bert": "accepted"})
    landed = await run(calendars())
    people.collections["users/anna/calendarView"].clear()
    await run(calendars(), landed, until=UNTIL + timedelta(days=1))
    assert state(landed) == ["deleted"]


async def test_what_is_withdrawn_is_remembered_in_keyed_hashes_and_not_for_ever(people, calendars, run):
    put(people, CLIENT, {ANNA: "accepted", BERT: "accepted"}, {"anna": "accepted", "bert": "accepted"})
    landed = await run(calendars())
    kept = landed.state.cursors("met:")
    assert len(kept) == 1
    assert "example" not in str(kept)
    assert "ical" not in str(kept)
    await run(calendars(), landed, until=UNTIL + timedelta(days=30))
    assert not landed.state.cursors("met:")
    assert state(landed) == [None]
