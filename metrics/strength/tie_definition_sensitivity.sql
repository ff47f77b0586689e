-- description: How the figures about ties change with what counts as a tie: contact of any kind, the tie of settings, and two stricter ones,
--   for each period.
-- question: Would we conclude the same if we had drawn the line elsewhere?
-- grain: panel_kind, panel_start, definition
-- role: people | person_count
-- role: pairs | pair_count
-- role: pairs among pair_count | group_pair_count
-- role: share over pair_count | mutual_share, cross_team_share
-- role: lag of pair_count | previous_pair_count
-- role: share over previous_pair_count | persistence_ratio
-- role: estimate over pair_count | half_life_weeks
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: definition | text | contact (any contact but a reaction, also in groups), exchange_or_days (what is a tie everywhere else: an
--   exchange, or `tie_active_days` days in touch), days (`tie_active_days` days in touch, exchange or not) or more_days (two days more).
-- column: pair_count | count | Pairs that the definition counts.
-- column: group_pair_count | count | Those that rest on groups alone: no message to at most `direct_size` people, no meeting with at most so many
--   others.
-- column: person_count | count | People in them.
-- column: mutual_share | ratio | Of those with messages (a direct weight of 1 or more), the share with messages both ways (1 or more each way).
-- column: cross_team_share | ratio | Of those within the own organisation whose teams are known, the share between two teams.
-- column: previous_pair_count | count | Pairs of the period before; empty where one of the two was not observed throughout.
-- column: persistence_ratio | ratio | The share of those that are counted again in this period.
-- column: half_life_weeks | weeks | For all: age at which half of the ties that begin so have ended, from tie_half_life; empty for contact, which
--   has none, and where half have not.
-- unique: panel_kind, panel_start, definition
-- not_null: panel_kind, panel_start, definition, pair_count, group_pair_count, person_count
-- assert: mutual_share between 0 and 1 and cross_team_share between 0 and 1 and persistence_ratio between 0 and 1
-- assert: group_pair_count <= pair_count
-- caveat: The same people under four definitions: the rows are not independent and their differences are no sample's chance. Intervals are in
--   org_panel_churn, org_panel_cross_team and tie_half_life.
-- caveat: In a shorter period fewer pairs reach a number of days: compare months with months.
-- reference: Krings, Karsai, Bernhardsson, Blondel, Saramaki (2012), Effects of time window size and placement, EPJ Data Science 1, 4.
with counted as (
    select
        panel_kind, panel_start, person_a_key, person_b_key, direct_count = 0 as is_group,
        case when ab_direct_weight + ba_direct_weight >= 1 - 1e-6 then is_mutual end as is_mutual,
        is_cross_team,
        -- 0 contact, 1 exchange_or_days, 2 days, 3 more_days: each has the ones before
        case
            when direct_days >= getvariable('tie_active_days') + 2 then 3
            when direct_days >= getvariable('tie_active_days') then 2
            when is_tie then 1
            else 0
        end as level
    from metrics.pair_panel
    where medium = 'any' and active_days > 0
),
definition as (
    select * from (values (0, 'contact'), (1, 'exchange_or_days'), (2, 'days'), (3, 'more_days')) as d(level, definition)
),
succession as (
    select p.panel_kind, p.panel_start, p.observed_day_count > 0 as is_seen, b.panel_start as previous_start
    from core.panel as p
    left join core.panel as b on b.panel_kind = p.panel_kind and b.panel_end = p.panel_start and b.is_complete and p.is_complete
),
summed as (
    select
        c.panel_kind, c.panel_start, d.definition,
        count(*) as pair_count,
        count(*) filter (where c.is_group) as group_pair_count,
        avg(c.is_mutual::int) as mutual_share,
        avg(c.is_cross_team::int) as cross_team_share
    from counted as c
    join definition as d on c.level >= d.level
    group by c.panel_kind, c.panel_start, d.definition
),
peopled as (
    select panel_kind, panel_start, definition, count(*) as person_count
    from (
        select panel_kind, panel_start, person_key, max(level) as level
        from (select panel_kind, panel_start, level, unnest([person_a_key, person_b_key]) as person_key from counted) as side
        group by panel_kind, panel_start, person_key
    ) as each
    join definition as d on each.level >= d.level
    group by panel_kind, panel_start, definition
),
kept as (
    select
        s.panel_kind, s.panel_start, d.definition, count(*) as previous_pair_count,
        count(n.level) as kept_count
    from succession as s
    join counted as b on b.panel_kind = s.panel_kind and b.panel_start = s.previous_start
    join definition as d on b.level >= d.level
    left join counted as n
        on n.panel_kind = s.panel_kind and n.panel_start = s.panel_start
        and n.person_a_key = b.person_a_key and n.person_b_key = b.person_b_key and n.level >= d.level
    group by s.panel_kind, s.panel_start, d.definition
),
half as (
    select
        case when grouping = 'all' then 'exchange_or_days' else level end as definition, half_life_weeks
    from metrics.tie_half_life
    where grouping in ('all', 'threshold')
)
select
    s.panel_kind, s.panel_start, d.definition,
    coalesce(c.pair_count, 0) as pair_count,
    coalesce(c.group_pair_count, 0) as group_pair_count,
    coalesce(p.person_count, 0) as person_count,
    round(c.mutual_share, 9) as mutual_share,
    round(c.cross_team_share, 9) as cross_team_share,
    case when s.previous_start is not null then coalesce(k.previous_pair_count, 0) end as previous_pair_count,
    round(k.kept_count / k.previous_pair_count, 9) as persistence_ratio,
    case when s.panel_kind = 'all' then h.half_life_weeks end as half_life_weeks
from succession as s
cross join definition as d
left join summed as c on c.panel_kind = s.panel_kind and c.panel_start = s.panel_start and c.definition = d.definition
left join peopled as p on p.panel_kind = s.panel_kind and p.panel_start = s.panel_start and p.definition = d.definition
left join kept as k on k.panel_kind = s.panel_kind and k.panel_start = s.panel_start and k.definition = d.definition
left join half as h on h.definition = d.definition
where s.is_seen
