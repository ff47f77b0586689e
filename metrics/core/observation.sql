-- description: The stretches of days that were observed without a gap, for each medium and for all media together. Decay is measured
--   inside a stretch only: a tie that falls silent because nobody looked has not ended.
-- grain: medium, date_from
-- role: calendar with metrics.medium_effort | date_to, day_count
-- column: medium | text | The medium; `any` for all media together, which are unobserved while media that ordinarily carry a quarter of all
--   interactions are in a gap.
-- column: date_from | date | First day of the stretch.
-- column: date_to | date | Last day of the stretch.
-- column: day_count | count | How many days.
-- unique: medium, date_from
-- not_null: medium, date_from, date_to, day_count
-- assert: date_from <= date_to
-- caveat: For all media together, a gap in a minor medium is passed over.
with volume as (
    select medium, sum(interaction_count) as interaction_count, min(date) as first_date, max(date) as last_date
    from core.coverage_day
    group by medium
),
gap_day as (
    select distinct g.medium, unnest(generate_series(g.date_from, g.date_to, interval 1 day))::date as date
    from core.gap as g
),
major_gap_day as (
    select d.date
    from gap_day as d
    join volume as v on v.medium = d.medium
    group by d.date
    having sum(v.interaction_count) >= 0.25 * (select sum(interaction_count) from volume)
),
span as (
    select medium, unnest(generate_series(first_date, (select max(last_date) from volume), interval 1 day))::date as date from volume
    union all
    select 'any', unnest(generate_series(min(first_date), max(last_date), interval 1 day))::date from volume having count(*) > 0
),
seen as (
    select s.medium, s.date
    from span as s
    where not exists (select 1 from gap_day as g where g.medium = s.medium and g.date = s.date)
        and not (s.medium = 'any' and s.date in (select date from major_gap_day))
),
numbered as (
    select medium, date, date - cast(row_number() over (partition by medium order by date) as integer) as island from seen
)
select medium, min(date) as date_from, max(date) as date_to, count(*) as day_count
from numbered
group by medium, island
