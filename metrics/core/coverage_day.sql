-- description: What was seen of each medium on each day, and whether it was all that there was to see.
-- question: How much of the organisation's communication do these figures rest on?
-- grain: source, medium, date
-- column: source | text | The source.
-- column: medium | text | The medium.
-- column: date | date | The day in the organisation's time zone.
-- column: interaction_count | count | Interactions landed, excluded ones too.
-- column: excluded_count | count | How many of them make no contact (bots, joins, cancelled, and so on).
-- column: status | text | observed, partial (some mailboxes or channels could not be read, or settings leave some out), missing (reported by the connector) or gap (found in the counts).
-- column: reason | text | Why, as the connector's code, `silent`, `faded` (see core.gap), or `drop` (far fewer interactions than on the same weekday of the eight weeks before).
-- column: unread_unit_count | count | How many mailboxes, channels or other units could not be read on that day.
-- unique: source, medium, date
-- not_null: source, medium, date, interaction_count, status
-- assert: status in ('observed', 'partial', 'missing', 'gap')
-- caveat: A day counts as observed unless a source says otherwise or its silence is out of the ordinary. A partial loss that nobody
--   reports shows as a drop (30% below the usual, and below the usual spread); a public holiday looks the same. Figures count such days as observed.
with daily as (
    select source, medium, date, interaction_count, excluded_count from core.medium_day where date <= getvariable('as_of')
),
span as (
    select source, medium, unnest(generate_series(min(date), max(date), interval 1 day))::date as date
    from daily
    group by source, medium
),
unread as (
    select s.source, s.medium, s.date, count(distinct c.unit_key) as unread_unit_count, min(c.reason) as reason
    from span as s
    join raw.coverage as c on c.source = s.source and c.medium = s.medium and s.date between c.date_from and c.date_to
    where c.status <> 'observed' and c.unit_key <> 0
    group by all
),
-- of a stream that was read, settings left some out: folders, or people out of scope
left_out as (
    select s.source, s.medium, s.date, min(c.reason) as reason
    from span as s
    join raw.coverage as c on c.source = s.source and c.medium = s.medium and s.date between c.date_from and c.date_to
    where c.status = 'partial' and c.unit_key = 0
    group by all
),
-- what the same weekday usually brings: a night that sees far less is likelier to have lost part of its sources than people to have fallen silent
same_weekday as (
    select s.source, s.medium, s.date, coalesce(b.interaction_count, 0) as before_count
    from span as s
    join span as e on e.source = s.source and e.medium = s.medium and e.date < s.date and e.date >= s.date - 56 and (s.date - e.date) % 7 = 0
    left join daily as b on b.source = e.source and b.medium = e.medium and b.date = e.date
),
usual as (
    select source, medium, date, median(before_count) as usual_count, mad(before_count) as spread
    from same_weekday
    group by source, medium, date
    having count(*) >= 4
),
dropped as (
    select u.source, u.medium, u.date
    from usual as u
    left join daily as d on d.source = u.source and d.medium = u.medium and d.date = u.date
    where u.usual_count >= getvariable('gap_minimum_expected')
        and coalesce(d.interaction_count, 0) <= 0.7 * u.usual_count
        and coalesce(d.interaction_count, 0) < u.usual_count - 3 * greatest(1.4826 * u.spread, sqrt(u.usual_count))
        -- today is not over
        and not (u.date = getvariable('as_of') and u.date >= cast(now() at time zone getvariable('time_zone') as date))
)
select
    s.source,
    s.medium,
    s.date,
    coalesce(d.interaction_count, 0) as interaction_count,
    coalesce(d.excluded_count, 0) as excluded_count,
    case
        when g.kind in ('silent', 'faded') then 'gap'
        when g.kind = 'reported' then 'missing'
        when u.unread_unit_count > 0 or p.date is not null or l.date is not null then 'partial'
        else 'observed'
    end as status,
    case when g.kind is not null then g.kind else coalesce(u.reason, case when p.date is not null then 'drop' end, l.reason) end as reason,
    coalesce(u.unread_unit_count, 0) as unread_unit_count
from span as s
left join daily as d on d.source = s.source and d.medium = s.medium and d.date = s.date
left join (
    select source, medium, date, max(kind) as kind
    from (select source, medium, kind, unnest(generate_series(date_from, date_to, interval 1 day))::date as date from core.gap) as each
    group by source, medium, date
) as g on g.source = s.source and g.medium = s.medium and g.date = s.date
left join unread as u on u.source = s.source and u.medium = s.medium and u.date = s.date
left join left_out as l on l.source = s.source and l.medium = s.medium and l.date = s.date
left join dropped as p on p.source = s.source and p.medium = s.medium and p.date = s.date
