"""Both ways from a planted organisation to tables give the same: over HTTP through the connectors, and through the events file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from worlds import tables

from connectors import slack
from connectors.microsoft365 import sync
from connectors.microsoft365.settings import Microsoft365Settings
from connectors.pseudonyms import Pseudonymiser
from connectors.sandbox import Organisation, Sandbox, World, make
from connectors.slack import SlackSettings
from connectors.state import MemoryState
from pipelines.build import build
from pipelines.settings import Settings, load_declarations
from pipelines.warehouse import Warehouse
from planted.society import KEY, built

OUTSIDE = 1_000_000
"""Number of everyone outside."""

CONTACT = """
    select d.date, d.medium, a.person_id, b.person_id, d.ab_count > 0, d.ba_count > 0, d.co_count > 0, d.is_external
    from core.pair_day as d
    join core.person as a on a.person_key = d.person_a_key
    join core.person as b on b.person_key = d.person_b_key
    where d.ab_count + d.ba_count + d.co_count > 0
    """


async def served(organisation: Organisation) -> Warehouse:
    """The core tables of what the connectors read from the sandbox."""
    pseudonyms = Pseudonymiser(KEY)
    warehouse = Warehouse(None)
    async with Sandbox(organisation) as sandbox:
        chats = SlackSettings(**sandbox.slack_settings())
        mails = Microsoft365Settings(**sandbox.graph_settings())
        window = pseudonyms, organisation.begins, organisation.ends, MemoryState()
        async for batch in slack.fetch(chats, *window):
            warehouse.store(batch)
        async for batch in sync.fetch(mails, *window):
            warehouse.store(batch)
    settings = Settings(**organisation.settings())
    build(warehouse, settings.measure, load_declarations(settings, Path("nowhere"), pseudonyms), catalog=tables(()))
    return warehouse


def contacts(warehouse: Warehouse, organisation: Organisation) -> Counter[tuple[Any, ...]]:
    """Who was in contact with whom on which day by which medium, and which way; people by their number in the organisation.

    A service knows all addresses of a person, the file the one under which it names them. Of somebody outside a chat shows no address:
    there all that both can tell is that it was somebody outside.
    """
    pseudonyms = Pseudonymiser(KEY)
    addresses = [
        (person.number, address)
        for person in organisation.people
        if person.is_internal
        for address in (person.address, *(alias for alias, _ in person.aliases))
    ]
    number = {str(pseudonyms.person_id(address)): place for place, address in addresses}
    found: Counter[tuple[Any, ...]] = Counter()
    for date, medium, a, b, ab, ba, together, is_external in warehouse.run(CONTACT):
        first, second = number.get(a.hex, OUTSIDE), number.get(b.hex, OUTSIDE)
        assert is_external == (OUTSIDE in (first, second))
        forth, back = (ab, ba) if first < second else (ba, ab)
        found[date, medium, *sorted((first, second)), forth, back, together] += 1
    return found


async def test_the_services_and_the_events_file_give_the_same_contacts() -> None:
    organisation = make(World(people=30, days=28, seed=8, policy_day=None))
    with built(organisation, ()).warehouse as of_file, await served(organisation) as of_services:
        by_file, by_services = contacts(of_file, organisation), contacts(of_services, organisation)
    assert len(by_file) > 200
    assert by_services == by_file
