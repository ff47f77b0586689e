"""A place to begin: one query, one table, one chart. Copy it and ask what you want to know.

Open it with `marimo edit notebooks/05_your_own_question.py`.
"""

import marimo

app = marimo.App(width="medium", app_title="perdure: your own question")


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
def _(mo):
    query = mo.ui.code_editor(
        value=(
            "-- days on which pairs of teams were in contact, by medium, in the last complete month\n"
            "select least(a.team, b.team) as one_team, greatest(a.team, b.team) as other_team, medium, count(*) as pair_days\n"
            "from core.pair_day as d\n"
            "join core.membership as a on a.person_key = d.person_a_key and d.date >= a.valid_from and d.date < a.valid_to\n"
            "join core.membership as b on b.person_key = d.person_b_key and d.date >= b.valid_from and d.date < b.valid_to\n"
            "join (select * from core.panel where panel_kind = 'month' and is_complete order by panel_start desc limit 1) as p\n"
            "    on d.date >= p.panel_start and d.date < p.panel_end\n"
            "where is_cross_team\n"
            "group by all\n"
            "order by pair_days desc\n"
            "limit 20"
        ),
        language="sql",
        label="Your question, in SQL",
    )
    mo.vstack(
        [
            mo.md(
                "# Your own question\n\n`metrics.catalog` and `metrics.catalog_column` say what there is, in which unit, and how it misleads."
            ),
            query,
        ]
    )
    return (query,)


@app.cell
def _(connection, mo, query):
    import duckdb as engine

    try:
        answer = connection.sql(query.value).df()
        shown = mo.ui.table(answer, selection=None)
    except engine.Error as error:
        answer = None
        shown = mo.md(f"```\n{error}\n```")
    shown
    return


@app.cell
def _(connection, mo):
    words = mo.ui.text(value="tie", label="Find columns about")
    columns = connection.sql(
        "select table_schema || '.' || table_name as table_name, column_name, unit, description from metrics.catalog_column"
    ).df()
    words
    return columns, words


@app.cell
def _(columns, mo, words):
    found = columns[columns["description"].str.contains(words.value, case=False, regex=False)]
    mo.ui.table(found, selection=None)
    return


if __name__ == "__main__":
    app.run()
