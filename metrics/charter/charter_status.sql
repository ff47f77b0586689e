-- description: How each relationship that leadership declared important is doing on the last day built, with the evidence for the verdict.
-- question: Are the relationships that we said matter on track?
-- grain: relationship_key
-- role: people of party_a | contact_a_person_count
-- role: people of party_b | contact_b_person_count
-- role: people among person_count | side_a_number, side_b_number
-- role: people | person_count
-- role: pairs | met_count, previous_met_count, contact_pair_count
-- role: pairs among contact_pair_count | mutual_tie_count
-- role: words | standing
-- role: inside | status, reason, top_a_ratio, top_b_ratio
-- role: calendar | as_of_date, last_contact_date, last_mutual_contact_date
-- role: design | name, party_a, party_b, window_days, contact_within_days, observed_days, required_count
-- column: relationship_key | text | Short name in the charter.
-- column: name | text | What it is called in the charter.
-- column: party_a | text | The first party.
-- column: party_b | text | The second party.
-- column: status | text | on_track, thinning, hanging_on_one, lost or not_observed, by the rules in the caveats.
-- column: standing | text | The same as far as it may leave: on_track, hanging_on_one, not_observed, or off_track for thinning and lost together,
--   since telling those two apart would tell a number of ties under five.
-- column: reason | text | Why: met, below_minimum, falling, one_person, no_tie; for not_observed: gap, no_people (a party has nobody) or no_newcomers.
-- column: as_of_date | date | The day it speaks of.
-- column: window_days | days | The days looked at: the greater of contact_within_days and `silence_days`; as many before them are the previous window.
-- column: contact_within_days | days | Within how many days each tie should be in contact, by the charter.
-- column: observed_days | days | How many of the last contact_within_days days were observed.
-- column: required_count | count | What the charter asks for: mutual ties; with newcomers, how many newcomers are to have them.
-- column: met_count | count | What there is: mutual ties in contact; with newcomers, how many newcomers have the minimum of them.
-- column: previous_met_count | count | The same at the end of the previous window; empty where that was not observed, and for newcomers.
-- column: mutual_tie_count | count | Mutual ties in contact: pairs in exchange in the window (see pair_panel: both turned to the other in person or in a
--   small group, or met twice), whose last contact is no longer ago than contact_within_days.
-- column: contact_pair_count | count | Pairs of people between the parties with any contact in the window.
-- column: person_count | count | People of both parties: members of the teams, persons of the organisation, newcomers.
-- column: contact_a_person_count | count | People of the first party in contact with the second in the window; a relationship within one team counts
--   everybody in it here and on the other side.
-- column: contact_b_person_count | count | People of the second party in contact with the first.
-- column: side_a_number | count | People of the first party in those mutual ties.
-- column: side_b_number | count | People of the second party in them.
-- column: top_a_ratio | ratio | Share of the contact days between the parties in which the busiest person of the first party has a part.
-- column: top_b_ratio | ratio | The same for the second party.
-- column: last_contact_date | date | Last day of contact between the parties in the two windows.
-- column: last_mutual_contact_date | date | Last day of contact of a pair that is, or was in the previous window, a mutual tie.
-- unique: relationship_key
-- not_null: relationship_key, name, status, reason, as_of_date, window_days, contact_within_days, observed_days, required_count, met_count, mutual_tie_count
-- not_null: contact_pair_count, person_count, contact_a_person_count, contact_b_person_count, side_a_number, side_b_number, standing
-- assert: status in ('on_track', 'thinning', 'hanging_on_one', 'lost', 'not_observed')
-- assert: top_a_ratio between 0 and 1 and top_b_ratio between 0 and 1
-- assert: status <> 'on_track' or met_count >= required_count
-- assert: status <> 'lost' or met_count = 0
-- caveat: not_observed: more than a quarter of the last contact_within_days days were in a gap or before collection began, unless what was seen
--   is enough by itself to be on track; or a party has nobody in it.
-- caveat: lost: no mutual tie has been in contact within contact_within_days. There may still be one-way messages; see contact_pair_count.
-- caveat: hanging_on_one: more than one tie is asked for, but one person of either party has a part in at least `hanging_share` of all contact
--   days. With newcomers only the team's side counts, and only where there are two newcomers or more.
-- caveat: thinning: fewer than asked for, or a third or more fewer than at the end of the previous window, in which there were at least three.
-- caveat: on_track: none of these. Of several, the worst is told: not_observed, lost, hanging_on_one, thinning.
-- caveat: A newcomer is expected to have ties from contact_within_days after joining, and counts as new for `silence_days` more.
-- caveat: Talk that no medium records is not seen: ask those concerned before acting on it.
-- reference: Perdure's own rules; declared by leadership, not by those concerned.
with bound as (
    select
        r.*,
        getvariable('as_of') as as_of_date,
        cast(greatest(r.contact_within_days, getvariable('silence_days')) as integer) as window_length,
        cast(r.contact_within_days as integer) as within_length,
        'newcomers' in (r.party_a_kind, r.party_b_kind) as has_newcomers
    from core.declared_relationship as r
),
newcomer as (
    select distinct person_key, start_date from metrics.newcomer_tie
),
-- who is expected to have ties: here for contact_within_days, and new for silence_days more
newcomer_of as (
    select b.relationship_key, n.person_key, n.start_date
    from bound as b
    join newcomer as n
        on n.start_date <= b.as_of_date - b.within_length
        and n.start_date > b.as_of_date - b.within_length - cast(getvariable('silence_days') as integer)
    join core.person as p on p.person_key = n.person_key and coalesce(p.left_on >= b.as_of_date, true)
    where b.has_newcomers
),
side as (
    select relationship_key, 'a' as side, party_a as party, party_a_kind as kind, as_of_date from bound
    union all
    select relationship_key, 'b', party_b, party_b_kind, as_of_date from bound
),
present as (
    select p.person_key, p.organisation_key, m.team
    from core.person as p
    left join core.membership as m
        on m.person_key = p.person_key and m.valid_from <= getvariable('as_of') and m.valid_to > getvariable('as_of')
    where coalesce(p.left_on >= getvariable('as_of'), true)
),
member as (
    select s.relationship_key, s.side, p.person_key from side as s join present as p on s.kind = 'team' and p.team = s.party
    union all
    select s.relationship_key, s.side, p.person_key from side as s join present as p on s.kind = 'organisation' and p.organisation_key = s.party
    union all
    select s.relationship_key, s.side, n.person_key from side as s join newcomer_of as n on s.kind = 'newcomers' and n.relationship_key = s.relationship_key
),
party as (
    select s.relationship_key, s.side, s.kind, count(m.person_key) as people
    from side as s
    left join member as m on m.relationship_key = s.relationship_key and m.side = s.side
    group by s.relationship_key, s.side, s.kind
),
peopled as (
    select
        relationship_key,
        sum(people) as person_count,
        coalesce(min(people) filter (where kind <> 'newcomers') = 0, false) as has_empty_party,
        coalesce(sum(people) filter (where kind = 'newcomers'), 0) as newcomer_count
    from party
    group by relationship_key
),
seen as (
    select b.relationship_key, sum(greatest(least(o.date_to, b.as_of_date) - greatest(o.date_from, b.as_of_date - b.within_length + 1) + 1, 0)) as observed_days,
        sum(greatest(
            least(o.date_to, b.as_of_date - b.window_length) - greatest(o.date_from, b.as_of_date - b.window_length - b.within_length + 1) + 1, 0
        )) as previous_observed_days
    from bound as b
    left join core.observation as o on o.medium = 'any'
    group by b.relationship_key
),
in_contact as (
    select d.date, d.person_a_key, d.person_b_key, d.ab_direct_weight, d.ba_direct_weight, d.co_direct_weight,
        ma.team as team_a, mb.team as team_b, pa.organisation_key as organisation_a, pb.organisation_key as organisation_b
    from core.pair_day as d
    join core.person as pa on pa.person_key = d.person_a_key
    join core.person as pb on pb.person_key = d.person_b_key
    left join core.membership as ma on ma.person_key = d.person_a_key and d.date >= ma.valid_from and d.date < ma.valid_to
    left join core.membership as mb on mb.person_key = d.person_b_key and d.date >= mb.valid_from and d.date < mb.valid_to
    where d.ab_count + d.ba_count + d.co_count > 0 and d.date <= getvariable('as_of')
        and d.date > getvariable('as_of') - 2 * cast((select coalesce(max(window_length), 0) from bound) as integer)
),
ended as (
    select date, person_a_key as p_key, person_b_key as q_key, team_a as p_team, team_b as q_team, organisation_a as p_organisation,
        organisation_b as q_organisation, ab_direct_weight as pq_weight, ba_direct_weight as qp_weight, co_direct_weight as co_weight
    from in_contact
    union all
    select date, person_b_key, person_a_key, team_b, team_a, organisation_b, organisation_a, ba_direct_weight, ab_direct_weight, co_direct_weight
    from in_contact
),
met as (
    select b.relationship_key, b.as_of_date, b.window_length, b.within_length, e.date, e.p_key, e.q_key, e.pq_weight, e.qp_weight, e.co_weight,
        e.date <= b.as_of_date - b.window_length as is_previous
    from bound as b
    join ended as e
        on e.date > b.as_of_date - 2 * b.window_length
        and case b.party_a_kind when 'team' then e.p_team = b.party_a when 'organisation' then e.p_organisation = b.party_a else true end
        and case b.party_b_kind when 'team' then e.q_team = b.party_b when 'organisation' then e.q_organisation = b.party_b else true end
        -- a team with itself: each pair once
        and (b.party_a <> b.party_b or b.party_a_kind <> b.party_b_kind or e.p_key < e.q_key)
    left join newcomer_of as np on np.relationship_key = b.relationship_key and np.person_key = e.p_key and e.date >= np.start_date
    left join newcomer_of as nq on nq.relationship_key = b.relationship_key and nq.person_key = e.q_key and e.date >= nq.start_date
    where (b.party_a_kind <> 'newcomers' or np.person_key is not null) and (b.party_b_kind <> 'newcomers' or nq.person_key is not null)
),
pair as (
    select
        relationship_key, is_previous, p_key, q_key,
        count(distinct date) as contact_days,
        max(date) as last_date,
        least(sum(pq_weight + co_weight), sum(qp_weight + co_weight), sum(pq_weight + qp_weight + co_weight) / 2) >= 1 - 1e-6 as is_mutual,
        -- in contact at the end of the window that it belongs to
        max(date) > any_value(case when is_previous then as_of_date - window_length else as_of_date end - within_length) as is_in_contact
    from met
    group by relationship_key, is_previous, p_key, q_key
),
counted as (
    select
        relationship_key,
        count(*) filter (where not is_previous) as contact_pair_count,
        count(*) filter (where not is_previous and is_mutual and is_in_contact) as mutual_tie_count,
        count(*) filter (where is_previous and is_mutual and is_in_contact) as previous_tie_count,
        count(distinct p_key) filter (where not is_previous and is_mutual and is_in_contact) as side_a_number,
        count(distinct q_key) filter (where not is_previous and is_mutual and is_in_contact) as side_b_number,
        max(last_date) as last_contact_date,
        max(last_date) filter (where is_mutual) as last_mutual_contact_date
    from pair
    group by relationship_key
),
-- who is in contact on each side; within one team everybody is on both
reached as (
    select
        b.relationship_key,
        count(distinct e.person_key) filter (where e.side = 'a' or b.is_within) as contact_a_person_count,
        count(distinct e.person_key) filter (where e.side = 'b' or b.is_within) as contact_b_person_count
    from (select relationship_key, party_a = party_b and party_a_kind = party_b_kind as is_within from bound) as b
    join (
        select relationship_key, 'a' as side, p_key as person_key from pair where not is_previous
        union all
        select relationship_key, 'b', q_key from pair where not is_previous
    ) as e on e.relationship_key = b.relationship_key
    group by b.relationship_key
),
carried as (
    select relationship_key, side, max(contact_days) / sum(contact_days) as top_ratio
    from (
        select relationship_key, 'a' as side, p_key as person_key, sum(contact_days) as contact_days
        from pair where not is_previous group by relationship_key, p_key
        union all
        select relationship_key, 'b', q_key, sum(contact_days) from pair where not is_previous group by relationship_key, q_key
    ) as each
    group by relationship_key, side
),
served as (
    select relationship_key, count(*) as served_count
    from (
        select b.relationship_key
        from bound as b
        join pair as p on p.relationship_key = b.relationship_key
        where b.has_newcomers and not p.is_previous and p.is_mutual and p.is_in_contact
        group by b.relationship_key, case when b.party_a_kind = 'newcomers' then p.p_key else p.q_key end
        having count(*) >= any_value(b.minimum_tie_count)
    ) as one
    group by relationship_key
),
joined as (
    select
        b.*,
        coalesce(s.observed_days, 0) as observed_days,
        f.person_count, f.has_empty_party, f.newcomer_count,
        case when b.has_newcomers then f.newcomer_count else b.minimum_tie_count end as required_count,
        case when b.has_newcomers then coalesce(v.served_count, 0) else coalesce(c.mutual_tie_count, 0) end as met_count,
        case when not b.has_newcomers and s.previous_observed_days >= 0.75 * b.within_length then coalesce(c.previous_tie_count, 0) end as previous_met_count,
        coalesce(c.mutual_tie_count, 0) as mutual_tie_count,
        coalesce(c.contact_pair_count, 0) as contact_pair_count,
        coalesce(w.contact_a_person_count, 0) as contact_a_person_count,
        coalesce(w.contact_b_person_count, 0) as contact_b_person_count,
        coalesce(c.side_a_number, 0) as side_a_number,
        coalesce(c.side_b_number, 0) as side_b_number,
        ta.top_ratio as top_a_ratio,
        tb.top_ratio as top_b_ratio,
        c.last_contact_date,
        c.last_mutual_contact_date
    from bound as b
    join peopled as f on f.relationship_key = b.relationship_key
    left join seen as s on s.relationship_key = b.relationship_key
    left join counted as c on c.relationship_key = b.relationship_key
    left join reached as w on w.relationship_key = b.relationship_key
    left join carried as ta on ta.relationship_key = b.relationship_key and ta.side = 'a'
    left join carried as tb on tb.relationship_key = b.relationship_key and tb.side = 'b'
    left join served as v on v.relationship_key = b.relationship_key
),
judged as (
    select
        *,
        case
            when has_empty_party then 'no_people'
            when has_newcomers and newcomer_count = 0 then 'no_newcomers'
            when met_count = 0 then 'no_tie'
            when required_count > 1 and greatest(
                case when party_a_kind <> 'newcomers' then coalesce(top_a_ratio, 0) else 0 end,
                case when party_b_kind <> 'newcomers' then coalesce(top_b_ratio, 0) else 0 end
            ) >= getvariable('hanging_share') then 'one_person'
            when met_count < required_count then 'below_minimum'
            when previous_met_count >= 3 and 3 * met_count <= 2 * previous_met_count then 'falling'
            else 'met'
        end as found
    from joined
),
told as (
    -- what was seen in spite of a gap can prove that a relationship is alive, never that it is not
    select *, case when found not in ('met', 'no_people', 'no_newcomers') and observed_days < 0.75 * within_length then 'gap' else found end as reason
    from judged
)
select
    relationship_key, name, party_a, party_b,
    case reason
        when 'met' then 'on_track'
        when 'below_minimum' then 'thinning'
        when 'falling' then 'thinning'
        when 'one_person' then 'hanging_on_one'
        when 'no_tie' then 'lost'
        else 'not_observed'
    end as status,
    case
        when reason = 'met' then 'on_track'
        when reason = 'one_person' then 'hanging_on_one'
        when reason in ('below_minimum', 'falling', 'no_tie') then 'off_track'
        else 'not_observed'
    end as standing,
    reason, as_of_date, window_length as window_days, contact_within_days, observed_days, required_count, met_count, previous_met_count,
    mutual_tie_count, contact_pair_count, person_count, contact_a_person_count, contact_b_person_count, side_a_number, side_b_number, top_a_ratio, top_b_ratio, last_contact_date,
    last_mutual_contact_date
from told
