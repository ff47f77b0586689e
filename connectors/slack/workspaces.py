"""Whose export it is: the own workspaces, from what shows them for certain. They are never guessed by how many say so.

A client on Slack Connect may have more people in a list than the firm itself. So strangers and guests have no say; of the
others, who share an Enterprise organisation belong together; and where these are several groups, one of them has to be shown
to be at home: by addresses of the own domains, by its owners and administrators (Slack shows those of the own workspace only), by
Slack's own bot, by the home of its channels, by its general channel, which cannot be shared with others, or by who made all its
channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from connectors.slack.people import SLACKBOT, is_guest_object, is_id, teams_of

_RANKS: Final = ("is_primary_owner", "is_owner", "is_admin")
_HOMES: Final = ("context_team_id", "conversation_host_id")


class Evidence:
    """What an export's lists show of workspaces. `own` says which are the own ones."""

    def __init__(self) -> None:
        self._groups: list[set[str]] = []
        self._of_user: dict[str, set[str]] = {}
        self._listed_as_own: set[str] = set()
        self._addresses: set[str] = set()
        self._ranks: set[str] = set()
        self._homes: set[str] = set()
        self._general: set[str] = set()
        self._creators: set[str] = set()

    @property
    def has_teams(self) -> bool:
        """Whether any listed person who belongs to the workspace, and is no guest, names one."""
        return bool(self._groups)

    def add_user(self, user: Mapping[str, Any], *, is_organisation: bool = False, has_own_address: bool = False) -> None:
        """Take in a user object.

        Args:
            user: The object.
            is_organisation: Whether it stands in an organisation's list, which names its own people only.
            has_own_address: Whether its address is of a domain that the user calls the own one.
        """
        teams = teams_of(user)
        if not teams or is_guest_object(user):
            return
        self._join(teams)
        name = user.get("id")
        if isinstance(name, str):
            self._of_user[name] = teams
        if has_own_address:
            self._addresses |= teams
        if is_organisation:
            self._listed_as_own |= teams
        elif name == SLACKBOT or any(user.get(rank) is True for rank in _RANKS):
            self._ranks |= teams

    def _join(self, teams: set[str]) -> None:
        joined = set(teams)
        apart = []
        for group in self._groups:
            if group & joined:
                joined |= group
            else:
                apart.append(group)
        self._groups = [*apart, joined]

    def add_conversation(self, about: Mapping[str, Any]) -> None:
        """Take in a conversation object."""
        internal = about.get("internal_team_ids")
        named = [*internal] if isinstance(internal, list) else []
        is_shared = about.get("is_ext_shared") is True or bool(about.get("connected_team_ids"))
        if not is_shared:
            named += [about.get(name) for name in _HOMES]
            self._creators |= {about["creator"]} if is_id(about.get("creator")) else set()
            members = about.get("members")
            if about.get("is_general") is True and isinstance(members, list):
                self._general |= {member for member in members if is_id(member)}
        self._homes |= {team for team in named if is_id(team)}

    def own(self, given: str | None, shown: Iterable[str] = ()) -> set[str]:
        """Return the own workspaces with the organisation above them; nothing where that cannot be told.

        Args:
            given: The workspace's or organisation's id, if the user says it.
            shown: The workspaces that messages name, which count where no list names any.
        """
        if given is not None:
            return self._groups_of({given}) | {given}
        if self._listed_as_own:
            return self._groups_of(self._listed_as_own)
        if not self._groups:
            named = self._homes or set(shown)
            return named if len(named) == 1 else set()
        if len(self._groups) == 1:
            return set(self._groups[0])
        for found in (self._addresses, self._ranks, self._homes, self._teams_of(self._general), self._teams_of(self._creators)):
            at_home = [group for group in self._groups if group & found]
            if at_home:
                return at_home[0] if len(at_home) == 1 else set()
        return set()

    def _teams_of(self, users: Iterable[str]) -> set[str]:
        return set().union(*(self._of_user.get(user, set()) for user in users))

    def _groups_of(self, teams: set[str]) -> set[str]:
        return set().union(*(group for group in self._groups if group & teams))
