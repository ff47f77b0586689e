-- description: Threads begun and replies stored on each day, of threads whose first message says that it was answered, by the month in
--   which the threads began: what `thread_completeness` sums up.
-- grain: source, medium, date, month_start
-- column: source | text | The source.
-- column: medium | medium | The medium of the threads' first messages.
-- column: date | date | The day of the first messages and replies that are counted, in the organisation's time zone.
-- column: month_start | date | First day of the month in which their threads began.
-- column: thread_count | count | Threads begun on the day.
-- column: stated_reply_count | count | Replies that their first messages state, as last read.
-- column: stored_reply_count | count | Replies of the day that are stored and not marked as deleted.
-- unique: source, medium, date, month_start
-- not_null: source, medium, date, month_start, thread_count, stated_reply_count, stored_reply_count
-- caveat: A day's replies belong to threads of that day and of days before; compare stated and stored replies by month_start, not by date.
-- rebuild: day
-- joins: as written
with root as (
    select source, medium, interaction_key as thread_key, reply_count, epoch_us(occurred_at) // 900_000_000 as quarter
    from raw.interaction
    where medium in ('slack_channel', 'slack_dm', 'slack_group_dm', 'teams_channel')
        and reply_count > 0 and interaction_key = thread_key and exclusion is distinct from 'deleted'
        and occurred_at >= getvariable('touched_threads_from') and occurred_at < getvariable('touched_to')
),
-- the local month is asked for once a quarter of an hour, not once a thread
month as (
    select
        quarter,
        date_trunc('month', (make_timestamp(quarter * 900_000_000) at time zone 'UTC') at time zone getvariable('time_zone'))::date as month_start
    from (select distinct quarter from root) as q
)
select
    r.source, r.medium, i.date, m.month_start,
    count(*) filter (where i.interaction_key = r.thread_key) as thread_count,
    coalesce(sum(r.reply_count) filter (where i.interaction_key = r.thread_key), 0) as stated_reply_count,
    count(*) filter (where i.interaction_key <> r.thread_key) as stored_reply_count
from core.interaction as i
join root as r on r.source = i.source and r.thread_key = i.thread_key
join month as m on m.quarter = r.quarter
where i.date in (select date from touched_day) and i.date between getvariable('touched_first') and getvariable('touched_last')
    and i.exclusion is distinct from 'deleted'
group by r.source, r.medium, i.date, m.month_start
