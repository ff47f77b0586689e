# description: The shape of the whole network of ties in each period: how far it falls into teams and into communities, how the two agree,
#   how clustered it is and whether it hangs together, beside random networks in which everyone has as many ties.
# question: Does the organisation hang together, and do people group as the organisation chart says?
# grain: panel_kind, panel_start
# role: people | person_count
# role: people among person_count | placed_person_count, largest_component_person_count
# role: pairs | tie_count, component_count
# role: volume | triangle_count
# role: design | team_count, community_count, null_draw_count
# role: estimate over tie_count | modularity, modularity_null, modularity_null_sd, modularity_z, assortativity, community_modularity,
#   community_modularity_null, community_modularity_null_sd, community_modularity_z, community_team_agreement, transitivity,
#   transitivity_null, transitivity_null_sd, transitivity_z, clustering, degree_assortativity
# role: share over person_count | largest_component_share
# role: words | reason
# column: panel_kind | text | week, month or all.
# column: panel_start | date | First day of the period.
# column: person_count | count | People of the own organisation with a tie to another.
# column: tie_count | count | Ties between them, over all media together.
# column: placed_person_count | count | Those people whose team is known and who have a tie to another whose team is.
# column: team_count | count | Their teams.
# column: modularity | index | Newman's modularity of the teams: share of ties within teams beyond what people's numbers of ties give.
# column: modularity_null | index | Mean over random networks.
# column: modularity_null_sd | index | Standard deviation over them.
# column: modularity_z | z | (modularity - modularity_null) / modularity_null_sd.
# column: assortativity | index | Newman's assortativity by team: modularity over the most that these teams could have.
# column: community_count | count | Communities found (Leiden, by modularity).
# column: community_modularity | index | Modularity of those.
# column: community_modularity_null | index | Mean of the same in random networks, which have communities too. Compare with this, not with
#   0.
# column: community_modularity_null_sd | index | Standard deviation over them.
# column: community_modularity_z | z | (community_modularity - community_modularity_null) / community_modularity_null_sd.
# column: community_team_agreement | index | Adjusted mutual information of communities and teams: 0 by chance, 1 if they are the same.
# column: transitivity | ratio | Share of pairs of ties with a common person that are closed by a third: 3 triangles / connected triples.
# column: transitivity_null | ratio | Mean over random networks.
# column: transitivity_null_sd | ratio | Standard deviation over them.
# column: transitivity_z | z | (transitivity - transitivity_null) / transitivity_null_sd.
# column: clustering | ratio | Mean over people of the share of their tied people who are tied to each other; people with one tie count as
#   0.
# column: triangle_count | count | Triangles.
# column: degree_assortativity | index | Correlation of the numbers of ties at both ends of a tie.
# column: component_count | count | Separate parts.
# column: largest_component_person_count | count | People in the largest part.
# column: largest_component_share | ratio | Those over person_count.
# column: null_draw_count | count | From how many random networks the nulls were drawn.
# column: reason | text | Why figures are empty: not_observed (no day of the period was), no_tie, too_few (under `minimum_pairs` ties),
#   no_team (fewer than two teams are known: only the columns on teams are empty).
# unique: panel_kind, panel_start
# not_null: panel_kind, panel_start, person_count, tie_count, placed_person_count, team_count
# assert: largest_component_person_count <= person_count and placed_person_count <= person_count
# assert: transitivity between 0 and 1 and clustering between 0 and 1 and largest_component_share between 0 and 1
# caveat: Modularity grows with the number of teams and falls with the number of ties: compare with the null, and only organisations
#   alike.
# caveat: Communities come from one seeded run of a heuristic; another run gives slightly others.
# caveat: Meetings of many put everyone in them together and raise clustering.
# caveat: A larger share in the largest part can come from a longer period: compare periods of the same length.
# caveat: Nulls come from few random networks: the z values are rough.
# reference: Newman (2006), Modularity and community structure in networks, PNAS 103, 8577-8582.
# reference: Newman (2003), Mixing patterns in networks, Phys. Rev. E 67, 026126.
# reference: Traag, Waltman, van Eck (2019), From Louvain to Leiden, Scientific Reports 9, 5233.
# reference: Vinh, Epps, Bailey (2010), Information theoretic measures for clusterings comparison, JMLR 11, 2837-2854.
# reference: Maslov, Sneppen (2002), Specificity and stability in topology of protein networks, Science 296, 910-913.
# rebuild: panel
# uses: pair_panel | panel_kind, panel_start, medium, person_a_key, person_b_key, is_tie, is_external, team_a, team_b
"""Modularity, communities, clustering and connectedness of the tie network of each panel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.metrics import adjusted_mutual_info_score

from metrics import graph_measures as measures
from metrics.cross_team._network import TieNetwork, rewired, tie_networks
from metrics.panels import Floats, Integers, frame, generator, observed_panels
from metrics.parameters import Parameters

_COLUMNS = (
    "panel_kind", "panel_start", "person_count", "tie_count", "placed_person_count", "team_count", "modularity", "modularity_null",
    "modularity_null_sd", "modularity_z", "assortativity", "community_count", "community_modularity", "community_modularity_null",
    "community_modularity_null_sd", "community_modularity_z", "community_team_agreement", "transitivity", "transitivity_null",
    "transitivity_null_sd", "transitivity_z", "clustering", "triangle_count", "degree_assortativity", "component_count",
    "largest_component_person_count", "largest_component_share", "null_draw_count", "reason",
)  # fmt: skip
_NOTHING = dict.fromkeys(("person_count", "tie_count", "placed_person_count", "team_count"), 0)
_DRAWS = 10
_LEAST_DRAWS = 4
_BURN_IN, _THINNING = 20, 6
_TIE_BUDGET = 500_000
"""About how many ties the random networks of one panel hold together."""


def org_panel_structure(
    pair_panel: pa.Table, person: pa.Table, panel: pa.Table, touched_panel: pa.Table, parameters: Parameters
) -> pa.Table:
    """One row for each touched panel."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for key, network in tie_networks(pair_panel, person):
        if len(network.ties):
            rows[key] = structure(network, parameters, generator(parameters.seed, "org_panel_structure", *key))
    for key, is_observed in observed_panels(panel, touched_panel).items():
        rows.setdefault(key, {**_NOTHING, "reason": "no_tie" if is_observed else "not_observed"})
    return frame([{"panel_kind": key[0], "panel_start": key[1], **rows[key]} for key in sorted(rows)], _COLUMNS)


def structure(network: TieNetwork, parameters: Parameters, random: np.random.Generator) -> dict[str, Any]:
    """All figures of one panel with at least one tie."""
    people, position = np.unique(network.ties, return_inverse=True)
    ties = position.reshape(-1, 2).astype(np.int64)
    team = network.team[people]
    is_placed = np.zeros(len(people), dtype=bool)
    placed_ties = ties[(team[ties] >= 0).all(axis=1)]
    is_placed[placed_ties.ravel()] = True
    team_count = len(np.unique(team[is_placed]))
    counts = {
        "person_count": len(people),
        "tie_count": len(ties),
        "placed_person_count": int(is_placed.sum()),
        "team_count": team_count,
    }
    if len(ties) < parameters.minimum_pairs:
        return {**counts, "reason": "too_few"}
    graph = measures.network(ties, len(people))
    communities = measures.communities(graph, int(random.integers(2**31)))
    components = measures.component_sizes(ties, len(people))
    figures: dict[str, Any] = {
        **counts,
        "community_count": communities.count,
        "community_modularity": communities.modularity,
        "transitivity": graph.transitivity_undirected(mode="zero"),
        "clustering": float(measures.clustering(graph).mean()),
        "triangle_count": round(float(measures.triangles(graph).sum()) / 3),
        "degree_assortativity": graph.assortativity_degree(directed=False),
        "component_count": len(components),
        "largest_component_person_count": int(components[0]),
        "largest_component_share": float(components[0]) / len(people),
    }
    has_teams = team_count > 1 and len(placed_ties) >= parameters.minimum_pairs
    if has_teams:
        found = modularity(placed_ties, team)
        most = 1 - _expected_within(placed_ties, team)
        agreement = adjusted_mutual_info_score(team[is_placed], communities.membership[is_placed])
        figures |= {"modularity": found, "assortativity": found / most, "community_team_agreement": float(agreement)}
    draws = min(parameters.null_draws, max(_LEAST_DRAWS, min(_DRAWS, _TIE_BUDGET // len(ties))))
    nulls: dict[str, list[float]] = {"transitivity": [], "community_modularity": []}
    drawn, placed_drawn = ties, placed_ties
    for number in range(draws):
        # each network is made from the one before
        rounds = _THINNING if number else _BURN_IN
        drawn = rewired(drawn, len(people), random, rounds)
        other = measures.network(drawn, len(people))
        nulls["transitivity"].append(other.transitivity_undirected(mode="zero"))
        nulls["community_modularity"].append(measures.communities(other, int(random.integers(2**31))).modularity)
        if has_teams:
            # only ties among people whose teams are known are exchanged here
            placed_drawn = drawn if len(placed_ties) == len(ties) else rewired(placed_drawn, len(people), random, rounds)
            nulls.setdefault("modularity", []).append(modularity(placed_drawn, team))
    for name, values in nulls.items():
        mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
        z = (figures[name] - mean) / deviation if deviation > 1e-12 else None
        figures |= {f"{name}_null": mean, f"{name}_null_sd": deviation, f"{name}_z": z}
    return {**figures, "null_draw_count": draws, "reason": None if has_teams else "no_team"}


def modularity(ties: Integers, label: Integers) -> float:
    """Newman's modularity: share of ties within labels less sum over labels of (share of ends)^2.

    Args:
        ties: Two people a row.
        label: Each person's label, a number from 0.
    """
    return float((label[ties[:, 0]] == label[ties[:, 1]]).mean()) - _expected_within(ties, label)


def _expected_within(ties: Integers, label: Integers) -> float:
    ends: Floats = np.bincount(label[ties.ravel()]) / ties.size
    return float((ends**2).sum())
