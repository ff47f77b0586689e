-- description: Directed person-to-person parts of interactions. From message to contact:
--   a direct message, chat or call reaches each other member (weight 1/(n-1));
--   a channel message reaches whom it mentions; a reply reaches the thread's first author and the latest earlier author other than the
--   replier; mentioned and replied together weigh 1, split evenly, and who is both counts as replied;
--   a reaction reaches the author (weight 0.1, evidence of its own);
--   an e-mail reaches its recipients, a copied one half as much as an addressed one, together 1;
--   a meeting, huddle or group call puts each pair of attendees together (weight 1/(n-1)).
-- grain: interaction_key, from_key, to_key, evidence
-- column: date | date | The day in the organisation's time zone.
-- column: occurred_at | timestamp | When the interaction was sent or started, UTC.
-- column: interaction_key | key | The interaction that it is a part of.
-- column: medium | text | The medium.
-- column: from_key | key | The person who turned to the other; the lesser key where evidence is co_present, which has no direction.
-- column: to_key | key | The other person.
-- column: evidence | text | addressed, replied, mentioned, reacted, copied or co_present.
-- column: weight | weight | Its share of the interaction.
-- column: minutes | minutes | How long they were together, for meetings and calls.
-- column: is_standing | flag | Whether it was a meeting of a recurring series.
-- not_null: date, occurred_at, interaction_key, medium, from_key, to_key, evidence, weight
-- assert: from_key <> to_key
-- assert: weight > 0 and weight <= 1
-- assert: evidence <> 'co_present' or from_key < to_key
-- caveat: Being addressed is not being read, and being in the same meeting is not speaking to each other.
-- reference: Newman (2001), Scientific collaboration networks II, Phys. Rev. E 64, 016132: weight 1/(n-1).
-- restricted: yes
-- rebuild: day
-- partition: thread
with kept as (
    select i.source, i.interaction_key, i.date, i.occurred_at, i.medium, i.thread_key, i.sender_key, i.minutes, i.space_key, i.participant_count,
        coalesce(i.medium in ('slack_channel', 'teams_channel') and i.thread_key <> i.interaction_key, false) as is_reply
    from core.interaction as i
    where i.date in (select date from touched_day) and i.date between getvariable('touched_first') and getvariable('touched_last') and i.exclusion is null
),
named as (
    select k.*, r.person_key, p.evidence,
        -- most interactions reach one person: nothing is to be shared
        k.participant_count = 1 and not k.is_reply and p.evidence in ('addressed', 'mentioned', 'copied') as is_alone
    from kept as k
    join (
        select source, interaction_key, unnest(participants, recursive := true)
        from raw.interaction
        where occurred_at >= getvariable('touched_from') and occurred_at < getvariable('touched_to')
    ) as p on p.source = k.source and p.interaction_key = k.interaction_key
    join core.account as r on r.source = p.source and r.account_key = p.account_key
    where r.person_key is not null and (p.evidence = 'co_present' or r.person_key <> k.sender_key)
),
-- replies in channels: the whole thread is needed, whatever its days
reply as (
    select * from kept
    where is_reply and sender_key is not null
),
replied_thread as (
    select source, thread_key from reply group by all
),
thread_message as (
    select t.source, t.thread_key, i.interaction_key, i.occurred_at, s.person_key as author_key
    from raw.interaction as i
    join replied_thread as t on t.source = i.source and t.thread_key = coalesce(i.thread_key, i.interaction_key)
    join core.account as s on s.source = i.source and s.account_key = i.sender_key
    where s.person_key is not null and i.exclusion is null
),
turn as (
    select
        source, thread_key, interaction_key, occurred_at, author_key,
        case when lag(author_key) over w <> author_key then lag(author_key) over w end as switched_from
    from thread_message
    window w as (partition by source, thread_key order by occurred_at, interaction_key)
),
answered as (
    select
        source, thread_key, interaction_key,
        -- within one author's run of messages, the author before the run
        last_value(switched_from ignore nulls) over (
            partition by source, thread_key order by occurred_at, interaction_key rows between unbounded preceding and current row
        ) as previous_author_key
    from turn
),
thread_root as (
    select source, thread_key, author_key from thread_message where interaction_key = thread_key
),
replied as (
    select r.source, r.interaction_key, root.author_key as person_key, 1::tinyint as rank
    from reply as r
    join thread_root as root on root.source = r.source and root.thread_key = r.thread_key
    where root.author_key <> r.sender_key
    union all
    select r.source, r.interaction_key, a.previous_author_key, 1
    from reply as r
    join answered as a on a.source = r.source and a.interaction_key = r.interaction_key
    where a.previous_author_key is not null and  a.previous_author_key <> r.sender_key
),
-- one row a reached person: addressed before copied, replied before mentioned; a mention adds nothing where all are addressed
reached as (
    select source, interaction_key, person_key, min(rank) as rank
    from (
        select source, interaction_key, person_key, case evidence when 'addressed' then 0 when 'mentioned' then 2 else 3 end::tinyint as rank
        from named where not is_alone and evidence in ('addressed', 'mentioned', 'copied') and sender_key is not null
        union all
        select source, interaction_key, person_key, rank from replied
    ) as reaching
    group by all
),
total as (
    select source, interaction_key, min(rank) = 0 as is_addressed,
        sum(case rank when 3 then getvariable('copied_share') else 1.0 end) filter (where rank<>2) as share,
        count(*) filter (where rank=2) as mentioned
    from reached group by source, interaction_key
),
directed as (
    select
        k.date, k.occurred_at, k.interaction_key, k.medium, k.sender_key as from_key, r.person_key as to_key,
        case r.rank when 0 then 'addressed' when 1 then 'replied' when 2 then 'mentioned' else 'copied' end as evidence,
        case r.rank when 3 then getvariable('copied_share') else 1.0 end / (coalesce(share,0)+ case when is_addressed then 0 else mentioned end) as weight, k.minutes, false as is_standing
    from reached as r
    join total as t on t.source = r.source and t.interaction_key = r.interaction_key
    join kept as k on k.source = r.source and k.interaction_key = r.interaction_key
    where not (rank=2 and is_addressed)
),
reacted as (
    select distinct date, occurred_at, interaction_key, medium, person_key as from_key, sender_key as to_key, 'reacted' as evidence,
        getvariable('reaction_weight') as weight, cast(null as double) as minutes, false as is_standing
    from named
    where evidence = 'reacted' and sender_key is not null and getvariable('reaction_weight') > 0
),
attended as (
    select *, count(*) over (partition by source, interaction_key) as attendee_count
    from (
        select distinct n.source, n.interaction_key, n.date, n.occurred_at, n.medium, n.minutes, n.person_key,
            coalesce(s.is_standing, false) as is_standing
        from named as n
        left join core.space as s on s.source = n.source and s.space_key = n.space_key
        where n.evidence = 'co_present'
    ) as attendee
),
together as (
    select
        a.date, a.occurred_at, a.interaction_key, a.medium, a.person_key as from_key, b.person_key as to_key, 'co_present' as evidence,
        1.0 / (a.attendee_count - 1) as weight, a.minutes, a.is_standing
    from attended as a
    join attended as b on b.source = a.source and b.interaction_key = a.interaction_key and b.person_key > a.person_key
)
select
    date, occurred_at, interaction_key, medium, sender_key as from_key, person_key as to_key, evidence, 1.0::double as weight, minutes, false as is_standing
from named
where is_alone and sender_key is not null
union all
select * from directed
union all
select * from reacted
union all
select * from together
