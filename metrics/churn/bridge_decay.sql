-- description: Of the pairs in contact, the share that is in contact again within `bridge_horizon_days`: bridges (nobody in contact with
--   both) against embedded pairs, and pairs across teams and organisations against those within.
-- question: Do the relationships that connect otherwise separate parts of the organisation fade faster than others?
-- grain: cut_kind, cut_date, basis, grouping, level
-- role: people | person_count
-- role: pairs | pair_count
-- role: pairs among pair_count | kept_count
-- role: share over pair_count | kept_ratio
-- role: interval of kept_ratio | lower_ratio, upper_ratio
-- role: words | reason
-- column: cut_kind | text | month (one first day of a month) or all (the latest twelve of them taken together).
-- column: cut_date | date | The day on which the past ends and the future begins; for all the first of them, empty if there is none.
-- column: basis | text | contact (every pair in contact in the past `bridge_lookback_days`) or tie (those with enough or mutual contact
--   to be a tie).
-- column: grouping | text | all, structure, team, team_structure or external.
-- column: level | text | The group: bridge or embedded; cross_team or within_team; both joined; external or own.
-- column: pair_count | count | Pairs; under all, pairs counted once for each day on which they were in contact before.
-- column: person_count | count | People in them.
-- column: kept_count | count | Pairs in contact again within the horizon.
-- column: kept_ratio | ratio | kept / pairs.
-- column: lower_ratio | ratio | Lower bound of its interval.
-- column: upper_ratio | ratio | Upper bound.
-- column: reason | text | Why the ratio is empty: not_observed (no day with past and future observed) or too_few (no pair of this kind).
-- unique: cut_kind, cut_date, basis, grouping, level
-- not_null: cut_kind, basis, grouping, level, pair_count, person_count, kept_count
-- assert: kept_ratio between 0 and 1
-- assert: lower_ratio <= kept_ratio + 1e-9 and kept_ratio <= upper_ratio + 1e-9
-- assert: (kept_ratio is null) = (reason is not null)
-- caveat: Bridges are mostly pairs of little contact, and little contact alone makes a pair fade: the difference is not the effect of
--   being a bridge.
-- caveat: Whether a pair is a bridge depends on whose contacts are collected: common contacts outside are not seen.
-- caveat: The interval is Wilson's for as many independent pairs as these, which share people, are worth.
-- reference: Burt (2002), Bridge decay, Social Networks 24.
-- reference: Granovetter (1973), The strength of weak ties, American Journal of Sociology 78 (local bridges).
with described as (
    select
        p.cut_date, p.person_a_key, p.person_b_key, p.is_tie, p.is_kept::int as is_kept,
        -- the numbers of the groups that the pair is in; see wanted
        list_filter([
            0,
            case when e.is_embedded then 2 else 1 end,
            case when p.is_cross_team then 3 when not p.is_cross_team then 4 end,
            case when p.is_cross_team then 5 when not p.is_cross_team then 7 end + e.is_embedded::int,
            case when p.is_external then 9 else 10 end
        ], lambda x: x is not null) as groups
    from metrics.bridge_pair as p
    join metrics.bridge_embedded as e
        on e.cut_date = p.cut_date and e.person_a_key = p.person_a_key and e.person_b_key = p.person_b_key
),
-- first summed over all that is alike, then spread over the groups: there are far fewer of these than pairs
person_cell as (
    select cut_date, person_key, is_tie, groups, count(*) as size, sum(is_kept) as kept
    from (
        select cut_date, person_a_key as person_key, is_tie, groups, is_kept from described
        union all
        select cut_date, person_b_key, is_tie, groups, is_kept from described
    ) as side
    group by cut_date, person_key, is_tie, groups
),
of_person as (
    select cut_kind, case when cut_kind = 'month' then cut_date end as cut_date, basis, number, person_key, sum(size) as size, sum(kept) as kept
    from (select cut_date, person_key, is_tie, unnest(groups) as number, size, kept from person_cell) as c
    cross join unnest(['month', 'all']) as k(cut_kind)
    cross join unnest(['contact', 'tie']) as b(basis)
    where basis = 'contact' or is_tie
    group by 1, 2, 3, 4, 5
),
of_pair as (
    -- a pair may be in contact before several of the days: under all, these hang together
    select basis, number, person_a_key, person_b_key, sum(size) as size, sum(kept) as kept
    from (
        select person_a_key, person_b_key, is_tie, unnest(groups) as number, count(*) as size, sum(is_kept) as kept
        from described
        group by person_a_key, person_b_key, is_tie, groups
    ) as c
    cross join unnest(['contact', 'tie']) as b(basis)
    where basis = 'contact' or is_tie
    group by 1, 2, 3, 4
),
total as (
    -- each pair stands for two people
    select cut_kind, cut_date, basis, number, sum(size) / 2 as size, sum(kept) / 2 as kept, sum(kept) / sum(size) as share, count(*) as person_count
    from of_person
    group by cut_kind, cut_date, basis, number
),
by_person as (
    select t.cut_kind, t.cut_date, t.basis, t.number, sum((o.kept - t.share * o.size) ^ 2) as spread
    from total as t
    join of_person as o on o.cut_kind = t.cut_kind and o.cut_date is not distinct from t.cut_date and o.basis = t.basis and o.number = t.number
    group by t.cut_kind, t.cut_date, t.basis, t.number
),
by_pair as (
    select t.cut_kind, t.basis, t.number, sum((o.kept - t.share * o.size) ^ 2) as spread
    from total as t
    join of_pair as o on o.basis = t.basis and o.number = t.number
    where t.cut_kind = 'all'
    group by t.cut_kind, t.basis, t.number
),
worth as (
    select
        t.*,
        t.size * t.share * (1 - t.share) as apart,
        -- as many independent pairs as would leave the same variance; never more than there are
        t.size / greatest(1, (p.spread - coalesce(q.spread, apart)) / nullif(apart, 0) * t.person_count / greatest(t.person_count - 1, 1)) as n
    from total as t
    join by_person as p on p.cut_kind = t.cut_kind and p.cut_date is not distinct from t.cut_date and p.basis = t.basis and p.number = t.number
    left join by_pair as q on q.cut_kind = t.cut_kind and q.basis = t.basis and q.number = t.number
),
normal as (
    -- quantile of the normal distribution to within .0005 (Abramowitz and Stegun 26.2.23)
    select
        sqrt(-2 * ln((1 - getvariable('confidence')) / 2)) as t,
        t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t) as z
),
wanted as (
    select k.cut_kind, k.cut_date, b.basis, g.number, g.grouping, g.level
    from (
        select 'month' as cut_kind, cut_date from metrics.bridge_cut
        union all
        select 'all', min(cut_date) from metrics.bridge_cut
    ) as k
    cross join unnest(['contact', 'tie']) as b(basis)
    cross join (
        values (0, 'all', 'all'), (1, 'structure', 'bridge'), (2, 'structure', 'embedded'), (3, 'team', 'cross_team'), (4, 'team', 'within_team'),
            (5, 'team_structure', 'cross_team_bridge'), (6, 'team_structure', 'cross_team_embedded'),
            (7, 'team_structure', 'within_team_bridge'), (8, 'team_structure', 'within_team_embedded'),
            (9, 'external', 'external'), (10, 'external', 'own')
    ) as g(number, grouping, level)
)
select
    k.cut_kind,
    k.cut_date,
    k.basis,
    k.grouping,
    k.level,
    coalesce(w.size, 0) as pair_count,
    coalesce(w.person_count, 0) as person_count,
    coalesce(w.kept, 0) as kept_count,
    round(w.share, 9) as kept_ratio,
    round(greatest((share + z * z / (2 * n) - z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n), 0), 9) as lower_ratio,
    round(least((share + z * z / (2 * n) + z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n), 1), 9) as upper_ratio,
    case when k.cut_date is null then 'not_observed' when w.size is null then 'too_few' end as reason
from wanted as k
cross join normal
left join worth as w
    on w.cut_kind = k.cut_kind and (w.cut_kind = 'all' or w.cut_date = k.cut_date) and w.basis = k.basis and w.number = k.number
