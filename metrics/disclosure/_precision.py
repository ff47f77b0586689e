"""How exactly a figure may be told: the ranges that a shown one leaves, and what of a figure leaves at all.

Counts of people and pairs leave rounded to a base (5 at least); a count that would round to the base or to none is left empty, so that its
range, 0 to 7 with a base of 5, is wider than the smallest group and never tells none from one. Volumes leave as preferred numbers
(ISO 3, R10: 1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8 and their tens), a range of a quarter of their size. Shares and estimates leave in
steps no finer than what one base is of the number that they rest on, so that share times number is no better known than a
rounded count; a share whose part or whose rest is that small is told as none or all of it.

Source: Hundepool et al. (2012), Statistical Disclosure Control, Wiley, chapters 4 and 5; ISO 3 (1973), Preferred numbers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_R10: Final = np.array([1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0])
_EDGES: Final = np.sqrt(_R10 * np.append(_R10[1:], 10.0))
"""Where one preferred number gives way to the next: half-way in the logarithm."""
_STEPS: Final = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.25])
_LADDER: Final = np.array([1.0, 2.0, 4.0, 10.0])
_LEAST: Final = 10 * _EDGES[0]
"""Below this a volume is not told: whole numbers that small would be told exactly."""


def few(base: Numbers | int) -> Numbers:
    """Return the largest count that is left empty: it would round to the base or to none."""
    return np.asarray(base) + np.ceil(np.asarray(base) / 2) - 1


def coarser(base: Numbers, least: Numbers, first: int) -> Numbers:
    """Return the next base of the ladder (1, 2, 4, 10, 20, 40, ... times the first) that is at least `least` and not below `base`."""
    wanted = np.maximum(np.maximum(base, least), first) / first
    power = 10.0 ** np.floor(np.log10(wanted) + 1e-12)
    step = _LADDER[np.minimum(np.searchsorted(_LADDER, wanted / power - 1e-9), len(_LADDER) - 1)]
    found: Numbers = step * power * first
    return found


def rounded(values: Numbers, base: Numbers, keeps_first: Flags | None = None) -> Numbers:
    """Counts to the nearest multiple of their base, halves up; empty where they are few. Guards keep the first multiple."""
    found = np.floor(values / base + 0.5) * base
    empty = values <= few(base)
    if keeps_first is not None:
        empty &= ~keeps_first | (found == 0)
    found[empty] = np.nan
    return found


def count_range(values: Numbers, base: Numbers, least: Numbers) -> tuple[Numbers, Numbers]:
    """From where to where a count may lie, for whoever sees it rounded; `least` where it is known to be at least so much."""
    shown = np.floor(values / base + 0.5) * base
    low = np.maximum(np.ceil(shown - base / 2), least)
    high = np.ceil(shown + base / 2) - 1
    is_few = (values <= few(base)) & (least < base)
    return np.where(is_few, least, low), np.where(is_few, few(base), high)


def preferred(values: Numbers) -> Numbers:
    """Volumes as preferred numbers; small ones are left empty."""
    found = np.full(len(values), np.nan)
    at = np.flatnonzero(values >= _LEAST)
    power, place = _decade(values[at])
    # past the last edge stands the first number of the next ten
    found[at] = np.where(place == len(_R10), 10.0, _R10[np.minimum(place, len(_R10) - 1)]) * power
    return found


def volume_range(values: Numbers) -> tuple[Numbers, Numbers]:
    """From where to where a volume may lie, for whoever sees it as a preferred number."""
    low, high = np.zeros(len(values)), np.full(len(values), _LEAST)
    at = np.flatnonzero(values >= _LEAST)
    power, place = _decade(values[at])
    edges = np.concatenate([[_EDGES[-1] / 10], _EDGES])
    low[at], high[at] = edges[place] * power, np.append(edges, _EDGES[0] * 10)[place + 1] * power
    return low, high


def _decade(values: Numbers) -> tuple[Numbers, npt.NDArray[np.int64]]:
    power = 10.0 ** np.floor(np.log10(values))
    return power, np.searchsorted(_EDGES, values / power, side="right").astype(np.int64)


def step_of(resting_on: Numbers, base: Numbers, size: Numbers | float = 1.0) -> Numbers:
    """Return the step in which a figure of some size may be told that rests on so many; not a number where none is fine enough.

    Args:
        resting_on: The count of people, pairs or things.
        base: The base to which that count is rounded.
        size: The figure's own size where it can exceed 1, so that the step is in proportion.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = base / resting_on
    place = np.searchsorted(_STEPS, wanted - 1e-9)
    step = np.where(place < len(_STEPS), _STEPS[np.minimum(place, len(_STEPS) - 1)], np.nan)
    return np.asarray(step * _magnitude(np.asarray(size, np.float64)), np.float64)


def _magnitude(size: Numbers) -> Numbers:
    """The power of ten at or below each size, at least 1."""
    return np.asarray(10.0 ** np.floor(np.log10(np.maximum(np.abs(size), 1.0)) + 1e-12))


def share(values: Numbers, resting_on: Numbers, step: Numbers, small: Numbers) -> Numbers:
    """Shares in their steps; none or all where the part or the rest is not above `small`."""
    part = values * resting_on
    inside = np.clip(np.round(values / step) * step, step, 1 - step)
    found = np.where(part <= small + 1e-6, 0.0, np.where(resting_on - part <= small + 1e-6, 1.0, inside))
    return _clean(np.where(np.isnan(step) | np.isnan(values), np.nan, found))


def estimate(values: Numbers, step: Numbers) -> Numbers:
    """Estimates to the nearest of their steps."""
    return _clean(np.round(values / step) * step)


def outward(values: Numbers, step: Numbers, *, is_low: bool) -> Numbers:
    """Ends of intervals to the next step outward, so that the interval only grows."""
    scaled = values / step
    return _clean((np.floor(scaled + 1e-9) if is_low else np.ceil(scaled - 1e-9)) * step)


def significant(values: Numbers, digits: int) -> Numbers:
    """To so many significant digits, and never finer than a tenth: durations, z-values and the like."""
    size = np.where((values == 0) | np.isnan(values), 1.0, np.abs(values))
    step = np.maximum(10.0 ** (np.floor(np.log10(size)) - digits + 1), 10.0**-digits)
    return _clean(np.round(values / step) * step)


def _clean(values: Numbers) -> Numbers:
    """Without what binary arithmetic adds at the tenth digit, and without a negative zero."""
    return np.asarray(np.round(values, 6) + 0.0)
