"""What was told before: the period before in one release, and the releases before this one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrics.disclosure._web import Indices


def row_before(table: pa.Table, dimensions: Sequence[str]) -> Indices:
    """For each row, the row of the same dimensions in the period before; -1 where there is none.

    A lag repeats a figure that has a row of its own: if that is withheld, so is the lag.
    """
    if "panel_start" not in dimensions or not table.num_rows:
        return np.full(table.num_rows, -1)
    codes = [_codes(table[name]) for name in dimensions if name != "panel_start"]
    group = np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].reshape(-1)
    start = _codes(table["panel_start"])
    order = np.lexsort((start, group))
    found = np.full(table.num_rows, -1)
    is_next = group[order][1:] == group[order][:-1]
    found[order[1:][is_next]] = order[:-1][is_next]
    return found


def _codes(column: pa.ChunkedArray) -> Indices:
    """Whole numbers in the order of the values."""
    values = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    rank = np.argsort(np.argsort(np.array([str(each) for each in values.dictionary.to_pylist()]), kind="stable"))
    return np.asarray(rank[values.indices.to_numpy(zero_copy_only=False)], np.int64)
