"""Unknowns, what ties them together, and what follows: bounds pushed through every relation, then linear programs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, vstack

SLACK = 1e-6
ROUNDS = 40
FAR = 1e12
"""Beyond this a bound says nothing."""


@dataclass
class Rule:
    """A relation guessed from names or numbers, with every constraint that follows from it.

    Attributes:
        technique: What kind of reasoning it is.
        evidence: How many cases bear it out; of two rules that contradict each other, the one with less is dropped.
    """

    technique: str
    evidence: float
    constraints: list[tuple[list[int], list[float], float, float]] = field(default_factory=list)
    bounds: list[tuple[int, float, float]] = field(default_factory=list)

    def equal(self, parts: Sequence[tuple[int, float]], total: float = 0.0) -> None:
        """Demand that the weighted sum is `total`."""
        self.between(parts, total, total)

    def between(self, parts: Sequence[tuple[int, float]], low: float, high: float) -> None:
        """Demand that the weighted sum lies between two numbers."""
        self.constraints.append(([each for each, _ in parts], [weight for _, weight in parts], low, high))


class System:
    """Unknowns with bounds, and rules between them."""

    def __init__(self) -> None:
        self.keys: list[Hashable] = []
        self.place: dict[Hashable, int] = {}
        self.lowest: list[float] = []
        self.highest: list[float] = []
        self._whole: list[bool] = []
        self.rules: list[Rule] = []
        self.dropped: list[Rule] = []

    def add(self, key: Hashable, low: float, high: float, *, is_whole: bool) -> int:
        """Return the unknown of this key, made if need be; bounds are narrowed to these."""
        if key in self.place:
            number = self.place[key]
            self.lowest[number], self.highest[number] = max(self.lowest[number], low), min(self.highest[number], high)
            return number
        self.place[key] = len(self.keys)
        self.keys.append(key)
        self.lowest.append(low)
        self.highest.append(high)
        self._whole.append(is_whole)
        return len(self.keys) - 1

    def rule(self, technique: str, evidence: float) -> Rule:
        """Add an empty rule."""
        made = Rule(technique, evidence)
        self.rules.append(made)
        return made

    def solve(self) -> None:
        """Push bounds through all rules; where rules contradict each other, drop the one with less to bear it out, and begin again."""
        while True:
            self._begin()
            clash = self._push()
            if clash is None:
                break
            worst = min(clash, key=lambda number: self.rules[number].evidence)
            self.dropped.append(self.rules.pop(worst))

    def bounds(self, number: int) -> tuple[float, float, str]:
        """Return an unknown's bounds and the technique that drew the narrower of them."""
        rules = {int(self.low_by[number]), int(self.high_by[number])} - {-1}
        names = sorted({self.rules[each].technique for each in rules})
        return float(self.low[number]), float(self.high[number]), " + ".join(names)

    # -- propagation -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.low, self.high = np.array(self.lowest, dtype=float), np.array(self.highest, dtype=float)
        self.whole = np.array(self._whole, dtype=bool)
        self.low_by = np.full(len(self.keys), -1)
        self.high_by = np.full(len(self.keys), -1)
        rows, columns, weights, lows, highs, owners = [], [], [], [], [], []
        for owner, rule in enumerate(self.rules):
            for parts, factors, low, high in rule.constraints:
                rows += [len(lows)] * len(parts)
                columns += parts
                weights += factors
                lows.append(low)
                highs.append(high)
                owners.append(owner)
        self.rows = np.array(rows, dtype=np.int64)
        self.columns = np.array(columns, dtype=np.int64)
        self.weights = np.array(weights, dtype=float)
        self.least, self.most = np.array(lows, dtype=float), np.array(highs, dtype=float)
        self.owners = np.array(owners, dtype=np.int64)
        self._matrix: csr_matrix | None = None

    def _push(self) -> set[int] | None:
        """Tighten bounds until nothing moves; return the rules that contradict each other, if some do."""
        for owner, rule in enumerate(self.rules):
            for number, low, high in rule.bounds:
                for clash in (self._tighten([number], [low], [owner], up=True), self._tighten([number], [high], [owner], up=False)):
                    if clash:
                        return clash
        for _ in range(ROUNDS):
            before = self.low.copy(), self.high.copy()
            clash = self._round()
            if clash is not None:
                return clash
            moved = (self.low > before[0]) | (self.high < before[1])
            if not moved.any():
                break
        return None

    def _round(self) -> set[int] | None:
        if not len(self.rows):
            return None
        positive = self.weights > 0
        lower = self.weights * np.where(positive, self.low[self.columns], self.high[self.columns])
        upper = self.weights * np.where(positive, self.high[self.columns], self.low[self.columns])
        for given, limit, is_lower in ((lower, self.most, True), (upper, self.least, False)):
            infinite = np.abs(given) > FAR
            finite = np.where(infinite, 0.0, given)
            total = np.bincount(self.rows, finite, minlength=len(limit))
            blanks = np.bincount(self.rows, infinite, minlength=len(limit))
            known = blanks[self.rows] - infinite == 0
            rest = (limit[self.rows] - (total[self.rows] - finite)) / self.weights
            usable = known & (np.abs(limit[self.rows]) < FAR)
            for chosen, up in ((usable & (positive != is_lower), True), (usable & (positive == is_lower), False)):
                clash = self._tighten(self.columns[chosen], rest[chosen], self.owners[self.rows[chosen]], up=up)
                if clash:
                    return clash
        return None

    def _tighten(self, numbers: Iterable[int], values: Iterable[float], owners: Iterable[int], *, up: bool) -> set[int] | None:
        numbers, values, owners = np.asarray(numbers), np.asarray(values, dtype=float), np.asarray(owners)
        if not len(numbers):
            return None
        whole = self.whole[numbers]
        if up:
            values = np.where(whole, np.ceil(values - 1e-4), values - SLACK)
            better = values > self.low[numbers] + SLACK * 10
        else:
            values = np.where(whole, np.floor(values + 1e-4), values + SLACK)
            better = values < self.high[numbers] - SLACK * 10
        numbers, values, owners = numbers[better], values[better], owners[better]
        order = np.argsort(values if up else -values, kind="stable")
        numbers, values, owners = numbers[order], values[order], owners[order]
        bound, by = (self.low, self.low_by) if up else (self.high, self.high_by)
        bound[numbers] = values
        by[numbers] = owners
        wrong = numbers[self.low[numbers] > self.high[numbers] + 1e-3]
        if len(wrong):
            return {int(each) for each in (self.low_by[wrong[0]], self.high_by[wrong[0]]) if each >= 0} or {int(owners[0])}
        return None

    # -- linear programs -------------------------------------------------------------------------------------------

    def programs(self, targets: Sequence[int], seconds: float, largest: int = 500) -> None:
        """Solve for the least and the greatest value of each target over the family it is tied to, as long as time lasts.

        A family larger than `largest` is cut to what lies nearest: fewer constraints, so bounds that still hold.
        """
        if not len(self.rows):
            return
        end = time.process_time() + seconds
        matrix = csr_matrix((self.weights, (self.rows, self.columns)), shape=(len(self.least), len(self.keys)))
        by_column = matrix.tocsc()
        for target in targets:
            if time.process_time() > end:
                return
            chosen, constraints = self._near(matrix, by_column, target, largest)
            if len(constraints) < 2:
                continue
            part = matrix[constraints][:, chosen]
            upper, lower = self.most[constraints] < FAR, self.least[constraints] > -FAR
            a = vstack([part[upper], -part[lower]], format="csr")
            b = np.concatenate([self.most[constraints][upper], -self.least[constraints][lower]]) + SLACK
            limits = [
                (low if low > -FAR else None, high + SLACK if high < FAR else None)
                for low, high in zip(self.low[chosen] - SLACK, self.high[chosen], strict=True)
            ]
            cost = np.zeros(len(chosen))
            cost[chosen.index(target)] = 1.0
            for sign, up in ((1.0, True), (-1.0, False)):
                done = linprog(sign * cost, A_ub=a, b_ub=b, bounds=limits, method="highs")
                if done.status == 0:
                    self._record(target, sign * float(done.fun), up=up)

    def _record(self, number: int, value: float, *, up: bool) -> None:
        owner = len(self.rules)
        if not self.rules or self.rules[-1].technique != "linear program":
            self.rules.append(Rule("linear program", float("inf")))
        else:
            owner -= 1
        before = self.low[number], self.high[number]
        if self._tighten([number], [value - 1e-4 if up else value + 1e-4], [owner], up=up):
            self.low[number], self.high[number] = before

    def _near(self, matrix: csr_matrix, by_column: csr_matrix, start: int, largest: int) -> tuple[list[int], list[int]]:
        """Return the unknowns and constraints around one, nearest first."""
        seen, used, order, waiting = {start}, set(), [start], deque([start])
        while waiting and len(order) < largest:
            number = waiting.popleft()
            for constraint in by_column.indices[by_column.indptr[number] : by_column.indptr[number + 1]]:
                if constraint in used:
                    continue
                used.add(int(constraint))
                for other in matrix.indices[matrix.indptr[constraint] : matrix.indptr[constraint + 1]]:
                    if other not in seen:
                        seen.add(int(other))
                        order.append(int(other))
                        # a figure told exactly ties nothing further
                        if self.high[other] - self.low[other] > SLACK * 100:
                            waiting.append(int(other))
        return order, sorted(used)
