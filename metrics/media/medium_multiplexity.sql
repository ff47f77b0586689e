-- description: How many media ties use, and, of the ties that use one medium, the share that use another, beside the share that ties as active
--   as these would show anyway.
-- question: Which media go together in one relationship, and how many relationships rest on one medium alone?
-- grain: panel_kind, panel_start, measure, given_medium, label
-- role: people | person_count
-- role: people of label | used_person_count
-- role: pairs | tie_count
-- role: pairs among tie_count | used_tie_count
-- role: share over tie_count | used_ratio
-- role: estimate over tie_count | null_ratio
-- role: estimate over used_tie_count | lift_ratio
-- role: interval of used_ratio | lower_ratio, upper_ratio
-- role: words | reason
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: measure | text | media_number (how many media a tie uses) or also_uses (of the ties that use given_medium, those that use the medium in label).
-- column: given_medium | text | The medium that all counted ties use; `any` for all ties.
-- column: label | text | For media_number the number of media; for also_uses the other medium.
-- column: tie_count | count | Ties that are counted: those that use given_medium in the period.
-- column: person_count | count | People in those ties.
-- column: used_person_count | count | People in those of them that have the number of media, or use the other medium.
-- column: used_tie_count | count | How many of them have the number of media, or use the other medium.
-- column: used_ratio | ratio | Their share: P(label given given_medium). Empty where the medium in label was not observed.
-- column: lower_ratio | ratio | Lower bound of its interval (Wilson's, widened for people who are in many ties).
-- column: upper_ratio | ratio | Upper bound.
-- column: null_ratio | ratio | The share to be expected if, among ties with about as many active days, the use of one medium said nothing about the other;
--   empty for media_number.
-- column: lift_ratio | ratio | used_ratio divided by null_ratio: above 1 the two go together more than activity explains.
-- column: reason | text | Why the share is empty: not_observed (no day of the period was observed in the other medium).
-- unique: panel_kind, panel_start, measure, given_medium, label
-- not_null: panel_kind, panel_start, measure, given_medium, label, tie_count, person_count
-- assert: used_ratio between 0 and 1
-- assert: used_tie_count <= tie_count
-- assert: lower_ratio <= used_ratio + 1e-9 and used_ratio <= upper_ratio + 1e-9
-- assert: (used_ratio is null) = (reason is not null)
-- caveat: Busy relationships use more media because they are busy; read the share beside null_ratio, never alone.
-- caveat: A tie of two active days cannot use three media in separate ways: among quiet ties null_ratio is a little too high.
-- caveat: Media of which only a part is collected (public channels only, some mailboxes) look rarer than they are.
-- reference: Haythornthwaite (2005), Social networks and Internet connectivity effects, Information, Communication & Society 8, 125-147.
-- reference: Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23 (for the interval).
-- rebuild: panel
with constant as (
    -- the normal quantile, Abramowitz and Stegun 26.2.23: within 0.00045
    select power(t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t), 2) as zz
    from (select sqrt(-2 * ln((1 - getvariable('confidence')) / 2)) as t) as tail
),
tie as (
    select
        p.panel_kind, p.panel_start, p.person_a_key, p.person_b_key,
        max(p.active_days) filter (where p.medium = 'any') as active_days,
        list(p.medium) filter (where p.medium <> 'any' and p.active_days > 0) as media
    from metrics.pair_panel as p
    join touched_panel as t on t.panel_kind = p.panel_kind and t.panel_start = p.panel_start
    group by p.panel_kind, p.panel_start, p.person_a_key, p.person_b_key
    having bool_or(p.is_tie and p.medium = 'any')
),
classed as (
    select
        panel_kind, panel_start, person_a_key, person_b_key, media,
        least(floor(log2(active_days)), 7) as activity
    from tie
),
base as (
    select *, unnest(list_prepend('any', media)) as given_medium from classed
),
hit as (
    select panel_kind, panel_start, person_a_key, person_b_key, 'also_uses' as measure, given_medium, unnest(media) as label from base
    union all
    select panel_kind, panel_start, person_a_key, person_b_key, 'media_number', given_medium, cast(len(media) as varchar)
    from base
),
base_person as (
    select panel_kind, panel_start, given_medium, unnest([person_a_key, person_b_key]) as person_key from base
),
base_held as (
    select panel_kind, panel_start, given_medium, person_key, count(*) as held
    from base_person
    group by panel_kind, panel_start, given_medium, person_key
),
base_total as (
    select
        panel_kind, panel_start, given_medium,
        sum(held)::bigint // 2 as tie_count, count(*) as person_count, sum(held * held)::double as held_square
    from base_held
    group by panel_kind, panel_start, given_medium
),
hit_person as (
    select panel_kind, panel_start, measure, given_medium, label, unnest([person_a_key, person_b_key]) as person_key
    from hit
    where label <> given_medium
),
hit_held as (
    select panel_kind, panel_start, measure, given_medium, label, person_key, count(*) as used
    from hit_person
    group by panel_kind, panel_start, measure, given_medium, label, person_key
),
hit_total as (
    select
        h.panel_kind, h.panel_start, h.measure, h.given_medium, h.label,
        sum(h.used)::bigint // 2 as used_tie_count,
        count(*) as used_person_count,
        sum(h.used * h.used)::double as used_square,
        sum(h.used * b.held)::double as used_held
    from hit_held as h
    join base_held as b
        on b.panel_kind = h.panel_kind and b.panel_start = h.panel_start and b.given_medium = h.given_medium and b.person_key = h.person_key
    group by h.panel_kind, h.panel_start, h.measure, h.given_medium, h.label
),
-- what ties of the same activity do
activity_total as (
    select panel_kind, panel_start, given_medium, activity, count(*) as tie_count
    from base
    group by panel_kind, panel_start, given_medium, activity
),
activity_use as (
    select every.panel_kind, every.panel_start, every.activity, used.given_medium as label, used.tie_count / every.tie_count as use_ratio
    from activity_total as every
    join activity_total as used
        on used.panel_kind = every.panel_kind and used.panel_start = every.panel_start and used.activity = every.activity
        and used.given_medium <> 'any'
    where every.given_medium = 'any'
),
expected as (
    select g.panel_kind, g.panel_start, g.given_medium, u.label, sum(g.tie_count * u.use_ratio) as null_tie_count
    from activity_total as g
    join activity_use as u on u.panel_kind = g.panel_kind and u.panel_start = g.panel_start and u.activity = g.activity
    group by g.panel_kind, g.panel_start, g.given_medium, u.label
),
watched as (
    select
        t.panel_kind, t.panel_start, o.medium,
        bool_or(o.date_from < t.panel_end and o.date_to >= t.panel_start) as is_observed
    from touched_panel as t
    cross join core.observation as o
    where o.medium <> 'any'
    group by t.panel_kind, t.panel_start, o.medium
),
cell as (
    select b.*, 'also_uses' as measure, w.medium as label, w.is_observed
    from base_total as b
    join watched as w on w.panel_kind = b.panel_kind and w.panel_start = b.panel_start and w.medium <> b.given_medium
    union all
    select b.*, 'media_number', h.label, true
    from base_total as b
    join hit_total as h
        on h.panel_kind = b.panel_kind and h.panel_start = b.panel_start and h.given_medium = b.given_medium and h.measure = 'media_number'
),
filled as (
    select
        c.panel_kind, c.panel_start, c.measure, c.given_medium, c.label, c.tie_count, c.person_count, c.held_square,
        coalesce(h.used_tie_count, 0) as hits, coalesce(h.used_person_count, 0) as used_person_count, coalesce(h.used_square, 0) as used_square, coalesce(h.used_held, 0) as used_held,
        -- a medium in a gap may still have left a trace: what was seen counts
        c.is_observed or coalesce(h.used_tie_count, 0) > 0 as is_known,
        case when c.measure = 'also_uses' then coalesce(e.null_tie_count, 0) / c.tie_count end as null_ratio
    from cell as c
    left join hit_total as h
        on h.panel_kind = c.panel_kind and h.panel_start = c.panel_start and h.measure = c.measure and h.given_medium = c.given_medium
        and h.label = c.label
    left join expected as e
        on e.panel_kind = c.panel_kind and e.panel_start = c.panel_start and e.given_medium = c.given_medium and e.label = c.label
),
shared as (
    select
        *,
        hits / tie_count as p,
        -- ties that share a person count for less: the sum over persons of squared residuals counts each tie's own square twice
        tie_count / greatest(
            1,
            case when hits between 1 and tie_count - 1 then
                (used_square - 2 * (hits / tie_count) * used_held + power(hits / tie_count, 2) * held_square)
                / (tie_count * (hits / tie_count) * (1 - hits / tie_count)) - 1
            else 1 end
        ) as n
    from filled
)
select
    panel_kind, panel_start, measure, given_medium, label, tie_count, person_count,
    case when is_known then used_person_count end as used_person_count,
    case when is_known then hits end as used_tie_count,
    case when is_known then p end as used_ratio,
    case when is_known then
        greatest(0, round((p + zz / (2 * n) - sqrt(zz * (p * (1 - p) / n + zz / (4 * n * n)))) / (1 + zz / n), 12)) end as lower_ratio,
    case when is_known then
        least(1, round((p + zz / (2 * n) + sqrt(zz * (p * (1 - p) / n + zz / (4 * n * n)))) / (1 + zz / n), 12)) end as upper_ratio,
    case when is_known then round(null_ratio, 9) end as null_ratio,
    case when is_known and null_ratio > 0 then round(p / null_ratio, 9) end as lift_ratio,
    case when not is_known then 'not_observed' end as reason
from shared
cross join constant
