-- description: The pairs of people through whom two teams were in contact in one period, with how busy each of the two is with other teams.
-- grain: panel_kind, panel_start, team_a, team_b, side_a_key, side_b_key
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: team_a | text | The team whose name comes first.
-- column: team_b | text | The other team.
-- column: side_a_key | key | The person in team_a.
-- column: side_b_key | key | The person in team_b.
-- column: contact_days | count | Days with contact between the two.
-- column: is_tie | flag | Whether they were a tie.
-- column: side_a_degree | count | With how many people of other teams the person in team_a was in contact.
-- column: side_b_degree | count | The same for the person in team_b.
-- unique: panel_kind, panel_start, team_a, team_b, side_a_key, side_b_key
-- not_null: panel_kind, panel_start, team_a, team_b, side_a_key, side_b_key, contact_days, is_tie, side_a_degree, side_b_degree
-- assert: team_a < team_b
-- caveat: Teams are those of the last day of contact in the period.
-- restricted: yes
-- rebuild: panel
with pair as (
    select
        p.panel_kind, p.panel_start, p.active_days, p.is_tie,
        least(p.team_a, p.team_b) as team_a,
        greatest(p.team_a, p.team_b) as team_b,
        case when p.team_a < p.team_b then p.person_a_key else p.person_b_key end as side_a_key,
        case when p.team_a < p.team_b then p.person_b_key else p.person_a_key end as side_b_key
    from metrics.pair_panel as p
    join touched_panel as t on t.panel_kind = p.panel_kind and t.panel_start = p.panel_start
    where p.medium = 'any' and p.active_days > 0 and p.is_cross_team
),
degree as (
    select panel_kind, panel_start, team, person_key, count(*) as degree
    from (
        select panel_kind, panel_start, team_a as team, side_a_key as person_key from pair
        union all
        select panel_kind, panel_start, team_b, side_b_key from pair
    ) as ended
    group by panel_kind, panel_start, team, person_key
)
select
    p.panel_kind, p.panel_start, p.team_a, p.team_b, p.side_a_key, p.side_b_key, p.active_days as contact_days, p.is_tie,
    a.degree as side_a_degree, b.degree as side_b_degree
from pair as p
join degree as a on a.panel_kind = p.panel_kind and a.panel_start = p.panel_start and a.team = p.team_a and a.person_key = p.side_a_key
join degree as b on b.panel_kind = p.panel_kind and b.panel_start = p.panel_start and b.team = p.team_b and b.person_key = p.side_b_key
