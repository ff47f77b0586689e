"""Who ran what: one line a command in `logs/audit.jsonl`, open to the home's owner alone, never published.

It holds the command's name without its arguments (one of them may be an address), when it began and ended, its exit code,
and the number of the operating system's user: no name. What runs under Prefect is in Prefect's own records and in `raw.run`.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Final

from pipelines.home import Home

FILE: Final = "audit.jsonl"
_UNRECORDED: Final = frozenset({"init", "dictionary"})


def record(home: Home, command: str | None, began: datetime, exit_code: int) -> None:
    """Append a line about a command that ended; where there is no home, or it cannot be written, there is nothing to protect."""
    if command is None or command in _UNRECORDED or not home.logs.is_dir():
        return
    line = {
        "command": command,
        "user_number": os.getuid(),
        "began_at": began.isoformat(timespec="seconds"),
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "exit_code": exit_code,
    }
    try:
        # one write of an appending handle: lines of commands that run at once do not mix
        handle = os.open(home.logs / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, (json.dumps(line) + "\n").encode())
        finally:
            os.close(handle)
    except OSError:
        return
