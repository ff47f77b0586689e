# description: How the rate at which ties end goes together with the medium in which they began and the media they use at their start,
#   given how much contact there was, whether it was mutual, whether the tie crosses teams or organisations, and how embedded it is (Cox
#   regression).
# question: Do relationships in some media hold better than others that are otherwise alike?
# grain: model, term
# role: people | person_count
# role: pairs | tie_count
# role: pairs among tie_count | ended_count, term_tie_count, term_ended_count
# role: design | term_kind, reference_medium
# role: estimate over term_ended_count | hazard_ratio, unadjusted_ratio, proportionality_z
# role: interval of hazard_ratio | lower_ratio, upper_ratio
# role: interval of unadjusted_ratio | unadjusted_lower_ratio, unadjusted_upper_ratio
# role: words | is_distinct, reason
# column: model | text | origin_medium (the medium of the first day, one a tie) or media_used (each medium used in the first
#   `landmark_days`, any number).
# column: term | text | The medium, or the control: log_active_days, log_weight, is_mutual, is_cross_team, is_external, log_common.
# column: term_kind | text | medium or control.
# column: reference_medium | text | The medium that others are compared with: the most frequent. Empty where a medium is compared with its
#   absence.
# column: tie_count | count | Ties in the model: those still alive `landmark_days` after they qualified.
# column: person_count | count | People in them.
# column: ended_count | count | How many ended.
# column: term_tie_count | count | Ties that have the medium or the trait; for a logarithm, all.
# column: term_ended_count | count | How many of those ended.
# column: hazard_ratio | ratio | How many times as fast ties end that have this and are otherwise alike; below 1: they hold longer. For a
#   logarithm: per doubling.
# column: lower_ratio | ratio | Lower bound of its interval.
# column: upper_ratio | ratio | Upper bound.
# column: is_distinct | flag | Whether the interval leaves 1 out.
# column: unadjusted_ratio | ratio | The same without the controls.
# column: unadjusted_lower_ratio | ratio | Lower bound of its interval.
# column: unadjusted_upper_ratio | ratio | Upper bound.
# column: proportionality_z | z | Whether the association changes with the age of the tie: beyond 2 it grows with age (from below 1,
#   towards and past 1), beyond -2 it falls; the ratio is then an average over ages.
# column: reason | text | Why there is no ratio: too_few (with or without it, fewer than ten ends were to be expected if all ties ended
#   alike, or fewer than three were seen), reference, no_variation or no_fit.
# unique: model, term
# not_null: model, term, term_kind, tie_count, person_count, ended_count
# assert: lower_ratio <= hazard_ratio and hazard_ratio <= upper_ratio
# assert: (hazard_ratio is null) = (reason is not null)
# caveat: These are associations, not effects of a medium. People choose a medium for a relationship that they already mean to keep, or
#   not; only a change of policy (see policy_effect) can say more.
# caveat: Only ties that lived to the landmark are compared, so that nothing of their later fate is used to describe them.
# caveat: Media too rare to have a ratio are set apart together, so that no other is compared with them; where even together they are too
#   rare, they stay with the reference.
# caveat: The interval allows for people who are in many ties, through either of the two; it is never narrower than for independent ties.
# caveat: Active days and weight stand for the strength of a tie imperfectly; what they miss of it may still be in the medium's ratio.
# caveat: Many media and controls are looked at at once: of twenty that do not matter, one will seem distinct.
# reference: Cox (1972), Regression models and life-tables, JRSS B 34; landmark after Anderson, Cain, Gelber (1983), J Clin Oncol 1.
# reference: Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23.
"""Hazard ratios of ties by medium, with controls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from metrics.durability._cox import Fit, NoFitError, fit
from metrics.durability._survival import Dyads, Flags, Floats, Lives, lives_of
from metrics.parameters import Parameters

MINIMUM_ENDS = 10
"""Fewer ends than this with a trait, or without it, say nothing about it.

Counted are the ends to be expected if all ties ended alike, not those seen: a rare medium whose ties happen to hold would be left
out, one whose ties happen to end would be told of, and the ratios told would be too high on average.
"""

MINIMUM_SEEN = 3
"""With fewer ends seen than this a ratio runs off towards 0."""

COLUMNS = (
    "model", "term", "term_kind", "reference_medium", "tie_count", "person_count", "ended_count", "term_tie_count", "term_ended_count",
    "hazard_ratio", "lower_ratio", "upper_ratio", "is_distinct",
    "unadjusted_ratio", "unadjusted_lower_ratio", "unadjusted_upper_ratio", "proportionality_z", "reason",
)  # fmt: skip
_KEYS = ["person_a_key", "person_b_key", "spell_number"]


@dataclass(frozen=True, slots=True)
class Term:
    """One column of the model. A logarithm is to base 2, so that its ratio is that of a doubling."""

    name: str
    kind: str
    values: Floats
    has: Flags
    reason: str | None = None


def medium_hazard(tie_spell: pa.Table, tie_embedding: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Cox regressions of the ends of ties on media, from a landmark on, with dyad-robust intervals.

    Args:
        tie_spell: One row for each tie and observed stretch, with what each tie was like at its start.
        tie_embedding: Common contacts at the start of each tie.
        parameters: `confidence` is used.

    Returns:
        One row for each model and term; see the header of this file.
    """
    frame = _ties(tie_spell, tie_embedding)
    lives, ties = lives_of(frame, from_landmark=True)
    if not len(lives):
        return pd.DataFrame(columns=list(COLUMNS))
    frame = _at_risk(frame)
    dyads = Dyads.of(lives.a, lives.b)
    controls = [_judged(term, lives) for term in _controls(frame)]
    rows = []
    for model, media, reference in _models(frame):
        shared = {
            "model": model,
            "reference_medium": reference,
            "tie_count": ties,
            "person_count": dyads.person_count,
            "ended_count": int(lives.ended.sum()),
        }
        terms = [_judged(term, lives) if term.reason is None else term for term in media]
        rows += [shared | row for row in _rows(terms, controls, lives, dyads, parameters.confidence)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _ties(tie_spell: pa.Table, tie_embedding: pa.Table) -> pd.DataFrame:
    columns = [
        *_KEYS, "stretch_number", "entry_age_days", "exit_age_days", "is_ended", "is_at_risk", "origin_medium", "is_cross_team",
        "is_external", "landmark_age_days", "start_media", "start_active_days", "start_weight", "start_is_mutual",
    ]  # fmt: skip
    frame: pd.DataFrame = tie_spell.select(columns).to_pandas()
    embedding = tie_embedding.select([*_KEYS, "common_count"]).to_pandas()
    return frame.merge(embedding, on=_KEYS, how="left").sort_values([*_KEYS, "stretch_number"], ignore_index=True)


def _at_risk(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows as `lives_of` takes, in the same order."""
    return frame[frame["is_at_risk"] & (frame["exit_age_days"] > frame["landmark_age_days"])].reset_index(drop=True)


def _flag(name: str, kind: str, has: Any) -> Term:
    flags = np.asarray(has, dtype=bool)
    return Term(name, kind, flags.astype(np.float64), flags)


def _logarithm(name: str, amounts: Any) -> Term:
    values = np.log2(np.asarray(amounts, dtype=np.float64))
    return Term(name, "control", values, np.ones(len(values), dtype=bool))


def _controls(frame: pd.DataFrame) -> list[Term]:
    weight = frame["start_weight"].to_numpy(dtype=np.float64)
    return [
        _logarithm("log_active_days", frame["start_active_days"]),
        _logarithm("log_weight", np.maximum(weight, 1e-3)),
        _flag("is_mutual", "control", frame["start_is_mutual"].astype("boolean").fillna(False)),
        _flag("is_cross_team", "control", frame["is_cross_team"].astype("boolean").fillna(False)),
        _flag("is_external", "control", frame["is_external"]),
        _logarithm("log_common", frame["common_count"].fillna(0) + 1),
    ]


def _models(frame: pd.DataFrame) -> Iterator[tuple[str, list[Term], str | None]]:
    origin = frame["origin_medium"]
    counts = origin.value_counts()
    # the most frequent medium, the first by name among equals
    reference = str(counts[counts == counts.max()].index.min())
    terms = [_flag(str(medium), "medium", origin == medium) for medium in sorted(origin.unique())]
    yield "origin_medium", [_reference(term) if term.name == reference else term for term in terms], reference

    used = {medium for media in frame["start_media"] for medium in media}
    has = {medium: np.fromiter((medium in media for media in frame["start_media"]), bool, len(frame)) for medium in sorted(used)}
    terms = [_flag(str(medium), "medium", flags) for medium, flags in has.items()]
    single: str | None = None
    if len(terms) > 1 and np.all(sum(term.values for term in terms) == 1):
        # every tie uses one medium only: one of them must be what the others are compared with
        single = max(terms, key=lambda term: (term.has.sum(), term.name)).name
        terms = [_reference(term) if term.name == single else term for term in terms]
    yield "media_used", terms, single


def _reference(term: Term) -> Term:
    return Term(term.name, term.kind, term.values, term.has, "reference")


def _judged(term: Term, lives: Lives) -> Term:
    """The term, or why nothing can be said about it."""
    reason = None
    if np.ptp(term.values) < 1e-12:
        reason = "no_variation"
    else:
        sides = [term.has] if term.has.all() else [term.has, ~term.has]
        expected = min(side.sum() for side in sides) * lives.ended.mean()
        seen = min((lives.ended & side).sum() for side in sides)
        reason = "too_few" if expected < MINIMUM_ENDS or seen < MINIMUM_SEEN else None
    return Term(term.name, term.kind, term.values, term.has, reason)


def _rare(media: Sequence[Term], lives: Lives) -> list[Term]:
    """One column for all media too rare for one each: left with the reference, they would shift what all others are compared with."""
    rare = [term.has for term in media if term.reason == "too_few"]
    if not rare:
        return []
    has = np.logical_or.reduce(rare)
    is_seen = min((lives.ended & has).sum(), (lives.ended & ~has).sum()) >= MINIMUM_SEEN
    return [_flag("rare", "medium", has)] if is_seen else []


def _fitted(terms: Sequence[Term], lives: Lives, dyads: Dyads) -> tuple[dict[str, int], Fit] | None:
    usable = [term for term in terms if term.reason is None]
    if not usable:
        return None
    columns = np.stack([term.values for term in usable], axis=1)
    try:
        return {term.name: number for number, term in enumerate(usable)}, fit(columns, lives, dyads)
    except NoFitError:
        return None


def _rows(media: Sequence[Term], controls: Sequence[Term], lives: Lives, dyads: Dyads, confidence: float) -> Iterator[dict[str, Any]]:
    # ties of media too rare to speak of stay in, set apart: leaving them out would change who is compared
    rare = _rare(media, lives)
    adjusted, alone = (
        # where every tie has either one of the others or a rare one, the column says nothing new and cannot be fitted
        _fitted([*media, *rare, *more], lives, dyads) or _fitted([*media, *more], lives, dyads)
        for more in (controls, [])
    )
    width = dyads.quantile(confidence)
    for term in (*media, *controls):
        row: dict[str, Any] = {
            "term": term.name,
            "term_kind": term.kind,
            "term_tie_count": int(term.has.sum()),
            "term_ended_count": int((lives.ended & term.has).sum()),
            "reason": term.reason or ("no_fit" if adjusted is None else None),
        }
        if adjusted is not None and term.reason is None:
            place, found = adjusted[0][term.name], adjusted[1]
            row |= _ratios(("hazard_ratio", "lower_ratio", "upper_ratio"), found, place, width)
            row["is_distinct"] = bool(abs(found.coefficients[place]) > width * found.errors[place])
            row["proportionality_z"] = round(float(found.proportionality[place]), 6)
        if alone is not None and term.name in alone[0]:
            row |= _ratios(("unadjusted_ratio", "unadjusted_lower_ratio", "unadjusted_upper_ratio"), alone[1], alone[0][term.name], width)
        yield row


def _ratios(names: tuple[str, str, str], found: Fit, place: int, width: float) -> dict[str, float]:
    value, reach = found.coefficients[place], width * found.errors[place]
    return {name: round(float(np.exp(number)), 9) for name, number in zip(names, (value, value - reach, value + reach), strict=True)}
