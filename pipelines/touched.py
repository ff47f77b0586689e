"""Which days are to be built anew: those of what was stored since, and those on which people now stand for others than before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Final, TypeVar

from pipelines.catalog import TableSpec
from pipelines.changes import touch_days
from pipelines.local_time import days_of_quarters, instants_around, local_date, quarter_hour
from pipelines.warehouse import PAIRS, Warehouse

_Part = TypeVar("_Part")

TOUCHED_QUARTER: Final = f"""
create or replace temp table touched_quarter as
select {quarter_hour("moment")} as quarter, {local_date("moment")} as date
from (
    select date, unnest(generate_series(date - interval 1 day, date + interval 2 days, interval 15 minutes)) as moment from touched_day
) as around
where {local_date("moment")} = date
"""
"""The quarters of an hour of each touched day, so that a table asks for the local day once a quarter and not once a row."""

TOUCHED_PANEL_DAY: Final = """
create or replace temp table touched_panel_day as
select panel_kind, panel_start, unnest(generate_series(panel_start, panel_end - 1, interval 1 day))::date as date
from touched_panel
"""
"""The days of each touched panel: joined by day, a hash join; by bounds it would be a join of inequalities."""


def touch_every_day(warehouse: Warehouse, time_zone: str) -> None:
    """Touch every day on which anything is stored."""
    warehouse.run(
        "insert into raw.touched_day select date from ("
        + days_of_quarters(f"select {quarter_hour('occurred_at')} as quarter, count(*) as n from raw.interaction group by quarter")
        + ") as d where date not in (select date from raw.touched_day)",
        {"time_zone": time_zone},
    )


def keep_people_as_they_are(warehouse: Warehouse) -> None:
    """Keep accounts, people and memberships as the last build left them, to be compared with what this one finds."""
    warehouse.run(
        "create or replace temp table account_before as select source, account_key, person_key, organisation_key, kind from core.account"
    )
    warehouse.run("create or replace temp table person_before as select person_key, organisation_key, kind from core.person")
    warehouse.run("create or replace temp table membership_before as select person_key, team, valid_from, valid_to from core.membership")


def touch_by_people(warehouse: Warehouse, time_zone: str) -> None:
    """Touch days on which someone was in contact who now stands for another, or was in another team, than was kept."""
    _touch_by_accounts(warehouse, time_zone)
    _touch_by_memberships(warehouse)


def _touch_by_accounts(warehouse: Warehouse, time_zone: str) -> None:
    """Touch days on which an account took part that now stands for another person or organisation.

    An alias was learnt, say, or a guest turned out to have an account in the own directory, or an organisation is of another kind now.
    """
    warehouse.run(
        "create or replace temp table account_change as select n.source, n.account_key from core.account as n "
        "join account_before as b on b.source = n.source and b.account_key = n.account_key "
        "where (n.person_key, n.organisation_key, n.kind) is distinct from (b.person_key, b.organisation_key, b.kind) "
        "union select n.source, n.account_key from core.account as n join core.person as p on p.person_key = n.person_key "
        "join person_before as b on b.person_key = n.person_key "
        "where (p.organisation_key, p.kind) is distinct from (b.organisation_key, b.kind)"
    )
    if warehouse.value("select count(*) from account_change"):
        touch_days(
            warehouse,
            time_zone,
            "select i.occurred_at from raw.interaction as i "
            "semi join account_change as c on c.source = i.source and c.account_key = i.sender_key "
            "union all select p.occurred_at "
            "from (select source, occurred_at, unnest(participants, recursive := true) from raw.interaction) as p "
            "semi join account_change as c on c.source = p.source and c.account_key = p.account_key",
        )


def _touch_by_memberships(warehouse: Warehouse) -> None:
    """Touch days on which someone was in contact whose team of that day is now known to be another."""
    warehouse.run(
        "create or replace temp table membership_change as select distinct person_key from ("
        "(select person_key, team, valid_from, valid_to from core.membership except select * from membership_before) union all "
        "(select * from membership_before except select person_key, team, valid_from, valid_to from core.membership)) as d"
    )
    if warehouse.value("select count(*) from membership_change"):
        warehouse.run(
            "insert into raw.touched_day with active as ("
            "select person_a_key as person_key, date from core.pair_day semi join membership_change on person_key = person_a_key "
            "union select person_b_key, date from core.pair_day semi join membership_change on person_key = person_b_key) "
            "select distinct a.date from active as a "
            "left join core.membership as n on n.person_key = a.person_key and a.date >= n.valid_from and a.date < n.valid_to "
            "left join membership_before as b on b.person_key = a.person_key and a.date >= b.valid_from and a.date < b.valid_to "
            "where n.team is distinct from b.team and a.date not in (select date from raw.touched_day)"
        )


def touched_volumes(warehouse: Warehouse, time_zone: str) -> list[tuple[date, int]]:
    """Return touched days in order, each with how many interactions it holds now."""
    if not warehouse.value("select count(*) from raw.touched_day"):
        return []
    low, high = instants_around(*warehouse.run("select min(date), max(date) from raw.touched_day")[0])
    rows = warehouse.run(
        "select d.date, coalesce(i.n, 0) from raw.touched_day as d left join ("
        + days_of_quarters(
            f"select {quarter_hour('occurred_at')} as quarter, count(*) as n from raw.interaction "
            "where occurred_at >= $low and occurred_at < $high group by quarter"
        )
        + ") as i on i.date = d.date order by d.date",
        {"time_zone": time_zone, "low": low, "high": high},
    )
    return [(day, count) for day, count in rows]


def in_chunks(volumes: Sequence[tuple[_Part, int]], size: int) -> list[list[_Part]]:
    """Split days or panels, in order, into chunks that hold at most `size` rows (or one of them, if that alone holds more)."""
    chunks: list[list[_Part]] = []
    held = 0
    for part, count in volumes:
        if not chunks or held + count > size:
            chunks.append([])
            held = 0
        chunks[-1].append(part)
        held += count
    return chunks


# -- what the analysts' file does not hold yet ------------------------------------------------------------------------


def note_unpublished(warehouse: Warehouse, changed: str) -> None:
    """Note days or panels that were built anew, given as SQL of two columns: `day`, `pair` (all) or a panel's kind, and a first day."""
    warehouse.run(f"insert into raw.unpublished {changed} except select kind, start from raw.unpublished")


# -- pairs ------------------------------------------------------------------------------------------------------------


TOUCHED_TOTAL: Final = (
    "((person_a_key, person_b_key) in (select (person_a_key, person_b_key) from touched_pair) or "
    "(person_a_key, person_b_key, medium) in (select (person_a_key, person_b_key, medium) from added_pair))"
)
"""The condition of the rows of a table by pair that are replaced."""


CHANGED_PAIR: Final = "(person_a_key, person_b_key) in (select (person_a_key, person_b_key) from changed_pair)"
"""The condition of the rows of a pair's whole time that are replaced."""


def note_pairs(warehouse: Warehouse, spec: TableSpec, where: str) -> None:
    """Note whose contacts the rows of `core.pair_day` are, before and after they are built anew, on days that are summed up already."""
    if spec.full_name != "core.pair_day":
        return
    until = json.loads(warehouse.memo(PAIRS) or "[null]")[0]
    if until is not None:
        warehouse.run(
            f"insert into raw.touched_pair select distinct person_a_key, person_b_key from {spec.full_name} "
            f"where {where} and date <= $1::date except select person_a_key, person_b_key from raw.touched_pair",
            [until],
        )


def choose_pairs(warehouse: Warehouse, *, every: bool) -> None:
    """Tell the SQL from which pairs' contacts, and of which days, the totals of pairs are to be summed.

    All of those noted, and of the others what is later than the last day that is summed up; everything where days have come to count
    otherwise than before.
    """
    now = _last_day(warehouse)
    until, clock = json.loads(warehouse.memo(PAIRS) or "[null, null]")
    every = every or until is None or now is None or clock != _clock(warehouse, until)
    warehouse.run("create or replace temp table touched_pair as select person_a_key, person_b_key from raw.touched_pair")
    if not every and str(now) < until:
        # totals that hold days of which this build does not speak
        warehouse.run(
            "insert into touched_pair select distinct person_a_key, person_b_key from core.pair_day "
            "where date > $1::date and date <= $2::date except from touched_pair",
            [now, until],
        )
        until = str(now)
    warehouse.run("set variable is_every_pair = $1", [every])
    warehouse.run("set variable summed_until = $1::date", ["0001-01-01" if every else until])
    warehouse.run(
        "create or replace temp table added_pair as select distinct person_a_key, person_b_key, medium from core.pair_day "
        "where not getvariable('is_every_pair') and date > getvariable('summed_until') and date <= getvariable('as_of') "
        "and (person_a_key, person_b_key) not in (select (person_a_key, person_b_key) from touched_pair)"
    )
    warehouse.run("create or replace temp table changed_pair as from touched_pair union select person_a_key, person_b_key from added_pair")


def keep_totals(warehouse: Warehouse, spec: TableSpec) -> None:
    """Keep the rows of a table by pair to which new days are added."""
    warehouse.run(
        f"create or replace temp table {spec.name}_before as "
        f"select * from {spec.full_name} semi join added_pair using (person_a_key, person_b_key, medium)"
    )


def remember_added(warehouse: Warehouse) -> None:
    """Remember, in the transaction that adds them, that the new days are in the totals: else a build that breaks off adds them twice.

    Until the build has ended, the pairs stay noted for the tables that follow.
    """
    if not warehouse.value("select getvariable('is_every_pair')"):
        warehouse.run("insert into raw.touched_pair from changed_pair except from raw.touched_pair")
        _remember_last_day(warehouse)


def remember_pairs(warehouse: Warehouse) -> None:
    """Remember that the build has ended: which pairs the analysts' file lacks, and that none is to be summed up anew."""
    if warehouse.value("select getvariable('is_every_pair')"):
        note_unpublished(warehouse, "select 'pair', date '0001-01-01'")
    else:
        warehouse.run("insert into raw.unpublished_pair from changed_pair except from raw.unpublished_pair")
    warehouse.run("delete from raw.touched_pair")
    _remember_last_day(warehouse)


def _remember_last_day(warehouse: Warehouse) -> None:
    """Remember up to which day the totals of all pairs are summed up, and by which clock."""
    until = _last_day(warehouse)
    warehouse.remember(PAIRS, json.dumps([None if until is None else str(until), _clock(warehouse, until)]))


def _last_day(warehouse: Warehouse) -> date | None:
    last: date | None = warehouse.value("select max(date_to) from core.observation where medium = 'any'")
    return last


def _clock(warehouse: Warehouse, last: date | str | None) -> str:
    """A hash of how the days up to this one count; where it changes, so does the age of every contact."""
    return str(
        warehouse.value(
            "select concat(min(date_from), ':', sum(hash(date_from, least(date_to, $1::date)))) from core.observation "
            "where medium = 'any' and date_from <= $1::date",
            [last],
        )
    )
