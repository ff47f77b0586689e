-- description: What passed between two people in one period, by medium and over all media together (`any`), and whether that makes a tie.
-- grain: panel_kind, panel_start, person_a_key, person_b_key, medium
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: medium | medium | The medium; `any` for all together.
-- column: active_days | count | Days with at least one contact other than a reaction, in either direction.
-- column: ab_count | count | Contacts from a to b, without reactions and meetings.
-- column: ba_count | count | Contacts from b to a, without reactions and meetings.
-- column: ab_weight | weight | Sum of weights from a to b.
-- column: ba_weight | weight | Sum of weights from b to a.
-- column: co_count | count | Meetings, huddles and group calls together.
-- column: co_weight | weight | Sum of 1/(n-1) over those.
-- column: minutes | minutes | Minutes together.
-- column: reaction_count | count | Reactions in either direction.
-- column: ab_direct_weight | weight | Messages from a to b, those to at most `direct_size` people 1 each, those to more by their weight.
-- column: ba_direct_weight | weight | The same from b to a.
-- column: co_direct_weight | weight | Meetings of both, with at most `direct_size` others 1 each, larger ones by their weight.
-- column: direct_count | count | Those messages and meetings of at most `direct_size`.
-- column: direct_days | days | Days in touch: each day's direct weights, at most 1 a day, added up and cut to whole days. A message to one person
--   makes a day; a chat of 60 in which each writes once a sixtieth part of two.
-- column: is_mutual | flag | Whether messages went both ways: a direct weight of 1 or more each way (meetings have no direction and do not count
--   here).
-- column: is_tie | flag | Whether the pair is in relation: at least `tie_active_days` days in touch, or in exchange: a direct weight of 1 or more
--   each way, where a meeting may stand for either way, but each for one only. So a message and its answer make a tie, a message and a
--   meeting, or two meetings.
-- column: is_group_tie | flag | Whether it is a tie that rests on groups alone: on the weights of messages and meetings of more than
--   `direct_size`.
-- column: team_a | text | The team of a on the last day of contact in the period.
-- column: team_b | text | The team of b on that day.
-- column: is_cross_team | flag | Whether those teams differ; empty if unknown or external.
-- column: is_external | flag | Whether one of the two belongs to another organisation.
-- column: external_kind | kind | The other organisation's kind; empty within the own one.
-- unique: panel_kind, panel_start, person_a_key, person_b_key, medium
-- not_null: panel_kind, panel_start, person_a_key, person_b_key, medium, active_days, direct_days, is_mutual, is_tie, is_group_tie
-- assert: active_days >= 0
-- assert: direct_days <= active_days
-- assert: is_tie or not (is_mutual or is_group_tie)
-- caveat: What counts as a tie depends on the period's length and the threshold: tie_definition_sensitivity gives the figures for others.
-- caveat: Contact in larger groups is not nothing: it is in the counts, weights and active days, and a tie by its weight only.
-- reference: Krings, Karsai, Bernhardsson, Blondel, Saramaki (2012), Effects of time window size and placement, EPJ Data Science 1, 4.
-- reference: Newman (2001), Scientific collaboration networks II, Phys. Rev. E 64, 016132: weight 1/(n-1); that a small group counts whole is
--   perdure's own rule.
-- restricted: yes
-- rebuild: panel
-- whole_time: pair
-- joins: as written
-- partition: pair
with by_medium as (
    -- a pair has one row a day and medium, so counting rows counts days
    select
        p.panel_kind, p.panel_start, d.person_a_key, d.person_b_key, d.medium,
        count(*) filter (where d.ab_count + d.ba_count + d.co_count > 0) as active_days,
        count(*) filter (where d.is_first_of_day) as first_days,
        sum(d.ab_count)::bigint as ab_count,
        sum(d.ba_count)::bigint as ba_count,
        sum(d.ab_weight) as ab_weight,
        sum(d.ba_weight) as ba_weight,
        sum(d.co_count)::bigint as co_count,
        sum(d.co_weight) as co_weight,
        sum(d.minutes) as minutes,
        sum(d.reaction_count)::bigint as reaction_count,
        sum(d.ab_direct_weight) as ab_direct_weight,
        sum(d.ba_direct_weight) as ba_direct_weight,
        sum(d.co_direct_weight) as co_direct_weight,
        sum(d.direct_count)::bigint as direct_count,
        sum(least(d.ab_direct_weight + d.ba_direct_weight + d.co_direct_weight, 1)) as medium_day_weight,
        sum(d.day_weight) as day_weight,
        max(d.date) as last_date
    from core.pair_day as d
    join touched_panel_day as p on p.date = d.date
    where p.panel_kind <> 'all' and d.date <= getvariable('as_of')
    group by p.panel_kind, p.panel_start, d.person_a_key, d.person_b_key, d.medium
    union all
    select
        p.panel_kind, p.panel_start, t.person_a_key, t.person_b_key, t.medium, t.active_days, len(t.day_numbers),
        t.ab_count, t.ba_count, t.ab_weight, t.ba_weight, t.co_count, t.co_weight, t.minutes, t.reaction_count,
        t.ab_direct_weight, t.ba_direct_weight, t.co_direct_weight, t.direct_count, t.medium_day_weight, t.day_weight, t.last_contact_date
    from metrics.pair_total as t
    join touched_panel as p on p.panel_kind = 'all'
    where getvariable('is_every_pair') or (t.person_a_key, t.person_b_key) in (select (person_a_key, person_b_key) from changed_pair)
),
summed as (
    select * exclude (first_days, day_weight, medium_day_weight), medium_day_weight as day_weight from by_medium
    union all by name
    select
        panel_kind, panel_start, person_a_key, person_b_key, 'any' as medium,
        -- a day on which two media were used is one day
        sum(first_days)::bigint as active_days,
        sum(ab_count)::bigint as ab_count,
        sum(ba_count)::bigint as ba_count,
        sum(ab_weight) as ab_weight,
        sum(ba_weight) as ba_weight,
        sum(co_count)::bigint as co_count,
        sum(co_weight) as co_weight,
        sum(minutes) as minutes,
        sum(reaction_count)::bigint as reaction_count,
        sum(ab_direct_weight) as ab_direct_weight,
        sum(ba_direct_weight) as ba_direct_weight,
        sum(co_direct_weight) as co_direct_weight,
        sum(direct_count)::bigint as direct_count,
        sum(day_weight) as day_weight,
        max(last_date) as last_date
    from by_medium
    group by panel_kind, panel_start, person_a_key, person_b_key
)
select
    s.panel_kind, s.panel_start, s.person_a_key, s.person_b_key, s.medium,
    s.active_days, s.ab_count, s.ba_count,
    round(s.ab_weight, 9) as ab_weight,
    round(s.ba_weight, 9) as ba_weight,
    s.co_count,
    round(s.co_weight, 9) as co_weight,
    round(s.minutes, 6) as minutes,
    s.reaction_count,
    round(s.ab_direct_weight, 9) as ab_direct_weight,
    round(s.ba_direct_weight, 9) as ba_direct_weight,
    round(s.co_direct_weight, 9) as co_direct_weight,
    s.direct_count,
    -- sums of sixtieths fall short of whole numbers by the rounding
    floor(s.day_weight + 1e-6)::bigint as direct_days,
    least(s.ab_direct_weight, s.ba_direct_weight) >= 1 - 1e-6 as is_mutual,
    direct_days >= getvariable('tie_active_days') or least(
        s.ab_direct_weight + s.co_direct_weight, s.ba_direct_weight + s.co_direct_weight, (s.ab_direct_weight + s.ba_direct_weight + s.co_direct_weight) / 2
    ) >= 1 - 1e-6 as is_tie,
    is_tie and s.direct_count = 0 as is_group_tie,
    -- teams and organisations are those of the last day, whatever the medium
    ma.team as team_a,
    mb.team as team_b,
    case when pa.is_internal and pb.is_internal then ma.team <> mb.team end as is_cross_team,
    not (pa.is_internal and pb.is_internal) as is_external,
    case when not pa.is_internal then pa.kind when not pb.is_internal then pb.kind end as external_kind
from summed as s
join core.person as pa on pa.person_key = s.person_a_key
join core.person as pb on pb.person_key = s.person_b_key
left join core.membership as ma on ma.person_key = s.person_a_key and s.last_date >= ma.valid_from and s.last_date < ma.valid_to
left join core.membership as mb on mb.person_key = s.person_b_key and s.last_date >= mb.valid_from and s.last_date < mb.valid_to
