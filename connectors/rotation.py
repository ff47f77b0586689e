"""Rotation of the pseudonym key: pseudonyms under one key become pseudonyms under the next, without any address.

Addresses are not kept, so a new key cannot be put in the old one's place: data that is stored could not be hashed again.
Rotation instead re-keys the pseudonyms themselves. A new pseudonym is a keyed permutation of the one before, and the key is
from then on a chain: an address is hashed under the first key and goes through one permutation for each later one.

The permutation is a Feistel network of ten rounds whose round function is keyed BLAKE2b. It is one to one, so that nothing
collides that did not before, and it can be turned back by whoever holds its key, so that tombstones and opt-out lists that
were written before a rotation still hold. The leading half of a `person_id` is rotated as a 64-bit key is: the key by which
tables join a person stays the leading half of the id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

_ROUNDS: Final = 10
_HALF: Final = 1 << 32
_WHOLE: Final = 1 << 64


class Rotation:
    """One rotation: a keyed permutation of 64-bit keys and of 128-bit person ids. It shows its key nowhere.

    Args:
        secret: At least 32 random bytes.
    """

    __slots__ = ("_rounds",)

    def __init__(self, secret: bytes) -> None:
        self._rounds = [blake2b(key=secret[:64], digest_size=4, person=b"perdure%d" % number) for number in range(_ROUNDS)]

    def __repr__(self) -> str:
        return "Rotation(secret=...)"

    def __reduce__(self) -> str:
        raise TypeError("a Rotation holds a secret and cannot be pickled")

    def key(self, key: int) -> int:
        """Return the 64-bit key that stands for `key` from now on. 0, which names nothing, stays 0."""
        return _signed(self._walk(self._forward, key % _WHOLE, b""))

    def earlier_key(self, key: int) -> int:
        """Return the 64-bit key that `key` stands for."""
        return _signed(self._walk(self._back, key % _WHOLE, b""))

    def person_id(self, person_id: str) -> str:
        """Return the person id (32 hexadecimal digits) that stands for `person_id` from now on."""
        high, low = int(person_id[:16], 16), int(person_id[16:], 16)
        return f"{self._walk(self._forward, high, b''):016x}{self._forward(low, high.to_bytes(8, 'big')):016x}"

    def earlier_person_id(self, person_id: str) -> str:
        """Return the person id that `person_id` stands for."""
        high = self._walk(self._back, int(person_id[:16], 16), b"")
        return f"{high:016x}{self._back(int(person_id[16:], 16), high.to_bytes(8, 'big')):016x}"

    def _walk(self, step: Callable[[int, bytes], int], value: int, tweak: bytes) -> int:
        if value == 0:
            return 0
        found = step(value, tweak)
        return found or step(0, tweak)

    def _mixed(self, number: int, half: int, tweak: bytes) -> int:
        state = self._rounds[number].copy()
        state.update(half.to_bytes(4, "big") + tweak)
        return int.from_bytes(state.digest(), "big")

    def _forward(self, value: int, tweak: bytes) -> int:
        left, right = divmod(value, _HALF)
        for number in range(_ROUNDS):
            left, right = right, left ^ self._mixed(number, right, tweak)
        return left * _HALF + right

    def _back(self, value: int, tweak: bytes) -> int:
        left, right = divmod(value, _HALF)
        for number in reversed(range(_ROUNDS)):
            left, right = right ^ self._mixed(number, left, tweak), left
        return left * _HALF + right


def _signed(value: int) -> int:
    return value - _WHOLE if value >= _WHOLE // 2 else value


def rotated(records: Mapping[str, pa.Table], key: Callable[[int], int], person_id: Callable[[str], str]) -> dict[str, pa.Table]:
    """Return record tables of the allow-list with every key and every person id replaced.

    Args:
        records: Record kind -> table.
        key: Replaces a 64-bit key.
        person_id: Replaces a person id.
    """
    return {
        kind: pa.table([_replaced(table.column(field.name), field, key, person_id) for field in table.schema], schema=table.schema)
        for kind, table in records.items()
    }


def _replaced(column: pa.ChunkedArray, field: pa.Field, key: Callable[[int], int], person_id: Callable[[str], str]) -> pa.Array:
    array = column.combine_chunks()
    if field.name in {"person_id", "alias_ids"}:
        return _deep(array, pa.string(), person_id)
    return _deep(array, pa.int64(), key)


def _deep(array: pa.Array, kind: pa.DataType, change: Callable[[Any], Any]) -> pa.Array:
    """Replace the values of one type, also inside lists and structs."""
    if pa.types.is_list(array.type):
        values = _deep(array.flatten(), kind, change)
        ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(array), 0)).cast(pa.int32())
        starts = pa.concat_arrays([pa.array([0], pa.int32()), ends])
        return pa.ListArray.from_arrays(starts, values, type=array.type, mask=array.is_null() if array.null_count else None)
    if pa.types.is_struct(array.type):
        return pa.StructArray.from_arrays([_deep(part, kind, change) for part in array.flatten()], fields=list(array.type))
    if array.type != kind:
        return array
    encoded = array.dictionary_encode()
    new = pa.array([change(value) for value in encoded.dictionary.to_pylist()], kind)
    return pa.DictionaryArray.from_arrays(encoded.indices, new).cast(kind)
