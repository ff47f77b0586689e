# description: How mutual contact is in each period and medium: the share of contact that is returned, beside what busy people would show
#   by chance, with intervals.
# question: Is contact answered in kind, or does it go one way?
# grain: panel_kind, panel_start, medium
# role: people | person_count
# role: pairs | pair_count, arc_count
# role: pairs among pair_count | mutual_pair_count
# role: pairs among arc_count | mutual_arc_count
# role: volume over panel_start and medium | contact_count
# role: estimate over arc_count | density, rho, r_null, r_null_sd, r_z, rho_strength, r_w, r_w_null, r_w_null_sd, r_w_z, rho_w
# role: share over arc_count | r
# role: interval of r | r_low, r_high
# role: interval of r_w | r_w_low, r_w_high
# role: interval of rho_w | rho_w_low, rho_w_high
# role: design | null_draw_count
# role: words | reason
# column: panel_kind | text | week, month or all.
# column: panel_start | date | First day of the period.
# column: medium | text | The medium; `any` for all together. Media in which nobody turned to anybody in the period have no row.
# column: person_count | count | People who sent or received a contact.
# column: pair_count | count | Pairs of people with a contact in either direction.
# column: mutual_pair_count | count | Pairs with contacts in both.
# column: contact_count | count | Contacts, without reactions and meetings.
# column: arc_count | count | Directed pairs with a contact (L).
# column: mutual_arc_count | count | Those whose opposite is there too (twice the mutual pairs).
# column: density | ratio | Directed pairs with a contact over all possible: a = L / (N (N - 1)).
# column: r | ratio | Binary reciprocity: mutual_arc_count / arc_count.
# column: r_low | ratio | Lower end of its interval.
# column: r_high | ratio | Upper end.
# column: rho | index | Reciprocity beyond density: (r - a) / (1 - a); 0 for a random network of this density, 1 for a fully mutual one.
# column: r_null | ratio | Mean r of networks in which everyone sends and receives as many contacts as they do, but with whoever.
# column: r_null_sd | ratio | Standard deviation of r over those networks.
# column: r_z | z | (r - r_null) / r_null_sd.
# column: rho_strength | index | Binary reciprocity beyond activity: (r - r_null) / (1 - r_null).
# column: r_w | ratio | Weighted reciprocity: the sum of min(w_ij, w_ji) over the sum of w_ij, w being the weight from i to j.
# column: r_w_low | ratio | Lower end of its interval.
# column: r_w_high | ratio | Upper end.
# column: r_w_null | ratio | Mean r_w of the networks of r_null.
# column: r_w_null_sd | ratio | Standard deviation of r_w over those networks.
# column: r_w_z | z | (r_w - r_w_null) / r_w_null_sd.
# column: rho_w | index | Weighted reciprocity beyond activity: (r_w - r_w_null) / (1 - r_w_null). Compare this one between media and
#   periods.
# column: rho_w_low | index | Lower end: that of r_w, put through the same formula.
# column: rho_w_high | index | Upper end.
# column: null_draw_count | count | From how many random networks, or samples of them, the null was drawn.
# column: reason | text | Why figures are empty: not_observed (no day of the period was), no_direction (no contact had a direction),
#   too_few (under `minimum_pairs` pairs).
# unique: panel_kind, panel_start, medium
# not_null: panel_kind, panel_start, medium, person_count, pair_count, arc_count
# assert: mutual_arc_count = 2 * mutual_pair_count and arc_count = pair_count + mutual_pair_count
# assert: r between 0 and 1 and r_w between 0 and 1
# assert: r_low <= r + 1e-9 and r_high >= r - 1e-9 and r_w_low <= r_w + 1e-9 and r_w_high >= r_w - 1e-9
# caveat: Raw reciprocity (r, r_w) mostly measures activity: where people exchange much, much is mutual by chance. Compare rho_w.
# caveat: Differences between media are associations: what a medium is used for decides how much is answered in it.
# caveat: A request answered in another medium counts as one-way in each medium, but as mutual under `any`.
# caveat: Meetings have no direction and are not in it; reactions alone are no contact.
# caveat: The null asks who with whom, given how much each sends and receives; as people keep to few partners, real networks lie far from
#   it and z is large.
# caveat: Contact with other organisations is included; contact among outsiders is seen only where someone internal took part.
# caveat: Of networks of more than 0.66 million contacts, each draw looks at a sample of 50 to 300 people who send about 400,000
#   contacts: r_null_sd and r_w_null_sd then hold the error of sampling, and z is understated.
# caveat: The interval treats people as drawn from many like them, and lets pairs with a person in common depend on each other.
# reference: Garlaschelli, Loffredo (2004), Patterns of link reciprocity in directed networks, Phys. Rev. Lett. 93, 268701.
# reference: Squartini, Picciolo, Ruzzenenti, Garlaschelli (2013), Reciprocity of weighted networks, Scientific Reports 3, 2729.
# reference: Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23, 564-577.
# rebuild: panel
# uses: pair_panel | panel_kind, panel_start, medium, person_a_key, person_b_key, ab_count, ba_count, ab_weight, ba_weight
"""Reciprocity of the whole organisation by panel and medium, with a strength-preserving null."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pyarrow as pa

from metrics.dyadic import share_interval
from metrics.panels import (
    Floats,
    Integers,
    floats,
    frame,
    generator,
    in_pair_order,
    integers,
    number_people,
    observed_panels,
    row_groups,
    side_by_side,
)
from metrics.parameters import Parameters
from metrics.reciprocity._null import arc_null

_COLUMNS = (
    "panel_kind", "panel_start", "medium", "person_count", "pair_count", "mutual_pair_count", "contact_count", "arc_count",
    "mutual_arc_count", "density", "r", "r_low", "r_high", "rho", "r_null", "r_null_sd", "r_z", "rho_strength", "r_w", "r_w_low",
    "r_w_high", "r_w_null", "r_w_null_sd", "r_w_z", "rho_w", "rho_w_low", "rho_w_high", "null_draw_count", "reason",
)  # fmt: skip
_NOTHING = dict.fromkeys(("person_count", "pair_count", "mutual_pair_count", "contact_count", "arc_count", "mutual_arc_count"), 0)


def org_panel_reciprocity(pair_panel: pa.Table, panel: pa.Table, touched_panel: pa.Table, parameters: Parameters) -> pa.Table:
    """One row for each touched panel and medium with directed contact, and always one for `any`."""
    a, b, ab, ba = (integers(pair_panel, name) for name in ("person_a_key", "person_b_key", "ab_count", "ba_count"))
    forth, back = (floats(pair_panel, name) for name in ("ab_weight", "ba_weight"))

    def known_by(used: Integers) -> tuple[tuple[int, ...], Integers]:
        used = in_pair_order(used, a, b)
        return tuple(zlib.crc32(part[used].tobytes()) for part in (a, b, ab, ba, forth, back)), used

    def figures(content: tuple[tuple[Any, ...], Integers]) -> dict[str, Any]:
        of, used = content
        return reciprocity(a[used], b[used], ab[used], ba[used], forth[used], back[used], parameters, generator(parameters.seed, *of))

    groups = dict(row_groups(pair_panel, "panel_kind", "panel_start", "medium", where=ab + ba > 0))
    # where one medium is all there is, `any` gets the same draws and so the very same figures
    wanted: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    contents: dict[tuple[Any, ...], Integers] = {}
    for key, (of, used) in zip(groups, side_by_side(known_by, groups.values()), strict=True):
        wanted[key] = (*key[:2], *of)
        contents.setdefault(wanted[key], used)
    known = dict(zip(contents, side_by_side(figures, contents.items()), strict=True))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {key: known[content] for key, content in wanted.items()}
    for (kind, start), is_observed in observed_panels(panel, touched_panel).items():
        rows.setdefault((kind, start, "any"), {**_NOTHING, "reason": "no_direction" if is_observed else "not_observed"})
    listed = [{"panel_kind": key[0], "panel_start": key[1], "medium": key[2], **rows[key]} for key in sorted(rows)]
    return frame(listed, _COLUMNS)


def reciprocity(
    a: Integers, b: Integers, ab: Integers, ba: Integers, forth: Floats, back: Floats, parameters: Parameters, random: np.random.Generator
) -> dict[str, Any]:
    """All figures of one panel and medium.

    Args:
        a: One person of each pair with a contact.
        b: The other.
        ab: Contacts from a to b.
        ba: Contacts from b to a.
        forth: Weight from a to b, reactions included; it counts where there is a contact that way.
        back: Weight from b to a.
        parameters: The settings.
        random: Generator of the null.
    """
    forth, back = np.where(ab > 0, forth, 0.0), np.where(ba > 0, back, 0.0)
    people, (a, b) = number_people(a, b)
    is_mutual = (ab > 0) & (ba > 0)
    pair_count, mutual_count, person_count = len(a), int(is_mutual.sum()), len(people)
    arc_count = pair_count + mutual_count
    density = arc_count / (person_count * (person_count - 1))
    r = share_interval(2.0 * is_mutual.astype(float), 1.0 + is_mutual.astype(float), a, b, parameters.confidence)
    r_w = share_interval(2.0 * np.minimum(forth, back), forth + back, a, b, parameters.confidence)
    figures = {
        "person_count": person_count,
        "pair_count": pair_count,
        "mutual_pair_count": mutual_count,
        "contact_count": int(ab.sum() + ba.sum()),
        "arc_count": arc_count,
        "mutual_arc_count": 2 * mutual_count,
        "density": density,
        "r": r.estimate,
        "r_w": r_w.estimate,
    }
    if pair_count < parameters.minimum_pairs or r.estimate is None or r_w.estimate is None:
        return {**figures, "reason": "too_few"}
    null = arc_null(
        np.concatenate([a, b]),
        np.concatenate([b, a]),
        np.concatenate([ab, ba]),
        np.concatenate([forth, back]),
        parameters.null_draws,
        random,
    )
    return {
        **figures,
        "r_low": r.low,
        "r_high": r.high,
        "rho": _beyond(r.estimate, density),
        "r_null": null.r,
        "r_null_sd": null.r_sd,
        "r_z": _z(r.estimate, null.r, null.r_sd),
        "rho_strength": _beyond(r.estimate, null.r),
        "r_w_low": r_w.low,
        "r_w_high": r_w.high,
        "r_w_null": null.r_w,
        "r_w_null_sd": null.r_w_sd,
        "r_w_z": _z(r_w.estimate, null.r_w, null.r_w_sd),
        "rho_w": _beyond(r_w.estimate, null.r_w),
        "rho_w_low": _beyond(r_w.low, null.r_w),
        "rho_w_high": _beyond(r_w.high, null.r_w),
        "null_draw_count": null.draw_count,
    }


def _beyond(value: float | None, null: float) -> float | None:
    """What is left between a null and 1; None where the null leaves nothing."""
    return None if value is None or null >= 1 - 1e-12 else (value - null) / (1 - null)


def _z(value: float, null: float, deviation: float) -> float | None:
    return None if deviation <= 1e-12 else (value - null) / deviation
