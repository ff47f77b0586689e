-- description: How many ties formed, persisted, faded and came back from one period to the next, by medium and by whether they cross
--   teams or organisations.
-- question: Are relationships being formed faster than they fade, and where?
-- grain: panel_kind, panel_start, medium, slice
-- role: people | person_count
-- role: calendar | is_comparable, history_count
-- role: pairs | tie_count
-- role: lag of tie_count | previous_tie_count
-- role: pairs among tie_count | persisted_count, formed_count, reactivated_count
-- role: pairs | decayed_count
-- role: pairs among decayed_count | thinned_count
-- role: share over previous_tie_count | persistence_ratio
-- role: interval of persistence_ratio | lower_ratio, upper_ratio
-- role: words | reason
-- column: panel_kind | text | week or month.
-- column: panel_start | date | First day of the period.
-- column: medium | text | The medium; any for all together.
-- column: slice | text | all, cross_team, within_team or external; ties of people whose team is unknown are in all only.
-- column: is_comparable | flag | Whether both this period and the one before were observed throughout in this medium.
-- column: person_count | count | People with a tie in this period or the one before.
-- column: tie_count | count | Ties in this period; empty where it was not observed throughout.
-- column: previous_tie_count | count | Ties in the period before; empty where it was not observed throughout.
-- column: persisted_count | count | Ties of the period before that are ties again.
-- column: decayed_count | count | Ties of the period before that are not.
-- column: thinned_count | count | How many of those were still in some contact, too little to be a tie.
-- column: formed_count | count | Ties of this period that were none in any period before.
-- column: reactivated_count | count | Ties of this period that were none in the period before but in an earlier one.
-- column: persistence_ratio | ratio | persisted / previous ties.
-- column: lower_ratio | ratio | Lower bound of its interval.
-- column: upper_ratio | ratio | Upper bound.
-- column: history_count | count | Earlier periods that were observed throughout: with few of them, some that count as formed are old.
-- column: reason | text | Why counts are empty: first (no period before) or not_observed (one of the two was not observed throughout).
-- unique: panel_kind, panel_start, medium, slice
-- not_null: panel_kind, panel_start, medium, slice, is_comparable, person_count, history_count
-- assert: persisted_count + decayed_count = previous_tie_count
-- assert: thinned_count <= decayed_count
-- assert: lower_ratio <= persistence_ratio + 1e-9 and persistence_ratio <= upper_ratio + 1e-9
-- assert: is_comparable = (reason is null)
-- caveat: Persistence falls as periods get shorter: compare months with months.
-- caveat: A tie belongs to the slice of its last contact in the period in which it was seen; what persisted and faded is sliced by the
--   period before, what formed and came back by this one.
-- caveat: Holidays look like decay, and their end like reactivation; look at the same month a year earlier.
-- caveat: The interval is Wilson's for as many independent ties as these, which share people, are worth.
-- reference: Hidalgo, Rodriguez-Sickert (2008), The dynamics of a mobile phone network, Physica A 387 (persistence).
-- reference: Burt (2000), Decay functions, Social Networks 22; Korn, Graubard (1998) for the interval.
with panel as (
    select panel_kind, panel_start, panel_end, is_complete, row_number() over (partition by panel_kind order by panel_start) as number
    from core.panel
    where panel_kind <> 'all'
),
watched as (
    select p.panel_kind, p.panel_start, p.number, 'any' as medium, p.is_complete from panel as p
    union all
    select
        p.panel_kind, p.panel_start, p.number, m.medium,
        exists (select 1 from core.observation as o where o.medium = m.medium and o.date_from <= p.panel_start and o.date_to >= p.panel_end - 1)
    from panel as p
    cross join (select distinct medium from core.observation where medium <> 'any') as m
),
frame as (
    select
        w.panel_kind, w.panel_start, w.number, w.medium, s.slice, w.is_complete,
        lag(w.is_complete) over v as was_complete,
        count(*) filter (where w.is_complete) over (v rows between unbounded preceding and 1 preceding) as history_count
    from watched as w
    cross join unnest(['all', 'cross_team', 'within_team', 'external']) as s(slice)
    window v as (partition by w.panel_kind, w.medium, s.slice order by w.number)
),
followed as (
    select
        t.person_a_key, t.person_b_key, t.medium, t.panel_kind, p.panel_start, p.number, t.is_tie,
        ['all', case when t.is_external then 'external' when t.is_cross_team then 'cross_team' when not t.is_cross_team then 'within_team' end] as slices,
        coalesce(lag(p.number) over w = p.number - 1 and lag(t.is_tie) over w, false) as was_tie,
        coalesce(bool_or(t.is_tie) over (w rows between unbounded preceding and 1 preceding), false) as was_ever_tie,
        coalesce(lead(p.number) over w = p.number + 1, false) as stays_in_contact,
        stays_in_contact and lead(t.is_tie) over w as persists
    from metrics.pair_panel as t
    join panel as p on p.panel_kind = t.panel_kind and p.panel_start = t.panel_start
    where t.active_days > 0
    window w as (partition by t.panel_kind, t.medium, t.person_a_key, t.person_b_key order by p.number)
),
tie as (
    select * exclude (slices), unnest(list_filter(slices, lambda x: x is not null)) as slice from followed where is_tie
),
current as (
    select
        panel_kind, number, medium, slice,
        count(*) as tie_count,
        count(*) filter (where not was_ever_tie) as formed_count,
        count(*) filter (where was_ever_tie and not was_tie) as reactivated_count
    from tie
    group by panel_kind, number, medium, slice
),
previous as (
    select
        panel_kind, number + 1 as number, medium, slice,
        count(*) as previous_tie_count,
        count(*) filter (where persists) as persisted_count,
        persisted_count / previous_tie_count as share,
        count(*) filter (where stays_in_contact and not persists) as thinned_count
    from tie
    group by panel_kind, number, medium, slice
),
side as (
    select panel_kind, number, medium, slice, person_a_key as person_key, persists from tie
    union all
    select panel_kind, number, medium, slice, person_b_key, persists from tie
),
of_person as (
    select panel_kind, number, medium, slice, person_key, count(*) as tie_count, count(*) filter (where persists) as persisted_count
    from side
    group by panel_kind, number, medium, slice, person_key
),
people as (
    select panel_kind, number, medium, slice, count(distinct person_key) as person_count
    from (
        select panel_kind, number, medium, slice, person_key from of_person
        union all
        select panel_kind, number + 1, medium, slice, person_key from of_person
    ) as either
    group by panel_kind, number, medium, slice
),
spread as (
    -- the dyadic-robust variance of the share: each person's ties together, less what independent ties would give once
    select
        v.panel_kind, v.number, v.medium, v.slice, v.share,
        sum((o.persisted_count - v.share * o.tie_count) ^ 2) as by_person,
        any_value(v.previous_tie_count) * v.share * (1 - v.share) as by_tie,
        count(*) as person_count
    from previous as v
    join of_person as o on o.panel_kind = v.panel_kind and o.number = v.number - 1 and o.medium = v.medium and o.slice = v.slice
    group by v.panel_kind, v.number, v.medium, v.slice, v.share
),
worth as (
    select
        s.panel_kind, s.number, s.medium, s.slice, s.share,
        -- as many independent ties as would leave the same variance; never more than there are
        v.previous_tie_count / greatest(1, (s.by_person - s.by_tie) / nullif(s.by_tie, 0) * s.person_count / (s.person_count - 1)) as size
    from spread as s
    join previous as v using (panel_kind, number, medium, slice)
),
normal as (
    -- quantile of the normal distribution to within .0005 (Abramowitz and Stegun 26.2.23)
    select
        sqrt(-2 * ln((1 - getvariable('confidence')) / 2)) as t,
        t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t) as z
)
select
    f.panel_kind,
    f.panel_start,
    f.medium,
    f.slice,
    coalesce(f.is_complete and f.was_complete, false) as is_comparable,
    coalesce(q.person_count, 0) as person_count,
    case when f.is_complete then coalesce(c.tie_count, 0) end as tie_count,
    case when f.was_complete then coalesce(v.previous_tie_count, 0) end as previous_tie_count,
    case when is_comparable then coalesce(v.persisted_count, 0) end as persisted_count,
    case when is_comparable then coalesce(v.previous_tie_count - v.persisted_count, 0) end as decayed_count,
    case when is_comparable then coalesce(v.thinned_count, 0) end as thinned_count,
    case when is_comparable then coalesce(c.formed_count, 0) end as formed_count,
    case when is_comparable then coalesce(c.reactivated_count, 0) end as reactivated_count,
    case when is_comparable then round(w.share, 9) end as persistence_ratio,
    case when is_comparable then round(
        greatest((w.share + z * z / (2 * w.size) - z * sqrt(w.share * (1 - w.share) / w.size + z * z / (4 * w.size * w.size))) / (1 + z * z / w.size), 0), 9
    ) end as lower_ratio,
    case when is_comparable then round(
        least((w.share + z * z / (2 * w.size) + z * sqrt(w.share * (1 - w.share) / w.size + z * z / (4 * w.size * w.size))) / (1 + z * z / w.size), 1), 9
    ) end as upper_ratio,
    f.history_count,
    case when f.number = 1 then 'first' when not is_comparable then 'not_observed' end as reason
from frame as f
cross join normal
left join current as c using (panel_kind, number, medium, slice)
left join previous as v using (panel_kind, number, medium, slice)
left join worth as w using (panel_kind, number, medium, slice)
left join people as q using (panel_kind, number, medium, slice)
