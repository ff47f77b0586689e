"""Who is inside: what a home must know before anything is said of it.

Ties across teams and with clients, and who is a colleague at all, rest on it. Where nobody is inside, or everybody only because no
own domain is named, every figure would be a figure of something else; so the build stops before it, with the mend.
"""

from __future__ import annotations

from typing import Final

from connectors.errors import UserError
from pipelines.warehouse import Warehouse

_MEND: Final = (
    "name the own e-mail domains in perdure.toml, under [organisation] domains (and Slack's workspaces under slack_teams), "
    "or the organisation of each person in a people file, and build again"
)

_DOMAINS: Final = """
    with domain as (
        select r.domain_key, bool_or(a.kind = 'human' or m.organisation is not null) as is_stated
        from core.account as a
        join raw.account as r on r.source = a.source and r.account_key = a.account_key
        left join raw.membership as m on m.source = a.source and m.account_key = a.account_key
        where a.person_key is not null and r.domain_key is not null
        group by r.domain_key
    )
    select count(*) filter (not is_stated) + count(distinct is_stated) filter (is_stated) from domain
"""
"""How many domains nobody has called the own one; those that a directory or a people file tells count as one."""


def refuse_unknown_inside(warehouse: Warehouse) -> None:
    """Stop where it is not known who is inside; called when `core.person` is built.

    Everybody may well be inside: where an own domain or workspace is named, where a directory or a people file says so, where
    people have one domain, or none.

    Raises:
        UserError: If nobody is, or if all people of several domains are and nobody has said so.
    """
    persons, inside = warehouse.run("select count(*), count(*) filter (is_internal) from core.person")[0]
    if persons and not inside:
        # a Slack export that shows no own workspace has said so when it was imported: its people are of unknown organisation, as told
        if not warehouse.value("select count(*) from raw.account where source <> 'slack' or is_guest is not null"):
            return
        raise UserError(f"organisation.domains: none of {persons:,} persons is inside; {_MEND}")
    if inside < persons or not persons:
        return
    if warehouse.value("select count(*) from raw.organisation_domain where organisation_key = 'own'"):
        return
    domains = warehouse.value(_DOMAINS)
    if domains > 1:
        raise UserError(
            f"organisation.domains: everybody is inside, people of {domains:,} e-mail domains, since no own one is named; {_MEND}"
        )
