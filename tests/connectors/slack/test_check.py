"""What the check proves, says and costs."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from connectors.checks import ScopeCheck
from connectors.errors import UserError
from connectors.slack import SCOPES, SlackSettings, check


async def checked(slack: Any, **more: Any) -> dict[str, ScopeCheck]:
    settings = SlackSettings(token=SecretStr("xoxb-1"), base_url=slack.url, pace=10_000, backoff_seconds=0.001, retries=2, **more)
    return {row.scope: row for row in await check(settings)}


@pytest.fixture
def small(slack: Any) -> Any:
    slack.add_channel("C1", is_member=True)
    slack.add_channel("C2", kind="private_channel")
    slack.add_channel("D1", kind="im", user="U2")
    return slack


async def test_everything_works_at_the_cost_of_few_calls(small: Any) -> None:
    rows = await checked(small)
    assert list(rows) == list(SCOPES)
    assert all(row.works for row in rows.values())
    assert len(small.requests) == 1 + 3 + 4 + 3  # sign-in; users, groups, team; lists; histories (no group message to try)
    assert all(int(sent.get("limit", 1)) <= 20 for _, sent in small.requests)


async def test_a_scope_that_the_token_does_not_state_is_missing(small: Any) -> None:
    small.scopes = ",".join(name for name in small.scopes.split(",") if name not in ("im:history", "users:read.email"))
    rows = await checked(small)
    assert {name for name, row in rows.items() if not row.works} == {"im:history", "users:read.email"}
    assert "direct messages are not read" in rows["im:history"].costs
    assert "im:history" in rows["im:history"].grant


async def test_where_slack_does_not_state_scopes_calls_decide(small: Any) -> None:
    small.scopes = ""
    small.errors["usergroups.list"] = "missing_scope"
    small.channel_errors["C2"] = "missing_scope"
    small.channel_errors["C1"] = "not_in_channel"  # the app is not in that one: the scope was accepted
    for user in small.users:
        user["profile"].pop("email")
    rows = await checked(small)
    assert {name for name, row in rows.items() if not row.works} == {"usergroups:read", "groups:history", "users:read.email"}


async def test_what_settings_turn_off_is_not_asked_for(small: Any) -> None:
    rows = await checked(small, include_dms=False, include_group_dms=False)
    assert not any(name.startswith(("im:", "mpim:")) for name in rows)


async def test_discovery_is_checked_where_it_could_be(small: Any) -> None:
    small.scopes += ",discovery:read"
    assert (await checked(small))["discovery:read"].works
    small.errors["discovery.conversations.list"] = "not_allowed_token_type"
    assert not (await checked(small))["discovery:read"].works


async def test_sign_in_faults_are_the_users_to_mend(small: Any) -> None:
    small.errors["auth.test"] = "invalid_auth"
    with pytest.raises(UserError, match=r"slack\.token"):
        await checked(small)
    small.errors.clear()
    small.auth = {"ok": True}
    with pytest.raises(UserError, match=r"slack\.base_url"):
        await checked(small)
    small.every = lambda method: web.Response(status=503)
    with pytest.raises(UserError, match="does not answer"):
        await checked(small)


def test_every_scope_says_why_and_only_reads() -> None:
    for name, scope in SCOPES.items():
        assert name.endswith((":read", ":history", ":read.email"))
        assert scope.reason
        assert scope.costs
