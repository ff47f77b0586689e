"""How it is measured, from the catalogue, and what to talk about."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Folded, Points, Section, Table, Text
from pipelines.report.cells import View
from pipelines.report.sections.shared import heads

QUESTIONS: Final = (
    ("scorecard", "metrics.medium_scorecard"),
    ("survival", "metrics.tie_survival"),
    ("reciprocity", "metrics.org_panel_reciprocity"),
    ("teams", "metrics.team_pair_panel"),
    ("outside", "metrics.organisation_panel_tie"),
    ("charter", "metrics.charter_status"),
    ("policy", "metrics.policy_effect"),
    ("resilience", "metrics.newcomer_integration"),
)


def method(view: View) -> Section:
    """Definitions and caveats of every released table, as the published file states them (in English)."""
    words = view.words
    used = [spec for name, spec in view.release.specs.items() if name in view.release.tables and spec.schema == "metrics"]
    folded = [
        Folded(
            _quoted(spec.question or spec.name),
            [
                Text(Markup("<code>{}</code> {}").format(spec.full_name, _quoted(spec.description))),
                *([Points([_quoted(caveat) for caveat in spec.caveats])] if spec.caveats else []),
                Table(
                    words("method.columns", table=Markup("<code>{}</code>").format(spec.name)),
                    heads(view, "method", "column", "unit", "meaning", texts=("unit", "meaning")),
                    [
                        (
                            Markup("<code>{}</code>").format(column.name),
                            Markup("<code>{}</code>").format(column.unit),
                            _quoted(column.description),
                        )
                        for column in spec.columns
                    ],
                ),
                *(
                    [Text(Markup("{} {}").format(words("method.sources"), _quoted(" ".join(spec.references))), "note")]
                    if spec.references
                    else []
                ),
            ],
        )
        for spec in sorted(used, key=lambda spec: (spec.family, spec.name))
    ]
    left_out = sorted(view.release.controlled.refused)
    blocks: list[Block] = [
        Text(words("method.words")),
        Text(words("method.intervals")),
        Text(
            words(
                "method.disclosure",
                n=view.setting(view.release.policy.minimum_group_size),
                base=view.setting(view.release.policy.rounding_base),
            )
        ),
        *([Text(words("method.language"), "note")] if words.language != "en" else []),
        Text(words("method.paper"), "note paper"),
        *folded,
    ]
    if left_out:
        listed = words.listed([Markup("<code>{}</code>").format(name) for name in left_out])
        blocks.append(Text(words("method.left_out", tables=listed), "note"))
    return Section("method", words("method.title"), blocks)


def questions(view: View) -> Section:
    """Questions worth a conversation, of what the page has figures for."""
    words = view.words
    asked = [words(f"questions.{name}") for name, table in QUESTIONS if view.has(table)]
    return Section("questions", words("questions.title"), [Text(words("questions.intro")), Points([*asked, words("questions.always")])])


def _quoted(text: str) -> Markup:
    """Text of the catalogue: its numbers are words of a definition, not figures."""
    return Markup('<span data-definition="" lang="en">{}</span>').format(text)
