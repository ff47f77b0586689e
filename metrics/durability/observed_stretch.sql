-- description: The stretches of time within which the life of a tie can be followed: observed days, over gaps in collection of up to
--   `short_gap_days`.
-- question: Within which periods can we say whether relationships lasted?
-- grain: stretch_number
-- role: calendar | date_from, date_to, observed_day_count
-- column: stretch_number | count | 1 for the first.
-- column: date_from | date | First day.
-- column: date_to | date | Last day.
-- column: observed_day_count | count | How many of its days were observed.
-- unique: stretch_number
-- not_null: stretch_number, date_from, date_to, observed_day_count
-- assert: date_from <= date_to and observed_day_count <= date_to - date_from + 1
-- caveat: What ended or began in a longer gap is not known; ties are followed anew after it.
with parted as (
    select
        date_from, date_to, day_count,
        coalesce(date_from - lag(date_to) over (order by date_from) - 1 > getvariable('short_gap_days'), true) as is_parted
    from core.observation
    where medium = 'any'
),
numbered as (
    select date_from, date_to, day_count, sum(is_parted::int) over (order by date_from) as stretch_number from parted
)
select stretch_number, min(date_from) as date_from, max(date_to) as date_to, sum(day_count) as observed_day_count
from numbered
group by stretch_number
