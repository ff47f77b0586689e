"""What the directory and mailboxes may tell differently the next night: ids that moved, aliases that are new."""

from __future__ import annotations

from datetime import timedelta

import pytest
from graph_world import UNTIL, P, account, mail, outsider
from worlds import tables

from connectors.microsoft365 import fetch
from pipelines.build import build
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

ANNA, BERT, OLD = "anna@own.example", "bert@own.example", "a.maiden@own.example"


@pytest.fixture
def people(graph):
    graph.user("anna", ANNA, department="Sales")
    graph.user("bert", BERT, department="Research")
    return graph


async def night(warehouse, settings, number=0):
    async for batch in fetch(
        settings(calls=False, channels=False), P, None, UNTIL + timedelta(days=number), warehouse.state("microsoft365")
    ):
        warehouse.store(batch)
    build(warehouse, Settings().measure, catalog=tables([]))


async def test_a_message_that_moved_to_another_folder_under_another_id_is_the_same(people, settings):
    warehouse = Warehouse(None)
    sent = mail("m1", ANNA, [BERT], "2026-03-10T09:00:00Z")
    people.put("users/anna/mailFolders/sentitems/messages", sent)
    outside = mail("x1", "client@far.example", [BERT], "2026-03-10T08:00:00Z")
    people.put("users/bert/mailFolders/inbox/messages", outside)
    await night(warehouse, settings)
    before = warehouse.run("select * from raw.interaction order by interaction_key")
    sent["id"], outside["id"] = "AAMk-moved-1", "AAMk-moved-2"
    await night(warehouse, settings, 1)
    assert warehouse.run("select * from raw.interaction order by interaction_key") == before
    assert len(before) == 2


async def test_an_alias_learnt_tomorrow_makes_one_person_of_two_and_rewrites_what_was_counted(people, settings):
    warehouse = Warehouse(None)
    people.put("users/bert/mailFolders/sentitems/messages", mail("m1", BERT, [OLD], "2026-03-05T09:00:00Z"), mail("m2", BERT, [ANNA]))
    await night(warehouse, settings)
    to = "select distinct c.to_key from core.contact as c"
    assert len(warehouse.run(to)) == 2
    stranger = outsider(OLD)
    assert warehouse.value("select person_id from raw.account where account_key = $1", [stranger]) == P.person_id(OLD)
    (anna,) = [user for user in people.collections["users"] if user["id"] == "anna"]
    anna["proxyAddresses"].append(f"smtp:{OLD}")
    people.delta_tokens["t1"] = [{"id": "anna", "proxyAddresses": anna["proxyAddresses"]}]
    await night(warehouse, settings, 1)
    ((person,),) = warehouse.run(to)
    accounts = warehouse.run("select account_key, person_key from core.account where account_key in ($1, $2)", [stranger, account("anna")])
    assert {key for _, key in accounts} == {person}
    assert warehouse.value("select count(*) from core.contact") == 2
    # and a rebuild of everything says the same
    before = warehouse.run("select * from core.pair_day order by all")
    warehouse.run("delete from raw.memo")
    build(warehouse, Settings().measure, catalog=tables([]))
    assert warehouse.run("select * from core.pair_day order by all") == before


async def test_a_person_without_an_address_is_apart_and_counted(people, settings):
    people.user("shy", "x", mail=None, userPrincipalName="shy", proxyAddresses=[])
    warehouse = Warehouse(None)
    people.put("users/anna/mailFolders/sentitems/messages", mail("m1", ANNA, [BERT]))
    await night(warehouse, settings)
    counted = warehouse.run("select has_address, sum(account_count) from core.account_kind where kind = 'human' group by 1 order by 1")
    assert counted == [(False, 1), (True, 2)]
