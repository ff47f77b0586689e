-- description: The periods into which ties are counted: calendar months or ISO weeks as settings say, and the whole observed time (`all`).
-- grain: panel_kind, panel_start
-- role: calendar | panel_end, day_count, observed_day_count, is_complete
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day.
-- column: panel_end | date | First day after it.
-- column: day_count | count | Days in the period up to the last day that was built.
-- column: observed_day_count | count | How many of them were observed (no gap in media that carry a quarter of all interactions).
-- column: is_complete | flag | Whether the whole period lies within the observed time and had no gap.
-- unique: panel_kind, panel_start
-- not_null: panel_kind, panel_start, panel_end, day_count, observed_day_count, is_complete
-- assert: panel_start < panel_end
-- caveat: The first and the last period are often cut short; compare complete ones.
with bound as (
    select min(date_from) as first_date, max(date_to) as last_date from core.observation where medium = 'any'
),
period as (
    select
        kind as panel_kind,
        unnest(generate_series(date_trunc(kind, first_date)::date, last_date, case kind when 'week' then interval 7 day else interval 1 month end))::date as panel_start
    from bound, unnest(getvariable('panels')) as wanted(kind)
    where first_date is not null
),
bounded as (
    select panel_kind, panel_start, (panel_start + case panel_kind when 'week' then interval 7 day else interval 1 month end)::date as panel_end
    from period
    union all
    select 'all', first_date, last_date + 1 from bound where first_date is not null
)
select
    p.panel_kind,
    p.panel_start,
    p.panel_end,
    least(p.panel_end, b.last_date + 1) - p.panel_start as day_count,
    -- a panel that no stretch touches has no observed day (least and greatest pass over nulls)
    coalesce(sum(least(p.panel_end, o.date_to + 1) - greatest(p.panel_start, o.date_from)) filter (where o.date_from is not null), 0) as observed_day_count,
    observed_day_count = p.panel_end - p.panel_start as is_complete
from bounded as p
cross join bound as b
left join core.observation as o on o.medium = 'any' and o.date_from < p.panel_end and o.date_to >= p.panel_start
group by p.panel_kind, p.panel_start, p.panel_end, b.last_date
