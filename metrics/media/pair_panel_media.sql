-- description: The media that a pair used in one period and whether the pair was in contact in the next, for pairs of complete, consecutive
--   periods; a sample by pair where there are very many.
-- grain: panel_kind, panel_start, person_a_key, person_b_key
-- column: panel_kind | text | week or month.
-- column: panel_start | date | First day of the period.
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: media | texts | Media of which the pair had contacts in the period, sorted.
-- column: media_contact_counts | numbers | How many contacts each of them had, in the same order.
-- column: contact_count | count | Messages either way and meetings together in the period.
-- column: active_days | count | Days with contact in the period.
-- column: quiet_days | count | Days from its last contact in the period to the end of the period.
-- column: partner_count | count | With how many people the one of the two who has fewer was in contact in the period.
-- column: is_tie | flag | Whether the pair was a tie in the period.
-- column: is_active_next | flag | Whether it had any contact in the next period, in whatever medium.
-- column: sample_ratio | ratio | The share of all pairs that this sample holds; 1 where all are here.
-- unique: panel_kind, panel_start, person_a_key, person_b_key
-- not_null: panel_kind, panel_start, person_a_key, person_b_key, media, media_contact_counts, contact_count, active_days,
--   quiet_days, partner_count, is_tie, is_active_next, sample_ratio
-- caveat: Periods that hold a gap, or are cut short, are left out with the one before them: silence there means nothing.
-- caveat: Whoever left in the next period looks like a relationship that was not kept; pairs with a stated leaver by its end are left out.
-- restricted: yes
with ordered as (
    select panel_kind, panel_start, panel_end, is_complete, lead(panel_start) over w as next_start, lead(is_complete) over w as is_next_complete,
        lead(panel_end) over w as next_end
    from core.panel
    where panel_kind <> 'all'
    window w as (partition by panel_kind order by panel_start)
),
usable as (
    select panel_kind, panel_start, panel_end, next_start, next_end from ordered where is_complete and is_next_complete
),
volume as (
    select least(1.0, 600000.0 / greatest(1, count(*))) as sample_ratio
    from metrics.pair_panel as p
    join usable as u on u.panel_kind = p.panel_kind and u.panel_start = p.panel_start
    where p.medium = 'any' and p.active_days > 0
),
drawn as (
    select p.*, u.panel_end, u.next_start, v.sample_ratio
    from metrics.pair_panel as p
    join usable as u on u.panel_kind = p.panel_kind and u.panel_start = p.panel_start
    cross join volume as v
    left join core.person as a on a.person_key = p.person_a_key
    left join core.person as b on b.person_key = p.person_b_key
    where p.active_days > 0
        -- the same pairs in every period, so that the sample follows them
        and hash(p.person_a_key, p.person_b_key, getvariable('seed')) % 1000000 < 1000000 * v.sample_ratio
        and coalesce(least(a.left_on, b.left_on) >= u.next_end, true)
),
last_contact as (
    select u.panel_kind, u.panel_start, c.person_a_key, c.person_b_key, max(c.date) as last_date
    from core.pair_day as c
    join usable as u on c.date >= u.panel_start and c.date < u.panel_end
    where c.is_first_of_day and c.date <= getvariable('as_of')
    group by u.panel_kind, u.panel_start, c.person_a_key, c.person_b_key
),
partners as (
    select panel_kind, panel_start, person_key, count(*) as partner_count
    from (
        select p.panel_kind, p.panel_start, unnest([p.person_a_key, p.person_b_key]) as person_key
        from metrics.pair_panel as p
        join usable as u on u.panel_kind = p.panel_kind and u.panel_start = p.panel_start
        where p.medium = 'any' and p.active_days > 0
    ) as ends
    group by panel_kind, panel_start, person_key
)
select
    d.panel_kind, d.panel_start, d.person_a_key, d.person_b_key,
    list_sort(list(d.medium) filter (where d.medium <> 'any')) as media,
    list(d.ab_count + d.ba_count + d.co_count order by d.medium) filter (where d.medium <> 'any') as media_contact_counts,
    max(d.ab_count + d.ba_count + d.co_count) filter (where d.medium = 'any') as contact_count,
    max(d.active_days) filter (where d.medium = 'any') as active_days,
    any_value(d.panel_end - l.last_date - 1) as quiet_days,
    any_value(least(f.partner_count, g.partner_count)) as partner_count,
    bool_or(d.is_tie and d.medium = 'any') as is_tie,
    bool_or(n.person_a_key is not null) as is_active_next,
    any_value(d.sample_ratio) as sample_ratio
from drawn as d
left join metrics.pair_panel as n
    on n.panel_kind = d.panel_kind and n.panel_start = d.next_start and n.person_a_key = d.person_a_key and n.person_b_key = d.person_b_key
    and n.medium = 'any' and n.active_days > 0
join last_contact as l
    on l.panel_kind = d.panel_kind and l.panel_start = d.panel_start and l.person_a_key = d.person_a_key and l.person_b_key = d.person_b_key
join partners as f on f.panel_kind = d.panel_kind and f.panel_start = d.panel_start and f.person_key = d.person_a_key
join partners as g on g.panel_kind = d.panel_kind and g.panel_start = d.panel_start and g.person_key = d.person_b_key
group by d.panel_kind, d.panel_start, d.person_a_key, d.person_b_key
