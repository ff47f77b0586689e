-- description: Directed person-to-person parts of interactions. From message to contact:
--   a direct message, chat or call reaches each other member (weight 1/(n-1));
--   a channel message reaches whom it mentions; a reply reaches the thread's first author (where the first message is not stored: whom
--   the source says that it was) and the latest earlier author other than the replier; mentioned and replied together weigh 1, split
--   evenly, and who is both counts as replied;
--   a reaction reaches the author (weight 0.1, evidence of its own);
--   an e-mail reaches its recipients, a copied one half as much as an addressed one, together 1; what a delegate sends in another's
--   name, or for a shared mailbox, is the delegate's: contact is what someone did, and whose name stands on it is not who turned to whom;
--   a meeting, huddle or group call puts each pair of attendees together (weight 1/(n-1)).
-- grain: interaction_key, from_key, to_key, evidence
-- column: date | date | The day in the organisation's time zone.
-- column: occurred_at | timestamp | When the interaction was sent or started, UTC.
-- column: interaction_key | key | The interaction that it is a part of.
-- column: medium | medium | The medium.
-- column: from_key | key | The person who turned to the other; the lesser key where evidence is co_present, which has no direction.
-- column: to_key | key | The other person.
-- column: evidence | evidence | addressed, replied, mentioned, reacted, copied or co_present.
-- column: weight | weight | Its share of the interaction.
-- column: minutes | minutes | How long they were together, for meetings and calls.
-- column: is_standing | flag | Whether it was a meeting of a recurring series.
-- column: reach_count | count | How many people the interaction reached in all, known or not; of a meeting, the others in it.
-- not_null: date, occurred_at, interaction_key, medium, from_key, to_key, evidence, weight, reach_count
-- assert: from_key <> to_key
-- assert: weight > 0 and weight <= 1
-- assert: evidence <> 'co_present' or from_key < to_key
-- caveat: Being addressed is not being read, and being in the same meeting is not speaking to each other.
-- reference: Newman (2001), Scientific collaboration networks II, Phys. Rev. E 64, 016132: weight 1/(n-1).
-- restricted: yes
-- rebuild: day
-- joins: as written
-- partition: thread
with kept as not materialized (
    select
        rowid as row_number, source, interaction_key, date, occurred_at, medium, thread_key, sender_key, minutes, space_key, recipient_count, participant_count,
        coalesce(medium in ('slack_channel', 'teams_channel') and thread_key <> interaction_key, false) as is_reply
    from core.interaction
    where date in (select date from touched_day) and date between getvariable('touched_first') and getvariable('touched_last')
        and exclusion is null
),
-- most interactions reach one person: nothing is to be shared
alone as (
    select k.*, p.person_key, r.evidence
    from (
        select source, interaction_key, participants[1].account_key as account_key, participants[1].evidence as evidence
        from raw.interaction
        where occurred_at >= getvariable('touched_from') and occurred_at < getvariable('touched_to')
            and len(participants) = 1 and participants[1].evidence in ('addressed', 'mentioned', 'copied')
    ) as r
    join (select * from kept where participant_count = 1 and not is_reply and sender_key is not null) as k
        on k.source = r.source and k.interaction_key = r.interaction_key
    join core.account as p on p.source = r.source and p.account_key = r.account_key
    where p.person_key <> k.sender_key
),
named as (
    select s.row_number, s.sender_key, p.person_key, s.evidence
    from (
        select k.row_number, k.source, k.sender_key, unnest(r.participants, recursive := true)
        from (
            select source, interaction_key, participants
            from raw.interaction
            where occurred_at >= getvariable('touched_from') and occurred_at < getvariable('touched_to')
        ) as r
        join (select * from kept where participant_count > 0) as k on k.source = r.source and k.interaction_key = r.interaction_key
        where k.participant_count > 1 or k.is_reply or r.participants[1].evidence in ('reacted', 'co_present')
    ) as s
    join core.account as p on p.source = s.source and p.account_key = s.account_key
    where p.person_key is not null and (s.evidence = 'co_present' or p.person_key <> s.sender_key)
),
-- replies in channels: what came before them in the thread is needed, whatever its days
reply as (
    select row_number, source, interaction_key, occurred_at, thread_key, sender_key from kept where is_reply and sender_key is not null
),
replied_thread as (
    select distinct source, thread_key from reply
),
thread_message as (
    select t.source, t.thread_key, i.interaction_key, i.occurred_at, s.person_key as author_key
    from raw.interaction as i
    join replied_thread as t on t.source = i.source and t.thread_key = coalesce(i.thread_key, i.interaction_key)
    join core.account as s on s.source = i.source and s.account_key = i.sender_key
    where s.person_key is not null and (i.exclusion is null or i.exclusion = 'app' and s.kind = 'human')
        and i.medium in ('slack_channel', 'teams_channel')
        and i.occurred_at >= getvariable('touched_threads_from') and i.occurred_at < getvariable('touched_to')
),
turn as (
    select
        source, thread_key, interaction_key, occurred_at,
        case when lag(author_key) over w <> author_key then lag(author_key) over w end as switched_from
    from thread_message
    window w as (partition by source, thread_key order by occurred_at, interaction_key)
),
answered as (
    select
        source, interaction_key,
        -- within one author's run of messages, the author before the run
        last_value(switched_from ignore nulls) over (
            partition by source, thread_key order by occurred_at, interaction_key rows between unbounded preceding and current row
        ) as previous_author_key
    from turn
),
replied as (
    select r.row_number, root.author_key as person_key
    from (select * from thread_message where interaction_key = thread_key) as root
    join reply as r on r.source = root.source and r.thread_key = root.thread_key
    where root.author_key <> r.sender_key and root.occurred_at <= r.occurred_at
    union all
    select r.row_number, a.previous_author_key
    from answered as a
    join reply as r on r.source = a.source and r.interaction_key = a.interaction_key
    where a.previous_author_key <> r.sender_key
    union all
    -- the first message was sent before what is stored begins: the source says whose it was
    select r.row_number, n.person_key
    from named as n
    join reply as r on r.row_number = n.row_number
    where n.evidence = 'replied' and not exists (
        select 1 from raw.interaction as root
        where root.source = r.source and root.interaction_key = r.thread_key and root.occurred_at >= getvariable('touched_threads_from')
            and root.occurred_at < getvariable('touched_to')
    )
),
-- one row a reached person: addressed before copied, replied before mentioned; a mention adds nothing where all are addressed
reached as (
    select row_number, person_key, min(rank) as rank
    from (
        select row_number, person_key, case evidence when 'addressed' then 0 when 'mentioned' then 2 else 3 end::tinyint as rank
        from named
        where evidence in ('addressed', 'mentioned', 'copied') and sender_key is not null
        union all
        select row_number, person_key, 1::tinyint from replied
    ) as reaching
    group by row_number, person_key
),
total as (
    select
        row_number,
        min(rank) = 0 as is_addressed,
        sum(case rank when 3 then getvariable('copied_share') when 2 then 0.0 else 1.0 end) as share,
        count(*) filter (where rank = 2) as mentioned,
        count(*) as reached_count
    from reached
    group by row_number
),
directed as (
    select
        k.date, k.occurred_at, k.interaction_key, k.medium, k.sender_key as from_key, r.person_key as to_key,
        case r.rank when 0 then 'addressed' when 1 then 'replied' when 2 then 'mentioned' else 'copied' end as evidence,
        case r.rank when 3 then getvariable('copied_share') else 1.0 end / (k.share + case when k.is_addressed then 0 else k.mentioned end) as weight,
        k.minutes, false as is_standing, greatest(coalesce(k.recipient_count, 0), k.reached_count) as reach_count
    from reached as r
    join (select k.*, t.* exclude (row_number) from kept as k join total as t on t.row_number = k.row_number) as k on k.row_number = r.row_number
    where not (r.rank = 2 and k.is_addressed)
),
reacted as (
    select distinct k.date, k.occurred_at, k.interaction_key, k.medium, n.person_key as from_key, k.sender_key as to_key, 'reacted' as evidence,
        getvariable('reaction_weight') as weight, cast(null as double) as minutes, false as is_standing, 1 as reach_count
    from kept as k
    join (select row_number, person_key from named where evidence = 'reacted') as n on n.row_number = k.row_number
    where k.sender_key is not null and getvariable('reaction_weight') > 0
),
attended as (
    select row_number, list_distinct(list(person_key)) as people from named where evidence = 'co_present' group by row_number
),
together as (
    select
        k.date, k.occurred_at, k.interaction_key, k.medium, least(a.one, a.other) as from_key, greatest(a.one, a.other) as to_key, 'co_present' as evidence,
        1.0 / (a.size - 1) as weight, k.minutes, coalesce(s.is_standing, false) as is_standing,
        a.size - 1 as reach_count
    from kept as k
    join (
        select *, unnest(people[place + 1:]) as other
        from (select row_number, people, len(people) as size, unnest(people) as one, generate_subscripts(people, 1) as place from attended) as each
    ) as a on a.row_number = k.row_number
    left join core.space as s on s.source = k.source and s.space_key = k.space_key
)
select
    date, occurred_at, interaction_key, medium, sender_key as from_key, person_key as to_key, evidence, 1.0::double as weight, minutes, false as is_standing,
    greatest(coalesce(recipient_count, 1), 1) as reach_count
from alone
union all
select * from directed
union all
select * from reacted
union all
select * from together
