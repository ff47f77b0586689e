"""What the order of first use would be if media were shuffled over a tie's days of use.

Shuffle a tie's labels (one a medium and day of use) over its days: the medium that comes first is A with probability
n_A / n, and so on among those left (Plackett and Luce). From that follows, without drawing, how probable it is that B is the
next new medium after A.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT_MEDIA: Final = 8
"""Up to this many media in a tie the probabilities are exact; beyond, orders are drawn."""

_DRAWS: Final = 2000


def next_probabilities(weights: Floats, rng: np.random.Generator) -> Floats:
    """Probability that medium j is the next new one after medium i.

    Args:
        weights: ties x media, days of use, all positive.
        rng: Used only for ties of more than `EXACT_MEDIA` media.

    Returns:
        ties x media x media; the diagonal is zero; rows sum to one less the probability that i comes last.
    """
    return _exact(weights) if weights.shape[1] <= EXACT_MEDIA else _drawn(weights, rng)


def _exact(weights: Floats) -> Floats:
    ties, media = weights.shape
    total = weights.sum(axis=1)
    # reached[s][i]: the first |s| media are those of the set s, the latest of them i
    reached = np.zeros((1 << media, media, ties))
    held = np.zeros((1 << media, ties))
    found = np.zeros((ties, media, media))
    for chosen in range(1, 1 << media):
        members = [i for i in range(media) if chosen >> i & 1]
        held[chosen] = weights[:, members].sum(axis=1)
        for i in members:
            before = chosen ^ (1 << i)
            chance = 1.0 if before == 0 else reached[before].sum(axis=0)
            reached[chosen, i] = chance * weights[:, i] / (total - held[before])
        for j in (j for j in range(media) if not chosen >> j & 1):
            for i in members:
                found[:, i, j] += reached[chosen, i] * weights[:, j] / (total - held[chosen])
    return found


def _drawn(weights: Floats, rng: np.random.Generator) -> Floats:
    ties, media = weights.shape
    found = np.zeros((ties, media, media))
    for tie in range(ties):
        # the order of exponential waiting times is Plackett and Luce's
        order = np.argsort(rng.exponential(size=(_DRAWS, media)) / weights[tie], axis=1)
        np.add.at(found[tie], (order[:, :-1].ravel(), order[:, 1:].ravel()), 1 / _DRAWS)
    return found
