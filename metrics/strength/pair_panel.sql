-- description: What passed between two people in one period, by medium and over all media together (`any`), and whether that makes a tie.
-- grain: panel_kind, panel_start, person_a_key, person_b_key, medium
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: medium | text | The medium; `any` for all together.
-- column: active_days | count | Days with at least one contact other than a reaction, in either direction.
-- column: ab_count | count | Contacts from a to b, without reactions and meetings.
-- column: ba_count | count | Contacts from b to a, without reactions and meetings.
-- column: ab_weight | weight | Sum of weights from a to b.
-- column: ba_weight | weight | Sum of weights from b to a.
-- column: co_count | count | Meetings, huddles and group calls together.
-- column: co_weight | weight | Sum of 1/(n-1) over those.
-- column: minutes | minutes | Minutes together.
-- column: reaction_count | count | Reactions in either direction.
-- column: is_mutual | flag | Whether contacts went both ways (meetings have no direction and do not count here).
-- column: is_tie | flag | Whether the pair is in relation: at least `tie_active_days` active days, or mutual.
-- column: team_a | text | The team of a on the last day of contact in the period.
-- column: team_b | text | The team of b on that day.
-- column: is_cross_team | flag | Whether those teams differ; empty if unknown or external.
-- column: is_external | flag | Whether one of the two belongs to another organisation.
-- column: external_kind | text | The other organisation's kind; empty within the own one.
-- column: external_organisation | text | The other organisation; empty within the own one.
-- unique: panel_kind, panel_start, person_a_key, person_b_key, medium
-- not_null: panel_kind, panel_start, person_a_key, person_b_key, medium, active_days, is_mutual, is_tie
-- assert: active_days >= 0
-- caveat: What counts as a tie depends on the period's length and the threshold; try other thresholds before resting much on one figure.
-- reference: Krings, Karsai, Bernhardsson, Blondel, Saramaki (2012), Effects of time window size and placement, EPJ Data Science 1, 4.
-- restricted: yes
-- rebuild: panel
with daily as (
    select p.panel_kind, p.panel_start, d.*, ab_count + ba_count + co_count > 0 as is_active
    from touched_panel as p
    join core.pair_day as d on d.date >= p.panel_start and d.date < p.panel_end and d.date <= getvariable('as_of')
),
summed as (
    select
        panel_kind, panel_start, person_a_key, person_b_key,
        case when grouping(medium) = 1 then 'any' else medium end as medium,
        count(distinct date) filter (where is_active) as active_days,
        sum(ab_count)::bigint as ab_count,
        sum(ba_count)::bigint as ba_count,
        round(sum(ab_weight), 9) as ab_weight,
        round(sum(ba_weight), 9) as ba_weight,
        sum(co_count)::bigint as co_count,
        round(sum(co_weight), 9) as co_weight,
        round(sum(minutes), 6) as minutes,
        sum(reaction_count)::bigint as reaction_count,
        arg_max(row(team_a, team_b, is_cross_team, is_external, external_kind, external_organisation), (date, medium)) as latest
    from daily
    group by grouping sets (
        (panel_kind, panel_start, person_a_key, person_b_key, medium),
        (panel_kind, panel_start, person_a_key, person_b_key)
    )
)
select
    panel_kind, panel_start, person_a_key, person_b_key, medium,
    active_days, ab_count, ba_count, ab_weight, ba_weight, co_count, co_weight, minutes, reaction_count,
    ab_count > 0 and ba_count > 0 as is_mutual,
    active_days >= getvariable('tie_active_days') or (ab_count > 0 and ba_count > 0) as is_tie,
    latest[1] as team_a,
    latest[2] as team_b,
    latest[3] as is_cross_team,
    latest[4] as is_external,
    latest[5] as external_kind,
    latest[6] as external_organisation
from summed
