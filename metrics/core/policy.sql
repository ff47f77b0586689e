-- description: Changes of policy that settings declare, so that their effects can be estimated.
-- grain: policy_key
-- role: design | name, starts_on, teams, description
-- column: policy_key | text | Short name in settings.
-- column: name | text | What changed, in the organisation's words.
-- column: starts_on | date | The first day on which it held.
-- column: teams | texts | For which teams; empty for everyone.
-- column: description | text | More about it.
-- not_null: policy_key, name, starts_on
-- caveat: One policy may start on different days for different teams: then it has one row a start.
select policy_key, name, starts_on, teams, description
from raw.policy_setting
