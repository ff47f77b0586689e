-- description: Every account seen in a source, and the person behind it. Accounts that share an address, as main address or as
--   alias, belong to one person, across sources, and so do accounts to which an Enterprise organisation gives one id. An account without
--   either is a person of its own.
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
stated as (
    select source, account_key, min(organisation) as organisation
    from raw.membership
    where organisation is not null
    group by source, account_key
),
resolved as (
    select
        a.*,
        coalesce(c.canonical_id, a.own_id) as person,
        coalesce(
            named.organisation_key,
            d.organisation_key,
            case
                when s.organisation is not null then 'unknown'
                when a.is_guest then 'unknown'
                -- Slack does not show of which workspace they are, or which is the own one: nobody is a colleague by default
                when a.source = 'slack' and a.is_guest is null then 'unknown'
                when a.kind <> 'unknown' or a.domain_key is null then 'own'
                when exists (select 1 from raw.organisation_domain where organisation_key = 'own') then 'unknown'
                else 'own'
            end
        ) as organisation_key
    from known as a
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
