"""The settings of disclosure control, and the roles that a table's columns play in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

NOT_ABOUT_PEOPLE: Final = frozenset(
    {"core.coverage_day", "core.gap", "core.observation", "core.panel", "core.policy", "core.declared_relationship", "core.organisation"}
)
"""Core tables of what was collected and declared: they describe no group of people and need no guard."""

IDENTIFYING_UNITS: Final = frozenset({"key", "keys", "id"})
FIGURE_UNITS: Final = frozenset(
    {"count", "days", "minutes", "hours", "weeks", "ratio", "weight", "score", "percent", "index", "z", "log_odds", "per_100_hours"}
)
DURATION_UNITS: Final = frozenset({"days", "minutes", "hours", "weeks"})

_PAIR_GUARDS: Final = ("pair_count", "tie_count", "dyad_count", "spell_count", "at_risk_count", "observation_count")
_CALENDAR_COUNT: Final = re.compile(
    r"(^|_)(day|days|week|month|year|panel|draw|team|organisation|medium|media|fold|cut|bin|source|lag|cluster|policy|rank|number|step|history|before|after)s?_count$"
    r"|(^|_)(required|met)_count$"
    r"|^minimum_|^(window|horizon)_days$|_within_days$|(^|_)day_number$|_(rank|lag|order|window|time|bin|decile)$"
)
_OF_FEW: Final = re.compile(r"^top_")
"""Shares that the busiest one or two have: figures about single persons, unnamed."""


class DisclosureError(Exception):
    """A table that may not leave was about to; the message names the table and the rule."""


class DisclosurePolicy(BaseModel):
    """How much is withheld and rounded on every way out. The group size can be raised, never lowered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum_group_size: int = Field(5, ge=5, le=100, description="Groups of fewer people are withheld. It can be raised, not lowered.")
    rounding_base: int = Field(5, ge=1, le=100, description="Counts are rounded to the nearest multiple; 1 does not round.")
    ratio_digits: int = Field(2, ge=1, le=2, description="Digits kept of shares, scores and estimates. It can be lowered, not raised.")

    @property
    def minimum_pair_count(self) -> int:
        """The fewest pairs that cannot all lie among fewer than `minimum_group_size` people: one more than (k-1)(k-2)/2."""
        return (self.minimum_group_size - 1) * (self.minimum_group_size - 2) // 2 + 1

    @property
    def protection(self) -> int:
        """How wide the interval of every withheld guard must be, in people: one less than the minimum group size."""
        return self.minimum_group_size - 1


class _Column(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...


class Documented(Protocol):
    """What disclosure control needs to know of a table; `pipelines.catalog.TableSpec` is one."""

    @property
    def schema(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def grain(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> Sequence[_Column]: ...
    @property
    def is_restricted(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a table are to disclosure control.

    Attributes:
        dimensions: Columns of the grain; they stay where a row is withheld.
        guards: Columns that say how many people, or pairs, a row is about.
        is_guarded_by_pairs: Whether the guards count pairs.
        figures: All other columns; they go where a row is withheld.
        rounded: Counts that are rounded to the base.
        digits: Columns of fractional figures, True where one digit is enough: durations, and shares of the busiest few.
    """

    dimensions: tuple[str, ...]
    guards: tuple[str, ...]
    is_guarded_by_pairs: bool
    figures: tuple[str, ...]
    rounded: tuple[str, ...]
    digits: dict[str, bool]


def roles_of(spec: Documented) -> Roles:
    """Read the roles of a table's columns from its documentation.

    Raises:
        DisclosureError: If the table is restricted or has a column that identifies a person.
    """
    name = f"{spec.schema}.{spec.name}"
    if spec.is_restricted:
        raise DisclosureError(f"{name} is restricted: it is about persons or pairs and never leaves")
    if identifying := [column.name for column in spec.columns if column.unit in IDENTIFYING_UNITS]:
        raise DisclosureError(f"{name} has columns that identify ({', '.join(identifying)}): mark it `restricted: yes`")
    if spec.schema != "metrics" and name not in NOT_ABOUT_PEOPLE:
        raise DisclosureError(f"{name} is a core table that is not for export")
    units = {column.name: column.unit for column in spec.columns}
    counts = [column for column, unit in units.items() if unit == "count" and column not in spec.grain]
    people = tuple(column for column in counts if column == "person_count" or column.endswith("_person_count"))
    pairs = next(((column,) for column in _PAIR_GUARDS if column in counts), ())
    return Roles(
        dimensions=spec.grain,
        guards=people or pairs,
        is_guarded_by_pairs=not people and bool(pairs),
        figures=tuple(column for column in units if column not in spec.grain),
        rounded=tuple(column for column in counts if not _CALENDAR_COUNT.search(column)),
        digits={
            column: unit in DURATION_UNITS or bool(_OF_FEW.search(column))
            for column, unit in units.items()
            if unit in FIGURE_UNITS and unit != "count" and column not in spec.grain
        },
    )


def is_about_people(spec: Documented) -> bool:
    """Whether a table describes groups of people, and so needs a guard: all do but those of dates and counts of calendar days."""
    if f"{spec.schema}.{spec.name}" in NOT_ABOUT_PEOPLE:
        return False
    return any(
        column.unit not in ("date", "timestamp") and not (column.unit == "count" and _CALENDAR_COUNT.search(column.name))
        for column in spec.columns
        if column.name not in spec.grain
    )
