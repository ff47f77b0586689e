"""Variances that allow for people who are in many pairs.

Two pairs that share a person are not independent. The variance of a sum over pairs then adds the products of the residuals
of every two pairs with a person in common (Aronow, Samii, Assenova 2015, Political Analysis 23): the sum over people of
squared sums, less what the sum over pairs counts twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def gram(rows: Floats) -> Floats:
    """Sum over rows of the outer product of each with itself."""
    # not by matrix multiplication: for a few columns its threads cost more, on busy cores, than the sums
    return np.asarray(np.einsum("ni,nj->ij", rows, rows), dtype=np.float64)


class Dyads:
    """Who is in which row; a pair may have several rows (periods, spells).

    Args:
        a: Key of one person of each row.
        b: Key of the other.
        pair: Which pair they are, where people and pairs are numbered already (see `number`).
    """

    def __init__(self, a: Ints, b: Ints, pair: Ints | None = None) -> None:
        if pair is None:
            a, b, pair = self.number(a, b)
        count = len(a)
        people, codes = _compact(np.concatenate([a, b]))
        pairs, pair_codes = _compact(pair)
        rows, ones = np.arange(count), np.ones(count)
        self.person_count = people
        self.pair_count = pairs
        self._by_person = sparse.csr_array((np.tile(ones, 2), (codes, np.tile(rows, 2))), shape=(people, count))
        self._by_pair = sparse.csr_array((ones, (pair_codes, rows)), shape=(pairs, count))

    @staticmethod
    def number(a: Ints, b: Ints) -> tuple[Ints, Ints, Ints]:
        """Number people and pairs by their keys: once for a whole table, of which parts are looked at again and again."""
        people, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
        first, second = codes[: len(a)].astype(np.int64), codes[len(a) :].astype(np.int64)
        low, high = np.minimum(first, second), np.maximum(first, second)
        pair = np.unique(low * np.int64(max(len(people), 1)) + high, return_inverse=True)[1]
        return first, second, pair.astype(np.int64)

    def covariance(self, scores: Floats) -> Floats:
        """The k x k covariance of the column sums of `scores` (rows x k), at least that of independent pairs on its diagonal."""
        person: Floats = np.asarray(self._by_person @ scores, dtype=np.float64)
        pair: Floats = np.asarray(self._by_pair @ scores, dtype=np.float64)
        independent = gram(pair)
        shared = (gram(person) - independent) * (self.person_count / max(self.person_count - 1, 1))
        # the estimate is not always positive; where shared people would narrow an interval they are passed over
        widened = np.sqrt(np.maximum(np.diag(shared), np.diag(independent)) / np.maximum(np.diag(shared), 1e-300))
        is_sound = bool(np.all(np.diag(shared) > 0)) and float(np.linalg.eigvalsh(shared).min()) > -1e-9 * float(np.trace(shared))
        return np.asarray(shared * np.outer(widened, widened) if is_sound else independent, dtype=np.float64)

    def variance(self, scores: Floats) -> float:
        """The variance of the sum of one score a row."""
        return float(self.covariance(scores[:, None])[0, 0])

    def quantile(self, confidence: float) -> float:
        """Student's quantile with as many degrees of freedom as people, less one."""
        return float(stats.t.ppf(0.5 + confidence / 2, max(self.person_count - 1, 1)))


def _compact(numbers: Ints) -> tuple[int, Ints]:
    """How many different numbers there are, and each as its place among them; without sorting."""
    is_used = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=np.bool_)
    is_used[numbers] = True
    return int(is_used.sum()), (np.cumsum(is_used) - 1)[numbers]


def ratio_interval(ratio: float, variance: float, count: int, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share of `count` rows whose variance is `variance`: the count is cut down to match it."""
    inner = 0 < ratio < 1 and variance > 0
    n = min(count, ratio * (1 - ratio) / variance) if inner else count
    square = quantile**2
    middle, half = ratio + square / (2 * n), quantile * np.sqrt(ratio * (1 - ratio) / n + square / (4 * n * n))
    return max(0.0, float((middle - half) / (1 + square / n))), min(1.0, float((middle + half) / (1 + square / n)))
