"""How statements of coverage are kept: for each unit one account of its days, whichever nights it was told in.

A night says from when to when a unit was read or could not be. Nights overlap, are killed and run again, and a unit that is read
at last makes good what was said of it before. So the last word on a day holds, and days of one kind that adjoin are one stretch:
the same days, told in other pieces, leave the same rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.warehouse import Warehouse

_UNIT = ("source", "stream", "unit_key", "medium")
_SAME_UNIT = ", ".join(_UNIT)


def _is_same_unit(left: str, right: str) -> str:
    return " and ".join(f"{left}.{name} is not distinct from {right}.{name}" for name in _UNIT)


# Cut the days of each unit where any statement begins or ends, let the last statement have each piece, and join pieces that go on.
_RETOLD = f"""
create or replace temp table retold as
with statement as (
    select {_SAME_UNIT}, date_from, date_to, status, reason, ordinal from incoming where date_from <= date_to
    union all
    -- of two old statements the careful one holds
    select {_SAME_UNIT}, date_from, date_to, status, reason, case status when 'observed' then -2 else -1 end as ordinal
    from raw.coverage as c
    where exists (select 1 from incoming as s where {_is_same_unit("s", "c")})
),
cut as (select {_SAME_UNIT}, date_from as day from statement union select {_SAME_UNIT}, date_to + 1 from statement),
piece as (
    select {_SAME_UNIT}, day as date_from, lead(day) over (partition by {_SAME_UNIT} order by day) - 1 as date_to from cut
    qualify date_to is not null
),
told as (
    select p.source, p.stream, p.unit_key, p.medium, p.date_from, p.date_to,
        arg_max(struct_pack(status := s.status, reason := s.reason), (s.ordinal, s.status, coalesce(s.reason, ''))) as said
    from piece as p
    join statement as s on {_is_same_unit("s", "p")} and s.date_from <= p.date_from and s.date_to >= p.date_to
    group by all
),
-- a stretch begins where the piece before says something else, or is not there
marked as (
    select *, count(*) filter (where begins) over (partition by {_SAME_UNIT} order by date_from) as stretch
    from (
        select *, said is distinct from lag(said) over w or date_from is distinct from lag(date_to) over w + 1 as begins
        from told window w as (partition by {_SAME_UNIT} order by date_from)
    )
)
select
    {_SAME_UNIT}, min(date_from) as date_from, max(date_to) as date_to,
    any_value(said.status) as status, any_value(said.reason) as reason
from marked
group by {_SAME_UNIT}, stretch
"""


def store_coverage(warehouse: Warehouse) -> None:
    """Retell the days of the units that the temporary view `incoming` speaks of, and keep that in place of what was kept of them."""
    warehouse.run(_RETOLD)
    warehouse.run(f"delete from raw.coverage as c where exists (select 1 from retold as s where {_is_same_unit('s', 'c')})")
    warehouse.run("insert into raw.coverage select * from retold")
    warehouse.run("drop table retold")
