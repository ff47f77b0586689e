# description: Of the pairs that used a medium in one period, the share that was in contact again in the next (in whatever medium), as
#   it is
#   and with equal frequency of contact.
# question: Are relationships kept up better in some media than in others, beyond being busier there?
# grain: panel_kind, population, contrast, medium, adjustment
# role: people | person_count
# role: pairs | observation_count
# role: pairs among observation_count | kept_observation_count
# role: design | reference_medium, sample_ratio
# role: share over observation_count | kept_ratio, adjusted_ratio
# role: interval of kept_ratio | lower_ratio, upper_ratio
# role: interval of adjusted_ratio | adjusted_lower_ratio, adjusted_upper_ratio
# role: estimate over observation_count | association, z_score, independent_z
# role: interval of association | lower_association, upper_association
# role: words | reason
# role: estimate over observation_count | lottery_kept_ratio, adjusted_p_ratio
# column: panel_kind | text | week or month: the length of a period.
# column: population | text | contact (all pairs with any contact in the period) or tie (those that were a tie in it).
# column: contrast | text | exclusive (pairs that used this medium alone, or several, against those that used reference_medium alone) or
#   uses
#   (pairs that used this medium, whatever else they used, against those that did not, all media at once in one model).
# column: medium | text | The medium; `several` for pairs that used more than one.
# column: adjustment | text | What is held equal beside the period: volume (classes of the number of contacts, of active days, of the days
#   since the last contact and of the lesser number of partners: read this one), contacts (log of 1 + messages and meetings) or active_days
#   (log of 1 + days with contact); the latter two to compare with published figures.
# column: reference_medium | text | For exclusive, the medium compared with: the one that most pairs use alone; empty for uses.
# column: observation_count | count | Pairs times periods that used the medium so.
# column: person_count | count | People in them.
# column: kept_observation_count | count | How many of them were in contact in the next period.
# column: kept_ratio | ratio | Their share, not adjusted: it measures volume, see lottery_kept_ratio.
# column: lottery_kept_ratio | ratio | That share if the medium of every contact were drawn by lot, each with its own frequency in the
#   period: what a medium shows that does nothing, because it is much or little used.
# column: lower_ratio | ratio | Lower bound of its interval.
# column: upper_ratio | ratio | Upper bound.
# column: adjusted_ratio | ratio | The share that the model expects if every pair had used the medium so and all else stayed as it was.
# column: adjusted_lower_ratio | ratio | Lower bound of its interval.
# column: adjusted_upper_ratio | ratio | Upper bound.
# column: association | log_odds | Adjusted log-odds of being in contact again; above 0: more often than the pairs compared with.
# column: lower_association | log_odds | Lower bound of its interval.
# column: upper_association | log_odds | Upper bound.
# column: z_score | z | Association divided by its standard error, which allows for people who are in many pairs.
# column: independent_z | z | The same as if all pairs were independent: too sure of itself, kept to compare with published figures.
# column: adjusted_p_ratio | ratio | How easily chance gives an association so far from 0, after Benjamini and Hochberg's correction for all
#   associations of the same panel_kind and adjustment; nothing is said in words above .05.
# column: sample_ratio | ratio | The share of pairs that was used; 1 for all.
# column: reason | text | Why the association is empty: reference, too_few (fewer than 20 observations or 5 of either outcome) or no_fit
#   (cannot be told apart).
# unique: panel_kind, population, contrast, medium, adjustment
# not_null: panel_kind, population, contrast, medium, adjustment, observation_count, person_count, kept_observation_count, kept_ratio,
#   sample_ratio
# assert: kept_ratio between 0 and 1
# assert: lower_ratio <= kept_ratio + 1e-9 and kept_ratio <= upper_ratio + 1e-9
# assert: lower_association <= association and association <= upper_association
# assert: (association is null) = (reason is not null)
# caveat: An association, not an effect: people choose media for relationships that differ in more than how often they speak.
# caveat: A straight line in the logarithm of contacts (contacts, active_days) is too stiff: it called 17-35% of comparisons of media that
#   were drawn by lot. With classes (volume) it is at most 7% on real mail and messages.
# caveat: The two straight adjustments can disagree. On the Copenhagen students, using both calls and texts goes with +0.41 log-odds when
#   the number of
#   contacts is held equal and with nothing (-0.07) when the number of active days is: what seems to be the medium is often regularity.
# caveat: Only whole periods next to each other are compared; a relationship that rests for a month and comes back is not seen as kept.
# reference: Hidalgo, Rodriguez-Sickert (2008), The dynamics of a mobile phone network, Physica A 387, 3017-3024.
# reference: Sapiezynski, Stopczynski, Lassen, Lehmann (2019), Interaction data from the Copenhagen Networks Study, Scientific Data 6,
#   315.
# reference: Benjamini, Hochberg (1995), Controlling the false discovery rate, J. R. Stat. Soc. B 57, 289-300.
# reference: Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23.
"""Frequency-adjusted persistence by medium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy import linalg, special

from metrics.many import benjamini_hochberg
from metrics.media._dyads import Dyads, ratio_interval
from metrics.media._logit import Fit, fit, probability
from metrics.panels import Flags, Floats, Integers, codes, flags, floats, integers, row_groups
from metrics.parameters import Parameters

CLASSES: Final = {
    "contact_count": (2, 3, 4, 5, 6, 7, 9, 11, 14, 18, 24, 32, 48, 80),
    "active_days": (2, 3, 4, 6, 9, 13),
    "quiet_days": (3, 7, 14, 21),
    "partner_count": (3, 6, 12, 25),
}
"""Where classes of volume begin, fine where there is little: whether a medium is used alone hangs on the very number there."""

SEPARATOR: Final = "\x1f"
SEVERAL: Final = "several"
MINIMUM_OBSERVATIONS: Final = 20
MINIMUM_OUTCOMES: Final = 5
"""Below these a coefficient would rest on a handful of pairs."""

COLUMNS: Final = (
    "panel_kind", "population", "contrast", "medium", "adjustment", "reference_medium", "observation_count", "person_count",
    "kept_observation_count", "kept_ratio", "lottery_kept_ratio", "lower_ratio", "upper_ratio", "adjusted_ratio", "adjusted_lower_ratio",
    "adjusted_upper_ratio", "association", "lower_association", "upper_association", "z_score", "independent_z", "adjusted_p_ratio",
    "sample_ratio", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class _Control:
    """What is held equal: the level of each row, and the columns of each level."""

    level: Integers
    columns: Floats

    @classmethod
    def line(cls, values: Floats) -> _Control:
        """A straight line."""
        found, level = np.unique(values, return_inverse=True)
        return cls(level.astype(np.int64), found[:, None])

    @classmethod
    def classes(cls, values: dict[str, Integers], kept: Floats) -> _Control:
        """A constant for each class but the first of each number; classes with hardly any of one outcome join their neighbours."""
        classes = [_merged(np.searchsorted(CLASSES[name], number, side="right"), kept) for name, number in values.items()]
        code = np.zeros(len(kept), dtype=np.int64)
        for each in classes:
            code = code * (int(each.max()) + 1) + each
        _, first, level = np.unique(code, return_index=True, return_inverse=True)
        columns = [each[first] == number for each in classes for number in range(1, int(each.max()) + 1)]
        return cls(level.astype(np.int64), np.stack(columns, axis=1).astype(float) if columns else np.empty((len(first), 0)))


def _merged(number: Integers, kept: Floats) -> Integers:
    outcomes = np.stack([np.bincount(number, weight) for weight in (kept, 1 - kept)], axis=1)
    joined, held = np.zeros(len(outcomes), dtype=np.int64), np.zeros(2)
    at = 0
    for place, found in enumerate(outcomes):
        joined[place] = at
        held = held + found
        if held.min() >= MINIMUM_OUTCOMES:
            at, held = at + 1, np.zeros(2)
    # what is left over at the top belongs to the class below
    return np.minimum(joined, max(at - 1, 0))[number]


def _independent(columns: Floats) -> Floats:
    """The columns that say something that the others, and a constant, do not: classes of two numbers can be the same."""
    if not columns.shape[1]:
        return columns
    _, triangle, order = linalg.qr(columns - columns.mean(axis=0), mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    return np.asarray(columns[:, np.sort(order[: int((size > 1e-9 * max(size[0], 1.0)).sum())])], dtype=np.float64)


@dataclass(frozen=True)
class _Sample:
    """Pairs and periods of one kind and population."""

    a: Integers
    b: Integers
    pair: Integers
    panel: Integers
    kept: Floats
    combination: Integers
    controls: dict[str, _Control]
    uses: dict[str, Flags]
    contacts: Integers
    shares: dict[str, Floats]
    """Of each medium its share of the contacts of each row's period."""

    @property
    def exclusive(self) -> dict[str, Flags]:
        """Category -> rows: each medium alone, then several."""
        number = np.sum(list(self.uses.values()), axis=0)
        alone = {medium: used & (number == 1) for medium, used in self.uses.items()}
        return {medium: rows for medium, rows in {**alone, SEVERAL: number > 1}.items() if rows.any()}

    def by_lot(self, contrast: str, medium: str) -> Floats:
        """The chance of each row to use the medium so, if the medium of every contact were drawn with its share of them."""
        if contrast == "uses":
            return 1 - (1 - self.shares[medium]) ** self.contacts
        if medium == SEVERAL:
            return np.asarray(1 - np.sum([share**self.contacts for share in self.shares.values()], axis=0), dtype=np.float64)
        return np.asarray(self.shares[medium] ** self.contacts, dtype=np.float64)


def medium_persistence(pair_panel_media: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Persistence of pairs by the media they use, raw and adjusted.

    Args:
        pair_panel_media: One row a pair and complete period, with the media used and whether it was in contact in the next period.
        parameters: `confidence` is used.

    Returns:
        One row for each kind of period, population, contrast, medium and adjustment; see the header of this file.
    """
    rows: list[dict[str, Any]] = []
    for panel_kind, population, sample_ratio, sample in _samples(pair_panel_media):
        for contrast in ("exclusive", "uses"):
            for row in _contrast(sample, contrast, parameters.confidence):
                rows.append({"panel_kind": panel_kind, "population": population, "sample_ratio": sample_ratio, **row})
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    z = found["z_score"].to_numpy(dtype=float, na_value=np.nan)
    found["adjusted_p_ratio"] = 2 * special.ndtr(-np.abs(z))
    for _, family in found[np.isfinite(z)].groupby(["panel_kind", "adjustment"]):
        found.loc[family.index, "adjusted_p_ratio"] = benjamini_hochberg(family["adjusted_p_ratio"].to_numpy(dtype=float))
    return found


def _samples(table: pa.Table) -> Iterator[tuple[str, str, float, _Sample]]:
    shares = _shares(table)
    media = pc.binary_join(table["media"], SEPARATOR)
    table = table.drop_columns(["media", "media_contact_counts"]).append_column("media", media)
    table = table.sort_by([(name, "ascending") for name in ("panel_kind", "panel_start", "person_a_key", "person_b_key")])
    is_tie = flags(table, "is_tie")
    for (panel_kind,), rows in row_groups(table, "panel_kind"):
        for population in ("contact", "tie"):
            chosen = rows if population == "contact" else rows[is_tie[rows]]
            if len(chosen):
                part = table.take(chosen)
                yield str(panel_kind), population, float(part["sample_ratio"][0].as_py()), _sample(part, shares)


def _shares(table: pa.Table) -> dict[tuple[Any, ...], dict[str, float]]:
    """Of each period, each medium's share of all contacts."""
    rows = pc.list_parent_indices(table["media"])
    flat = pa.table(
        {
            "kind": pc.take(table["panel_kind"], rows), "start": pc.take(table["panel_start"], rows),
            "medium": pc.list_flatten(table["media"]), "count": pc.list_flatten(table["media_contact_counts"]),
        }
    )  # fmt: skip
    found: dict[tuple[Any, ...], dict[str, float]] = {}
    for row in flat.group_by(["kind", "start", "medium"]).aggregate([("count", "sum")]).to_pylist():
        found.setdefault((row["kind"], row["start"]), {})[row["medium"]] = float(row["count_sum"])
    return {key: {medium: count / sum(each.values()) for medium, count in each.items()} for key, each in found.items()}


def _sample(table: pa.Table, shares: dict[tuple[Any, ...], dict[str, float]]) -> _Sample:
    which, combination = codes(table["media"])
    held = [set(text.split(SEPARATOR)) for text in combination]
    media = sorted(set().union(*held))
    panel, starts = codes(table["panel_start"])
    of_panel = [shares[table["panel_kind"][0].as_py(), start] for start in starts]
    kept = flags(table, "is_active_next").astype(float)
    numbers = {name: integers(table, name) for name in CLASSES}
    a, b, pair = Dyads.number(integers(table, "person_a_key"), integers(table, "person_b_key"))
    return _Sample(
        a=a,
        b=b,
        pair=pair,
        panel=panel,
        kept=kept,
        combination=which,
        controls={
            "volume": _Control.classes(numbers, kept),
            "contacts": _Control.line(np.log1p(floats(table, "contact_count"))),
            "active_days": _Control.line(np.log1p(floats(table, "active_days"))),
        },
        contacts=integers(table, "contact_count"),
        shares={medium: np.array([each.get(medium, 0.0) for each in of_panel])[panel] for medium in media},
        uses={medium: np.array([medium in each for each in held])[which] for medium in media},
    )


def _is_enough(kept: Floats) -> bool:
    return len(kept) >= MINIMUM_OBSERVATIONS and MINIMUM_OUTCOMES <= kept.sum() <= len(kept) - MINIMUM_OUTCOMES


def _contrast(sample: _Sample, contrast: str, confidence: float) -> Iterator[dict[str, Any]]:
    groups = sample.exclusive if contrast == "exclusive" else sample.uses
    raw = {medium: _raw(sample, rows, confidence, sample.by_lot(contrast, medium)) for medium, rows in groups.items()}
    enough = [medium for medium, rows in groups.items() if _is_enough(sample.kept[rows])]
    single = [medium for medium in enough if medium != SEVERAL]
    reference = max(single, key=lambda medium: (int(groups[medium].sum()), medium)) if contrast == "exclusive" and single else None
    # a medium that everyone uses cannot be told from the constant
    terms = [medium for medium in enough if medium != reference and not groups[medium].all()]
    is_modelled = bool(terms) and (reference is not None or contrast == "uses")
    rows = np.ones(len(sample.kept), dtype=bool)
    if contrast == "exclusive" and enough:
        rows = np.logical_or.reduce([groups[medium] for medium in enough])
    # a period in which all, or none, were kept says nothing about media
    outcomes = np.zeros((int(sample.panel.max()) + 1, 2))
    np.add.at(outcomes, (sample.panel[rows], sample.kept[rows].astype(int)), 1)
    rows = rows & (outcomes.min(axis=1) > 0)[sample.panel]
    dyads = Dyads(sample.a[rows], sample.b[rows], sample.pair[rows])
    for adjustment, control in sample.controls.items():
        model = _Model.of(sample, [groups[term] for term in terms], control, rows, dyads, confidence) if is_modelled else None
        for medium in groups:
            row = {"contrast": contrast, "medium": medium, "adjustment": adjustment, "reference_medium": reference, **raw[medium]}
            if medium == reference:
                yield row | (model.expected(medium, terms, is_exclusive=True) if model else {}) | {"reason": "reference"}
            elif medium not in enough or (contrast == "exclusive" and reference is None):
                yield row | {"reason": "too_few"}
            elif model is None or medium not in terms:
                yield row | {"reason": "no_fit"}
            else:
                yield row | model.expected(medium, terms, is_exclusive=contrast == "exclusive") | model.association(medium, terms)


def _raw(sample: _Sample, rows: Flags, confidence: float, by_lot: Floats) -> dict[str, Any]:
    kept = sample.kept[rows]
    dyads = Dyads(sample.a[rows], sample.b[rows], sample.pair[rows])
    ratio = float(kept.mean())
    lower, upper = ratio_interval(ratio, dyads.variance((kept - ratio) / len(kept)), len(kept), dyads.quantile(confidence))
    return {
        "observation_count": len(kept), "person_count": dyads.person_count, "kept_observation_count": int(kept.sum()),
        "kept_ratio": ratio, "lottery_kept_ratio": float(by_lot @ sample.kept / by_lot.sum()), "lower_ratio": lower, "upper_ratio": upper,
    }  # fmt: skip


@dataclass(frozen=True)
class _Model:
    """The logistic model of one contrast: columns are the terms, the control, the constant and the periods."""

    fitted: Fit
    covariance: Floats
    quantile: float

    @classmethod
    def of(cls, sample: _Sample, terms: list[Flags], control: _Control, rows: Flags, dyads: Dyads, confidence: float) -> _Model | None:
        if not rows.any():
            return None
        # observations with equal covariates are one row of the model: many times fewer than pairs
        code = (control.level[rows] * (int(sample.panel.max()) + 1) + sample.panel[rows]) * (
            int(sample.combination.max()) + 1
        ) + sample.combination[rows]
        _, first, group = np.unique(code, return_index=True, return_inverse=True)
        at = np.flatnonzero(rows)[first]
        columns = [term[at].astype(float) for term in terms] + [*_independent(control.columns[control.level[at]]).T, np.ones(len(at))]
        columns += [(sample.panel[at] == panel).astype(float) for panel in np.unique(sample.panel[rows])[1:]]
        fitted = fit(np.stack(columns, axis=1), group.astype(np.int64), sample.kept[rows])
        return None if fitted is None else cls(fitted, dyads.covariance(fitted.influence), dyads.quantile(confidence))

    def association(self, medium: str, terms: list[str]) -> dict[str, Any]:
        at = terms.index(medium)
        value, error = float(self.fitted.beta[at]), float(np.sqrt(self.covariance[at, at]))
        return {
            "association": value, "lower_association": value - self.quantile * error, "upper_association": value + self.quantile * error,
            "z_score": value / error, "independent_z": value / float(np.sqrt(self.fitted.inverse[at, at])), "reason": None,
        }  # fmt: skip

    def expected(self, medium: str, terms: list[str], *, is_exclusive: bool) -> dict[str, Any]:
        """The mean expected share with everyone in the group, its interval on the log-odds scale by the delta method."""
        x = self.fitted.x.copy()
        if is_exclusive:
            x[:, : len(terms)] = 0.0
        if medium in terms:
            x[:, terms.index(medium)] = 1.0
        p = probability(x, self.fitted.beta)
        weight = self.fitted.count / self.fitted.count.sum()
        mean = float(weight @ p)
        gradient = (weight * p * (1 - p)) @ x / (mean * (1 - mean))
        half = self.quantile * float(np.sqrt(max(float(gradient @ self.covariance @ gradient), 0.0)))
        centre = np.log(mean / (1 - mean))
        lower, upper = (float(1 / (1 + np.exp(-(centre + side)))) for side in (-half, half))
        return {"adjusted_ratio": mean, "adjusted_lower_ratio": lower, "adjusted_upper_ratio": upper}
