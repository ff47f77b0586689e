"""Who is left out: people who asked to be, and people who were forgotten.

A person who was forgotten is recognised by a tombstone, the SHA-256 of a pseudonym. It is compared with, and says
nothing else: neither the pseudonym nor the address can be worked out from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final

TOMBSTONE_PREFIX: Final = "perdure tombstone "
"""What is hashed before the pseudonym; SQL in `pipelines` hashes the same."""


def tombstone(pseudonym: str) -> str:
    """Return what stays of a forgotten `person_id` (32 hexadecimal digits) or `account_key` (decimal): 64 hexadecimal digits."""
    return sha256((TOMBSTONE_PREFIX + pseudonym).encode()).hexdigest()


def _no_rotation(_pseudonym: str) -> tuple[str, ...]:
    return ()


class OptedOut:
    """Whether a pseudonym is of someone to be left out.

    Args:
        listed: `person_id` (32 hexadecimal digits), `account_key` (decimal) or tombstones of either.
        earlier: What a pseudonym was before the key was rotated (`Pseudonymiser.earlier`): older lists still hold.
    """

    __slots__ = ("_earlier", "_listed")

    def __init__(self, listed: Iterable[str], earlier: Callable[[str], Iterable[str]] = _no_rotation) -> None:
        self._listed = frozenset(text.strip().lower() for text in listed)
        self._earlier = earlier

    def __bool__(self) -> bool:
        return bool(self._listed)

    def __contains__(self, pseudonym: object) -> bool:
        if not self._listed or not isinstance(pseudonym, str):
            return False
        return any(name in self._listed or tombstone(name) in self._listed for name in (pseudonym, *self._earlier(pseudonym)))
