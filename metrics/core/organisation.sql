-- description: The organisations that settings name, the own one, and one row for all that nobody named.
-- grain: organisation_key
-- role: design | name, kind
-- column: organisation_key | text | Short name of the organisation in settings; `own` and `unknown` always exist.
-- column: name | text | The organisation's name as settings give it.
-- column: kind | text | own, client, supplier, partner, public_body or unknown.
-- unique: organisation_key
-- not_null: organisation_key, kind
-- assert: kind in ('own', 'client', 'supplier', 'partner', 'public_body', 'unknown')
-- caveat: People of an organisation that settings do not name stand together under `unknown`.
select organisation_key, name, kind
from raw.organisation_setting
union all
select 'unknown', 'Not named in settings', 'unknown'
where not exists (select 1 from raw.organisation_setting where organisation_key = 'unknown')
union all
select 'own', 'Own organisation', 'own'
where not exists (select 1 from raw.organisation_setting where organisation_key = 'own')
