"""Which media start ties, and which keep them: the scorecard and the survival curves behind it.

Run it as an app with `marimo run notebooks/02_media_and_survival.py`.
"""

import marimo

app = marimo.App(width="medium", app_title="perdure: media and survival")


@app.cell
def _():
    import os
    from pathlib import Path

    import altair as alt
    import duckdb
    import marimo as mo

    published = Path(os.environ.get("PERDURE_HOME", "perdure-home")) / "analytics.duckdb"
    connection = duckdb.connect(str(published), read_only=True)
    return alt, connection, mo


@app.cell
def _(connection, mo):
    scorecard = (
        connection.sql(
            "select medium, started_tie_count, adjusted_kept_90_ratio, lower_adjusted_kept_90_ratio, upper_adjusted_kept_90_ratio, "
            "reciprocity_index, cross_team_ratio, external_ratio from metrics.medium_scorecard order by started_tie_count desc"
        )
        .df()
        .round(3)
    )
    mo.vstack(
        [
            mo.md(
                "# Media and survival\n\nDifferences between media are associations: people choose a medium for a relationship "
                "that they already mean to keep. Compare media by the adjusted share."
            ),
            mo.ui.table(scorecard, selection=None),
        ]
    )
    return


@app.cell
def _(connection, mo):
    groupings = [row[0] for row in connection.sql("select distinct grouping from metrics.tie_survival order by 1").fetchall()]
    grouping = mo.ui.dropdown(
        groupings or ["all"], value="origin_medium" if "origin_medium" in groupings else None, label="Ties grouped by"
    )
    grouping
    return (grouping,)


@app.cell
def _(alt, connection, grouping):
    curves = connection.execute(
        "select level, age_days, survival_ratio, lower_ratio, upper_ratio, at_risk_count from metrics.tie_survival "
        "where grouping = $1 and survival_ratio is not null order by level, age_days",
        [grouping.value or "all"],
    ).df()
    base = alt.Chart(curves).encode(x=alt.X("age_days:Q", title="Days since the tie began"))
    band = base.mark_area(opacity=0.2, interpolate="step-after").encode(y="lower_ratio:Q", y2="upper_ratio:Q", color="level:N")
    line = base.mark_line(interpolate="step-after").encode(y=alt.Y("survival_ratio:Q", title="Share still alive"), color="level:N")
    chart = (band + line).properties(height=320, width=620)
    chart
    return (curves,)


@app.cell
def _(curves, mo):
    mo.md(
        f"The curves stop where too few ties were watched; the smallest number at risk that is drawn here is {curves['at_risk_count'].min()}."
    )
    return


@app.cell
def _(connection, mo):
    hazards = (
        connection.sql(
            "select term, term_kind, hazard_ratio, lower_ratio, upper_ratio, term_tie_count, reason from metrics.medium_hazard "
            "where model = 'origin_medium' order by term_kind, hazard_ratio"
        )
        .df()
        .round(3)
    )
    mo.vstack(
        [
            mo.md("## How fast ties end, otherwise alike\n\nBelow 1: they hold longer than those compared with."),
            mo.ui.table(hazards, selection=None),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
