-- description: What policies are judged by, for each team and week and for the whole organisation (team empty): meeting hours, new ties,
--   ties kept and share of contact across teams, seen from each member's side. Built only where settings declare a policy.
-- grain: team, week_start
-- role: people of team | member_count
-- role: calendar | is_observed
-- role: estimate over member_count | meeting_hours
-- role: pairs | new_tie_count, at_risk_count
-- role: volume over team | internal_contact_count
-- role: estimate over new_tie_count | new_tie_ratio
-- role: estimate over member_count | kept_ratio, cross_team_ratio
-- column: team | text | The team; empty for the whole organisation.
-- column: week_start | date | Monday of the week.
-- column: is_observed | flag | Whether all seven days were observed; if not, outcomes are empty, not 0.
-- column: member_count | count | Members in that week: in the team on its Thursday, and between their first and last contact ever. 0 where all
--   of them fell silent and ties of the weeks before are at risk.
-- column: meeting_hours | hours | Hours in meetings and calls, a member.
-- column: new_tie_count | count | Sides of new ties: ties that first qualified in the week; a tie within the team counts for both.
-- column: new_tie_ratio | ratio | New ties a member; empty while collection is younger than `silence_days` and `landmark_days` together: first old
--   ties look new, then those that take weeks to qualify are missing.
-- column: at_risk_count | count | Sides of pairs in contact in the four weeks before.
-- column: kept_ratio | ratio | Share of them in contact in this week too; empty unless those four weeks were observed.
-- column: internal_contact_count | count | Sides of days in contact with a colleague whose team is known.
-- column: cross_team_ratio | ratio | Share of them with another team.
-- unique: team, week_start
-- not_null: week_start, is_observed, member_count
-- assert: kept_ratio between 0 and 1 and cross_team_ratio between 0 and 1
-- assert: is_observed or (meeting_hours is null and kept_ratio is null and new_tie_ratio is null and cross_team_ratio is null)
-- caveat: Meetings of more people than `meeting_cap` are left out of the hours.
-- caveat: Small teams swing widely from week to week.
-- reference: Burt (2000), Decay functions, Social Networks 22, 1-28: ties kept as the outcome.
with declared as (
    select count(*) > 0 as is_any from core.policy
),
week as (
    select
        date_trunc('week', date)::date as week_start,
        count(*) filter (where is_observed) = 7 as is_observed,
        min(day_number) as day_number
    from metrics.observed_day
    where (select is_any from declared)
    group by 1
),
numbered as (
    select
        w.*,
        (count(*) filter (where is_observed) over (order by week_start rows between 4 preceding and 1 preceding)) = 4 as is_preceded
    from week as w
),
active_day as (
    select d.date, d.person_a_key, d.person_b_key, d.is_cross_team, pa.is_internal as is_internal_a, pb.is_internal as is_internal_b
    from core.pair_day as d
    join core.person as pa on pa.person_key = d.person_a_key
    join core.person as pb on pb.person_key = d.person_b_key
    where d.date <= getvariable('as_of') and d.is_first_of_day and (select is_any from declared)
),
-- teams are those of the day
side as (
    select date_trunc('week', d.date)::date as week_start, d.date, m.team, d.person_key, d.other_key, d.is_cross_team
    from (
        select date, person_a_key as person_key, person_b_key as other_key, is_cross_team from active_day where is_internal_a
        union all
        select date, person_b_key, person_a_key, is_cross_team from active_day where is_internal_b
    ) as d
    left join core.membership as m on m.person_key = d.person_key and d.date >= m.valid_from and d.date < m.valid_to
),
seen as (
    select person_key, min(date) as first_date, max(date) as last_date from side group by person_key
),
roster as (
    select w.week_start, m.team, count(*) as member_count
    from numbered as w
    join core.membership as m on w.week_start + 3 >= m.valid_from and w.week_start + 3 < m.valid_to
    join seen as s on s.person_key = m.person_key and s.first_date <= w.week_start + 6 and s.last_date >= w.week_start
    where m.team is not null
    group by grouping sets ((w.week_start, m.team), (w.week_start))
),
crossing as (
    select
        week_start, team,
        count(*) filter (where is_cross_team is not null) as internal_contact_count,
        count(*) filter (where is_cross_team) as cross_contact_count
    from side
    where team is not null
    group by grouping sets ((week_start, team), (week_start))
),
pair_week as (
    select week_start, person_key, other_key, max(team) as team from side where team is not null group by week_start, person_key, other_key
),
-- who was in contact in one of the four weeks before, with the team of the latest of them: each week of contact stands for the four
-- weeks after it, up to the next one, in which the pair is kept
at_risk as (
    select week_start + 7 * lag_weeks as week_start, team, week_start + 7 * lag_weeks = next_week as is_kept
    from (
        select week_start, team, lead(week_start) over (partition by person_key, other_key order by week_start) as next_week from pair_week
    ) as w, unnest([1, 2, 3, 4]) as l(lag_weeks)
    where next_week is null or week_start + 7 * lag_weeks <= next_week
),
keeping as (
    select week_start, team, count(*) as at_risk_count, count(*) filter (where is_kept) as kept_count
    from at_risk
    group by grouping sets ((week_start, team), (week_start))
),
attendance as (
    select date, interaction_key, person_key, max(minutes) as minutes
    from (
        select date, interaction_key, from_key as person_key, minutes from core.contact where minutes > 0 and date <= getvariable('as_of')
        union all
        select date, interaction_key, to_key, minutes from core.contact where minutes > 0 and date <= getvariable('as_of')
    ) as attending
    where (select is_any from declared)
    group by date, interaction_key, person_key
),
meeting as (
    select date_trunc('week', a.date)::date as week_start, m.team, sum(a.minutes) / 60 as hours
    from attendance as a
    join core.membership as m on m.person_key = a.person_key and a.date >= m.valid_from and a.date < m.valid_to
    where m.team is not null
    group by grouping sets ((date_trunc('week', a.date)::date, m.team), (date_trunc('week', a.date)::date))
),
tie_side as (
    select date_trunc('week', tie_date)::date as week_start, unnest([team_a, team_b]) as team
    from metrics.tie_spell
    where spell_number = 1 and stretch_number = 1 and not is_left_truncated and (select is_any from declared)
),
forming as (
    select week_start, team, count(*) as new_tie_count
    from tie_side
    where team is not null
    group by grouping sets ((week_start, team), (week_start))
),
-- a team that fell silent still has ties to lose: its row must not come and go with who is seen again later
each as (
    select week_start, team from roster union select week_start, team from keeping
)
select
    e.team,
    e.week_start,
    w.is_observed,
    coalesce(r.member_count, 0) as member_count,
    case when w.is_observed and r.member_count > 0 then round(coalesce(m.hours, 0) / r.member_count, 9) end as meeting_hours,
    coalesce(f.new_tie_count, 0) as new_tie_count,
    case
        when w.is_observed and r.member_count > 0 and w.day_number > getvariable('silence_days') + getvariable('landmark_days')
            then coalesce(f.new_tie_count, 0) / r.member_count
    end as new_tie_ratio,
    coalesce(k.at_risk_count, 0) as at_risk_count,
    case when w.is_observed and w.is_preceded and k.at_risk_count > 0 then k.kept_count / k.at_risk_count end as kept_ratio,
    coalesce(c.internal_contact_count, 0) as internal_contact_count,
    case when w.is_observed and c.internal_contact_count > 0 then c.cross_contact_count / c.internal_contact_count end as cross_team_ratio
from each as e
join numbered as w on w.week_start = e.week_start
left join roster as r on r.week_start = e.week_start and r.team is not distinct from e.team
left join meeting as m on m.week_start = e.week_start and m.team is not distinct from e.team
left join forming as f on f.week_start = e.week_start and f.team is not distinct from e.team
left join keeping as k on k.week_start = e.week_start and k.team is not distinct from e.team
left join crossing as c on c.week_start = e.week_start and c.team is not distinct from e.team
