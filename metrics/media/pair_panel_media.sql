-- description: The media that a pair used in one period and whether the pair was in contact in the next, for pairs of complete, consecutive
--   periods; a sample by pair where there are very many.
-- grain: panel_kind, panel_start, person_a_key, person_b_key
-- column: panel_kind | text | week or month.
-- column: panel_start | date | First day of the period.
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: media | texts | Media of which the pair had contacts in the period, sorted.
-- column: contact_count | count | Messages either way and meetings together in the period.
-- column: active_days | count | Days with contact in the period.
-- column: is_tie | flag | Whether the pair was a tie in the period.
-- column: is_active_next | flag | Whether it had any contact in the next period, in whatever medium.
-- column: sample_ratio | ratio | The share of all pairs that this sample holds; 1 where all are here.
-- unique: panel_kind, panel_start, person_a_key, person_b_key
-- not_null: panel_kind, panel_start, person_a_key, person_b_key, media, contact_count, active_days, is_tie, is_active_next, sample_ratio
-- caveat: Periods that hold a gap, or are cut short, are left out with the one before them: silence there means nothing.
-- caveat: Whoever left in the next period looks like a relationship that was not kept; pairs with a stated leaver by its end are left out.
-- restricted: yes
with ordered as (
    select panel_kind, panel_start, is_complete, lead(panel_start) over w as next_start, lead(is_complete) over w as is_next_complete,
        lead(panel_end) over w as next_end
    from core.panel
    where panel_kind <> 'all'
    window w as (partition by panel_kind order by panel_start)
),
usable as (
    select panel_kind, panel_start, next_start, next_end from ordered where is_complete and is_next_complete
),
volume as (
    select least(1.0, 600000.0 / greatest(1, count(*))) as sample_ratio
    from metrics.pair_panel as p
    join usable as u on u.panel_kind = p.panel_kind and u.panel_start = p.panel_start
    where p.medium = 'any' and p.active_days > 0
),
drawn as (
    select p.*, u.next_start, v.sample_ratio
    from metrics.pair_panel as p
    join usable as u on u.panel_kind = p.panel_kind and u.panel_start = p.panel_start
    cross join volume as v
    left join core.person as a on a.person_key = p.person_a_key
    left join core.person as b on b.person_key = p.person_b_key
    where p.active_days > 0
        -- the same pairs in every period, so that the sample follows them
        and hash(p.person_a_key, p.person_b_key, getvariable('seed')) % 1000000 < 1000000 * v.sample_ratio
        and coalesce(least(a.left_on, b.left_on) >= u.next_end, true)
)
select
    d.panel_kind, d.panel_start, d.person_a_key, d.person_b_key,
    list_sort(list(d.medium) filter (where d.medium <> 'any')) as media,
    max(d.ab_count + d.ba_count + d.co_count) filter (where d.medium = 'any') as contact_count,
    max(d.active_days) filter (where d.medium = 'any') as active_days,
    bool_or(d.is_tie and d.medium = 'any') as is_tie,
    bool_or(n.person_a_key is not null) as is_active_next,
    any_value(d.sample_ratio) as sample_ratio
from drawn as d
left join metrics.pair_panel as n
    on n.panel_kind = d.panel_kind and n.panel_start = d.next_start and n.person_a_key = d.person_a_key and n.person_b_key = d.person_b_key
    and n.medium = 'any' and n.active_days > 0
group by d.panel_kind, d.panel_start, d.person_a_key, d.person_b_key
