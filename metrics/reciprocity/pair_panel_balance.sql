-- description: How evenly contact goes both ways within each pair of people, without saying which of the two carries it.
-- grain: panel_kind, panel_start, person_a_key, person_b_key, medium
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: medium | text | The medium; `any` for all together.
-- column: contact_count | count | Contacts in both directions, without reactions and meetings.
-- column: balance | ratio | 2 min(n_ab, n_ba) / (n_ab + n_ba): 1 when both turn to each other equally often, 0 when only one does.
-- column: weight | weight | Weight of contact in both directions.
-- column: balance_weighted | ratio | The same from weights. A direction without a contact has weight 0, whatever reactions went that way.
-- unique: panel_kind, panel_start, person_a_key, person_b_key, medium
-- not_null: panel_kind, panel_start, person_a_key, person_b_key, medium, contact_count, balance, weight, balance_weighted
-- assert: balance between 0 and 1 and balance_weighted between 0 and 1
-- assert: contact_count > 0
-- caveat: With few contacts balance is mostly chance: a single contact has balance 0. Weigh by contact_count before averaging.
-- caveat: Pairs who only meet have no direction and no row.
-- reference: Squartini, Picciolo, Ruzzenenti, Garlaschelli (2013), Reciprocity of weighted networks, Scientific Reports 3, 2729.
-- restricted: yes
-- rebuild: panel
-- partition: pair
with directed as (
    select
        p.panel_kind, p.panel_start, p.person_a_key, p.person_b_key, p.medium, p.ab_count, p.ba_count,
        case when p.ab_count > 0 then p.ab_weight else 0 end as ab_weight,
        case when p.ba_count > 0 then p.ba_weight else 0 end as ba_weight
    from metrics.pair_panel as p
    semi join touched_panel as t on t.panel_kind = p.panel_kind and t.panel_start = p.panel_start
    where p.ab_count + p.ba_count > 0
)
select
    panel_kind, panel_start, person_a_key, person_b_key, medium,
    ab_count + ba_count as contact_count,
    2.0 * least(ab_count, ba_count) / (ab_count + ba_count) as balance,
    round(ab_weight + ba_weight, 9) as weight,
    2.0 * least(ab_weight, ba_weight) / (ab_weight + ba_weight) as balance_weighted
from directed
