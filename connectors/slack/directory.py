"""Who and what is in the workspace: accounts, user groups and conversations, read anew each night."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from connectors.opted_out import OptedOut
from connectors.pseudonyms import Pseudonymiser
from connectors.slack import spaces
from connectors.slack.access import Workspace
from connectors.slack.client import SlackClient, SlackError, SlackUnavailableError
from connectors.slack.faults import fingerprint, quarantined
from connectors.slack.people import ANYWHERE, People, is_id
from connectors.slack.settings import SlackSettings
from connectors.slack.spaces import Conversation

Rows = dict[str, list[dict[str, Any]]]
ACCOUNT_CURSOR: Final = "account:"
_HIDDEN: Final = "hidden"
"""Ends the cursor of an account of which Slack told nothing."""
_PAGE: Final = 200
_CONVERSATION_PAGE: Final = 999


@dataclass(frozen=True, slots=True)
class _Kind:
    """One type of conversation: what the API calls it, and which setting turns it off."""

    name: str
    medium: str
    discovery: str
    setting: str | None
    unit: str | None


KINDS: Final = (
    _Kind("public_channel", "slack_channel", "only_public", None, None),
    _Kind("private_channel", "slack_channel", "only_private", "include_private_channels", "private_channels"),
    _Kind("mpim", "slack_group_dm", "only_mpim", "include_group_dms", None),
    _Kind("im", "slack_dm", "only_im", "include_dms", None),
)


class Directory:
    """The workspace's accounts, user groups and conversations.

    Attributes:
        people: The accounts, for the parser.
        usergroups: User group id -> its members' ids.
        conversations: What will be read.
        unlisted_media: Media of which not every conversation could be listed.
        coverage: What could not be read and why, as `coverage` rows.
    """

    def __init__(
        self,
        client: SlackClient,
        workspace: Workspace,
        settings: SlackSettings,
        pseudonyms: Pseudonymiser,
        span: tuple[date, date],
        namespace: str = ANYWHERE,
    ) -> None:
        self.people = People(
            pseudonyms, workspace.own_teams, own_domains=settings.own_domains, opted_out=settings.opted_out, namespace=namespace
        )
        self.usergroups: dict[str, tuple[str, ...]] = {}
        self.conversations: list[Conversation] = []
        self.coverage: list[dict[str, Any]] = []
        self.unlisted_media: set[str] = set()
        self._refusals: Counter[tuple[str, str | None]] = Counter()
        self._client = client
        self._workspace = workspace
        self._settings = settings
        self._opted_out = OptedOut(settings.opted_out, pseudonyms.earlier)
        self._pseudonyms = pseudonyms
        self._span = span
        self._may_ask = True
        self._teams: tuple[str | None, ...] = (settings.team_id,)

    async def read(self) -> AsyncIterator[Rows]:
        """Yield account, space and quarantine rows, page by page; afterwards the attributes are filled."""
        await self._read_teams()
        async for rows in self._read_users():
            yield rows
        yield await self._read_usergroups()
        async for rows in self._read_conversations():
            yield rows
        self.coverage.append(self._covered("huddles", "slack_huddle", "partial", "participants_incomplete"))

    # -- the organisation ---------------------------------------------------------------------------------------------

    async def _read_teams(self) -> None:
        try:
            about = (await self._client.call("team.info", team=self._settings.team_id)).get("team")
            if isinstance(about, dict):
                self.people.own_teams.update(name for name in (about.get("id"), about.get("enterprise_id")) if is_id(name))
        except SlackError as error:
            self._uncovered("team", None, error.code)
        if self._workspace.is_organisation:
            try:
                teams = [
                    team["id"] async for page in self._client.pages("auth.teams.list", "teams", limit=_PAGE) for team in _objects(page)
                ]
                self.people.own_teams.update(teams)
                if self._settings.team_id is None and teams:
                    self._teams = tuple(teams)
            except SlackError as error:
                self._uncovered("teams", None, error.code)
        try:
            async for page in self._client.pages("team.externalTeams.list", "organizations", limit=_PAGE):
                for organisation in page:
                    if isinstance(organisation, dict) and is_id(organisation.get("team_id")):
                        self.people.own_teams.discard(organisation["team_id"])
        except SlackError as error:
            self._uncovered("external_teams", None, error.code)
        self.people.own_teams |= self._workspace.own_teams

    # -- people -------------------------------------------------------------------------------------------------------

    async def _read_users(self) -> AsyncIterator[Rows]:
        for team in self._teams:
            pages = self._client.pages("users.list", "members", limit=_PAGE, team_id=team)
            async for page in self._told(pages, "users", None, team):
                yield self._listed(page)
        if self._workspace.has_discovery and self._settings.use_discovery:
            pages = self._client.offset_pages("discovery.users.list", "users", limit=_PAGE, include_deleted=1)
            async for page in self._told(pages, "discovered_users", None, None):
                yield self._listed(page)
        self._may_ask = not any(row["reason"] == "missing_scope" and row["unit_key"] == self._unit("users", None) for row in self.coverage)

    async def _told(
        self, pages: AsyncGenerator[list[Any], None], unit: str, medium: str | None, team: str | None
    ) -> AsyncGenerator[list[Any], None]:
        """Give the pages of a listing as far as it can be read; where it breaks off, state it for the workspace that it is of."""
        is_begun = False
        try:
            async with aclosing(pages):
                async for page in pages:
                    is_begun = True
                    yield page
        except (SlackError, SlackUnavailableError) as error:
            self._refused_by(unit, medium, team, code_of(error), is_begun=is_begun)

    def _refused_by(self, unit: str, medium: str | None, team: str | None, reason: str, *, is_begun: bool = False) -> None:
        """State that a listing could not be read: of the only workspace, or of one among several, which costs itself."""
        self._refusals[unit, medium] += 0 if is_begun else 1
        if medium is not None:
            self.unlisted_media.add(medium)
        if self._refusals[unit, medium] == len(self._teams):
            # in no workspace at all
            self._uncovered(unit, medium, reason)
        elif is_begun or len(self._teams) > 1:
            self._uncovered(f"{unit}:{team or ''}", medium, reason, status="partial" if is_begun else "missing")

    def _listed(self, page: Iterable[object]) -> Rows:
        rows, refused = self.people.listed(page)
        return {"account": rows, "quarantine": refused}

    async def _read_usergroups(self) -> Rows:
        refused: list[dict[str, Any]] = []
        for team in self._teams:
            try:
                data = await self._client.call("usergroups.list", include_users=1, include_disabled=1, team_id=team)
            except (SlackError, SlackUnavailableError) as error:
                self._refused_by("usergroups", None, team, code_of(error))
                continue
            listed = data.get("usergroups")
            for group in listed if isinstance(listed, list) else []:
                if not isinstance(group, dict) or not is_id(group.get("id")):
                    refused.append(self._refused("usergroup", group))
                elif isinstance(group.get("users"), list):
                    self.usergroups[group["id"]] = tuple(user for user in group["users"] if is_id(user))
        return {"quarantine": refused}

    def _refused(self, kind: str, record: object) -> dict[str, Any]:
        return quarantined(self._pseudonyms, "directory", f"{kind}:{fingerprint(record)}", f"malformed_{kind}")

    async def resolve(self, users: Iterable[str], today: date) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Return account rows of ids that the directory does not list, asking Slack for each, and cursors that say when."""
        rows: list[dict[str, Any]] = []
        cursors: dict[str, str] = {}
        for user in users:
            found: list[dict[str, Any]] = []
            is_answered = True
            if self._may_ask and user[0] in "UW" and user not in self.people.bots and not self.people.is_known(user):
                try:
                    about = (await self._client.call("users.info", user=user)).get("user")
                    found, _ = self.people.listed([about])
                except SlackError as error:
                    # not visible to this token: what messages tell of them has to do
                    self._may_ask = error.code != "missing_scope"
                except SlackUnavailableError:
                    is_answered = False
            is_told = bool(found)
            found = found or self.people.unlisted_records([user])
            rows += found
            for row in found if is_answered and not self.people.is_known(user) else ():
                cursors[f"{ACCOUNT_CURSOR}{row['account_key']}"] = "|".join(
                    [today.isoformat(), row.get("person_id") or "", *([] if is_told else [_HIDDEN])]
                )
        return rows, cursors

    def remember(self, cursors: Mapping[str, str], today: date) -> None:
        """Take over which outside people were recorded lately, and need not be asked for again."""
        oldest = (today - timedelta(days=self._settings.account_refresh_days)).isoformat()
        for name, value in cursors.items():
            day, person_id, *hidden = value.split("|")
            key = int(name.removeprefix(ACCOUNT_CURSOR))
            if person_id and person_id in self._opted_out:
                self.people.opted_out.add(key)
            if day > oldest:
                self.people.know(key, is_told=_HIDDEN not in hidden)

    # -- conversations ------------------------------------------------------------------------------------------------

    async def _read_conversations(self) -> AsyncIterator[Rows]:
        found: dict[str, Conversation] = {}
        for kind in KINDS:
            unit = kind.unit or "all"
            if kind.setting is not None and not getattr(self._settings, kind.setting):
                self._uncovered(unit, kind.medium, "excluded_by_settings")
                continue
            async for rows in self._read_kind(kind, found):
                yield rows
        self.conversations = [conversation for conversation in found.values() if self._is_wanted(conversation)]
        if not self._reads_all_direct_messages:
            for medium in ("slack_dm", "slack_group_dm"):
                self.coverage.append(self._covered("others", medium, "partial", "own_conversations_only"))

    @property
    def _left_out(self) -> set[str]:
        """Media that settings leave out."""
        return {kind.medium for kind in KINDS if kind.medium != "slack_channel" and not getattr(self._settings, kind.setting or "")}

    @property
    def _reads_all_direct_messages(self) -> bool:
        return self._workspace.has_discovery and self._settings.use_discovery

    async def _read_kind(self, kind: _Kind, found: dict[str, Conversation]) -> AsyncIterator[Rows]:
        is_discovering = self._reads_all_direct_messages
        before = len(self.coverage)
        for team in self._teams:
            pages = self._client.pages(
                "conversations.list",
                "channels",
                types=kind.name,
                limit=_CONVERSATION_PAGE,
                exclude_archived=None if self._settings.include_archived else 1,
                team_id=team,
            )
            async for page in self._told(pages, kind.unit or "all", kind.medium, team):
                yield self._take(page, kind, found, is_discovered=False)
        if is_discovering:
            # Discovery lists all of them: what the other listing refused is not missing
            del self.coverage[before:]
            self.unlisted_media.discard(kind.medium)
            self._refusals.clear()
            pages = self._client.offset_pages("discovery.conversations.list", "channels", limit=_CONVERSATION_PAGE, **{kind.discovery: 1})
            async for page in self._told(pages, kind.unit or "all", kind.medium, None):
                yield self._take(page, kind, found, is_discovered=True)

    def _take(self, page: Iterable[object], kind: _Kind, found: dict[str, Conversation], *, is_discovered: bool) -> Rows:
        rows: list[dict[str, Any]] = []
        refused: list[dict[str, Any]] = []
        for raw in page:
            conversation = spaces.parse(raw, self._pseudonyms, self.people.namespace, medium=kind.medium) if isinstance(raw, dict) else None
            if conversation is None:
                refused.append(self._refused("conversation", raw))
                continue
            if conversation.channel in found:
                continue
            if conversation.medium in self._left_out:
                continue  # asked for as one thing, and by its own word another
            if conversation.is_private is None:
                conversation = replace(conversation, is_private=kind.name != "public_channel")
            if (
                conversation.medium == "slack_dm"
                and conversation.peer is not None
                and self._workspace.user is not None
                and not is_discovered
            ):
                conversation = replace(conversation, members=tuple(dict.fromkeys((self._workspace.user, conversation.peer))))
            found[conversation.channel] = replace(conversation, is_discovered=is_discovered)
            rows.append(conversation.record())
        return {"space": rows, "quarantine": refused}

    def _is_wanted(self, conversation: Conversation) -> bool:
        settings = self._settings
        if settings.include_channels and conversation.channel not in settings.include_channels:
            return False
        return conversation.channel not in settings.exclude_channels

    async def members(self, conversation: Conversation) -> Conversation:
        """Return a direct message of either size with its members; channels and those known already as they are."""
        if conversation.has_members:
            return conversation
        members: dict[str, None] = {}
        if conversation.is_discovered:
            pages = self._client.offset_pages(
                "discovery.conversations.members", "members", channel=conversation.channel, team=conversation.team, limit=_CONVERSATION_PAGE
            )
        else:
            pages = self._client.pages("conversations.members", "members", channel=conversation.channel, limit=_CONVERSATION_PAGE)
        async for page in pages:
            for member in page:
                name = member.get("id") if isinstance(member, dict) else member
                if is_id(name):
                    members[name] = None
        return replace(conversation, members=tuple(members))

    # -- coverage -----------------------------------------------------------------------------------------------------

    def _covered(self, unit: str, medium: str | None, status: str, reason: str) -> dict[str, Any]:
        return {
            "stream": "messages" if medium else "directory",
            "unit_key": self._unit(unit, medium),
            "medium": medium,
            "date_from": self._span[0],
            "date_to": self._span[1],
            "status": status,
            "reason": reason,
        }

    def _unit(self, unit: str, medium: str | None) -> int:
        return 0 if unit == "all" else self._pseudonyms.key("slack:unit", unit if medium is None else f"{medium}:{unit}")

    def _uncovered(self, unit: str, medium: str | None, reason: str, *, status: str = "missing") -> None:
        row = self._covered(unit, medium, status, reason)
        if row not in self.coverage:
            self.coverage.append(row)


def code_of(error: SlackError | SlackUnavailableError) -> str:
    """Return the reason of coverage for a request that failed."""
    return error.code if isinstance(error, SlackError) else "unavailable"


def _objects(values: object) -> Iterable[dict[str, Any]]:
    """Give those values that are objects with an id."""
    if isinstance(values, list):
        for value in values:
            if isinstance(value, dict) and is_id(value.get("id")):
                yield value
