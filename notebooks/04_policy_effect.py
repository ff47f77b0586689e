"""What a declared change of policy did, and how far to trust it.

Run it as an app with `marimo run notebooks/04_policy_effect.py`.
"""

import marimo

app = marimo.App(width="medium", app_title="perdure: policy effect")


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
    names = {
        row[0]: row[1]
        for row in connection.sql("select policy_key, any_value(name) from core.policy group by policy_key order by 1").fetchall()
    }
    policy = mo.ui.dropdown(
        {name: key for key, name in names.items()} or {"no policy is declared": ""}, value=next(iter(names.values()), None), label="Policy"
    )
    mo.vstack(
        [mo.md("# Policy effect\n\nDeclare policies in `perdure.toml` under `[[policies]]`; this notebook needs no other change."), policy]
    )
    return (policy,)


@app.cell
def _(connection, mo, policy):
    effects = (
        connection.execute(
            "select outcome, method, estimand, effect, effect_low, effect_high, baseline, pre_trend_p_ratio, reason "
            "from metrics.policy_effect where policy_key = $1 order by outcome, estimand",
            [policy.value or ""],
        )
        .df()
        .round(3)
    )
    mo.vstack(
        [
            mo.ui.table(effects, selection=None),
            mo.md(
                "A small `pre_trend_p_ratio` says that the teams were already moving apart before the policy began: distrust the effect. "
                "A large one does not prove that they were not."
            ),
        ]
    )
    return


@app.cell
def _(alt, connection, policy):
    study = connection.execute(
        "select outcome, block, is_before, effect, band_low, band_high from metrics.policy_event_study "
        "where policy_key = $1 and effect is not null order by outcome, block",
        [policy.value or ""],
    ).df()
    marks = alt.Chart(study).encode(x=alt.X("block:O", title="Blocks of four weeks since the start"))
    drawn = (
        marks.mark_rule().encode(y=alt.Y("band_low:Q", title="Effect"), y2="band_high:Q")
        + marks.mark_point(filled=True).encode(y="effect:Q", color=alt.Color("is_before:N", title="Before the start"))
    ).properties(width=280, height=180)
    figure = drawn.facet("outcome:N", columns=2).resolve_scale(y="independent")
    figure
    return


if __name__ == "__main__":
    app.run()
