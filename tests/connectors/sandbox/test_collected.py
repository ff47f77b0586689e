"""What the real connectors collect from the sandbox is what its log holds, with faults and without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from connectors import slack
from connectors.pseudonyms import Pseudonymiser
from connectors.records import MEDIA, Batch
from connectors.sandbox import Faults, Organisation, Sandbox, World, make
from connectors.sandbox import log as l
from connectors.sandbox.names import EXTERNAL_TEAMS, SLACK_TEAM
from connectors.sandbox.slack_messages import channel_id, ts_text, user_id
from connectors.slack.people import ANYWHERE
from connectors.state import MemoryState

KEY = b"a key for tests that has 32 bytes at least"


@pytest.fixture(scope="module")
def small() -> Organisation:
    return make(World(people=45, days=45, seed=4, thread_share=0.4, late_reply_share=0.3))


async def collected(batches: AsyncIterator[Batch]) -> dict[int, dict[str, Any]]:
    """Interactions by key, participants in order."""
    found: dict[int, dict[str, Any]] = {}
    async for batch in batches:
        if "quarantine" in batch.records:
            assert not batch.records["quarantine"].num_rows
        if "interaction" in batch.records:
            for row in batch.records["interaction"].to_pylist():
                row["participants"] = sorted((one["evidence"], one["account_key"]) for one in row["participants"] or [])
                found[row["interaction_key"]] = row
    return found


@pytest.mark.parametrize("rate", [0.0, 0.2])
async def test_slack_is_collected_whole(small: Organisation, rate: float) -> None:
    pseudonyms = Pseudonymiser(KEY)
    async with Sandbox(small, Faults(rate=rate, seed=1)) as sandbox:
        settings = slack.SlackSettings(**sandbox.slack_settings(), backoff_seconds=0.01)
        found = await collected(slack.fetch(settings, pseudonyms, small.begins, small.ends, MemoryState()))
        log = small.log
        on_slack = np.flatnonzero(np.isin(log.medium, [place for place, name in enumerate(MEDIA) if name.startswith("slack")]))
        visible = sandbox.slack.messages.visible(on_slack)
        assert len(found) == len(visible)
        for event in visible.tolist():
            channel = channel_id(log.spaces[int(log.space[event])])
            row = found[pseudonyms.key("slack:message", f"{ANYWHERE}:{channel}:{ts_text(int(log.at[event]))}")]
            if log.what[event] == l.MESSAGE and MEDIA[int(log.medium[event])] == "slack_channel":
                mentioned = {key for evidence, key in row["participants"] if evidence == "mentioned"}
                told = {
                    pseudonyms.key("slack:account", f"{ANYWHERE}:{user_id(who)}")
                    for who, proof in log.participants(event)
                    if proof == l.PROOF["mentioned"]
                }
                edited = int(sandbox.evolution.edited[event])
                assert mentioned == (set() if sandbox.evolution.adds_mention[event] and edited > sandbox.clock.microseconds else told)
        assert bool(sum(sandbox.faults.counts.values())) == bool(rate)
    assert set(EXTERNAL_TEAMS.values()) - {SLACK_TEAM}


@pytest.mark.parametrize("rate", [0.0, 0.2])
async def test_microsoft_365_is_collected_whole(small: Organisation, rate: float) -> None:
    from connectors.microsoft365 import sync
    from connectors.microsoft365.settings import Microsoft365Settings

    async with Sandbox(small, Faults(rate=rate, seed=1)) as sandbox:
        options = {"retry_seconds": 0.01, "resync_jitter_seconds": 0, "calls": False}
        settings = Microsoft365Settings(**sandbox.graph_settings(), **options)
        found = await collected(sync.fetch(settings, Pseudonymiser(KEY), small.begins, small.ends, MemoryState()))
    log = small.log
    counted = dict.fromkeys(MEDIA, 0)
    for row in found.values():
        # a day out of office has no mode, whatever the log says
        counted[row["medium"]] += row["exclusion"] != "out_of_scope"
    expected = np.bincount(log.medium[~np.isin(log.what, [l.DRAFT, l.ALL_DAY, l.ALL_HANDS])], minlength=len(MEDIA))
    for place, name in enumerate(MEDIA):
        if name in ("email", "teams_chat", "teams_group_chat", "teams_channel") or name.startswith("meeting"):
            assert counted[name] == expected[place], name
