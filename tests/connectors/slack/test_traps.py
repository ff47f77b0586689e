"""Traps of Slack's Web API that no other file here meets, a test each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from connectors.pseudonyms import Pseudonymiser
from connectors.slack import SlackSettings, fetch
from connectors.slack.people import ANYWHERE
from connectors.state import MemoryState

TEAM = "T0HOME"
P = Pseudonymiser(b"0123456789abcdef0123456789abcdef")
NIGHT = datetime(2024, 3, 1, 2, tzinfo=UTC)
TS = f"{int(NIGHT.timestamp()) - 86_400}.000100"


def account(name: str) -> int:
    return P.key("slack:account", f"{ANYWHERE}:{name}")


async def rows(slack: Any, kind: str, **more: Any) -> list[dict[str, Any]]:
    settings = SlackSettings(token=SecretStr("xoxb-secret"), base_url=slack.url, pace=10_000, backoff_seconds=0.001, **more)
    batches: AsyncIterator[Any] = fetch(settings, P, None, NIGHT, MemoryState())
    return [row async for batch in batches if kind in batch.records for row in batch.records[kind].to_pylist()]


async def test_one_ts_in_two_channels_is_two_messages(slack: Any) -> None:
    for channel in ("C1", "C2"):
        slack.add_channel(channel)
        slack.say(channel, TS)
    found = await rows(slack, "interaction")
    assert {row["interaction_key"] for row in found} == {P.key("slack:message", f"{ANYWHERE}:{channel}:{TS}") for channel in ("C1", "C2")}


async def test_user_groups_come_with_their_members_in_one_request_and_disabled_ones_too(slack: Any) -> None:
    slack.add_channel("C1")
    slack.say("C1", TS, "U1", text="<!subteam^S1> <!subteam^S2|@old>")
    slack.usergroups = [{"id": "S1", "users": ["U1", "U2"]}, {"id": "S2", "date_delete": 1, "users": ["U3"]}, {"id": "S3"}]
    (message,) = await rows(slack, "interaction")
    assert {one["account_key"] for one in message["participants"]} == {account("U2"), account("U3")}
    (asked,) = [sent for method, sent in slack.requests if method.startswith("usergroups")]
    assert (asked["include_users"], asked["include_disabled"]) == ("1", "1")


async def test_people_bots_apps_guests_and_the_deactivated_are_told_apart(slack: Any, make_user: Any) -> None:
    slack.users = [
        make_user("U1", is_app_user=True),  # whoever authorised this app is a person all the same
        make_user("U2", deleted=True),
        make_user("U3", is_restricted=True),
        make_user("U4", is_restricted=True, is_ultra_restricted=True),
        make_user("U5", is_bot=True),
        make_user("U6", is_workflow_bot=True, is_bot=True),
        make_user("U7", team_id="T0CLIENT"),
        make_user("USLACKBOT"),
        make_user("U8", profile={"real_name": "no address is shown"}),
    ]
    shown = ("kind", "is_active", "is_guest")
    found = {row["account_key"]: (*(row[name] for name in shown), row["person_id"] is not None) for row in await rows(slack, "account")}
    assert found == {
        account("U1"): ("human", True, False, True),
        account("U2"): ("human", False, False, True),
        account("U3"): ("human", True, True, True),
        account("U4"): ("human", True, True, True),
        account("U5"): ("bot", True, False, True),
        account("U6"): ("app", True, False, True),
        account("U7"): ("human", True, True, True),
        account("USLACKBOT"): ("bot", True, False, True),
        account("U8"): ("human", True, False, False),
    }


async def test_a_person_whom_an_organisation_knows_by_one_more_id_is_one_account(slack: Any, make_user: Any) -> None:
    slack.users.append(make_user("U7", enterprise_user={"id": "W7", "enterprise_id": "E1", "teams": [TEAM]}))
    slack.add_channel("C1")
    slack.say("C1", TS, "W7", text="<@U1>")
    (message,) = await rows(slack, "interaction")
    assert message["sender_key"] == account("U7")
    assert account("W7") not in {row["account_key"] for row in await rows(slack, "account")}


async def test_every_list_is_asked_for_with_a_limit_and_no_method_writes(slack: Any) -> None:
    slack.add_channel("C1")
    slack.say("C1", TS)
    await rows(slack, "interaction")
    asked = {method for method, _ in slack.requests}
    for method, sent in slack.requests:
        if method in ("users.list", "conversations.list", "conversations.history", "conversations.replies", "team.externalTeams.list"):
            assert int(sent["limit"]) <= 1000
    assert {method.rpartition(".")[2] for method in asked} <= {"test", "info", "list", "history", "replies", "members"}


async def test_people_of_a_connected_organisation_belong_to_it_also_without_an_address(slack: Any) -> None:
    slack.add_channel("C1", is_ext_shared=True)
    slack.say("C1", TS, "U9", user_team="T0CLIENT", text="<@U1>")
    (outsider,) = [row for row in await rows(slack, "account") if row["account_key"] == account("U9")]
    assert (outsider["domain_key"], outsider["is_guest"]) == (P.domain_key("slack-team:T0CLIENT"), True)
    (space,) = await rows(slack, "space")
    assert space["is_shared"] is True
