"""The catalogue: a table's file is its documentation, and breaking a rule of it stops the build with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.catalog import CatalogError, load_catalog, parse_header, tables_read_by

HEAD = "-- description: A table.\n-- role: people | n\n-- column: n | count | How many.\n"


def write(folder: Path, name: str, text: str, family: str = "family") -> Path:
    path = folder / family / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_header_holds_keys_repeated_keys_and_continuations() -> None:
    header, body = parse_header("-- caveat: One\n--   goes on.\n-- column: a | count | A.\n-- caveat: Two.\nselect 1\n", Path("t.sql"))
    assert header["caveat"] == ["One goes on.", "Two."]
    assert body == "select 1"


@pytest.mark.parametrize(
    "text, said",
    [
        ("-- descripton: A.\n", "did you mean 'description'"),
        ("-- description: A.\n-- description: B.\n", "stands twice"),
        ("-- description A\n", "only `key: value`"),
    ],
)
def test_a_header_fault_names_file_and_line(text: str, said: str) -> None:
    with pytest.raises(CatalogError, match=said) as error:
        parse_header(text, Path("metrics/family/t.sql"))
    assert "t.sql:" in str(error.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ("-- description: A.\nselect 1 as n\n", "lacks 'column'"),
        ("-- description: A.\n-- column: n | apples | N.\nselect 1 as n\n", "unknown unit"),
        ("-- description: A.\n-- column: n | count\nselect 1 as n\n", "a column is"),
        (HEAD + "-- column: n | count | Again.\nselect 1 as n\n", "documented twice"),
        (HEAD + "-- unique: m\nselect 1 as n\n", "no documented column"),
        (HEAD + "-- restricted: maybe\nselect 1 as n\n", "yes or no"),
        (HEAD + "-- rebuild: hourly\nselect 1 as n\n", "rebuild is one of"),
        (HEAD + "-- rebuild: panel\nselect 1 as n\n", "panel_kind"),
        (HEAD + "-- rebuild: day\nselect 1 as n\n", "column date"),
        (HEAD + "-- rebuild: pair\nselect 1 as n\n", "person_a_key"),
        (HEAD + "-- whole_time: pair\nselect 1 as n\n", "whole_time is pair"),
        (HEAD + "-- joins: as they come\nselect 1 as n\n", "as written"),
        (HEAD + "-- partition: person\nselect 1 as n\n", "partition is one of thread, pair"),
        (HEAD + "-- partition: pair\nselect 1 as n\n", "has the columns"),
        (HEAD + "selec 1 as n\n", "t.sql"),
        (HEAD + "select 1 as n; select 2 as n\n", "exactly one select"),
        (HEAD + "select * from metrics.nothing\n", "which is no table"),
        (HEAD + "select * from raw.account\n", "never raw"),
    ],
)
def test_a_faulty_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, "t.sql", text)
    with pytest.raises(CatalogError, match=said):
        load_catalog(tmp_path)


def test_tables_come_after_what_they_read(tmp_path: Path) -> None:
    write(tmp_path, "a_last.sql", HEAD + "with x as (select n from metrics.b) select n from x join core.c using (n)\n")
    write(tmp_path, "b.sql", HEAD + "select n from core.c\n")
    write(tmp_path, "c.sql", HEAD + "select 1 as n from raw.account\n", "core")
    catalog = load_catalog(tmp_path)
    assert list(catalog) == ["core.c", "metrics.b", "metrics.a_last"]
    assert catalog["metrics.a_last"].reads == {"metrics.b", "core.c"}


def test_a_circle_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.sql", HEAD + "select n from metrics.b\n")
    write(tmp_path, "b.sql", HEAD + "select n from metrics.a\n")
    with pytest.raises(CatalogError, match="circle"):
        load_catalog(tmp_path)


def test_a_name_is_used_once(tmp_path: Path) -> None:
    write(tmp_path, "a.sql", HEAD + "select 1 as n\n")
    write(tmp_path, "a.sql", HEAD + "select 1 as n\n", "other")
    with pytest.raises(CatalogError, match="exists already"):
        load_catalog(tmp_path)


@pytest.mark.parametrize(
    "sql, read",
    [
        ("select * from core.a where n in (select n from core.b)", {"core.a", "core.b"}),
        ("with recursive r(n) as (select 1 union all select n + 1 from r join core.a using (n)) select * from r", {"core.a"}),
        ("select * from core.a asof join core.b using (n)", {"core.a", "core.b"}),
        ("select n from core.a qualify row_number() over (order by n) = (select max(n) from core.b)", {"core.a", "core.b"}),
        ("select * from (values (1)) as v(n)", set()),
    ],
)
def test_what_a_statement_reads_is_inferred(sql: str, read: set[str]) -> None:
    assert tables_read_by(sql, Path("t.sql")) == read


def test_every_shipped_table_is_documented_for_its_readers() -> None:
    for name, spec in load_catalog().items():
        assert spec.description.endswith((".", ")")), name
        assert all(column.description.endswith(".") for column in spec.columns), name
        assert spec.caveats or spec.schema == "core", f"{name}: say how it misleads"
        assert spec.grain, name
        if {column.name for column in spec.columns} & {"person_key", "person_a_key", "from_key", "sender_key", "account_key"}:
            assert spec.is_restricted, f"{name} speaks of persons"
