-- description: How many accounts of each kind each source lists: people, bots, apps, rooms and shared mailboxes told apart, the
--   deactivated and unlicensed among them, and those that show no address and so cannot be joined with the same person elsewhere.
-- question: Whose messages are these, and whose are left aside?
-- grain: source, kind, is_active, is_guest, is_licensed, has_address
-- column: source | text | The source.
-- column: kind | text | human, bot, app, room, shared_mailbox or unknown (an address without a directory entry).
-- column: is_active | flag | Whether the accounts can still be used; empty where the source does not tell.
-- column: is_guest | flag | Whether the source marks them as guests or outside people.
-- column: is_licensed | flag | Whether they hold a licence or mailbox; empty where the source does not tell.
-- column: has_address | flag | Whether the source shows an address of theirs.
-- column: account_count | count | How many accounts.
-- column: person_count | count | How many people they stand for; 0 where they are no persons.
-- unique: source, kind, is_active, is_guest, is_licensed, has_address
-- not_null: source, kind, is_guest, has_address, account_count, person_count
-- assert: person_count <= account_count
-- caveat: A person with accounts in two sources, or of two kinds, is counted in each row.
select
    source, kind, is_active, is_guest, is_licensed, has_address,
    count(*) as account_count,
    count(distinct person_key) as person_count
from core.account
group by all
