-- description: One row a medium: how many ties it starts, how many of those last (made comparable), how mutual it is, whether it crosses teams and reaches other
--   organisations, what it revives, and the hours spent in it. Over the whole observed time.
-- question: Which media start relationships, and which keep them?
-- grain: medium
-- role: people | person_count
-- role: pairs | used_tie_count, started_tie_count, revived_tie_count
-- role: volume | person_hours
-- role: estimate over started_tie_count | started_ratio
-- role: share over started_tie_count | kept_90_ratio, kept_180_ratio, settled_kept_90_ratio, adjusted_kept_90_ratio,
--   settled_kept_180_ratio, adjusted_kept_180_ratio
-- role: interval of kept_90_ratio | lower_kept_90_ratio, upper_kept_90_ratio
-- role: interval of kept_180_ratio | lower_kept_180_ratio, upper_kept_180_ratio
-- role: interval of adjusted_kept_90_ratio | lower_adjusted_kept_90_ratio, upper_adjusted_kept_90_ratio
-- role: interval of adjusted_kept_180_ratio | lower_adjusted_kept_180_ratio, upper_adjusted_kept_180_ratio
-- role: share over used_tie_count | mutual_ratio, cross_team_ratio, external_ratio
-- role: interval of mutual_ratio | lower_mutual_ratio, upper_mutual_ratio
-- role: interval of cross_team_ratio | lower_cross_team_ratio, upper_cross_team_ratio
-- role: interval of external_ratio | lower_external_ratio, upper_external_ratio
-- role: estimate over used_tie_count | reciprocity_index
-- role: interval of reciprocity_index | lower_reciprocity_index, upper_reciprocity_index
-- role: estimate over revived_tie_count | revived_ratio
-- role: interval of revived_ratio | lower_revived_ratio, upper_revived_ratio
-- role: words | kept_reason, adjusted_reason, mutual_reason
-- column: medium | text | The medium; `any` for all together.
-- column: adjusted_kept_90_ratio | ratio | Of the ties that began in it and whose first `landmark_days` were seen, the share alive 90 days later
--   if ties of every medium had been equally strong in those first days. Compare media by this one.
-- column: lower_adjusted_kept_90_ratio | ratio | Lower bound.
-- column: upper_adjusted_kept_90_ratio | ratio | Upper bound.
-- column: person_count | count | People in ties that use it.
-- column: used_tie_count | count | Ties of the whole time that use it.
-- column: started_tie_count | count | Ties that began in it (most contacts on the first day) and whose beginning was seen.
-- column: started_ratio | ratio | Their share of all ties whose beginning was seen.
-- column: kept_90_ratio | ratio | Of the ties that began in it, the share still alive 90 days after the first contact (Kaplan-Meier, not adjusted).
-- column: lower_kept_90_ratio | ratio | Lower bound of its interval.
-- column: upper_kept_90_ratio | ratio | Upper bound.
-- column: kept_180_ratio | ratio | The same after 180 days.
-- column: lower_kept_180_ratio | ratio | Lower bound.
-- column: upper_kept_180_ratio | ratio | Upper bound.
-- column: settled_kept_90_ratio | ratio | Of those whose first `landmark_days` were seen, the share alive 90 days later, not adjusted.
-- column: settled_kept_180_ratio | ratio | As settled_kept_90_ratio, 180 days later.
-- column: adjusted_kept_180_ratio | ratio | As adjusted_kept_90_ratio, 180 days later.
-- column: lower_adjusted_kept_180_ratio | ratio | Lower bound.
-- column: upper_adjusted_kept_180_ratio | ratio | Upper bound.
-- column: mutual_ratio | ratio | Of the ties with messages in it, the share with messages both ways; empty for meetings, which have no direction.
-- column: lower_mutual_ratio | ratio | Lower bound.
-- column: upper_mutual_ratio | ratio | Upper bound.
-- column: reciprocity_index | index | Weighted reciprocity beyond what activity explains (rho_w of org_panel_reciprocity): 0 is chance.
-- column: lower_reciprocity_index | index | Lower bound.
-- column: upper_reciprocity_index | index | Upper bound.
-- column: cross_team_ratio | ratio | Of the internal ties that use it, the share between different teams; compare with the row `any`.
-- column: lower_cross_team_ratio | ratio | Lower bound.
-- column: upper_cross_team_ratio | ratio | Upper bound.
-- column: external_ratio | ratio | Of the ties that use it, the share with another organisation.
-- column: lower_external_ratio | ratio | Lower bound.
-- column: upper_external_ratio | ratio | Upper bound.
-- column: revived_tie_count | count | Ties that came back after they had ended, and came back in it.
-- column: revived_ratio | ratio | Their share of the ties that began, or began again, in it.
-- column: lower_revived_ratio | ratio | Lower bound.
-- column: upper_revived_ratio | ratio | Upper bound.
-- column: person_hours | hours | Hours of all people together in it (medium_effort says how; messages rest on assumptions).
-- column: kept_reason | text | Why kept_90_ratio is empty: too_few, not_observed or none_started.
-- column: adjusted_reason | text | Why adjusted_kept_90_ratio is empty: too_few, no_overlap, not_observed or none_started.
-- column: mutual_reason | text | Why mutual_ratio or reciprocity_index is empty: no_direction, too_few or not_observed.
-- unique: medium
-- not_null: medium, person_count, used_tie_count, started_tie_count, revived_tie_count
-- assert: kept_90_ratio between 0 and 1 and adjusted_kept_90_ratio between 0 and 1
-- assert: started_ratio between 0 and 1 and cross_team_ratio between 0 and 1 and external_ratio between 0 and 1
-- assert: lower_revived_ratio <= revived_ratio + 1e-9 and revived_ratio <= upper_revived_ratio + 1e-9
-- assert: started_tie_count >= 0 and revived_tie_count <= started_tie_count
-- caveat: Media are used by different people for different things: no row says that moving talk to another medium would make it last.
-- caveat: A tie is credited to the medium of its first day; what keeps it alive later may be another.
-- caveat: Hours of messages are assumptions from settings. No ties per hour are given: an hour in a medium does more than start ties, and which
--   hours a beginning cost cannot be told.
-- caveat: kept_90_ratio, started_ratio and mutual_ratio grow with how much a medium is used, whatever it does: compare adjusted_kept_90_ratio
--   and reciprocity_index, and medium_persistence with its lottery.
-- caveat: Few ties begin in large meetings but many are kept there: a low score for starting is no verdict.
-- caveat: Ties older than the collection are missing from what is started and kept.
-- reference: Kaplan, Meier (1958), JASA 53; Hernan, Robins (2020), Causal Inference: What If, ch. 13; Aronow, Samii, Assenova (2015), Political Analysis 23.
with constant as (
    -- the normal quantile, Abramowitz and Stegun 26.2.23: within 0.00045
    select power(t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t), 2) as zz
    from (select sqrt(-2 * ln((1 - getvariable('confidence')) / 2)) as t) as tail
),
tie as (
    select person_a_key, person_b_key, is_cross_team, is_external
    from metrics.pair_panel
    where panel_kind = 'all' and medium = 'any' and is_tie
),
used as (
    select p.medium, p.person_a_key, p.person_b_key, p.ab_count + p.ba_count > 0 as has_direction, p.is_mutual, t.is_cross_team, t.is_external
    from metrics.pair_panel as p
    join tie as t on t.person_a_key = p.person_a_key and t.person_b_key = p.person_b_key
    where p.panel_kind = 'all' and p.active_days > 0
),
beginning as (
    select origin_medium, person_a_key, person_b_key, spell_number from metrics.tie_spell where stretch_number = 1 and not is_left_truncated
),
judged as (
    select medium, 'mutual' as measure, person_a_key, person_b_key, is_mutual::int as y from used where has_direction
    union all
    select medium, 'cross_team', person_a_key, person_b_key, is_cross_team::int from used where is_cross_team is not null
    union all
    select medium, 'external', person_a_key, person_b_key, is_external::int from used
    union all
    select medium, 'used', person_a_key, person_b_key, 0 from used
    union all
    select unnest([origin_medium, 'any']), 'revived', person_a_key, person_b_key, (spell_number > 1)::int from beginning
),
each_person as (
    select medium, measure, y, unnest([person_a_key, person_b_key]) as person_key from judged
),
by_person as (
    select medium, measure, person_key, count(*) as held, sum(y) as hits from each_person group by medium, measure, person_key
),
summed as (
    select
        medium, measure, count(*) as person_count, sum(held)::bigint // 2 as tie_count, sum(hits) / sum(held) as p,
        sum(hits * hits)::double as hit_square, sum(hits * held)::double as hit_held, sum(held * held)::double as held_square
    from by_person
    group by medium, measure
),
shared as (
    select
        *,
        -- ties that share a person count for less: the sum over persons of squared residuals counts each tie's own square twice
        tie_count / greatest(
            1, case when p > 0 and p < 1 then (hit_square - 2 * p * hit_held + p * p * held_square) / (tie_count * p * (1 - p)) - 1 else 1 end
        ) as n
    from summed
),
bounded as (
    select
        medium, measure, person_count, tie_count, p,
        greatest(0, (p + zz / (2 * n) - sqrt(zz * (p * (1 - p) / n + zz / (4 * n * n)))) / (1 + zz / n)) as low,
        least(1, (p + zz / (2 * n) + sqrt(zz * (p * (1 - p) / n + zz / (4 * n * n)))) / (1 + zz / n)) as high
    from shared
    cross join constant
),
begun as (
    select
        case when grouping(origin_medium) = 1 then 'any' else origin_medium end as medium,
        count(*) as started_tie_count,
        count(*) filter (where spell_number > 1) as revived_tie_count
    from beginning
    group by grouping sets ((origin_medium), ())
),
kept as (
    select
        case when grouping = 'all' then 'any' else level end as medium, cast(age_days as integer) as age, survival_ratio, lower_ratio, upper_ratio, reason
    from metrics.tie_survival
    where grouping in ('all', 'origin_medium')
),
medium as (
    select medium from metrics.medium_effort where panel_kind = 'all'
    union
    select medium from used
),
joined as (
    select
        m.medium,
        s90.adjusted_ratio as adjusted_kept_90_ratio,
        s90.adjusted_lower_ratio as lower_adjusted_kept_90_ratio, s90.adjusted_upper_ratio as upper_adjusted_kept_90_ratio,
        coalesce(u.person_count, 0) as person_count,
        coalesce(u.tie_count, 0) as used_tie_count,
        coalesce(b.started_tie_count, 0) as started_tie_count,
        b.started_tie_count / nullif((select started_tie_count from begun where medium = 'any'), 0) as started_ratio,
        k90.survival_ratio as kept_90_ratio, k90.lower_ratio as lower_kept_90_ratio, k90.upper_ratio as upper_kept_90_ratio,
        k180.survival_ratio as kept_180_ratio, k180.lower_ratio as lower_kept_180_ratio, k180.upper_ratio as upper_kept_180_ratio,
        s90.kept_ratio as settled_kept_90_ratio,
        s180.kept_ratio as settled_kept_180_ratio, s180.adjusted_ratio as adjusted_kept_180_ratio,
        s180.adjusted_lower_ratio as lower_adjusted_kept_180_ratio, s180.adjusted_upper_ratio as upper_adjusted_kept_180_ratio,
        mu.p as mutual_ratio, mu.low as lower_mutual_ratio, mu.high as upper_mutual_ratio,
        r.rho_w as reciprocity_index, r.rho_w_low as lower_reciprocity_index, r.rho_w_high as upper_reciprocity_index,
        x.p as cross_team_ratio, x.low as lower_cross_team_ratio, x.high as upper_cross_team_ratio,
        e.p as external_ratio, e.low as lower_external_ratio, e.high as upper_external_ratio,
        coalesce(b.revived_tie_count, 0) as revived_tie_count,
        v.p as revived_ratio, v.low as lower_revived_ratio, v.high as upper_revived_ratio,
        f.person_hours,
        case when k90.survival_ratio is not null then null when coalesce(b.started_tie_count, 0) = 0 then 'none_started'
            else coalesce(k90.reason, 'not_observed') end as kept_reason,
        case when s90.adjusted_ratio is not null then null when coalesce(b.started_tie_count, 0) = 0 then 'none_started'
            else coalesce(s90.reason, 'too_few') end as adjusted_reason,
        case when mu.p is null then 'no_direction' when r.rho_w is null then coalesce(r.reason, 'not_observed') end as mutual_reason
    from medium as m
    left join bounded as u on u.medium = m.medium and u.measure = 'used'
    left join bounded as mu on mu.medium = m.medium and mu.measure = 'mutual'
    left join bounded as x on x.medium = m.medium and x.measure = 'cross_team'
    left join bounded as e on e.medium = m.medium and e.measure = 'external'
    left join bounded as v on v.medium = m.medium and v.measure = 'revived'
    left join begun as b on b.medium = m.medium
    left join kept as k90 on k90.medium = m.medium and k90.age = 90
    left join kept as k180 on k180.medium = m.medium and k180.age = 180
    left join metrics.medium_survival as s90 on s90.medium = m.medium and s90.horizon_days = 90
    left join metrics.medium_survival as s180 on s180.medium = m.medium and s180.horizon_days = 180
    left join metrics.org_panel_reciprocity as r on r.medium = m.medium and r.panel_kind = 'all'
    left join metrics.medium_effort as f on f.medium = m.medium and f.panel_kind = 'all'
)
select * from joined
