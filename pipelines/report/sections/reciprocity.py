"""Reciprocity beside what chance would give."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Section, Table, Text
from pipelines.report.cells import View
from pipelines.report.charts import nice_scale, strip
from pipelines.report.sections.shared import change, heads, missing

TABLE: Final = "metrics.org_panel_reciprocity"
RHO: Final = ("rho_w", "rho_w_low", "rho_w_high")
WEIGHTED: Final = ("r_w", "r_w_low", "r_w_high")


def reciprocity(view: View) -> Section:
    """Observed and null reciprocity by medium, and how it changed."""
    words = view.words
    rows = view.now(TABLE)
    if not rows or not view.has(TABLE, *RHO, *WEIGHTED, "r_w_null"):
        return missing(view, "reciprocity", TABLE)
    rows = sorted(rows, key=lambda row: (row["medium"] == "any", -(row.number("contact_count") or 0)))
    earlier = {row["medium"]: row for row in view.before(TABLE)}
    values = [value for row in rows for column in (*WEIGHTED, "r_w_null") if (value := row.number(column)) is not None]
    scale = nice_scale(values or [0.0, 1.0])
    table = Table(
        words("reciprocity.caption", period=view.period(rows[0]["panel_start"])),
        heads(view, "reciprocity", "medium", "strip", "observed", "null", "beyond", "before", strips=("strip",)),
        [
            (
                view.medium(row["medium"]),
                strip(scale, *(row.number(column) for column in WEIGHTED), mark=row.number("r_w_null"), is_other=row["medium"] == "any"),
                view.interval(row, *WEIGHTED, "percent"),
                view.cell(row, "r_w_null", "percent"),
                view.interval(row, *RHO),
                view.cell(earlier[row["medium"]], "rho_w") if row["medium"] in earlier else words("change.unknown_short"),
            )
            for row in rows
        ],
        words("reciprocity.note"),
    )
    headline = None
    everything = next((row for row in rows if row["medium"] == "any"), None)
    blocks: list[Block] = []
    if everything is not None and everything.number("rho_w") is not None:
        headline = words(
            "reciprocity.said",
            observed=view.interval(everything, *WEIGHTED, "percent"),
            null=view.cell(everything, "r_w_null", "percent"),
            people=view.cell(everything, "person_count", "count"),
            beyond=view.interval(everything, *RHO),
            change=change(view, everything, earlier.get("any"), *RHO, "number"),
        )
    elif everything is not None:
        headline = words("reciprocity.unknown", why=view.cell(everything, "rho_w"))
    if headline is not None:
        blocks.append(Text(headline, "lead"))
    return Section("reciprocity", words("reciprocity.title"), [*blocks, table], words("reciprocity.question"), headline or Markup(""))
