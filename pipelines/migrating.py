"""The steps of the private file's schema, and whether those applied are still what they were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migration_files() -> list[Path]:
    """Return the steps of the private file's schema, in their order."""
    return sorted(MIGRATIONS.glob("[0-9]*.sql"))


def checksum(step: Path) -> str:
    """Return the SHA-256 of a migration's text; how its lines end does not count."""
    return hashlib.sha256(step.read_text(encoding="utf-8").encode()).hexdigest()


def edited_migration(applied: Iterable[tuple[int, str, str | None]]) -> str | None:
    """Return a sentence on a migration that is not what was applied: edited, renamed or removed after the fact; None where all are.

    Args:
        applied: Version, name and checksum of each step that was applied; a checksum of None is not known.
    """
    steps = {int(step.name.partition("_")[0]): step for step in migration_files()}
    for version, name, known in sorted(applied, key=lambda row: row[0]):
        step = steps.get(version)
        if step is None or step.stem != name or known not in (None, checksum(step)):
            found = "is gone" if step is None else f"is now called {step.name}" if step.stem != name else "was edited"
            return (
                f"the migration {name}.sql {found} after it was applied to this file, so that nobody knows what the schema is; put the "
                "file back as it was (install perdure anew), and write changes of the schema as a new migration"
            )
    return None
