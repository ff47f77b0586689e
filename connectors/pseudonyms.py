"""Pseudonyms at the door: keyed hashes of addresses and source ids. The normal form of an address is in `connectors.addresses`.

A pseudonym is HMAC-SHA256 under the organisation's key. Whoever lacks the key can neither turn it back nor test a
guess; whoever holds it can re-identify people, so the key is kept apart from the data. A person is known by 128 bits
of the hash of the normalised address; accounts, spaces, threads and interactions by 64 bits of the hash of their
source's id (two of fifty million collide with a chance below one in ten thousand, and keys are only compared within
a kind and a source).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final, Self

from connectors.addresses import directory_path, normalise_address, normalise_domain
from connectors.records import Batch
from connectors.rotation import Rotation, rotated

__all__ = ["Pseudonymiser", "directory_path", "normalise_address", "normalise_domain"]

_PERSON_ID: Final = re.compile(r"[0-9a-f]{32}")
_KEY: Final = re.compile(r"-?[0-9]{1,19}")
_INT64: Final = 1 << 63


class Pseudonymiser:
    """Turns addresses and source ids into pseudonyms under one secret key, or a chain of them (see `connectors.rotation`).

    Hashes are remembered for as long as the object lives, since the same few people appear in millions of records.
    The object never shows its key: not in `repr`, not in a pickle.

    Args:
        secret: At least 32 random bytes.
        later: The key of each rotation since, in order; as long.

    Raises:
        ValueError: If a key is shorter than 32 bytes.
    """

    __slots__ = ("_ids", "_keys", "_later", "_mac", "_rotations")

    def __init__(self, secret: bytes, later: Sequence[bytes] = ()) -> None:
        if any(len(key) < 32 for key in (secret, *later)):
            raise ValueError("the pseudonym key must have at least 32 bytes")
        self._mac = hmac.new(secret, digestmod=sha256)
        self._later = [hmac.new(key, digestmod=sha256) for key in later]
        self._rotations = [Rotation(key) for key in later]
        self._keys: dict[tuple[str, str], int] = {}
        self._ids: dict[str, str | None] = {}

    def __repr__(self) -> str:
        return "Pseudonymiser(secret=...)"

    def __reduce__(self) -> str:
        raise TypeError("a Pseudonymiser holds a secret and cannot be pickled")

    def _digest(self, purpose: str, value: str) -> bytes:
        mac = self._mac.copy()
        mac.update(f"{purpose}\x1f{value}".encode("utf-8", "surrogatepass"))
        return mac.digest()

    def person_id(self, address: str) -> str | None:
        """Return the person's 128-bit pseudonym (32 hexadecimal digits) for an address, or None if it is not an address."""
        try:
            return self._ids[address]
        except KeyError:
            normal = normalise_address(address)
            found = None if normal is None else self._now_id(self._digest("person", normal).hex()[:32])
            self._ids[address] = found
            return found

    def key(self, purpose: str, value: str, *, remember: bool = True) -> int:
        """Return a signed 64-bit pseudonym of a source's own id.

        Args:
            purpose: What the id names, with its source, such as `slack:account`: equal ids of different purposes differ.
            value: The id itself, such as `T123:U456`.
            remember: Pass False for ids that occur once (messages), so that memory stays flat.
        """
        if not remember:
            return self._now_key(int.from_bytes(self._digest(purpose, value)[:8], "big", signed=True))
        try:
            return self._keys[purpose, value]
        except KeyError:
            found = self._keys[purpose, value] = self.key(purpose, value, remember=False)
            return found

    def domain_key(self, address_or_domain: str) -> int | None:
        """Return the pseudonym of an organisation's domain, from an address or a bare domain; None if there is none."""
        domain = normalise_domain(address_or_domain.rpartition("@")[2].strip("<> "))
        return self.key("domain", domain) if domain else None

    def person_key(self, person_id: str) -> int:
        """Return the 64-bit key under which the warehouse joins a person: the leading half of `person_id`, signed."""
        value = int(person_id[:16], 16)
        return value - 2 * _INT64 if value >= _INT64 else value

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that tell whether two runs used the same key, and nothing else about it."""
        found = self._digest("fingerprint", "").hex()[:16]
        for later in self._later:
            mac = later.copy()
            mac.update(f"fingerprint\x1f{found}".encode())
            found = mac.hexdigest()[:16]
        return found

    # -- rotation -------------------------------------------------------------------------------------------------------

    def _now_key(self, key: int) -> int:
        for rotation in self._rotations:
            key = rotation.key(key)
        return key

    def _now_id(self, person_id: str) -> str:
        for rotation in self._rotations:
            person_id = rotation.person_id(person_id)
        return person_id

    def earlier(self, pseudonym: str) -> tuple[str, ...]:
        """Return what a `person_id` (hexadecimal) or a key (decimal) was before each rotation, the latest first; else nothing."""
        found: list[str] = []
        for rotation in reversed(self._rotations):
            if _PERSON_ID.fullmatch(pseudonym):
                pseudonym = rotation.earlier_person_id(pseudonym)
            elif _KEY.fullmatch(pseudonym) and -_INT64 <= int(pseudonym) < _INT64:
                pseudonym = str(rotation.earlier_key(int(pseudonym)))
            else:
                return ()
            found.append(pseudonym)
        return tuple(found)

    def before_rotation(self) -> Self:
        """Return the pseudonyms under the first key alone: for keys that are made of other keys (see `after_rotation`)."""
        first = object.__new__(type(self))
        first._mac, first._later, first._rotations, first._keys, first._ids = self._mac, [], [], {}, {}
        return first

    def after_rotation(self, batch: Batch) -> Batch:
        """Return a batch made under the first key alone with the keys of today."""
        if not self._rotations:
            return batch
        return replace(batch, records=rotated(batch.records, self._now_key, self._now_id))
