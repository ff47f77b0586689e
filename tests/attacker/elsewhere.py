"""The other files of an export: Parquet and the workbook repeat the tables, and the report retells them.

What they show and the CSV files withhold, or show more finely, is taken from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from attacker.files import Export, Row, Sheet, Value
from attacker.finding import Finding

_FINER = 1e-9
_LONGEST_SHEET_NAME = 31


def more_told(export: Export) -> Iterator[Finding]:
    """Yield every figure that another file shows and the CSV file withholds or rounds."""
    for sheet in export.sheets.values():
        for path in export.folder.rglob(f"{sheet.name}.parquet"):
            yield from _compared("parquet", sheet, pq.read_table(path).to_pylist(), export)
    for path in export.folder.rglob("*.xlsx"):
        for name, rows in _workbook(path):
            for sheet in export.sheets.values():
                if sheet.name.rpartition(".")[2][:_LONGEST_SHEET_NAME] == name:
                    yield from _compared("workbook", sheet, rows, export)


def _compared(technique: str, sheet: Sheet, rows: Iterable[Mapping[str, Any]], export: Export) -> Iterator[Finding]:
    for row in rows:
        if not set(sheet.dimensions) <= set(row):
            return
        key: Row = tuple(_as_text(row[name]) for name in sheet.dimensions)
        told = sheet.rows.get(key)
        for column in sheet.figures if told is not None else ():
            value, shown = row.get(column), told[column] if told is not None else None
            if isinstance(value, int | float) and (shown is None or abs(float(shown) - value) > _FINER):
                named = dict(zip(sheet.dimensions, key, strict=True))
                whole = sheet.fields[column].kind == "integer"
                yield Finding(technique, sheet.name, named, column, float(value), float(value), str(export.folder), shown is None, whole)


def _as_text(value: Any) -> Value:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.strftime("%Y-%m-%dT%H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, int | float) else (value or None)


def _workbook(path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True)
    for sheet in book.worksheets:
        rows = sheet.iter_rows(values_only=True)
        head = [str(each or "").replace(" ", "_") for each in next(rows, ())]
        yield sheet.title, [dict(zip(head, values, strict=False)) for values in rows]
    book.close()


# -- the report -------------------------------------------------------------------------------------------------------

_COUNT = re.compile(r"\d{1,3}(?:,\d{3})*|\d+")


class _Cells(HTMLParser):
    """The text of every cell of a table's body, and of every label in a chart."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "text"):
            self.depth += 1
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "text"):
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth:
            self.cells[-1] += data


def strangers(export: Export) -> list[float]:
    """Return the counts in tables of the report that no table of the export tells: they come from elsewhere."""
    told = {
        abs(float(value))
        for sheet in export.sheets.values()
        for row in sheet.rows.values()
        for value in row.values()
        if isinstance(value, float)
    }
    found = []
    for path in sorted(export.folder.glob("*.en.html")):
        parser = _Cells()
        parser.feed(path.read_text(encoding="utf-8"))
        for cell in parser.cells:
            if _COUNT.fullmatch(cell.strip()):
                found.append(float(cell.strip().replace(",", "")))
    return [value for value in found if value not in told]
