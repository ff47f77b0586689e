"""The export folder: typed, formatted, documented, put in place whole, and harmless to open."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import openpyxl
import pyarrow.parquet as pq
import pytest
from frictionless import Package
from releases import HOSTILE, published_file, spec

from connectors.errors import UserError
from metrics.disclosure import DisclosurePolicy
from pipelines.exports import export, last_export
from pipelines.exports.workbook import MAXIMUM_ROWS

TEAM = spec(
    "team_tie",
    "panel_kind panel_start team",
    "panel_kind:text panel_start:date team:text person_count:count tie_count:count mutual_ratio:ratio mean_minutes:minutes "
    "measured_at:timestamp is_growing:flag media:texts",
    question="How many ties does each team hold?",
    caveats=("=cmd|' /C calc'!A0",),
)
LONG = "t" * 40
MOMENT = datetime.fromisoformat("2026-07-01T08:30:00")


def row(team: str | None, people: int, ratio: float | None = 0.12345, month: int = 1) -> list[object]:
    return ["month", date(2026, month, 1), team, people, people * 3, ratio, 61.27, MOMENT, True, ["email", "-call"]]


ROWS = [row(None, 103), row("Alpha", 47), row("Beta", 41), row('Gamma, the "third"\nline', 12), row("Delta", 3)]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    restricted = spec("pair_secret", "person_key", "person_key:key person_count:count", is_restricted=True)
    unguarded = spec("model", "term", "term:text coefficient:log_odds")
    rows = [*ROWS, *(row(name, 20, float("nan"), month=2) for name in HOSTILE)]
    return published_file(tmp_path / "analytics.duckdb", [(TEAM, rows), (restricted, [[7, 100]]), (unguarded, [["age", 0.5]])])


def test_the_folder_holds_every_format_and_says_what_it_left_out(published: Path, tmp_path: Path) -> None:
    done = export(published, tmp_path / "exports")
    assert done.folder == tmp_path / "exports" / "2026-06-30"
    names = {path.relative_to(done.folder).as_posix() for path in done.folder.rglob("*") if path.is_file()}
    assert names == {
        "csv/core.observation.csv",
        "csv/metrics.team_tie.csv",
        "parquet/core.observation.parquet",
        "parquet/metrics.team_tie.parquet",
        "perdure.xlsx",
        "report.en.html",
        "report.fr.html",
        "datapackage.json",
    }
    assert done.refused == ("metrics.model",)
    # one row of three people, seven figures, and a share of twelve
    assert (done.table_count, done.withheld_row_count, done.suppressed_cell_count) == (2, 1, 8)
    everything = b"".join(path.read_bytes() for path in done.folder.rglob("*") if path.is_file())
    assert b"pair_secret" not in everything


def test_parquet_keeps_types_and_withholds_the_small(published: Path, tmp_path: Path) -> None:
    table = pq.read_table(export(published, tmp_path / "exports").folder / "parquet" / "metrics.team_tie.parquet")
    assert [str(field.type) for field in table.schema] == [
        *(
            "string",
            "date32[day]",
            "string",
            "int64",
            "int64",
            "double",
            "double",
            "timestamp[us]",
            "bool",
            "list<element: string>",
            "string",
        )
    ]
    rows = {(line["panel_start"].month, line["team"]): line for line in table.to_pylist()}
    assert {team: line["withheld"] for (_, team), line in rows.items() if line["withheld"]} == {
        "Delta": "small_group",
        'Gamma, the "third"\nline': "part",
    }
    assert rows[1, None]["person_count"] == 105
    assert rows[1, "Alpha"] == {
        "panel_kind": "month",
        "panel_start": date(2026, 1, 1),
        "team": "Alpha",
        "person_count": 45,
        "tie_count": 140,
        # told in steps of a fifth, as it rests on 47 people, and minutes as a preferred number
        "mutual_ratio": 0.2,
        "mean_minutes": 63.0,
        "measured_at": MOMENT,
        "is_growing": True,
        "media": ["email", "-call"],
        "withheld": None,
    }
    assert rows[2, HOSTILE[0]]["mutual_ratio"] is None


def test_the_package_is_valid_frictionless_and_its_hashes_hold(published: Path, tmp_path: Path) -> None:
    folder = export(published, tmp_path / "exports").folder
    report = Package(str(folder / "datapackage.json")).validate()
    assert report.valid, report.flatten(["title", "message"])
    described = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    listed = {resource["path"] for resource in described["resources"]}
    assert listed == {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"datapackage.json"}
    fields = next(r for r in described["resources"] if r["path"] == "csv/metrics.team_tie.csv")["schema"]["fields"]
    assert fields[3] == {
        "name": "person_count",
        "type": "integer",
        "title": "person count",
        "description": "What person_count:count says.",
        "unit": "count",
        "role": "people",
    }


def test_no_text_is_a_formula_in_csv_or_xlsx(published: Path, tmp_path: Path) -> None:
    folder = export(published, tmp_path / "exports").folder
    with (folder / "csv" / "metrics.team_tie.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert f"'{HOSTILE[1]}" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    book = openpyxl.load_workbook(folder / "perdure.xlsx")
    values = [cell for sheet in book for line in sheet.iter_rows() for cell in line if cell.value is not None]
    assert not [cell for cell in values if cell.data_type == "f" or str(cell.value).startswith(("=", "+", "@"))]
    assert f"'{HOSTILE[1]}" in {cell.value for cell in values}
    assert "'=cmd|' /C calc'!A0" in {cell.value for cell in values}
    # what is no spreadsheet keeps the name as it is, as text; the page escapes it
    parquet = pq.read_table(folder / "parquet" / "metrics.team_tie.parquet")["team"].to_pylist()
    assert set(HOSTILE) <= set(parquet)
    for language in ("en", "fr"):
        assert "<script" not in (folder / f"report.{language}.html").read_text(encoding="utf-8")
    assert "<script" not in (folder / "datapackage.json").read_text(encoding="utf-8")


def test_the_workbook_is_fit_to_be_read(published: Path, tmp_path: Path) -> None:
    book = openpyxl.load_workbook(export(published, tmp_path / "exports").folder / "perdure.xlsx")
    assert book.sheetnames == ["contents", "definitions", "observation", "team_tie"]
    assert {sheet.title: sheet.freeze_panes for sheet in book} == {
        "contents": "B6",
        "definitions": "C2",
        "observation": "C2",
        "team_tie": "D2",
    }
    sheet = book["team_tie"]
    assert [cell.value for cell in sheet[1]][:4] == ["panel kind", "panel start", "team", "person count"]
    alpha = next(line for line in sheet.iter_rows() if line[2].value == "Alpha")
    assert (alpha[3].number_format, alpha[5].number_format, alpha[1].number_format) == ("#,##0", "#,##0.00", "yyyy-mm-dd")
    delta = next(line for line in sheet.iter_rows() if line[2].value == "Delta")
    assert delta[3].value is None
    assert delta[3].fill.fgColor.rgb == "FFE4E4E4"
    assert "How many ties does each team hold?" in {cell.value for line in book["contents"].iter_rows() for cell in line}
    described = {(line[0].value, line[1].value) for line in book["definitions"].iter_rows()}
    assert ("team_tie", "mutual_ratio") in described
    assert ("team_tie", "withheld") in described


def test_sheets_whose_names_meet_and_tables_too_long_for_a_workbook(tmp_path: Path) -> None:
    columns = "n:text person_count:count"
    twins = [(spec(f"{LONG}{end}", "n", columns), [["a", 10]]) for end in "ab"]
    path = published_file(tmp_path / "a.duckdb", twins)
    long = spec("long", "n", columns)
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"create table metrics.long as select 'n' || i as n, 10 as person_count from range({MAXIMUM_ROWS + 1}) as t(i)")
        connection.execute("insert into metrics.catalog select 'metrics', 'long', 't', 'd', null, 'n', false, 1, [], []")
        for position, column in enumerate(long.columns):
            connection.execute(
                "insert into metrics.catalog_column values ('metrics', 'long', $1, $2, $3, $4, 'd')",
                [column.name, position, column.unit, str(long.roles.get(column.name, "")) or None],
            )
    folder = export(path, tmp_path / "exports").folder
    book = openpyxl.load_workbook(folder / "perdure.xlsx", read_only=True)
    assert book.sheetnames == ["contents", "definitions", "observation", "t" * 31, "t" * 28 + "~2"]
    assert "long (long: see csv or parquet)" in {cell.value for line in book["contents"].iter_rows() for cell in line}
    assert pq.read_metadata(folder / "parquet" / "metrics.long.parquet").num_rows == MAXIMUM_ROWS + 1


def test_an_export_replaces_the_one_of_the_same_day_and_latest_names_it(published: Path, tmp_path: Path) -> None:
    target = tmp_path / "exports"
    assert last_export(target) is None
    first = export(published, target)
    (first.folder / "stray").write_text("left from before")
    second = export(published, target)
    assert second.folder == first.folder
    assert not (second.folder / "stray").exists()
    assert (target / "latest").readlink() == Path("2026-06-30")
    assert last_export(target) == first.folder.resolve()
    assert sorted(path.name for path in target.iterdir()) == ["2026-06-30", "latest"]


def test_an_export_that_fails_leaves_the_one_before(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "exports"
    before = export(published, target)
    kept = (before.folder / "datapackage.json").read_bytes()

    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("pipelines.exports.write_datapackage", fails)
    with pytest.raises(OSError, match="no space"):
        export(published, target)
    assert (before.folder / "datapackage.json").read_bytes() == kept
    assert sorted(path.name for path in target.iterdir()) == ["2026-06-30", "latest"]


KILLED = """
import os, sys
from pathlib import Path
import pipelines.exports as exports

left = int(sys.argv[3])
def dies(function):
    def step(*arguments, **options):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return function(*arguments, **options)
    return step
for name in ("rename", "replace"):
    setattr(Path, name, dies(getattr(Path, name)))
exports._write = dies(exports._write)
exports.write_datapackage = dies(exports.write_datapackage)
exports.export(Path(sys.argv[1]), Path(sys.argv[2]), languages=("en",))
"""


@pytest.mark.parametrize("step", range(7))
def test_an_export_killed_at_any_step_leaves_a_whole_one_and_the_next_tidies_up(published: Path, tmp_path: Path, step: int) -> None:
    target = tmp_path / "exports"
    export(published, target, languages=("en",))
    killed = subprocess.run([sys.executable, "-c", KILLED, str(published), str(target), str(step)], capture_output=True, text=True)
    assert killed.returncode == 9, killed.stderr
    latest = last_export(target)
    assert latest is not None
    assert Package(str(latest / "datapackage.json")).validate().valid
    export(published, target, languages=("en",))
    assert sorted(path.name for path in target.iterdir()) == ["2026-06-30", "latest"]
    assert (target / "latest").readlink() == Path("2026-06-30")


def test_a_stricter_policy_withholds_more(published: Path, tmp_path: Path) -> None:
    done = export(published, tmp_path / "exports", DisclosurePolicy(minimum_group_size=45, rounding_base=10))
    assert done.withheld_row_count > 4


def test_a_table_that_identifies_people_but_is_not_marked_stops_the_export(tmp_path: Path) -> None:
    leak = spec("leak", "person_key", "person_key:key person_count:count")
    with pytest.raises(UserError, match="restricted: yes"):
        export(published_file(tmp_path / "a.duckdb", [(leak, [[7, 100]])]), tmp_path / "exports")
    assert not (tmp_path / "exports").exists()


def test_what_the_user_can_mend_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="perdure publish"):
        export(tmp_path / "nothing.duckdb", tmp_path)
    duckdb.connect(str(tmp_path / "other.duckdb")).close()
    with pytest.raises(UserError, match="no catalogue"):
        export(tmp_path / "other.duckdb", tmp_path)
    (tmp_path / "file").write_text("in the way")
    good = published_file(tmp_path / "a.duckdb", [(TEAM, ROWS)])
    with pytest.raises(UserError, match="--output"):
        export(good, tmp_path / "file")
