-- description: What passed between two people on one day in one medium.
-- grain: person_a_key, person_b_key, date, medium
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: date | date | The day in the organisation's time zone.
-- column: medium | medium | The medium.
-- column: is_first_of_day | flag | Whether the pair was active in it, and in no medium of an earlier name on that day: counting these rows
--   counts the pair's active days over all media.
-- column: ab_count | count | Contacts from a to b, without reactions and meetings.
-- column: ba_count | count | Contacts from b to a, without reactions and meetings.
-- column: ab_weight | weight | Sum of the weights from a to b, reactions included.
-- column: ba_weight | weight | Sum of the weights from b to a, reactions included.
-- column: co_count | count | Meetings, huddles and group calls that both attended.
-- column: co_weight | weight | Sum of 1/(n-1) over those.
-- column: minutes | minutes | Minutes spent together in those and in calls.
-- column: strength_minutes | minutes | Those minutes, each meeting's or call's times its weight: one of two people counts whole, one of ten a ninth.
-- column: reaction_count | count | Reactions in either direction.
-- column: standing_count | count | How many of the meetings were of a recurring series.
-- column: ab_direct_weight | weight | Messages from a to b, those to at most `direct_size` people 1 each, those to more by their weight.
-- column: ba_direct_weight | weight | The same from b to a.
-- column: co_direct_weight | weight | Meetings, huddles and group calls of both, with at most `direct_size` others 1 each, larger ones by their weight.
-- column: direct_count | count | Those messages and meetings of at most `direct_size`.
-- column: day_weight | weight | What the day adds to the pair's days in touch, in the row that is_first_of_day: the direct weights of all media
--   together, at most 1; in other rows 0.
-- column: is_cross_team | flag | Whether both were internal and in different teams on that day; empty if a team is unknown or one is external.
-- column: is_external | flag | Whether one of the two, or both, belongs to another organisation.
-- column: external_kind | kind | The kind of the organisation that is not the own one: client, supplier, partner, public_body or unknown.
-- unique: person_a_key, person_b_key, date, medium
-- not_null: person_a_key, person_b_key, date, medium, is_first_of_day, is_external, ab_direct_weight, ba_direct_weight, co_direct_weight, direct_count, day_weight
-- assert: person_a_key < person_b_key
-- assert: ab_count + ba_count + co_count + reaction_count > 0
-- assert: ab_count + ba_count + co_count > 0 or not is_first_of_day
-- assert: day_weight between 0 and 1 and (day_weight > 0) = is_first_of_day
-- assert: direct_count <= ab_direct_weight + ba_direct_weight + co_direct_weight + 1e-6
-- caveat: A pair is active on a day when there was a contact other than a reaction. It is in touch on a day by a message to at most
--   `direct_size` people or a meeting with at most so many others; larger ones add up by their weights: see metrics.pair_panel.
-- caveat: The teams of a day are in core.membership, the organisations in core.person.
-- restricted: yes
-- rebuild: day
-- joins: as written
-- partition: pair
with summed as (
    select
        least(from_key, to_key) as person_a_key,
        greatest(from_key, to_key) as person_b_key,
        date,
        medium,
        count(*) filter (where from_key < to_key and evidence not in ('co_present', 'reacted')) as ab_count,
        count(*) filter (where from_key > to_key and evidence <> 'reacted') as ba_count,
        -- rounded, since the order of a parallel sum is not fixed and a rerun must give the same figures
        round(coalesce(sum(weight) filter (where from_key < to_key and evidence <> 'co_present'), 0), 9) as ab_weight,
        round(coalesce(sum(weight) filter (where from_key > to_key), 0), 9) as ba_weight,
        count(*) filter (where evidence = 'co_present') as co_count,
        round(coalesce(sum(weight) filter (where evidence = 'co_present'), 0), 9) as co_weight,
        round(coalesce(sum(minutes), 0), 6) as minutes,
        round(coalesce(sum(minutes * weight), 0), 6) as strength_minutes,
        count(*) filter (where evidence = 'reacted') as reaction_count,
        count(*) filter (where is_standing) as standing_count,
        round(coalesce(sum(direct_weight) filter (where from_key < to_key and evidence <> 'co_present'), 0), 9) as ab_direct_weight,
        round(coalesce(sum(direct_weight) filter (where from_key > to_key), 0), 9) as ba_direct_weight,
        round(coalesce(sum(direct_weight) filter (where evidence = 'co_present'), 0), 9) as co_direct_weight,
        count(*) filter (where reach_count <= getvariable('direct_size') and evidence <> 'reacted') as direct_count
    from (
        select
            *, case when evidence <> 'reacted' then case when reach_count <= getvariable('direct_size') then 1.0 else weight end end as direct_weight
        from core.contact
        where date in (select date from touched_day) and date between getvariable('touched_first') and getvariable('touched_last')
    ) as each
    group by all
),
-- few pairs use more than one medium on a day
in_several as (
    select
        person_a_key, person_b_key, date, min(medium) as first_medium, sum(ab_direct_weight + ba_direct_weight + co_direct_weight) as direct_weight
    from summed
    where ab_count + ba_count + co_count > 0
    group by person_a_key, person_b_key, date
    having count(*) > 1
)
select
    s.person_a_key, s.person_b_key, s.date, s.medium,
    s.ab_count + s.ba_count + s.co_count > 0 and coalesce(v.first_medium = s.medium, true) as is_first_of_day,
    s.ab_count, s.ba_count, s.ab_weight, s.ba_weight, s.co_count, s.co_weight, s.minutes, s.strength_minutes, s.reaction_count, s.standing_count,
    s.ab_direct_weight, s.ba_direct_weight, s.co_direct_weight, s.direct_count,
    case
        when is_first_of_day then round(least(coalesce(v.direct_weight, s.ab_direct_weight + s.ba_direct_weight + s.co_direct_weight), 1), 9)
        else 0
    end as day_weight,
    case when pa.is_internal and pb.is_internal then ma.team <> mb.team end as is_cross_team,
    not (pa.is_internal and pb.is_internal) as is_external,
    case when not pa.is_internal then pa.kind when not pb.is_internal then pb.kind end as external_kind
from summed as s
left join in_several as v on v.person_a_key = s.person_a_key and v.person_b_key = s.person_b_key and v.date = s.date
join core.person as pa on pa.person_key = s.person_a_key
join core.person as pb on pb.person_key = s.person_b_key
left join core.membership as ma on ma.person_key = s.person_a_key and s.date >= ma.valid_from and s.date < ma.valid_to
left join core.membership as mb on mb.person_key = s.person_b_key and s.date >= mb.valid_from and s.date < mb.valid_to
