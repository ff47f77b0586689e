-- description: The ties that were alive on the first day of each month, and whether they were alive 30, 90 and 180 days later.
-- grain: cut_date, person_a_key, person_b_key
-- column: cut_date | date | The day on which the stock is taken: one of the latest twelve first days of a month around which the last
--   `silence_days` and the next 30 + `silence_days` days lie in one observed stretch.
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: medium_mix | text | Kinds of media used in the last `silence_days` days: chat, channel, email, meeting, joined by +.
-- column: is_cross_team | flag | Whether the two were in different teams on the last day of contact of those; empty if unknown or external.
-- column: is_external | flag | Whether one of the two belonged to another organisation.
-- column: external_kind | text | The other organisation's kind; empty within the own one.
-- column: is_observed_30 | flag | Whether it was observed to 30 days later, and to `silence_days` after that.
-- column: is_observed_90 | flag | The same for 90 days.
-- column: is_observed_180 | flag | The same for 180 days.
-- column: is_alive_30 | flag | Whether it was still alive 30 days later; empty where that was not observed, or where one of the two left before.
-- column: is_alive_90 | flag | The same 90 days later.
-- column: is_alive_180 | flag | The same 180 days later.
-- unique: cut_date, person_a_key, person_b_key
-- not_null: cut_date, person_a_key, person_b_key, is_external, is_observed_30, is_observed_90, is_observed_180
-- caveat: A tie is alive from the day on which it qualified to its last day in touch before `silence_days` of silence; one that ended and came
--   back is another.
-- restricted: yes
with cut as (
    select c.cut_date, s.date_to - cast(getvariable('silence_days') as integer) + 1 as known_until
    from (
        select unnest(generate_series(date_trunc('month', min(date_from))::date, getvariable('as_of'), interval 1 month))::date as cut_date
        from metrics.observed_stretch
    ) as c
    join metrics.observed_stretch as s
        on s.date_from <= c.cut_date - getvariable('silence_days') and c.cut_date + 30 <= s.date_to - cast(getvariable('silence_days') as integer) + 1
    order by c.cut_date desc
    limit 12
),
spell as (
    select distinct person_a_key, person_b_key, tie_date, last_date from metrics.tie_spell
),
stock as (
    select
        c.cut_date, c.known_until, t.person_a_key, t.person_b_key, t.last_date,
        -- a leaver who came back is no leaver
        least(
            case when a.joined_on > a.left_on then null else a.left_on end, case when b.joined_on > b.left_on then null else b.left_on end
        ) as left_on
    from cut as c
    join spell as t on t.tie_date <= c.cut_date and t.last_date >= c.cut_date
    join core.person as a on a.person_key = t.person_a_key
    join core.person as b on b.person_key = t.person_b_key
),
lately as (
    select
        s.cut_date, s.person_a_key, s.person_b_key,
        list_aggregate(list_sort(list(distinct case
            when d.medium in ('slack_dm', 'slack_group_dm', 'teams_chat', 'teams_group_chat') then 'chat'
            when d.medium in ('slack_channel', 'teams_channel') then 'channel'
            when d.medium = 'email' then 'email'
            else 'meeting'
        end)), 'string_agg', '+') as medium_mix,
        arg_max(row(d.is_cross_team, d.is_external, d.external_kind), d.date) as last
    from stock as s
    join core.pair_day as d
        on d.person_a_key = s.person_a_key and d.person_b_key = s.person_b_key
        and d.date <= s.cut_date and d.date > s.cut_date - cast(getvariable('silence_days') as integer)
    where d.ab_count + d.ba_count + d.co_count > 0
    group by s.cut_date, s.person_a_key, s.person_b_key
)
select
    s.cut_date, s.person_a_key, s.person_b_key, n.medium_mix,
    n.last[1] as is_cross_team,
    coalesce(n.last[2], not (a.is_internal and b.is_internal)) as is_external,
    coalesce(n.last[3], case when not a.is_internal then a.kind when not b.is_internal then b.kind end) as external_kind,
    s.cut_date + 30 <= s.known_until as is_observed_30,
    s.cut_date + 90 <= s.known_until as is_observed_90,
    s.cut_date + 180 <= s.known_until as is_observed_180,
    case when is_observed_30 and (s.last_date >= s.cut_date + 30 or coalesce(s.left_on >= s.cut_date + 30, true)) then s.last_date >= s.cut_date + 30 end as is_alive_30,
    case when is_observed_90 and (s.last_date >= s.cut_date + 90 or coalesce(s.left_on >= s.cut_date + 90, true)) then s.last_date >= s.cut_date + 90 end as is_alive_90,
    case when is_observed_180 and (s.last_date >= s.cut_date + 180 or coalesce(s.left_on >= s.cut_date + 180, true)) then s.last_date >= s.cut_date + 180 end as is_alive_180
from stock as s
join core.person as a on a.person_key = s.person_a_key
join core.person as b on b.person_key = s.person_b_key
left join lately as n on n.cut_date = s.cut_date and n.person_a_key = s.person_a_key and n.person_b_key = s.person_b_key
