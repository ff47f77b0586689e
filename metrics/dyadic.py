"""Intervals for figures about pairs, where the same person stands in many pairs.

Pairs that share a person are not independent: one talkative person moves all of theirs. An interval that treats pairs as
independent is too narrow. Here the variance of a ratio of sums over pairs is estimated by the dyadic-robust (node-clustered)
sandwich, with each person's influence summed over their pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the ends of its interval; None where there is nothing to estimate from."""

    estimate: float | None
    low: float | None
    high: float | None

    def mapped(self, scale: float, shift: float) -> Interval:
        """The interval of `scale * x + shift` for a positive scale."""
        return Interval(*(None if value is None else scale * value + shift for value in (self.estimate, self.low, self.high)))


def dyadic_variance(influence: Floats, first: Integers, second: Integers) -> float:
    """Variance of a sum of influences of pairs, when pairs that share a person are dependent.

    sum over persons of (sum of the influence of their pairs)^2 - sum of influence^2, times n/(n-1) for n persons: the sum of the products
    of all pairs of pairs with a common person, each once. It can come out below the variance under independence by chance, and is then
    replaced by that.

    Args:
        influence: One number a pair; they sum to about 0.
        first: One person of each pair, numbered from 0.
        second: The other person.

    Reference:
        Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23, 564-577;
        Cameron, Miller (2014), Robust inference for dyadic data.
    """
    count = int(max(first.max(), second.max())) + 1 if len(first) else 0
    by_person = np.bincount(first, influence, count) + np.bincount(second, influence, count)
    people = int((np.bincount(first, minlength=count) + np.bincount(second, minlength=count) > 0).sum())
    independent = float((influence**2).sum())
    variance = max(float((by_person**2).sum()) - independent, independent)
    return variance * people / (people - 1) if people > 1 else variance


def share_interval(numerator: Floats, denominator: Floats, first: Integers, second: Integers, confidence: float) -> Interval:
    """The ratio sum(numerator)/sum(denominator) over pairs, with 0 <= numerator <= denominator, and its interval.

    The interval is drawn on the log-odds scale, so that it stays between 0 and 1, with Student's t for n - 1 persons. Where all or none
    of the weight is in the numerator there is no variance to estimate: the open end is then the exact (Clopper-Pearson) bound for as
    many independent pairs, which is too narrow if pairs hang together.

    Args:
        numerator: One number a pair.
        denominator: One number a pair; not all 0.
        first: One person of each pair, numbered from 0.
        second: The other person.
        confidence: Coverage, such as .95.
    """
    total = float(denominator.sum())
    if total <= 0:
        return Interval(None, None, None)
    share = float(numerator.sum()) / total
    if share <= 1e-12 or share >= 1 - 1e-12:
        width = 1 - ((1 - confidence) / 2) ** (1 / len(denominator))
        return Interval(0.0, 0.0, width) if share < 0.5 else Interval(1.0, 1 - width, 1.0)
    influence = (numerator - share * denominator) / total
    deviation = np.sqrt(dyadic_variance(influence, first, second))
    people = len(np.unique(np.concatenate([first, second])))
    quantile = float(special.stdtrit(max(people - 1, 1), (1 + confidence) / 2))
    reach = quantile * deviation / (share * (1 - share))
    middle = special.logit(share)
    low, high = (float(special.expit(middle + side * reach)) for side in (-1, 1))
    return Interval(share, low, high)
