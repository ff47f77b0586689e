-- description: Every message, meeting and call that was landed, whether or not it makes a contact.
-- grain: source, interaction_key
-- column: interaction_key | key | The interaction, a keyed hash of its natural id.
-- column: source | text | The source.
-- column: date | date | The day in the organisation's time zone.
-- column: occurred_at | timestamp | When it was sent or started, UTC.
-- column: medium | medium | The medium.
-- column: space_key | key | The space in which it happened.
-- column: thread_key | key | The interaction that opened its thread; empty outside threads.
-- column: sender_key | key | The person who sent or organised it; empty for bots and system messages.
-- column: recipient_count | count | To how many it was addressed, also where the list was too long to keep.
-- column: participant_count | count | How many other participants are known.
-- column: minutes | minutes | How long it lasted, for meetings and calls.
-- column: exclusion | text | Why it makes no contact: bot, join_or_leave, system, deleted, draft, cancelled, all_day, free, missed, no_sender,
--   opted_out, out_of_scope (an appointment with nobody else in it, a private meeting, an answered call with a telephone), or over_cap (more
--   recipients or attendees than the cap in settings); empty where it may.
-- unique: source, interaction_key
-- not_null: interaction_key, source, date, occurred_at, medium, participant_count
-- assert: occurred_at between timestamp '1970-01-02' and timestamp '2200-01-01'
-- caveat: A channel message that mentions nobody and answers nobody is here, but makes no contact.
-- restricted: yes
-- rebuild: day
-- joins: as written
-- partition: thread
select
    i.interaction_key,
    i.source,
    -- the day in the organisation's time zone, by the quarter of an hour (see pipelines/build.py)
    q.date,
    i.occurred_at,
    i.medium,
    i.space_key,
    i.thread_key,
    s.person_key as sender_key,
    i.recipient_count,
    len(i.participants) as participant_count,
    i.minutes,
    case
        when i.exclusion <> 'app' then i.exclusion
        -- what an app sent in somebody's name is theirs if the account is known to be a person's
        when i.exclusion = 'app' and s.kind is distinct from 'human' then 'bot'
        when s.kind in ('bot', 'app', 'room') then 'bot'
        when i.medium = 'email' and greatest(coalesce(i.recipient_count, 0), len(i.participants)) > getvariable('bulk_cap') then 'over_cap'
        -- the participants of a chat's message hold who reacted to it, too
        when i.medium in ('slack_dm', 'slack_group_dm', 'slack_channel', 'teams_chat', 'teams_group_chat', 'teams_channel')
            and coalesce(i.recipient_count, len(i.participants)) > getvariable('bulk_cap') then 'over_cap'
        when i.medium in ('slack_huddle', 'call', 'meeting_online', 'meeting_in_person', 'meeting_hybrid', 'meeting_unknown')
            and greatest(coalesce(i.recipient_count, 0), len(i.participants)) > getvariable('meeting_cap') then 'over_cap'
    end as exclusion
from raw.interaction as i
join touched_quarter as q on q.quarter = epoch_us(i.occurred_at) // 900_000_000
left join core.account as s on s.source = i.source and s.account_key = i.sender_key
where i.occurred_at >= getvariable('touched_from') and i.occurred_at < getvariable('touched_to')
