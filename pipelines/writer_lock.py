"""One writer at a time: the lock beside the private file."""

from __future__ import annotations

import fcntl
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from connectors.errors import UserError

_POLL_SECONDS: Final = 0.5


class WriterLockedError(UserError):
    """Another run is writing to the same warehouse."""


def lock(path: Path, wait_seconds: float) -> IO[str]:
    """Take the writer's lock beside the file, waiting for it if asked to, or say who holds it."""
    ends = time.monotonic() + wait_seconds
    while True:
        try:
            return _try_lock(path)
        except WriterLockedError:
            if time.monotonic() >= ends:
                raise
            time.sleep(_POLL_SECONDS)


def _try_lock(path: Path) -> IO[str]:
    handle = path.with_suffix(".lock").open("a+", encoding="utf-8")
    path.with_suffix(".lock").chmod(0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        holder = handle.read().strip() or "an unknown process"
        handle.close()
        raise WriterLockedError(f"warehouse: another run is writing ({holder}); wait until it ends, or stop it") from None
    handle.truncate(0)
    handle.write(f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    handle.flush()
    return handle
