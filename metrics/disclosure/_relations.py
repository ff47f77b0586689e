"""Sums that hold in the data though no header says so: what nobody declared nobody protected on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrics.disclosure._policy import TableRoles
from metrics.disclosure._web import Hashes, Numbers, dimension_keys, dimensions_of
from metrics.roles import VOLUME

_LEAST_LINES: Final = 8
"""From how many totals of two parts and more on a sum is no accident."""


def undeclared(tables: Mapping[str, pa.Table], roles: Mapping[str, TableRoles]) -> list[str]:
    """Return `table.column over dimension` of each volume whose total row is the sum of the others everywhere, and is not said to be.

    Volumes alone: a message is in one medium or in two, whoever writes it. That counts of people and pairs add up can be an accident
    of who uses what, and they are protected as sums wherever they are.
    """
    found = []
    for name, table in tables.items():
        role = roles[name]
        volumes = [column for column in role.counted if role.columns[column].kind == VOLUME]
        if not volumes or not table.num_rows:
            continue
        dimensions = dimensions_of(table, role)
        keys = dimension_keys(table, role)
        for dimension in dimensions:
            declared = set(dimension.columns)
            for column in volumes:
                if declared & set(role.columns[column].over):
                    continue
                values = pc.cast(table[column], pa.float64()).to_numpy()
                if _adds_up(keys, dimension.hashes, values):
                    found.append(f"{name}.{column} over {' and '.join(dimension.columns)}")
    return found


def _adds_up(keys: Hashes, hashes: Hashes, values: Numbers) -> bool:
    known = ~np.isnan(values)
    is_total = (hashes == 0) & known
    is_part = (hashes != 0) & known & (values > 0)
    line, place = np.unique((keys - hashes)[is_part], return_inverse=True)
    sums = np.bincount(place, values[is_part])
    sizes = np.bincount(place)
    at = np.searchsorted(keys[is_total], line, sorter=np.argsort(keys[is_total]))
    order = np.argsort(keys[is_total])
    at[at == len(order)] = 0
    if not len(order):
        return False
    match = order[at]
    is_there = (keys[is_total][match] == line) & (sizes > 1)
    totals = values[is_total][match]
    return bool(is_there.sum() >= _LEAST_LINES and np.all(np.isclose(totals[is_there], sums[is_there], rtol=1e-9, atol=1e-6)))
