-- description: Relationships that leadership declared important (the charter), from the charter file.
-- grain: relationship_key
-- role: design | name, party_a, party_a_kind, party_b, party_b_kind, minimum_tie_count, contact_within_days
-- column: relationship_key | text | Short name in the charter.
-- column: name | text | What it is called in the charter.
-- column: party_a | text | The first party: a team, an organisation's short name, or `newcomers`.
-- column: party_a_kind | text | team, organisation or newcomers.
-- column: party_b | text | The second party.
-- column: party_b_kind | text | team, organisation or newcomers.
-- column: minimum_tie_count | count | How many mutual ties are wanted.
-- column: contact_within_days | days | Within how many days each should be in contact.
-- unique: relationship_key
-- not_null: relationship_key, name, party_a, party_b, minimum_tie_count, contact_within_days
-- caveat: Declared means wanted by leadership, not agreed by those concerned.
select relationship_key, name, party_a, party_a_kind, party_b, party_b_kind, minimum_tie_count, contact_within_days
from raw.relationship_setting
