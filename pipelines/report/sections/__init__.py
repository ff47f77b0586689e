"""The sections of the report, in the order in which leadership reads them."""

from __future__ import annotations

from markupsafe import Markup

from pipelines.report.blocks import Section
from pipelines.report.cells import View
from pipelines.report.sections.charter import charter
from pipelines.report.sections.coverage import coverage
from pipelines.report.sections.media import scorecard
from pipelines.report.sections.method import method, questions
from pipelines.report.sections.outside import outside
from pipelines.report.sections.policy import policy
from pipelines.report.sections.reciprocity import reciprocity
from pipelines.report.sections.resilience import resilience
from pipelines.report.sections.summary import summary
from pipelines.report.sections.survival import survival
from pipelines.report.sections.teams import teams

__all__ = ["all_sections", "subtitle", "title"]


def title(view: View) -> Markup:
    """The page's title, with the organisation's name where settings give one."""
    own = view.row("core.organisation", organisation_key="own")
    name = own["name"] if own is not None else None
    return view.words("page.title") if name in (None, "Own organisation") else view.words("page.title_of", name=name)


def subtitle(view: View) -> Markup:
    """Up to which day the figures speak."""
    words = view.words
    if view.release.as_of is None:
        return words("page.nothing")
    return words(
        "page.subtitle",
        day=view.day(view.release.as_of),
        n=view.setting(view.release.policy.minimum_group_size),
        base=view.setting(view.release.policy.rounding_base),
    )


def all_sections(view: View) -> list[Section]:
    """Every section, the opening paragraph made of the others' headlines."""
    body = [
        scorecard(view),
        survival(view),
        reciprocity(view),
        teams(view),
        outside(view),
        charter(view),
        policy(view),
        resilience(view),
        coverage(view),
    ]
    return [summary(view, body), *body, method(view), questions(view)]
