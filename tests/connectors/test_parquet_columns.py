"""Parquet of wrong types is the user's to mend: exit code 2, column and row; what is merely unusual is read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli
from pipelines.cli import app, run

Perdure = Callable[..., tuple[int, str, str]]
AT = ["2024-01-05T10:00", "2024-01-06T10:00", "2024-01-07T10:00"]
GOOD: dict[str, Any] = {"at": AT, "sender": ["a@x.example"] * 3, "recipient": ["b@x.example"] * 3}


@pytest.fixture
def perdure(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Perdure:
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)

    def call(*words: str) -> tuple[int, str, str]:
        cli._global.update(home=None, quiet=True)
        code = run(lambda: app(list(words), standalone_mode=True))
        out, error = capsys.readouterr()
        return code, out, error

    return call


def wrote(path: Path, **columns: Any) -> str:
    held = {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    pq.write_table(pa.table(held), path)
    return str(path)


def broken_text(at: int) -> pa.Array:
    """Text of which one value is no UTF-8, as some writers leave it."""
    values = [b"a@x.example"] * 3
    values[at] = b"\xff\xfe\x80 caf\xe9"
    held = pa.array(values, pa.binary())
    return pa.StringArray.from_buffers(len(held), held.buffers()[1], held.buffers()[2])


WRONG: list[tuple[str, Any, int]] = [
    ("at", pa.array([None, True, False]), 2),
    ("at", pa.array([[1], [2], [3]]), 1),
    ("at", pa.array([dt.time(1), dt.time(2), dt.time(3)]), 1),
    ("at", pa.array([{"secret": 1}] * 3), 1),
    ("sender", pa.array([["a"], ["b"], ["c"]]), 1),
    ("sender", pa.array([None, None, {"secret": "x"}]), 3),
    ("sender", pa.array([True, False, True]), 1),
    ("sender", pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC)] * 3), 1),
    ("sender", broken_text(1), 2),
    ("sender", pa.array([b"ok", b"ok", b"\xff"], pa.binary()), 3),
    ("recipient", pa.array([["a"], ["b"], ["c"]]), 1),
    ("recipients", pa.array([[["a"]], [["b"]], [["c"]]]), 1),
    ("recipients", pa.array([[True], [True], [False]]), 1),
    ("recipients", pa.array([[dt.date(2024, 1, 1)]] * 3), 1),
    ("recipients", pa.array([[b"ok"], [b"\xff"], [b"ok"]]), 2),
    ("interaction_id", pa.array([[1], [2], [3]]), 1),
    ("medium", pa.array([{"a": 1}] * 3), 1),
    ("evidence", pa.array([[1], [2], [3]]), 1),
    ("minutes", pa.array([True, False, True]), 1),
    ("minutes", pa.array([[1.0], [2.0], [3.0]]), 1),
    ("minutes", pa.array([dt.timedelta(minutes=3)] * 3), 1),
    ("minutes", pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC)] * 3), 1),
]


@pytest.mark.parametrize("name, values, row", WRONG, ids=[f"{name}-{n}" for n, (name, _, _) in enumerate(WRONG)])
def test_an_events_file_of_wrong_types_names_column_and_row(perdure: Perdure, tmp_path: Path, name: str, values: Any, row: int) -> None:
    code, _, error = perdure("import", "events", wrote(tmp_path / "e.parquet", **GOOD | {name: values}))
    assert code == 2, error
    assert f"e.parquet: column {name}, row {row}:" in error
    assert "Traceback" not in error
    assert "secret" not in error


@pytest.mark.parametrize(
    "name, values, row",
    [
        ("person", pa.array([["a"], ["b"], ["c"]]), 1),
        ("team", pa.array([{"secret": 1}] * 3), 1),
        ("team", broken_text(2), 3),
        ("manager", pa.array([True] * 3), 1),
        ("valid_from", pa.array([5, 6, 7]), 1),
        ("joined_on", pa.array([0, 0, 2**31 - 1], pa.date32()), 3),
        ("left_on", pa.array([[dt.date(2024, 1, 1)]] * 3), 1),
    ],
)
def test_a_people_file_of_wrong_types_names_column_and_row(perdure: Perdure, tmp_path: Path, name: str, values: Any, row: int) -> None:
    people = {"person": ["a@x.example", "b@x.example", "c@x.example"], "team": ["A", "B", "C"]}
    words = (
        "import",
        "events",
        wrote(tmp_path / "e.parquet", **GOOD),
        "--people",
        wrote(tmp_path / "p.parquet", **people | {name: values}),
    )
    code, _, error = perdure(*words)
    assert code == 2, error
    assert f"p.parquet: column {name}, row {row}:" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "name, values",
    [
        ("at", pa.array([1704445200, 1704531600, 1704618000])),
        ("at", pa.array([dt.date(2024, 1, 5)] * 3)),
        ("at", pa.array(AT).dictionary_encode()),
        ("at", pa.array([dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (5, 6, 7)])),
        ("sender", pa.array(["a@x.example"] * 3, pa.large_string())),
        ("sender", pa.array(["a@x.example"] * 3).dictionary_encode()),
        ("sender", pa.array([b"a@x.example"] * 3)),
        ("sender", pa.array([1, 2, 3])),
        ("recipients", pa.array([["b@x.example", "c@x.example"]] * 3, pa.list_(pa.string(), 2))),
        ("recipients", pa.array([["b@x.example"]] * 3, pa.large_list(pa.large_string()))),
        ("recipients", pa.array(["b@x.example; c@x.example"] * 3)),
        ("minutes", pa.array([1, 2, 3])),
        ("minutes", pa.array([None] * 3, pa.bool_())),
        ("evidence", pa.nulls(3)),
    ],
)
def test_what_is_merely_unusual_is_read(perdure: Perdure, tmp_path: Path, name: str, values: Any) -> None:
    code, out, error = perdure("import", "events", wrote(tmp_path / "e.parquet", **GOOD | {name: values}))
    assert (code, "3 interactions read" in out) == (0, True), error


def test_a_row_of_a_later_piece_is_counted_from_the_files_beginning(
    perdure: Perdure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.events_file.ROWS_A_BATCH", 2)
    code, _, error = perdure("import", "events", wrote(tmp_path / "e.parquet", **GOOD | {"sender": broken_text(2)}))
    assert (code, "column sender, row 3:" in error) == (2, True), error


def test_a_moment_that_no_calendar_holds_is_quarantined(perdure: Perdure, tmp_path: Path) -> None:
    moments = pa.array([1704445200, 2**62 // 1000, 1704618000], pa.timestamp("s"))
    code, out, error = perdure("import", "events", wrote(tmp_path / "e.parquet", **GOOD | {"at": moments}))
    assert (code, "2 interactions read" in out, "bad_time" in error) == (0, True, True), error
