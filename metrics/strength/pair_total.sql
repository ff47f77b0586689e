-- description: All that passed between two people in the whole observed time, by medium: what `pair_panel` shows as `all`, and what
--   `pair_strength` weighs by its age. Only pairs in contact on a day that was built anew are summed again.
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
-- unique: person_a_key, person_b_key, medium
-- not_null: person_a_key, person_b_key, medium, last_contact_date, active_days, day_numbers
-- assert: active_days >= len(day_numbers)
-- assert: (first_date is null) = (active_days = 0)
-- caveat: Active days of several media cannot be added: a day on which two were used would count twice. Lengths of day_numbers can.
-- restricted: yes
-- rebuild: pair
-- joins: as written
-- partition: pair
select
    d.person_a_key, d.person_b_key, d.medium,
    min(d.date) filter (where d.ab_count + d.ba_count + d.co_count > 0) as first_date,
    max(d.date) filter (where d.ab_count + d.ba_count + d.co_count > 0) as last_date,
    max(d.date) as last_contact_date,
    count(*) filter (where d.ab_count + d.ba_count + d.co_count > 0) as active_days,
    coalesce(list_sort(list(o.day_number) filter (where d.is_first_of_day)), []) as day_numbers,
    sum(d.ab_count)::bigint as ab_count,
    sum(d.ba_count)::bigint as ba_count,
    -- rounded, since the order of a parallel sum is not fixed and a rerun must give the same figures
    round(sum(d.ab_weight), 9) as ab_weight,
    round(sum(d.ba_weight), 9) as ba_weight,
    sum(d.co_count)::bigint as co_count,
    round(sum(d.co_weight), 9) as co_weight,
    round(sum(d.minutes), 6) as minutes,
    round(sum(d.strength_minutes), 6) as strength_minutes,
    sum(d.reaction_count)::bigint as reaction_count
from core.pair_day as d
join metrics.observed_day as o on o.date = d.date
where d.date <= getvariable('as_of')
    and (getvariable('is_every_pair') or (d.person_a_key, d.person_b_key) in (select (person_a_key, person_b_key) from touched_pair))
group by d.person_a_key, d.person_b_key, d.medium
