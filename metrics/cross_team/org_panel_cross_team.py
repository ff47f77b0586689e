# description: How far ties reach across teams in each period and medium: the share of ties between teams and the E-I index, beside what
#   team sizes alone would give.
# question: Do relationships cross teams, or stay within them?
# grain: panel_kind, panel_start, medium
# role: people | person_count
# role: design | team_count
# role: pairs | tie_count, unplaced_tie_count
# role: pairs among tie_count | cross_team_tie_count
# role: share over tie_count | cross_team_share
# role: estimate over tie_count | ei, cross_team_share_null, ei_null, ei_null_sd, ei_z, ei_beyond_null, ei_degree_null
# role: interval of cross_team_share | cross_team_share_low, cross_team_share_high
# role: interval of ei | ei_low, ei_high
# role: words | reason
# column: panel_kind | text | week, month or all.
# column: panel_start | date | First day of the period.
# column: medium | text | The medium; `any` for all together. Media without a tie between two people of the own organisation have no row.
# column: person_count | count | People of the own organisation with a tie to another whose teams are both known.
# column: team_count | count | Their teams.
# column: tie_count | count | Ties within the own organisation where both teams are known.
# column: cross_team_tie_count | count | Those between two teams (E).
# column: unplaced_tie_count | count | Ties within the own organisation left out because a team is unknown.
# column: cross_team_share | ratio | cross_team_tie_count / tie_count.
# column: cross_team_share_low | ratio | Lower end of its interval.
# column: cross_team_share_high | ratio | Upper end.
# column: cross_team_share_null | ratio | The share that dealing the same teams to the same people at random would give on average.
# column: ei | index | E-I index: (E - I) / (E + I), I being the ties within teams; -1 all within, 1 all across.
# column: ei_low | index | Lower end of its interval.
# column: ei_high | index | Upper end.
# column: ei_null | index | 1 - 2 x the share of possible pairs that lie within teams: exactly the mean of E-I over all ways to deal the
#   teams.
# column: ei_null_sd | index | Standard deviation of E-I over all those ways (exact, not drawn).
# column: ei_z | z | (ei - ei_null) / ei_null_sd.
# column: ei_beyond_null | index | ei - ei_null: below 0, teams keep to themselves more than their sizes explain. Compare this one.
# column: ei_degree_null | index | E-I that the same people would have if each kept the number of ties but tied to whoever: 1 - 2 sum (D_g
#   / 2m)^2, D_g being the ties' ends in team g, m the ties. It differs from ei_null where busy people sit in few teams.
# column: reason | text | Why figures are empty: not_observed (no day of the period was), no_team (no tie with both teams known), one_team
#   (there is nothing to cross), too_few (under `minimum_pairs` ties).
# unique: panel_kind, panel_start, medium
# not_null: panel_kind, panel_start, medium, person_count, team_count, tie_count, cross_team_tie_count, unplaced_tie_count
# assert: cross_team_tie_count between 0 and tie_count
# assert: cross_team_share between 0 and 1 and ei between -1 and 1 and ei_null between -1 and 1
# assert: cross_team_share_low <= cross_team_share + 1e-9 and cross_team_share_high >= cross_team_share - 1e-9
# caveat: E-I of 0 is no reference: with many small teams almost any tie crosses. Read ei_beyond_null.
# caveat: Teams are those on the day of the pair's last contact in the period; where someone changed team, the null takes the team of most
#   of their ties.
# caveat: What counts as a tie decides who is in the table; people without a tie play no part.
# caveat: Differences between media are associations: media are chosen by teams, not dealt to them.
# caveat: Few ties within a medium may be many in another; `any` says how people reach across teams, the media only where it shows.
# reference: Krackhardt, Stern (1988), Informal networks and organizational crises, Social Psychology Quarterly 51, 123-140.
# reference: Hubert, Schultz (1976), Quadratic assignment as a general data analysis strategy, Br. J. Math. Stat. Psychol. 29, 190-241.
# reference: Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23, 564-577.
# rebuild: panel
# uses: pair_panel | panel_kind, panel_start, medium, person_a_key, person_b_key, is_tie, is_external, team_a, team_b
"""Ties across teams by panel and medium, against team sizes and against activity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from metrics.cross_team._mixing import main_label, shuffled_within
from metrics.dyadic import share_interval
from metrics.panels import Integers, codes, flags, frame, in_pair_order, integers, number_people, observed_panels, row_groups, side_by_side
from metrics.parameters import Parameters

_COLUMNS = (
    "panel_kind", "panel_start", "medium", "person_count", "team_count", "tie_count", "cross_team_tie_count", "unplaced_tie_count",
    "cross_team_share", "cross_team_share_low", "cross_team_share_high", "cross_team_share_null", "ei", "ei_low", "ei_high", "ei_null",
    "ei_null_sd", "ei_z", "ei_beyond_null", "ei_degree_null", "reason",
)  # fmt: skip
_NOTHING = dict.fromkeys(("person_count", "team_count", "tie_count", "cross_team_tie_count", "unplaced_tie_count"), 0)


def org_panel_cross_team(pair_panel: pa.Table, panel: pa.Table, touched_panel: pa.Table, parameters: Parameters) -> pa.Table:
    """One row for each touched panel and medium with a tie between two internal people, and always one for `any`."""
    a, b = (integers(pair_panel, name) for name in ("person_a_key", "person_b_key"))
    is_inner_tie = flags(pair_panel, "is_tie") & ~flags(pair_panel, "is_external", default=True)
    names = pa.chunked_array([*pair_panel["team_a"].chunks, *pair_panel["team_b"].chunks], pa.string())
    teams, _ = codes(names)
    team_a, team_b = teams[: len(a)], teams[len(a) :]

    def figures(ties: Integers) -> dict[str, Any]:
        is_placed = (team_a[ties] >= 0) & (team_b[ties] >= 0)
        used = in_pair_order(ties[is_placed], a, b)
        placed = crossing(a[used], b[used], team_a[used], team_b[used], parameters) if len(used) else {**_NOTHING, "reason": "no_team"}
        return {**placed, "unplaced_tie_count": len(ties) - len(used)}

    groups = dict(row_groups(pair_panel, "panel_kind", "panel_start", "medium", where=is_inner_tie))
    rows: dict[tuple[Any, ...], dict[str, Any]] = dict(zip(groups, side_by_side(figures, groups.values()), strict=True))
    for (kind, start), is_observed in observed_panels(panel, touched_panel).items():
        rows.setdefault((kind, start, "any"), {**_NOTHING, "reason": "no_team" if is_observed else "not_observed"})
    listed = [{"panel_kind": key[0], "panel_start": key[1], "medium": key[2], **rows[key]} for key in sorted(rows)]
    return frame(listed, _COLUMNS)


def crossing(a: Integers, b: Integers, team_a: Integers, team_b: Integers, parameters: Parameters) -> dict[str, Any]:
    """All figures of one panel and medium.

    Args:
        a: One person of each tie.
        b: The other.
        team_a: The team of a, a number from 0.
        team_b: The team of b.
        parameters: The settings.
    """
    people, (a, b) = number_people(a, b)
    teams, both = np.unique(np.concatenate([team_a, team_b]), return_inverse=True)
    is_cross = (team_a != team_b).astype(np.float64)
    ends = np.concatenate([a, b])
    team = main_label(ends, both.astype(np.int64), len(people), len(teams))
    figures: dict[str, Any] = {
        "person_count": len(people),
        "team_count": len(teams),
        "tie_count": len(a),
        "cross_team_tie_count": int(is_cross.sum()),
    }
    share = share_interval(is_cross, np.ones(len(a)), a, b, parameters.confidence)
    if len(teams) == 1:
        return {**figures, "reason": "one_team"}
    ei = share.mapped(2.0, -1.0)
    figures |= {"cross_team_share": share.estimate, "ei": ei.estimate}
    if len(a) < parameters.minimum_pairs or ei.estimate is None:
        return {**figures, "reason": "too_few"}
    degree = np.bincount(ends, minlength=len(people))
    mean, deviation = shuffled_within(degree, np.bincount(team, minlength=len(teams)))
    ends_in_team = np.bincount(both, minlength=len(teams))
    return {
        **figures,
        "cross_team_share_low": share.low,
        "cross_team_share_high": share.high,
        "cross_team_share_null": 1 - mean,
        "ei_low": ei.low,
        "ei_high": ei.high,
        "ei_null": 1 - 2 * mean,
        "ei_null_sd": 2 * deviation,
        "ei_z": (ei.estimate - (1 - 2 * mean)) / (2 * deviation) if deviation > 0 else None,
        "ei_beyond_null": ei.estimate - (1 - 2 * mean),
        "ei_degree_null": 1 - 2 * float(((ends_in_team / len(ends)) ** 2).sum()),
    }
