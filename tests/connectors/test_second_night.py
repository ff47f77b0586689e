"""The second night: what changed is right in the tables, and the requests made follow what changed, not what the history holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from worlds import tables

from connectors import microsoft365, slack
from connectors.pseudonyms import Pseudonymiser
from connectors.sandbox import Organisation, Sandbox, World, make
from connectors.sandbox import evolution as evolution_module
from connectors.sandbox.graph_directory import object_id
from connectors.sandbox.log import MEDIUM
from connectors.sandbox.slack_messages import channel_id, ts_text
from connectors.slack.people import ANYWHERE
from pipelines.build import build
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

P = Pseudonymiser(b"k" * 32)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    """Everything that can happen to a message later happens often; four people change team, three join."""
    return make(World(people=20, days=50, seed=12, thread_share=0.5, late_reply_share=0.5, mover_share=0.2, joiner_share=0.15))


@pytest.fixture
def sandbox(organisation: Organisation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(evolution_module, "EDITED_SHARE", 0.9)
    with Sandbox(organisation) as served:
        yield served


def read(sandbox: Sandbox, warehouse: Warehouse, until: datetime, history_days: int = 40, **more: Any) -> Counter[str]:
    """Read both services and return the requests that it took, by method and route."""
    sandbox.now = until
    before = sandbox.requests
    given = {"history_days": history_days}
    slack_settings = slack.SlackSettings(**{**sandbox.slack_settings(), **given, "sweep_nights": 0, **more})
    graph_settings = microsoft365.Microsoft365Settings(**{**sandbox.graph_settings(), **given, "resync_jitter_seconds": 0})

    async def both() -> None:
        async for batch in slack.fetch(slack_settings, P, None, until, warehouse.state("slack")):
            warehouse.store(batch)
        async for batch in microsoft365.fetch(graph_settings, P, None, until, warehouse.state("microsoft365")):
            warehouse.store(batch)

    asyncio.run(both())
    return Counter({name: count - before[name] for name, count in sandbox.requests.items() if count != before[name]})


def nights(sandbox: Sandbox, days: int = 1, **more: Any) -> tuple[Warehouse, Counter[str]]:
    """A warehouse after a first night and one `days` later, and what the second took."""
    warehouse = Warehouse(None, time_zone="Europe/Berlin")
    read(sandbox, warehouse, sandbox.organisation.ends - days * DAY, **more)
    return warehouse, read(sandbox, warehouse, sandbox.organisation.ends, **more)


def test_a_night_costs_the_same_however_long_the_history(sandbox: Sandbox) -> None:
    _, short = nights(sandbox, history_days=9, late_reply_days=7)
    _, long = nights(sandbox, history_days=49, late_reply_days=7)
    # what is found out once of an account is not asked for again, whenever that was
    # who is in a direct message is asked once: what a short history has not met yet costs it more, never the long one
    assert long <= short
    assert long["conversations.history"] > 10


def test_a_nights_requests_are_one_a_place_and_one_a_thread_that_moved(sandbox: Sandbox, organisation: Organisation) -> None:
    _, second = nights(sandbox)
    mailboxes = len([person for person in organisation.people if person.is_internal])
    conversations = len([space for space in sandbox.slack.directory.spaces if sandbox.slack._has_begun(space)])
    assert second["conversations.history"] + second["discovery.conversations.history"] == conversations
    assert second["users/{user}/messages"] == mailboxes
    assert second["users/{user}/mailFolders/{folder}/messages"] == 0
    assert second["users/{user}/calendarView"] == second["users/{user}/chats/getAllMessages"] == mailboxes
    assert second["users/delta"] == 1
    # a thread is asked for where its first message tells of a reply since, or where it was lively the night before
    log = organisation.log
    since = int((organisation.ends - 2 * DAY).timestamp() * 1_000_000)
    on_slack = np.isin(log.medium, [MEDIUM["slack_channel"], MEDIUM["slack_dm"], MEDIUM["slack_group_dm"]])
    fresh = on_slack & (log.at >= since) & (log.thread >= 0)
    moved = {int(root) for root in log.thread[fresh]}
    deleted = on_slack & (sandbox.evolution.deleted >= since) & (log.thread >= 0)
    moved |= {int(root) for root in log.thread[deleted]}
    assert 0 < second["conversations.replies"] <= len(moved)


def test_a_night_on_which_nothing_happened_asks_only_whether_something_did(sandbox: Sandbox, organisation: Organisation) -> None:
    warehouse, second = nights(sandbox)
    build(warehouse, Settings().measure, catalog=tables([]))
    third = read(sandbox, warehouse, organisation.ends)
    assert third["conversations.replies"] == third["users.info"] == 0
    assert sum(third.values()) <= sum(second.values())
    assert warehouse.value("select count(*) from raw.touched_day") == 0, "what is read again is stored as no change"


def test_late_replies_edits_and_deletions_are_all_right(sandbox: Sandbox, organisation: Organisation) -> None:
    warehouse, _ = nights(sandbox, days=12)
    log, evolution = organisation.log, sandbox.evolution
    first, end = (int(moment.timestamp() * 1_000_000) for moment in (organisation.ends - 12 * DAY, organisation.ends))
    low = int((organisation.ends - 40 * DAY).timestamp() * 1_000_000)
    at_slack = np.isin(log.medium, [MEDIUM["slack_channel"], MEDIUM["slack_dm"], MEDIUM["slack_group_dm"]]) & (log.at > low)

    def stored(event: int) -> Any:
        channel = channel_id(log.spaces[int(log.space[event])])
        key = P.key("slack:message", f"{ANYWHERE}:{channel}:{ts_text(int(log.at[event]))}")
        rows = warehouse.run(
            "select exclusion, thread_key, interaction_key, participants from raw.interaction where interaction_key = $1", [key]
        )
        return rows[0] if rows else None

    seen_before = at_slack & (log.at < first)
    late = np.flatnonzero(at_slack & (log.at >= first) & (log.thread >= 0) & (log.at[np.maximum(log.thread, 0)] < first))
    gone = np.flatnonzero(seen_before & (evolution.deleted >= first) & (evolution.deleted < end))
    edited = np.flatnonzero(seen_before & evolution.adds_mention & (evolution.edited >= first) & (evolution.edited < end))
    assert min(len(late), len(gone), len(edited)) > 0
    for event in late.tolist():
        row = stored(event)
        assert row is not None
        assert row[1] is not None
    for event in gone.tolist():
        assert stored(event)[0] == "deleted"
    for event in edited.tolist():
        assert any(part["evidence"] == "mentioned" for part in stored(event)[3])


def test_people_who_changed_team_have_both_teams_each_on_its_days(sandbox: Sandbox, organisation: Organisation) -> None:
    moved = [person for person in organisation.people if len(person.places) == 2]
    (person, day) = min(((one, one.places[1].valid_from) for one in moved), key=lambda pair: pair[1])
    assert isinstance(day, date)
    warehouse = Warehouse(None)
    changed_at = organisation.begins + (day - organisation.world.start).days * DAY
    read(sandbox, warehouse, changed_at - DAY / 2)
    second = read(sandbox, warehouse, changed_at + DAY / 2)
    assert second["users/delta"] == 1
    key = P.key("microsoft365:account", object_id(person.number))
    rows = warehouse.run("select observed_on, team from raw.membership where account_key = $1 order by 1", [key])
    assert rows == [
        ((changed_at - DAY / 2).date(), person.places[0].team),
        ((changed_at + DAY / 2).date(), person.places[1].team),
    ]
    build(warehouse, Settings().measure, catalog=tables([]))
    teams = warehouse.run(
        "select m.team from core.membership as m join core.account as a on a.person_key = m.person_key "
        "where a.account_key = $1 order by m.valid_from",
        [key],
    )
    assert [team for (team,) in teams] == [place.team for place in person.places]
