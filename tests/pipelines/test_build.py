"""Building: twice is once, increments equal a clean build, and a table that fails its checks stops everything after it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from worlds import batch, core, event, person, tables

from connectors.errors import UserError
from connectors.records import Batch, table
from metrics.parameters import Parameters
from pipelines import build as build_module
from pipelines.build import build
from pipelines.build_errors import BuildError, CheckFailedError
from pipelines.catalog import load_catalog
from pipelines.declarations import Declarations
from pipelines.warehouse import Warehouse

CATALOG = tables(["pair_panel"])


def some_events(seed: int = 1, count: int = 300, days: int = 90) -> list[dict[str, object]]:
    random = np.random.default_rng(seed)
    rows = []
    for key in range(1, count + 1):
        sender, *others = (int(n) for n in random.choice(np.arange(1, 13), 1 + int(random.integers(1, 4)), replace=False))
        medium = str(random.choice(["email", "slack_dm", "slack_channel", "meeting_online"]))
        when = date(2024, 1, 1) + timedelta(days=int(random.integers(days)))
        thread = {"thread_key": int(random.integers(1, key)), "space_key": 3} if medium == "slack_channel" and key > 5 else {}
        evidence = "mentioned" if medium == "slack_channel" else None
        rows.append(
            event(
                f"{when}T{int(random.integers(24)):02}:{int(random.integers(60)):02}",
                sender,
                others,
                medium,
                evidence,
                interaction_key=key,
                **thread,
            )
        )
    return rows


def contents(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    """Every table that is built, row by row."""
    return {name: warehouse.run(f"select * from {name} order by all") for name in CATALOG}


def built_at_once(rows: list[dict[str, object]], teams: dict[int, str] | None = None) -> Warehouse:
    warehouse = Warehouse(None)
    warehouse.store(batch(rows, teams=teams))
    build(warehouse, Parameters(), catalog=CATALOG)
    return warehouse


def test_building_twice_changes_nothing() -> None:
    warehouse = built_at_once(some_events())
    before = contents(warehouse)
    report = build(warehouse, Parameters(), catalog=CATALOG)
    assert report.is_unchanged
    assert contents(warehouse) == before


@pytest.mark.parametrize("seed", range(4))
def test_increments_give_the_tables_of_one_clean_build(seed: int) -> None:
    rows = some_events(seed)
    warehouse = Warehouse(None)
    for part in np.array_split(np.random.default_rng(seed).permutation(len(rows)), 4):
        warehouse.store(batch([rows[place] for place in part]))
        build(warehouse, Parameters(), catalog=CATALOG)
    assert contents(warehouse) == contents(built_at_once(rows))


def test_small_chunks_give_the_same_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = contents(built_at_once(some_events()))
    monkeypatch.setattr(build_module, "CHUNK_INTERACTIONS", 7)
    assert contents(built_at_once(some_events())) == expected


def test_small_batches_of_panels_give_the_same_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = tables(["org_panel_reciprocity", "org_panel_cross_team", "person_panel_position", "team_pair_panel"])
    found = []
    for size in (build_module.PANEL_ROWS, 20):
        monkeypatch.setattr(build_module, "PANEL_ROWS", size)
        warehouse = Warehouse(None)
        warehouse.store(batch(some_events(), teams={number: "AB"[number % 2] for number in range(1, 13)}))
        build(warehouse, Parameters(panels=("week", "month"), minimum_pairs=3), catalog=catalog)
        # another build for a night's change, and one in which the whole time starts elsewhere
        for key, day in ((900, "2024-02-10"), (901, "2023-11-05")):
            warehouse.store(batch([event(day, 1, 2, interaction_key=key)]))
            build(warehouse, Parameters(panels=("week", "month"), minimum_pairs=3), catalog=catalog)
        found.append({name: warehouse.run(f"select * from {name} order by all") for name in catalog})
    assert found[0] == found[1]


def test_only_touched_days_and_panels_are_computed_again() -> None:
    rows = some_events()
    warehouse = built_at_once(rows)
    warehouse.store(batch([*rows, event("2024-02-10", 1, 2, interaction_key=900)]))
    report = build(warehouse, Parameters(), catalog=CATALOG)
    # February and the whole time
    assert (report.touched_day_count, report.touched_panel_count) == (1, 2)


def test_a_new_last_day_leaves_the_panels_that_it_does_not_change() -> None:
    rows = some_events()
    warehouse = built_at_once(rows)
    warehouse.store(batch([*rows, event("2024-04-02", 1, 2, interaction_key=900)]))
    report = build(warehouse, Parameters(), catalog=CATALOG)
    # April, March (which had not ended) and the whole time
    assert report.touched_panel_count == 3
    assert contents(warehouse) == contents(built_at_once([*rows, event("2024-04-02", 1, 2, interaction_key=900)]))


def test_a_panel_whose_days_turn_out_unobserved_is_computed_again() -> None:
    rows = some_events()
    catalog = tables(["org_panel_reciprocity"])
    warehouse = Warehouse(None)
    warehouse.store(batch(rows))
    build(warehouse, Parameters(), catalog=catalog)
    lost = {"source": "test", "stream": "mail", "unit_key": 0, "medium": "email", "status": "missing", "reason": "forbidden"}
    lost |= {"date_from": date(2024, 2, 5), "date_to": date(2024, 2, 9)}
    warehouse.store(Batch("test", "coverage", {"coverage": table("coverage", [lost])}))
    report = build(warehouse, Parameters(), catalog=catalog)
    # February and the whole time
    assert (report.touched_day_count, report.touched_panel_count) == (0, 2)


def test_panels_from_before_the_retention_period_outlive_a_change_of_columns() -> None:
    warehouse = built_at_once(some_events())
    january = "panel_kind = 'month' and panel_start = '2024-01-01'"
    query = f"select person_a_key, person_b_key, medium, active_days from metrics.pair_panel where {january} order by all"
    before = warehouse.run(query)
    # as an older version left it
    warehouse.run(
        "create or replace table metrics.pair_panel as select * replace (medium::varchar as medium, active_days::integer as active_days), "
        "'acme' as external_organisation from metrics.pair_panel"
    )
    warehouse.run("delete from raw.interaction where occurred_at < '2024-03-01'")
    warehouse.remember("retained from", "2024-03-01")
    build(warehouse, Parameters(tie_active_days=9), catalog=CATALOG)
    assert len(before) > 5
    assert warehouse.run(query) == before


def test_a_late_change_of_a_thread_reaches_its_other_days() -> None:
    rows = [
        event("2024-01-01", 1, [], "slack_channel", "mentioned", interaction_key=1, space_key=3),
        event("2024-01-09", 2, [], "slack_channel", "mentioned", interaction_key=2, thread_key=1, space_key=3),
    ]
    warehouse = built_at_once(rows)
    assert warehouse.run("select from_key, to_key from core.contact") == [(2, 1)]
    between = event("2024-01-05", 3, [], "slack_channel", "mentioned", interaction_key=3, thread_key=1, space_key=3)
    warehouse.store(batch([*rows, between]))
    build(warehouse, Parameters(), catalog=CATALOG)
    assert contents(warehouse) == contents(built_at_once([*rows, between]))
    assert (2, 3) in warehouse.run("select from_key, to_key from core.contact")


def test_an_alias_learnt_later_rewrites_earlier_days() -> None:
    alias = f"{99:016x}{0:016x}"
    second = {"source": "test", "account_key": 5, "person_id": alias, "kind": "human"}
    rows = [event("2024-01-01", 1, 2), event("2024-01-05", 5, 2)]
    warehouse = Warehouse(None)
    warehouse.store(batch(rows, [second]))
    build(warehouse, Parameters(), catalog=CATALOG)
    assert warehouse.value("select count(distinct person_key) from core.person") == 3
    merged = [person(1, alias_ids=[alias]), second]
    warehouse.store(Batch("test", "users", {"account": table("account", merged)}))
    report = build(warehouse, Parameters(), catalog=CATALOG)
    assert report.touched_day_count == 1
    clean = Warehouse(None)
    clean.store(batch(rows, merged))
    build(clean, Parameters(), catalog=CATALOG)
    assert contents(warehouse) == contents(clean)


def test_a_guest_who_turns_out_to_be_of_the_own_organisation_rewrites_earlier_days() -> None:
    guest = person(1, is_guest=True)
    rows = [event("2024-01-01", 1, 2), event("2024-01-05", 3, 2)]
    warehouse = Warehouse(None)
    warehouse.store(batch(rows, [guest]))
    build(warehouse, Parameters(), catalog=CATALOG)
    assert warehouse.run("select is_external from core.pair_day order by date") == [(True,), (False,)]
    own = {**person(1), "account_key": 7}
    warehouse.store(Batch("test", "users", {"account": table("account", [own])}))
    assert build(warehouse, Parameters(), catalog=CATALOG).touched_day_count == 1
    clean = Warehouse(None)
    clean.store(batch(rows, [guest, own]))
    build(clean, Parameters(), catalog=CATALOG)
    assert contents(warehouse) == contents(clean)


def test_an_organisation_declared_to_be_of_another_kind_rewrites_earlier_days() -> None:
    member = {"source": "test", "account_key": 1, "observed_on": date(2000, 1, 1), "organisation": "acme"}
    rows = [event("2024-01-01", 1, 2), event("2024-01-05", 3, 2)]
    as_client, as_supplier = (Declarations(organisations=[("acme", "Acme", kind)]) for kind in ("client", "supplier"))
    warehouse, clean = Warehouse(None), Warehouse(None)
    for each in (warehouse, clean):
        each.store(batch(rows, membership=[member]))
    build(warehouse, Parameters(), as_client, catalog=CATALOG)
    assert build(warehouse, Parameters(), as_supplier, catalog=CATALOG).touched_day_count == 1
    build(clean, Parameters(), as_supplier, catalog=CATALOG)
    assert contents(warehouse) == contents(clean)
    assert clean.run("select external_kind from core.pair_day order by date") == [("supplier",), (None,)]


def test_a_change_of_team_rewrites_only_days_on_which_it_matters() -> None:
    rows = [event(day, 1, 2) for day in ("2024-01-01", "2024-01-10", "2024-01-20")]
    warehouse = built_at_once(rows, {1: "A", 2: "A"})
    move = {"source": "test", "account_key": 1, "observed_on": date(2024, 1, 10), "team": "B"}
    warehouse.store(Batch("test", "users", {"membership": table("membership", [move])}))
    report = build(warehouse, Parameters(), catalog=CATALOG)
    assert report.touched_day_count == 2
    assert warehouse.run("select is_cross_team from core.pair_day order by date") == [(False,), (True,), (True,)]


def test_another_time_zone_or_threshold_computes_everything_again() -> None:
    warehouse = built_at_once([event("2024-01-01T23:30", 1, 2)])
    build(warehouse, Parameters(time_zone="Europe/Paris"), catalog=CATALOG)
    assert warehouse.run("select date from core.contact") == [(date(2024, 1, 2),)]


def test_declarations_reach_core_tables() -> None:
    declared = Declarations(
        policies=[("quiet_friday", "No meetings on Friday", date(2024, 3, 1), ["Sales"], "")],
        relationships=[("s_s", "Sales and Support", "Sales", "team", "Support", "team", 3, 14)],
    )
    warehouse = core([event("2024-01-01", 1, 2)], declarations=declared)
    assert warehouse.run("select policy_key, teams from core.policy") == [("quiet_friday", ["Sales"])]
    assert warehouse.run("select minimum_tie_count from core.declared_relationship") == [(3,)]


def test_as_of_speaks_of_no_later_day() -> None:
    warehouse = Warehouse(None)
    warehouse.store(batch([event(day, 1, 2) for day in ("2024-01-01", "2024-01-10", "2024-02-20")]))
    build(warehouse, Parameters(), as_of=date(2024, 1, 31), catalog=CATALOG)
    assert warehouse.run("select panel_end from core.panel where panel_kind = 'all'") == [(date(2024, 1, 11),)]
    assert warehouse.run("select active_days from metrics.pair_panel where panel_kind = 'all' and medium = 'any'") == [(2,)]
    build(warehouse, Parameters(), catalog=CATALOG)
    assert warehouse.run("select active_days from metrics.pair_panel where panel_kind = 'all' and medium = 'any'") == [(3,)]


def test_as_of_before_everything_is_a_user_error() -> None:
    warehouse = Warehouse(None)
    warehouse.store(batch([event("2024-01-01", 1, 2)]))
    with pytest.raises(UserError, match="--as-of 2023-01-01"):
        build(warehouse, Parameters(), as_of=date(2023, 1, 1), catalog=CATALOG)


def test_an_empty_warehouse_builds_empty_tables() -> None:
    warehouse = Warehouse(None)
    report = build(warehouse, Parameters(), catalog=CATALOG)
    assert report.as_of is None
    assert report.tables["core.pair_day"] == 0


def with_table(folder: Path, name: str, text: str) -> dict[str, object]:
    (folder / "extra").mkdir(exist_ok=True)
    (folder / "extra" / name).write_text(text, encoding="utf-8")
    return {**CATALOG, **load_catalog(folder)}


@pytest.mark.parametrize(
    "check, said",
    [("not_null: n", "not_null: n"), ("unique: n", "unique: n"), ("assert: n > 5", "assert: n > 5")],
)
def test_a_table_that_breaks_its_checks_is_not_written(tmp_path: Path, check: str, said: str) -> None:
    text = f"-- description: T.\n-- role: people | n\n-- column: n | count | N.\n-- {check}\nselect unnest([1, 1, null]) as n\n"
    warehouse = Warehouse(None)
    warehouse.store(batch([event("2024-01-01", 1, 2)]))
    with pytest.raises(CheckFailedError, match=said):
        build(warehouse, Parameters(), catalog=with_table(tmp_path, "t.sql", text))  # type: ignore[arg-type]
    assert not warehouse.has_table("metrics", "t")
    assert warehouse.memo("build") == "unfinished"


def test_built_columns_must_equal_the_documented_ones(tmp_path: Path) -> None:
    text = "-- description: T.\n-- role: people | n\n-- column: n | count | N.\nselect 1 as n, 2 as m\n"
    warehouse = Warehouse(None)
    with pytest.raises(BuildError, match=r"t\.sql.*not documented: \['m'\]"):
        build(warehouse, Parameters(), catalog=with_table(tmp_path, "t.sql", text))  # type: ignore[arg-type]


def test_a_failing_statement_names_its_file(tmp_path: Path) -> None:
    text = "-- description: T.\n-- role: people | n\n-- column: n | count | N.\nselect cast('x' as integer) as n\n"
    with pytest.raises(BuildError, match=r"t\.sql"):
        build(Warehouse(None), Parameters(), catalog=with_table(tmp_path, "t.sql", text))  # type: ignore[arg-type]
