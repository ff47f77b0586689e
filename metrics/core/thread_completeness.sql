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
select
    source, medium, month_start,
    sum(thread_count) as thread_count,
    sum(stated_reply_count) as stated_reply_count,
    sum(stored_reply_count) as stored_reply_count,
    sum(stored_reply_count) / sum(stated_reply_count) as completeness_ratio
from core.thread_day
group by source, medium, month_start
having sum(thread_count) > 0
