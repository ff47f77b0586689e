"""What went wrong, said in one line with its mend: the faults of machines and services that are nobody's bug."""

from __future__ import annotations

import errno
from typing import Final

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CLOSED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_FULL_TEXT: Final = ("no space left", "file too large", "quota exceeded", "could not write all bytes")
_CLOSED_TEXT: Final = ("read-only file system", "permission denied", "cannot open file", "read-only mode")
_SAFE: Final = "nothing is lost, and what was published last stays in place"
_DAMAGED_TEXT: Final = ("not a valid duckdb", "checksum", "corrupt", "could not read", "database file")


def explained(error: BaseException) -> str | None:
    """Return cause and mend of an error that is no bug, or None. Neither a value nor a path of it is quoted.

    Args:
        error: What was raised; the causes behind it are looked at too.
    """
    seen: BaseException | None = error
    looked_at: set[int] = set()
    # an error may be its own cause, at first or at second hand
    while seen is not None and id(seen) not in looked_at:
        looked_at.add(id(seen))
        found = _one(seen)
        if found is not None:
            return found
        seen = seen.__cause__ or seen.__context__
    return None


def _one(error: BaseException) -> str | None:
    kind, module = type(error).__name__, type(error).__module__
    if isinstance(error, OSError):
        return _full() if error.errno in _FULL else _closed() if error.errno in _CLOSED else None
    if kind in {"SlackUnavailableError", "SlackError", "GraphError"}:
        source = "slack" if kind.startswith("Slack") else "microsoft365"
        return f"{source}: the service could not be read ({kind}); run it again later, it goes on where it was; {_SAFE}"
    if module.partition(".")[0] in {"duckdb", "_duckdb"}:
        return _of_duckdb(kind, str(error).lower())
    return None


def _of_duckdb(kind: str, text: str) -> str | None:
    if kind == "OutOfMemoryException":
        if "max_temp_directory_size" in text or "no space" in text:
            return _full()
        return (
            f"memory: DuckDB needs more than it may have; raise warehouse.memory_limit in perdure.toml, or run on a larger machine; {_SAFE}"
        )
    if any(part in text for part in _FULL_TEXT):
        return _full()
    if "could not set lock" in text or "conflicting lock" in text:
        return "warehouse: another program has the file open; close it and run again"
    if any(part in text for part in _CLOSED_TEXT):
        return _closed()
    if kind in {"IOException", "SerializationException"} or any(part in text for part in _DAMAGED_TEXT):
        return (
            "a DuckDB file of the home is damaged or cannot be read; `perdure doctor` says which. analytics.duckdb is made anew by "
            "`perdure publish`; restore warehouse.duckdb from a backup, or move it away and import again"
        )
    return None


def _full() -> str:
    return (
        f"disk: there is no room left where the home lies; free some (`perdure doctor` says how much is wanted) and run it again; {_SAFE}"
    )


def _closed() -> str:
    return (
        f"home: it cannot be written to; make it writable for the user that runs perdure (`perdure doctor` looks), and run again; {_SAFE}"
    )
