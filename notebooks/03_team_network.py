"""The network of teams and of persons as networkx graphs, each with one call.

Run it as an app with `marimo run notebooks/03_team_network.py`. Person keys are pseudonyms: look at structure, not at people.
"""

import marimo

app = marimo.App(width="medium", app_title="perdure: the network of teams")


@app.cell
def _():
    import os
    from pathlib import Path

    import altair as alt
    import marimo as mo
    import networkx as nx
    import pandas as pd

    from metrics import graph

    published = Path(os.environ.get("PERDURE_HOME", "perdure-home")) / "analytics.duckdb"
    return alt, graph, mo, nx, pd, published


@app.cell
def _(graph, mo, published):
    teams = graph.load(published, level="team")
    mo.md(f"# The network of teams\n\n{teams.number_of_nodes()} teams, {teams.number_of_edges()} pairs of teams with ties between them.")
    return (teams,)


@app.cell
def _(alt, nx, pd, teams):
    place = nx.spring_layout(teams, seed=7, weight="pair_count") if len(teams) else {}
    nodes = pd.DataFrame(
        [
            {"team": team, "x": place[team][0], "y": place[team][1], "person_count": data.get("person_count") or 0}
            for team, data in teams.nodes(data=True)
        ],
        columns=["team", "x", "y", "person_count"],
    )
    edges = pd.DataFrame(
        [
            {"x": place[a][0], "y": place[a][1], "x2": place[b][0], "y2": place[b][1], "pair_count": data.get("pair_count") or 0}
            for a, b, data in teams.edges(data=True)
            if a != b
        ],
        columns=["x", "y", "x2", "y2", "pair_count"],
    )
    hidden = alt.Axis(labels=False, ticks=False, grid=False, domain=False, title=None)
    lines = (
        alt.Chart(edges)
        .mark_rule(color="#0b6e75", opacity=0.5)
        .encode(
            x=alt.X("x:Q", axis=hidden),
            y=alt.Y("y:Q", axis=hidden),
            x2="x2:Q",
            y2="y2:Q",
            strokeWidth=alt.StrokeWidth("pair_count:Q", legend=None),
        )
    )
    points = (
        alt.Chart(nodes)
        .mark_circle(color="#1b1f22", opacity=1)
        .encode(x="x:Q", y="y:Q", size="person_count:Q", tooltip=["team", "person_count"])
    )
    names = alt.Chart(nodes).mark_text(dy=-12, fontSize=11).encode(x="x:Q", y="y:Q", text="team:N")
    drawing = (lines + points + names).properties(width=620, height=420)
    drawing
    return


@app.cell
def _(graph, mo, nx, published):
    persons = graph.load(published)
    tied = persons.subgraph([node for node, degree in persons.degree() if degree])
    parts = sorted((len(part) for part in nx.connected_components(tied)), reverse=True)
    mo.md(
        f"## The network of persons\n\n{tied.number_of_nodes()} persons with a tie, {tied.number_of_edges()} ties, mean clustering "
        f"{nx.average_clustering(tied) if len(tied) else 0:.2f}; the largest connected part holds {parts[0] if parts else 0}.\n\n"
        "Raw measures depend on size and on how much was said: `metrics.org_panel_structure` has them beside their null."
    )
    return


if __name__ == "__main__":
    app.run()
