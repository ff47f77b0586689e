"""The null of degrees and strengths on networks of many people, and how well it holds to both.

python -m benchmarks.bench_reciprocity --people 20000 --arcs 500000
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from benchmarks.measure import measured

from metrics.reciprocity._degrees import Model, solve
from metrics.reciprocity._expected import Pairs, expected

BLOCK = 500


def network(people: int, arcs: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arcs of people whose activity and popularity differ widely, two fifths of them answered, with weights from a tenth to hundreds."""
    random = np.random.default_rng([seed, people])
    active = np.exp(random.normal(0, 1.2, people))
    liked = np.exp(random.normal(0, 1, people)) * active**0.6
    ends = [random.choice(people, arcs, p=each / each.sum()) for each in (active, liked)]
    code = np.unique(np.concatenate([ends[0] * people + ends[1], (ends[1] * people + ends[0])[: arcs * 2 // 5]]))
    code = random.permutation(code[code // people != code % people])[:arcs]
    weight = np.ceil(np.exp(random.normal(1, 1.3, len(code)))) * random.choice([1, 0.5, 0.1], len(code))
    return code // people, code % people, weight


def worst_miss(model: Model, tail: np.ndarray, head: np.ndarray, weight: np.ndarray) -> float:
    """How far the worst degree or strength is missed, relatively: summed over every pair."""
    people = len(model.x)
    found = np.zeros((4, people))
    for first in range(0, people, BLOCK):
        rows = np.arange(first, min(first + BLOCK, people))
        both = np.outer(model.x[rows], model.y)
        chance, rate = both / (1 + both), model.theta[rows][:, None] + model.phi
        own = np.arange(len(rows)), rows
        chance[own], rate[own] = 0, 1
        mean = chance / rate
        found[0, rows], found[2, rows] = chance.sum(axis=1), mean.sum(axis=1)
        found[1] += chance.sum(axis=0)
        found[3] += mean.sum(axis=0)
    wanted = [np.bincount(tail, minlength=people), np.bincount(head, minlength=people)]
    wanted += [np.bincount(tail, weight, people), np.bincount(head, weight, people)]
    return max(float(np.abs(has[goal > 0] / goal[goal > 0] - 1).max()) for has, goal in zip(found, wanted, strict=True))


def null(people: int, arcs: int) -> dict[str, Any]:
    """Seconds to solve and to sum, and the worst miss."""
    tail, head, weight = network(people, arcs)
    began = time.perf_counter()
    model = solve(tail, head, weight, people)
    solved = time.perf_counter() - began
    low, high = np.minimum(tail, head), np.maximum(tail, head)
    pair, place = np.unique(low * people + high, return_inverse=True)
    forth, back = (np.bincount(place, weight * side, len(pair)).astype(np.float64) for side in (tail < head, tail > head))
    nothing = np.zeros(len(pair))
    began = time.perf_counter()
    found = expected(Pairs(pair // people, pair % people, forth, back, nothing, nothing), people)
    return {
        "arcs": len(tail),
        "solve_seconds": solved,
        "whole_seconds": time.perf_counter() - began,
        "r_w_null": found.r_w,
        "worst_miss": worst_miss(model, tail, head, weight),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--arcs", type=int, default=500_000)
    options = parser.parse_args()
    result, figures = measured(null, options.people, options.arcs)
    for name, value in {**result, **figures}.items():
        sys.stdout.write(f"{name:<20} {value:.6g}\n" if isinstance(value, (int, float)) else f"{name:<20} {value}\n")


if __name__ == "__main__":
    main()
