"""One Excel workbook: contents, definitions, and a sheet a table."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import xlsxwriter

from metrics.disclosure import PART, WHOLE, WITHHELD, escape_spreadsheet
from pipelines.exports.datapackage import WITHHELD_MEANING
from pipelines.exports.release import Release, ReleasedTable

MAXIMUM_ROWS: Final = 20_000
"""Longer tables are left to CSV and Parquet, and the contents say so: nobody reads them in a spreadsheet."""

_FORMATS: Final = {
    "count": "#,##0",
    "date": "yyyy-mm-dd",
    "timestamp": "yyyy-mm-dd hh:mm",
    "days": "#,##0.0",
    "minutes": "#,##0.0",
    "hours": "#,##0.0",
    "weeks": "#,##0.0",
    "text": "@",
    "texts": "@",
    "flag": "General",
}
_ACCENT: Final = "#1f4e5f"
_SHEET_NAME: Final = 31


def write_workbook(allowed: Release, path: Path) -> Path:
    """Write the workbook of a release and return its path."""
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "nan_inf_to_errors": False}
    with xlsxwriter.Workbook(path, {**options, "constant_memory": True}) as book:
        book.set_properties({"title": "perdure", "comments": f"As of {allowed.as_of}", "created": allowed.built_at})
        styles = _Styles(book)
        names = _sheet_names(list(allowed.tables))
        _contents(book, styles, allowed, names)
        _definitions(book, styles, allowed)
        for full_name, table in allowed.tables.items():
            if table.num_rows <= MAXIMUM_ROWS:
                _sheet(book, styles, names[full_name], allowed.specs[full_name], table)
    return path


class _Styles:
    def __init__(self, book: Any) -> None:
        self.book = book
        self.heading = book.add_format({"bold": True, "font_color": "#ffffff", "bg_color": _ACCENT, "text_wrap": True, "valign": "top"})
        self.title = book.add_format({"bold": True, "font_size": 16, "font_color": _ACCENT})
        self.text = book.add_format({"text_wrap": True, "valign": "top", "num_format": "@"})
        self.withheld = book.add_format({"bg_color": "#e4e4e4", "font_color": "#595959", "italic": True})
        self._by_unit: dict[str, Any] = {}

    def of(self, unit: str) -> Any:
        if unit not in self._by_unit:
            self._by_unit[unit] = self.book.add_format({"num_format": _FORMATS.get(unit, "#,##0.00"), "valign": "top"})
        return self._by_unit[unit]


def _sheet_names(full_names: list[str]) -> dict[str, str]:
    """Full name -> a sheet's name: at most 31 characters and unique whatever the case."""
    names: dict[str, str] = {}
    taken = {"contents", "definitions"}
    for full_name in full_names:
        wanted = full_name.partition(".")[2][:_SHEET_NAME]
        name, number = wanted, 2
        while name.lower() in taken:
            name = f"{wanted[: _SHEET_NAME - 3]}~{number}"
            number += 1
        taken.add(name.lower())
        names[full_name] = name
    return names


def _contents(book: Any, styles: _Styles, allowed: Release, names: dict[str, str]) -> None:
    sheet = book.add_worksheet("contents")
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 32)
    sheet.set_column(1, 1, 60)
    sheet.set_column(2, 3, 12)
    sheet.set_column(4, 4, 90)
    sheet.write_string(0, 0, "perdure", styles.title)
    lines = [
        f"Figures as of {allowed.as_of}. Organisation level only: no table is about a person.",
        f"Groups of fewer than {allowed.policy.minimum_group_size} people are withheld (grey), with what would give them away. "
        f"Counts are rounded to {allowed.policy.rounding_base} or more coarsely; few (none to seven) are left empty. Hours and contacts "
        "are round numbers, shares are in steps.",
    ]
    for row, line in enumerate(lines, start=1):
        sheet.write_string(row, 0, line)
    for column, heading in enumerate(("table", "question", "rows", "withheld", "read with care")):
        sheet.write_string(4, column, heading, styles.heading)
    sheet.freeze_panes(5, 1)
    for row, (full_name, table) in enumerate(allowed.tables.items(), start=5):
        spec = allowed.specs[full_name]
        withheld = table.num_rows - table[WITHHELD].null_count
        is_here = table.num_rows <= MAXIMUM_ROWS
        if is_here:
            # an inner link holds only the sheet's name, which is ours
            sheet.write_url(row, 0, f"internal:'{names[full_name]}'!A1", string=spec.name)
        else:
            sheet.write_string(row, 0, f"{spec.name} (long: see csv or parquet)", styles.text)
        sheet.write_string(row, 1, escape_spreadsheet(spec.question or spec.description), styles.text)
        sheet.write_number(row, 2, table.num_rows, styles.of("count"))
        sheet.write_number(row, 3, withheld, styles.of("count"))
        sheet.write_string(row, 4, escape_spreadsheet(" ".join(spec.caveats)), styles.text)


def _definitions(book: Any, styles: _Styles, allowed: Release) -> None:
    sheet = book.add_worksheet("definitions")
    for column, (heading, width) in enumerate((("table", 30), ("column", 28), ("unit", 14), ("meaning", 110))):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, heading, styles.heading)
    sheet.freeze_panes(1, 2)
    row = 1
    for full_name in allowed.tables:
        spec = allowed.specs[full_name]
        entries = [("", "", spec.description), *((column.name, column.unit, column.description) for column in spec.columns)]
        for entry in (*entries, (WITHHELD, "text", WITHHELD_MEANING)):
            for column, text in enumerate((spec.name, *entry)):
                sheet.write_string(row, column, escape_spreadsheet(text), styles.text)
            row += 1
    sheet.autofilter(0, 0, max(row - 1, 1), 3)


def _sheet(book: Any, styles: _Styles, name: str, spec: ReleasedTable, table: pa.Table) -> None:
    sheet = book.add_worksheet(name)
    units = {column.name: column.unit for column in spec.columns} | {WITHHELD: "text"}
    columns = table.column_names
    frozen = len([column for column in spec.grain if column in columns[: len(spec.grain)]])
    sheet.freeze_panes(1, min(frozen, 4))
    sheet.set_row(0, 45)
    rows = table.to_pylist()
    for position, column in enumerate(columns):
        longest = max((len(str(row[column])) for row in rows[:200] if row[column] is not None), default=0)
        sheet.set_column(position, position, min(max(longest + 2, 11), 48))
        sheet.write_string(0, position, column.replace("_", " "), styles.heading)
    if rows:
        sheet.autofilter(0, 0, len(rows), len(columns) - 1)
    for number, row in enumerate(rows, start=1):
        for position, column in enumerate(columns):
            is_hidden = row[WITHHELD] == WHOLE or (row[WITHHELD] == PART and (row[column] is None or column == WITHHELD))
            style = styles.withheld if is_hidden and column not in spec.grain else styles.of(units[column])
            _write_cell(sheet, number, position, row[column], style)


def _write_cell(sheet: Any, row: int, column: int, value: Any, style: Any) -> None:
    if value is None:
        sheet.write_blank(row, column, None, style)
    elif isinstance(value, bool):
        sheet.write_boolean(row, column, value, style)
    elif isinstance(value, datetime | date):
        sheet.write_datetime(row, column, value, style)
    elif isinstance(value, int | float):
        sheet.write_number(row, column, value, style)
    else:
        sheet.write_string(row, column, escape_spreadsheet("; ".join(value) if isinstance(value, list) else str(value)), style)
