"""How records that arrive meet those that are stored, where a source may show less, or something older, than it showed before.

What is not said takes nothing back: an address, a flag or the readers of a message once known stay known. What is older only fills in
what is not known, so that it does not matter in which order files are imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from connectors.records import Authority

if TYPE_CHECKING:
    from pipelines.warehouse import Warehouse


def merged(kind: str, name: str, authority: Authority) -> str:
    """Return the SQL of a field of an account or space of which something is stored (`t`) and something else is said (`s`).

    An account that a source only met says less than one that it lists. A domain goes with the address that it is of.
    """
    if name == "alias_ids":
        return "list_sort(list_distinct(list_concat(coalesce(t.alias_ids, []), coalesce(s.alias_ids, []))))"
    stored, said = f"coalesce(t.{name}, s.{name})", f"coalesce(s.{name}, t.{name})"
    is_older = authority == "yields"
    if kind != "account":
        return stored if is_older else said
    older = stored if is_older else said
    usual = (
        f"case when t.kind is null or (t.kind = 'unknown' and s.kind <> 'unknown') then {said} "
        f"when s.kind = 'unknown' and t.kind <> 'unknown' then {stored} else {older} end"
    )
    if name != "domain_key":
        return usual
    return (
        "case when s.person_id is not null and t.person_id is null then s.domain_key "
        f"when t.person_id is not null and s.person_id is null then t.domain_key else {usual} end"
    )


def keep_known(warehouse: Warehouse, bound: str, window: Mapping[str, datetime], authority: Authority) -> None:
    """Leave what is stored where the interactions of the table `landed` are older, or do not say to whom a message was addressed.

    Args:
        warehouse: The private file, in the transaction that stores them.
        bound: SQL of which stored interactions (`t`) may be the same.
        window: Its parameters.
        authority: How they meet what is stored.
    """
    same = "t.source = landed.source and t.interaction_key = landed.interaction_key"
    stored = f"from (select * from raw.interaction as t where {bound}) as t where {same}"
    # of a deleted or an automatic message it is not asked
    tells = "{0}.recipient_count is not null and coalesce({0}.exclusion, 'app') = 'app'"
    mute = "{0}.recipient_count is null and coalesce({0}.exclusion, 'app') = 'app'"
    if authority == "yields":
        fills = f"{mute.format('t')} and {tells.format('landed')}"
        sql = f"delete from landed where exists (select 1 {stored} and not ({fills}))"
    else:
        said = "participants = t.participants, recipient_count = t.recipient_count"
        sql = f"update landed set {said} {stored} and {mute.format('landed')} and {tells.format('t')}"
    warehouse.connection.execute(sql, dict(window) or None)
