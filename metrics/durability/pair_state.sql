-- description: Where each relationship stands on the last day built, by its silence against its own habit. In this order, with S =
--   `silence_days` and all days observed ones:
--   ended: silent for S days or more;
--   dormant: silent for a third of S or more, and either never a tie or silent for more than `gap_ratio_limit` times its usual gap;
--   revived: a silence of S days or more was broken within the last S days;
--   forming: first contact at most `forming_days` ago, or not yet a tie;
--   weakening: silent for a third of S or more and for more than half of `gap_ratio_limit` times its usual gap, or in contact on at most
--   half as many days in the last S days as in the S days before (there at least 4);
--   active: everything else.
-- grain: person_a_key, person_b_key
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: state | text | forming, active, weakening, dormant, ended or revived.
-- column: is_tie | flag | Whether all that passed between them makes a tie: `tie_active_days` days in touch, or an exchange (see pair_panel).
-- column: first_date | date | First active day.
-- column: last_date | date | Last active day.
-- column: active_days | count | Active days in all.
-- column: silence_days | days | Observed days since the last active day.
-- column: mean_gap_days | days | Mean gap between active days, in observed days; empty for one-day ties.
-- column: gap_ratio | ratio | silence_days / mean_gap_days; empty for one-day ties.
-- column: is_gap_flagged | flag | Whether that is above `gap_ratio_limit`, so that the tie has probably gone; empty for one-day ties.
-- column: returned_date | date | The day that last broke a silence of S days or more; empty if none did.
-- column: recent_active_days | count | Active days in the last S observed days.
-- column: earlier_active_days | count | Active days in the S observed days before those; empty if not so long observed.
-- unique: person_a_key, person_b_key
-- not_null: person_a_key, person_b_key, state, is_tie, first_date, last_date, active_days, silence_days
-- assert: state in ('forming', 'active', 'weakening', 'dormant', 'ended', 'revived')
-- assert: (active_days > 1) = (gap_ratio is not null)
-- caveat: Silence in the recorded media is not the end of a relationship: people may meet where nothing is recorded.
-- caveat: A gap in collection stops the clock, so a tie that ended within one shows as ended only later.
-- reference: Navarro, Miritello, Canales, Moro (2017), Temporal patterns behind the strength of persistent ties, EPJ Data Science 6, 31.
-- restricted: yes
-- partition: pair
with day_pair as (
    select d.person_a_key, d.person_b_key, d.date, o.day_number, sum(d.day_weight) as day_weight,
        sum(d.ab_direct_weight) as ab_weight, sum(d.ba_direct_weight) as ba_weight, sum(d.co_direct_weight) as co_weight
    from core.pair_day as d
    join metrics.observed_day as o on o.date = d.date
    where d.date <= getvariable('as_of') and d.ab_count + d.ba_count + d.co_count > 0
    group by d.person_a_key, d.person_b_key, d.date, o.day_number
),
today as (
    select max(day_number) as day_number from metrics.observed_day
),
spaced as (
    select
        d.*, t.day_number as today_number, t.day_number - d.day_number as age,
        d.day_number - lag(d.day_number) over (partition by d.person_a_key, d.person_b_key order by d.date) as gap
    from day_pair as d
    cross join today as t
),
summed as (
    select
        person_a_key, person_b_key,
        min(date) as first_date, max(date) as last_date, count(*) as active_days,
        min(age) as silence_days, max(age) as age_days,
        -- two days in a gap in collection have the same number on the clock
        greatest(avg(gap), 1.0 / count(*)) as mean_gap_days,
        max(date) filter (where gap >= getvariable('silence_days')) as returned_date,
        min(age) filter (where gap >= getvariable('silence_days')) as returned_days,
        count(*) filter (where age < getvariable('silence_days')) as recent_active_days,
        case
            when any_value(today_number) >= 2 * getvariable('silence_days')
                then count(*) filter (where age >= getvariable('silence_days') and age < 2 * getvariable('silence_days'))
        end as earlier_active_days,
        floor(sum(day_weight) + 1e-6) >= getvariable('tie_active_days') or least(
            sum(ab_weight) + sum(co_weight), sum(ba_weight) + sum(co_weight), (sum(ab_weight) + sum(ba_weight) + sum(co_weight)) / 2
        ) >= 1 - 1e-6 as is_tie
    from spaced
    group by person_a_key, person_b_key
),
rated as (
    select
        *, case when active_days > 1 then round(silence_days / mean_gap_days, 9) end as gap_ratio,
        silence_days >= getvariable('silence_days') / 3.0 as is_quiet
    from summed
)
select
    person_a_key, person_b_key,
    case
        when silence_days >= getvariable('silence_days') then 'ended'
        when is_quiet and (not is_tie or gap_ratio > getvariable('gap_ratio_limit')) then 'dormant'
        when returned_days < getvariable('silence_days') then 'revived'
        when age_days <= getvariable('forming_days') or not is_tie then 'forming'
        when is_quiet and gap_ratio > getvariable('gap_ratio_limit') / 2 then 'weakening'
        when earlier_active_days >= 4 and recent_active_days <= earlier_active_days / 2 then 'weakening'
        else 'active'
    end as state,
    is_tie, first_date, last_date, active_days, silence_days,
    case when active_days > 1 then round(mean_gap_days, 9) end as mean_gap_days,
    gap_ratio,
    gap_ratio > getvariable('gap_ratio_limit') as is_gap_flagged,
    returned_date, recent_active_days, earlier_active_days
from rated
