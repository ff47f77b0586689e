"""A home of its own for a case, and perdure's commands in it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipelines.cli import app, run


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said on both channels."""

    code: int
    text: str


class CaseHome:
    """A new home, made by `perdure init`, in a folder that goes with the case."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self.perdure("init")

    def perdure(self, *arguments: str | Path) -> Said:
        """Run a command in this process, as the console script would."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = run(lambda: app(["--home", str(self.path), "--quiet", *map(str, arguments)], standalone_mode=True))
        return Said(code, said.getvalue())

    def add_settings(self, text: str) -> None:
        """Append to perdure.toml."""
        with (self.path / "perdure.toml").open("a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Query the private file; nothing where it, or the table, is not there."""
        if not (self.path / "warehouse.duckdb").exists():
            return []
        with duckdb.connect(str(self.path / "warehouse.duckdb"), read_only=True) as warehouse:
            try:
                return warehouse.sql(query).fetchall()
            except duckdb.CatalogException:
                return []

    def status(self) -> dict[str, Any]:
        """Return what `perdure status --json` says of the first source."""
        sources = json.loads(self.perdure("status", "--json").text)["sources"]
        return dict(sources[0]) if sources else {}


@contextlib.contextmanager
def case_home() -> Iterator[CaseHome]:
    """Give a home that is gone afterwards; the mask that the command sets is put back."""
    mask = os.umask(0o077)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield CaseHome(Path(folder))
    finally:
        os.umask(mask)


def compared(name: str, found: Any, wanted: Any) -> list[str]:
    """Return what is to be said where a value is not the one that is wanted."""
    return [] if found == wanted else [f"{name}: {found}, not {wanted}"]
