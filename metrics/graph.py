"""Networks for analysts: any period and medium of the published file as a networkx graph, with what is known of people and ties.

from metrics import graph
ties = graph.load("analytics.duckdb", panel_kind="month", panel_start="2026-10-01")
networkx.average_clustering(ties)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb
import networkx as nx

Level = Literal["person", "team"]


def load(
    source: str | Path | duckdb.DuckDBPyConnection,
    *,
    panel_kind: str = "all",
    panel_start: str | date | None = None,
    medium: str = "any",
    level: Level = "person",
    directed: bool = False,
    ties_only: bool = True,
) -> nx.Graph[Any]:
    """The network of one period.

    A graph of persons has person keys as nodes, with `organisation`, `kind`, `is_internal` and `team` (on the period's last day);
    everyone who is known is in it, whether or not they have an edge. Undirected edges carry `active_days`, `weight` (both directions
    and meetings), `contact_count`, `co_count`, `minutes`, `is_tie`, `is_mutual`, `is_cross_team` and `is_external`. Directed edges run
    from who turned to whom, with `weight` and `contact_count` of that direction; meetings have no direction and are not in them.

    A graph of teams has team names as nodes with `person_count`, the people with an edge; only edges within the own organisation count,
    and edges within a team are loops. Undirected edges carry `pair_count`, `weight`, `contact_count`, `co_count` and `minutes`;
    directed ones `pair_count`, `weight` and `contact_count`.

    Args:
        source: The published file, or an open connection to it.
        panel_kind: week, month or all.
        panel_start: First day of the period (ISO date); None for the latest of its kind.
        medium: One medium, or `any` for all together.
        level: person or team.
        directed: Whether edges have a direction.
        ties_only: Whether pairs that were in contact without being a tie are left out.

    Returns:
        `networkx.DiGraph` if directed, else `networkx.Graph`. Missing values are None: set a default before handing attributes to
        algorithms.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If there is no such period, level or medium; the message lists what there is.

    Misleads:
        Graphs of different periods or media are not comparable by their raw measures: densities, clustering and modularity depend on
        size and on how much was said. See the null columns of `org_panel_structure`.
    """
    if level not in ("person", "team"):
        raise ValueError(f"level is person or team, not {level!r}")
    with _opened(source) as connection:
        start = _panel_start(connection, panel_kind, panel_start)
        media = [row[0] for row in connection.execute("select distinct medium from metrics.pair_panel order by 1").fetchall()]
        if media and medium not in media:
            raise ValueError(f"no contact in medium {medium!r}; there is {', '.join(media)}")
        values = {"kind": panel_kind, "start": start, "medium": medium, "ties_only": ties_only}
        rows = connection.execute(_PAIRS, values).fetchall()
        names = ("a", "b", *_EDGE, "ab_count", "ba_count", "ab_weight", "ba_weight", "team_a", "team_b")
        pairs = [dict(zip(names, row, strict=True)) for row in rows]
        if level == "team":
            return _team_graph(pairs, directed)
        people = connection.execute(_PEOPLE, {"kind": panel_kind, "start": start}).fetchall()
    graph: nx.Graph[Any] = nx.DiGraph() if directed else nx.Graph()
    graph.graph.update(panel_kind=panel_kind, panel_start=start, medium=medium)
    for key, organisation, kind, is_internal, team in people:
        graph.add_node(key, organisation=organisation, kind=kind, is_internal=is_internal, team=team)
    for pair in pairs:
        if not directed:
            graph.add_edge(pair["a"], pair["b"], **{name: pair[name] for name in _EDGE})
            continue
        for tail, head, way in (("a", "b", "ab"), ("b", "a", "ba")):
            if pair[f"{way}_count"] > 0:
                graph.add_edge(pair[tail], pair[head], weight=pair[f"{way}_weight"], contact_count=pair[f"{way}_count"])
    return graph


_EDGE = ("active_days", "weight", "contact_count", "co_count", "minutes", "is_tie", "is_mutual", "is_cross_team", "is_external")
_PAIRS = """
select
    person_a_key, person_b_key, active_days, ab_weight + ba_weight + co_weight, ab_count + ba_count + co_count, co_count, minutes,
    is_tie, is_mutual, is_cross_team, is_external, ab_count, ba_count, ab_weight, ba_weight, team_a, team_b
from metrics.pair_panel
where panel_kind = $kind and panel_start = $start and medium = $medium and active_days > 0 and (is_tie or not $ties_only)
order by person_a_key, person_b_key
"""
_PEOPLE = """
select p.person_key, p.organisation_key, p.kind, p.is_internal, m.team
from core.person as p
join core.panel as n on n.panel_kind = $kind and n.panel_start = $start
left join core.membership as m on m.person_key = p.person_key and n.panel_end - 1 >= m.valid_from and n.panel_end - 1 < m.valid_to
order by p.person_key
"""


@contextmanager
def _opened(source: str | Path | duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    if isinstance(source, duckdb.DuckDBPyConnection):
        yield source
        return
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"no published file at {path}: run `perdure publish` first")
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


def _panel_start(connection: duckdb.DuckDBPyConnection, kind: str, start: str | date | None) -> date:
    rows = connection.execute("select panel_kind, panel_start from core.panel order by 1, 2").fetchall()
    starts: list[date] = [row[1] for row in rows if row[0] == kind]
    if not starts:
        raise ValueError(f"no period of kind {kind!r}; there is {', '.join(sorted({row[0] for row in rows})) or 'none at all'}")
    if start is None:
        return starts[-1]
    wanted = start if isinstance(start, date) else date.fromisoformat(start)
    if wanted not in starts:
        raise ValueError(f"no {kind} starts on {wanted}; they start between {starts[0]} and {starts[-1]}")
    return wanted


def _team_graph(pairs: list[dict[str, Any]], directed: bool) -> nx.Graph[Any]:
    graph: nx.Graph[Any] = nx.DiGraph() if directed else nx.Graph()
    people: dict[str, set[int]] = {}
    for pair in pairs:
        if pair["is_external"] or pair["team_a"] is None or pair["team_b"] is None:
            continue
        if directed:
            ways = [("a", "b", "ab"), ("b", "a", "ba")]
            parts = [
                (tail, head, {"weight": pair[f"{way}_weight"], "contact_count": pair[f"{way}_count"]})
                for tail, head, way in ways
                if pair[f"{way}_count"] > 0
            ]
        else:
            parts = [("a", "b", {name: pair[name] for name in ("weight", "contact_count", "co_count", "minutes")})]
        for tail, head, added in parts:
            ends = pair[f"team_{tail}"], pair[f"team_{head}"]
            people.setdefault(ends[0], set()).add(pair[tail])
            people.setdefault(ends[1], set()).add(pair[head])
            before = graph.get_edge_data(*ends, default={})
            graph.add_edge(*ends, pair_count=before.get("pair_count", 0) + 1, **{n: before.get(n, 0) + v for n, v in added.items()})
    for team, members in people.items():
        graph.nodes[team]["person_count"] = len(members)
    return graph
