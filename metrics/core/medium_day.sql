-- description: How many interactions each source holds of each medium on each day.
-- grain: source, medium, date
-- column: source | text | The source.
-- column: medium | text | The medium.
-- column: date | date | The day in the organisation's time zone.
-- column: interaction_count | count | Interactions landed, excluded ones too.
-- column: excluded_count | count | How many of them make no contact (bots, joins, cancelled, and so on).
-- column: sender_count | count | People who sent or organised any of them.
-- unique: source, medium, date
-- not_null: source, medium, date, interaction_count, excluded_count, sender_count
-- caveat: A day without a row may be a quiet one or one that nobody looked at: see core.coverage_day.
-- rebuild: day
select source, medium, date, count(*) as interaction_count, count(*) filter (where exclusion is not null) as excluded_count,
    count(distinct sender_key) as sender_count
from core.interaction
where date in (select date from touched_day) and date between getvariable('touched_first') and getvariable('touched_last')
group by source, medium, date
