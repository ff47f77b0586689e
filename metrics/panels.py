"""Take tables by panel apart: numpy views of Arrow columns, and the rows of each panel and medium in a fixed order."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_Part = TypeVar("_Part")
_Made = TypeVar("_Made")


def floats(table: pa.Table, name: str) -> Floats:
    """A column as 64-bit floats; nulls become NaN."""
    return np.asarray(pc.cast(table[name], pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def integers(table: pa.Table, name: str) -> Integers:
    """A column without nulls as 64-bit integers."""
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.int64)


def flags(table: pa.Table, name: str, default: bool = False) -> Flags:
    """A column of flags; nulls become `default`."""
    return np.asarray(pc.fill_null(table[name], default).to_numpy(zero_copy_only=False), dtype=np.bool_)


def codes(values: pa.ChunkedArray) -> tuple[Integers, list[Any]]:
    """A column of few distinct values as numbers from 0 in the order of the values, -1 where null, and the values.

    The numbers depend on the values alone, not on the order of the rows.
    """
    encoded = values.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    found = encoded.dictionary.to_pylist()
    order = sorted(range(len(found)), key=lambda index: found[index])
    rank = np.empty(len(found) + 1, dtype=np.int64)
    rank[order] = np.arange(len(found))
    rank[-1] = -1
    indices = np.asarray(pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False), dtype=np.int64)
    return rank[indices], [found[index] for index in order]


def row_groups(table: pa.Table, *names: str, where: Flags | None = None) -> Iterator[tuple[tuple[Any, ...], Integers]]:
    """The rows of each combination of the named columns, in the order of their values.

    Args:
        table: The table.
        names: The columns.
        where: Which rows are meant, one flag a row; None for all. A combination without any is passed over.

    Yields:
        The values, and the numbers of the rows that have them. Which rows come first within a group is not fixed.
    """
    if table.num_rows == 0:
        return
    together = np.zeros(table.num_rows, dtype=np.int64)
    levels: list[list[Any]] = []
    for name in names:
        numbers, values = codes(table[name])
        if (numbers < 0).any():
            raise ValueError(f"{name} has nulls")
        together = together * len(values) + numbers
        levels.append(values)
    order = np.argsort(together, kind="stable")
    starts = np.flatnonzero(np.diff(together[order], prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        rest = int(together[order[start]])
        key: list[Any] = []
        for values in reversed(levels):
            rest, position = divmod(rest, len(values))
            key.append(values[position])
        rows = order[start:end] if where is None else order[start:end][where[order[start:end]]]
        if len(rows):
            yield tuple(reversed(key)), rows


def in_pair_order(rows: Integers, a: Integers, b: Integers) -> Integers:
    """Numbers of rows in the order of their pairs, so that figures do not depend on the order in which rows are stored."""
    return rows[np.lexsort((b[rows], a[rows]))]


def side_by_side(function: Callable[[_Part], _Made], parts: Iterable[_Part]) -> list[_Made]:
    """What a function gives for each part, in order, on all cores: numpy sorts and looks up without Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, parts))


def number_people(*keys: Integers) -> tuple[Integers, tuple[Integers, ...]]:
    """Number people from 0 in the order of their keys.

    Returns:
        The keys in order, and each array with numbers in place of keys.
    """
    people, inverse = np.unique(np.concatenate(keys) if keys else np.empty(0, np.int64), return_inverse=True)
    parts = np.split(inverse.astype(np.int64), np.cumsum([len(part) for part in keys])[:-1])
    return people, tuple(parts)


def generator(seed: int, *of: object) -> np.random.Generator:
    """A random generator of its own for each figure, so that a panel's figures do not depend on which others are built."""
    return np.random.default_rng([seed, zlib.crc32("/".join(str(part) for part in of).encode())])


def observed_panels(panel: pa.Table, touched_panel: pa.Table) -> dict[tuple[str, date], bool]:
    """The touched panels in order, each with whether any of its days was observed."""
    seen = {
        (kind, start): count > 0
        for kind, start, count in zip(
            panel["panel_kind"].to_pylist(), panel["panel_start"].to_pylist(), panel["observed_day_count"].to_pylist(), strict=True
        )
    }
    touched = sorted(set(zip(touched_panel["panel_kind"].to_pylist(), touched_panel["panel_start"].to_pylist(), strict=True)))
    return {key: seen[key] for key in touched}


def frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pa.Table:
    """An Arrow table of the rows with all the columns in order; what a row lacks is null, and so is NaN."""
    return pa.table({name: pa.array([_known(row.get(name)) for row in rows]) for name in columns})


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value
