"""What a section is made of; the page's template knows how each is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph. `tone`: plain, lead (the section's answer), note (small print), missing (what is not there), paper (only in print)."""

    kind: ClassVar[str] = "text"
    html: Markup
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    html: Markup


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences."""

    kind: ClassVar[str] = "points"
    items: Sequence[Markup]


@dataclass(frozen=True, slots=True)
class Head:
    """A column's heading. `is_figure` sets it in figures' type; `is_strip` holds drawings, whose scale runs between `ends`."""

    label: Markup
    is_figure: bool = True
    is_strip: bool = False
    ends: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row is its heading. With strips it is a chart and its own table twin.

    A row that is a text of its own is a heading over the rows after it; the last cell of a row that is too short spans what is left.
    """

    kind: ClassVar[str] = "table"
    caption: Markup
    heads: Sequence[Head]
    rows: Sequence[Sequence[Markup] | Markup]
    note: Markup | None = None

    @property
    def has_withheld(self) -> bool:
        """Whether any of its cells is withheld, so that it must say why."""
        return any('class="withheld"' in cell for row in self.rows for cell in ([row] if isinstance(row, Markup) else row))


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with its caption and its table twin."""

    kind: ClassVar[str] = "figure"
    body: Markup
    caption: Markup
    twin: Table
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks behind a title, for what few need."""

    kind: ClassVar[str] = "folded"
    title: Markup
    blocks: Sequence[Block]


Block = Text | Heading | Points | Table | Figure | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page; its headline is what the opening paragraph says of it."""

    id: str
    title: Markup
    blocks: Sequence[Block] = field(default_factory=tuple)
    question: Markup | None = None
    headline: Markup | None = None
