"""CSV: one file a table, text that no spreadsheet runs, lists joined by semicolons."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from metrics.disclosure import escape_spreadsheet
from pipelines.exports.release import Release


def write_csv(allowed: Release, folder: Path) -> list[Path]:
    """Write every table of a release and return the files."""
    folder.mkdir()
    files = []
    for name, table in allowed.tables.items():
        path = folder / f"{name}.csv"
        csv.write_csv(as_text(table), path, csv.WriteOptions(include_header=True, quoting_style="needed"))
        files.append(path)
    return files


def as_text(table: pa.Table) -> pa.Table:
    """The table with text escaped, lists joined and times in ISO 8601; numbers stay numbers."""
    return pa.table({name: _column(table[name]) for name in table.column_names})


def _column(values: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_list(values.type):
        return pa.array([None if each is None else escape_spreadsheet("; ".join(each)) for each in values.to_pylist()], pa.string())
    if pa.types.is_timestamp(values.type):
        return pc.strftime(pc.cast(values, pa.timestamp("s"), safe=False), format="%Y-%m-%dT%H:%M:%S")
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        # each distinct text once: a table may repeat a team's name a hundred thousand times
        encoded = pc.dictionary_encode(values).combine_chunks()
        escaped = pa.array([escape_spreadsheet(text) for text in encoded.dictionary.to_pylist()], pa.string())
        return pc.take(escaped, encoded.indices)
    return values
