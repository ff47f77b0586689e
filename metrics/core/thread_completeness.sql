-- description: How many replies the sources say that threads have, beside how many are stored: what late replies a collection misses.
-- question: Are the threads whole?
-- grain: source, medium, month_start
-- column: source | text | The source.
-- column: medium | text | The medium of the threads' first messages.
-- column: month_start | date | First day of the month in which the threads began, in the organisation's time zone.
-- column: thread_count | count | Threads whose first message says that it was answered.
-- column: stated_reply_count | count | Replies that those first messages state, as last read.
-- column: stored_reply_count | count | Replies to them that are stored and not marked as deleted.
-- column: completeness_ratio | ratio | Stored replies per stated reply; 1 where nothing is missing.
-- unique: source, medium, month_start
-- not_null: source, medium, month_start, thread_count, stated_reply_count, stored_reply_count, completeness_ratio
-- assert: thread_count > 0
-- assert: stated_reply_count >= thread_count
-- caveat: A source states a count when its first message is read: a reply that came to an old thread since then is in neither count
--   until the rolling sweep reads that thread again. Replies deleted since then raise the ratio's denominator until it does; replies
--   newer than the last reading of the first message can lift it above 1.
-- caveat: Only Slack states how many replies a thread has; Microsoft 365 has no row here.
-- reference: Perdure's own figure; the best known fault of message collectors is that history lists first messages only.
-- joins: as written
with root as (
    select source, medium, interaction_key as thread_key, reply_count, epoch_us(occurred_at) // 900_000_000 as quarter
    from raw.interaction
    where reply_count > 0 and interaction_key = thread_key and exclusion is distinct from 'deleted'
),
-- the local month is asked for once a quarter of an hour, not once a thread
month as (
    select
        quarter,
        date_trunc('month', (make_timestamp(quarter * 900_000_000) at time zone 'UTC') at time zone getvariable('time_zone'))::date as month_start
    from (select distinct quarter from root) as q
),
reply as (
    select r.source, r.thread_key, count(*) as stored_reply_count
    from raw.interaction as r
    semi join root as o on o.source = r.source and o.thread_key = r.thread_key
    where r.interaction_key <> r.thread_key and r.exclusion is distinct from 'deleted'
    group by all
)
select
    o.source, o.medium, m.month_start,
    count(*) as thread_count,
    sum(o.reply_count) as stated_reply_count,
    sum(coalesce(r.stored_reply_count, 0)) as stored_reply_count,
    sum(coalesce(r.stored_reply_count, 0)) / sum(o.reply_count) as completeness_ratio
from root as o
join month as m on m.quarter = o.quarter
left join reply as r on r.source = o.source and r.thread_key = o.thread_key
group by all
