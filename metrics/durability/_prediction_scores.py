"""How good predictions are: order (AUC), size (Brier, calibration) and how sure one is of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from metrics.durability._prediction_logit import newton

Floats = NDArray[np.float64]


def auc(score: Floats, y: Floats) -> tuple[float, Floats]:
    """The chance that a pair that was in contact scored above one that was not (equal scores count half).

    Returns:
        The chance, and each pair's influence on it (they sum to 0): by midranks, DeLong's components. NaN and zeros unless both
        outcomes occur.

    Reference:
        DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44, 837-845; Sun, Xu (2014), IEEE Signal Processing Letters 21, 1389-1393.
    """
    is_hit = y > 0
    m, n = int(is_hit.sum()), int((~is_hit).sum())
    influence = np.zeros(len(y))
    if m == 0 or n == 0:
        return float("nan"), influence
    together = stats.rankdata(score)
    above_miss = (together[is_hit] - stats.rankdata(score[is_hit])) / n
    above_hit = 1 - (together[~is_hit] - stats.rankdata(score[~is_hit])) / m
    value = float(above_miss.mean())
    influence[is_hit] = (above_miss - value) / m
    influence[~is_hit] = (above_hit - value) / n
    return value, influence


def brier(probability: Floats, y: Floats) -> float:
    """Mean squared difference of probability and outcome; .25 is a coin, 0 is perfect."""
    return float(np.mean((probability - y) ** 2))


def calibration(probability: Floats, y: Floats) -> tuple[float, float, float]:
    """Slope (1 = neither too bold nor too timid), its standard error, and intercept (0 = right on average) of outcome on log-odds.

    The intercept is that of a model with the slope held at 1 (calibration in the large).

    Reference:
        Cox (1958), Two further applications of a model for binary regression, Biometrika 45, 562-565.
    """
    if y.min() == y.max() or probability.std() < 1e-12:
        return float("nan"), float("nan"), float("nan")
    odds = special.logit(np.clip(probability, 1e-9, 1 - 1e-9))
    beta, information = newton(np.column_stack([np.ones(len(y)), odds]), y, np.zeros(2))
    shift = 0.0
    for _ in range(50):
        fitted = special.expit(odds + shift)
        move = float((y - fitted).sum() / (fitted * (1 - fitted)).sum())
        shift += float(np.clip(move, -2, 2))
        if abs(move) < 1e-10:
            break
    return float(beta[1]), float(np.sqrt(np.linalg.inv(information)[1, 1])), shift


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs of like predicted probability, and how many of them were in contact."""

    count: int
    predicted: float
    observed: float
    low: float
    high: float


def bins(probability: Floats, y: Floats, confidence: float, count: int = 10) -> list[Bin]:
    """Ten groups of as many pairs each, by predicted probability, with the observed share and its Wilson interval."""
    order = np.lexsort((y, probability))
    z = float(stats.norm.ppf((1 + confidence) / 2))
    found: list[Bin] = []
    for part in np.array_split(order, count):
        if not len(part):
            continue
        n, share = len(part), float(y[part].mean())
        middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
        found.append(Bin(n, float(probability[part].mean()), share, float(max(middle - reach, 0.0)), float(min(middle + reach, 1.0))))
    return found
