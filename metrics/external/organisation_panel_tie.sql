-- description: Relationships with each other organisation in each period: ties, people on both sides, how mutual they are, whether they
--   hang on one person, how many of the last period's ties were kept, and the trend.
-- question: Are our relationships with clients, suppliers, partners and public bodies broad, mutual and lasting?
-- grain: panel_kind, panel_start, external_kind, external_organisation
-- role: people of inside | internal_person_count
-- role: people of outside | external_person_count
-- role: pairs over external_kind and external_organisation | pair_count
-- role: volume over panel_start and external_kind and external_organisation | contact_count
-- role: pairs among pair_count over external_kind and external_organisation by tied_internal_person_count and tied_external_person_count |
--   tie_count
-- role: people among internal_person_count | tied_internal_person_count
-- role: people among external_person_count | tied_external_person_count
-- role: pairs among tie_count by tied_internal_person_count and tied_external_person_count | directed_tie_count, kept_tie_count
-- role: pairs among directed_tie_count by tied_internal_person_count and tied_external_person_count | mutual_tie_count
-- role: share over directed_tie_count | mutual_share
-- role: interval of mutual_share | mutual_share_low, mutual_share_high
-- role: inside | top_internal_share
-- role: words | is_hanging_on_one, decay_reason, reason
-- role: lag of tie_count | previous_tie_count
-- role: share over previous_tie_count | decay
-- role: interval of decay | decay_low, decay_high
-- role: estimate over tie_count | trend
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: external_kind | text | client, supplier, partner, public_body or unknown; `any` for all together.
-- column: external_organisation | text | The other organisation, as settings call it; `unknown` for all that they do not name together;
--   `any` for all of the kind together.
-- column: internal_person_count | count | Own people in contact with people of that organisation.
-- column: external_person_count | count | People of that organisation in contact with own people.
-- column: pair_count | count | Pairs of an own person and one of theirs in contact.
-- column: contact_count | count | Contacts between them: messages in either direction, and meetings together.
-- column: tie_count | count | Pairs that are ties.
-- column: tied_internal_person_count | count | Own people with a tie to that organisation.
-- column: tied_external_person_count | count | People of that organisation with a tie to the own one.
-- column: directed_tie_count | count | Ties with messages (a direct weight of 1 or more, see pair_panel), not meetings only.
-- column: mutual_tie_count | count | Those with messages both ways (1 or more each way).
-- column: mutual_share | ratio | mutual_tie_count / directed_tie_count.
-- column: mutual_share_low | ratio | Lower end of its interval.
-- column: mutual_share_high | ratio | Upper end.
-- column: top_internal_share | ratio | Share of all contacts carried by the own person who carries most.
-- column: is_hanging_on_one | flag | Whether that share is at least `hanging_share`; true also where a single own person is in contact.
-- column: previous_tie_count | count | Ties in the period before; empty for the first period and for `all`.
-- column: kept_tie_count | count | Those that are ties in this period too; empty unless both periods were observed in full.
-- column: decay | ratio | 1 - kept_tie_count / previous_tie_count.
-- column: decay_low | ratio | Lower end of its interval.
-- column: decay_high | ratio | Upper end.
-- column: decay_reason | text | Why decay is empty: no_previous (first period, or `all`), not_complete (one of the two was not observed
--   in full), no_tie (there was none in the period before).
-- column: trend | ratio | tie_count over the mean of the up to three fully observed periods before: above 1 is growth. Empty for `all`,
--   without such a period, without a tie in them, and where this period was not observed in full.
-- column: reason | text | Why all figures are empty: not_observed (no day of the period was).
-- unique: panel_kind, panel_start, external_kind, external_organisation
-- not_null: panel_kind, panel_start, external_kind, external_organisation
-- assert: mutual_tie_count <= directed_tie_count and directed_tie_count <= tie_count and tie_count <= pair_count
-- assert: kept_tie_count <= previous_tie_count
-- assert: (decay is null) = (decay_reason is not null)
-- assert: top_internal_share > 0 and top_internal_share <= 1
-- assert: mutual_share between mutual_share_low - 1e-9 and mutual_share_high + 1e-9 and decay between decay_low - 1e-9 and decay_high +
--   1e-9
-- caveat: Only contact that an own medium carried is seen: telephone, the other side's own tools and talk in person are not.
-- caveat: From an organisation's first contact on it has a row in every period: a row of zeros is a relationship that fell silent.
-- caveat: That it hangs on one person can be how the relationship is meant to be; it is a risk when that person leaves, not a fault of
--   theirs.
-- caveat: Few ties give wide intervals; they take ties as independent, and are too narrow where one person has many.
-- caveat: Counts of fewer people than the minimum group size are shown here and withheld on export.
-- caveat: An organisation whose domain settings do not name is part of `unknown`, which is not one relationship.
-- reference: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212.
with setting as (
    -- the normal quantile by Abramowitz and Stegun 26.2.23, exact to .0005
    select t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t) as z
    from (select sqrt(-2 * ln((1 - getvariable('confidence')) / 2)) as t) as tail
),
outer_pair as (
    -- one own person and one of another organisation, under that organisation, its kind and all; contact among outsiders is left out
    select
        p.panel_kind, p.panel_start, unnest([e.organisation_key, 'any ' || o.kind, 'any any']) as external_organisation,
        i.person_key as internal_key, e.person_key as external_key,
        p.ab_count + p.ba_count + p.co_count as contact_count, p.is_tie, p.is_mutual, p.ab_direct_weight + p.ba_direct_weight >= 1 - 1e-6 as is_directed
    from metrics.pair_panel as p
    join core.person as a on a.person_key = p.person_a_key
    join core.person as b on b.person_key = p.person_b_key
    join core.person as i on i.person_key = case when a.is_internal then a.person_key else b.person_key end
    join core.person as e on e.person_key = case when a.is_internal then b.person_key else a.person_key end
    join core.organisation as o on o.organisation_key = e.organisation_key
    where p.medium = 'any' and p.active_days > 0 and a.is_internal <> b.is_internal
),
present as (
    select
        panel_kind, panel_start, external_organisation,
        count(distinct internal_key) as internal_person_count,
        count(distinct external_key) as external_person_count,
        count(*) as pair_count,
        sum(contact_count) as contact_count,
        count(*) filter (where is_tie) as tie_count,
        count(distinct internal_key) filter (where is_tie) as tied_internal_person_count,
        count(distinct external_key) filter (where is_tie) as tied_external_person_count,
        count(*) filter (where is_tie and is_directed) as directed_tie_count,
        count(*) filter (where is_tie and is_mutual) as mutual_tie_count
    from outer_pair
    group by panel_kind, panel_start, external_organisation
),
carried as (
    select panel_kind, panel_start, external_organisation, max(contact_count) as top_count
    from (
        select panel_kind, panel_start, external_organisation, internal_key, sum(contact_count) as contact_count
        from outer_pair
        group by panel_kind, panel_start, external_organisation, internal_key
    ) as by_person
    group by panel_kind, panel_start, external_organisation
),
succession as (
    select
        p.panel_kind, p.panel_start, p.observed_day_count > 0 as is_seen, p.is_complete, coalesce(b.is_complete, false) as was_complete,
        b.panel_start as previous_start
    from core.panel as p
    left join core.panel as b on b.panel_kind = p.panel_kind and b.panel_end = p.panel_start
),
known as (
    select panel_kind, external_organisation, min(panel_start) as first_start from present group by panel_kind, external_organisation
),
previous as (
    select s.panel_kind, s.panel_start, t.external_organisation, count(*) as previous_tie_count, count(n.internal_key) as kept_tie_count
    from succession as s
    join outer_pair as t on t.panel_kind = s.panel_kind and t.panel_start = s.previous_start and t.is_tie
    left join outer_pair as n
        on n.panel_kind = s.panel_kind and n.panel_start = s.panel_start and n.external_organisation = t.external_organisation
        and n.internal_key = t.internal_key and n.external_key = t.external_key and n.is_tie
    group by s.panel_kind, s.panel_start, t.external_organisation
),
spelled as (
    select
        k.panel_kind, s.panel_start, k.external_organisation, s.is_seen, s.is_complete, s.was_complete,
        s.previous_start is not null and s.previous_start >= k.first_start as has_previous,
        coalesce(c.internal_person_count, 0) as internal_person_count,
        coalesce(c.external_person_count, 0) as external_person_count,
        coalesce(c.pair_count, 0) as pair_count,
        coalesce(c.contact_count, 0) as contact_count,
        coalesce(c.tie_count, 0) as tie_count,
        coalesce(c.tied_internal_person_count, 0) as tied_internal_person_count,
        coalesce(c.tied_external_person_count, 0) as tied_external_person_count,
        coalesce(c.directed_tie_count, 0) as directed_tie_count,
        coalesce(c.mutual_tie_count, 0) as mutual_tie_count,
        t.top_count / c.contact_count as top_internal_share,
        coalesce(p.previous_tie_count, 0) as previous_tie_count,
        coalesce(p.kept_tie_count, 0) as kept_tie_count
    from known as k
    join succession as s on s.panel_kind = k.panel_kind and s.panel_start >= k.first_start
    left join present as c on c.panel_kind = k.panel_kind and c.panel_start = s.panel_start and c.external_organisation = k.external_organisation
    left join carried as t on t.panel_kind = k.panel_kind and t.panel_start = s.panel_start and t.external_organisation = k.external_organisation
    left join previous as p on p.panel_kind = k.panel_kind and p.panel_start = s.panel_start and p.external_organisation = k.external_organisation
),
judged as (
    select
        s.*, q.z,
        s.mutual_tie_count / nullif(s.directed_tie_count, 0) as mutual_share,
        q.z ** 2 / nullif(s.directed_tie_count, 0) as mutual_slack,
        case
            when not s.has_previous then 'no_previous'
            when not (s.is_complete and s.was_complete) then 'not_complete'
            when s.previous_tie_count = 0 then 'no_tie'
        end as decay_reason,
        case when decay_reason is null then 1 - s.kept_tie_count / s.previous_tie_count end as decay,
        q.z ** 2 / nullif(s.previous_tie_count, 0) as decay_slack,
        case when s.panel_kind <> 'all' and s.is_complete then s.tie_count / nullif(avg(case when s.is_complete then s.tie_count end) over w, 0) end
            as trend
    from spelled as s
    cross join setting as q
    window w as (partition by s.panel_kind, s.external_organisation order by s.panel_start rows between 3 preceding and 1 preceding)
),
bounded as (
    -- Wilson's interval: around a middle drawn towards one half
    select
        *,
        list_transform(
            [[mutual_share, mutual_slack], [decay, decay_slack]], lambda x: round((x[1] + x[2] / 2) / (1 + x[2]), 12)
        ) as middles,
        list_transform(
            [[mutual_share, mutual_slack], [decay, decay_slack]], lambda x: round(sqrt(x[2] * (x[1] * (1 - x[1]) + x[2] / 4)) / (1 + x[2]), 12)
        ) as reaches
    from judged
)
select
    j.panel_kind,
    j.panel_start,
    coalesce(o.kind, split_part(j.external_organisation, ' ', 2)) as external_kind,
    case when o.kind is null then 'any' else j.external_organisation end as external_organisation,
    case when j.is_seen then j.internal_person_count end as internal_person_count,
    case when j.is_seen then j.external_person_count end as external_person_count,
    case when j.is_seen then j.pair_count end as pair_count,
    case when j.is_seen then j.contact_count end as contact_count,
    case when j.is_seen then j.tie_count end as tie_count,
    case when j.is_seen then j.tied_internal_person_count end as tied_internal_person_count,
    case when j.is_seen then j.tied_external_person_count end as tied_external_person_count,
    case when j.is_seen then j.directed_tie_count end as directed_tie_count,
    case when j.is_seen then j.mutual_tie_count end as mutual_tie_count,
    j.mutual_share,
    j.middles[1] - j.reaches[1] as mutual_share_low,
    j.middles[1] + j.reaches[1] as mutual_share_high,
    j.top_internal_share,
    j.top_internal_share >= getvariable('hanging_share') as is_hanging_on_one,
    case when j.is_seen and j.has_previous then j.previous_tie_count end as previous_tie_count,
    case when j.has_previous and j.is_complete and j.was_complete then j.kept_tie_count end as kept_tie_count,
    j.decay,
    j.middles[2] - j.reaches[2] as decay_low,
    j.middles[2] + j.reaches[2] as decay_high,
    j.decay_reason,
    j.trend,
    case when not j.is_seen then 'not_observed' end as reason
from bounded as j
left join core.organisation as o on o.organisation_key = j.external_organisation
