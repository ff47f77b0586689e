-- description: Who could have passed something on to whom on which day, within the own organisation: the sender to whom the message reached, and
--   both ways between people who met.
-- grain: date, from_key, to_key
-- column: date | date | The day.
-- column: from_key | key | Who could pass on.
-- column: to_key | key | Who could learn.
-- unique: date, from_key, to_key
-- not_null: date, from_key, to_key
-- assert: from_key <> to_key
-- caveat: Contacts after the day on which a person left are passed over.
-- restricted: yes
-- partition: pair
with kept as (
    select d.date, d.person_a_key, d.person_b_key, d.ab_count, d.ba_count, d.co_count
    from core.pair_day as d
    join core.person as a on a.person_key = d.person_a_key
    join core.person as b on b.person_key = d.person_b_key
    where d.date <= getvariable('as_of') and not d.is_external
        and d.date <= coalesce(least(a.left_on, b.left_on), d.date)
)
select date, person_a_key as from_key, person_b_key as to_key from kept where ab_count + co_count > 0
union
select date, person_b_key, person_a_key from kept where ba_count + co_count > 0
