"""Relations inside one table, guessed from its numbers and names: totals, sums, parts, lags, shares."""

from __future__ import annotations

import re
from itertools import combinations, pairwise, permutations

import numpy as np

from attacker.files import Row
from attacker.grid import Grid, lags
from attacker.system import System

_PART = re.compile(r"of them|of those|of these|those |that are|how many of|which of")
_LAGGED = re.compile(r"^(previous|prior|last|lagged?|before)_(?P<of>\w+)$")
SURE = 3.0
"""How many standard deviations of rounding a sum may miss its total by."""


def relate(grid: Grid, system: System) -> None:
    """Add every rule that a table by itself gives."""
    for axis in grid.axes():
        for group in sorted({group for group, _, _ in grid.families(axis)}, key=str):
            for column in grid.columns:
                _total(grid, system, axis, group, column)
    _parts(grid, system)
    _sums(grid, system)
    _lagged(grid, system)
    _chains(grid, system)


# -- totals over a dimension ------------------------------------------------------------------------------------------


def _total(grid: Grid, system: System, axis: tuple[str, ...], group: object, column: str) -> None:
    """Guess how a total relates to its parts: their sum, at most their sum, at least each of them."""
    families = [(total, parts) for found, total, parts in grid.families(axis) if found == group]
    value, shown = grid.value[column], grid.shown(column)
    told = [(total, parts) for total, parts in families if shown[total] and shown[parts].all()]
    noise = _noise(grid, column)
    off = np.array([value[total] - value[parts].sum() for total, parts in told])
    spread = np.array([noise * np.sqrt(len(parts) + 1) for _, parts in told])
    size = np.array([value[total] for total, _ in told])
    informative = int((size > 8 * spread).sum()) if told else 0
    adds = bool((np.abs(off) <= SURE * spread + 1e-9).all() and np.sqrt(np.mean((off / spread) ** 2)) < 1.4) if told else True
    stated = grid.is_additive(column)
    technique = "magnitude by subtraction" if stated else "count by subtraction"
    if adds and (informative >= 3 or (stated and (informative >= 1 or not told))):
        rule = system.rule(technique, (3.0 if stated else 1.0) + 0.25 * informative)
        for total, parts in families:
            _sum_rule(grid, rule, column, total, parts)
        return
    # parts that are withheld count as nothing here: a total less than what is shown of its parts cannot be their sum or their union
    least = [
        (grid.low[column][part], grid.high[column][total]) for total, parts in families for part in parts if shown[part] and shown[total]
    ]
    if len(least) >= 5 and all(low <= high + 1e-9 for low, high in least):
        rule = system.rule("part of a total", 0.8 + min(len(least), 200) / 200)
        most = bool((off <= SURE * spread + 1e-9).all()) and len(told) >= 3 and grid.sheet.fields[column].kind == "integer"
        for total, parts in families:
            numbers = grid.number[column]
            if numbers[total] < 0:
                continue
            known = [part for part in parts if numbers[part] >= 0]
            for part in known:
                rule.between([(numbers[total], 1.0), (numbers[part], -1.0)], 0.0, np.inf)
            if most and len(known) == len(parts):
                rule.between([(numbers[total], -1.0), *((numbers[part], 1.0) for part in parts)], 0.0, np.inf)


def _sum_rule(grid: Grid, rule: object, column: str, total: int, parts: list[int]) -> None:
    numbers = grid.number[column]
    if numbers[total] >= 0 and (numbers[parts] >= 0).all():
        rule.equal([(numbers[total], -1.0), *((numbers[part], 1.0) for part in parts)])  # type: ignore[attr-defined]


def _noise(grid: Grid, column: str) -> float:
    """Standard deviation of what rounding adds."""
    return max(grid.step(column) / np.sqrt(12), 1e-6) if grid.step(column) > 1 or grid.sheet.fields[column].kind != "integer" else 1e-6


# -- figures of one row -----------------------------------------------------------------------------------------------


def _parts(grid: Grid, system: System) -> None:
    """Of two counts, one that is never above the other is taken for a part of it, where names say so too or cases are many."""
    counts = [name for name in grid.sheet.counts if name in grid.columns]
    for small, large in permutations(counts, 2):
        both = grid.shown(small) & grid.shown(large)
        a, b = grid.value[small][both], grid.value[large][both]
        if len(a) < 8 or (a > b).any() or not (a < b).any() or np.count_nonzero(a) < 4:
            continue
        text, place = grid.sheet.fields[small].text.lower(), counts.index(small)
        stated = large in text or small.endswith(f"_{large}") or (_PART.search(text) and large in counts[max(0, place - 2) : place])
        if not stated and (np.count_nonzero(a) < 40 or np.count_nonzero(a < b) < 10 or len(set(b)) < 6):
            continue
        rule = system.rule("part of a whole", (2.0 if stated else 0.5) + min(np.count_nonzero(a), 100) / 200)
        for low, high in zip(grid.number[small], grid.number[large], strict=True):
            if low >= 0 and high >= 0:
                rule.between([(high, 1.0), (low, -1.0)], 0.0, np.inf)


def _sums(grid: Grid, system: System) -> None:
    """Three or four counts of a row of which one is the sum of the others in every row; of several such sums, the closest."""
    counts = [name for name in grid.sheet.counts if name in grid.columns][:14]
    for whole in counts:
        others = [name for name in counts if name != whole]
        found = None
        for many in (2, 3):
            fits = [(_missed(grid, whole, parts), parts) for parts in combinations(others, many)]
            # a third part that is small is easily taken for one by chance: two that do are preferred
            found = found or min(((missed, parts) for missed, parts in fits if missed is not None), default=None)
        if found is None:
            continue
        rule = system.rule("sum of parts", 2.0)
        for place in np.flatnonzero(grid.number[whole] >= 0):
            numbers = [grid.number[name][place] for name in found[1]]
            if min(numbers) >= 0:
                rule.equal([(grid.number[whole][place], -1.0), *((number, 1.0) for number in numbers)])


def _missed(grid: Grid, whole: str, parts: tuple[str, ...]) -> float | None:
    """Return by how much parts miss their sum, in what rounding explains; None where it is more, or too few rows tell."""
    both = np.logical_and.reduce([grid.shown(name) for name in (whole, *parts)])
    total = grid.value[whole][both]
    if len(total) < 12 or len(set(total)) < 4 or any(len(set(grid.value[name][both])) < 3 for name in parts):
        return None
    off = total - sum(grid.value[name][both] for name in parts)
    spread = np.sqrt(sum(_noise(grid, name) ** 2 for name in (whole, *parts)))
    if (np.abs(off) > 2.6 * spread + 1e-9).any() or (total > 8 * spread).sum() < 6:
        return None
    # figures that are unrelated, but small, miss each other by little too: their misses are spread wider than rounding spreads them
    missed = float(np.sqrt(np.mean(off**2)) / max(spread, 1e-6))
    return missed if missed < 1.15 else None


def _lagged(grid: Grid, system: System) -> None:
    """`previous_x` is the x of the period before; a figure of the one and a figure of the other may bound each other too."""
    before = lags(grid)
    if not before:
        return
    for column in grid.columns:
        of = _lag_of(grid, column)
        named = of is not None
        for other in grid.columns:
            if other == column or (named and other != of):
                continue
            pairs = [(now, then) for now, then in before.items() if grid.shown(column)[now] and grid.shown(other)[then]]
            here = np.array([grid.value[column][now] for now, _ in pairs])
            there = np.array([grid.value[other][then] for _, then in pairs])
            alike = bool((here == there).all()) if pairs else named
            if not alike or not (named or (len(pairs) >= 10 and len(set(here)) >= 4)):
                continue
            rule = system.rule("lag", 4.0 + len(pairs) / 100)
            for now, then in before.items():
                a, b = grid.number[column][now], grid.number[other][then]
                if a >= 0 and b >= 0:
                    rule.equal([(a, 1.0), (b, -1.0)])


def _lag_of(grid: Grid, column: str) -> str | None:
    """Of which figure of the period before a column is, as the package says, or else as its name does."""
    field = grid.sheet.fields[column]
    for place, names in field.links.items():
        if re.search(r"lag|previous|before", place):
            return next((name for name in names if name in grid.columns), None)
    found = _LAGGED.match(column)
    return found["of"] if found is not None and found["of"] in grid.columns else None


def _chains(grid: Grid, system: System) -> None:
    """Along a dimension of numbers (an age, a horizon) a count may only fall, or only rise."""
    for place in range(len(grid.sheet.dimensions)):
        runs: dict[Row, list[tuple[float, int]]] = {}
        for number, key in enumerate(grid.keys):
            if isinstance(key[place], float):
                runs.setdefault((*key[:place], *key[place + 1 :]), []).append((key[place], number))  # type: ignore[arg-type]
        steps = [(a, b) for run in runs.values() for (_, a), (_, b) in pairwise(sorted(run))]
        for column in (name for name in grid.columns if steps):
            shown = grid.shown(column)
            off = np.array([grid.value[column][b] - grid.value[column][a] for a, b in steps if shown[a] and shown[b]])
            for sign in (1.0, -1.0):
                if len(off) < 8 or (sign * off < 0).any() or np.count_nonzero(off) < 3:
                    continue
                rule = system.rule("chain", 1.0 + len(off) / 100)
                for a, b in steps:
                    if grid.number[column][a] >= 0 and grid.number[column][b] >= 0:
                        rule.between([(int(grid.number[column][b]), sign), (int(grid.number[column][a]), -sign)], 0.0, np.inf)
