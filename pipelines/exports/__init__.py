"""Leadership's export: `exports/<date>/` with Parquet, CSV, XLSX, `datapackage.json` and the report, behind disclosure control.

It is written beside and renamed, so whoever looks sees a whole export or the one before; `latest` always names a whole one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow.parquet as pq

from connectors.errors import UserError
from metrics.disclosure import DisclosurePolicy, figures_withheld
from pipelines.catalog import TableSpec
from pipelines.exports.csv_files import write_csv
from pipelines.exports.datapackage import write_datapackage
from pipelines.exports.release import PARQUET, Release, release
from pipelines.exports.workbook import write_workbook

__all__ = ["ExportReport", "Release", "export", "last_export", "release"]

LATEST: Final = "latest"
_NEXT: Final = ".next"
_OLD: Final = ".old"
Language = Literal["en", "fr"]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported.

    Attributes:
        folder: The export's folder.
        table_count: How many tables it holds.
        row_count: How many rows they have.
        withheld_row_count: How many rows are withheld, small groups and those that shield them.
        suppressed_cell_count: How many figures are not told, in those rows and in others.
        refused: Tables left out because nobody can say how many people they are about.
        byte_count: Size of all files.
    """

    folder: Path
    table_count: int
    row_count: int
    withheld_row_count: int
    suppressed_cell_count: int
    refused: tuple[str, ...]
    byte_count: int


def export(
    published: Path,
    folder: Path,
    policy: DisclosurePolicy | None = None,
    catalog: Mapping[str, TableSpec] | None = None,
    *,
    languages: Sequence[Language] = ("en", "fr"),
) -> ExportReport:
    """Write an export of the published file.

    Args:
        published: The published file; opened read-only.
        folder: Where exports live; the export goes to its subfolder named after the last day that the figures speak of.
        policy: How strict disclosure control is.
        catalog: Ignored: the published file documents itself. Kept so that callers may hand over what they built with.
        languages: In which languages the report is written.

    Raises:
        UserError: If nothing is published, or the folder cannot be written.
    """
    from pipelines import report

    del catalog
    _recover(folder)
    allowed = release(published, policy or DisclosurePolicy())
    name = str(allowed.as_of or "empty")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{name}{_NEXT}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o755)
    except OSError as error:
        raise UserError(f"{folder}: the export cannot be written there ({error.strerror}); choose another folder with --output") from None
    try:
        files = _write(allowed, beside)
        for language in languages:
            path = beside / f"report.{language}.html"
            path.write_text(report.render_release(allowed, language=language), encoding="utf-8")
            files.append(path)
        write_datapackage(allowed, beside, files)
        byte_count = sum(path.stat().st_size for path in beside.rglob("*") if path.is_file())
        _put_in_place(beside, folder / name)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return _summary(allowed, folder / name, byte_count)


def last_export(folder: Path) -> Path | None:
    """The folder of the last export under `folder`; None before the first."""
    latest = folder / LATEST
    return latest.resolve() if latest.is_dir() else None


def _write(allowed: Release, beside: Path) -> list[Path]:
    files = []
    (beside / PARQUET).mkdir()
    for name, table in allowed.tables.items():
        path = beside / PARQUET / f"{name}.parquet"
        pq.write_table(table.replace_schema_metadata({"description": allowed.specs[name].description}), path, compression="zstd")
        files.append(path)
    files += write_csv(allowed, beside / "csv")
    files.append(write_workbook(allowed, beside / "perdure.xlsx"))
    return files


def _put_in_place(beside: Path, target: Path) -> None:
    """Let the new export take the old one's place, while `latest` names a whole export at every moment, whenever this is killed."""
    link, old = target.with_name(LATEST), _old(target)
    if target.exists():
        _point(link, beside.name)
        target.rename(old)
        _point(link, old.name)
    beside.rename(target)
    _point(link, target.name)
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Finish or undo what a killed export left: an export that stands aside, and a `latest` that names it."""
    for aside in sorted(folder.glob(f".*{_OLD}")):
        target = aside.with_name(aside.name[1 : -len(_OLD)])
        if not target.exists():
            aside.rename(target)
        _point(folder / LATEST, target.name)
        shutil.rmtree(aside, ignore_errors=True)
    link = folder / LATEST
    named = link.readlink().name if link.is_symlink() else ""
    if named.endswith(_NEXT) and (folder / named[1 : -len(_NEXT)]).is_dir():
        _point(link, named[1 : -len(_NEXT)])
    for unfinished in folder.glob(f".*{_NEXT}"):
        if unfinished.is_dir() and not unfinished.is_symlink():
            shutil.rmtree(unfinished, ignore_errors=True)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}{_OLD}")


def _point(link: Path, name: str) -> None:
    """Make `latest` name another folder, at once."""
    beside = link.with_name(f".{link.name}.link")
    beside.unlink(missing_ok=True)
    beside.symlink_to(name, target_is_directory=True)
    beside.replace(link)


def _summary(allowed: Release, folder: Path, byte_count: int) -> ExportReport:
    withheld, untold = figures_withheld(allowed.controlled.row_counts, list(allowed.controlled.row_counts))
    figures = {name: len(allowed.specs[name].columns) - len(allowed.specs[name].grain) for name in allowed.tables}
    return ExportReport(
        folder=folder,
        table_count=len(allowed.tables),
        row_count=sum(table.num_rows for table in allowed.tables.values()),
        withheld_row_count=withheld,
        suppressed_cell_count=untold + sum(counts[1] * figures[name] for name, counts in allowed.controlled.row_counts.items()),
        refused=tuple(sorted(allowed.controlled.refused)),
        byte_count=byte_count,
    )
