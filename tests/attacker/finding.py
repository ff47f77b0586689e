"""What the attack says it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """A figure that lies between two bounds, and how that came out.

    Attributes:
        technique: How.
        table: The table.
        row: The row: its dimensions and their values.
        column: The figure. `a - b` is the difference of two figures of the row, `a * b` a count times a share.
        low: Lower bound.
        high: Upper bound.
        export: The folder of the export it is about; `before > after` where it is what one export has more than another.
        is_withheld: Whether the export does not show the figure.
        is_whole: Whether it can only be a whole number.
    """

    technique: str
    table: str
    row: Mapping[str, str | float | None] = field(hash=False)
    column: str
    low: float
    high: float
    export: str = ""
    is_withheld: bool = True
    is_whole: bool = True
