"""Addresses from which no person writes: robots, lists, bounces and calendars, known by how they are written.

Half of a real inbox comes from such addresses. Each would be a person, and a daily newsletter a tie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from connectors.addresses import normalise_address

# said in one word, or in words with dots, hyphens or underlines between, in whatever address: `shop-no-reply7@`
_NO_ANSWER: Final = re.compile(
    r"(?:^|[^a-z])(?:(?:do)?[._-]?not?[._-]?reply|dont[._-]?reply|no[._-]?respon(?:se|der)|ne[._-]?pas[._-]?repondre|nicht[._-]?antworten|"
    r"keine[._-]?antwort|mailer[._-]?daemon|auto[._-]?(?:reply|responder|mailer|confirm|notif\w*)|automated|unsubscribe|"
    r"undisclosed[._-]?recipients|listserv|majordomo)(?![a-z])"
)
_WHOLE: Final = re.compile(
    r"(?:noreply\w*|\w+noreply|postmaster|hostmaster|mailman|mailer|daemon|bounces?|notifications?|notify|notifier|alerts?|newsletters?|"
    r"calendars?|calendar[._-]?(?:notification|server|invite)s?|nobody|root|cron|"
    # Exchange's own
    r"microsoftexchange[0-9a-f]{32}|(?:healthmailbox|systemmailbox|discoverysearchmailbox|migration|federatedemail)[-.{0-9a-f]\S*)[0-9]*"
)
_BEGINS: Final = re.compile(r"(?:bounces?|srs[01]|prvs|msprvs1)[-+=._0-9]|owner-|notifications?[-._]")
_ENDS: Final = re.compile(r"-(?:bounces?|request|owner|errors|subscribe|daemon)$|[-._](?:notifications?|alerts|newsletter|mailer)$")
_LIST_HOSTS: Final = frozenset({"lists", "list", "listserv", "mailman", "bounce", "bounces", "googlegroups", "yahoogroups"})
_ROBOT_DOMAINS: Final = ("calendar.google.com", "groups.io", "facebookmail.com")


class Automatic:
    """Tells robots' addresses from people's.

    Args:
        patterns: More addresses of robots, with `*` for anything; one that begins with `!` is a person's after all, whatever else says.
    """

    __slots__ = ("_persons", "_robots")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        listed = [pattern.strip().casefold() for pattern in patterns if pattern.strip()]
        self._robots = _any_of(pattern for pattern in listed if not pattern.startswith("!"))
        self._persons = _any_of(pattern[1:].strip() for pattern in listed if pattern.startswith("!"))

    def covers(self, address: str) -> bool:
        """Return whether no person writes from an address; one that is none is no robot's."""
        normal = normalise_address(address)
        if normal is None or (self._persons is not None and self._persons.fullmatch(normal)):
            return False
        return is_automatic(normal) or (self._robots is not None and self._robots.fullmatch(normal) is not None)


def is_automatic(normal: str) -> bool:
    """Return whether an address in its normal form is written like a robot's, a list's or a bounce's."""
    local, _, domain = normal.rpartition("@")
    if _WHOLE.fullmatch(local) or domain.partition(".")[0] in _LIST_HOSTS:
        return True
    if any(domain == robot or domain.endswith(f".{robot}") for robot in _ROBOT_DOMAINS):
        return True
    return any(pattern.search(local) is not None for pattern in (_NO_ANSWER, _ENDS)) or _BEGINS.match(local) is not None


def _any_of(patterns: Iterable[str]) -> re.Pattern[str] | None:
    found = ["".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", pattern)) for pattern in patterns]
    return re.compile("|".join(found)) if found else None
