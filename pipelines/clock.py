"""The machine's clock, held against the service's own before it is read.

A cursor says up to when everything was read. Under a clock that is ahead it would say so of days that have yet to come, and
what then happens on them would be passed over. So a night with a wrong clock does not begin.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from connectors.errors import UserError

CONFIRMED: Final = "clock confirmed"
"""Under which name the private file remembers what time a service last told, with which this machine's clock agreed."""
_TOLERATED: Final = timedelta(minutes=10)
_SECONDS: Final = 20


def refuse_wrong_clock(source: str, url: str) -> datetime | None:
    """Ask a service what time it is, by the `Date` of any of its answers; one that gives none is left to its connector.

    Args:
        source: The service's name, for the message.
        url: Its base URL: https, or loopback (settings allow no other).

    Returns:
        The time that the service told; None where it told none.

    Raises:
        UserError: If this machine's clock is more than ten minutes off.
    """
    try:
        with urlopen(Request(url, method="HEAD"), timeout=_SECONDS) as answer:  # noqa: S310  (settings allow https and loopback only)
            told = answer.headers.get("Date")
    except HTTPError as error:
        told = error.headers.get("Date")
        error.close()
    except OSError:
        return None
    try:
        theirs = parsedate_to_datetime(told or "")
        off = datetime.now(UTC) - theirs
    except (TypeError, ValueError):
        return None
    if abs(off) > _TOLERATED:
        way = "ahead of" if off > timedelta() else "behind"
        raise UserError(
            f"clock: this machine's is {round(abs(off) / timedelta(minutes=1)):,} minutes {way} that of {source}; set it (NTP), "
            "and run again; nothing was read, so nothing is missed"
        )
    return theirs
