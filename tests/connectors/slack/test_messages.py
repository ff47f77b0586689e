"""The parser: every kind of message, and every kind of nonsense."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.columns import PARTICIPANT_LIMIT, records
from connectors.pseudonyms import Pseudonymiser
from connectors.slack import spaces
from connectors.slack.messages import MessageParser, format_ts, parse_ts
from connectors.slack.people import ANYWHERE, People

TEAM = "T0HOME"
TS = "1600000001.000100"
PSEUDONYMS = Pseudonymiser(b"0123456789abcdef0123456789abcdef")
CONTENT = "CANARYXYLOPHONE"


def account(name: str) -> int:
    return PSEUDONYMS.key("slack:account", f"{ANYWHERE}:{name}")


def key(ts: str, channel: str = "C1") -> int:
    return PSEUDONYMS.key("slack:message", f"{ANYWHERE}:{channel}:{ts}")


def conversation(medium: str = "slack_channel", members: tuple[str, ...] = ()) -> spaces.Conversation:
    return spaces.Conversation("C1", PSEUDONYMS.key("slack:space", f"{ANYWHERE}:C1"), medium, members=members)


def parser(**about: Any) -> MessageParser:
    return MessageParser(PSEUDONYMS, People(PSEUDONYMS, {TEAM}), **about)


def parse(message: Any, where: spaces.Conversation | None = None, by: MessageParser | None = None) -> dict[str, Any]:
    by = by or parser()
    reason = by.add(message, where or conversation())
    assert reason is None, reason
    columns, _ = by.take()
    (row,) = columns.table("slack").to_pylist()
    return row


def said(user: str | None = "U1", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "ts": TS, "user": user, "text": CONTENT, **fields}


def people(row: dict[str, Any], evidence: str) -> set[int]:
    return {person["account_key"] for person in row["participants"] if person["evidence"] == evidence}


def test_a_channel_message_without_mention_addresses_nobody() -> None:
    row = parse(said())
    assert row == {
        "source": "slack",
        "interaction_key": key(TS),
        "occurred_at": row["occurred_at"],
        "medium": "slack_channel",
        "space_key": PSEUDONYMS.key("slack:space", f"{ANYWHERE}:C1"),
        "thread_key": None,
        "sender_key": account("U1"),
        "participants": [],
        "recipient_count": 0,
        "is_received": None,
        "minutes": None,
        "mode_evidence": None,
        "reply_count": None,
        "exclusion": None,
    }
    assert row["occurred_at"].isoformat() == "2020-09-13T12:26:41.000100+00:00"


@pytest.mark.parametrize(
    "text,expected",
    [
        ("<@U2> and <@U3|anna>, <@U2> again", {"U2", "U3"}),
        ("<@W2>", {"W2"}),
        ("to myself <@U1>", set()),
        ("<!subteam^S1|@crew> please", {"U2", "U3"}),
        ("<!subteam^S9>", set()),
        ("<!here> <!channel> <!everyone> <#C2|general> <https://x.org/@U9>", set()),
        ("&lt;@U2&gt; written as code", set()),
        ("<@U2", set()),
    ],
)
def test_mentions_in_text(text: str, expected: set[str]) -> None:
    row = parse(said(text=text), by=parser(usergroups={"S1": ("U1", "U2", "U3")}))
    assert people(row, "mentioned") == {account(name) for name in expected}
    assert row["recipient_count"] == len(expected)


def test_mentions_in_blocks() -> None:
    blocks = [
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_section",
                    "elements": [
                        {"type": "user", "user_id": "U2"},
                        {"type": "text", "text": "<@U7> typed by hand"},
                        {"type": "broadcast", "range": "here"},
                        {"type": "emoji", "name": CONTENT},
                    ],
                },
                {"type": "rich_text_list", "elements": [{"type": "rich_text_section", "elements": [{"type": "user", "user_id": "U3"}]}]},
                {"type": "rich_text_quote", "elements": [{"type": "usergroup", "usergroup_id": "S1"}]},
            ],
        },
        {"type": "section", "text": {"type": "mrkdwn", "text": "<@U5>"}, "fields": [{"type": "mrkdwn", "text": "<@U6>"}]},
        {"type": "section", "text": {"type": "plain_text", "text": "<@U8>"}},
        None,
        5,
        {"type": "user", "user_id": 7},
    ]
    row = parse(said(text="<@U2>", blocks=blocks), by=parser(usergroups={"S1": ("U4",)}))
    assert people(row, "mentioned") == {account(name) for name in ("U2", "U3", "U4", "U5", "U6")}


def test_blocks_nested_without_end_do_not_stop_the_parser() -> None:
    block: dict[str, Any] = {"type": "user", "user_id": "U2"}
    for _ in range(200_000):
        block = {"type": "rich_text_section", "elements": [block]}
    assert parse(said(blocks=[block]))["sender_key"] == account("U1")
    while "elements" in block:  # take it apart by hand: freeing it at once would nest as deep
        block = block["elements"].pop()


def test_direct_messages_address_every_other_member() -> None:
    direct = parse(said(), conversation("slack_dm", ("U1", "U2")))
    assert (people(direct, "addressed"), direct["recipient_count"]) == ({account("U2")}, 1)
    group = parse(said(text="<@U3>"), conversation("slack_group_dm", ("U1", "U2", "U3")))
    assert people(group, "addressed") == {account("U2"), account("U3")}
    assert people(group, "mentioned") == set()  # everybody in it is addressed, and nobody else sees it
    alone = parse(said(), conversation("slack_dm", ("U1",)))
    assert (alone["participants"], alone["recipient_count"]) == ([], 0)


def test_more_recipients_than_the_limit_are_only_counted() -> None:
    crowd = tuple(f"U{n}" for n in range(10, 11 + PARTICIPANT_LIMIT))
    row = parse(said(text="<!subteam^S1>", reactions=[{"users": ["U2"]}]), by=parser(usergroups={"S1": crowd}))
    assert row["recipient_count"] == PARTICIPANT_LIMIT + 1
    assert [person["evidence"] for person in row["participants"]] == ["reacted"]


def test_reactions_keep_who_and_never_which() -> None:
    reactions = [
        {"name": CONTENT, "users": ["U2", "U3"], "count": 2},
        {"name": "wave", "users": ["U2", "U1"], "count": 9},
        {"users": None},
        "x",
        {"users": [5, None, "U4"]},
    ]
    row = parse(said(reactions=reactions))
    assert row["participants"] == [{"account_key": account(name), "evidence": "reacted"} for name in ("U2", "U3", "U4")]


def test_threads() -> None:
    reply = parse(said(ts="1600000002.000000", thread_ts=TS, parent_user_id="U2"))
    root = parse(said(thread_ts=TS, reply_count=3, reply_users=["U2", "B1"], reply_users_count=2, latest_reply="1600000002.000000"))
    old = parse(said(reply_count=1))
    assert reply["thread_key"] == root["thread_key"] == old["thread_key"] == root["interaction_key"] == key(TS)
    assert (root["reply_count"], reply["reply_count"]) == (3, None)
    # broadcast to the channel: the same message in both places
    broadcast = said(ts="1600000002.000000", thread_ts=TS, parent_user_id="U2", subtype="thread_broadcast", root={"text": CONTENT})
    assert parse(broadcast) == reply


@pytest.mark.parametrize(
    "fields,exclusion",
    [
        ({"subtype": "channel_join", "inviter": "U2"}, "join_or_leave"),
        ({"subtype": "group_leave"}, "join_or_leave"),
        ({"subtype": "channel_topic", "topic": CONTENT}, "system"),
        ({"subtype": "message_changed", "message": {"text": CONTENT}}, "system"),
        ({"subtype": "reply_broadcast"}, "system"),
        ({"is_ephemeral": True}, "system"),
        ({"subtype": "bot_message", "bot_id": "B1", "user": None}, "bot"),
        ({"bot_id": "B1", "user": None}, "bot"),
        ({"bot_profile": {"id": "B1", "is_workflow_bot": True}}, "bot"),
        ({"bot_id": "B1"}, "app"),
        ({"bot_profile": {"id": "B1"}}, "app"),
        ({"user": "USLACKBOT"}, "bot"),
        ({"subtype": "tombstone", "user": "USLACKBOT"}, "deleted"),
        ({"subtype": "me_message"}, None),
        ({"subtype": "file_share", "files": [{"name": CONTENT}], "bot_id": None}, None),
        ({"subtype": "file_comment", "user": None, "comment": {"user": "U2", "comment": CONTENT}}, None),
        ({"edited": {"user": "U1", "ts": "1600000009.000000"}}, None),
        ({"subtype": ""}, None),
    ],
)
def test_kinds_of_message(fields: dict[str, Any], exclusion: str | None) -> None:
    row = parse(said(**fields, text="<@U3>") | fields)
    assert row["exclusion"] == exclusion
    assert (row["participants"] == []) is (exclusion not in (None, "app"))


def test_senders() -> None:
    assert parse(said(subtype="bot_message", user=None, bot_id="B1"))["sender_key"] == account("B1")
    assert parse(said(subtype="bot_message", user=None))["sender_key"] is None
    assert parse(said(subtype="tombstone", user="USLACKBOT"))["sender_key"] is None
    assert parse(said(subtype="file_comment", user=None, comment={"user": "U2"}))["sender_key"] == account("U2")


def huddle(**room: Any) -> dict[str, Any]:
    about = {
        "id": "R1",
        "name": CONTENT,
        "created_by": "U1",
        "date_start": 1_600_000_001,
        "date_end": 1_600_000_901,
        "participants": [],
        "participant_history": ["U1", "U2"],
        "participants_events": {"U2": {}, "U3": {}},
        "channels": ["C1"],
    }
    return said("USLACKBOT", subtype="huddle_thread", room={**about, **room}, channel="C1", no_notifications=True)


def test_huddles_are_meetings_of_those_who_took_part() -> None:
    row = parse(huddle(), conversation("slack_dm", ("U1", "U2")))
    assert (row["medium"], row["minutes"], row["sender_key"], row["exclusion"]) == ("slack_huddle", 15.0, account("U1"), None)
    assert people(row, "co_present") == {account(name) for name in ("U1", "U2", "U3")}
    assert row["recipient_count"] == 2


def test_a_running_huddle_has_no_minutes_yet_and_one_alone_is_missed() -> None:
    running = parse(huddle(date_end=0, participant_history=["U1"], participants_events={}))
    assert (running["minutes"], running["exclusion"]) == (None, None)
    missed = parse(huddle(participant_history=["U1"], participants_events={}))
    assert (missed["exclusion"], missed["participants"]) == ("missed", [])
    for room in ({"created_by": None}, {"created_by": 5}):
        assert parse(huddle(**room))["exclusion"] == "no_sender"
    assert parse(said("USLACKBOT", subtype="huddle_thread", room=CONTENT))["exclusion"] == "no_sender"
    assert parse(huddle(date_end=1_700_000_000))["minutes"] is None  # a forgotten end is no meeting of three years


def test_people_of_other_workspaces_keep_their_organisation() -> None:
    by = parser()
    by.people.own_teams.add("E0HOME")
    for user, team in (("U1", "T0CLIENT"), ("U2", TEAM), ("U3", "E0HOME")):
        parse(said(user, team=team, user_team=team), by=by)
    rows = {row["account_key"]: row for row in by.people.unlisted_records(by.people.unlisted())}
    assert rows[account("U1")]["domain_key"] == PSEUDONYMS.domain_key("slack-team:T0CLIENT")
    assert rows[account("U1")]["is_guest"] is True
    assert (rows[account("U2")]["domain_key"], rows[account("U3")]["domain_key"]) == (None, None)


@pytest.mark.parametrize(
    "text,expected",
    [
        ("1433558319.000002", 1_433_558_319_000_002),
        ("1433558319", 1_433_558_319_000_000),
        ("1433558319.5", 1_433_558_319_500_000),
        ("9.000001", 9_000_001),
        (1433558319.000002, None),
        (1433558319, None),
        (True, None),
        (None, None),
        ("", None),
        (".", None),
        ("1.", None),
        ("-1433558319.000002", None),
        ("1433558319.0000021", None),
        ("143355831900.000002", None),
        ("14335583\u06619.000002", None),
        ("1e9", None),
        (" 1433558319.00000", None),
    ],
)
def test_a_ts_is_text_or_nothing(text: object, expected: int | None) -> None:
    assert parse_ts(text) == expected


@given(st.integers(0, 99_999_999_999_999_999))
def test_a_ts_goes_back_and_forth_to_the_microsecond(moment: int) -> None:
    assert parse_ts(format_ts(moment)) == moment


def test_a_ts_written_otherwise_is_the_same_message() -> None:
    assert parse(said(ts="1600000001.0001"))["interaction_key"] == key(TS)
    assert parse(said(ts="1600000003.000000", thread_ts="1600000001.0001"))["thread_key"] == key(TS)


@pytest.mark.parametrize(
    "message,reason",
    [
        (None, "not_an_object"),
        ([], "not_an_object"),
        ("text", "not_an_object"),
        ({}, "bad_time"),
        (said(ts=None), "bad_time"),
        (said(ts=1600000001.0001), "bad_time"),
        (said(ts="9.000001"), "impossible_time"),
        (said(ts="99999999999.000000"), "impossible_time"),
        (said(user=None), "missing_sender"),
        (said(user=""), "missing_sender"),
        (said(user={"id": "U1"}), "wrong_type"),
        (said(user="no id!"), "bad_sender"),
        (said(user="U" * 10_000_000), "bad_sender"),
        (said(text=["x"]), "wrong_type"),
        (said(text="x" * 10_000_000), "oversized"),
        (said(blocks={}), "wrong_type"),
        (said(subtype=7), "wrong_type"),
        (said(subtype="invented_yesterday"), "unknown_subtype"),
        (said(type="reaction_added"), "unknown_type"),
        (said(thread_ts="yesterday"), "bad_thread_time"),
    ],
)
def test_malformed_records_have_a_reason(message: Any, reason: str) -> None:
    assert parser().add(message, conversation()) == reason


def test_quarantine_counts_the_same_fault_once_and_tells_places_apart() -> None:
    by = parser()
    faults = [said(user=None), said(user=None), None, None, {"ts": {"deep": [1]}}]
    by.parse(faults, conversation())
    assert len({row["record_key"] for row in by.quarantine}) == 3
    assert [row["observed_on"] for row in by.quarantine] == [date(2020, 9, 13), date(2020, 9, 13), None, None, None]
    by.take()
    by.parse(faults, conversation(), "general/2020-09-13")
    assert len({row["record_key"] for row in by.quarantine}) == 5


FIELDS = [
    *("type", "subtype", "ts", "user", "bot_id", "text", "blocks", "thread_ts", "reply_count", "reactions", "users", "room", "team"),
    *("created_by", "date_start", "date_end", "participant_history", "participants_events", "elements", "comment", "user_team", "edited"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["U1", TS, "user", "huddle_thread", "<@U2>"]),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text() | st.sampled_from(FIELDS), children, max_size=4),
    max_leaves=12,
)
SUBTYPES = st.sampled_from([None, "huddle_thread", "bot_message", "tombstone", "channel_join", "file_comment", "me_message", "invented"])
MESSAGE = JSON | st.fixed_dictionaries(
    {"ts": st.sampled_from([TS, "1600000002.000001"]) | JSON},
    optional={**{name: JSON for name in FIELDS if name != "ts"}, "subtype": SUBTYPES, "user": st.sampled_from(["U1", "U2"]) | JSON},
)
GOOD = st.builds(
    lambda n, user, text: {"type": "message", "ts": f"{1_600_100_000 + n}.000000", "user": user, "text": text},
    st.integers(0, 10**6),
    st.sampled_from(["U1", "U2", "U3"]),
    st.text(),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(MESSAGE.map(lambda value: (False, value)) | GOOD.map(lambda value: (True, value)), max_size=8))
def test_no_nonsense_raises_and_no_good_record_is_dropped(said_and_done: list[tuple[bool, Any]]) -> None:
    by = parser(usergroups={"S1": ("U2",)})
    by.parse([value for _, value in said_and_done], conversation("slack_group_dm", ("U1", "U2")), "file")
    columns, quarantine = by.take()
    table = columns.table("slack")
    table.validate(full=True)
    assert table.num_rows + len(quarantine) == len(said_and_done)
    good = {key(value["ts"]) for is_good, value in said_and_done if is_good}
    assert good <= set(table.column("interaction_key").to_pylist())
    accounts = by.people.unlisted_records(by.people.unlisted())
    named = {person for row in table.column("participants").to_pylist() for person in (p["account_key"] for p in row)}
    named |= {sender for sender in table.column("sender_key").to_pylist() if sender is not None}
    assert named <= {row["account_key"] for row in accounts}
    records("slack", quarantine=quarantine, account=accounts)


@settings(max_examples=100, deadline=None)
@given(st.lists(JSON, max_size=5))
def test_no_nonsense_in_a_directory_raises(values: list[Any]) -> None:
    crowd = People(PSEUDONYMS, {TEAM}, own_domains=["example.com"])
    rows, _ = crowd.listed([*values, {"id": "U1", "profile": values, "enterprise_user": {"teams": values, "id": values}}])
    records("slack", account=rows)
    for value in values:
        if isinstance(value, dict):
            spaces.parse({"id": "C1", **value}, PSEUDONYMS, TEAM)
