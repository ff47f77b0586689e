"""`perdure export facts`: what figures are made of, as Hive-partitioned Parquet that any engine reads.

Facts are person-level: pseudonyms, no content, no addresses. They do not pass disclosure control, so they are no export
for leadership and never lie among those; the folder says so itself. It is written beside and renamed, the home remembers
where, and whoever is forgotten, or too old to be kept, is gone from it as from the published file.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from connectors.errors import UserError
from pipelines.home import Home

BY_MONTH: Final = ("interaction", "contact", "pair_day")
"""Tables in one folder a month: `contact/month=2026-03/`."""
WHOLE: Final = ("membership", "person", "organisation", "space", "panel", "observation", "gap", "coverage_day")
"""Small tables, one file each: what the others are read with."""
_NAME: Final = "perdure-facts"
_PACKAGE: Final = "datapackage.json"
_TYPES: Final[Mapping[str, str]] = {"BIGINT": "integer", "DOUBLE": "number", "BOOLEAN": "boolean", "DATE": "date", "TIMESTAMP": "datetime"}

READERS: Final[Mapping[str, str]] = {
    "DuckDB": """\
import duckdb

pairs = duckdb.sql("from read_parquet('FACTS/pair_day/*/*.parquet', hive_partitioning = true) where month >= '2026-01'")
print(pairs.aggregate("month, medium, count(*) as pair_days", "month, medium").order("month, medium"))
""",
    "polars": """\
import polars as pl

pairs = pl.scan_parquet("FACTS/pair_day", hive_partitioning=True, hive_schema={"month": pl.String}).filter(pl.col("month") >= "2026-01")
print(pairs.group_by("month", "medium").agg(pair_days=pl.len()).sort("month", "medium").collect())
""",
    "Spark": """\
from pyspark.sql import SparkSession

spark = SparkSession.builder.config("spark.sql.sources.partitionColumnTypeInference.enabled", "false").getOrCreate()
pairs = spark.read.parquet("FACTS/pair_day").where("month >= '2026-01'")
pairs.groupBy("month", "medium").count().orderBy("month", "medium").show()
""",
}
"""How each engine reads a table, only the months that it is asked for; FACTS stands for the folder. A test runs each."""

_ABOUT: Final = """\
# Facts

What perdure's figures are made of, as of {as_of}: one row a message, a contact, a pair and day, under pseudonyms. No text, no
subject, no name, no address.

**Person-level: keep it where the private warehouse may be kept.** This folder has not passed disclosure control. It may go to the
people and machines that your agreement with the works council and your record of processing name for pair-level analysis; it may
not go to leadership, to managers, into reports, or out of the organisation. It is open to its owner alone. Do not copy it: a
person who is erased (`perdure forget`), and months past the retention period, leave this folder, but not your copies.

`{by_month}` lie in one folder a month (`month=2026-03/`); `{whole}` are one file each. Keys join across tables. Instants are UTC.
{left_out}
## Reading it

{readers}
## Tables

{tables}"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was written: table -> rows, whether tables of one row a message were left out, and the size of all files."""

    folder: Path
    rows: Mapping[str, int]
    has_messages: bool
    byte_count: int


def export_facts(home: Home, output: Path | None = None) -> Facts:
    """Write the facts of the published file.

    Args:
        home: The home.
        output: The folder of facts, which is replaced as a whole; by default `facts` in the home.

    Raises:
        UserError: If nothing is published, or the folder cannot be written or holds something else.
    """
    if not home.published.exists():
        raise UserError("export facts: nothing is published yet; run `perdure build` and `perdure publish` first")
    folder = (output or home.facts).expanduser().resolve()
    if folder.exists() and not _is_facts(folder):
        raise UserError(f"--output {folder}: the folder holds something else and would be replaced; name a new or an empty one")
    done = _write(home.published, folder)
    _remember(home, [*known_folders(home), folder])
    return done


def known_folders(home: Home) -> list[Path]:
    """Return the folders that hold facts of this home; those that are gone are left out."""
    if not home.facts_list.exists():
        return []
    return [
        path for line in home.facts_list.read_text(encoding="utf-8").splitlines() if _is_facts(path := Path(line)) and any(path.iterdir())
    ]


def renew(home: Home) -> list[str]:
    """Write every folder of facts anew from the published file, so that it holds nobody and nothing that this no longer does.

    Raises:
        UserError: If one cannot be written; the message says what to do with it.
    """
    folders = known_folders(home)
    for folder in folders:
        try:
            if home.published.exists():
                _write(home.published, folder)
            else:
                shutil.rmtree(folder)
        except (OSError, UserError, duckdb.Error):
            raise UserError(
                f"facts: {folder} cannot be written anew, and still holds what was erased; delete it, and run this again"
            ) from None
    _remember(home, folders)
    return [str(folder) for folder in folders]


def renew_if_older(home: Home) -> list[str]:
    """Write facts anew if they reach back further than the published file: the retention period has passed."""
    with duckdb.connect(str(home.published), read_only=True) as published:
        oldest = published.execute("select strftime(min(date), '%Y-%m') from core.pair_day").fetchall()[0][0]
    months = [path.name.partition("=")[2] for folder in known_folders(home) for path in folder.glob("*/month=*")]
    return renew(home) if months and (oldest is None or min(months) < oldest) else []


def _is_facts(folder: Path) -> bool:
    """Return whether a folder is one of ours, or empty."""
    if not folder.is_dir():
        return False
    try:
        return bool(json.loads((folder / _PACKAGE).read_text(encoding="utf-8")).get("name") == _NAME)
    except (OSError, ValueError):
        return not any(folder.iterdir())


def _remember(home: Home, folders: list[Path]) -> None:
    home.facts_list.write_text("".join(f"{folder}\n" for folder in sorted(set(folders)) if folder.is_dir()), encoding="utf-8")
    home.facts_list.chmod(0o600)


# -- writing ----------------------------------------------------------------------------------------------------------


@contextmanager
def _for_owner_alone() -> Iterator[None]:
    mask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)


def _write(published: Path, folder: Path) -> Facts:
    beside, old = (folder.with_name(f".{folder.name}.{end}") for end in ("next", "old"))
    with _for_owner_alone(), duckdb.connect(str(published), read_only=True) as source:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            for leftover in (beside, old):
                shutil.rmtree(leftover, ignore_errors=True)
            beside.mkdir()
        except OSError as error:
            raise UserError(f"{folder}: facts cannot be written there ({error.strerror}); choose another folder with --output") from None
        try:
            done = _fill(source, beside)
            if folder.exists():
                folder.rename(old)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Facts(folder, done, "contact" in done, size)


def _fill(source: duckdb.DuckDBPyConnection, beside: Path) -> dict[str, int]:
    source.execute("set TimeZone = 'UTC'")
    present = {name for (name,) in source.execute("select table_name from duckdb_tables() where schema_name = 'core'").fetchall()}
    rows: dict[str, int] = {}
    for name in (*BY_MONTH, *WHOLE):
        if name not in present:
            continue
        target = str(beside / name).replace("'", "''")
        if name in BY_MONTH:
            # one file a month, in order of time, whatever the number of threads: equal facts are equal files
            source.execute(
                f"copy (select *, strftime(date, '%Y-%m') as month from core.{name} order by all) to '{target}' "
                "(format parquet, compression zstd, partition_by (month))"
            )
        else:
            (beside / name).mkdir()
            source.execute(f"copy (select * from core.{name} order by all) to '{target}/{name}.parquet' (format parquet, compression zstd)")
        rows[name] = source.execute(f"select count(*) from core.{name}").fetchall()[0][0]
    _document(source, beside, rows)
    return rows


def _document(source: duckdb.DuckDBPyConnection, beside: Path, rows: Mapping[str, int]) -> None:
    tables = dict(
        source.execute("select table_name, description from metrics.catalog where table_schema = 'core' order by table_name").fetchall()
    )
    columns = source.execute(
        "select table_name, column_name, data_type, comment from duckdb_columns() "
        "where schema_name = 'core' order by table_name, column_index"
    ).fetchall()
    as_of: date | None = source.execute("select as_of from metrics.about").fetchall()[0][0]
    of_table = {name: [row[1:] for row in columns if row[0] == name] for name in rows}
    for name in of_table:
        if name in BY_MONTH:
            of_table[name].append(("month", "VARCHAR", "[text] The month of `date`, as in the folder's name: not in the files."))
    package = {
        "profile": "data-package",
        "name": _NAME,
        "title": f"perdure: facts as of {as_of}",
        "description": "Person-level data under pseudonyms, before disclosure control: keep it where the private warehouse may be kept.",
        "resources": [
            {
                "name": name.replace("_", "-"),
                "description": tables[name],
                "path": sorted(path.relative_to(beside).as_posix() for path in (beside / name).rglob("*.parquet")),
                "format": "parquet",
                "mediatype": "application/vnd.apache.parquet",
                "rows": rows[name],
                "schema": {
                    "fields": [
                        {"name": column, "type": _TYPES.get(kind, "string"), "description": comment}
                        for column, kind, comment in of_table[name]
                    ]
                },
            }
            for name in rows
        ],
    }
    (beside / _PACKAGE).write_text(json.dumps(package, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    left_out = "" if "contact" in rows else "\nSettings say `publish.messages = false`: the tables with one row a message are not here.\n"
    described = [
        f"### {name}\n\n{tables[name]} {rows[name]:,} rows.\n\n| Column | Type | Meaning |\n|---|---|---|\n"
        + "".join(f"| {column} | {kind.lower()} | {comment.replace('|', ' or ')} |\n" for column, kind, comment in of_table[name])
        for name in rows
    ]
    text = _ABOUT.format(
        as_of=as_of or "no day",
        by_month="`, `".join(name for name in BY_MONTH if name in rows),
        whole="`, `".join(name for name in WHOLE if name in rows),
        left_out=left_out,
        readers="\n".join(f"{engine}:\n\n```python\n{code}```\n" for engine, code in READERS.items()),
        tables="\n".join(described),
    )
    (beside / "README.md").write_text(text, encoding="utf-8")
