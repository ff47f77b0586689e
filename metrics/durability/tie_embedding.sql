-- description: How many people both sides of a tie were in contact with when it began.
-- grain: person_a_key, person_b_key, spell_number
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: spell_number | count | Which tie of the pair.
-- column: common_count | count | People with whom both were in contact in the latest whole period of `landmark_days` that was over when
--   the tie was `landmark_days` old.
-- unique: person_a_key, person_b_key, spell_number
-- not_null: person_a_key, person_b_key, spell_number, common_count
-- assert: common_count >= 0
-- caveat: Only what was known by then is counted, so that it can stand among the conditions of how long the tie held.
-- restricted: yes
with tie as (
    select
        person_a_key, person_b_key, spell_number,
        -- periods are counted off from one fixed day, so that each person's contacts are gathered once a period and not once a tie
        (tie_date + getvariable('landmark_days') - date '2000-01-03') // getvariable('landmark_days') - 1 as period
    from metrics.tie_spell
    where stretch_number = 1 and landmark_age_days is not null
),
side as (
    select distinct
        (date - date '2000-01-03') // getvariable('landmark_days') as period, person_a_key, person_b_key
    from core.pair_day
    where ab_count + ba_count + co_count > 0 and date <= getvariable('as_of')
),
neighbour as (
    select period, person_a_key as person_key, person_b_key as other_key from side
    union all
    select period, person_b_key, person_a_key from side
),
common as (
    select t.person_a_key, t.person_b_key, t.spell_number, count(*) as common_count
    from tie as t
    join neighbour as a on a.period = t.period and a.person_key = t.person_a_key
    join neighbour as b on b.period = t.period and b.person_key = t.person_b_key and b.other_key = a.other_key
    group by t.person_a_key, t.person_b_key, t.spell_number
)
select t.person_a_key, t.person_b_key, t.spell_number, coalesce(c.common_count, 0) as common_count
from tie as t
left join common as c using (person_a_key, person_b_key, spell_number)
