"""Where everything lies: one folder, closed to others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.errors import UserError

VARIABLE: Final = "PERDURE_HOME"
DEFAULT: Final = Path("perdure-home")


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds the private warehouse, the published file, exports, key, settings and logs."""

    path: Path

    @classmethod
    def find(cls, given: Path | None = None) -> Home:
        """Return the home: the given folder, else `$PERDURE_HOME`, else `./perdure-home`."""
        return cls((given or Path(os.environ.get(VARIABLE) or DEFAULT)).expanduser().resolve())

    def create(self) -> Home:
        """Make the folder, open to its owner only.

        Raises:
            UserError: If it cannot be made or written to.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise UserError(f"--home: the folder cannot be made or closed to others ({type(error).__name__}); choose one you own") from None
        return self

    def require(self) -> Home:
        """Return this home if it exists.

        Raises:
            UserError: If it does not.
        """
        if not self.path.is_dir():
            raise UserError("there is no perdure home here; run `perdure init`, or name it with --home or PERDURE_HOME")
        return self

    @property
    def warehouse(self) -> Path:
        """The private DuckDB file."""
        return self.path / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """The analysts' DuckDB file."""
        return self.path / "analytics.duckdb"

    @property
    def exports(self) -> Path:
        """The folder of exports."""
        return self.path / "exports"

    @property
    def facts(self) -> Path:
        """The folder of facts, unless another was named."""
        return self.path / "facts"

    @property
    def facts_list(self) -> Path:
        """The file that lists every folder of facts, for whoever is to be forgotten."""
        return self.path / "facts.list"

    @property
    def exchange(self) -> Path:
        """The folder through which Spark reads and writes; it is there only while a build runs."""
        return self.path / "exchange"

    @property
    def key_file(self) -> Path:
        """The file that holds the pseudonym key, where it comes from no better place."""
        return self.path / "key"

    @property
    def settings_file(self) -> Path:
        """The settings."""
        return self.path / "perdure.toml"

    @property
    def state_file(self) -> Path:
        """What `perdure status` would have said when the last command that wrote ended: counts only."""
        return self.path / "state.json"

    @property
    def logs(self) -> Path:
        """The folder of logs."""
        return self.path / "logs"

    @property
    def prefect(self) -> Path:
        """Prefect's own folder, for runs without a server."""
        return self.path / "prefect"


def sync_to_disk(path: Path) -> None:
    """Wait until what a file holds, or which files a folder names, is on the disk: a power cut cannot undo it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
