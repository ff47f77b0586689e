"""Events files: every row is an interaction or is counted in quarantine, and reading again gives the same keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import events_file
from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser

NAMES = Pseudonymiser(bytes(range(32)))


def csv(folder: Path, *lines: str, name: str = "events.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows(path: Path, kind: str = "interaction", **options: Any) -> list[dict[str, Any]]:
    batches = events_file.read(path, NAMES, **options)
    return [row for batch in batches if kind in batch.records for row in batch.records[kind].to_pylist()]


def key_of(address: str) -> int:
    return NAMES.key("address", address)


def test_a_row_becomes_an_interaction(tmp_path: Path) -> None:
    path = csv(tmp_path, "at,sender,recipient", "2024-03-01T10:00:00+01:00,ann@a.example,bob@a.example")
    (row,) = rows(path)
    assert row["occurred_at"] == datetime(2024, 3, 1, 9, tzinfo=UTC)
    assert row["sender_key"] == key_of("ann@a.example")
    assert row["participants"] == [{"account_key": key_of("bob@a.example"), "evidence": "addressed"}]
    assert (row["medium"], row["recipient_count"], row["exclusion"]) == ("email", 1, None)


@pytest.mark.parametrize("when", ["2024-03-01 09:00:00", "2024-03-01T09:00:00Z", "1709283600", "1709283600.0"])
def test_times_without_zone_are_utc_and_numbers_are_seconds(tmp_path: Path, when: str) -> None:
    (row,) = rows(csv(tmp_path, "at,sender,recipient", f"{when},a,b"))
    assert row["occurred_at"] == datetime(2024, 3, 1, 9, tzinfo=UTC)


def test_equal_rows_are_different_interactions_and_keep_their_keys(tmp_path: Path) -> None:
    path = csv(tmp_path, "at,sender,recipient", *["2024-03-01T10:00,a,b"] * 3)
    keys = [row["interaction_key"] for row in rows(path)]
    assert len(set(keys)) == 3
    assert sorted(keys) == sorted(row["interaction_key"] for row in rows(path))


def test_rows_that_share_an_id_are_one_interaction(tmp_path: Path) -> None:
    path = csv(
        tmp_path, "interaction_id,at,sender,recipient", "m1,2024-03-01T10:00,a,b", "m2,2024-03-01T11:00,a,b", "m1,2024-03-01T10:00,a,c"
    )
    found = rows(path)
    assert [len(row["participants"]) for row in found] == [2, 1]
    assert found[0]["recipient_count"] == 2


def test_lists_of_recipients_in_csv_and_parquet_agree(tmp_path: Path) -> None:
    one = rows(csv(tmp_path, "at,sender,recipients,medium", "2024-03-01T10:00,a,b;c,slack_group_dm"))
    moment = datetime(2024, 3, 1, 10, tzinfo=UTC)
    columns = {"at": [moment], "sender": ["a"], "recipients": [["b", "c"]], "medium": ["slack_group_dm"]}
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    assert rows(tmp_path / "events.parquet") == one
    assert len(one[0]["participants"]) == 2


def test_whoever_calls_a_meeting_is_in_it(tmp_path: Path) -> None:
    (row,) = rows(csv(tmp_path, "at,sender,recipients,medium,minutes", "2024-03-01T10:00,a,b;c,meeting_online,30"))
    assert {part["evidence"] for part in row["participants"]} == {"co_present"}
    assert len(row["participants"]) == 3
    assert row["minutes"] == 30


def test_rows_that_make_no_sense_are_quarantined_with_a_reason(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        "at,sender,recipient,medium,evidence,minutes",
        "2024-03-01T10:00,a,b,email,addressed,",
        "yesterday,a,b,email,addressed,",
        "0001-01-01T00:00,a,b,email,addressed,",
        "2024-03-01T10:00,,b,email,addressed,",
        "2024-03-01T10:00,a,,email,addressed,",
        "2024-03-01T10:00,a,b,pigeon,addressed,",
        "2024-03-01T10:00,a,b,email,shouted,",
        "2024-03-01T10:00,a,b,meeting_online,,minus one",
    )
    reasons = sorted(row["reason"] for row in rows(path, "quarantine"))
    assert reasons == ["bad_time", "bad_time", "no_recipient", "no_sender", "unknown_medium"]
    assert len(rows(path)) == 3


def test_a_bad_optional_field_costs_itself_not_the_contact(tmp_path: Path) -> None:
    notes: list[str] = []
    path = csv(
        tmp_path,
        "at,sender,recipient,medium,evidence,minutes",
        "2024-03-01T10:00,a,b,email,shouted,",
        "2024-03-01T11:00,a,b,meeting_online,,minus one",
        "2024-03-01T12:00,a,b,meeting_online,,-5",
    )
    found = rows(path, notes=notes)
    assert [row["minutes"] for row in found] == [None, None, None]
    assert found[0]["participants"][0]["evidence"] == "addressed"
    assert rows(path, "quarantine") == []
    assert notes == [
        "1 values of evidence could not be read and were left out",
        "2 values of minutes could not be read and were left out",
    ]


def test_people_and_their_teams(tmp_path: Path) -> None:
    events = csv(tmp_path, "at,sender,recipient", "2024-03-01T10:00,ann@a.example,b")
    people = csv(
        tmp_path,
        "person,team,organisation,manager,valid_from,valid_to",
        "ann@a.example,Sales,,b,2024-01-01,2024-07-01",
        "ann@a.example,Support,,b,2024-07-01,",
        ",Sales,,,,",
        "b,Sales,,,soon,",
        name="people.csv",
    )
    memberships = rows(events, "membership", people=people)
    assert [(row["account_key"], row["team"]) for row in memberships] == [
        (key_of("ann@a.example"), "Sales"),
        (key_of("ann@a.example"), "Support"),
    ]
    assert sorted(row["reason"] for row in rows(events, "quarantine", people=people)) == ["bad_date", "no_person"]


@pytest.mark.parametrize(
    "lines, said",
    [
        (("when,sender,recipient", "1,a,b"), "lacks the column at"),
        (("at,sender", "1,a"), "recipient"),
        (("at,sender,recipient,subject", "1,a,b,hush"), "unknown column"),
        (("at,sender,recipient", '1,"a,b'), "no row that could be read; 1 rows were left out: they have more or fewer cells"),
        (("at,sender,recipient,at", "1,a,b,1"), "has the column at twice"),
        (("at,sender,recipient",), "no row that could be read"),
    ],
)
def test_a_file_of_another_shape_is_refused_without_quoting_it(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        rows(csv(tmp_path, *lines))
    assert "hush" not in str(refused.value)


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        rows(tmp_path / "nothing.csv")


cell = st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["2024-01-01", "5", "a@b.c", "email", "1e400", "NaN"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.tuples(cell, cell, cell, cell, cell, cell), max_size=6))
def test_whatever_a_file_holds_each_row_is_accounted_for(tmp_path: Path, values: Iterable[tuple[str | None, ...]]) -> None:
    names = ("at", "sender", "recipient", "medium", "evidence", "minutes")
    listed = list(values)
    columns = {name: pa.array([row[place] for row in listed], pa.string()) for place, name in enumerate(names)}
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    try:
        kept = rows(tmp_path / "events.parquet")
    except UserError:
        # of a file of which nothing can be used, or which is not certain, nothing is read
        return
    assert kept
    assert len(kept) + len(rows(tmp_path / "events.parquet", "quarantine")) == len(listed)
