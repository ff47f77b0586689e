-- description: What each medium costs: interactions, and the hours that people spend in it, from the minutes of meetings and calls and from stated
--   assumptions about messages.
-- question: How much time goes into each medium?
-- grain: panel_kind, panel_start, medium
-- role: people | person_count
-- role: volume over panel_start and medium | interaction_count, person_hours, start_window_hours, unknown_length_count
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: medium | text | The medium; `any` for all together.
-- column: interaction_count | count | Messages, meetings and calls that count (sent by a person, not cancelled or otherwise excluded).
-- column: person_count | count | People who were in contact by it.
-- column: person_hours | hours | Hours of all people together: meetings and calls by their length times those present; messages by the settings
--   email_send_minutes, email_read_minutes, chat_send_minutes and chat_read_minutes.
-- column: start_window_hours | hours | The part of them on days on which it would be known that a tie begins (`silence_days` into an observed stretch).
-- column: unknown_length_count | count | Meetings and calls without a known length; they add no hours.
-- unique: panel_kind, panel_start, medium
-- not_null: panel_kind, panel_start, medium, interaction_count, person_count, person_hours, start_window_hours, unknown_length_count
-- assert: start_window_hours <= person_hours + 1e-6
-- caveat: Hours of messages are assumptions times counts, not measurements: set the minutes in settings and see how much hangs on them.
-- caveat: Who reads a channel without being addressed is not known and not counted; an accepted meeting counts in full whether or not one stayed.
-- caveat: Hours of people of other organisations are counted too. Time spent is a cost here, never a measure of anyone's effort.
-- rebuild: panel
with kind as (
    select
        i.*,
        i.medium in ('call', 'slack_huddle', 'meeting_online', 'meeting_in_person', 'meeting_hybrid', 'meeting_unknown') as is_meeting
    from core.interaction as i
    -- panels are computed a few at a time: only their days are read
    where i.date <= getvariable('as_of') and i.date in (select date from touched_panel_day)
        and (i.exclusion is null and (i.sender_key is not null or is_meeting) or i.exclusion = 'over_cap' and i.sender_key is not null)
),
reached as (
    select
        interaction_key, medium, date,
        count(*) filter (where evidence not in ('reacted', 'co_present')) as reader_count,
        -- a meeting of n has n(n-1)/2 pairs of weight 1/(n-1): twice the sum is n; a call from one to one has weight 1
        2 * sum(weight) filter (where evidence <> 'reacted') as present_count
    from core.contact
    where date <= getvariable('as_of') and date in (select date from touched_panel_day)
    group by interaction_key, medium, date
),
timed as (
    select
        k.date, k.medium, k.is_meeting and k.minutes is null as is_unknown_length,
        case
            when k.is_meeting then coalesce(k.minutes, 0) * case
                when k.exclusion = 'over_cap' then greatest(coalesce(k.recipient_count, 0), k.participant_count)
                else coalesce(r.present_count, 0)
            end
            when k.medium = 'email' then getvariable('email_send_minutes')
                + getvariable('email_read_minutes') * greatest(coalesce(k.recipient_count, 0), coalesce(r.reader_count, 0))
            when k.medium in ('slack_channel', 'teams_channel') then getvariable('chat_send_minutes')
                + getvariable('chat_read_minutes') * coalesce(r.reader_count, 0)
            else getvariable('chat_send_minutes')
                + getvariable('chat_read_minutes') * greatest(coalesce(k.recipient_count, 0), coalesce(r.reader_count, 0))
        end as person_minutes
    from kind as k
    left join reached as r on r.interaction_key = k.interaction_key and r.medium = k.medium and r.date = k.date
),
daily as (
    select
        t.date, t.medium, count(*) as interaction_count, sum(t.person_minutes) as person_minutes,
        count(*) filter (where t.is_unknown_length) as unknown_length_count
    from timed as t
    group by t.date, t.medium
),
placed as (
    select
        p.panel_kind, p.panel_start, d.*,
        exists (
            select 1 from metrics.observed_stretch as s
            where d.date between s.date_from + cast(getvariable('silence_days') as integer) and s.date_to
        ) as is_start_window
    from daily as d
    join touched_panel as p on d.date >= p.panel_start and d.date < p.panel_end
),
summed as (
    select
        panel_kind, panel_start,
        case when grouping(medium) = 1 then 'any' else medium end as medium,
        sum(interaction_count) as interaction_count,
        round(sum(person_minutes) / 60, 6) as person_hours,
        round(coalesce(sum(person_minutes) filter (where is_start_window), 0) / 60, 6) as start_window_hours,
        sum(unknown_length_count) as unknown_length_count
    from placed
    group by grouping sets ((panel_kind, panel_start, medium), (panel_kind, panel_start))
),
involved as (
    select panel_kind, panel_start, medium, count(distinct person_key) as person_count
    from (
        select p.panel_kind, p.panel_start, p.medium, unnest([p.person_a_key, p.person_b_key]) as person_key
        from metrics.pair_panel as p
        join touched_panel as t on t.panel_kind = p.panel_kind and t.panel_start = p.panel_start
        where p.active_days > 0
    ) as each
    group by panel_kind, panel_start, medium
)
select
    s.panel_kind, s.panel_start, s.medium, s.interaction_count, coalesce(i.person_count, 0) as person_count, s.person_hours,
    s.start_window_hours, s.unknown_length_count
from summed as s
left join involved as i on i.panel_kind = s.panel_kind and i.panel_start = s.panel_start and i.medium = s.medium
