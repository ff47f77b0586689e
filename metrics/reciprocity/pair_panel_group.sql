-- description: The part of contact within pairs that went to several people at once, by period and medium and over all media together
--   (`any`): who of them meant to answer whom is not to be told from it.
-- grain: panel_kind, panel_start, person_a_key, person_b_key, medium
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: medium | text | The medium; `any` for all together.
-- column: ab_group_count | count | Contacts from a to b by messages that reached several people.
-- column: ba_group_count | count | The same from b to a.
-- column: ab_group_weight | weight | Their weights from a to b.
-- column: ba_group_weight | weight | Their weights from b to a.
-- unique: panel_kind, panel_start, person_a_key, person_b_key, medium
-- not_null: panel_kind, panel_start, person_a_key, person_b_key, medium, ab_group_count, ba_group_count, ab_group_weight, ba_group_weight
-- assert: person_a_key < person_b_key
-- assert: ab_group_count + ba_group_count > 0
-- caveat: A reply in a channel reaches the authors before it, each for what they wrote: it is no message to several.
-- restricted: yes
-- rebuild: panel
with to_several as (
    select
        least(from_key, to_key) as person_a_key, greatest(from_key, to_key) as person_b_key, date, medium,
        count(*) filter (where from_key < to_key) as ab_count,
        count(*) filter (where from_key > to_key) as ba_count,
        coalesce(sum(weight) filter (where from_key < to_key), 0) as ab_weight,
        coalesce(sum(weight) filter (where from_key > to_key), 0) as ba_weight
    from core.contact
    -- what reaches one person alone has weight 1
    where evidence in ('addressed', 'copied', 'mentioned') and weight < 1 - 1e-9
        and date <= getvariable('as_of') and date in (select date from touched_panel_day)
    group by all
)
select
    p.panel_kind, p.panel_start, s.person_a_key, s.person_b_key,
    case when grouping(s.medium) = 1 then 'any' else s.medium end as medium,
    sum(s.ab_count)::bigint as ab_group_count,
    sum(s.ba_count)::bigint as ba_group_count,
    -- rounded, since the order of a parallel sum is not fixed and a rerun must give the same figures
    round(sum(s.ab_weight), 9) as ab_group_weight,
    round(sum(s.ba_weight), 9) as ba_group_weight
from to_several as s
join touched_panel as p on s.date >= p.panel_start and s.date < p.panel_end
group by grouping sets (
    (p.panel_kind, p.panel_start, s.person_a_key, s.person_b_key, s.medium),
    (p.panel_kind, p.panel_start, s.person_a_key, s.person_b_key)
)
