-- description: The internal ties of the last `silence_days` days and of as many days before them: the network that stands, and the one that stood
--   before the latest leavers left.
-- grain: period, person_a_key, person_b_key
-- column: period | text | present (the last `silence_days` days) or before (as many days before those).
-- column: date_from | date | First day.
-- column: date_to | date | Last day.
-- column: is_observed | flag | Whether all its days lie in one observed stretch.
-- column: person_a_key | key | The person with the lesser key; empty in the one row of a period without ties.
-- column: person_b_key | key | The other person.
-- column: active_days | count | Days with contact in the period.
-- unique: period, person_a_key, person_b_key
-- not_null: period, date_from, date_to, is_observed
-- caveat: What counts as a tie depends on the length of the period; this one is not a calendar month.
-- restricted: yes
with span as (
    select
        period,
        getvariable('as_of') - (back + 1) * cast(getvariable('silence_days') as integer) + 1 as date_from,
        getvariable('as_of') - back * cast(getvariable('silence_days') as integer) as date_to
    from (values ('present', 0), ('before', 1)) as p(period, back)
),
judged as (
    select s.*, exists (
        select 1 from metrics.observed_stretch as o where o.date_from <= s.date_from and o.date_to >= s.date_to
    ) as is_observed
    from span as s
),
tie as (
    select
        j.period, d.person_a_key, d.person_b_key,
        count(distinct d.date) as active_days,
        sum(d.day_weight) as day_weight,
        least(
            sum(d.ab_direct_weight + d.co_direct_weight), sum(d.ba_direct_weight + d.co_direct_weight),
            sum(d.ab_direct_weight + d.ba_direct_weight + d.co_direct_weight) / 2
        ) >= 1 - 1e-6 as is_exchange
    from judged as j
    join core.pair_day as d on d.date between j.date_from and j.date_to
    left join core.person as a on a.person_key = d.person_a_key
    left join core.person as b on b.person_key = d.person_b_key
    where not d.is_external and d.ab_count + d.ba_count + d.co_count > 0 and d.date <= getvariable('as_of')
        and d.date <= coalesce(least(a.left_on, b.left_on), d.date)
    group by j.period, d.person_a_key, d.person_b_key
)
select j.period, j.date_from, j.date_to, j.is_observed, t.person_a_key, t.person_b_key, t.active_days
from judged as j
left join tie as t on t.period = j.period and (floor(t.day_weight + 1e-6) >= getvariable('tie_active_days') or t.is_exchange)
-- where nothing is stored there is no day to speak of
where j.date_from is not null
