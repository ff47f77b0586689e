-- description: Every account seen in a source, and the person behind it. Accounts that share an address, as main address or as
--   alias, belong to one person, across sources, and so do accounts to which an Enterprise organisation gives one id. An account without
--   either is a person of its own. An address without a directory entry is a robot's or a list's, and no person's, where it behaves like
--   one: one outside that has sent 50 e-mails to 20 people or more and was never written to; one inside to which 5 people or more have
--   written 10 e-mails and that has never sent any.
-- grain: source, account_key
-- column: account_key | key | The account, a keyed hash of the source's id.
-- column: source | text | The source that it is an account of.
-- column: person_key | key | The person behind it; empty for bots, apps, rooms and shared mailboxes.
-- column: person_id | id | The person's 128-bit pseudonym; empty where person_key is.
-- column: kind | text | human, bot, app, room, shared_mailbox or unknown (an address without a directory entry).
-- column: organisation_key | text | The organisation that its address's domain, or the people file, says.
-- column: is_active | flag | Whether it can still be used, where the source tells.
-- column: is_guest | flag | Whether the source marks it as a guest or outside person.
-- column: is_licensed | flag | Whether it holds a licence or mailbox, where the source tells.
-- column: has_address | flag | Whether the source shows an address; without one it cannot be joined with accounts elsewhere.
-- unique: source, account_key
-- not_null: source, account_key, kind, organisation_key, has_address
-- caveat: A person outside to whom nobody ever writes, and who writes to very many, is taken for a robot. It makes no mutual tie less.
-- caveat: Two accounts of the same human that show neither an address nor a shared id are counted as two people.
-- restricted: yes
with recursive
-- an account without an address is known by itself
known as (
    select *, coalesce(person_id, md5(source || ':' || account_key)) as own_id from raw.account
),
-- which pseudonyms name the same person: main address and aliases, closed over chains; a component's least id stands for it
same_person(left_id, right_id) as (
    select own_id, unnest(alias_ids) from known where len(alias_ids) > 0
),
edge as (
    select left_id, right_id from same_person
    union
    select right_id, left_id from same_person
),
reach(id, other) as (
    select left_id, left_id from edge
    union
    select r.id, e.right_id from reach as r join edge as e on e.left_id = r.other
),
canonical as (
    select id, min(other) as canonical_id from reach group by id
),
-- addresses without an entry: what they sent and what was sent to them
stranger as (
    select source, account_key, is_guest
    from raw.account as a
    where kind = 'unknown' and is_guest is not null and not exists (select 1 from raw.account as h where h.kind = 'human' and h.person_id = a.person_id)
),
wrote as (
    select i.source, i.sender_key as account_key, count(*) as sent_count
    from raw.interaction as i
    semi join stranger as s on s.source = i.source and s.account_key = i.sender_key
    where i.medium = 'email'
    group by i.source, i.sender_key
),
was_written_to as (
    select p.source, p.account_key, count(*) as received_count, count(distinct p.sender_key) as sender_count
    from (select source, sender_key, unnest(participants, recursive := true) from raw.interaction where medium = 'email') as p
    semi join stranger as s on s.source = p.source and s.account_key = p.account_key
    group by p.source, p.account_key
),
wrote_to_many as (
    select p.source, p.sender_key as account_key
    from (select source, sender_key, unnest(participants, recursive := true) from raw.interaction where medium = 'email') as p
    semi join (select source, account_key from wrote where sent_count >= 50) as w on w.source = p.source and w.account_key = p.sender_key
    group by p.source, p.sender_key
    having count(distinct p.account_key) >= 20
),
robot as (
    select s.source, s.account_key
    from stranger as s
    left join wrote as w on w.source = s.source and w.account_key = s.account_key
    left join was_written_to as t on t.source = s.source and t.account_key = s.account_key
    left join wrote_to_many as m on m.source = s.source and m.account_key = s.account_key
    where case when s.is_guest then m.account_key is not null and t.account_key is null
        else w.account_key is null and t.received_count >= 10 and t.sender_count >= 5 end
),
stated as (
    select source, account_key, min(organisation) as organisation
    from raw.membership
    where organisation is not null
    group by source, account_key
),
resolved as (
    select
        a.* replace (case when r.account_key is null then a.kind else 'bot' end as kind),
        coalesce(c.canonical_id, a.own_id) as person,
        coalesce(
            named.organisation_key,
            d.organisation_key,
            case
                when s.organisation is not null then 'unknown'
                when a.is_guest then 'unknown'
                -- Slack does not show of which workspace they are, or which is the own one: nobody is a colleague by default
                when a.source = 'slack' and a.is_guest is null then 'unknown'
                -- the source says that an address without an entry is a colleague's: someone who left
                when a.kind <> 'unknown' or a.domain_key is null or not a.is_guest then 'own'
                when exists (select 1 from raw.organisation_domain where organisation_key = 'own') then 'unknown'
                else 'own'
            end
        ) as organisation_key
    from known as a
    left join robot as r on r.source = a.source and r.account_key = a.account_key
    left join canonical as c on c.id = a.own_id
    left join stated as s on s.source = a.source and s.account_key = a.account_key
    left join core.organisation as named on lower(named.name) = lower(s.organisation) or named.organisation_key = lower(s.organisation)
    left join raw.organisation_domain as d on d.domain_key = a.domain_key
)
select
    account_key,
    source,
    case when kind in ('human', 'unknown') then
        -- the leading 64 bits of the pseudonym, as a signed integer
        cast(cast('0x' || substr(person, 1, 16) as ubigint)::hugeint
            - case when substr(person, 1, 1) >= '8' then 18446744073709551616::hugeint else 0::hugeint end as bigint)
    end as person_key,
    case when kind in ('human', 'unknown') then cast(person as uuid) end as person_id,
    kind,
    organisation_key,
    is_active,
    coalesce(is_guest, false) as is_guest,
    is_licensed,
    person_id is not null as has_address
from resolved
