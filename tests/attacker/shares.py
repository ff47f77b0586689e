"""What shares and intervals give away: a share of a few people names their number, an interval names the number it rests on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from scipy import stats

from attacker.grid import Grid
from attacker.system import Rule, System

Z = 1.959964
LARGEST = 300
"""Intervals over more cases than this are left alone: they give no small group away."""
Triple = tuple[str, str, str]


def relate_shares(grid: Grid, system: System) -> None:
    """Add what shares times denominators, and intervals around shares, say of counts."""
    triples = {share: (share, low, high) for share, low, high in _triples(grid)}
    for share in grid.shares:
        if any(share in triple[1:] for triple in triples.values()):
            continue
        found = _fraction(grid, share)
        if found is not None:
            _times(grid, system, share, *found)
        if share in triples:
            _widths(grid, system, triples[share], found)


# -- which share of what ----------------------------------------------------------------------------------------------


def _fraction(grid: Grid, share: str) -> tuple[str | None, str, bool] | None:
    """Return numerator, denominator and whether the share is of the rest (1 - a / b); None where no count fits.

    What the description says goes before names, and names before numbers. The numerator may be a count that is not told.
    """
    stated = _stated(grid, share)
    if stated is not None:
        return stated
    counts = [name for name in grid.sheet.counts if name in grid.columns]
    best: tuple[float, str, str, bool] | None = None
    for above in counts:
        for below in counts:
            if above == below:
                continue
            for is_rest in (False, True):
                fit = _fit(grid, share, above, below, is_rest)
                if fit is not None and (best is None or fit < best[0] - 1e-9):
                    best = fit, above, below, is_rest
    if best is not None:
        return best[1:]
    chance, below = min(((_chance(grid, share, name), name) for name in counts), default=(1.0, ""))
    return (None, below, False) if chance < 1e-4 else None


def _stated(grid: Grid, share: str) -> tuple[str | None, str, bool] | None:
    """Return what the package says a share is of: in a property that names columns, or as `a / b` in its description."""
    field = grid.sheet.fields[share]
    named = {place: [name for name in names if name in grid.columns] for place, names in field.links.items()}
    below = next((names[0] for place, names in named.items() if "denominator" in place and names), None)
    above = next((names[0] for place, names in named.items() if "numerator" in place and names), None)
    if below is not None:
        return above, below, False
    found = re.search(r"(1 - )?(\w+) / (\w+)", field.text)
    if found is None:
        return None
    parts = [next((name for name in grid.columns if name == word or name.startswith(f"{word}_")), None) for word in found.group(2, 3)]
    return (parts[0], parts[1], bool(found[1])) if parts[1] is not None else None


def _fit(grid: Grid, share: str, above: str, below: str, is_rest: bool) -> float | None:
    """Return how far the share is from the ratio of two counts on average; None where they contradict each other."""
    rows = grid.shown(share) & grid.shown(above) & grid.shown(below)
    rows &= np.where(grid.shown(below), grid.value[below], 0) > 0
    if np.count_nonzero(rows) < 5:
        return None
    a, b = grid.value[above][rows], grid.value[below][rows]
    told = 1 - grid.value[share][rows] if is_rest else grid.value[share][rows]
    error = grid.step(share) / 2 + 1e-9
    least, most = grid.low[above][rows] / grid.high[below][rows], grid.high[above][rows] / np.maximum(grid.low[below][rows], 1)
    if ((told + error < least) | (told - error > most)).any() or np.ptp(told) < 0.1 or len(set(a)) < 3:
        return None
    far = float(np.abs(told - a / b).mean())
    return far if far < 0.08 and np.ptp(a / b) > 0 and np.corrcoef(told, a / b)[0, 1] > 0.8 else None


def _chance(grid: Grid, share: str, below: str) -> float:
    """How likely it is that the share can be a whole number over the count in every row by chance; 1 where it cannot."""
    step = grid.step(share)
    chance, seen = 1.0, set()
    for row in np.flatnonzero(grid.shown(share) & grid.shown(below) & (np.nan_to_num(grid.low[below]) > 0)):
        told, low, high = float(grid.value[share][row]), float(grid.low[below][row]), float(grid.high[below][row])
        if high > LARGEST:
            continue
        if not 0 <= told <= 1 or not _fits(step, low, high)[round(told / step)]:
            return 1.0
        if 0 < told < 1 and (told, low) not in seen:
            seen.add((told, low))
            chance *= float(np.mean(_fits(step, low, high)))
    return chance


@cache
def _fits(step: float, low: float, high: float) -> list[bool]:
    """Which shares, counted in steps from 0 to 1, are of a whole number between two bounds."""
    return [any(True for _ in _pairs(each * step, step, low, high)) for each in range(round(1 / step) + 2)]


def _pairs(told: float, step: float, low: float, high: float) -> Iterator[tuple[int, int]]:
    """Yield every (part, whole) of whole numbers that makes a share."""
    error = step / 2 + 1e-9
    for whole in range(max(1, math.ceil(low)), int(min(high, LARGEST)) + 1):
        for part in range(math.ceil((told - error) * whole), math.floor((told + error) * whole) + 1):
            yield part, whole


def _times(grid: Grid, system: System, share: str, above: str | None, below: str, is_rest: bool) -> None:
    """Share times denominator."""
    if _is_of_the_told(grid, share, above, below, is_rest):
        return
    error = grid.step(share) / 2 + 1e-9
    rule = system.rule("share times denominator", 7.0 if _stated(grid, share) is not None else 3.0)
    for row in np.flatnonzero(grid.shown(share) & (grid.number[below] >= 0)):
        told = float(grid.value[share][row])
        told = 1 - told if is_rest else told
        whole = int(grid.number[below][row])
        part = int(grid.number[above][row]) if above is not None else -1
        if part < 0:
            part = _product(grid, system, row, share, below)
        rule.between([(part, 1.0), (whole, -(told + error))], -np.inf, 0.0)
        rule.between([(part, 1.0), (whole, -(told - error))], 0.0, np.inf)
        low, high = grid.low[below][row], grid.high[below][row]
        if high <= LARGEST:
            least, most = (grid.low[above][row], grid.high[above][row]) if above is not None else (0.0, math.inf)
            fits = [(a, b) for a, b in _pairs(told, grid.step(share), low, high) if least <= a <= most]
            _hull(grid, system, rule, fits, part, whole)


def _product(grid: Grid, system: System, row: int, share: str, below: str) -> int:
    """The unknown of a numerator that has no column."""
    return system.add((grid.export, grid.name, grid.keys[row], f"{below} * {share}"), 0.0, float(grid.high[below][row]), is_whole=True)


def _hull(grid: Grid, system: System, rule: Rule, fits: list[tuple[int, int]], part: int, whole: int) -> None:
    """Bound the part, the whole and, where it comes out nearly, the rest."""
    if not fits:
        return
    rests = [b - a for a, b in fits]
    for number, values in ((part, [a for a, _ in fits]), (whole, [b for _, b in fits])):
        rule.bounds.append((number, float(min(values)), float(max(values))))
    if max(rests) - min(rests) <= 2:
        _, name, row, above = system.keys[part]  # type: ignore[misc]
        below = system.keys[whole][3]  # type: ignore[index]
        rest = system.add((grid.export, name, row, f"{below} - {above}"), 0.0, float(max(grid.high[below])), is_whole=True)
        rule.bounds.append((rest, float(min(rests)), float(max(rests))))


def _is_of_the_told(grid: Grid, share: str, above: str | None, below: str, is_rest: bool) -> bool:
    """Whether the share is that of the counts as they are told, so that it says nothing more."""
    rows = grid.shown(share) & grid.shown(below) & (np.nan_to_num(grid.value[below]) > 0)
    error = grid.step(share) / 2 + 1e-6
    if above is None:
        # a numerator that has no column would be told in the steps of the denominator
        steps = grid.value[share][rows] * grid.value[below][rows] / grid.step(below)
        slack = error * grid.value[below][rows] / grid.step(below)
        return grid.step(below) > 1 and bool((np.abs(steps - np.round(steps)) <= slack).mean() > 0.97)
    rows &= grid.shown(above)
    if not rows.any():
        return False
    made = grid.value[above][rows] / grid.value[below][rows]
    return bool((np.abs((1 - made if is_rest else made) - grid.value[share][rows]) <= error).mean() > 0.97)


# -- intervals --------------------------------------------------------------------------------------------------------


def _triples(grid: Grid) -> Iterator[Triple]:
    """Yield each share that is followed by a lower and an upper bound."""
    names = [name for name in grid.sheet.figures if name in grid.shares]
    bounds: dict[str, list[str]] = {}
    for name in names:
        for place, of in grid.sheet.fields[name].links.items():
            if re.search(r"interval|bound|estimate|of$", place) and of and of[0] in names and of[0] != name:
                bounds.setdefault(of[0], []).append(name)
    for share, pair in bounds.items():
        if len(pair) == 2 and _brackets(grid, share, *pair):
            yield share, pair[0], pair[1]
    for place, share in enumerate(names):
        for low, high in ((place + 1, place + 2),):
            if high < len(names) and share not in bounds and _brackets(grid, share, names[low], names[high]):
                yield share, names[low], names[high]


def _brackets(grid: Grid, share: str, low: str, high: str) -> bool:
    rows = grid.shown(share) & grid.shown(low) & grid.shown(high)
    value, least, most = grid.value[share][rows], grid.value[low][rows], grid.value[high][rows]
    return len(value) >= 4 and bool((least <= value).all() and (value <= most).all() and (least < most).any() and (most <= 1.001).all())


def _wilson(k: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = k / n
    middle, half = p + Z**2 / (2 * n), Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return (middle - half) / (1 + Z**2 / n), (middle + half) / (1 + Z**2 / n)


def _agresti(k: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    more = n + Z**2
    p = (k + Z**2 / 2) / more
    half = Z * np.sqrt(p * (1 - p) / more)
    return np.maximum(p - half, 0), np.minimum(p + half, 1)


def _normal(k: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = Z * np.sqrt(k / n * (1 - k / n) / n)
    return np.maximum(k / n - half, 0), np.minimum(k / n + half, 1)


def _jeffreys(k: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return stats.beta.ppf(0.025, k + 0.5, n - k + 0.5), stats.beta.ppf(0.975, k + 0.5, n - k + 0.5)


def _exact(k: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low = np.where(k == 0, 0.0, stats.beta.ppf(0.025, np.maximum(k, 1e-9), n - k + 1))
    return low, np.where(k == n, 1.0, stats.beta.ppf(0.975, k + 1, np.maximum(n - k, 1e-9)))


METHODS: tuple[Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]], ...] = (_wilson, _agresti, _normal, _jeffreys, _exact)
Key = tuple[int, int, int]


@cache
def _table(method: int, step: float) -> dict[Key, list[tuple[int, int]]]:
    """(Share, low, high) as told -> every (part, whole) that makes them."""
    n = np.repeat(np.arange(1, LARGEST + 1), np.arange(2, LARGEST + 2))
    k = np.concatenate([np.arange(whole + 1) for whole in range(1, LARGEST + 1)])
    low, high = METHODS[method](k.astype(float), n.astype(float))
    told = np.round(np.stack([k / n, low, high]) / step).astype(int)
    found: dict[Key, list[tuple[int, int]]] = {}
    for share, least, most, part, whole in zip(*told.tolist(), k.tolist(), n.tolist(), strict=True):
        found.setdefault((share, least, most), []).append((part, whole))
    return found


def _widths(grid: Grid, system: System, triple: Triple, fraction: tuple[str | None, str, bool] | None) -> None:
    """Estimate, low and high give the number of cases."""
    rows = np.flatnonzero(np.logical_and.reduce([grid.shown(name) for name in triple]))
    step = max(grid.step(name) for name in triple)
    if step < 1e-4 or len(rows) < 4:
        return
    keys = [tuple(round(float(grid.value[name][row]) / step) for name in triple) for row in rows]
    for method in range(len(METHODS)):
        fits = [_table(method, step).get(key, []) for key in keys]  # type: ignore[call-overload]
        if sum(map(bool, fits)) < 0.7 * len(rows):
            continue
        below = _base(grid, rows, fits, fraction)
        if below is None:
            return
        rule = system.rule("interval", 3.5)
        for row, fit in zip(rows, fits, strict=True):
            whole = int(grid.number[below][row])
            fit = [(a, b) for a, b in fit if grid.low[below][row] <= b <= grid.high[below][row]]
            if not fit or whole < 0:
                continue
            above = fraction[0] if fraction is not None and fraction[1] == below else None
            if above is not None and grid.number[above][row] >= 0:
                part = int(grid.number[above][row])
                fit = [(b - a, b) for a, b in fit] if fraction is not None and fraction[2] else fit
            else:
                part = _product(grid, system, int(row), triple[0], below)
            _hull(grid, system, rule, fit, part, whole)
        return


def _base(grid: Grid, rows: np.ndarray, fits: list[list[tuple[int, int]]], fraction: tuple[str | None, str, bool] | None) -> str | None:
    """Return the count that the interval rests on; None where no count fits, or where it is the count as told."""
    names = [fraction[1]] if fraction is not None else [name for name in grid.sheet.counts if name in grid.columns]
    for name in names:
        cases = [(row, fit) for row, fit in zip(rows, fits, strict=True) if fit and grid.shown(name)[row]]
        inside = [any(grid.low[name][row] <= b <= grid.high[name][row] for _, b in fit) for row, fit in cases]
        if not cases or sum(inside) < 0.95 * len(cases):
            continue
        as_told = [any(grid.value[name][row] == b for _, b in fit) for row, fit in cases]
        return None if sum(as_told) > 0.97 * len(cases) and grid.step(name) > 1 else name
    return None
