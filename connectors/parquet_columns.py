"""Columns of a Parquet file that somebody else wrote: of a type that can be read, or an error that names column and row.

A CSV file holds text and nothing else. Parquet columns have types, and one of a wrong type, or text that is no UTF-8, would fail
deep inside, where nobody can say any more which column of which row it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import UserError

_MOMENTS: Final = frozenset({"at"})
_DAYS: Final = frozenset({"valid_from", "valid_to", "joined_on", "left_on"})
_NUMBERS: Final = frozenset({"minutes"})
_LISTS: Final = frozenset({"recipients"})
_WANTED: Final[Mapping[str, str]] = {
    **dict.fromkeys(_MOMENTS, "a time, seconds since 1970 or text"),
    **dict.fromkeys(_DAYS, "a date or text"),
    **dict.fromkeys(_NUMBERS, "a number or text"),
    **dict.fromkeys(_LISTS, "a list of texts, or text"),
}


def readable(file: str, piece: pa.Table, rows_before: int) -> pa.Table:
    """Return a piece of a Parquet file with every column in a plain type.

    Args:
        file: The file's name, for the message.
        piece: The piece, with known columns only.
        rows_before: How many rows of the file stand before it.

    Raises:
        UserError: If a column is of a type that cannot be what it is to be, or a value cannot be read; column and row are named.
    """
    columns = {name: _plain(file, name, piece[name], rows_before) for name in piece.column_names}
    return pa.table(columns)


def _plain(file: str, name: str, values: pa.ChunkedArray, rows_before: int) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if not _fits(name, kind):
        # a column of nothing says nothing, whatever its type
        stated = pc.indices_nonzero(pc.is_valid(values).combine_chunks())
        if len(stated) == 0:
            return pa.chunked_array([pa.nulls(len(values), pa.string())])
        raise _refused(file, name, rows_before + stated[0].as_py(), f"is {_said(kind)}; it has to be {_WANTED.get(name, 'text')}")
    target = _target(name, kind)
    try:
        plain = values if target is None else values.cast(target)
        plain.validate(full=True)
        if _must_be_told(name, kind):
            plain.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):
        raise _refused(file, name, rows_before + _first_unreadable(values, target), "cannot be read as what its type says") from None
    return plain


def _must_be_told(name: str, kind: pa.DataType) -> bool:
    """Whether a value may lie outside what Python's dates hold; moments out of range are quarantined, days are few."""
    return bool(name in _DAYS and pa.types.is_temporal(kind))


def _fits(name: str, kind: pa.DataType) -> bool:
    # Arrow is untyped to mypy
    return bool(_may_be(name, kind))


def _may_be(name: str, kind: pa.DataType) -> Any:
    if pa.types.is_null(kind) or _is_text(kind):
        return True
    if name in _MOMENTS:
        return pa.types.is_timestamp(kind) or pa.types.is_date(kind) or _is_number(kind)
    if name in _DAYS:
        return pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    if name in _NUMBERS:
        return _is_number(kind)
    if name in _LISTS and _is_list(kind):
        return pa.types.is_null(kind.value_type) or _is_text(_undone(kind.value_type)) or _is_number(kind.value_type)
    return _is_number(kind)  # an id may be a number


def _undone(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> Any:
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _is_number(kind: pa.DataType) -> Any:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _is_list(kind: pa.DataType) -> Any:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _target(name: str, kind: pa.DataType) -> pa.DataType | None:
    """Return the type to cast to; None where it may stay."""
    if pa.types.is_null(kind) or _is_text(kind):
        return pa.string()
    if pa.types.is_decimal(kind):
        return pa.float64() if name in (_MOMENTS | _NUMBERS) else pa.string()
    if _is_list(kind):
        return pa.list_(pa.string())
    if name in _MOMENTS and pa.types.is_date(kind):
        return pa.timestamp("us")
    return None


def _first_unreadable(values: pa.ChunkedArray, target: pa.DataType | None) -> int:
    """Return the place of the first value that cannot be read, by halving: any part that holds it fails."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        if _reads(values.slice(low, middle - low), target):
            low = middle
        else:
            high = middle
    return low


def _reads(values: pa.ChunkedArray, target: pa.DataType | None) -> bool:
    try:
        # a slice shares its buffers: validated as a whole it would fail for what lies outside it
        part = pa.concat_arrays(values.chunks).take(pa.array(range(len(values)))) if values.num_chunks else pa.nulls(0)
        plain = part if target is None else part.cast(target)
        plain.validate(full=True)
        plain.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):
        return False
    return True


def _said(kind: pa.DataType) -> str:
    """Return a type as a message may name it: the names of a struct's fields are the file's own words."""
    return "a structure" if pa.types.is_nested(kind) and not _is_list(kind) else "a list" if _is_list(kind) else f"of type {kind}"


def _refused(file: str, name: str, row: int, problem: Any) -> UserError:
    return UserError(f"{file}: column {name}, row {row + 1}: {problem}; write the column anew, and import again")
