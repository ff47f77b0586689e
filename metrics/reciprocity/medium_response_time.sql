-- description: How long an answer takes in each medium: the share of messages answered within half an hour, two hours and a day, and the
--   median, with messages that were never answered in view.
-- question: How quickly are people answered?
-- grain: medium
-- role: people | person_count
-- role: pairs | pair_count
-- role: volume over medium | message_count, answered_count
-- role: design | sample_ratio
-- role: share over message_count | answered_in_30_minutes, answered_in_2_hours, answered_in_24_hours, working_answered_in_30_minutes,
--   working_answered_in_2_hours, working_answered_in_24_hours
-- role: interval of answered_in_30_minutes | answered_in_30_minutes_low, answered_in_30_minutes_high
-- role: interval of answered_in_2_hours | answered_in_2_hours_low, answered_in_2_hours_high
-- role: interval of answered_in_24_hours | answered_in_24_hours_low, answered_in_24_hours_high
-- role: interval of working_answered_in_30_minutes | working_answered_in_30_minutes_low, working_answered_in_30_minutes_high
-- role: interval of working_answered_in_2_hours | working_answered_in_2_hours_low, working_answered_in_2_hours_high
-- role: interval of working_answered_in_24_hours | working_answered_in_24_hours_low, working_answered_in_24_hours_high
-- role: estimate over message_count | median_hours, median_switch_hours, working_median_hours, working_median_switch_hours
-- role: interval of median_hours | median_hours_low, median_hours_high
-- role: interval of working_median_hours | working_median_hours_low, working_median_hours_high
-- role: words | reason
-- column: medium | text | The medium; `any` for all together, where an answer in any medium counts and threads are not told apart.
-- column: person_count | count | People who wrote or were written to.
-- column: pair_count | count | Pairs of people with a message.
-- column: message_count | count | Messages, once for each person reached: each could have been answered.
-- column: answered_count | count | Those answered within `response_weeks` by the person reached, before the sender wrote to them again.
-- column: sample_ratio | ratio | Which share of all pairs was followed: 1 up to `response_sample` messages.
--   The counts before it are of the pairs followed.
-- column: answered_in_30_minutes | ratio | Share answered within 30 minutes.
-- column: answered_in_30_minutes_low | ratio | Lower end of its interval.
-- column: answered_in_30_minutes_high | ratio | Upper end.
-- column: answered_in_2_hours | ratio | Share answered within 2 hours.
-- column: answered_in_2_hours_low | ratio | Lower end of its interval.
-- column: answered_in_2_hours_high | ratio | Upper end.
-- column: answered_in_24_hours | ratio | Share answered within 24 hours.
-- column: answered_in_24_hours_low | ratio | Lower end of its interval.
-- column: answered_in_24_hours_high | ratio | Upper end.
-- column: median_hours | hours | Time by which half of all messages are answered; empty if fewer ever are within `response_weeks`.
-- column: median_hours_low | hours | Lower end of its interval.
-- column: median_hours_high | hours | Upper end; empty if it lies beyond `response_weeks`.
-- column: median_switch_hours | hours | Median time to an answer among the answered, however late: unanswered messages are not in it.
-- column: working_answered_in_30_minutes | ratio | Share answered within 30 minutes of working time.
-- column: working_answered_in_30_minutes_low | ratio | Lower end of its interval.
-- column: working_answered_in_30_minutes_high | ratio | Upper end.
-- column: working_answered_in_2_hours | ratio | Share answered within 2 hours of working time.
-- column: working_answered_in_2_hours_low | ratio | Lower end of its interval.
-- column: working_answered_in_2_hours_high | ratio | Upper end.
-- column: working_answered_in_24_hours | ratio | Share answered within 24 hours of working time.
-- column: working_answered_in_24_hours_low | ratio | Lower end of its interval.
-- column: working_answered_in_24_hours_high | ratio | Upper end.
-- column: working_median_hours | hours | Working time by which half of all messages are answered; empty if fewer ever are.
-- column: working_median_hours_low | hours | Lower end of its interval.
-- column: working_median_hours_high | hours | Upper end; empty if it is not reached.
-- column: working_median_switch_hours | hours | Median working time to an answer among the answered, however late.
-- column: reason | text | Why figures are empty: too_few (messages among fewer than `minimum_pairs` pairs).
-- unique: medium
-- not_null: medium, person_count, pair_count, message_count, answered_count, sample_ratio
-- assert: answered_count <= message_count
-- assert: answered_in_30_minutes <= answered_in_2_hours and answered_in_2_hours <= answered_in_24_hours
-- assert: answered_in_24_hours between answered_in_24_hours_low - 1e-9 and answered_in_24_hours_high + 1e-9
-- assert: median_hours between median_hours_low and coalesce(median_hours_high, median_hours)
-- caveat: An answer is the next message the other way between the same two people, in the same thread where there are threads. Nobody
--   read it: it may be about something else, and an answer given by voice, in a meeting or by a reaction is not seen.
-- caveat: Many messages ask for no answer. Compare a medium with itself over time rather than media with each other.
-- caveat: Shares are of all messages, by Kaplan-Meier: a message is followed until it is answered, until its sender writes to the same
--   person again (the clock then starts anew), until collection has a gap or ends, or for `response_weeks`.
-- caveat: Working time is the weekdays and hours of the settings in the organisation's time zone, the same for everyone; public holidays
--   and part-time work are not known. An answer outside working hours takes no working time.
-- caveat: In large organisations a fixed sample of pairs stands for all (`sample_ratio`); the intervals say how far that may be off.
-- caveat: Fast is not good: quick answers can mean interruption. No person's or team's figure is made from this.
-- caveat: Intervals let messages of pairs with a person in common depend on each other.
-- reference: Kaplan, Meier (1958), Nonparametric estimation from incomplete observations, JASA 53, 457-481.
-- reference: Woodruff (1952), Confidence intervals for medians and other position measures, JASA 47, 635-646.
-- reference: Perry, Wolfe (2013), Point process modelling for directed interaction networks, J. R. Stat. Soc. B 75, 821-849.
with setting as (
    select
        -- the normal quantile by Abramowitz and Stegun 26.2.23, exact to .0005
        t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t) as quantile,
        60 * getvariable('working_from_hour') as opens_at,
        60 * (getvariable('working_to_hour') - getvariable('working_from_hour')) as opening,
        len(getvariable('working_days')) as week_count,
        7 * getvariable('response_weeks') as response_days,
        opening * week_count * getvariable('response_weeks') as response_minutes,
        -- Monday first: whether it is a working day, and how many of the week come before it
        list_transform(range(1, 8), lambda d: list_contains(getvariable('working_days'), d)::int) as is_working,
        list_transform(range(1, 8), lambda d: len(list_filter(getvariable('working_days'), lambda x: x < d))) as before_count
    from (select sqrt(-2 * ln((1 - getvariable('confidence')) / 2)) as t) as tail
),
-- whole pairs, so that who answers whom stays; by their keys alone, so that every night follows the same ones
sample as (
    select least(1.0, getvariable('response_sample')::double / greatest(count(*), 1)) as sample_ratio
    from core.contact
    where evidence not in ('co_present', 'reacted') and date <= getvariable('as_of')
),
threaded as (
    select interaction_key, date, thread_key from core.interaction where thread_key is not null and date <= getvariable('as_of')
),
root as (
    select thread_key from threaded group by thread_key
),
message as (
    select
        c.medium, least(c.from_key, c.to_key) as person_a_key, greatest(c.from_key, c.to_key) as person_b_key, c.from_key < c.to_key as is_from_a,
        c.occurred_at, c.date, c.interaction_key,
        epoch((c.occurred_at at time zone 'UTC') at time zone getvariable('time_zone') - c.date) / 60 as day_minute,
        -- the message that opened a thread may have been landed before it was known to open one
        coalesce(t.thread_key, r.thread_key) as thread_key
    from core.contact as c
    left join threaded as t on t.interaction_key = c.interaction_key and t.date = c.date
    left join root as r on r.thread_key = c.interaction_key
    where c.evidence not in ('co_present', 'reacted') and c.date <= getvariable('as_of')
        and (abs(least(c.from_key, c.to_key) % 1000003) * 7919 + abs(greatest(c.from_key, c.to_key) % 1000003) * 104729) % 1000003
            < 1000003 * (select sample_ratio from sample)
),
-- working time as one running clock, in minutes since the first Monday of 1970: whole weeks, whole days of this week, what is over of today
worked as (
    select
        m.* exclude (day_minute),
        m.date - date '1970-01-05' as day_number,
        day_number - 7 * (day_number // 7) + 1 as weekday,
        (day_number // 7 * s.week_count + s.before_count[weekday]) * s.opening
            + s.is_working[weekday] * least(greatest(m.day_minute - s.opens_at, 0), s.opening) as worked_at
    from message as m
    cross join setting as s
),
streamed as (
    select medium, person_a_key, person_b_key, is_from_a, occurred_at, date, worked_at, interaction_key, thread_key from worked
    union all
    select 'any', person_a_key, person_b_key, is_from_a, occurred_at, date, worked_at, interaction_key, null from worked
),
turn as (
    select
        medium, person_a_key, person_b_key, occurred_at, worked_at, date,
        lead(occurred_at) over w as next_at,
        lead(worked_at) over w as next_worked_at,
        lead(is_from_a) over w <> is_from_a as is_switch
    from streamed
    window w as (partition by medium, person_a_key, person_b_key, thread_key order by occurred_at, interaction_key)
),
stretch as (
    select
        o.medium, o.date_from, o.date_to,
        (cast(o.date_to + 1 as timestamp) at time zone getvariable('time_zone')) at time zone 'UTC' as ends_at,
        o.date_to + 1 - date '1970-01-05' as day_number,
        (day_number // 7 * s.week_count + s.before_count[day_number - 7 * (day_number // 7) + 1]) * s.opening as ends_worked_at
    from core.observation as o
    cross join setting as s
),
watched as (
    select
        t.medium, t.person_a_key, t.person_b_key,
        t.occurred_at + to_days(q.response_days) as gives_up_at,
        coalesce(t.is_switch and t.next_at <= least(s.ends_at, gives_up_at), false) as is_answered,
        epoch(least(t.next_at, s.ends_at, gives_up_at) - t.occurred_at) / 60 as minutes,
        least(t.next_worked_at, s.ends_worked_at, t.worked_at + q.response_minutes) - t.worked_at as worked_minutes,
        case when t.is_switch then epoch(t.next_at - t.occurred_at) / 60 end as switch_minutes,
        case when t.is_switch then t.next_worked_at - t.worked_at end as worked_switch_minutes
    from turn as t
    join stretch as s on s.medium = t.medium and t.date between s.date_from and s.date_to
    cross join setting as q
),
-- two clocks, each in whole minutes, rounded up: an answer within 30 minutes is one in the first 30
timed as (
    select medium, false as is_working, person_a_key, person_b_key, is_answered, ceil(round(minutes, 6)) as minute, switch_minutes from watched
    union all
    select medium, true, person_a_key, person_b_key, is_answered, ceil(round(worked_minutes, 6)), worked_switch_minutes from watched
),
tally as (
    select medium, is_working, minute, count(*) filter (where is_answered) as answered_count, count(*) as ended_count
    from timed
    group by medium, is_working, minute
),
at_risk as (
    select *, sum(ended_count) over w as risk_count
    from tally
    window w as (partition by medium, is_working order by minute desc rows unbounded preceding)
),
curve as (
    select
        medium, is_working, minute, risk_count,
        exp(sum(ln(greatest(1 - answered_count / risk_count, 1e-300))) over w) as unanswered,
        -- variance of the cumulated hazard, were messages independent
        sum(answered_count / (risk_count::double * risk_count)) over w as square
    from at_risk
    window w as (partition by medium, is_working order by minute rows unbounded preceding)
),
-- the curve at 30 minutes, 2 hours, 24 hours and where it passes one half
spot as (
    select
        medium, is_working,
        [
            min(unanswered) filter (where minute <= 30), min(unanswered) filter (where minute <= 120),
            min(unanswered) filter (where minute <= 1440), 0.5
        ] as unanswered,
        [30, 120, 1440, min(minute) filter (where unanswered <= 0.5)] as minutes,
        list_transform(
            [
                max(square) filter (where minute <= 30), max(square) filter (where minute <= 120), max(square) filter (where minute <= 1440),
                min(square) filter (where unanswered <= 0.5)
            ],
            lambda x: coalesce(x, 0)
        ) as squares
    from curve
    group by medium, is_working
),
-- influence of each pair on the cumulated hazard at those spots
by_pair as (
    select
        t.medium, t.is_working, t.person_a_key, t.person_b_key,
        sum((t.is_answered and t.minute <= p.minutes[1])::int / c.risk_count - least(c.square, p.squares[1])) as influence_1,
        sum((t.is_answered and t.minute <= p.minutes[2])::int / c.risk_count - least(c.square, p.squares[2])) as influence_2,
        sum((t.is_answered and t.minute <= p.minutes[3])::int / c.risk_count - least(c.square, p.squares[3])) as influence_3,
        sum((t.is_answered and t.minute <= p.minutes[4])::int / c.risk_count - least(c.square, p.squares[4])) as influence_4,
        count(*) as message_count,
        count(*) filter (where t.is_answered) as answered_count
    from timed as t
    join curve as c on c.medium = t.medium and c.is_working = t.is_working and c.minute = t.minute
    join spot as p on p.medium = t.medium and p.is_working = t.is_working
    group by t.medium, t.is_working, t.person_a_key, t.person_b_key
),
by_person as (
    select
        medium, is_working, person_key,
        sum(influence_1) as influence_1, sum(influence_2) as influence_2, sum(influence_3) as influence_3, sum(influence_4) as influence_4
    from (select *, unnest([person_a_key, person_b_key]) as person_key from by_pair) as end_of_pair
    group by medium, is_working, person_key
),
size as (
    select
        p.medium, p.is_working, p.pair_count, p.message_count, p.answered_count, n.person_count,
        -- pairs with a person in common depend on each other: never less than if pairs did not
        list_transform(
            list_zip(n.squares, p.squares), lambda x: sqrt(greatest(x[1] - x[2], x[2]) * n.person_count / greatest(n.person_count - 1, 1))
        ) as deviations
    from (
        select
            medium, is_working, count(*) as pair_count, sum(message_count) as message_count, sum(answered_count) as answered_count,
            [sum(influence_1 ** 2), sum(influence_2 ** 2), sum(influence_3 ** 2), sum(influence_4 ** 2)] as squares
        from by_pair
        group by medium, is_working
    ) as p
    join (
        select
            medium, is_working, count(*) as person_count,
            [sum(influence_1 ** 2), sum(influence_2 ** 2), sum(influence_3 ** 2), sum(influence_4 ** 2)] as squares
        from by_person
        group by medium, is_working
    ) as n on n.medium = p.medium and n.is_working = p.is_working
),
-- on the scale of log(-log S), which keeps shares between 0 and 1
banded as (
    select
        p.medium, p.is_working, s.* exclude (medium, is_working, deviations), p.minutes[4] as median_minute,
        list_transform(p.unanswered, lambda u: 1 - coalesce(u, 1)) as share,
        list_transform(
            list_zip(p.unanswered, s.deviations),
            lambda x: case
                when coalesce(x[1], 1) >= 1 then [0, 1 - ((1 - getvariable('confidence')) / 2) ** (1 / s.pair_count)]
                when x[1] <= 1e-290 then [((1 - getvariable('confidence')) / 2) ** (1 / s.pair_count), 1]
                else [1 - x[1] ** exp(-q.quantile * x[2] / -ln(x[1])), 1 - x[1] ** exp(q.quantile * x[2] / -ln(x[1]))]
            end
        ) as bounds
    from spot as p
    join size as s on s.medium = p.medium and s.is_working = p.is_working
    cross join setting as q
),
-- the median's interval: where the curve passes the ends of the interval of one half
median_end as (
    select
        b.medium, b.is_working,
        min(c.minute) filter (where 1 - c.unanswered >= b.bounds[4][1]) as low_minute,
        min(c.minute) filter (where 1 - c.unanswered >= b.bounds[4][2]) as high_minute
    from banded as b
    join curve as c on c.medium = b.medium and c.is_working = b.is_working
    group by b.medium, b.is_working
),
switch as (
    select medium, is_working, median(switch_minutes) / 60 as switch_hours from timed group by medium, is_working
),
figure as (
    select
        b.medium, b.is_working, b.person_count, b.pair_count, b.message_count, b.answered_count,
        b.pair_count >= getvariable('minimum_pairs') as is_enough,
        -- rounded, since the order of a parallel sum is not fixed and a rerun must give the same figures
        list_transform(b.share, lambda x: round(x, 9)) as share,
        list_transform(b.bounds, lambda x: list_transform(x, lambda y: round(y, 9))) as bounds,
        b.median_minute / 60 as median_hours,
        case when b.median_minute is not null then m.low_minute / 60 end as low_hours,
        case when b.median_minute is not null then m.high_minute / 60 end as high_hours,
        s.switch_hours
    from banded as b
    join median_end as m on m.medium = b.medium and m.is_working = b.is_working
    join switch as s on s.medium = b.medium and s.is_working = b.is_working
)
select
    f.medium,
    f.person_count,
    f.pair_count,
    f.message_count,
    f.answered_count,
    p.sample_ratio,
    case when f.is_enough then f.share[1] end as answered_in_30_minutes,
    case when f.is_enough then f.bounds[1][1] end as answered_in_30_minutes_low,
    case when f.is_enough then f.bounds[1][2] end as answered_in_30_minutes_high,
    case when f.is_enough then f.share[2] end as answered_in_2_hours,
    case when f.is_enough then f.bounds[2][1] end as answered_in_2_hours_low,
    case when f.is_enough then f.bounds[2][2] end as answered_in_2_hours_high,
    case when f.is_enough then f.share[3] end as answered_in_24_hours,
    case when f.is_enough then f.bounds[3][1] end as answered_in_24_hours_low,
    case when f.is_enough then f.bounds[3][2] end as answered_in_24_hours_high,
    case when f.is_enough then f.median_hours end as median_hours,
    case when f.is_enough then f.low_hours end as median_hours_low,
    case when f.is_enough then f.high_hours end as median_hours_high,
    case when f.is_enough then f.switch_hours end as median_switch_hours,
    case when f.is_enough then w.share[1] end as working_answered_in_30_minutes,
    case when f.is_enough then w.bounds[1][1] end as working_answered_in_30_minutes_low,
    case when f.is_enough then w.bounds[1][2] end as working_answered_in_30_minutes_high,
    case when f.is_enough then w.share[2] end as working_answered_in_2_hours,
    case when f.is_enough then w.bounds[2][1] end as working_answered_in_2_hours_low,
    case when f.is_enough then w.bounds[2][2] end as working_answered_in_2_hours_high,
    case when f.is_enough then w.share[3] end as working_answered_in_24_hours,
    case when f.is_enough then w.bounds[3][1] end as working_answered_in_24_hours_low,
    case when f.is_enough then w.bounds[3][2] end as working_answered_in_24_hours_high,
    case when f.is_enough then w.median_hours end as working_median_hours,
    case when f.is_enough then w.low_hours end as working_median_hours_low,
    case when f.is_enough then w.high_hours end as working_median_hours_high,
    case when f.is_enough then w.switch_hours end as working_median_switch_hours,
    case when not f.is_enough then 'too_few' end as reason
from figure as f
join figure as w on w.medium = f.medium and w.is_working
cross join sample as p
where not f.is_working
