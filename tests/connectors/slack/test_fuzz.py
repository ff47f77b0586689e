"""Whatever Slack sends in whatever list of whatever method: no exception, no good record lost, and what was refused is counted."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from spoiling import spoiler

from connectors.pseudonyms import Pseudonymiser
from connectors.records import SCHEMAS
from connectors.slack import SlackClient, SlackError, SlackSettings, export, fetch, spaces
from connectors.slack.messages import MessageParser
from connectors.slack.people import ANYWHERE, People
from connectors.state import MemoryState

TEAM = "T0HOME"
P = Pseudonymiser(b"0123456789abcdef0123456789abcdef")
NIGHT = datetime(2024, 3, 1, 2, tzinfo=UTC)
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.reuse, Phase.generate))
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8)
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "ts", "user", "users", "team_id", "profile", "text", "reactions", "thread_ts", "latest_reply", "is_im"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


def ts(hours_before: float) -> str:
    return f"{int(NIGHT.timestamp() - 3600 * hours_before)}.000100"


class Spoilt(SlackClient):
    """A client whose responses come from a workspace in memory, through something that spoils them."""

    def __init__(self, chosen: SlackSettings, workspace: Any, spoil: Callable[[Any], Any]) -> None:
        super().__init__(chosen)
        self._workspace = workspace
        self._spoil = spoil

    async def call_with_headers(self, method: str, **parameters: object) -> tuple[dict[str, Any], Mapping[str, str]]:
        await asyncio.sleep(0)
        sent = {name: str(value) for name, value in parameters.items() if value is not None}
        if not (sent.get("cursor") or "0").isdigit() or not (sent.get("offset") or "0").replace(".", "").isdigit():
            raise SlackError("invalid_cursor")
        try:
            data = json.loads(json.dumps(getattr(self._workspace, "on_" + method.replace(".", "_"))(sent)))
        except KeyError:
            raise SlackError("channel_not_found") from None
        if "error" in data:
            raise SlackError(str(data["error"]))
        spoilt = data if method == "auth.test" else self._spoil(data)
        return spoilt if isinstance(spoilt, dict) else {}, {"X-OAuth-Scopes": self._workspace.scopes}


def workspace(fake_slack: Any) -> tuple[Any, set[int]]:
    """A workspace with everything in it, and the keys of its messages."""
    fake = fake_slack()
    fake.scopes += ",discovery:read"
    fake.usergroups = [{"id": "S1", "users": ["U1", "U2", "U3"]}]
    fake.add_channel("C1")
    fake.add_channel("G1", kind="mpim", members=["U1", "U2", "U3"])
    fake.add_channel("D1", kind="im", user="U2")
    fake.discovered = {"D9": {"id": "D9", "kind": "im", "team": TEAM}}
    fake.members["D9"] = ["U2", "U3"]
    fake.messages["D9"], fake.replies["D9"] = {}, {}
    said = [
        (channel, fake.say(channel, ts(hours), "U1", text="<!subteam^S1>"))
        for channel in ("C1", "G1", "D1", "D9")
        for hours in (30, 20, 10)
    ]
    said += [("C1", fake.answer("C1", ts(20), ts(hours))) for hours in (9, 8)]
    return fake, {P.key("slack:message", f"{ANYWHERE}:{channel}:{stamp}") for channel, stamp in said}


def read(fake: Any, spoil: Callable[[Any], Any]) -> dict[str, list[dict[str, Any]]]:
    """A night through spoilt responses; every table that comes of it is whole."""
    chosen = SlackSettings(token=SecretStr("xoxb-secret"), pace=10_000, page_size=2, history_days=5)
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in SCHEMAS}

    async def night() -> None:
        async with Spoilt(chosen, fake, spoil) as client:
            async for batch in fetch(chosen, P, None, NIGHT, MemoryState(), client=client):
                for kind, table in batch.records.items():
                    table.validate(full=True)
                    found[kind] += table.to_pylist()

    asyncio.run(asyncio.wait_for(night(), 20))
    return found


@FUZZ
@given(junk=st.lists(JUNK, min_size=1, max_size=5), seed=st.integers(0, 10**6))
def test_junk_among_good_elements_of_any_list_loses_none_of_them(fake_slack: Any, junk: list[Any], seed: int) -> None:
    fake, good = workspace(fake_slack)
    chance = random.Random(seed)
    put = 0

    def spoil(data: dict[str, Any]) -> dict[str, Any]:
        nonlocal put
        for name in ("members", "channels", "usergroups", "organizations", "messages", "users"):
            if isinstance(data.get(name), list):
                for value in junk:
                    data[name].insert(chance.randint(0, len(data[name])), value)
                    put += 1
        return data

    found = read(fake, spoil)
    stored = {row["interaction_key"]: row for row in found["interaction"]}
    assert good <= stored.keys()
    assert {stored[key]["exclusion"] for key in good} == {None}
    assert {P.key("slack:account", f"{ANYWHERE}:{name}") for name in ("U1", "U2", "U3")} <= {row["account_key"] for row in found["account"]}
    assert len({row["space_key"] for row in found["space"]}) >= 4
    assert put
    if not any(isinstance(value, dict) for value in junk):
        reasons = {row["reason"] for row in found["quarantine"]}
        assert {"not_an_object", "malformed_user", "malformed_conversation", "malformed_usergroup"} <= reasons


@FUZZ
@given(data=st.data())
def test_nothing_that_a_response_may_be_raises(fake_slack: Any, data: st.DataObject) -> None:
    fake, _ = workspace(fake_slack)
    read(fake, spoiler(data, JUNK, 3))


# -- exports ------------------------------------------------------------------------------------------------------------


def message(hours: float, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "ts": ts(hours), "user": "U1", "text": "x", **fields}


@FUZZ
@given(
    wrong=st.binary(max_size=40) | JUNK.map(lambda value: json.dumps(value).encode()),
    junk=st.lists(JUNK, max_size=4),
    name=st.sampled_from(
        ["users.json", "channels.json", "dms.json", "general/2024-02-29.json", "general/2024-02-30.json", "integration_logs.json"]
    ),
    is_zip=st.booleans(),
)
def test_whatever_a_file_of_an_export_holds_the_others_are_read(wrong: bytes, junk: list[Any], name: str, is_zip: bool) -> None:
    files = {
        "users.json": json.dumps([*junk, {"id": "U1", "team_id": TEAM, "profile": {}}]).encode(),
        "channels.json": json.dumps([{"id": "C1", "name": "general"}, *junk]).encode(),
        "general/2024-02-28.json": json.dumps([*junk, message(50)]).encode(),
        name: wrong,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "export.zip" if is_zip else "export")
        if is_zip:
            with zipfile.ZipFile(path, "w") as archive:
                for place, content in files.items():
                    archive.writestr(place, content)
        for place, content in () if is_zip else files.items():
            Path(path, place).parent.mkdir(parents=True, exist_ok=True)
            Path(path, place).write_bytes(content)
        batches = list(export.read(path, P))
    times = {row["occurred_at"] for batch in batches if "interaction" in batch.records for row in batch.records["interaction"].to_pylist()}
    assert datetime.fromtimestamp(float(ts(50)), UTC) in times
    assert all(table.validate(full=True) is None for batch in batches for table in batch.records.values())


# -- extremes -----------------------------------------------------------------------------------------------------------

HUGE = "x" * 10_000_000
WHOLE = {
    **message(1, team=TEAM, thread_ts=ts(1), subtype=None, bot_id=None, reply_count=1, latest_reply=ts(1), user_team=TEAM),
    "blocks": [],
    "reactions": [],
    "files": [],
    "edited": {},
}


@pytest.mark.parametrize("field", sorted(WHOLE))
@pytest.mark.parametrize("value", [HUGE, [HUGE], {"x": HUGE}], ids=["text", "list", "object"])
def test_ten_megabytes_in_any_field_are_refused_or_passed_over_at_once(field: str, value: Any) -> None:
    parser = MessageParser(P, People(P, {TEAM}))
    where = spaces.Conversation("C1", 1, "slack_channel")
    began = time.process_time()
    parser.parse([{**WHOLE, field: value}, message(2)], where)
    columns, refused = parser.take()
    assert len(columns) + len(refused) == 2
    assert P.key("slack:message", f"{ANYWHERE}:C1:{ts(2)}") in columns.interaction_key
    assert all(len(row["reason"]) < 40 for row in refused)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("field", ["id", "team_id", "name", "deleted", "is_bot", "profile", "enterprise_user"])
def test_ten_megabytes_in_any_field_of_a_directory_are_refused_or_passed_over(field: str) -> None:
    people = People(P, {TEAM})
    rows, refused = people.listed(
        [{"id": "U1", "profile": {"email": "a@x.example"}, field: HUGE}, {"id": "U2", "profile": {"email": HUGE}}]
    )
    assert len(rows) + len(refused) == 2
    spaces.parse({"id": "C1", "name": HUGE, "members": [HUGE], field: HUGE}, P, TEAM)
