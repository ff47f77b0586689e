-- description: Stretches of days on which nothing was collected, so that silence there says nothing about relationships: reported by a
--   connector; or found because a medium that was busy before and after fell wholly silent for longer than it ever ordinarily does; or because
--   all media together faded: for four weeks less than a quarter of the level before, with half of the people or more silent at once.
-- question: When were we not looking?
-- grain: source, medium, date_from
-- role: calendar with metrics.medium_effort | date_to, day_count, kind
-- role: inside | expected_count
-- column: source | text | The source.
-- column: medium | text | The medium.
-- column: date_from | date | First day of the gap.
-- column: date_to | date | Last day of the gap.
-- column: day_count | count | How many days.
-- column: kind | text | reported (a connector said so), silent (found in the counts) or faded (found in the counts of all media).
-- column: expected_count | count | How many interactions the four weeks before and after lead one to expect in it; empty where only a connector
--   says so, and for what faded.
-- unique: source, medium, date_from, kind
-- not_null: source, medium, date_from, date_to, day_count, kind
-- assert: date_from <= date_to
-- caveat: A company-wide shutdown looks the same as a fault in collection; treating it as a gap is the careful side.
-- caveat: A medium that everybody leaves for another is no fault of collection: what passes over all media goes on, and one straggling message
--   after months is no return.
-- caveat: The level before is the highest that three weeks in four of half a year reached within the last year: an organisation that
--   shrinks to a quarter within a year reads as a fault, and one that was busy for less than five months never does.
-- reference: Perdure's own rule; the EU-core e-mail data set has no event between its days 525 and 797 and shows why one is needed.
with daily as (
    select source, medium, date, interaction_count from core.medium_day where date <= getvariable('as_of')
),
silence as (
    select
        source, medium,
        lag(date) over w + 1 as date_from,
        date - 1 as date_to,
        date - lag(date) over w - 1 as day_count
    from daily
    window w as (partition by source, medium order by date)
),
ordinary as (
    -- what a quiet spell ordinarily is for this medium: weekends, holidays, a small firm's slow week
    select source, medium, quantile_cont(coalesce(day_count, 0), 0.99) as usual_days
    from silence
    group by all
),
candidate as (
    select s.*
    from silence as s
    join ordinary as o on o.source = s.source and o.medium = s.medium
    where s.day_count >= getvariable('gap_minimum_days') and s.day_count > 2 * o.usual_days
),
rated as (
    select
        c.source, c.medium, c.date_from, c.date_to, c.day_count,
        sum(d.interaction_count) filter (where d.date < c.date_from) / 28.0 as rate_before,
        sum(d.interaction_count) filter (where d.date > c.date_to)
            / least(28.0, getvariable('as_of') - c.date_to) as rate_after
    from candidate as c
    join daily as d on d.source = c.source and d.medium = c.medium and d.date between c.date_from - 28 and c.date_to + 28
    group by c.source, c.medium, c.date_from, c.date_to, c.day_count
),
silent as (
    select
        source, medium, date_from, date_to, day_count, 'silent' as kind,
        -- the lesser side, and only where the medium came back: one straggling message after everybody has left it is no return
        floor(least(rate_before, rate_after) * day_count) as expected_count
    from rated
    where rate_after >= 0.25 * rate_before
),
reported as (
    select
        source, medium,
        date_from, date_to, date_to - date_from + 1 as day_count, 'reported' as kind, cast(null as double) as expected_count
    from raw.coverage
    where unit_key = 0 and status = 'missing' and medium is not null and date_from <= getvariable('as_of')
        and exists (select 1 from daily as d where d.source = coverage.source and d.medium = coverage.medium)
),
-- all media together, by whole weeks; weeks without anything are those of a silence, and no yardstick
weekly as (
    select date_trunc('week', date)::date as week, sum(interaction_count) as amount, sum(sender_count) as people
    from core.medium_day
    where date <= getvariable('as_of')
    group by date_trunc('week', date)
    having week + 6 <= getvariable('as_of')
),
levelled as (
    select
        *,
        case when count(*) over half_year = 26 then quantile_cont(amount, 0.25) over half_year end as usual_amount,
        case when count(*) over half_year = 26 then quantile_cont(people, 0.25) over half_year end as usual_people
    from weekly
    window half_year as (order by week rows between 25 preceding and current row)
),
judged as (
    select
        week, amount, max(usual_amount) over before as level,
        sum(amount) over month <= level and sum(people) over month <= 2 * max(usual_people) over before as has_faded
    from levelled
    window before as (order by week rows between 52 preceding and 1 preceding), month as (order by week rows between 3 preceding and current row)
),
-- what has faded did so from its first week under half of that level, until it comes back to half
run as (
    select week, has_faded, count(*) filter (where amount >= level / 2 or level is null) over (order by week) as run_number, amount < level / 2 as is_low
    from judged
    where level >= getvariable('gap_minimum_expected') or level is null
),
fading as (
    select
        min(week) as date_from,
        case when max(week) = (select max(week) from weekly) then getvariable('as_of') else max(week) + 6 end as date_to
    from run
    where is_low
    group by run_number
    having bool_or(has_faded)
),
faded as (
    select d.source, d.medium, f.date_from, f.date_to, f.date_to - f.date_from + 1 as day_count, 'faded' as kind
    from fading as f
    join daily as d on d.date between f.date_from - 182 and f.date_to
    group by d.source, d.medium, f.date_from, f.date_to
)
select source, medium, date_from, date_to, day_count, kind, expected_count
from silent
where expected_count >= getvariable('gap_minimum_expected')
union all
select * from reported
union all
select source, medium, date_from, date_to, day_count, kind, null from faded
