-- description: What passed between two people on one day in one medium, with the teams and organisations they were in on that day.
-- grain: person_a_key, person_b_key, date, medium
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: date | date | The day in the organisation's time zone.
-- column: medium | text | The medium.
-- column: ab_count | count | Contacts from a to b, without reactions and meetings.
-- column: ba_count | count | Contacts from b to a, without reactions and meetings.
-- column: ab_weight | weight | Sum of the weights from a to b, reactions included.
-- column: ba_weight | weight | Sum of the weights from b to a, reactions included.
-- column: co_count | count | Meetings, huddles and group calls that both attended.
-- column: co_weight | weight | Sum of 1/(n-1) over those.
-- column: minutes | minutes | Minutes spent together in those and in calls.
-- column: reaction_count | count | Reactions in either direction.
-- column: standing_count | count | How many of the meetings were of a recurring series.
-- column: team_a | text | The team of a on that day; empty if unknown.
-- column: team_b | text | The team of b on that day; empty if unknown.
-- column: is_cross_team | flag | Whether both are internal and in different teams; empty if a team is unknown or one is external.
-- column: organisation_a | text | The organisation of a.
-- column: organisation_b | text | The organisation of b.
-- column: is_external | flag | Whether one of the two, or both, belongs to another organisation.
-- column: external_kind | text | The kind of the organisation that is not the own one: client, supplier, partner, public_body or unknown.
-- column: external_organisation | text | That organisation; empty within the own one.
-- unique: person_a_key, person_b_key, date, medium
-- not_null: person_a_key, person_b_key, date, medium, is_external
-- assert: person_a_key < person_b_key
-- assert: ab_count + ba_count + co_count + reaction_count > 0
-- caveat: A pair is active on a day when there was a contact other than a reaction.
-- restricted: yes
-- rebuild: day
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
        count(*) filter (where evidence = 'reacted') as reaction_count,
        count(*) filter (where is_standing) as standing_count
    from core.contact
    where date in (select date from touched_day) and date between getvariable('touched_first') and getvariable('touched_last')
    group by all
)
select
    s.*,
    ma.team as team_a,
    mb.team as team_b,
    case when pa.is_internal and pb.is_internal then ma.team <> mb.team end as is_cross_team,
    pa.organisation_key as organisation_a,
    pb.organisation_key as organisation_b,
    not (pa.is_internal and pb.is_internal) as is_external,
    case when not pa.is_internal then pa.kind when not pb.is_internal then pb.kind end as external_kind,
    case when not pa.is_internal then pa.organisation_key when not pb.is_internal then pb.organisation_key end as external_organisation
from summed as s
join core.person as pa on pa.person_key = s.person_a_key
join core.person as pb on pb.person_key = s.person_b_key
left join core.membership as ma on ma.person_key = s.person_a_key and s.date >= ma.valid_from and s.date < ma.valid_to
left join core.membership as mb on mb.person_key = s.person_b_key and s.date >= mb.valid_from and s.date < mb.valid_to
