# description: Where each person stands in the network of ties of a period: number of ties, spread over teams, and how far the ties are
#   among people who know each other anyway.
# grain: panel_kind, panel_start, person_key
# column: panel_kind | text | week, month or all.
# column: panel_start | date | First day of the period.
# column: person_key | key | A person of the own organisation with at least one tie.
# column: team | text | The team of most of the person's ties; empty if unknown.
# column: degree | count | Ties within the own organisation, over all media together.
# column: cross_team_degree | count | Those to people of other teams; empty if the person's team is unknown.
# column: external_degree | count | Ties to people of other organisations; they play no part in the columns below.
# column: participation | index | 1 - sum over teams of (share of ties in the team)^2: 0 when all ties are in one team, near 1 when they
#   are spread over many. Over ties to people whose team is known; empty if there are none.
# column: burt_constraint | index | Burt's constraint: how much a person's ties lead back to the same people; low for those who bridge. Ties
#   count alike, whatever their strength.
# column: effective_size | score | Ties less the mean number of ties that the tied people have among each other: how many separate groups
#   are reached.
# column: local_bridge_count | count | Ties to people with whom no third person is shared.
# column: reason | text | Why columns are empty: no_inner_tie (ties to other organisations only), no_team (no team is known among those
#   tied to).
# unique: panel_kind, panel_start, person_key
# not_null: panel_kind, panel_start, person_key, degree, external_degree
# assert: participation between 0 and 1 and effective_size between 0 and degree + 1e-9
# assert: cross_team_degree <= degree and local_bridge_count <= degree
# caveat: For research on the network, never for judging a person: it is not exported, and says nothing of anyone's merit.
# caveat: Position follows from role, tenure, part-time work and which media are collected.
# caveat: Constraint can exceed 1 for people with few ties; with a single tie it is exactly 1 and says little.
# reference: Guimera, Amaral (2005), Functional cartography of complex metabolic networks, Nature 433, 895-900.
# reference: Burt (1992), Structural Holes, Harvard University Press; effective size as in Borgatti (1997), Structural holes, Connections
#   20, 35-38.
# restricted: yes
# rebuild: panel
# uses: pair_panel | panel_kind, panel_start, medium, person_a_key, person_b_key, is_tie, is_external, team_a, team_b
"""Degree, participation, constraint and effective size of each person in the tie network of a panel."""

from __future__ import annotations

import igraph
import numpy as np
import pyarrow as pa

from metrics.cross_team._network import TieNetwork, tie_networks
from metrics.panels import Flags, Floats, Integers

_CHUNK = 200_000
_TYPES = {
    "panel_kind": pa.string(), "panel_start": pa.date32(), "person_key": pa.int64(), "team": pa.string(), "degree": pa.int64(),
    "cross_team_degree": pa.int64(), "external_degree": pa.int64(), "participation": pa.float64(), "burt_constraint": pa.float64(),
    "effective_size": pa.float64(), "local_bridge_count": pa.int64(), "reason": pa.string(),
}  # fmt: skip


def person_panel_position(pair_panel: pa.Table, person: pa.Table) -> pa.Table:
    """One row for each touched panel and internal person with a tie."""
    parts = [pa.schema(list(_TYPES.items())).empty_table()]
    for (kind, start), network in tie_networks(pair_panel, person):
        count = len(network.people)
        degree = np.bincount(network.ties.ravel(), minlength=count)
        across = _cross_team_degree(network)
        spread = participation(network)
        constraint, size, bridges = structural_holes(network.ties, count)
        has_tie = degree > 0
        is_placed = network.team >= 0
        reason = np.where(~has_tie, "no_inner_tie", np.where(np.isnan(spread) | ~is_placed, "no_team", ""))
        names = np.array([*network.team_names, ""], dtype=object)[network.team]
        columns = [
            pa.array([kind] * count, pa.string()),
            pa.array([start] * count, pa.date32()),
            pa.array(network.people),
            pa.array(names, pa.string(), mask=~is_placed),
            pa.array(degree.astype(np.int64)),
            pa.array(across, mask=~is_placed),
            pa.array(network.outside.astype(np.int64)),
            pa.array(spread, mask=np.isnan(spread)),
            pa.array(constraint, mask=~has_tie),
            pa.array(size, mask=~has_tie),
            pa.array(bridges),
            pa.array(reason.astype(object), pa.string(), mask=reason == ""),
        ]
        parts.append(pa.Table.from_arrays(columns, schema=parts[0].schema))
    return pa.concat_tables(parts)


def _ends(network: TieNetwork) -> tuple[Integers, Integers]:
    """Every tie from both ends: a person, and whom they are tied to."""
    return np.concatenate([network.ties[:, 0], network.ties[:, 1]]), np.concatenate([network.ties[:, 1], network.ties[:, 0]])


def _cross_team_degree(network: TieNetwork) -> Integers:
    who, other = _ends(network)
    is_cross: Flags = (network.team[who] != network.team[other]) & (network.team[other] >= 0)
    return np.bincount(who[is_cross], minlength=len(network.people)).astype(np.int64)


def participation(network: TieNetwork) -> Floats:
    """1 - sum over teams of the squared share of a person's ties; NaN where no tie leads to a known team."""
    who, other = _ends(network)
    is_known = network.team[other] >= 0
    who, team = who[is_known], network.team[other][is_known]
    labels = max(len(network.team_names), 1)
    cell, count = np.unique(who * labels + team, return_counts=True)
    size = len(network.people)
    total = np.bincount(who, minlength=size).astype(np.float64)
    square = np.bincount(cell // labels, count.astype(np.float64) ** 2, size)
    return np.where(total > 0, 1 - square / np.maximum(total, 1) ** 2, np.nan)


def structural_holes(ties: Integers, people: int) -> tuple[Floats, Floats, Integers]:
    """Burt's constraint, effective size and the number of local bridges of each person.

    Effective size is k - 2 t / k for k ties with t ties among the tied people (Borgatti 1997); without a tie constraint is NaN and the rest
    0. A local bridge is a tie between two people who are tied to no third person in common.
    """
    graph = igraph.Graph(n=people, edges=ties)
    degree = np.array(graph.degree(), dtype=np.float64)
    constraint = np.array(graph.constraint(), dtype=np.float64)
    # the clustering coefficient is t over the k (k - 1) / 2 pairs of tied people
    closed = np.array(graph.transitivity_local_undirected(mode="zero"), dtype=np.float64) * degree * (degree - 1) / 2
    size = degree - 2 * closed / np.maximum(degree, 1)
    bridges = np.zeros(people, dtype=np.int64)
    for start in range(0, len(ties), _CHUNK):
        part = ties[start : start + _CHUNK]
        shared = np.array(graph.similarity_jaccard(pairs=part.tolist(), loops=False))
        bridges += np.bincount(part[shared == 0].ravel(), minlength=people)
    return constraint, size, bridges
