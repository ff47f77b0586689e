"""Shares and estimates that several tables repeat: what one of them withholds, no other may show."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrics.disclosure._policy import TableRoles
from metrics.disclosure._web import Flags, Hashes, Indices, Numbers, dimension_keys
from metrics.roles import ESTIMATE, SHARE

_ALIKE: Final = 0.95
"""From which share of equal values on two columns of one name are taken to be one figure; corrections may part them here and there."""


def repeated(tables: Mapping[str, pa.Table], roles: Mapping[str, TableRoles], gone: Mapping[str, Flags]) -> dict[str, dict[str, Flags]]:
    """Return table -> column -> rows whose figure another table withholds.

    Two columns of the same name are one figure where their tables speak of the same dimensions (totals left out) and agree. An attacker
    who is refused the ties of two teams in one table would else read them in the next.

    Args:
        tables: Full name -> table, before rounding.
        roles: What their columns are.
        gone: Full name -> rows that are withheld.
    """
    alone = {name: _alone(dimension_keys(table, roles[name])) for name, table in tables.items()}
    common: dict[tuple[str, str], tuple[Indices, Indices]] = {}
    holders: dict[str, list[str]] = {}
    for name in tables:
        for column, role in roles[name].columns.items():
            if role.kind in (SHARE, ESTIMATE):
                holders.setdefault(column, []).append(name)
    found: dict[str, dict[str, Flags]] = {}
    for column, names in holders.items():
        values = {name: pc.cast(tables[name][column], pa.float64()).to_numpy() for name in names} if len(names) > 1 else {}
        for one, other in combinations(values, 2):
            if not (gone[one].any() or gone[other].any()):
                continue
            if (one, other) not in common:
                common[one, other] = _common(alone[one], alone[other])
            at_one, at_other = common[one, other]
            if not _are_one(values[one][at_one], values[other][at_other]):
                continue
            for shown, its, hidden, others in ((one, at_one, other, at_other), (other, at_other, one, at_one)):
                blank = its[gone[hidden][others] & ~gone[shown][its] & ~np.isnan(values[hidden][others])]
                if len(blank):
                    flags = found.setdefault(shown, {}).setdefault(column, np.zeros(tables[shown].num_rows, np.bool_))
                    flags[blank] = True
    return found


def _alone(keys: Hashes) -> tuple[Hashes, Indices]:
    """The keys of single rows, sorted, and where they are; a key that several rows of a table share speaks of no single row."""
    found, first, count = np.unique(keys, return_index=True, return_counts=True)
    return found[count == 1], first[count == 1]


def _common(one: tuple[Hashes, Indices], other: tuple[Hashes, Indices]) -> tuple[Indices, Indices]:
    """The rows of both tables that have a key in common."""
    _, at_one, at_other = np.intersect1d(one[0], other[0], assume_unique=True, return_indices=True)
    return one[1][at_one], other[1][at_other]


def _are_one(one: Numbers, other: Numbers) -> bool:
    both = ~np.isnan(one) & ~np.isnan(other)
    return bool(both.any()) and float(np.mean(np.isclose(one[both], other[both]))) >= _ALIKE
