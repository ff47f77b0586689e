-- description: What had passed, by each cut, between every two people in contact in the window before it.
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
-- column: is_kept | flag | Whether predictions look at the pair: all pairs of today, a fixed sample of each past cut.
-- unique: cut_number, person_a_key, person_b_key
-- not_null: cut_number, person_a_key, person_b_key, recency_days, age_days, active_days, weight, decay_score, is_kept
-- assert: recency_days <= age_days
-- caveat: Everything is seen through the window alone: older history counts for nothing, so that old and young organisations compare.
-- caveat: In large organisations past cuts are fitted on a sample of `prediction_sample` pairs.
-- reference: Navarro, Miritello, Canales, Moro (2017), Temporal patterns behind the strength of persistent ties, EPJ Data Science 6, 31.
-- restricted: yes
with summed as (
    select
        d.person_a_key, d.person_b_key, o.day_number,
        sum(d.ab_count + d.co_count) as ab_count, sum(d.ba_count + d.co_count) as ba_count,
        sum(d.ab_weight + d.ba_weight + d.co_weight) as weight
    from core.pair_day as d
    join metrics.observed_day as o on o.date = d.date and o.is_observed
    where d.date <= getvariable('as_of') and d.ab_count + d.ba_count + d.co_count > 0
    group by d.person_a_key, d.person_b_key, o.day_number
),
day_pair as (
    select *, lag(day_number) over (partition by person_a_key, person_b_key order by day_number) as previous_number from summed
),
cut as (
    select * from metrics.prediction_cut where reason is null
),
contact_day as (
    select
        c.cut_number, d.person_a_key, d.person_b_key, c.cut_day_number - d.day_number as age, d.ab_count, d.ba_count, d.weight, c.window_days,
        -- the active day before, if it lies in the window too
        case when d.previous_number > c.cut_day_number - c.window_days then c.cut_day_number - d.previous_number end as previous_age
    from cut as c
    join day_pair as d on d.day_number > c.cut_day_number - c.window_days and d.day_number <= c.cut_day_number
),
pair as (
    select
        cut_number, person_a_key, person_b_key,
        min(age) as recency_days, max(age) as age_days,
        count(*) as active_days,
        count(*) filter (where previous_age is null or previous_age // 7 <> age // 7) as active_weeks,
        sum(ab_count) as ab_count, sum(ba_count) as ba_count, round(sum(weight), 9) as weight,
        round(avg(previous_age - age), 9) as mean_gap_days,
        case when count(previous_age) > 0 then round(coalesce(stddev_pop(previous_age - age), 0), 9) end as deviation_gap_days,
        round(sum(pow(2, -9.0 * age / window_days)), 9) as decay_short_score,
        round(sum(pow(2, -3.0 * age / window_days)), 9) as decay_score,
        round(sum(pow(2, -1.0 * age / window_days)), 9) as decay_long_score,
        count(*) over (partition by cut_number) as pair_count
    from contact_day
    group by cut_number, person_a_key, person_b_key
)
select
    p.* exclude (pair_count),
    -- a sample that depends on the keys alone, so that the same pair is followed from cut to cut
    c.role = 'score'
        or (abs(p.person_a_key % 1000003) * 7919 + abs(p.person_b_key % 1000003) * 104729) % 1000003
            < 1000003.0 * getvariable('prediction_sample') / p.pair_count as is_kept
from pair as p
join cut as c on c.cut_number = p.cut_number
