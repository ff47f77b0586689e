"""What is in the published file, and how much of it can be trusted.

Run it as an app with `marimo run notebooks/01_first_look.py`, or open it to change it with `marimo edit`.
The file is `analytics.duckdb` in PERDURE_HOME (by default `perdure-home`).
"""

import marimo

app = marimo.App(width="medium", app_title="perdure: a first look")


@app.cell
def _():
    import os
    from pathlib import Path

    import duckdb
    import marimo as mo

    published = Path(os.environ.get("PERDURE_HOME", "perdure-home")) / "analytics.duckdb"
    connection = duckdb.connect(str(published), read_only=True)
    return connection, mo


@app.cell
def _(connection, mo):
    about = connection.sql("select as_of, perdure_version from metrics.about").fetchall()[0]
    mo.md(
        f"# A first look\n\nFigures as of **{about[0]}**, computed by perdure {about[1]}. Every table says what it is and how it misleads."
    )
    return


@app.cell
def _(connection):
    tables = connection.sql(
        "select table_schema || '.' || table_name as table_name, row_count, is_restricted, coalesce(question, description) as about "
        "from metrics.catalog order by row_count > 0 desc, table_name"
    ).df()
    tables
    return


@app.cell
def _(mo):
    mo.md("## What was seen\n\nDays by medium and how they were seen. A day in a gap says nothing about relationships.")
    return


@app.cell
def _(connection):
    coverage = connection.sql(
        "select medium, count(*) filter (where status = 'observed') as observed_day_count, "
        "count(*) filter (where status = 'partial') as partial_day_count, "
        "count(*) filter (where status in ('missing', 'gap')) as unseen_day_count, sum(interaction_count) as interaction_count "
        "from core.coverage_day group by medium order by interaction_count desc"
    ).df()
    coverage
    return


@app.cell
def _(connection):
    gaps = connection.sql("select source, medium, date_from, date_to, day_count, kind from core.gap order by day_count desc").df()
    gaps
    return


@app.cell
def _(mo):
    mo.md("## Ties by month\n\nTies formed, kept and faded from one complete month to the next.")
    return


@app.cell
def _(connection):
    churn = connection.sql(
        "select panel_start, tie_count, formed_count, persisted_count, decayed_count, persistence_ratio, lower_ratio, upper_ratio "
        "from metrics.org_panel_churn where panel_kind = 'month' and medium = 'any' and slice = 'all' order by panel_start"
    ).df()
    churn
    return


if __name__ == "__main__":
    app.run()
