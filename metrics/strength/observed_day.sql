-- description: The clock by which ties age: each day of the observed time and how many observed days there were until then. It stands
--   still in gaps in collection, so that a tie neither weakens nor dies because nobody looked.
-- grain: date
-- role: calendar | is_observed, day_number
-- column: date | date | The day.
-- column: is_observed | flag | Whether it was observed (no gap in media that carry a quarter of all interactions).
-- column: day_number | count | Observed days up to and including this one.
-- unique: date
-- not_null: date, is_observed, day_number
-- assert: day_number >= 0
-- caveat: A gap in a minor medium does not stop the clock; ties that live in that medium alone then seem to weaken.
with bound as (
    select min(date_from) as first_date, max(date_to) as last_date from core.observation where medium = 'any'
),
calendar as (
    select unnest(generate_series(first_date, last_date, interval 1 day))::date as date from bound where first_date is not null
),
seen as (
    select c.date, count(o.date_from) > 0 as is_observed
    from calendar as c
    left join core.observation as o on o.medium = 'any' and c.date between o.date_from and o.date_to
    group by c.date
)
select date, is_observed, count(*) filter (where is_observed) over (order by date) as day_number
from seen
