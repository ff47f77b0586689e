"""Storing: all or nothing, again is nothing, and only what changed is touched."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from worlds import SOURCE, batch, event, person, tables

from connectors.errors import UserError
from connectors.records import SCHEMAS, Batch, table
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.catalog import load_catalog
from pipelines.warehouse import Warehouse
from pipelines.writer_lock import WriterLockedError

TYPES = {
    "int64": "BIGINT",
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "date32[day]": "DATE",
    "double": "DOUBLE",
    "int32": "INTEGER",
    "timestamp[us, tz=UTC]": "TIMESTAMP",
}


def touched(warehouse: Warehouse) -> list[date]:
    days = [day for (day,) in warehouse.run("select date from raw.touched_day order by 1")]
    warehouse.run("delete from raw.touched_day")
    return days


def sweep(**fields: Any) -> Batch:
    row = {"source": SOURCE, "since": datetime(2024, 1, 1, tzinfo=UTC), "until": datetime(2024, 2, 1, tzinfo=UTC), "seen": [], **fields}
    return Batch(SOURCE, "messages", {"sweep": table("sweep", [row])})


def test_raw_tables_hold_exactly_the_allow_listed_fields() -> None:
    warehouse = Warehouse(None)
    for kind, schema in SCHEMAS.items():
        if kind == "sweep":
            continue
        columns = dict(
            warehouse.run("select column_name, data_type from duckdb_columns() where schema_name = 'raw' and table_name = $1", [kind])
        )
        assert list(columns) == schema.names
        for field in schema:
            expected = TYPES.get(str(field.type))
            assert expected is None or columns[field.name] == expected, f"{kind}.{field.name}"


def test_storing_again_changes_nothing_and_touches_no_day() -> None:
    warehouse = Warehouse(None)
    world = batch([event("2024-01-05", 1, [2, 3]), event("2024-01-06", 2, 1)], teams={1: "A"})
    assert warehouse.store(world).changed_interaction_count == 2
    assert touched(warehouse) == [date(2024, 1, 5), date(2024, 1, 6)]
    assert warehouse.store(world).changed_interaction_count == 0
    assert touched(warehouse) == []
    assert warehouse.value("select count(*) from raw.account") == 3


def test_the_order_in_which_people_are_listed_is_no_change() -> None:
    warehouse = Warehouse(None)
    warehouse.store(batch([event("2024-01-05", 1, [2, 3])]))
    assert warehouse.store(batch([event("2024-01-05", 1, [3, 2])])).changed_interaction_count == 0


def test_a_changed_interaction_replaces_the_old_and_touches_both_days() -> None:
    warehouse = Warehouse(None)
    warehouse.store(batch([event("2024-01-05", 1, 2)]))
    touched(warehouse)
    warehouse.store(batch([event("2024-01-06T23:00", 1, [2, 3])]))
    assert touched(warehouse) == [date(2024, 1, 5), date(2024, 1, 6)]
    assert warehouse.run("select count(*), max(len(participants)) from raw.interaction") == [(1, 2)]


def test_files_may_move_an_interaction_far_in_time() -> None:
    warehouse = Warehouse(None)
    warehouse.store(batch([event("2024-01-05", 1, 2)]), any_time=True)
    warehouse.store(batch([event("2025-01-05", 1, 2)]), any_time=True)
    assert warehouse.value("select count(*) from raw.interaction") == 1


def test_of_two_equal_keys_in_a_batch_the_later_wins() -> None:
    warehouse = Warehouse(None)
    twice = [event("2024-01-05", 1, 2, interaction_key=7), event("2024-01-05", 1, 3, interaction_key=7)]
    people = [person(1), person(1, is_guest=True)]
    warehouse.store(Batch(SOURCE, "x", {"interaction": table("interaction", twice), "account": table("account", people)}))
    assert warehouse.run("select participants[1].account_key from raw.interaction") == [(3,)]
    assert warehouse.run("select is_guest from raw.account") == [(True,)]


def test_days_are_those_of_the_organisation() -> None:
    warehouse = Warehouse(None, time_zone="Europe/Paris")
    warehouse.store(batch([event("2024-03-30T23:30", 1, 2), event("2024-03-31T21:59", 1, 2), event("2024-03-31T22:01", 1, 2)]))
    # summer time begins on 31 March: 23:30 UTC the day before is half past midnight, 22:01 UTC is past midnight
    assert touched(warehouse) == [date(2024, 3, 31), date(2024, 4, 1)]


def test_cursors_are_stored_with_their_batch_or_not_at_all() -> None:
    warehouse = Warehouse(None)
    good = batch([event("2024-01-05", 1, 2)])
    warehouse.store(Batch(SOURCE, "messages", good.records, cursors={"a": "1", "b": "2"}))
    state = warehouse.state(SOURCE)
    assert (state.cursor("a"), state.cursors("b"), warehouse.state("other").cursor("a")) == ("1", {"b": "2"}, None)
    warehouse.run("alter table raw.cursor rename to moved")
    with pytest.raises(Exception, match="cursor"):
        warehouse.store(Batch(SOURCE, "messages", batch([event("2024-01-09", 1, 2, interaction_key=9)]).records, cursors={"a": "9"}))
    assert warehouse.value("select count(*) from raw.interaction") == 1


def test_a_sweep_marks_as_deleted_what_was_not_seen() -> None:
    warehouse = Warehouse(None)
    rows = [event("2024-01-05", 1, 2, "slack_channel", space_key=7, interaction_key=key) for key in (1, 2)]
    reply = event("2024-01-05", 1, 2, "slack_channel", space_key=7, interaction_key=3, thread_key=1)
    elsewhere = event("2024-01-05", 1, 2, "slack_channel", space_key=8, interaction_key=4)
    later = event("2024-02-05", 1, 2, "slack_channel", space_key=7, interaction_key=5)
    warehouse.store(batch([*rows, reply, elsewhere, later]))
    touched(warehouse)
    warehouse.store(sweep(space_key=7, seen=[1]))
    assert warehouse.run("select interaction_key, participants from raw.interaction where exclusion = 'deleted'") == [(2, [])]
    assert touched(warehouse) == [date(2024, 1, 5)]
    warehouse.store(sweep(space_key=7, thread_key=1, seen=[1]))
    assert warehouse.run("select interaction_key from raw.interaction where exclusion = 'deleted' order by 1") == [(2,), (3,)]
    assert warehouse.state(SOURCE).stored_keys(7, datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)) == {1, 5}


def test_a_sweep_of_one_medium_leaves_others_alone() -> None:
    warehouse = Warehouse(None)
    warehouse.store(batch([event("2024-01-05", 1, 2, "email"), event("2024-01-05", 1, 2, "meeting_online")]))
    warehouse.store(sweep(sender_key=1, media=["meeting_online"], seen=[]))
    assert warehouse.run("select medium from raw.interaction where exclusion = 'deleted'") == [("meeting_online",)]


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with Warehouse(path), pytest.raises(WriterLockedError, match=r"another run is writing \(process \d+ since"):
        Warehouse(path)
    with Warehouse(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    code = (
        f"import os; from pathlib import Path; from pipelines.warehouse import Warehouse; w = Warehouse(Path({str(path)!r})); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    Warehouse(path).close()


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with Warehouse(path) as warehouse:
        warehouse.run("insert into main.schema_version values (999, 'future', now(), null)")
    with pytest.raises(UserError, match="newer perdure"):
        Warehouse(path)


def test_a_file_that_is_no_database_is_a_user_error(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"this is no database, whatever it is" * 400)
    with pytest.raises(UserError, match="cannot be opened"):
        Warehouse(path)


def test_retention_reaches_every_table_that_is_kept_by_day() -> None:
    by_day = [name for name, spec in load_catalog().items() if spec.rebuild == "day"]
    assert {"core.interaction", "core.contact", "core.medium_day", "core.pair_day"} <= set(by_day)
    warehouse = Warehouse(None)
    said = {"medium": "slack_channel", "evidence": "mentioned", "reply_count": 1}
    old = event("2020-01-05", 1, 2, interaction_key=7, thread_key=7, **said)
    warehouse.store(batch([old, event(datetime.now(UTC), 3, 4, interaction_key=8, thread_key=8, **said)]))
    build(warehouse, Parameters(), catalog=tables(()))
    deleted = warehouse.delete_before(date(2021, 1, 1))
    for name in by_day:
        assert deleted[name] == 1, name
        assert warehouse.value(f"select count(*) from {name}") == 1, name


def test_retention_deletes_whole_months_from_the_bytes_and_keeps_panels(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with Warehouse(path) as warehouse:
        marker = 7_777_777_777_777_777_777
        warehouse.store(batch([event("2020-01-05", marker, 2), event(datetime.now(UTC), 3, 4)]))
        warehouse.run("create table metrics.kept (panel_start date)")
        warehouse.run("insert into metrics.kept values (date '2020-01-01')")
        # the account stays (a person may come back); the interaction and its participants go
        warehouse.run("delete from raw.account")
        assert warehouse.delete_before(date(2021, 1, 1))["raw.interaction"] == 1
        warehouse.compact()
        assert warehouse.run("select count(*) from raw.interaction union all select count(*) from metrics.kept") == [(1,), (1,)]
    assert marker.to_bytes(8, "little") not in path.read_bytes()


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_senders_own_copy_of_mail_holds_whenever_it_lands(order: int, in_one_batch: bool) -> None:
    mine = event("2024-01-05", 1, [2, 3], medium="email", minutes=None) | {"interaction_key": 7, "is_received": False}
    theirs = event("2024-01-05", 1, [2], medium="email", minutes=None) | {"interaction_key": 7, "is_received": True}
    warehouse = Warehouse(None)
    landing = [mine, theirs][::order]
    for batch_of in [landing] if in_one_batch else [[landing[0]], [landing[1]]]:
        warehouse.store(batch(batch_of))
    assert warehouse.run("select len(participants), is_received from raw.interaction") == [(2, False)]
    touched(warehouse)
    assert warehouse.store(batch([theirs])).changed_interaction_count == 0
    assert touched(warehouse) == []
    # a fuller list from another recipient is news of a message whose sender's copy nobody met
    other = theirs | {"interaction_key": 8}
    warehouse.store(batch([other]))
    assert warehouse.store(batch([other | {"participants": mine["participants"]}])).changed_interaction_count == 1
