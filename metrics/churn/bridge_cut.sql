-- description: The days that `bridge_decay` looks back and ahead from: the latest twelve first days of a month whose past
--   `bridge_lookback_days` and next `bridge_horizon_days` were observed throughout.
-- grain: cut_date
-- column: cut_date | date | The day on which the past ends and the future begins.
-- unique: cut_date
-- not_null: cut_date
-- caveat: A gap in what was observed leaves out every day whose past or future it touches.
with first_day as (
    select unnest(generate_series(date_trunc('month', min(date_from))::date, getvariable('as_of'), interval 1 month))::date as cut_date
    from metrics.observed_stretch
)
select c.cut_date
from first_day as c
join metrics.observed_stretch as s
    on s.date_from <= c.cut_date - getvariable('bridge_lookback_days') and s.date_to >= c.cut_date + getvariable('bridge_horizon_days') - 1
order by c.cut_date desc
limit 12
