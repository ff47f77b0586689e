-- description: Whether the organisation itself brought two people together when their tie began, and how.
-- grain: person_a_key, person_b_key, spell_number
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: spell_number | count | Which tie of the pair.
-- column: is_manager_line | flag | Whether one was the other's manager, or the manager's manager, on the first day.
-- column: is_standing_meeting | flag | Whether they met in a recurring meeting by the day on which the tie qualified.
-- column: is_same_team | flag | Whether they were in the same team on the first day.
-- column: is_declared | flag | Whether the charter wants a relationship between their teams or organisations, or between a newcomer and a
--   team.
-- column: is_institutional | flag | Whether any of these holds; empty where none is known to hold and the team of one of them is not
--   known.
-- unique: person_a_key, person_b_key, spell_number
-- not_null: person_a_key, person_b_key, spell_number, is_manager_line, is_standing_meeting, is_same_team, is_declared
-- caveat: Only what the directory, the calendars and the charter show: a project or a shared floor brings people together unseen.
-- restricted: yes
-- partition: pair
with tie as (
    select
        person_a_key, person_b_key, spell_number, first_date, tie_date, team_a, team_b, is_external, external_organisation
    from metrics.tie_spell
    where stretch_number = 1
),
managed as (
    select t.person_a_key, t.person_b_key, t.spell_number
    from tie as t
    left join core.membership as a on a.person_key = t.person_a_key and t.first_date >= a.valid_from and t.first_date < a.valid_to
    left join core.membership as b on b.person_key = t.person_b_key and t.first_date >= b.valid_from and t.first_date < b.valid_to
    left join core.membership as ma on ma.person_key = a.manager_key and t.first_date >= ma.valid_from and t.first_date < ma.valid_to
    left join core.membership as mb on mb.person_key = b.manager_key and t.first_date >= mb.valid_from and t.first_date < mb.valid_to
    where t.person_b_key in (a.manager_key, ma.manager_key) or t.person_a_key in (b.manager_key, mb.manager_key)
),
standing as (
    select distinct t.person_a_key, t.person_b_key, t.spell_number
    from tie as t
    join core.pair_day as d
        on d.person_a_key = t.person_a_key and d.person_b_key = t.person_b_key and d.date between t.first_date and t.tie_date
    where d.standing_count > 0
),
party as (
    select relationship_key, party_a as party, party_a_kind as kind, 'a' as side from core.declared_relationship
    union all
    select relationship_key, party_b, party_b_kind, 'b' from core.declared_relationship
),
joined as (
    select person_key, joined_on from core.person where joined_on is not null
),
belonging as (
    -- which parties of which declared relationships each of the two stands for
    select t.person_a_key, t.person_b_key, t.spell_number, e.end_, p.relationship_key, p.side
    from tie as t
    cross join unnest(['a', 'b']) as e(end_)
    left join core.person as n on n.person_key = case e.end_ when 'a' then t.person_a_key else t.person_b_key end
    left join joined as j on j.person_key = n.person_key
    join party as p on case p.kind
        when 'team' then p.party = case e.end_ when 'a' then t.team_a else t.team_b end
        when 'organisation' then p.party = n.organisation_key
        else t.first_date between j.joined_on and j.joined_on + getvariable('newcomer_days')
    end
),
declared as (
    select distinct person_a_key, person_b_key, spell_number
    from belonging
    group by person_a_key, person_b_key, spell_number, relationship_key
    having (bool_or(end_ = 'a' and side = 'a') and bool_or(end_ = 'b' and side = 'b'))
        or (bool_or(end_ = 'a' and side = 'b') and bool_or(end_ = 'b' and side = 'a'))
)
select
    t.person_a_key,
    t.person_b_key,
    t.spell_number,
    m.spell_number is not null as is_manager_line,
    s.spell_number is not null as is_standing_meeting,
    coalesce(t.team_a = t.team_b and not t.is_external, false) as is_same_team,
    d.spell_number is not null as is_declared,
    case
        when is_manager_line or is_standing_meeting or is_same_team or is_declared then true
        when t.is_external or (t.team_a is not null and t.team_b is not null) then false
    end as is_institutional
from tie as t
left join (select distinct * from managed) as m using (person_a_key, person_b_key, spell_number)
left join standing as s using (person_a_key, person_b_key, spell_number)
left join declared as d using (person_a_key, person_b_key, spell_number)
