-- description: All that passed between two people in the whole observed time, by medium: what `pair_panel` shows as `all`, and what
--   `pair_strength` weighs by its age. Days that are new are added; only pairs of which an older day has changed are summed anew.
-- grain: person_a_key, person_b_key, medium
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: medium | medium | The medium.
-- column: first_date | date | First active day (with a contact other than a reaction); empty where there were reactions only.
-- column: last_date | date | Last active day.
-- column: last_contact_date | date | Last day of contact, reactions included.
-- column: active_days | count | Days with at least one contact other than a reaction, in either direction.
-- column: day_numbers | numbers | The numbers (see `observed_day`) of those days on which no medium of an earlier name was used, in order: of all
--   media together, each of the pair's active days once.
-- column: ab_count | count | Contacts from a to b, without reactions and meetings.
-- column: ba_count | count | Contacts from b to a, without reactions and meetings.
-- column: ab_weight | weight | Sum of weights from a to b.
-- column: ba_weight | weight | Sum of weights from b to a.
-- column: co_count | count | Meetings, huddles and group calls together.
-- column: co_weight | weight | Sum of 1/(n-1) over those.
-- column: minutes | minutes | Minutes together.
-- column: strength_minutes | minutes | Those minutes, each meeting's or call's times its weight.
-- column: reaction_count | count | Reactions in either direction.
-- column: ab_direct_weight | weight | Messages from a to b, those to at most `direct_size` people 1 each, those to more by their weight.
-- column: ba_direct_weight | weight | The same from b to a.
-- column: co_direct_weight | weight | Meetings of both, with at most `direct_size` others 1 each, larger ones by their weight.
-- column: direct_count | count | Those messages and meetings of at most `direct_size`.
-- column: medium_day_weight | weight | Days in touch in this medium, before they are cut to whole ones: each day's direct weights, at most 1.
-- column: day_weight | weight | The same of those days on which no medium of an earlier name was used, over all media: of all media together, the
--   pair's days in touch.
-- unique: person_a_key, person_b_key, medium
-- not_null: person_a_key, person_b_key, medium, last_contact_date, active_days, day_numbers
-- assert: active_days >= len(day_numbers)
-- assert: (first_date is null) = (active_days = 0)
-- caveat: Active days of several media cannot be added: a day on which two were used would count twice. Lengths of day_numbers can.
-- restricted: yes
-- rebuild: pair
-- joins: as written
-- partition: pair
with contact_day as (
    select * from core.pair_day where date > getvariable('summed_until') and date <= getvariable('as_of')
    union all
    select d.*
    from core.pair_day as d
    semi join touched_pair as t on t.person_a_key = d.person_a_key and t.person_b_key = d.person_b_key
    where d.date <= least(getvariable('summed_until'), getvariable('as_of'))
),
summed as (
    select
        d.person_a_key, d.person_b_key, d.medium,
        min(d.date) filter (where d.ab_count + d.ba_count + d.co_count > 0) as first_date,
        max(d.date) filter (where d.ab_count + d.ba_count + d.co_count > 0) as last_date,
        max(d.date) as last_contact_date,
        count(*) filter (where d.ab_count + d.ba_count + d.co_count > 0) as active_days,
        coalesce(list_sort(list(o.day_number) filter (where d.is_first_of_day)), []) as day_numbers,
        sum(d.ab_count)::bigint as ab_count,
        sum(d.ba_count)::bigint as ba_count,
        sum(d.ab_weight) as ab_weight,
        sum(d.ba_weight) as ba_weight,
        sum(d.co_count)::bigint as co_count,
        sum(d.co_weight) as co_weight,
        sum(d.minutes) as minutes,
        sum(d.strength_minutes) as strength_minutes,
        sum(d.reaction_count)::bigint as reaction_count,
        sum(d.ab_direct_weight) as ab_direct_weight,
        sum(d.ba_direct_weight) as ba_direct_weight,
        sum(d.co_direct_weight) as co_direct_weight,
        sum(d.direct_count)::bigint as direct_count,
        sum(least(d.ab_direct_weight + d.ba_direct_weight + d.co_direct_weight, 1)) as medium_day_weight,
        sum(d.day_weight) as day_weight
    from contact_day as d
    join metrics.observed_day as o on o.date = d.date
    group by d.person_a_key, d.person_b_key, d.medium
)
select
    s.person_a_key, s.person_b_key, s.medium,
    least(s.first_date, b.first_date) as first_date,
    greatest(s.last_date, b.last_date) as last_date,
    s.last_contact_date,
    s.active_days + coalesce(b.active_days, 0) as active_days,
    coalesce(b.day_numbers, []) || s.day_numbers as day_numbers,
    s.ab_count + coalesce(b.ab_count, 0) as ab_count,
    s.ba_count + coalesce(b.ba_count, 0) as ba_count,
    -- rounded, since the order of a parallel sum is not fixed and a rerun must give the same figures
    round(s.ab_weight + coalesce(b.ab_weight, 0), 9) as ab_weight,
    round(s.ba_weight + coalesce(b.ba_weight, 0), 9) as ba_weight,
    s.co_count + coalesce(b.co_count, 0) as co_count,
    round(s.co_weight + coalesce(b.co_weight, 0), 9) as co_weight,
    round(s.minutes + coalesce(b.minutes, 0), 6) as minutes,
    round(s.strength_minutes + coalesce(b.strength_minutes, 0), 6) as strength_minutes,
    s.reaction_count + coalesce(b.reaction_count, 0) as reaction_count,
    round(s.ab_direct_weight + coalesce(b.ab_direct_weight, 0), 9) as ab_direct_weight,
    round(s.ba_direct_weight + coalesce(b.ba_direct_weight, 0), 9) as ba_direct_weight,
    round(s.co_direct_weight + coalesce(b.co_direct_weight, 0), 9) as co_direct_weight,
    s.direct_count + coalesce(b.direct_count, 0) as direct_count,
    round(s.medium_day_weight + coalesce(b.medium_day_weight, 0), 9) as medium_day_weight,
    round(s.day_weight + coalesce(b.day_weight, 0), 9) as day_weight
from summed as s
left join pair_total_before as b on b.person_a_key = s.person_a_key and b.person_b_key = s.person_b_key and b.medium = s.medium
