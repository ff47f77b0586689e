"""Whether a meeting is online, in a room, or both. There is no flag: it is inferred, and how well grounded that is stands beside it.

Where it takes place is looked at here and nowhere kept. Companies that meet by Zoom, Webex or Google Meet have its link as the
location, and no field that says online.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from connectors.microsoft365.people import People

_PLACES: Final = frozenset(
    {"homeAddress", "businessAddress", "geoCoordinates", "streetAddress", "hotel", "restaurant", "localBusiness", "postalAddress"}
)
_TEXTS: Final = ("locationEmailAddress", "locationUri", "displayName", "uniqueId")
_LONGEST: Final = 4_000
_MAP: Final = re.compile(
    r"\bmaps\.[a-z]|\b(google\.[a-z.]+|goo\.gl|bing\.com)/maps|\b(openstreetmap\.org|what3words\.com|w3w\.co|mapy\.cz|waze\.com)\b",
    re.IGNORECASE,
)
_ONLINE: Final = re.compile(
    r"\bhttps?://[^\s/]|\b(zoommtg|msteams):"
    r"|\b(zoom(gov)?\.(us|com)|webex|meet\.google\.com|google[- ]meet|teams\.(microsoft|live)\.com|(microsoft|ms)[- ]teams"
    r"|teams[- ]meeting|skype|goto-?meeting|gotomeet\.me|bluejeans|whereby\.com|meet\.jit\.si|jitsi|chime\.aws"
    r"|zoom[- ](meeting|call|link))\b"
    r"|^\s*zoom\s*($|[(:,;/-])",
    re.IGNORECASE,
)
"""A link, or the name of a service for meetings."""


def mode(event: Mapping[str, Any], people: People, *, has_room: bool) -> tuple[str, str]:
    """Return an event's medium and what that rests on.

    Args:
        event: The event as parsed.
        people: The run's accounts, rooms among them.
        has_room: Whether a room was invited and did not decline.

    Returns:
        One of the media of meetings, and `stated` (Graph says online), `room`, `inferred` (from the location) or `none`.
    """
    is_stated = _is_stated(event)
    is_linked = False
    kinds: set[str] = set()
    for location in _locations(event):
        if type(location.get("locationType")) is str:
            kinds.add(location["locationType"])
        for text in (location.get(name) for name in _TEXTS):
            if type(text) is not str or not 0 < len(text) <= _LONGEST:
                continue
            if "@" in text and people.kinds.get(people.by_room(text) or 0) == "room":
                kinds.add("conferenceRoom")
            elif _MAP.search(text):
                kinds.add("geoCoordinates")
            elif _ONLINE.search(text):
                is_linked = True
    is_online = is_stated or is_linked
    if has_room or "conferenceRoom" in kinds:
        return ("meeting_hybrid" if is_online else "meeting_in_person"), "room"
    if not kinds.isdisjoint(_PLACES):
        return ("meeting_hybrid" if is_online else "meeting_in_person"), "inferred"
    if not is_online:
        return "meeting_unknown", "none"
    return "meeting_online", "stated" if is_stated else "inferred"


def _is_stated(event: Mapping[str, Any]) -> bool:
    provider, online = event.get("onlineMeetingProvider"), event.get("onlineMeeting")
    if event.get("isOnlineMeeting") is True or event.get("onlineMeetingUrl"):
        return True
    return (type(provider) is str and provider not in {"", "unknown"}) or (type(online) is dict and bool(online.get("joinUrl")))


def _locations(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    several = event.get("locations")
    for location in (event.get("location"), *(several if type(several) is list else ())):
        if type(location) is dict:
            yield location
