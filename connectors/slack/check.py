"""Which scopes a token has, proved by one cheap call each, and what each missing one costs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from connectors.checks import ScopeCheck
from connectors.errors import UserError
from connectors.slack.access import Workspace, sign_in
from connectors.slack.client import SlackClient, SlackError, SlackUnavailableError
from connectors.slack.people import is_id
from connectors.slack.settings import SOURCE, SlackSettings


@dataclass(frozen=True, slots=True)
class Scope:
    """Why a scope is asked for, and what its absence costs."""

    reason: str
    costs: str


SCOPES: Final[Mapping[str, Scope]] = {
    "users:read": Scope(
        "who is a person, a bot, a guest or deactivated",
        "accounts cannot be told apart: bots count as people, guests as colleagues",
    ),
    "users:read.email": Scope(
        "addresses, pseudonymised at once, join a person's accounts across sources",
        "Slack people cannot be joined with their mail and Teams accounts, nor with client organisations",
    ),
    "usergroups:read": Scope("who is meant when a user group is mentioned", "mentions of user groups reach nobody"),
    "team:read": Scope(
        "the workspace's own id and organisation, and who is connected by Slack Connect",
        "people of other workspaces of one's own Enterprise organisation may count as outsiders",
    ),
    "channels:read": Scope("the list of public channels", "public channels are not read at all"),
    "channels:history": Scope("when who wrote in public channels", "public channels are not read at all"),
    "groups:read": Scope("the list of private channels", "private channels are not read at all"),
    "groups:history": Scope("when who wrote in private channels", "private channels are not read at all"),
    "mpim:read": Scope("the list of group direct messages and who is in them", "group direct messages are not read at all"),
    "mpim:history": Scope("when who wrote in group direct messages", "group direct messages are not read at all"),
    "im:read": Scope("the list of direct messages and whose they are", "direct messages are not read at all"),
    "im:history": Scope("when who wrote in direct messages", "direct messages are not read at all"),
}
"""Every scope that the connector asks for. None of them lets it write anything."""

DISCOVERY: Final = Scope(
    "every conversation of an Enterprise organisation, direct messages of everyone included",
    "only conversations that the token's owner is in are read; direct messages of others are not",
)
_TYPES: Final = {"channels": "public_channel", "groups": "private_channel", "mpim": "mpim", "im": "im"}
_SETTINGS: Final = {"groups": "include_private_channels", "mpim": "include_group_dms", "im": "include_dms"}


async def check(settings: SlackSettings, *, client: SlackClient | None = None) -> list[ScopeCheck]:
    """Prove the token and each scope with one cheap call.

    Args:
        settings: The connector's settings; scopes of what they turn off are not checked.
        client: A client that is open already; None to open one.

    Returns:
        One row a scope; `discovery:read` only for organisation-wide apps and tokens that have it.

    Raises:
        UserError: If the token is refused or Slack cannot be reached under the base URL.
    """
    try:
        async with AsyncExitStack() as stack:
            if client is None:
                client = await stack.enter_async_context(SlackClient(settings))
            return await _check(client, settings)
    except SlackUnavailableError as error:
        reason = str(error)
    raise UserError(f"slack.base_url: Slack does not answer there ({reason}); is the address right, and the network open?")


async def _check(client: SlackClient, settings: SlackSettings) -> list[ScopeCheck]:
    workspace = await sign_in(client)
    prover = _Prover(client, settings, workspace)
    rows = []
    for name, scope in SCOPES.items():
        setting = _SETTINGS.get(name.partition(":")[0])
        if setting is None or getattr(settings, setting):
            rows.append(_row(name, scope, await prover.works(name)))
    if workspace.has_discovery or workspace.is_organisation:
        rows.append(_row("discovery:read", DISCOVERY, await prover.works("discovery:read")))
    return rows


def _row(name: str, scope: Scope, works: bool) -> ScopeCheck:
    if name == "discovery:read":
        grant = "ask Slack to enable the Discovery API for your app, then install it on the Enterprise organisation by its owner"
    else:
        grant = f"add {name} under OAuth & Permissions of your Slack app, then install the app again"
    return ScopeCheck(SOURCE, name, works, scope.costs, grant)


class _Prover:
    """Tries what a scope allows; what one call shows is remembered for the next scope."""

    def __init__(self, client: SlackClient, settings: SlackSettings, workspace: Workspace) -> None:
        self._client = client
        self._team = settings.team_id
        self._scopes = workspace.scopes
        self._users: dict[str, Any] | None = None
        self._samples: dict[str, dict[str, Any]] = {}

    async def works(self, scope: str) -> bool:
        """Return whether a call that needs the scope succeeds."""
        if self._scopes and scope not in self._scopes:
            return False
        family, _, right = scope.partition(":")
        try:
            if family in _TYPES:
                return await (self._lists(family) if right == "read" else self._reads(family))
            if scope == "users:read.email":
                return await self._shows_addresses()
            if scope == "users:read":
                await self._some_users()
            elif scope == "usergroups:read":
                await self._client.call("usergroups.list", include_users=1, team_id=self._team)
            elif scope == "team:read":
                await self._client.call("team.info", team=self._team)
            else:
                await self._client.call("discovery.conversations.list", limit=1)
        except SlackError:
            return False
        return True

    async def _some_users(self) -> dict[str, Any]:
        if self._users is None:
            self._users = await self._client.call("users.list", limit=20, team_id=self._team)
        return self._users

    async def _shows_addresses(self) -> bool:
        """Slack leaves addresses out without a word; where it states the token's scopes, those decide."""
        if self._scopes:
            return True
        members = (await self._some_users()).get("members")
        profiles = [user.get("profile") for user in members if isinstance(user, dict)] if isinstance(members, list) else []
        return any(isinstance(profile, dict) and profile.get("email") for profile in profiles)

    async def _lists(self, family: str) -> bool:
        found = await self._client.call("conversations.list", types=_TYPES[family], limit=20, exclude_archived=1, team_id=self._team)
        channels = found.get("channels")
        for channel in channels if isinstance(channels, list) else []:
            if isinstance(channel, dict) and is_id(channel.get("id")) and (family not in self._samples or channel.get("is_member") is True):
                self._samples[family] = channel
        return True

    async def _reads(self, family: str) -> bool:
        sample = self._samples.get(family)
        if sample is None:
            return not self._scopes or f"{family}:history" in self._scopes  # there is nothing to try it on
        try:
            await self._client.call("conversations.history", channel=sample["id"], limit=1)
        except SlackError as error:
            # the app is not in that one: the scope itself was accepted
            return error.code in ("not_in_channel", "channel_not_found")
        return True
