"""Signing in: of which workspace a token is, and what it may read."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.errors import UserError
from connectors.slack.client import SlackClient, SlackError
from connectors.slack.people import is_id


@dataclass(frozen=True, slots=True)
class Workspace:
    """What signing in says.

    Attributes:
        team: The id that keys are built with: the workspace's, or the organisation's for an organisation-wide app.
        own_teams: Ids under which the own organisation's people appear.
        scopes: The token's scopes; empty where Slack did not say.
        is_bot: Whether the token is a bot's: it reads only conversations that it is in.
        user: The token's own user.
        is_organisation: Whether the app is installed for a whole Enterprise organisation.
    """

    team: str
    own_teams: frozenset[str]
    scopes: frozenset[str]
    is_bot: bool
    user: str | None
    is_organisation: bool

    @property
    def has_discovery(self) -> bool:
        """Whether the token may read every conversation through the Discovery API."""
        return "discovery:read" in self.scopes


async def sign_in(client: SlackClient) -> Workspace:
    """Sign in and return what Slack says of the token.

    Raises:
        UserError: If the token is refused, or what answers is not Slack.
    """
    try:
        data, headers = await client.call_with_headers("auth.test")
    except SlackError as error:
        raise UserError(
            f"slack.token: Slack does not accept it ({error.code}); put the token of your installed app in the setting"
        ) from None
    team, enterprise = data.get("team_id"), data.get("enterprise_id")
    is_organisation = data.get("is_enterprise_install") is True and is_id(enterprise)
    home = enterprise if is_organisation else team
    if not is_id(home):
        raise UserError("slack.base_url: what answers there does not say which workspace it is; is it Slack's Web API?")
    granted = headers.get("X-OAuth-Scopes") or ""
    return Workspace(
        team=home,
        own_teams=frozenset(name for name in (team, enterprise) if is_id(name)),
        scopes=frozenset(scope.strip() for scope in granted.split(",") if scope.strip()),
        is_bot=bool(data.get("bot_id")),
        user=data["user_id"] if is_id(data.get("user_id")) else None,
        is_organisation=is_organisation,
    )
