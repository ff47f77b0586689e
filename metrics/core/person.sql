-- description: Every person, under a pseudonym: one row for all accounts that belong to the same human.
-- grain: person_key
-- column: person_key | key | The person in every other table: the leading 64 bits of person_id.
-- column: person_id | id | Keyed hash (HMAC-SHA256, 128 bits) of the person's address, or of the account where no address is shown.
-- column: organisation_key | text | The organisation that the person belongs to.
-- column: kind | text | That organisation's kind: own, client, supplier, partner, public_body or unknown.
-- column: is_internal | flag | Whether the person belongs to the own organisation.
-- column: joined_on | date | The day on which the person joined, where a source states it.
-- column: left_on | date | The day on which the person left, where a source states it.
-- column: account_count | count | How many accounts were joined into this person.
-- unique: person_key
-- unique: person_id
-- not_null: person_key, person_id, organisation_key, kind, is_internal
-- caveat: Leaving is known only where a source states it; silence is not leaving.
-- restricted: yes
with chosen as (
    select
        person_key,
        any_value(person_id) as person_id,
        -- an account in the own directory speaks louder than a guest account elsewhere
        arg_min(organisation_key, (case when organisation_key = 'own' then 0 when organisation_key <> 'unknown' then 1 else 2 end, organisation_key)) as organisation_key,
        count(*) as account_count
    from core.account
    where person_key is not null
    group by person_key
),
dates as (
    select a.person_key, max(m.joined_on) as joined_on, max(m.left_on) as left_on
    from raw.membership as m
    join core.account as a on a.source = m.source and a.account_key = m.account_key
    where a.person_key is not null
    group by a.person_key
)
select
    c.person_key,
    c.person_id,
    c.organisation_key,
    o.kind,
    o.kind = 'own' as is_internal,
    d.joined_on,
    d.left_on,
    c.account_count
from chosen as c
join core.organisation as o on o.organisation_key = c.organisation_key
left join dates as d on d.person_key = c.person_key
