"""Slack's accounts: which are people, bots or apps, whose organisation they belong to, and who asked to be left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeGuard

from connectors.opted_out import OptedOut
from connectors.pseudonyms import Pseudonymiser, normalise_domain
from connectors.slack.faults import fingerprint, quarantined

SLACKBOT: Final = "USLACKBOT"
_ID_LENGTH: Final = 64


def is_id(value: object) -> TypeGuard[str]:
    """Return whether a value looks like an id of Slack: a short ASCII word of letters and digits."""
    return isinstance(value, str) and 1 < len(value) <= _ID_LENGTH and value.isascii() and value.isalnum()


class People:
    """The accounts of one workspace: pseudonyms by id, and records for those who appear.

    An account's key is `Pseudonymiser.key("slack:account", f"{team}:{user}")` with the workspace that was read, also for
    people of another workspace: a mention names no workspace, and both must be one account.

    Args:
        pseudonyms: The organisation's pseudonyms.
        team: The id of the workspace (or Enterprise organisation) that is read.
        own_domains: Domains of the own organisation: whoever has an address there is no guest, whatever workspace they use.
        opted_out: Keyed hashes of those who asked to be left out: `person_id` (32 hexadecimal digits) or `account_key`
            in decimal; of people who were forgotten, their tombstones.
    """

    def __init__(
        self,
        pseudonyms: Pseudonymiser,
        team: str,
        *,
        own_domains: Iterable[str] = (),
        opted_out: Iterable[str] = (),
    ) -> None:
        self.team = team
        self.own_teams: set[str] = {team}
        self.opted_out: set[int] = set()
        self.bots: set[str] = {SLACKBOT}
        self._pseudonyms = pseudonyms
        self._own_domains = frozenset(normalise_domain(domain) for domain in own_domains)
        self._asked_out = OptedOut(opted_out, pseudonyms.earlier)
        self._keys: dict[str, int] = {}
        self._listed: set[str] = set()
        self._known: set[int] = set()
        self._foreign: dict[str, str] = {}
        self._unlisted: dict[str, None] = {}

    def key(self, user: str) -> int:
        """Return an account's pseudonym, and remember to record the account if the directory does not list it."""
        try:
            return self._keys[user]
        except KeyError:
            found = self._keys[user] = self._pseudonyms.key("slack:account", f"{self.team}:{user}")
            if str(found) in self._asked_out:
                self.opted_out.add(found)
            if user not in self._listed and found not in self._known:
                self._unlisted[user] = None
            return found

    def saw_team(self, user: str, team: str) -> None:
        """Remember that an account belongs to another workspace, as a message of it says."""
        if team not in self.own_teams and user not in self._listed and self._foreign.get(user) != team:
            self._foreign[user] = team
            if self.key(user) not in self._known:
                self._unlisted[user] = None

    def saw_bot(self, user: str) -> None:
        """Remember that an account posts as a bot, where the directory does not say otherwise."""
        if user not in self._listed and user not in self.bots:
            self.bots.add(user)
            if self.key(user) not in self._known:
                self._unlisted[user] = None

    def know(self, account_keys: Iterable[int]) -> None:
        """Accounts outside the directory that were recorded lately need no record now."""
        self._known.update(account_keys)

    def unlisted(self) -> list[str]:
        """Return the ids met since the last call that no directory listed, and forget them."""
        found = list(self._unlisted)
        self._unlisted.clear()
        return found

    def is_external(self, user: Mapping[str, Any]) -> bool:
        """Return whether a user object is of another organisation's workspace."""
        team = user.get("team_id")
        return user.get("is_stranger") is True or (is_id(team) and not self._own_team(user))

    def _own_team(self, user: Mapping[str, Any]) -> bool:
        named = [user.get("team_id")]
        enterprise = user.get("enterprise_user")
        if isinstance(enterprise, dict):
            teams = enterprise.get("teams")
            named += [enterprise.get("enterprise_id"), *(teams if isinstance(teams, list) else [])]
        return any(isinstance(team, str) and team in self.own_teams for team in named)

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
        external = self.is_external(user)
        enterprise = user.get("enterprise_user")
        self._listed.add(name)
        self._unlisted.pop(name, None)
        if is_bot or is_app:
            self.bots.add(name)
        # an Enterprise organisation knows a person under one more id, which messages of shared channels may carry
        other = enterprise.get("id") if isinstance(enterprise, dict) else None
        if is_id(other) and other != name:
            self._keys[other] = self._pseudonyms.key("slack:account", f"{self.team}:{name}")
            self._listed.add(other)
        key = self.key(name)
        if person_id is not None and person_id in self._asked_out:
            self.opted_out.add(key)
        if key in self.opted_out:
            return None
        domain = normalise_domain(address.rpartition("@")[2]) if person_id is not None and isinstance(address, str) else None
        is_own_address = domain is not None and domain in self._own_domains
        team = user.get("team_id")
        return {
            "account_key": key,
            "person_id": person_id,
            "alias_ids": [],
            "domain_key": self._pseudonyms.domain_key(domain) if domain else self._team_key(team) if external else None,
            "kind": "app" if is_app else "bot" if is_bot else "human",
            "is_active": None if "deleted" not in user else user["deleted"] is not True,
            "is_guest": not is_own_address and (external or user.get("is_restricted") is True or user.get("is_ultra_restricted") is True),
            "is_licensed": None,
        }

    def _team_key(self, team: object) -> int | None:
        return self._pseudonyms.domain_key(f"slack-team:{team}") if isinstance(team, str) else None

    def unlisted_records(self, users: Iterable[str]) -> list[dict[str, Any]]:
        """Return the account records of ids outside the directory, as far as messages tell."""
        rows = []
        for user in users:
            key = self.key(user)
            if user in self._listed or key in self.opted_out:
                continue
            team = self._foreign.get(user)
            is_bot = user in self.bots or user.startswith("B")
            rows.append(
                {
                    "account_key": key,
                    "alias_ids": [],
                    "domain_key": self._team_key(team),
                    "kind": "bot" if is_bot else "unknown",
                    "is_guest": team is not None,
                }
            )
        return rows
