-- description: In which team and office a person was, from when to when. A source's dates are taken where it states them;
--   otherwise the day on which the directory first showed the place, and the first place shown is taken to hold before it too.
-- grain: person_key, valid_from
-- column: person_key | key | The person.
-- column: team | text | The team, as the organisation names it; empty if unknown.
-- column: office | text | The office or site; empty if unknown.
-- column: manager_key | key | The manager, a person; empty if unknown.
-- column: valid_from | date | First day.
-- column: valid_to | date | First day on which it no longer holds; 9999-12-31 while it does.
-- unique: person_key, valid_from
-- not_null: person_key, valid_from, valid_to
-- assert: valid_from < valid_to
-- caveat: Where the directory shows only the present, a change is dated on the night it was first seen.
-- restricted: yes
with placed as (
    select
        a.person_key, m.source, m.account_key, m.team, m.office, manager.person_key as manager_key, m.observed_on, m.valid_from, m.valid_to,
        m.valid_from is not null or m.valid_to is not null as is_stated
    from raw.membership as m
    join core.account as a on a.source = m.source and a.account_key = m.account_key
    left join core.account as manager on manager.source = m.source and manager.account_key = m.manager_key
    where a.person_key is not null
),
-- one account speaks for a person: one that states dates before one that does not, one that knows a team before one that does not
speaker as (
    select person_key, source, account_key
    from placed
    group by person_key, source, account_key
    qualify row_number() over (partition by person_key order by bool_or(is_stated) desc, bool_or(team is not null) desc, source, account_key) = 1
),
heard as (
    select p.* exclude (source, account_key)
    from placed as p
    semi join speaker as s on s.person_key = p.person_key and s.source = p.source and s.account_key = p.account_key
),
has_stated as (
    select person_key from heard where is_stated group by person_key
),
stated as (
    select person_key, team, office, manager_key, coalesce(valid_from, date '0001-01-01') as valid_from, coalesce(valid_to, date '9999-12-31') as valid_to
    from heard
    where is_stated
    qualify row_number() over (partition by person_key, coalesce(valid_from, date '0001-01-01') order by observed_on desc) = 1
),
changes as (
    select
        person_key, team, office, manager_key, observed_on,
        row_number() over w = 1
        or (team, office, manager_key) is distinct from (lag(team) over w, lag(office) over w, lag(manager_key) over w) as is_change,
        row_number() over w = 1 as is_first
    from heard
    anti join has_stated using (person_key)
    window w as (partition by person_key order by observed_on)
),
observed as (
    select
        person_key, team, office, manager_key,
        case when is_first then date '0001-01-01' else observed_on end as valid_from,
        date '9999-12-31' as valid_to
    from changes
    where is_change
)
select
    person_key, team, office, manager_key, valid_from,
    -- a later place ends the one before
    least(valid_to, coalesce(lead(valid_from) over (partition by person_key order by valid_from), date '9999-12-31')) as valid_to
from (select * from stated union all select * from observed) as place
where valid_from < valid_to
