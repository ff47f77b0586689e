"""Survival of ties that come under observation late and share people: curves, half-lives and hazards.

Ages are whole days since a tie qualified. A tie is at risk on day t of its life if entry < t <= exit. `lifelines` gives the same curve (the
tests say so); it is computed here because lifelines has neither a band that allows for people who are in many ties nor a guard for
the thin risk sets with which late entry begins.

Variances allow for two ties that share a person: the sum over all such pairs of ties of the products of their influences,
and never less than the variance for independent ties.

References:
    Tsai, Jewell, Wang (1987), A note on the product-limit estimator under right censoring and left truncation, Biometrika 74.
    Lai, Ying (1991), Estimating a distribution function with truncated and censored data, Annals of Statistics 19.
    Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import optimize, sparse, stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MINIMUM_AT_RISK: Final = 10
"""With fewer ties at risk than this nothing is said: one end would move a curve by a tenth."""

GROUPINGS: Final = ("all", "origin_medium", "settled", "medium_mix", "is_cross_team", "external_kind")
"""By what ties are grouped; every level of every grouping has its own curve."""

FROM_LANDMARK: Final = ("settled", "medium_mix")
"""Groupings that count from the day on which the media of a tie's start are known; `settled` is what `medium_mix` compares with."""

_COLUMN_BLOCK: Final = 16


@dataclass(frozen=True, slots=True)
class Dyads:
    """Who is in which tie, for sums of influences by person and by pair.

    Attributes:
        by_person: Sparse persons x ties, 1 where the person is in the tie.
        by_pair: Sparse pairs x ties (a pair may have several ties, or one in several stretches).
    """

    by_person: sparse.csr_array
    by_pair: sparse.csr_array

    @classmethod
    def of(cls, a: NDArray[np.int64], b: NDArray[np.int64]) -> Dyads:
        """From the keys of the two people of each tie."""
        count = len(a)
        people, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
        rows = np.arange(count)
        pairs, pair_codes = np.unique(codes[:count] * np.int64(len(people)) + codes[count:], return_inverse=True)
        ones = np.ones(count)
        return cls(
            sparse.csr_array((np.concatenate([ones, ones]), (codes, np.concatenate([rows, rows]))), shape=(len(people), count)),
            sparse.csr_array((ones, (pair_codes, rows)), shape=(len(pairs), count)),
        )

    @property
    def person_count(self) -> int:
        """How many people."""
        return int(self.by_person.shape[0])

    @property
    def _correction(self) -> float:
        return self.person_count / max(self.person_count - 1, 1)

    def squares(self, influence: Floats) -> Floats:
        """Sum over pairs of ties that share a person of the products of their influences, for each column (ties x k -> k)."""
        # a pair of ties between the same two people is counted for both of them: once is taken off
        total = ((self.by_person @ influence) ** 2).sum(axis=0) - ((self.by_pair @ influence) ** 2).sum(axis=0)
        return np.asarray(total * self._correction, dtype=np.float64)

    def products(self, influence: Floats) -> Floats:
        """The same as a k x k matrix."""
        person, pair = self.by_person @ influence, self.by_pair @ influence
        return np.asarray((person.T @ person - pair.T @ pair) * self._correction, dtype=np.float64)

    def quantile(self, confidence: float) -> float:
        """Student's quantile with as many degrees of freedom as people, less one."""
        return float(stats.t.ppf(0.5 + confidence / 2, max(self.person_count - 1, 1)))


@dataclass(frozen=True, slots=True)
class Lives:
    """Ties under observation: (entry, exit] in days of age, whether they ended at exit, and between whom."""

    entry: Ints
    exit: Ints
    ended: Flags
    a: Ints
    b: Ints

    def __len__(self) -> int:
        return len(self.entry)

    def where(self, mask: Flags) -> Lives:
        """Those for which `mask` holds."""
        return Lives(self.entry[mask], self.exit[mask], self.ended[mask], self.a[mask], self.b[mask])


@dataclass(frozen=True, slots=True)
class Group:
    """One level of one grouping: its ties at risk and what was left out."""

    grouping: str
    level: str
    lives: Lives
    tie_count: int
    left_out_count: int


def lives_of(frame: pd.DataFrame, *, from_landmark: bool = False) -> tuple[Lives, int]:
    """The ties at risk in a table of spells, from the landmark on where what counts is known only then; and how many different ties."""
    entry = frame["entry_age_days"].to_numpy(dtype=float)
    exit_ = frame["exit_age_days"].to_numpy(dtype=float)
    known = frame["is_at_risk"].to_numpy(dtype=bool)
    if from_landmark:
        landmark = frame["landmark_age_days"].to_numpy(dtype=float)
        entry = np.maximum(entry, landmark)  # not a number where the landmark is unknown
        known = known & (exit_ > entry)
    lives = Lives(
        entry[known].astype(np.int64),
        exit_[known].astype(np.int64),
        frame["is_ended"].to_numpy(dtype=bool)[known],
        frame["person_a_key"].to_numpy(dtype=np.int64)[known],
        frame["person_b_key"].to_numpy(dtype=np.int64)[known],
    )
    return lives, len(frame.loc[known, ["person_a_key", "person_b_key", "spell_number"]].drop_duplicates())


def spells(tie_spell: pa.Table) -> pd.DataFrame:
    """What survival needs of the spells, in the order of their keys, with a column for each grouping."""
    columns = [
        "person_a_key", "person_b_key", "spell_number", "stretch_number", "entry_age_days", "exit_age_days", "is_ended", "is_at_risk",
        "origin_medium", "medium_mix", "is_cross_team", "is_external", "external_kind", "landmark_age_days",
        "tie_date", "days_tie_date", "more_days_tie_date",
    ]  # fmt: skip
    frame: pd.DataFrame = tie_spell.select(columns).to_pandas()
    frame = frame.sort_values(["person_a_key", "person_b_key", "spell_number", "stretch_number"], ignore_index=True)
    crossing = frame["is_cross_team"].astype("boolean")
    frame["is_cross_team"] = crossing.map({True: "cross_team", False: "within_team"})
    frame["external_kind"] = np.where(frame["is_external"], frame["external_kind"], "own")
    frame["all"] = "all"
    frame["settled"] = frame["all"].where(frame["landmark_age_days"].notna())
    return frame


def from_later(frame: pd.DataFrame, beginning: str) -> pd.DataFrame:
    """The spells that had the later beginning whose date the column holds, with their ages counted from it."""
    kept = frame[frame[beginning].notna()].copy()
    shift = (pd.to_datetime(kept[beginning]) - pd.to_datetime(kept["tie_date"])).dt.days.to_numpy(dtype=float)
    kept["entry_age_days"] = np.maximum(kept["entry_age_days"].to_numpy(dtype=float) - shift, 0.0)
    kept["exit_age_days"] = kept["exit_age_days"].to_numpy(dtype=float) - shift
    kept["is_at_risk"] = kept["is_at_risk"].to_numpy(dtype=bool) & (kept["exit_age_days"] > kept["entry_age_days"]).to_numpy(dtype=bool)
    return kept


def groups(frame: pd.DataFrame) -> Iterator[Group]:
    """Every level of every grouping, in order. Ties of which the grouping's value is unknown are in none of its levels."""
    for grouping in GROUPINGS:
        values = frame[grouping]
        for level in sorted(values.dropna().unique()):
            part = frame[(values == level).to_numpy(dtype=bool)]
            lives, counted = lives_of(part, from_landmark=grouping in FROM_LANDMARK)
            ties = int((part["stretch_number"] == 1).sum())
            yield Group(grouping, str(level), lives, counted, ties - counted)


@dataclass(frozen=True)
class Curve:
    """A Kaplan-Meier curve with late entry.

    Attributes:
        lives: The ties.
        dyads: Who is in which.
        at_risk: Index t -> ties at risk on day t.
        ended: Index t -> ties that ended on day t and count.
        survival: Index t -> share alive after day t.
        last_age: Up to which age the curve says anything; 0 where it never had `minimum_at_risk` ties.
    """

    lives: Lives
    dyads: Dyads
    at_risk: Ints
    ended: Ints
    survival: Floats
    last_age: int

    @classmethod
    def of(cls, lives: Lives, minimum_at_risk: int = MINIMUM_AT_RISK) -> Curve:
        """Estimate the curve: S(t) = prod over u <= t of (1 - ended(u) / at_risk(u)).

        Before the risk set is at its largest, days on which fewer than `minimum_at_risk` ties are at risk are passed over (Lai
        and Ying 1991), since one early end among one or two ties would pull the whole curve down for good; after it, the curve
        stops at the first such day.
        """
        horizon = int(lives.exit.max()) if len(lives) else 0
        entered = np.cumsum(np.bincount(lives.entry, minlength=horizon + 2)[: horizon + 2])
        left = np.cumsum(np.bincount(lives.exit, minlength=horizon + 2)[: horizon + 2])
        at_risk = np.concatenate([[0], entered[:-1] - left[:-1]]).astype(np.int64)
        ended = np.bincount(lives.exit[lives.ended], minlength=horizon + 2).astype(np.int64)
        enough = at_risk >= max(minimum_at_risk, 1)
        peak = int(at_risk.argmax())
        thin = np.flatnonzero(~enough[peak:])
        last_age = peak + int(thin[0]) - 1 if enough[peak] else 0
        days = np.arange(len(at_risk))
        ended = np.where(enough & (days <= last_age), ended, 0)
        survival = np.cumprod(1 - ended / np.maximum(at_risk, 1), dtype=np.float64)
        return cls(lives, Dyads.of(lives.a, lives.b), at_risk, ended, survival, last_age)

    def log_variance(self, ages: Ints) -> Floats:
        """Variance of log S at the ages, allowing for shared people; at least Greenwood's, which treats ties as independent."""
        alive = np.maximum(self.at_risk - self.ended, 1)
        # where every tie at risk ended the curve is zero for good and the logarithm has no variance
        step = np.where(self.at_risk > self.ended, self.ended / (np.maximum(self.at_risk, 1) * alive), 0.0)
        greenwood = np.cumsum(step)
        jump = np.where(self.lives.ended & (self.ended[self.lives.exit] > 0), 1.0 / alive[self.lives.exit], 0.0)
        ages = np.asarray(ages)
        found = np.empty(len(ages))
        for start in range(0, len(ages), _COLUMN_BLOCK):
            block = ages[start : start + _COLUMN_BLOCK][None, :]
            until = greenwood[np.minimum(block, self.lives.exit[:, None])]
            since = greenwood[np.minimum(block, self.lives.entry[:, None])]
            influence = np.where(self.lives.exit[:, None] <= block, jump[:, None], 0.0) - (until - since)
            found[start : start + _COLUMN_BLOCK] = self.dyads.squares(influence)
        return np.maximum(found, np.asarray(greenwood[ages], dtype=np.float64))

    def band(self, ages: Ints, confidence: float) -> tuple[Floats, Floats]:
        """Lower and upper bound of S at each age, on the log-minus-log scale.

        Where nothing has ended yet (or nothing is left) there is no variance; the bound is then that of a share of none (or
        all) among the fewest ties at risk until then.
        """
        ages = np.asarray(ages)
        survival = self.survival[ages]
        inner = (survival > 0) & (survival < 1)
        lower, upper = np.where(survival <= 0, 0.0, 1.0), np.where(survival >= 1, 1.0, 0.0)
        if inner.any():
            error = np.sqrt(self.log_variance(ages[inner])) / np.abs(np.log(survival[inner]))
            width = np.exp(self.dyads.quantile(confidence) * error)
            lower[inner], upper[inner] = survival[inner] ** width, survival[inner] ** (1 / width)
        for position in np.flatnonzero(~inner):
            counted = self.at_risk[1 : int(ages[position]) + 1]
            fewest = int(counted[counted > 0].min()) if (counted > 0).any() else len(self.lives)
            bound = ((1 - confidence) / 2) ** (1 / max(fewest, 1))
            if survival[position] >= 1:
                lower[position] = bound if ages[position] > 0 else 1.0
            else:
                upper[position] = 1 - bound
        return lower, upper

    def reached(self, share: float) -> int | None:
        """The first age at which the curve is at or below `share`; None where it never is."""
        below = np.flatnonzero(self.survival[: self.last_age + 1] <= share + 1e-12)
        return int(below[0]) if len(below) else None

    def reached_between(self, share: float, confidence: float) -> tuple[int | None, int | None]:
        """Interval of `reached`: where the band's bounds pass the share (Brookmeyer and Crowley 1982)."""
        return self._crossing(0, share, confidence), self._crossing(1, share, confidence)

    def _crossing(self, side: int, share: float, confidence: float) -> int | None:
        low, high = 0, self.last_age
        if high == 0 or self.band(np.array([high]), confidence)[side][0] > share:
            return None
        while high - low > 1:  # the bounds fall with age, but for slight unevenness that an interval can bear
            middle = (low + high) // 2
            if self.band(np.array([middle]), confidence)[side][0] <= share:
                high = middle
            else:
                low = middle
        return high


@dataclass(frozen=True, slots=True)
class Rate:
    """Ends per day at risk between two ages, with an interval; the rate is None without exposure."""

    ended: int
    exposure: float
    rate: float | None
    lower: float | None
    upper: float | None


def rate(lives: Lives, dyads: Dyads, confidence: float, low: int = 0, high: int | None = None) -> Rate:
    """Ends per tie and day at ages in (low, high]: ended / days at risk, interval on the log scale, shared people allowed for."""
    top = np.inf if high is None else high
    days = np.clip(np.minimum(lives.exit, top) - np.maximum(lives.entry, low), 0, None).astype(float)
    ends = (lives.ended & (lives.exit > low) & (lives.exit <= top)).astype(float)
    ended, exposure = int(ends.sum()), float(days.sum())
    if not exposure:
        return Rate(ended, exposure, None, None, None)
    if not ended:
        return Rate(0, exposure, 0.0, 0.0, float(-np.log((1 - confidence) / 2) / exposure))
    value = ended / exposure
    variance = max(float(dyads.squares((ends - value * days)[:, None])[0]), float(ended)) / ended**2
    width = float(np.exp(dyads.quantile(confidence) * np.sqrt(variance)))
    return Rate(ended, exposure, value, value / width, value * width)


def weibull(lives: Lives) -> tuple[float, float] | None:
    """Fit S(t) = exp(-(t / scale)^shape) to lives with late entry, by maximum likelihood.

    Returns:
        (scale in days, shape), or None where nothing ended.
    """
    ended = int(lives.ended.sum())
    if not ended:
        return None
    kept, counts = np.unique(np.stack([lives.entry, lives.exit, lives.ended.astype(np.int64)]), axis=1, return_counts=True)
    entry, exit_, event = kept[0].astype(float), kept[1].astype(float), kept[2] > 0
    unit = float(exit_.max())
    log_sum = float((counts[event] * np.log(exit_[event] / unit)).sum())

    def cumulative(shape: float) -> float:
        return float((counts * ((exit_ / unit) ** shape - (entry / unit) ** shape)).sum())

    def loss(log_shape: float) -> float:
        # given the shape the scale has a closed form, so that one number is searched for
        shape = float(np.exp(log_shape))
        return -float(ended * (log_shape + np.log(ended / cumulative(shape))) + (shape - 1) * log_sum)

    shape = float(np.exp(optimize.minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-8}).x))
    return unit * float((cumulative(shape) / ended) ** (1 / shape)), shape
