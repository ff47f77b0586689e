-- description: Pairs in contact in the `bridge_lookback_days` before a cut, and whether they are again in the `bridge_horizon_days` after it.
-- grain: cut_date, person_a_key, person_b_key
-- column: cut_date | date | The day on which the past ends and the future begins.
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: is_tie | flag | Whether contact in that past made a tie: `tie_active_days` days in touch, or an exchange (see pair_panel).
-- column: is_kept | flag | Whether the pair is in contact again within the horizon.
-- column: is_cross_team | flag | Whether the two were in different teams on the last day of contact before; empty if unknown or external.
-- column: is_external | flag | Whether one of the two belonged to another organisation on that day.
-- unique: cut_date, person_a_key, person_b_key
-- not_null: cut_date, person_a_key, person_b_key, is_tie, is_kept, is_external
-- caveat: One pair may be in contact before several cuts: rows of different cuts hang together.
-- restricted: yes
with daily as (
    select
        person_a_key, person_b_key, date,
        sum(day_weight) as day_weight,
        sum(ab_direct_weight + co_direct_weight) as to_b,
        sum(ba_direct_weight + co_direct_weight) as to_a,
        sum(ab_direct_weight + ba_direct_weight + co_direct_weight) as direct_weight,
        -- the greatest of these is that of the last day; the lowest bits say what the two were on it
        (date - date '1970-01-01') * 8 + case when bool_or(is_external) then 4 else 0 end
            + case any_value(is_cross_team) when true then 2 when false then 1 else 0 end as standing
    from core.pair_day
    where ab_count + ba_count + co_count > 0 and date <= getvariable('as_of')
        and date >= (select min(cut_date) from metrics.bridge_cut) - getvariable('bridge_lookback_days')
    group by person_a_key, person_b_key, date
),
counted as (
    select
        c.cut_date, d.person_a_key, d.person_b_key,
        count(*) filter (where d.date < c.cut_date) as past_days,
        floor(sum(d.day_weight) filter (where d.date < c.cut_date) + 1e-6) as direct_days,
        sum(d.to_b) filter (where d.date < c.cut_date) as to_b,
        sum(d.to_a) filter (where d.date < c.cut_date) as to_a,
        sum(d.direct_weight) filter (where d.date < c.cut_date) as direct_weight,
        max(d.standing) filter (where d.date < c.cut_date) % 8 as standing,
        count(*) filter (where d.date >= c.cut_date) > 0 as is_kept
    from metrics.bridge_cut as c
    join daily as d
        on d.date >= c.cut_date - getvariable('bridge_lookback_days') and d.date < c.cut_date + getvariable('bridge_horizon_days')
    group by c.cut_date, d.person_a_key, d.person_b_key
)
select
    cut_date, person_a_key, person_b_key,
    direct_days >= getvariable('tie_active_days') or least(to_b, to_a, direct_weight / 2) >= 1 - 1e-6 as is_tie,
    is_kept,
    case standing % 4 when 2 then true when 1 then false end as is_cross_team,
    standing >= 4 as is_external
from counted
where past_days > 0
