-- description: How many ties each newcomer had made 30, 60 and 90 days after joining, by medium and in all; zero where watched and there was none.
-- grain: person_key, medium, horizon_days
-- column: person_key | key | The newcomer.
-- column: cohort_date | date | First day of the month of joining.
-- column: start_date | date | The day of joining, or of the first contact.
-- column: evidence | text | stated (a source gives the day) or first_seen (first contact, more than `silence_days` observed days after collection began).
-- column: medium | text | The medium; `any` for all together.
-- column: horizon_days | days | 30, 60 or 90.
-- column: tie_count | count | People in the organisation with whom a tie had been made in the medium by then: `tie_active_days` days in touch, or an
--   exchange (see pair_panel).
-- column: cross_team_tie_count | count | Those in another team (on the latest day of contact); empty where nobody's team is known.
-- column: status | text | counted; or why not: too_recent (the days are not over), gap (not all were observed) or left (gone before the day).
-- unique: person_key, medium, horizon_days
-- not_null: person_key, cohort_date, start_date, evidence, medium, horizon_days, status
-- assert: (tie_count is null) = (status <> 'counted')
-- caveat: The day of the first contact is later than the day of joining, and someone long silent looks new.
-- restricted: yes
with seen as (
    select person_key, min(date) as first_date
    from (
        select date, unnest([person_a_key, person_b_key]) as person_key
        from core.pair_day
        where date <= getvariable('as_of') and ab_count + ba_count + co_count > 0
    ) as each
    group by person_key
),
newcomer as (
    select
        p.person_key, p.left_on,
        coalesce(p.joined_on, s.first_date) as start_date,
        case when p.joined_on is null then 'first_seen' else 'stated' end as evidence
    from core.person as p
    left join seen as s on s.person_key = p.person_key
    where p.is_internal
        and coalesce(p.joined_on, s.first_date) <= getvariable('as_of')
        and coalesce(p.joined_on, s.first_date) >= (select min(date_from) from metrics.observed_stretch)
        and (p.joined_on is not null or exists (
            -- early in a stretch everyone is seen for the first time
            select 1 from metrics.observed_stretch as o
            where s.first_date between o.date_from + cast(getvariable('silence_days') as integer) and o.date_to
        ))
),
horizon as (
    select n.*, h.horizon_days, n.start_date + h.horizon_days - 1 as last_date
    from newcomer as n
    cross join (values (30), (60), (90)) as h(horizon_days)
),
judged as (
    select
        *,
        case
            when last_date > getvariable('as_of') then 'too_recent'
            when left_on < last_date then 'left'
            when not exists (
                select 1 from metrics.observed_stretch as o where h.start_date >= o.date_from and h.last_date <= o.date_to
            ) then 'gap'
            else 'counted'
        end as status
    from horizon as h
),
met as (
    select person_a_key as person_key, person_b_key as other_key, date, medium, ab_direct_weight, ba_direct_weight, co_direct_weight, day_weight,
        is_cross_team
    from core.pair_day
    where not is_external and ab_count + ba_count + co_count > 0 and date <= getvariable('as_of')
    union all
    select person_b_key, person_a_key, date, medium, ba_direct_weight, ab_direct_weight, co_direct_weight, day_weight, is_cross_team
    from core.pair_day
    where not is_external and ab_count + ba_count + co_count > 0 and date <= getvariable('as_of')
),
tie as (
    select
        j.person_key, j.horizon_days, m.other_key,
        case when grouping(m.medium) = 1 then 'any' else m.medium end as medium,
        arg_max(m.is_cross_team, m.date) as is_cross_team
    from judged as j
    join met as m on m.person_key = j.person_key and m.date between j.start_date and j.last_date
    where j.status = 'counted'
    group by grouping sets ((j.person_key, j.horizon_days, m.other_key, m.medium), (j.person_key, j.horizon_days, m.other_key))
    having floor(1e-6 + case
            when grouping(m.medium) = 1 then sum(m.day_weight) else sum(least(m.ab_direct_weight + m.ba_direct_weight + m.co_direct_weight, 1))
        end) >= getvariable('tie_active_days')
        or least(
            sum(m.ab_direct_weight + m.co_direct_weight), sum(m.ba_direct_weight + m.co_direct_weight),
            sum(m.ab_direct_weight + m.ba_direct_weight + m.co_direct_weight) / 2
        ) >= 1 - 1e-6
),
counted as (
    select person_key, horizon_days, medium, count(*) as tie_count, count(*) filter (where is_cross_team) as cross_team_tie_count
    from tie
    group by person_key, horizon_days, medium
),
medium as (
    select distinct medium from core.observation
)
select
    j.person_key,
    date_trunc('month', j.start_date)::date as cohort_date,
    j.start_date,
    j.evidence,
    m.medium,
    j.horizon_days,
    case when j.status = 'counted' then coalesce(c.tie_count, 0) end as tie_count,
    case
        when j.status = 'counted' and exists (select 1 from core.membership where team is not null) then coalesce(c.cross_team_tie_count, 0)
    end as cross_team_tie_count,
    j.status
from judged as j
cross join medium as m
left join counted as c on c.person_key = j.person_key and c.horizon_days = j.horizon_days and c.medium = m.medium
