-- description: What was known, on each cut, of every pair in contact in the window before it, and whether it was in contact in the
--   horizon after it. Predictions are fitted on the past cuts and made for the last one.
-- grain: cut_number, person_a_key, person_b_key
-- column: cut_number | count | The cut; see prediction_cut.
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: recency_days | days | Observed days from the last active day to the cut.
-- column: age_days | days | Observed days from the first active day in the window to the cut.
-- column: active_days | count | Days in contact in the window.
-- column: active_weeks | count | Weeks (of seven observed days, counted back from the cut) in contact.
-- column: ab_count | count | Contacts from a to b in the window; meetings count in both directions.
-- column: ba_count | count | Contacts from b to a in the window; meetings count in both directions.
-- column: weight | weight | Sum of 1/(n-1) weights in the window, both directions and meetings.
-- column: mean_gap_days | days | Mean gap between active days; empty for one-day ties.
-- column: deviation_gap_days | days | Standard deviation of those gaps; empty for one-day ties.
-- column: decay_short_score | score | Sum over active days of 2^(-age/h), h a ninth of the window.
-- column: decay_score | score | The same, h a third of the window (60 days for the usual 180).
-- column: decay_long_score | score | The same, h the whole window.
-- column: shared_count | count | People with whom both were in contact in the window.
-- column: shared_score | score | Sum over those people of the lesser of the two day-decay scores: how alive the shared contacts are.
-- column: least_degree | count | People that the less connected of the two was in contact with.
-- column: most_degree | count | People that the more connected of the two was in contact with.
-- column: least_active_days | count | Days on which the less active of the two was in contact with anybody.
-- column: idle_days | days | Observed days since either was last in contact with anybody, summed over both.
-- column: least_kept_ratio | ratio | Of ties that were there in the first half of the window, the share taken up again in the second: the
--   lesser of the two people's shares, each with one more tie kept of one more.
-- column: is_active_next | flag | Whether the pair was in contact in the horizon; empty for today.
-- column: is_lasting_next | flag | Whether it was in contact in both halves of the horizon; empty for today.
-- unique: cut_number, person_a_key, person_b_key
-- not_null: cut_number, person_a_key, person_b_key, recency_days, age_days, active_days, weight, decay_score
-- assert: recency_days <= age_days
-- assert: shared_count <= least_degree
-- assert: least_degree <= most_degree
-- assert: is_active_next or not is_lasting_next
-- caveat: Everything is seen through the window alone: older history counts for nothing, so that old and young organisations compare.
-- caveat: In large organisations past cuts hold a fixed sample of `prediction_sample` pairs.
-- reference: Navarro, Miritello, Canales, Moro (2017), Temporal patterns behind the strength of persistent ties, EPJ Data Science 6, 31.
-- restricted: yes
with active_day as (
    select d.person_a_key, d.person_b_key, o.day_number
    from core.pair_day as d
    join metrics.observed_day as o on o.date = d.date and o.is_observed
    where d.date <= getvariable('as_of') and d.ab_count + d.ba_count + d.co_count > 0
),
cut as (
    select * from metrics.prediction_cut where reason is null
),
tie as (
    select cut_number, person_a_key as person_key, recency_days, age_days from metrics.pair_cut
    union all
    select cut_number, person_b_key, recency_days, age_days from metrics.pair_cut
),
person_tie as (
    select
        t.cut_number, t.person_key,
        count(*) as degree,
        min(t.recency_days) as idle_days,
        (1.0 + count(*) filter (where t.age_days >= c.window_days / 2 and t.recency_days < c.window_days / 2))
            / (1.0 + count(*) filter (where t.age_days >= c.window_days / 2)) as kept_ratio
    from tie as t
    join cut as c on c.cut_number = t.cut_number
    group by t.cut_number, t.person_key
),
person_day as (
    select person_a_key as person_key, day_number from active_day union select person_b_key, day_number from active_day
),
person_activity as (
    select c.cut_number, p.person_key, count(*) as active_days
    from cut as c
    join person_day as p on p.day_number > c.cut_day_number - c.window_days and p.day_number <= c.cut_day_number
    group by c.cut_number, p.person_key
),
person as (
    select t.*, a.active_days from person_tie as t join person_activity as a on a.cut_number = t.cut_number and a.person_key = t.person_key
),
kept as (
    select p.*, c.cut_day_number, c.horizon_days, c.role
    from metrics.pair_cut as p
    join cut as c on c.cut_number = p.cut_number
    where p.is_kept
),
later as (
    select
        k.cut_number, k.person_a_key, k.person_b_key,
        bool_or(d.day_number - k.cut_day_number <= k.horizon_days // 2) as is_first_half,
        bool_or(d.day_number - k.cut_day_number > k.horizon_days // 2) as is_second_half
    from kept as k
    join active_day as d
        on d.person_a_key = k.person_a_key and d.person_b_key = k.person_b_key
        and d.day_number > k.cut_day_number and d.day_number <= k.cut_day_number + k.horizon_days
    where k.role = 'fit'
    group by k.cut_number, k.person_a_key, k.person_b_key
)
select
    k.cut_number, k.person_a_key, k.person_b_key,
    k.recency_days, k.age_days, k.active_days, k.active_weeks, k.ab_count, k.ba_count, k.weight, k.mean_gap_days, k.deviation_gap_days,
    k.decay_short_score, k.decay_score, k.decay_long_score,
    coalesce(s.shared_count, 0) as shared_count,
    coalesce(s.shared_score, 0) as shared_score,
    least(a.degree, b.degree) as least_degree,
    greatest(a.degree, b.degree) as most_degree,
    least(a.active_days, b.active_days) as least_active_days,
    a.idle_days + b.idle_days as idle_days,
    least(a.kept_ratio, b.kept_ratio) as least_kept_ratio,
    case when k.role = 'fit' then l.cut_number is not null end as is_active_next,
    case when k.role = 'fit' then coalesce(l.is_first_half and l.is_second_half, false) end as is_lasting_next
from kept as k
join person as a on a.cut_number = k.cut_number and a.person_key = k.person_a_key
join person as b on b.cut_number = k.cut_number and b.person_key = k.person_b_key
left join metrics.pair_cut_shared as s on s.cut_number = k.cut_number and s.person_a_key = k.person_a_key and s.person_b_key = k.person_b_key
left join later as l on l.cut_number = k.cut_number and l.person_a_key = k.person_a_key and l.person_b_key = k.person_b_key
