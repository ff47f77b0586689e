-- description: When two people who became a tie first and last used each medium with one another, and how often.
-- grain: person_a_key, person_b_key, medium
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: medium | text | The medium.
-- column: first_at | timestamp | Their first contact in it, UTC; reactions do not count.
-- column: last_at | timestamp | Their last contact in it, UTC.
-- column: active_days | count | Days with contact in it.
-- column: use_number | count | 1 for the medium they used first, 2 for the next; media that began in the same instant have the same number.
-- column: is_left_truncated | flag | Whether they may have been in touch before collection began, so that the first medium is unknown.
-- unique: person_a_key, person_b_key, medium
-- not_null: person_a_key, person_b_key, medium, first_at, last_at, active_days, use_number, is_left_truncated
-- assert: person_a_key < person_b_key and first_at <= last_at
-- caveat: A medium that is collected from a later day on seems to be used later.
-- restricted: yes
-- partition: pair
with tie as (
    select person_a_key, person_b_key, bool_or(is_left_truncated) as is_left_truncated
    from metrics.tie_spell
    where spell_number = 1 and stretch_number = 1
    group by person_a_key, person_b_key
),
used as (
    select
        least(from_key, to_key) as person_a_key,
        greatest(from_key, to_key) as person_b_key,
        medium,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
        count(distinct date) as active_days
    from core.contact
    where evidence <> 'reacted' and date <= getvariable('as_of')
    group by least(from_key, to_key), greatest(from_key, to_key), medium
)
select
    u.person_a_key, u.person_b_key, u.medium, u.first_at, u.last_at, u.active_days,
    rank() over (partition by u.person_a_key, u.person_b_key order by u.first_at) as use_number,
    t.is_left_truncated
from used as u
join tie as t on t.person_a_key = u.person_a_key and t.person_b_key = u.person_b_key
