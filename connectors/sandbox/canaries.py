"""Canary words: what stands in every content field of every payload, so that a test can search all that was written.

A word that is found anywhere behind a connector's parser shows that content got through.
"""

from __future__ import annotations

from typing import Final

from connectors.sandbox.names import FIRST_NAMES, SURNAMES

CONTENT_FIELDS: Final = (
    "text", "block", "subject", "body", "preview", "file", "attachment", "topic", "purpose", "channel", "location", "title", "status",
    "phone", "emoji", "link", "description", "group", "room", "note", "header",
)  # fmt: skip
"""Kinds of content fields."""

CANARIES: Final[dict[str, str]] = {name: f"zqcanary{name}q7x" for name in CONTENT_FIELDS}
"""The word that stands in every content field of a kind. Each holds `CANARY_STEM`."""

CANARY_STEM: Final = "zqcanary"


def canary(field: str) -> str:
    """Return the word of a kind of content field.

    Raises:
        KeyError: If there is no such kind.
    """
    return CANARIES[field]


def secret_words() -> tuple[str, ...]:
    """Return all that must never be found behind a connector: the canaries' stem and all people's surnames, in lower case.

    First names are left out: they are words that other text may hold.
    """
    return (CANARY_STEM, *(name.lower() for name in SURNAMES))


def name_parts() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return first names and surnames that people are made of."""
    return FIRST_NAMES, SURNAMES
