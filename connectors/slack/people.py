"""Slack's accounts: which are people, bots or apps, whose organisation they belong to, and who asked to be left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeGuard

from connectors.opted_out import OptedOut
from connectors.pseudonyms import Pseudonymiser, normalise_domain
from connectors.slack.faults import fingerprint, quarantined

SLACKBOT: Final = "USLACKBOT"
ANYWHERE: Final = "export"
"""What stands before an id in every key, in place of a workspace's id.

Slack's ids mean the same in each workspace that shows them: people and channels keep theirs when a workspace joins an Enterprise
organisation, and in the workspaces they are shared with. So the same message is the same interaction, and the same person the
same account, whichever export or token shows it. A home that an older release filled keeps its workspace's id here.
"""
_ID_LENGTH: Final = 64


def is_id(value: object) -> TypeGuard[str]:
    """Return whether a value looks like an id of Slack: a short ASCII word of letters and digits."""
    return isinstance(value, str) and 1 < len(value) <= _ID_LENGTH and value.isascii() and value.isalnum()


def teams_of(user: Mapping[str, Any]) -> set[str]:
    """Return the workspaces and the Enterprise organisation that a user object names as the user's."""
    named = [user.get("team_id")]
    enterprise = user.get("enterprise_user")
    if isinstance(enterprise, dict):
        teams = enterprise.get("teams")
        named += [enterprise.get("enterprise_id"), *(teams if isinstance(teams, list) else [])]
    return {team for team in named if is_id(team)}


def is_guest_object(user: Mapping[str, Any]) -> bool:
    """Return whether a user object says of itself that it is a stranger's or a guest's."""
    return any(user.get(flag) is True for flag in ("is_stranger", "is_restricted", "is_ultra_restricted"))


class People:
    """The accounts of an organisation's Slack: pseudonyms by id, and records for those who appear.

    An account's key is `Pseudonymiser.key("slack:account", f"{namespace}:{user}")`.

    Args:
        pseudonyms: The organisation's pseudonyms.
        own_teams: Ids of the own workspaces and Enterprise organisation; empty where they are not known.
        own_domains: Domains of the own organisation: whoever has an address there is no guest, whatever workspace they use.
        opted_out: Keyed hashes of those who asked to be left out: `person_id` (32 hexadecimal digits) or `account_key`
            in decimal; of people who were forgotten, their tombstones.
        namespace: See `ANYWHERE`.

    Attributes:
        is_undecided: Whether several workspaces could be the own one: then only what shows somebody's own makes them a colleague.
        has_only_own: Whether no list says who belongs to the workspace, and nothing shows that anybody else is in it.
    """

    def __init__(
        self,
        pseudonyms: Pseudonymiser,
        own_teams: Iterable[str] = (),
        *,
        own_domains: Iterable[str] = (),
        opted_out: Iterable[str] = (),
        namespace: str = ANYWHERE,
    ) -> None:
        self.namespace = namespace
        self.own_teams: set[str] = set(own_teams)
        self.is_undecided = False
        self.has_only_own = False
        self.opted_out: set[int] = set()
        self.bots: set[str] = {SLACKBOT}
        self._pseudonyms = pseudonyms
        self._own_domains = frozenset(normalise_domain(domain) for domain in own_domains)
        self._asked_out = OptedOut(opted_out, pseudonyms.earlier)
        self._keys: dict[str, int] = {}
        self._listed: set[str] = set()
        self._known: set[int] = set()
        self._told: set[int] = set()
        self._shown_teams: dict[str, set[str]] = {}
        self._shown_guests: set[str] = set()
        self._others: dict[str, str] = {}
        self._unlisted: dict[str, None] = {}

    def key(self, user: str) -> int:
        """Return an account's pseudonym, and remember to record the account if the directory does not list it."""
        try:
            return self._keys[user]
        except KeyError:
            found = self._keys[user] = self._account_key(user)
            if str(found) in self._asked_out or (self._asked_out and self._alias(user) in self._asked_out):
                self.opted_out.add(found)
            if user not in self._listed and found not in self._known:
                self._unlisted[user] = None
            return found

    def _account_key(self, user: str) -> int:
        return self._pseudonyms.key("slack:account", f"{self.namespace}:{user}")

    def _alias(self, user: str) -> str | None:
        """Return the pseudonym of an organisation-wide id in the form of an address's: it joins accounts, and is forgotten with them."""
        return self._pseudonyms.person_id(f"{user}@id.slack.invalid")

    def saw_team(self, user: str, team: str, *, is_guest: bool = False) -> None:
        """Remember to which workspace an account belongs, as a message of it says."""
        if user in self._listed or self.key(user) in self._told:
            return
        shown = self._shown_teams.setdefault(user, set())
        if team not in shown or (is_guest and user not in self._shown_guests):
            shown.add(team)
            if is_guest:
                self._shown_guests.add(user)
            self._unlisted[user] = None

    @property
    def shown_teams(self) -> set[str]:
        """Every workspace that messages of unlisted accounts named."""
        return set().union(*self._shown_teams.values())

    def know(self, account_key: int, *, is_told: bool) -> None:
        """An account outside the directory that was recorded lately need not be asked for now.

        Args:
            account_key: The account.
            is_told: Whether Slack told who it is; else what messages show of it is recorded still.
        """
        self._known.add(account_key)
        if is_told:
            self._told.add(account_key)

    def meet(self, account_keys: Iterable[int]) -> None:
        """Accounts that are known by their keys alone, from an earlier night: those among them who asked to be left out are."""
        if self._asked_out:
            self.opted_out.update(key for key in account_keys if str(key) in self._asked_out)

    def is_known(self, user: str) -> bool:
        """Return whether an account was recorded lately."""
        return self.key(user) in self._known

    def unlisted(self) -> list[str]:
        """Return the ids met since the last call that no directory listed, and forget them."""
        found = list(self._unlisted)
        self._unlisted.clear()
        return found

    def _is_outside(self, user: Mapping[str, Any]) -> bool | None:
        """Return whether a user object is of another organisation's workspace; None where that cannot be told."""
        if user.get("is_stranger") is True:
            return True
        teams = teams_of(user)
        if not teams:
            return None if self.is_undecided else False
        if not self.own_teams:
            return None
        return not teams & self.own_teams

    def listed(self, users: Iterable[object]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Take user objects (of `users.json`, `users.list` or `users.info`) into the directory.

        Returns:
            The account records, and quarantine records of objects that have no usable id, both without their source.
        """
        rows: list[dict[str, Any]] = []
        refused: list[dict[str, Any]] = []
        for user in users:
            if isinstance(user, dict) and is_id(user.get("id")):
                row = self._record(user)
                if row is not None:
                    rows.append(row)
            else:
                refused.append(quarantined(self._pseudonyms, "directory", f"user:{fingerprint(user)}", "malformed_user"))
        return rows, refused

    def _record(self, user: Mapping[str, Any]) -> dict[str, Any] | None:
        name = user["id"]
        profile = user.get("profile")
        profile = profile if isinstance(profile, dict) else {}
        address = profile.get("email") or user.get("email")
        person_id = self._pseudonyms.person_id(address) if isinstance(address, str) else None
        is_bot = user.get("is_bot") is True or bool(profile.get("bot_id")) or name == SLACKBOT
        is_app = user.get("is_workflow_bot") is True or (is_bot and user.get("is_connector_bot") is True)
        self._listed.add(name)
        self._unlisted.pop(name, None)
        if is_bot or is_app:
            self.bots.add(name)
        key = self.key(name)
        alias = self._other_id(user)
        if any(pseudonym is not None and pseudonym in self._asked_out for pseudonym in (person_id, alias)):
            self.opted_out.add(key)
        if key in self.opted_out:
            return None
        outside = self._is_outside(user)
        domain = normalise_domain(address.rpartition("@")[2]) if person_id is not None and isinstance(address, str) else None
        is_own_address = domain is not None and domain in self._own_domains
        team = user.get("team_id")
        return {
            "account_key": key,
            "person_id": person_id,
            "alias_ids": [alias] if alias else [],
            "domain_key": self._pseudonyms.domain_key(domain) if domain else self._team_key(team) if outside is not False else None,
            "kind": "app" if is_app else "bot" if is_bot else "human",
            "is_active": user.get("deleted") is not True if isinstance(user.get("deleted"), bool) else None,
            "is_guest": False if is_own_address else is_guest_object(user) or outside,
            "is_licensed": None,
        }

    def _other_id(self, user: Mapping[str, Any]) -> str | None:
        """Note the id under which an Enterprise organisation knows a person, which messages may carry; return its pseudonym.

        Accounts that share it, one in each workspace, are one person. Where it is mentioned, the least of them is meant,
        whichever was listed first.
        """
        name = user["id"]
        enterprise = user.get("enterprise_user")
        other = enterprise.get("id") if isinstance(enterprise, dict) else None
        if not is_id(other):
            return None
        if other != name:
            self._others[other] = min(name, self._others.get(other, name))
            self._keys[other] = self._account_key(self._others[other])
            self._listed.add(other)
            self._unlisted.pop(other, None)
        return self._alias(other)

    def _team_key(self, team: object) -> int | None:
        return self._pseudonyms.domain_key(f"slack-team:{team}") if is_id(team) else None

    def unlisted_records(self, users: Iterable[str]) -> list[dict[str, Any]]:
        """Return the account records of ids outside the directory, as far as messages tell.

        The directory names everybody of the own workspaces. So whoever is not in it is of another where messages say so, is
        own where they say that, and else unknown.
        """
        rows = []
        for user in users:
            key = self.key(user)
            if user in self._listed or key in self.opted_out:
                continue
            is_bot = user in self.bots or user.startswith("B")
            teams = self._shown_teams.get(user, set())
            is_own = bool(teams & self.own_teams)
            foreign = min(teams, default=None) if not is_own else None
            is_guest: bool | None = None
            if user in self._shown_guests:
                is_guest = True
            elif is_bot or is_own or (self.has_only_own and foreign is None):
                is_guest = False
            elif foreign is not None and self.own_teams:
                is_guest = True
            rows.append(
                {
                    "account_key": key,
                    "alias_ids": [],
                    "domain_key": self._team_key(foreign),
                    "kind": "bot" if is_bot else "unknown",
                    "is_guest": is_guest,
                }
            )
        return rows
