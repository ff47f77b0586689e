-- description: What each person carries of the contact between their team and another: days of contact in the period, summed over people there.
-- grain: panel_kind, panel_start, team_a, team_b, person_key
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: team_a | text | The team whose name comes first.
-- column: team_b | text | The other team.
-- column: person_key | key | The person.
-- column: is_side_a | flag | Whether the person is in team_a.
-- column: contact_days | count | Days of contact with people of the other team, summed over those people.
-- column: partner_count | count | With how many people there.
-- column: tie_count | count | With how many of them there is a tie.
-- column: all_contact_days | count | Days of contact with everyone in the organisation, summed over people: how active the person is in all.
-- unique: panel_kind, panel_start, team_a, team_b, person_key, is_side_a
-- not_null: panel_kind, panel_start, team_a, team_b, person_key, is_side_a, contact_days, partner_count, tie_count, all_contact_days
-- assert: team_a < team_b
-- assert: contact_days <= all_contact_days
-- caveat: A person who changed teams in the period stands in both.
-- restricted: yes
-- rebuild: panel
with pair as (
    select p.panel_kind, p.panel_start, p.person_a_key, p.person_b_key, p.active_days, p.is_tie, p.team_a, p.team_b, p.is_cross_team
    from metrics.pair_panel as p
    join touched_panel as t on t.panel_kind = p.panel_kind and t.panel_start = p.panel_start
    where p.medium = 'any' and p.active_days > 0 and not p.is_external
),
ended as (
    select panel_kind, panel_start, person_a_key as person_key, team_a as own_team, team_b as other_team, is_cross_team, active_days, is_tie from pair
    union all
    select panel_kind, panel_start, person_b_key, team_b, team_a, is_cross_team, active_days, is_tie from pair
),
activity as (
    select panel_kind, panel_start, person_key, sum(active_days) as all_contact_days from ended group by panel_kind, panel_start, person_key
)
select
    e.panel_kind, e.panel_start, least(e.own_team, e.other_team) as team_a, greatest(e.own_team, e.other_team) as team_b, e.person_key,
    e.own_team < e.other_team as is_side_a,
    sum(e.active_days) as contact_days, count(*) as partner_count, count(*) filter (where e.is_tie) as tie_count,
    any_value(a.all_contact_days) as all_contact_days
from ended as e
join activity as a on a.panel_kind = e.panel_kind and a.panel_start = e.panel_start and a.person_key = e.person_key
where e.is_cross_team
group by e.panel_kind, e.panel_start, e.own_team, e.other_team, e.person_key
