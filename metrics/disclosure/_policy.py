"""The settings of disclosure control, and what a table must say of itself to leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from metrics.roles import Role, guards_in


class DisclosureError(Exception):
    """A table that may not leave was about to; the message names the table and the rule."""


class DisclosurePolicy(BaseModel):
    """How much is withheld and how coarsely the rest is told. Both can be raised, neither lowered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum_group_size: int = Field(5, ge=5, le=100, description="Groups of fewer people are withheld. It can be raised, not lowered.")
    rounding_base: int = Field(
        5, ge=5, le=100, description="Counts are rounded to the nearest multiple, some more coarsely. It can be raised, not lowered."
    )
    ratio_digits: int = Field(2, ge=1, le=2, description="Digits kept of shares, scores and estimates. It can be lowered, not raised.")

    @property
    def minimum_pair_count(self) -> int:
        """The fewest pairs that cannot all lie among fewer than `minimum_group_size` people: one more than (k-1)(k-2)/2."""
        return (self.minimum_group_size - 1) * (self.minimum_group_size - 2) // 2 + 1

    @property
    def protection(self) -> int:
        """How wide the range of every withheld count must be: one less than the minimum group size."""
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
    def roles(self) -> Mapping[str, Role]: ...
    @property
    def is_restricted(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class TableRoles:
    """What the columns of a table are to disclosure control.

    Attributes:
        dimensions: Columns of the grain; they stay where a row is withheld.
        columns: Every other column -> its role.
        units: Every column -> its unit.
    """

    dimensions: tuple[str, ...]
    columns: Mapping[str, Role]
    units: Mapping[str, str]

    @property
    def guards(self) -> tuple[str, ...]:
        """Columns that say how many people, or pairs, a row is about."""
        return guards_in(self.columns)

    @property
    def counted(self) -> tuple[str, ...]:
        """Counts of people and pairs, and volumes."""
        return tuple(name for name, role in self.columns.items() if role.is_counted)


def roles_of(spec: Documented) -> TableRoles:
    """Read the roles of a table's columns from its documentation.

    Raises:
        DisclosureError: If the table is restricted, has a column that identifies a person, or does not state its roles.
    """
    name = f"{spec.schema}.{spec.name}"
    if spec.is_restricted:
        raise DisclosureError(f"{name} is restricted: it is about persons or pairs and never leaves")
    if identifying := [column.name for column in spec.columns if column.unit in ("key", "keys", "id")]:
        raise DisclosureError(f"{name} has columns that identify ({', '.join(identifying)}): mark it `restricted: yes`")
    if missing := [column.name for column in spec.columns if column.name not in spec.grain and column.name not in spec.roles]:
        raise DisclosureError(f"{name} states no role for {', '.join(missing)}: nobody can say what may leave of it")
    return TableRoles(spec.grain, dict(spec.roles), {column.name: column.unit for column in spec.columns})
