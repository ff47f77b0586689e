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
# role: words | reason
# role: estimate over arc_count | rho_degree, r_strength_null, r_strength_null_sd, r_strength_z, r_w_strength_null, r_w_strength_null_sd,
#   r_w_strength_z, rho_w_strength, group_weight_ratio
# role: design | strength_null_draw_count
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
# column: r_null | ratio | Mean r of random networks in which everyone is expected to turn to as many people, and to hear from as many, as
#   they do (degrees); exact.
# column: r_null_sd | ratio | Standard deviation of r over those networks; exact.
# column: r_z | z | (r - r_null) / r_null_sd.
# column: rho_degree | index | Binary reciprocity beyond degrees: (r - r_null) / (1 - r_null).
# column: r_strength_null | ratio | Mean r of networks drawn so that everyone sends and receives as many contacts as they do, but with
#   whoever.
# column: r_strength_null_sd | ratio | Standard deviation of r over the networks drawn.
# column: r_strength_z | z | (r - r_strength_null) / r_strength_null_sd.
# column: rho_strength | index | Binary reciprocity beyond strengths alone: (r - r_strength_null) / (1 - r_strength_null).
# column: r_w | ratio | Weighted reciprocity: the sum of min(w_ij, w_ji) over the sum of w_ij, w being the weight from i to j.
# column: r_w_low | ratio | Lower end of its interval.
# column: r_w_high | ratio | Upper end.
# column: r_w_null | ratio | Mean r_w of the networks of r_null, in which everyone is expected to send and to receive as much as they do too
#   (degrees and strengths); exact.
# column: r_w_null_sd | ratio | Standard deviation of r_w over those networks; exact.
# column: r_w_z | z | (r_w - r_w_null) / r_w_null_sd.
# column: rho_w | index | Weighted reciprocity beyond degrees and strengths: (r_w - r_w_null) / (1 - r_w_null). Compare this one between
#   media and periods.
# column: rho_w_low | index | Lower end: that of r_w, put through the same formula.
# column: rho_w_high | index | Upper end.
# column: r_w_strength_null | ratio | Mean r_w of the networks of r_strength_null.
# column: r_w_strength_null_sd | ratio | Standard deviation of r_w over them.
# column: r_w_strength_z | z | (r_w - r_w_strength_null) / r_w_strength_null_sd.
# column: rho_w_strength | index | Weighted reciprocity beyond strengths alone: (r_w - r_w_strength_null) / (1 - r_w_strength_null). Grows
#   with volume and with the length of the period: not to be compared between media.
# column: strength_null_draw_count | count | From how many random networks, or samples of them, the columns named strength were drawn;
#   nothing else here is drawn.
# column: group_weight_ratio | ratio | Share of the weight that went to several people at once, of which no answer can be told.
# column: reason | text | Why figures are empty: not_observed (no day of the period was), no_direction (no contact had a direction),
#   too_few (under `minimum_pairs` pairs), groups_only (all contact went to several people at once: who answers whom cannot be known),
#   not_solved (no random network keeps these degrees and strengths).
# unique: panel_kind, panel_start, medium
# not_null: panel_kind, panel_start, medium, person_count, pair_count, arc_count
# assert: mutual_arc_count = 2 * mutual_pair_count and arc_count = pair_count + mutual_pair_count
# assert: r between 0 and 1 and r_w between 0 and 1
# assert: r_low <= r + 1e-9 and r_high >= r - 1e-9 and r_w_low <= r_w + 1e-9 and r_w_high >= r_w - 1e-9
# caveat: Raw reciprocity (r, r_w) mostly measures activity: where people exchange much, much is mutual by chance. Compare rho_w.
# caveat: Strengths alone (columns named strength) are too weak a null: they spread contact over many more pairs than have any, and call the
#   volume of exchange reciprocity. They are kept to compare with earlier figures.
# caveat: A message to several people is kept as it is in the null of r_w_null and r_null: that two members of a group both write to it is
#   no answer. Where much goes to groups (group_weight_ratio), answers within them are not seen, and rho_w says too little rather than too
#   much.
# caveat: Differences between media are associations: what a medium is used for decides how much is answered in it.
# caveat: A request answered in another medium counts as one-way in each medium, but as mutual under `any`.
# caveat: Meetings have no direction and are not in it; reactions alone are no contact.
# caveat: The null takes weights of arcs to be exponential. Where everybody sends about the same to whom they write, in dense networks,
#   rho_w comes out up to .25 above 0 without any answer; rho_degree does not depend on it.
# caveat: z says how far chance would have to go, not how much is returned: in large networks it is always large.
# caveat: Contact with other organisations is included; contact among outsiders is seen only where someone internal took part.
# caveat: Of networks of more than 0.66 million contacts, each draw of the columns named strength looks at a sample of 50 to 300 people who
#   send about 400,000 contacts: their standard deviations then hold the error of sampling, and their z is understated.
# caveat: The interval treats people as drawn from many like them, and lets pairs with a person in common depend on each other.
# reference: Garlaschelli, Loffredo (2004), Patterns of link reciprocity in directed networks, Phys. Rev. Lett. 93, 268701.
# reference: Squartini, Picciolo, Ruzzenenti, Garlaschelli (2013), Reciprocity of weighted networks, Scientific Reports 3, 2729.
# reference: Parisi, Squartini, Garlaschelli (2020), A faster horse on a safer trail: generalized inference for the efficient
#   reconstruction of weighted networks, New J. Phys. 22, 053053: the null of degrees (DBCM), then of strengths (CReM_A).
# reference: Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23, 564-577.
# rebuild: panel
# uses: pair_panel | panel_kind, panel_start, medium, person_a_key, person_b_key, ab_count, ba_count, ab_weight, ba_weight
# uses: pair_panel_group | panel_kind, panel_start, medium, person_a_key, person_b_key, ab_group_count, ba_group_count, ab_group_weight,
#   ba_group_weight
"""Reciprocity of the whole organisation by panel and medium, beside what degrees and strengths give by chance."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from metrics.dyadic import share_interval
from metrics.panels import (
    Floats,
    Integers,
    codes,
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
from metrics.reciprocity._degrees import Unsolved
from metrics.reciprocity._expected import Pairs, expected
from metrics.reciprocity._null import arc_null

_COLUMNS = (
    "panel_kind", "panel_start", "medium", "person_count", "pair_count", "mutual_pair_count", "contact_count", "arc_count",
    "mutual_arc_count", "density", "r", "r_low", "r_high", "rho", "r_null", "r_null_sd", "r_z", "rho_degree", "r_strength_null",
    "r_strength_null_sd", "r_strength_z", "rho_strength", "r_w", "r_w_low", "r_w_high", "r_w_null", "r_w_null_sd", "r_w_z", "rho_w",
    "rho_w_low", "rho_w_high", "r_w_strength_null", "r_w_strength_null_sd", "r_w_strength_z", "rho_w_strength", "strength_null_draw_count",
    "group_weight_ratio", "reason",
)  # fmt: skip
_DRAWN_FROM = 8
"""Kind and start of the panel, and the numbers of six arrays."""

_NOTHING = dict.fromkeys(("person_count", "pair_count", "mutual_pair_count", "contact_count", "arc_count", "mutual_arc_count"), 0)


@dataclass(frozen=True, slots=True)
class Contact:
    """Contact within pairs of one panel and medium.

    Attributes:
        a: One person of each pair with a contact.
        b: The other.
        count: Contacts from a to b, and from b to a (2 x pairs).
        weight: Their weights, reactions included; they count where there is a contact that way.
        group_count: How many of the contacts went to several people at once.
        group_weight: The weights of those.
    """

    a: Integers
    b: Integers
    count: Integers
    weight: Floats
    group_count: Integers
    group_weight: Floats

    def at(self, rows: Integers) -> Contact:
        """Some of the pairs."""
        two = (self.count[:, rows], self.weight[:, rows], self.group_count[:, rows], self.group_weight[:, rows])
        return Contact(self.a[rows], self.b[rows], *two)

    @property
    def content(self) -> tuple[int, ...]:
        """Numbers for all that figures depend on; the first six for what is drawn."""
        parts = (self.a, self.b, *self.count, *self.weight, *self.group_count, *self.group_weight)
        return tuple(zlib.crc32(np.ascontiguousarray(part).tobytes()) for part in parts)


def org_panel_reciprocity(
    pair_panel: pa.Table, pair_panel_group: pa.Table, panel: pa.Table, touched_panel: pa.Table, parameters: Parameters
) -> pa.Table:
    """One row for each touched panel and medium with directed contact, and always one for `any`."""
    contact = _contact(pair_panel, pair_panel_group)
    groups = dict(row_groups(pair_panel, "panel_kind", "panel_start", "medium", where=contact.count.sum(axis=0) > 0))
    parts = side_by_side(lambda rows: contact.at(in_pair_order(rows, contact.a, contact.b)), groups.values())
    # where one medium is all there is, `any` gets the same draws and so the very same figures
    wanted: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    contents: dict[tuple[Any, ...], Contact] = {}
    for key, part in zip(groups, parts, strict=True):
        wanted[key] = (*key[:2], *part.content)
        contents.setdefault(wanted[key], part)
    found = side_by_side(
        lambda item: reciprocity(item[1], parameters, generator(parameters.seed, *item[0][:_DRAWN_FROM])), contents.items()
    )
    known = dict(zip(contents, found, strict=True))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {key: known[content] for key, content in wanted.items()}
    for (kind, start), is_observed in observed_panels(panel, touched_panel).items():
        rows.setdefault((kind, start, "any"), {**_NOTHING, "reason": "no_direction" if is_observed else "not_observed"})
    listed = [{"panel_kind": key[0], "panel_start": key[1], "medium": key[2], **rows[key]} for key in sorted(rows)]
    return frame(listed, _COLUMNS)


def _contact(pair_panel: pa.Table, pair_panel_group: pa.Table) -> Contact:
    a, b = (integers(pair_panel, name) for name in ("person_a_key", "person_b_key"))
    count = np.stack([integers(pair_panel, name) for name in ("ab_count", "ba_count")])
    weight = np.where(count > 0, np.stack([floats(pair_panel, name) for name in ("ab_weight", "ba_weight")]), 0.0)
    group_count, group_weight = np.zeros_like(count), np.zeros_like(weight)
    if pair_panel_group.num_rows and pair_panel.num_rows:
        of_all, of_groups = _row_codes(pair_panel, pair_panel_group)
        order = np.argsort(of_all)
        place = order[np.minimum(np.searchsorted(of_all, of_groups, sorter=order), len(order) - 1)]
        is_there = of_all[place] == of_groups
        for side, way in enumerate(("ab", "ba")):
            group_count[side, place[is_there]] = integers(pair_panel_group, f"{way}_group_count")[is_there]
            group_weight[side, place[is_there]] = floats(pair_panel_group, f"{way}_group_weight")[is_there]
    # where nothing else went that way, reactions beside it are no contact either
    group_weight = np.where(group_count >= count, weight, np.minimum(group_weight, weight))
    return Contact(a, b, count, weight, group_count, group_weight)


def _row_codes(*tables: pa.Table) -> list[Integers]:
    """The same number for the same panel, medium and pair, whatever the table."""
    names = ("panel_kind", "panel_start", "medium", "person_a_key", "person_b_key")
    together = pa.concat_tables([table.select(names).cast(tables[0].select(names).schema) for table in tables])
    columns = [codes(together[name])[0] for name in names[:3]]
    columns += list(number_people(*(integers(together, name) for name in names[3:]))[1])
    code = np.zeros(together.num_rows, dtype=np.int64)
    for column in columns:
        code = code * (int(column.max()) + 1) + column
    return np.split(code, [tables[0].num_rows])


def reciprocity(contact: Contact, parameters: Parameters, random: np.random.Generator) -> dict[str, Any]:
    """All figures of one panel and medium.

    Args:
        contact: Contact within its pairs.
        parameters: The settings.
        random: Generator of the null that is drawn.
    """
    (ab, ba), (forth, back) = contact.count, contact.weight
    people, (a, b) = number_people(contact.a, contact.b)
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
        "group_weight_ratio": min(float(contact.group_weight.sum() / contact.weight.sum()), 1.0),
    }
    if pair_count < parameters.minimum_pairs or r.estimate is None or r_w.estimate is None:
        return {**figures, "reason": "too_few"}
    figures |= {"r_low": r.low, "r_high": r.high, "rho": _beyond(r.estimate, density), "r_w_low": r_w.low, "r_w_high": r_w.high}
    drawn = arc_null(
        np.concatenate([a, b]),
        np.concatenate([b, a]),
        np.concatenate([ab, ba]),
        np.concatenate([forth, back]),
        parameters.null_draws,
        random,
    )
    figures |= {
        "r_strength_null": drawn.r,
        "r_strength_null_sd": drawn.r_sd,
        "r_strength_z": _z(r.estimate, drawn.r, drawn.r_sd),
        "rho_strength": _beyond(r.estimate, drawn.r),
        "r_w_strength_null": drawn.r_w,
        "r_w_strength_null_sd": drawn.r_w_sd,
        "r_w_strength_z": _z(r_w.estimate, drawn.r_w, drawn.r_w_sd),
        "rho_w_strength": _beyond(r_w.estimate, drawn.r_w),
        "strength_null_draw_count": drawn.draw_count,
    }
    if not (contact.group_count < contact.count).any():
        return {**figures, "reason": "groups_only"}
    alone = contact.weight - contact.group_weight
    try:
        null = expected(Pairs(a, b, alone[0], alone[1], contact.group_weight[0], contact.group_weight[1]), person_count)
    except Unsolved:
        return {**figures, "reason": "not_solved"}
    return {
        **figures,
        "r_null": null.r,
        "r_null_sd": null.r_sd,
        "r_z": _z(r.estimate, null.r, null.r_sd),
        "rho_degree": _beyond(r.estimate, null.r),
        "r_w_null": null.r_w,
        "r_w_null_sd": null.r_w_sd,
        "r_w_z": _z(r_w.estimate, null.r_w, null.r_w_sd),
        "rho_w": _beyond(r_w.estimate, null.r_w),
        "rho_w_low": _beyond(r_w.low, null.r_w),
        "rho_w_high": _beyond(r_w.high, null.r_w),
    }


def _beyond(value: float | None, null: float) -> float | None:
    """What is left between a null and 1; None where the null leaves nothing."""
    return None if value is None or null >= 1 - 1e-12 else (value - null) / (1 - null)


def _z(value: float, null: float, deviation: float) -> float | None:
    return None if deviation <= 1e-12 else (value - null) / deviation
