"""Nights: what a run reads, what the next one reads again, and what killing it costs."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser
from connectors.records import NATURAL_KEYS, Batch
from connectors.slack import SlackClient, SlackSettings, SlackUnavailableError, fetch, sync
from connectors.slack.people import ANYWHERE
from connectors.state import MemoryState

TEAM = "T0HOME"
CANARY = "CANARYXYLOPHONE"
P = Pseudonymiser(b"0123456789abcdef0123456789abcdef")
NIGHT = datetime(2024, 3, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def ts(days_before: float, micro: int = 100) -> str:
    return f"{int((NIGHT - days_before * DAY).timestamp())}.{micro:06d}"


def account(name: str) -> int:
    return P.key("slack:account", f"{ANYWHERE}:{name}")


def message_key(channel: str, stamp: str) -> int:
    return P.key("slack:message", f"{ANYWHERE}:{channel}:{stamp}")


# the warehouse retells stretches; here a statement stands until one from the same day on replaces it
KEYS = {**NATURAL_KEYS, "coverage": ("source", "stream", "unit_key", "medium", "date_from")}


class Store(MemoryState):
    """What the warehouse would hold: records by natural key, sweeps applied, cursors."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, dict[Any, dict[str, Any]]] = {kind: {} for kind in KEYS}
        self.batches: list[Batch] = []

    def apply(self, batch: Batch) -> None:
        super().apply(batch)
        self.batches.append(batch)
        for kind, keys in KEYS.items():
            if kind in batch.records:
                for row in batch.records[kind].to_pylist():
                    self.kept[kind][tuple(row[key] for key in keys)] = row
        if "sweep" in batch.records:
            for sweep in batch.records["sweep"].to_pylist():
                self._sweep(sweep)

    def _sweep(self, sweep: dict[str, Any]) -> None:
        for row in self.kept["interaction"].values():
            key, thread = row["interaction_key"], row["thread_key"]
            is_there = row["space_key"] == sweep["space_key"] and sweep["since"] <= row["occurred_at"] < sweep["until"]
            if sweep["thread_key"] is not None:
                is_there = is_there and thread == sweep["thread_key"] and key != thread
            else:
                is_there = is_there and (thread is None or thread == key)
            if is_there and key not in sweep["seen"]:
                row |= {"exclusion": "deleted", "participants": []}
                self._stored.pop(key, None)

    def rows(self, kind: str) -> list[dict[str, Any]]:
        return list(self.kept[kind].values())

    def interactions(self) -> dict[int, dict[str, Any]]:
        return {row["interaction_key"]: row for row in self.rows("interaction")}

    def alive(self) -> set[int]:
        return {key for key, row in self.interactions().items() if row["exclusion"] != "deleted"}

    def picture(self) -> dict[str, Any]:
        return {kind: sorted(map(repr, rows.values())) for kind, rows in self.kept.items() if kind != "coverage"}


def settings_for(slack: Any, **more: Any) -> SlackSettings:
    about = {"pace": 10_000, "backoff_seconds": 0.001, "history_days": 100, **more}
    return SlackSettings(token=SecretStr("xoxb-secret"), base_url=slack.url, **about)


async def run(slack: Any, store: Store, nights: int = 0, since: datetime | None = None, **more: Any) -> list[Batch]:
    """Read one night and store it; return its batches."""
    slack.requests.clear()
    batches = []
    async for batch in fetch(settings_for(slack, **more), P, since, NIGHT + nights * DAY, store):
        store.apply(batch)
        batches.append(batch)
    return batches


@pytest.fixture
def busy(slack: Any) -> Any:
    """A workspace of every kind of conversation, with threads old and new."""
    slack.add_channel("C1", num_members=3)
    slack.add_channel("C2", kind="private_channel", is_ext_shared=True)
    slack.add_channel("G1", kind="mpim", members=["U1", "U2", "U3"], name="mpdm-a--b--c-1")
    slack.add_channel("D1", kind="im", user="U2")
    slack.usergroups = [{"id": "S1", "name": CANARY, "handle": CANARY, "users": ["U1", "U2", "U3"]}]
    for n in range(20):
        slack.say("C1", ts(90 - n * 4), "U1", reactions=[{"name": CANARY, "users": ["U3"]}])
    slack.say("C1", ts(1.5), "U1", text=f"<!subteam^S1> {CANARY}")
    slack.say("C2", ts(2), "U9", text="<@U2>", user_team="T0CLIENT")
    slack.say("G1", ts(3), "U3")
    slack.say("D1", ts(4), "U2")
    slack.answer("C1", ts(90), ts(80))
    slack.answer("C1", ts(14), ts(13.5))
    slack.answer("C1", ts(14), ts(13), "U3", subtype="thread_broadcast", root={"text": CANARY})
    slack.strangers["U9"] = {"id": "U9", "team_id": "T0CLIENT", "is_stranger": True, "profile": {"email": "nine@client.org"}}
    return slack


# -- one night ----------------------------------------------------------------------------------------------------------


async def test_the_first_night_reads_everything(busy: Any) -> None:
    store = Store()
    batches = await run(busy, store)
    found = store.interactions()
    assert len(found) == 27
    assert found[message_key("C1", ts(90))]["reply_count"] == 1
    assert {p["account_key"] for p in found[message_key("C1", ts(1.5))]["participants"]} == {account("U2"), account("U3")}
    assert found[message_key("D1", ts(4))]["participants"] == [{"account_key": account("U1"), "evidence": "addressed"}]
    assert [p["account_key"] for p in found[message_key("G1", ts(3))]["participants"]] == [account("U1"), account("U2")]
    for stamp in (ts(13.5), ts(13)):
        assert found[message_key("C1", stamp)]["thread_key"] == message_key("C1", ts(14))
    accounts = {row["account_key"]: row for row in store.rows("account")}
    assert accounts[account("U9")]["person_id"] == P.person_id("nine@client.org")
    assert accounts[account("U9")]["is_guest"] is True
    assert accounts[account("U1")]["person_id"] == P.person_id("u1@example.com")
    spaces = {row["space_key"]: row for row in store.rows("space")}
    assert {row["kind"] for row in spaces.values()} == {"channel", "group_dm", "dm"}
    assert (
        spaces[P.key("slack:space", f"{ANYWHERE}:C2")] | {"is_private": True, "is_shared": True}
        == spaces[P.key("slack:space", f"{ANYWHERE}:C2")]
    )
    assert spaces[P.key("slack:space", f"{ANYWHERE}:G1")]["member_count"] == 3
    observed = {row["medium"]: (row["date_from"], row["date_to"]) for row in store.rows("coverage") if row["status"] == "observed"}
    assert observed == dict.fromkeys(("slack_channel", "slack_dm", "slack_group_dm"), (date(2023, 11, 22), date(2024, 3, 1)))
    assert [batch.units_done for batch in batches][-1] == batches[-1].units_total == 4
    assert busy.count("conversations.history") == 4
    assert busy.count("conversations.replies") == 2
    assert all(
        "limit" in sent for method, sent in busy.requests if method.endswith(("list", "history", "replies")) and "groups" not in method
    )
    assert busy.count("conversations.members") == 1  # a direct message's members are in the list


async def test_nothing_raw_leaves(busy: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    busy.say("C1", ts(5), "U1", subtype=CANARY)
    busy.say("C1", ts(6), CANARY + "!")
    busy.faults["conversations.history"] = [lambda: web.Response(status=502, text=CANARY)]
    store = Store()
    await run(busy, store)
    written = repr([(b.cursors, {kind: t.to_pylist() for kind, t in b.records.items()}) for b in store.batches])
    assert len(store.rows("quarantine")) == 2
    for secret in (CANARY, "example.com", "client.org", "xoxb-secret", "'U1", "'C1", TEAM):
        assert secret not in written + "".join(capfd.readouterr())
    for secret in (CANARY, "example.com", "xoxb-secret"):
        assert secret not in caplog.text


async def test_nothing_is_read_at_or_after_the_frozen_end(busy: Any) -> None:
    busy.say("C1", ts(0, 0))
    busy.say("C1", ts(-1))
    busy.answer("C1", ts(14), ts(-1, 5))
    store = Store()
    await run(busy, store)
    assert len(store.interactions()) == 27
    await run(busy, store, nights=2)
    assert len(store.interactions()) == 30  # the message at the end itself belongs to the next night


@pytest.mark.parametrize("limit", [1, 2, 5, 999])
async def test_pages_of_any_size_give_the_same(busy: Any, limit: int) -> None:
    whole, paged = Store(), Store()
    await run(busy, whole)
    busy.empty_pages = limit == 2
    await run(busy, paged, page_size=limit)
    assert paged.picture() == whole.picture()
    assert len(paged.alive()) == 27


async def test_pages_in_the_wrong_order_lose_nothing(busy: Any) -> None:
    whole, paged = Store(), Store()
    await run(busy, whole)
    busy.is_ascending = True
    await run(busy, paged, page_size=2)
    await run(busy, paged, nights=1, page_size=2)
    assert paged.alive() == whole.alive()


async def test_a_cursor_that_slack_refuses_is_replaced_by_time(busy: Any) -> None:
    refused = 0

    def refuse(method: str) -> web.StreamResponse | None:
        nonlocal refused
        if method == "conversations.history" and "cursor" in busy.requests[-1][1] and refused < 3:
            refused += 1
            return web.json_response({"ok": False, "error": "invalid_cursor"})
        return None

    busy.every = refuse
    store = Store()
    await run(busy, store, page_size=3)
    assert refused == 3
    assert len(store.alive()) == 27


# -- the next nights ----------------------------------------------------------------------------------------------------


async def test_a_quiet_night_costs_one_request_a_conversation(busy: Any) -> None:
    store = Store()
    await run(busy, store)
    before = store.picture()
    await run(busy, store, nights=1, sweep_nights=0)
    assert busy.count("conversations.history") == 4
    assert busy.count("conversations.replies") == 0
    assert busy.count("users.info") == 0
    assert store.picture() == before


async def test_late_replies_edits_reactions_and_deletions_are_found(busy: Any) -> None:
    store = Store()
    await run(busy, store)
    root = ts(14)
    busy.answer("C1", root, ts(-0.5), "U3")  # a reply two weeks late
    busy.messages["C1"][ts(1.5)] |= {"text": "<@U3>", "edited": {"user": "U1", "ts": ts(-0.1)}}
    busy.messages["C2"][ts(2)]["reactions"] = [{"name": CANARY, "users": ["U1"]}]
    del busy.messages["G1"][ts(3)]
    busy.messages["D1"][ts(4)] |= {"subtype": "tombstone", "user": "USLACKBOT"}
    await run(busy, store, nights=1, sweep_nights=0)
    found = store.interactions()
    assert found[message_key("C1", ts(-0.5))]["thread_key"] == message_key("C1", root)
    assert found[message_key("C1", root)]["reply_count"] == 3
    assert {p["account_key"] for p in found[message_key("C1", ts(1.5))]["participants"]} == {account("U3")}
    assert {"account_key": account("U1"), "evidence": "reacted"} in found[message_key("C2", ts(2))]["participants"]
    assert found[message_key("G1", ts(3))]["exclusion"] == "deleted"
    assert found[message_key("D1", ts(4))]["exclusion"] == "deleted"
    assert busy.count("conversations.replies") == 1  # of the thread that moved, and of no other
    assert busy.count("conversations.history") == 4


async def test_deleted_replies_are_found(busy: Any) -> None:
    store = Store()
    await run(busy, store)
    del busy.replies["C1"][ts(14)][ts(13.5)]
    await run(busy, store, nights=1, sweep_nights=0)
    assert store.interactions()[message_key("C1", ts(13.5))]["exclusion"] == "deleted"
    assert store.interactions()[message_key("C1", ts(13))]["exclusion"] is None
    del busy.replies["C1"][ts(14)]  # now the thread is gone
    await run(busy, store, nights=2, sweep_nights=0)
    assert store.interactions()[message_key("C1", ts(13))]["exclusion"] == "deleted"
    assert store.interactions()[message_key("C1", ts(14))]["exclusion"] is None
    assert len(store.cursors("thread:")) == 0


async def test_reply_times_never_move_the_cursor(busy: Any) -> None:
    store = Store()
    await run(busy, store)
    busy.answer("C1", ts(14), ts(-9))  # a reply that is stamped in the future
    await run(busy, store, nights=1)
    busy.say("C1", ts(-1.5))
    await run(busy, store, nights=2)
    assert message_key("C1", ts(-1.5)) in store.alive()
    await run(busy, store, nights=10)
    assert message_key("C1", ts(-9)) in store.alive()


async def test_a_lively_thread_is_read_once_more_when_it_settled(busy: Any) -> None:
    busy.answer("C1", ts(1.5), ts(0.1))
    store = Store()
    await run(busy, store)
    busy.replies["C1"][ts(1.5)][ts(0.1)]["reactions"] = [{"name": CANARY, "users": ["U3"]}]  # its root says nothing of that
    await run(busy, store, nights=2, sweep_nights=0)
    assert busy.count("conversations.replies") == 1
    assert store.interactions()[message_key("C1", ts(0.1))]["participants"] == [{"account_key": account("U3"), "evidence": "reacted"}]
    await run(busy, store, nights=3, sweep_nights=0)
    assert busy.count("conversations.replies") == 0


async def test_the_rolling_sweep_finds_what_the_window_cannot(busy: Any) -> None:
    store = Store()
    await run(busy, store)
    busy.answer("C1", ts(90), ts(-0.5))  # a reply to a thread three months old
    busy.messages["C1"].pop(ts(50))
    late, gone = message_key("C1", ts(-0.5)), message_key("C1", ts(50))
    await run(busy, store, nights=1, sweep_nights=0)
    assert late not in store.alive()
    nights = 1
    while late not in store.alive():
        nights += 1
        await run(busy, store, nights=nights, sweep_nights=4)
        assert nights < 6  # one of four conversations a night
    assert gone not in store.alive()
    assert busy.count("conversations.replies") == 2  # of both threads, since replies may bear new reactions


async def test_the_sweep_takes_expiry_for_no_deletion(busy: Any) -> None:
    store = Store()
    await run(busy, store)
    for days in (90, 86, 82):
        del busy.messages["C1"][ts(days)]  # the workspace keeps messages for eighty days
    busy.replies["C1"].pop(ts(90))
    await run(busy, store, nights=1, sweep_nights=1)
    assert message_key("C1", ts(86)) in store.alive()
    busy.messages["C1"].clear()  # and then for ten
    await run(busy, store, nights=2, sweep_nights=0, retention_days=10)
    assert message_key("C1", ts(14)) in store.alive()
    assert message_key("C1", ts(1.5)) not in store.alive()


async def test_long_threads_are_read_on_from_the_latest_reply(busy: Any) -> None:
    for n in range(30):
        busy.answer("C1", ts(14), ts(12 - n / 10))
    store = Store()
    await run(busy, store, page_size=10)
    busy.answer("C1", ts(14), ts(-0.5))
    await run(busy, store, nights=1, sweep_nights=0, page_size=10)
    assert busy.count("conversations.replies") == 1
    del busy.replies["C1"][ts(14)][ts(12)]  # one gone and two come: the counts tell
    busy.answer("C1", ts(14), ts(-1.4))
    busy.answer("C1", ts(14), ts(-1.5))
    await run(busy, store, nights=2, sweep_nights=0, page_size=10)
    assert message_key("C1", ts(12)) not in store.alive()
    assert message_key("C1", ts(-1.5)) in store.alive()


async def test_thread_cursors_are_forgotten_with_their_window(busy: Any) -> None:
    store = Store()
    await run(busy, store)
    assert len(store.cursors("thread:")) == 1
    await run(busy, store, nights=20)
    assert store.cursors("thread:") == {}


async def test_a_huddle_gets_its_minutes_when_it_ends(busy: Any) -> None:
    room = {"id": "R1", "created_by": "U1", "date_start": int(ts(0.1)[:10]), "date_end": 0, "participant_history": ["U1"]}
    busy.say("D1", ts(0.1), "USLACKBOT", subtype="huddle_thread", room=room)
    store = Store()
    await run(busy, store)
    assert store.interactions()[message_key("D1", ts(0.1))]["minutes"] is None
    room |= {"date_end": room["date_start"] + 600, "participant_history": ["U1", "U2"]}
    await run(busy, store, nights=1)
    row = store.interactions()[message_key("D1", ts(0.1))]
    assert (row["medium"], row["minutes"], len(row["participants"])) == ("slack_huddle", 10.0, 2)


async def test_since_goes_back_and_never_skips(busy: Any) -> None:
    store = Store()
    await run(busy, store, history_days=30)
    few = len(store.interactions())
    assert few < 27
    await run(busy, store, nights=1, since=NIGHT + 0.9 * DAY, sweep_nights=0)  # later than what was read: changes nothing
    busy.say("C1", ts(-0.2))
    await run(busy, store, nights=5, since=NIGHT + 4.9 * DAY, sweep_nights=0)
    assert message_key("C1", ts(-0.2)) in store.alive()
    await run(busy, store, nights=6, since=NIGHT - 100 * DAY)
    assert len(store.alive()) == 28
    await run(busy, store, nights=7, sweep_nights=0)
    assert busy.count("conversations.history") == 4


async def test_archived_channels_are_read_once(busy: Any) -> None:
    busy.channels["C1"]["is_archived"] = True
    store = Store()
    await run(busy, store)
    assert len(store.alive()) == 27
    await run(busy, store, nights=1)
    assert busy.count("conversations.history") == 3
    busy.channels["C1"]["is_archived"] = False
    busy.say("C1", ts(-1.5))
    await run(busy, store, nights=2)
    assert message_key("C1", ts(-1.5)) in store.alive()


# -- what could not be read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["missing_scope", "not_in_channel", "channel_not_found", "access_denied"])
async def test_a_channel_that_cannot_be_read_is_coverage_and_made_good_later(busy: Any, code: str) -> None:
    store = Store()
    busy.channel_errors["C1"] = code
    await run(busy, store)
    space = P.key("slack:space", f"{ANYWHERE}:C1")
    await run(busy, store, nights=1)
    (row,) = [row for row in store.rows("coverage") if row["unit_key"] == space]
    assert (row["status"], row["reason"], row["date_from"], row["date_to"]) == ("missing", code, date(2023, 11, 22), date(2024, 3, 2))
    assert len(store.interactions()) == 3
    busy.channel_errors.clear()
    await run(busy, store, nights=2)
    assert len(store.alive()) == 27
    (row,) = [row for row in store.rows("coverage") if row["unit_key"] == space]
    assert (row["status"], row["date_from"]) == ("observed", date(2023, 11, 22))


async def test_a_bot_asks_not_for_channels_that_it_is_not_in(busy: Any) -> None:
    busy.auth["bot_id"] = "B1"
    busy.channels["C1"]["is_member"] = False
    busy.channels["C2"]["is_member"] = True
    store = Store()
    await run(busy, store)
    assert "C1" not in {sent.get("channel") for method, sent in busy.requests if method == "conversations.history"}
    assert "not_in_channel" in {row["reason"] for row in store.rows("coverage")}
    assert "own_conversations_only" in {row["reason"] for row in store.rows("coverage")}


async def test_a_thread_that_cannot_be_read_is_coverage(busy: Any) -> None:
    busy.errors["conversations.replies"] = "thread_not_found"
    store = Store()
    await run(busy, store)
    assert [row["reason"] for row in store.rows("coverage") if row["stream"] == "threads"].count("thread_not_found") >= 1
    assert len(store.alive()) == 25  # the broadcast reply stands in the channel too
    del busy.errors["conversations.replies"]
    await run(busy, store, nights=1, sweep_nights=0)
    assert message_key("C1", ts(13.5)) in store.alive()


async def test_a_scope_that_is_missing_costs_its_medium_only(busy: Any) -> None:
    def refuse(method: str) -> web.StreamResponse | None:
        if method in ("usergroups.list", "team.externalTeams.list") or busy.requests[-1][1].get("types") in ("im", "private_channel"):
            return web.json_response({"ok": False, "error": "missing_scope", "needed": "im:read"})
        return None

    busy.every = refuse
    store = Store()
    await run(busy, store)
    missing = {(row["medium"], row["unit_key"] == 0) for row in store.rows("coverage") if row["reason"] == "missing_scope"}
    assert missing == {("slack_dm", True), ("slack_channel", False), (None, False)}
    assert {row["medium"] for row in store.rows("interaction")} == {"slack_channel", "slack_group_dm"}
    assert ("slack_dm", "observed") not in {(row["medium"], row["status"]) for row in store.rows("coverage")}


async def test_what_settings_leave_out_is_said(busy: Any) -> None:
    store = Store()
    await run(busy, store, include_dms=False, include_group_dms=False, include_private_channels=False, exclude_channels={"C1"})
    assert store.rows("interaction") == []
    assert [row["reason"] for row in store.rows("coverage")].count("excluded_by_settings") == 3
    assert busy.count("conversations.list") == 1


async def test_a_conversation_that_vanishes_is_said_once(busy: Any) -> None:
    store = Store()
    await run(busy, store)
    del busy.channels["C2"]
    for night in (1, 2):
        await run(busy, store, nights=night)
        assert [row["date_to"] for row in store.rows("coverage") if row["reason"] == "not_listed"] == [date(2024, 3, 2)]


async def test_an_outage_ends_the_run_and_a_short_one_does_not(busy: Any) -> None:
    busy.faults["conversations.history"] = [lambda: web.Response(status=503)] * 2
    store = Store()
    await run(busy, store, retries=1, concurrency=1)
    assert [row["reason"] for row in store.rows("coverage")].count("unavailable") == 1
    await run(busy, store, nights=1)
    assert len(store.alive()) == 27
    busy.every = lambda method: web.Response(status=503) if method == "conversations.history" else None
    with pytest.raises(SlackUnavailableError):
        await run(busy, Store(), retries=1)


async def test_a_refused_token_stops_at_once(busy: Any) -> None:
    busy.errors["auth.test"] = "invalid_auth"
    with pytest.raises(UserError, match=r"slack\.token"):
        await run(busy, Store())
    assert len(busy.requests) == 1


# -- people -------------------------------------------------------------------------------------------------------------


async def test_an_outside_person_is_asked_for_once_a_month(busy: Any) -> None:
    store = Store()
    await run(busy, store)
    assert busy.count("users.info") == 1
    await run(busy, store, nights=1)
    assert busy.count("users.info") == 0
    nine = account("U9")
    assert {row["account_key"]: row for row in store.rows("account")}[nine]["person_id"] is not None
    busy.say("C2", ts(-40), "U9")
    await run(busy, store, nights=45)
    assert busy.count("users.info") == 1


async def test_without_the_scope_nobody_is_asked_for_one_by_one(busy: Any) -> None:
    busy.errors |= {"users.list": "missing_scope", "users.info": "missing_scope"}
    store = Store()
    await run(busy, store)
    assert busy.count("users.info") == 0
    assert len(store.rows("account")) == 4
    del busy.errors["users.list"]
    busy.say("C1", ts(5), "U8")
    await run(busy, Store())
    assert busy.count("users.info") == 1


async def test_malformed_people_and_conversations_are_quarantined(busy: Any) -> None:
    busy.users += ["nobody", {"id": None}]
    busy.channels["C8"] = {"kind": "public_channel", "id": 8}
    store = Store()
    await run(busy, store)
    assert sorted(row["reason"] for row in store.rows("quarantine")) == ["malformed_conversation", "malformed_user", "malformed_user"]
    assert len(store.alive()) == 27


async def test_an_invisible_person_is_known_by_messages_alone(busy: Any) -> None:
    busy.strangers.clear()
    store = Store()
    await run(busy, store)
    row = {row["account_key"]: row for row in store.rows("account")}[account("U9")]
    assert (row["kind"], row["is_guest"], row["domain_key"]) == ("unknown", True, P.domain_key("slack-team:T0CLIENT"))


@pytest.mark.parametrize("address", ["u1@example.com", "nine@client.org"])
async def test_the_opted_out_are_dropped_at_the_door(busy: Any, address: str) -> None:
    person = P.person_id(address)
    who = account("U9" if "nine" in address else "U1")
    store = Store()
    await run(busy, store)  # they ask only now
    store.batches.clear()
    await run(busy, store, nights=1, sweep_nights=1, opted_out={person})
    records = [(kind, row) for batch in store.batches for kind, table in batch.records.items() for row in table.to_pylist()]
    sent = [row for kind, row in records if kind == "interaction"]
    assert who not in {row["sender_key"] for row in sent}
    assert who not in {p["account_key"] for row in sent for p in row["participants"]}
    assert who not in {row["account_key"] for kind, row in records if kind == "account"}
    assert "opted_out" in {row["exclusion"] for row in sent}


async def test_an_organisation_wide_app_reads_every_workspace(busy: Any, make_user: Any) -> None:
    busy.auth |= {"enterprise_id": "E0HOME", "is_enterprise_install": True}
    busy.users.append(make_user("U5", team_id="T0SISTER", enterprise_user={"id": "W5", "enterprise_id": "E0HOME", "teams": ["T0SISTER"]}))
    busy.say("C1", ts(5), "W5", team="E0HOME")
    store = Store()
    await run(busy, store)
    assert {sent.get("team_id") for method, sent in busy.requests if method in ("users.list", "conversations.list")} == {TEAM}
    five = account("U5")
    assert {row["account_key"]: row for row in store.rows("account")}[five]["is_guest"] is False
    assert five in {row["sender_key"] for row in store.rows("interaction")}


async def test_discovery_reads_conversations_of_others(busy: Any) -> None:
    busy.scopes += ",discovery:read"
    for name, kind, members in (("D7", "im", ["U2", "U3"]), ("D8", "im", ["U1", "U3"]), ("C7", "private_channel", [])):
        busy.add_channel(name, kind, members)
        busy.discovered[name] = busy.channels.pop(name) | {"team": TEAM}
        for n in range(5):
            busy.say(name, ts(5 - n), "U3")
    busy.answer("C7", ts(5), ts(4.5))
    store = Store()
    await run(busy, store, page_size=2)
    assert message_key("D7", ts(5)) in store.alive()
    assert store.interactions()[message_key("D7", ts(1))]["participants"] == [{"account_key": account("U2"), "evidence": "addressed"}]
    assert store.interactions()[message_key("C7", ts(4.5))]["thread_key"] == message_key("C7", ts(5))
    assert len(store.alive()) == 27 + 16
    assert "own_conversations_only" not in {row["reason"] for row in store.rows("coverage")}


# -- faults and kills ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(4, 101))])
async def test_a_night_of_faults_gives_the_same_as_a_calm_one(busy: Any, seed: int) -> None:
    calm, rough = Store(), Store()
    await run(busy, calm)
    chance = random.Random(seed)
    bodies = [
        lambda: web.Response(status=429, headers={"Retry-After": "0"}),
        lambda: web.Response(status=502, text="<html>"),
        lambda: web.json_response({"ok": False, "error": "ratelimited"}),
        lambda: web.Response(text='{"ok": tr', content_type="application/json"),
    ]
    busy.every = lambda method: chance.choice(bodies)() if chance.random() < 0.2 else None
    await run(busy, rough, page_size=3)
    assert rough.picture() == calm.picture()


@pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(4, 41))])
async def test_killed_anywhere_and_run_again_gives_the_same(busy: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "ROWS_A_BATCH", 3)
    calm, killed = Store(), Store()
    await run(busy, calm)
    await run(busy, calm, nights=1)
    chance = random.Random(seed)
    for night in (0, 1):
        is_done = False
        attempts = 0
        while not is_done:
            attempts += 1
            is_done = attempts > 25
            batches = fetch(settings_for(busy, page_size=4), P, None, NIGHT + night * DAY, killed)
            async for batch in batches:
                if not is_done and chance.random() < 0.15:
                    break  # killed before it was stored
                killed.apply(batch)
                if not is_done and chance.random() < 0.15:
                    break  # killed after
            else:
                is_done = True
            await batches.aclose()
    assert killed.picture()["interaction"] == calm.picture()["interaction"]
    assert killed.picture()["account"] == calm.picture()["account"]
    assert killed.picture()["space"] == calm.picture()["space"]


async def test_a_killed_first_reading_goes_on_in_the_middle(busy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "ROWS_A_BATCH", 1)
    for n in range(100):
        busy.say("C1", ts(60 - n / 10))
    store = Store()
    batches = fetch(settings_for(busy, page_size=5, concurrency=1, include_channels={"C1"}), P, None, NIGHT, store)
    async for batch in batches:
        store.apply(batch)
        if len(store.interactions()) > 80:
            break
    await batches.aclose()
    await run(busy, store, page_size=5, include_channels={"C1"})
    assert len(store.alive()) == 122
    # what was left of 119 first messages, and the trailing window again
    assert busy.count("conversations.history") <= 9 + 4


async def test_no_task_outlives_the_run(busy: Any) -> None:
    batches = fetch(settings_for(busy), P, None, NIGHT, Store())
    async for batch in batches:
        if batch.stream == "messages":
            break
    await batches.aclose()
    left = [task.get_coro() for task in asyncio.all_tasks() if not task.done()]
    assert [name for coroutine in left if "_Run" in (name := getattr(coroutine, "__qualname__", ""))] == []


async def test_an_open_client_may_be_given(busy: Any) -> None:
    settings = settings_for(busy)
    async with SlackClient(settings) as client:
        async for _ in fetch(settings, P, None, NIGHT, Store(), client=client):
            pass
        assert sum(client.requests.values()) == len(busy.requests)


@pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(4, 61))])
async def test_ten_nights_of_a_living_workspace(slack: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """People write, answer late, edit, react and delete; some nights are killed. What is stored is what is there."""
    monkeypatch.setattr(sync, "ROWS_A_BATCH", 4)
    chance = random.Random(seed)
    slack.add_channel("C1")
    slack.add_channel("D1", kind="im", user="U2")
    store = Store()
    size = chance.choice([2, 3, 7, 999])
    micro = 0

    def stamp(night: int) -> str:
        nonlocal micro
        micro += 1  # time passes: an answer comes after what it answers
        return ts(1 - night - micro / 1000, micro)

    for night in range(10):
        for _ in range(chance.randrange(12)):
            slack.say(chance.choice(["C1", "D1"]), stamp(night), chance.choice(["U1", "U2"]))
        for channel in ("C1", "D1"):
            roots = list(slack.messages[channel])
            for _ in range(chance.randrange(4) if roots else 0):
                slack.answer(channel, chance.choice(roots), stamp(night), "U3")
            for _ in range(chance.randrange(3) if roots else 0):
                slack.messages[channel][chance.choice(roots)]["text"] = chance.choice(["<@U3>", "<@U2>", CANARY])
            if roots and chance.random() < 0.5:
                gone = chance.choice(roots)
                if gone in slack.replies[channel]:  # Slack leaves a stone where a thread was
                    slack.messages[channel][gone] |= {"subtype": "tombstone", "user": "USLACKBOT"}
                else:
                    del slack.messages[channel][gone]
            answered = [root for root, replies in slack.replies[channel].items() if replies]
            if answered and chance.random() < 0.5:
                replies = slack.replies[channel][chance.choice(answered)]
                del replies[chance.choice(list(replies))]
        batches = fetch(settings_for(slack, page_size=size), P, None, NIGHT + night * DAY, store)
        async for batch in batches:
            if chance.random() < 0.05:
                break
            store.apply(batch)
        await batches.aclose()
    await run(slack, store, nights=10, page_size=size)
    stones = {message_key(c, t) for c, said in slack.messages.items() for t, m in said.items() if m.get("subtype") == "tombstone"}
    there = {message_key(c, t) for c, said in slack.messages.items() for t in said}
    there |= {message_key(c, t) for c, roots in slack.replies.items() for replies in roots.values() for t in replies}
    assert store.alive() == there - stones
    fresh = Store()
    await run(slack, fresh, nights=10)
    known, anew = store.interactions(), fresh.interactions()
    for key in there - stones:
        # a reply's edit shows in nothing that Slack says of its thread; roots are read again every night
        if anew[key]["thread_key"] in (None, key):
            assert known[key] == anew[key]
