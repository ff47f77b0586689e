-- description: The lives of ties: each run of days in touch of two people that qualified as a tie and was not broken by `silence_days`
--   observed days of silence, with what is known of its age and its end; one row for every observed stretch of time in which it was seen.
-- question: Which relationships began, which lasted, and which are known to have ended?
-- grain: person_a_key, person_b_key, spell_number, stretch_number
-- column: person_a_key | key | The person with the lesser key.
-- column: person_b_key | key | The other person.
-- column: spell_number | count | 1 for the pair's first tie, 2 and more for a tie that came back after it had ended.
-- column: stretch_number | count | 1 for the first observed stretch (time between two gaps of more than `short_gap_days`) in which the
--   tie was seen, 2 for the next.
--   Take stretch_number = 1 for one row a tie.
-- column: stretch_count | count | In how many observed stretches the tie was seen.
-- column: first_date | date | First day in touch of the spell: with a message to at most `direct_size` people or a meeting with at most so
--   many others, or on which the weights of larger ones had come to another whole 1.
-- column: tie_date | date | The day on which it qualified as a tie, from which its age is counted: its `tie_active_days`th day in touch,
--   or the first by which there was an exchange (see pair_panel).
-- column: days_tie_date | date | Its `tie_active_days`th day in touch, exchange or not; empty if there was none.
-- column: more_days_tie_date | date | The second day in touch after that one.
-- column: last_date | date | Last day in touch of the spell.
-- column: active_days | count | Days in touch in the whole spell. Known only afterwards: never use it to explain how long the tie held.
-- column: has_ended | flag | Whether the tie is known to have ended: `silence_days` days without contact follow its last contact, all
--   of them observed.
-- column: entry_age_days | days | Age at which the tie comes under observation in this stretch: 0, or that of its first contact after a
--   gap; empty if not at risk.
-- column: exit_age_days | days | Age at which it ended (through the day of its last contact) or at which it is last known to be alive;
--   empty if not at risk.
-- column: is_ended | flag | Whether it ended at exit_age_days; otherwise it was still alive then.
-- column: exit_reason | text | Why observation stopped: silence (it ended), gap (collection stopped), leaver (one of the two left),
--   present (it is alive or too recent to tell).
-- column: is_left_truncated | flag | Whether it began so soon after collection did that its true age is unknown.
-- column: is_at_risk | flag | Whether this row counts in curves by age: its age is known and it was watched for at least a day.
-- column: origin_medium | text | The medium of the first day: the one with most contacts, then the first by name.
-- column: origin_media | texts | All media of the first day.
-- column: is_cross_team | flag | Whether the two were in different teams on the first day; empty if unknown or external.
-- column: is_external | flag | Whether one of the two belongs to another organisation.
-- column: external_kind | text | The other organisation's kind; empty within the own one.
-- column: external_organisation | text | The other organisation; empty within the own one.
-- column: team_a | text | The team of a on the first day.
-- column: team_b | text | The team of b on that day.
-- column: landmark_age_days | days | `landmark_days`: figures that use the columns below must count from there.
--   Empty where those days were not all observed.
-- column: medium_mix | text | Kinds of media used within `landmark_days` of qualifying: chat, channel, email, meeting, joined by +.
-- column: start_media | texts | The media used in that time.
-- column: start_active_days | count | Days with contact in that time.
-- column: start_weight | weight | Weight of all contact in that time.
-- column: start_is_mutual | flag | Whether messages had gone both ways (see pair_panel) by the end of that time.
-- unique: person_a_key, person_b_key, spell_number, stretch_number
-- not_null: person_a_key, person_b_key, spell_number, stretch_number, first_date, tie_date, last_date, has_ended, is_ended,
--   exit_reason, is_left_truncated, is_at_risk
-- not_null: origin_medium, is_external
-- assert: first_date <= tie_date and tie_date <= last_date
-- assert: not is_at_risk or (entry_age_days < exit_age_days and not is_left_truncated)
-- assert: not is_ended or has_ended
-- caveat: Age is counted from the day on which a tie qualified, not from the first contact: counted from there, ends that crowd on the
--   day of
--   qualifying would fall on every age at which ties enter, and half-lives would come out far too short.
-- caveat: An end is a silence, not a quarrel: two people who speak twice a year have many short ties here and not a long one.
-- caveat: Nothing is counted as an end because nobody was looking: time within `silence_days` of a gap, of the present or of someone's
--   leaving tells of no end.
-- caveat: Gaps of up to `short_gap_days` are passed over: the days of silence before and after them are added up, those within them
--   never count.
-- caveat: A tie seen on both sides of a gap is taken for the same one; within a long gap it may have ended and come back.
-- caveat: Messages to many do not keep a tie alive: two people who only read the same circulars are not in touch.
-- caveat: Contacts after the day on which a person left are passed over.
-- reference: Miritello, Lara, Cebrian, Moro (2013), Limited communication capacity unveils strategies for human interaction, Scientific
--   Reports 3, 1950.
-- reference: Navarro, Miritello, Canales, Moro (2017), Temporal patterns behind the strength of persistent ties, EPJ Data Science 6, 31.
-- restricted: yes
-- partition: pair
with counted as (
    select c.date, o.date_from is not null as is_observed, count(o.date_from) over (order by c.date) as observed_count
    from (select unnest(generate_series(min(date_from), getvariable('as_of'), interval 1 day))::date as date from metrics.observed_stretch) as c
    left join core.observation as o on o.medium = 'any' and c.date between o.date_from and o.date_to
),
calendar as (
    -- observed_count: days observed up to and with this one; before_count: without it; known_date: the last day of contact that the silence
    -- from then to this day would make an end
    select
        c.date, c.observed_count, s.stretch_number as stretch_index, s.date_from, s.date_to,
        c.observed_count - c.is_observed::int as before_count,
        k.date as known_date,
        c.observed_count - c.is_observed::int - f.observed_count + 1 as stretch_before_count
    from counted as c
    left join metrics.observed_stretch as s on c.date between s.date_from and s.date_to
    left join counted as f on f.date = s.date_from
    left join counted as k on k.is_observed and k.observed_count = c.observed_count - getvariable('silence_days') and k.date >= s.date_from
),
place as (
    -- a leaver who came back is no leaver
    select person_key, joined_on, case when joined_on > left_on then null else left_on end as left_on
    from core.person
    where joined_on is not null or left_on is not null
),
daily as (
    select
        d.person_a_key, d.person_b_key, d.date,
        sum(d.day_weight) as day_weight,
        sum(d.ab_direct_weight + d.co_direct_weight) as to_b,
        sum(d.ba_direct_weight + d.co_direct_weight) as to_a,
        sum(d.ab_direct_weight + d.ba_direct_weight + d.co_direct_weight) as direct_weight
    from core.pair_day as d
    left join place as pa on pa.person_key = d.person_a_key
    left join place as pb on pb.person_key = d.person_b_key
    where d.ab_count + d.ba_count + d.co_count > 0 and d.date <= getvariable('as_of')
        and d.date <= coalesce(least(pa.left_on, pb.left_on), d.date)
    group by d.person_a_key, d.person_b_key, d.date
),
-- days in touch: with a message or meeting of at most `direct_size`, or on which the weights of larger ones have come to another whole 1;
-- what came since the day in touch before goes with each
touched as (
    select
        person_a_key, person_b_key, date,
        sum(to_b) over w as to_b, sum(to_a) over w as to_a, sum(direct_weight) over w as direct_weight
    from daily
    window w as (partition by person_a_key, person_b_key order by date)
    qualify floor(sum(day_weight) over w + 1e-6) > floor(sum(day_weight) over w - day_weight + 1e-6)
),
placed as (
    select
        d.person_a_key, d.person_b_key, d.date,
        d.to_b - coalesce(lag(d.to_b) over w, 0) as to_b,
        d.to_a - coalesce(lag(d.to_a) over w, 0) as to_a,
        d.direct_weight - coalesce(lag(d.direct_weight) over w, 0) as direct_weight,
        c.stretch_index, c.observed_count,
        -- observed days strictly between this contact and the one before
        c.before_count - lag(c.observed_count) over w as silent_days
    from touched as d
    join calendar as c on c.date = d.date
    window w as (partition by d.person_a_key, d.person_b_key order by d.date)
),
split as (
    select *, sum((coalesce(silent_days, 0) >= getvariable('silence_days'))::int) over w as run
    from placed
    window w as (partition by person_a_key, person_b_key order by date)
),
ranked as (
    select
        *,
        row_number() over w as active_number,
        least(sum(to_b) over w, sum(to_a) over w, sum(direct_weight) over w / 2) >= 1 - 1e-6 as is_exchange
    from split
    window w as (partition by person_a_key, person_b_key, run order by date)
),
spell as (
    select
        person_a_key, person_b_key, run,
        min(date) as first_date,
        max(date) as last_date,
        count(*) as active_days,
        min(date) filter (where active_number >= getvariable('tie_active_days') or is_exchange) as tie_date,
        min(date) filter (where active_number = getvariable('tie_active_days')) as days_tie_date,
        min(date) filter (where active_number = getvariable('tie_active_days') + 2) as more_days_tie_date
    from ranked
    group by person_a_key, person_b_key, run
),
tie as (
    select
        s.*,
        row_number() over (partition by s.person_a_key, s.person_b_key order by s.run) as spell_number,
        least(pa.left_on, pb.left_on) as left_on,
        c.stretch_index is null
            or (c.stretch_before_count < getvariable('silence_days') and coalesce(greatest(pa.joined_on, pb.joined_on) < c.date_from, true))
            as is_left_truncated
    from spell as s
    join calendar as c on c.date = s.first_date
    left join place as pa on pa.person_key = s.person_a_key
    left join place as pb on pb.person_key = s.person_b_key
    where s.tie_date is not null
),
seen as (
    -- a tie seen in a gap only (in a minor medium) has one row without a stretch
    select t.person_a_key, t.person_b_key, t.run, r.stretch_index, min(r.date) as entry_date, max(r.date) as latest_date
    from tie as t
    join ranked as r on r.person_a_key = t.person_a_key and r.person_b_key = t.person_b_key and r.run = t.run and r.date >= t.tie_date
    group by t.person_a_key, t.person_b_key, t.run, r.stretch_index
    qualify r.stretch_index is not null or count(*) over (partition by t.person_a_key, t.person_b_key, t.run) = 1
),
judged as (
    select
        t.*, e.stretch_index, e.entry_date,
        coalesce(t.last_date = e.latest_date and t.last_date <= u.known_date, false) as is_ended,
        case
            when is_ended then 'silence'
            when t.left_on < s.date_to then 'leaver'
            when s.date_to < getvariable('as_of') or s.date_to is null then 'gap'
            else 'present'
        end as exit_reason,
        case when is_ended then t.last_date else u.known_date end as exit_date,
        not t.is_left_truncated and coalesce(exit_date >= e.entry_date, false) as is_at_risk
    from tie as t
    join seen as e on e.person_a_key = t.person_a_key and e.person_b_key = t.person_b_key and e.run = t.run
    left join metrics.observed_stretch as s on s.stretch_number = e.stretch_index
    left join calendar as u on u.date = least(s.date_to, t.left_on)
),
opening as (
    select
        t.person_a_key, t.person_b_key, t.run,
        arg_min(d.medium, (-(d.ab_count + d.ba_count + d.co_count), d.medium)) as origin_medium,
        list_sort(list(d.medium)) as origin_media,
        arg_min(row(d.is_cross_team, d.is_external, d.external_kind), d.medium) as origin
    from tie as t
    join core.pair_day as d on d.person_a_key = t.person_a_key and d.person_b_key = t.person_b_key and d.date = t.first_date
    where d.ab_count + d.ba_count + d.co_count > 0
    group by t.person_a_key, t.person_b_key, t.run
),
start as (
    select
        t.person_a_key, t.person_b_key, t.run,
        getvariable('landmark_days') as landmark_age_days,
        count(distinct d.date) filter (where d.date >= t.tie_date) as start_active_days,
        round(sum(d.ab_weight + d.ba_weight + d.co_weight) filter (where d.date >= t.tie_date), 9) as start_weight,
        least(sum(d.ab_direct_weight), sum(d.ba_direct_weight)) >= 1 - 1e-6 as start_is_mutual,
        list_sort(list(distinct d.medium) filter (where d.date >= t.tie_date)) as start_media
    from tie as t
    join calendar as c on c.date = t.tie_date and t.tie_date + getvariable('landmark_days') - 1 <= least(c.date_to, t.left_on)
    join core.pair_day as d
        on d.person_a_key = t.person_a_key and d.person_b_key = t.person_b_key
        and d.date between t.first_date and least(t.tie_date + getvariable('landmark_days') - 1, t.last_date)
    where d.ab_count + d.ba_count + d.co_count > 0
    group by t.person_a_key, t.person_b_key, t.run
)
select
    j.person_a_key,
    j.person_b_key,
    j.spell_number,
    row_number() over (partition by j.person_a_key, j.person_b_key, j.run order by j.stretch_index) as stretch_number,
    count(*) over (partition by j.person_a_key, j.person_b_key, j.run) as stretch_count,
    j.first_date,
    j.tie_date,
    j.days_tie_date,
    j.more_days_tie_date,
    j.last_date,
    j.active_days,
    bool_or(j.is_ended) over (partition by j.person_a_key, j.person_b_key, j.run) as has_ended,
    case when j.is_at_risk then j.entry_date - j.tie_date end as entry_age_days,
    case when j.is_at_risk then j.exit_date - j.tie_date + 1 end as exit_age_days,
    j.is_ended,
    j.exit_reason,
    j.is_left_truncated,
    j.is_at_risk,
    o.origin_medium,
    o.origin_media,
    o.origin[1] as is_cross_team,
    o.origin[2] as is_external,
    o.origin[3] as external_kind,
    case when not pa.is_internal then pa.organisation_key when not pb.is_internal then pb.organisation_key end as external_organisation,
    ma.team as team_a,
    mb.team as team_b,
    s.landmark_age_days,
    list_aggregate(
        list_sort(list_distinct(list_transform(s.start_media, lambda m: case
            when m in ('slack_dm', 'slack_group_dm', 'teams_chat', 'teams_group_chat') then 'chat'
            when m in ('slack_channel', 'teams_channel') then 'channel'
            when m = 'email' then 'email'
            else 'meeting'
        end))), 'string_agg', '+'
    ) as medium_mix,
    s.start_media,
    s.start_active_days,
    s.start_weight,
    s.start_is_mutual
from judged as j
join opening as o on o.person_a_key = j.person_a_key and o.person_b_key = j.person_b_key and o.run = j.run
join core.person as pa on pa.person_key = j.person_a_key
join core.person as pb on pb.person_key = j.person_b_key
left join core.membership as ma on ma.person_key = j.person_a_key and j.first_date >= ma.valid_from and j.first_date < ma.valid_to
left join core.membership as mb on mb.person_key = j.person_b_key and j.first_date >= mb.valid_from and j.first_date < mb.valid_to
left join start as s on s.person_a_key = j.person_a_key and s.person_b_key = j.person_b_key and s.run = j.run
