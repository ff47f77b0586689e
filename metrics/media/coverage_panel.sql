-- description: What was seen of each medium in each period: on how many of its days everything, part of it, or nothing was collected.
-- question: How much of the organisation's communication do these figures rest on?
-- grain: panel_kind, panel_start, source, medium
-- role: people | person_count
-- role: volume over panel_start | interaction_count
-- role: calendar | day_count, observed_day_count, partial_day_count, missing_day_count, gap_day_count, status
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: source | text | The source.
-- column: medium | text | The medium.
-- column: person_count | count | People who were in contact by that medium in the period, whatever the source.
-- column: interaction_count | count | Interactions landed, excluded ones too.
-- column: day_count | count | Days of the period between the first and the last day on which the medium was seen at all.
-- column: observed_day_count | count | Those on which all was collected.
-- column: partial_day_count | count | Those on which some mailboxes or channels could not be read, or which brought far less than usual.
-- column: missing_day_count | count | Those that a connector reported as not collected.
-- column: gap_day_count | count | Those found to be missing from the counts.
-- column: status | text | The worst state of a day in it: gap, missing, partial, observed.
-- unique: panel_kind, panel_start, source, medium
-- not_null: panel_kind, panel_start, source, medium, person_count, interaction_count, day_count, status
-- assert: day_count = observed_day_count + partial_day_count + missing_day_count + gap_day_count
-- caveat: It is `core.coverage_day` by period, since days on which a few people used a medium say when they did.
-- caveat: A day counts as observed unless a source says otherwise or its silence is out of the ordinary.
select
    p.panel_kind, p.panel_start, d.source, cast(d.medium as varchar) as medium,
    coalesce(any_value(e.person_count), 0) as person_count,
    sum(d.interaction_count) as interaction_count,
    count(*) as day_count,
    count(*) filter (where d.status = 'observed') as observed_day_count,
    count(*) filter (where d.status = 'partial') as partial_day_count,
    count(*) filter (where d.status = 'missing') as missing_day_count,
    count(*) filter (where d.status = 'gap') as gap_day_count,
    case
        when bool_or(d.status = 'gap') then 'gap'
        when bool_or(d.status = 'missing') then 'missing'
        when bool_or(d.status = 'partial') then 'partial'
        else 'observed'
    end as status
from core.panel as p
join core.coverage_day as d on d.date >= p.panel_start and d.date < p.panel_end
left join metrics.medium_effort as e on e.panel_kind = p.panel_kind and e.panel_start = p.panel_start and e.medium = d.medium
group by p.panel_kind, p.panel_start, d.source, d.medium
