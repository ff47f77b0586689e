-- description: How strong each relationship is on the last day built, in the two senses that must be kept apart: still in touch (active
--   days, day-decay score) and direct (1/(n-1) weight), with meetings, media and direction.
-- grain: person_a_key, person_b_key
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: first_date | date | First active day (with a contact other than a reaction).
-- column: last_date | date | Last active day.
-- column: silence_days | days | Observed days since the last active day.
-- column: age_days | days | Observed days since the first active day.
-- column: active_days | count | Days with at least one contact other than a reaction, in either direction and any medium.
-- column: ab_count | count | Contacts from a to b, without reactions and meetings.
-- column: ba_count | count | Contacts from b to a, without reactions and meetings.
-- column: co_count | count | Meetings, huddles and group calls together.
-- column: reaction_count | count | Reactions in either direction.
-- column: ab_weight | weight | Sum of 1/(n-1) weights from a to b.
-- column: ba_weight | weight | Sum of 1/(n-1) weights from b to a.
-- column: co_weight | weight | Sum of 1/(n-1) over meetings together.
-- column: weight | weight | ab_weight + ba_weight + co_weight: the direct relationship.
-- column: meeting_minutes | minutes | Minutes together in meetings and calls.
-- column: meeting_strength_minutes | minutes | Those minutes, each meeting's divided by n - 1: a meeting of two counts whole, one of ten a ninth.
-- column: decay_score | score | Sum over active days of 2^(-age/h), age in observed days, h = `half_life_days`: 1 = in touch once, today.
-- column: decay_short_score | score | The same with `short_half_life_days`: what is hot now.
-- column: decay_long_score | score | The same with `long_half_life_days`: what has lasted.
-- column: medium_count | count | Media in which the pair was active.
-- column: media | texts | Those media.
-- column: is_mutual | flag | Whether messages went both ways, as in pair_panel (meetings have no direction and do not count here).
-- column: is_cross_team | flag | Whether they were in different teams on the last day of contact; empty if unknown or external.
-- column: is_external | flag | Whether one of the two belongs to another organisation.
-- column: external_kind | kind | The other organisation's kind; empty within the own one.
-- unique: person_a_key, person_b_key
-- not_null: person_a_key, person_b_key, first_date, last_date, silence_days, active_days, weight, decay_score
-- assert: person_a_key < person_b_key
-- assert: first_date <= last_date and silence_days <= age_days and silence_days >= 0
-- assert: decay_short_score <= decay_long_score + 1e-9 or getvariable('short_half_life_days') > getvariable('long_half_life_days')
-- assert: decay_score >= 0 and decay_score <= active_days + 1e-9
-- caveat: Days, not messages, are counted: forty messages on one day are one day in touch.
-- caveat: Time in a gap in collection does not age a tie: its score stays as it was when collection stopped, which may flatter it.
-- caveat: Strength here says how much two people communicated through recorded media, not how close they are.
-- reference: Ahmad, Porter, Beguerisse-Diaz (2021), Tie-decay networks in continuous time, IEEE TNSE 8, 1759-1771 (events taken as days).
-- reference: Newman (2001), Scientific collaboration networks II, Phys. Rev. E 64, 016132: weight 1/(n-1).
-- restricted: yes
-- joins: as written
-- partition: pair
with today as (
    select max(day_number) as day_number from metrics.observed_day
),
-- what a contact of each day still counts today, in trillionths: sums of whole numbers are the same in any order
fading as (
    select
        d.day_number,
        cast(1e12 * pow(2, (d.day_number - t.day_number) / getvariable('half_life_days')) as bigint) as middle,
        cast(1e12 * pow(2, (d.day_number - t.day_number) / getvariable('short_half_life_days')) as bigint) as short,
        cast(1e12 * pow(2, (d.day_number - t.day_number) / getvariable('long_half_life_days')) as bigint) as long
    from (select distinct day_number from metrics.observed_day) as d
    cross join today as t
),
decayed as (
    select
        a.person_a_key, a.person_b_key,
        count(*) as active_days,
        round(sum(f.middle) / 1e12, 9) as decay_score,
        round(sum(f.short) / 1e12, 9) as decay_short_score,
        round(sum(f.long) / 1e12, 9) as decay_long_score
    from (select person_a_key, person_b_key, unnest(day_numbers) as day_number from metrics.pair_total) as a
    join fading as f on f.day_number = a.day_number
    group by a.person_a_key, a.person_b_key
),
used as (
    select
        person_a_key, person_b_key,
        min(first_date) as first_date,
        max(last_date) as last_date,
        round(sum(strength_minutes), 6) as strength_minutes,
        list_sort(list(medium) filter (where active_days > 0)) as media
    from metrics.pair_total
    group by person_a_key, person_b_key
)
select
    s.person_a_key, s.person_b_key, u.first_date, u.last_date,
    t.day_number - last.day_number as silence_days,
    t.day_number - first.day_number as age_days,
    d.active_days,
    s.ab_count, s.ba_count, s.co_count, s.reaction_count, s.ab_weight, s.ba_weight, s.co_weight,
    round(s.ab_weight + s.ba_weight + s.co_weight, 9) as weight,
    s.minutes as meeting_minutes,
    u.strength_minutes as meeting_strength_minutes,
    d.decay_score, d.decay_short_score, d.decay_long_score,
    len(u.media) as medium_count,
    u.media,
    s.is_mutual,
    case when not s.is_external then ma.team <> mb.team end as is_cross_team,
    s.is_external,
    s.external_kind
from decayed as d
join used as u on u.person_a_key = d.person_a_key and u.person_b_key = d.person_b_key
join metrics.pair_panel as s on s.person_a_key = d.person_a_key and s.person_b_key = d.person_b_key
cross join today as t
join metrics.observed_day as first on first.date = u.first_date
join metrics.observed_day as last on last.date = u.last_date
left join core.membership as ma on ma.person_key = s.person_a_key and u.last_date >= ma.valid_from and u.last_date < ma.valid_to
left join core.membership as mb on mb.person_key = s.person_b_key and u.last_date >= mb.valid_from and u.last_date < mb.valid_to
where s.panel_kind = 'all' and s.medium = 'any'
