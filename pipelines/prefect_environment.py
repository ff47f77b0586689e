"""How Prefect behaves when a command runs a flow without a server of its own.

Call `prepare` before anything imports Prefect: it reads its environment once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from pipelines.home import Home
from pipelines.progress import reporter

_DEFAULTS: Final[Mapping[str, str]] = {
    # the default of 20 seconds failed on a first run, whose database is made then
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # by default each task run is written in a transaction of its own, and a backlog blocks the next flow
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_CLI_PROMPT": "false",
    "DO_NOT_TRACK": "1",
}


def prepare(home: Home) -> None:
    """Keep Prefect's own files in the home and its start-up patient; what the user's environment sets is left alone."""
    home.prefect.mkdir(mode=0o700, exist_ok=True)
    home.prefect.chmod(0o700)
    if "PREFECT_API_URL" not in os.environ:
        os.environ.setdefault("PREFECT_HOME", str(home.prefect))
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


def run_nightly(home: Home, export: bool | None, force: bool = False) -> dict[str, Any]:
    """Run the nightly flow here and now, and return its summary."""
    prepare(home)
    reporter().say("Starting Prefect (about 20 seconds without a server; a first run takes a little longer) ...")
    from pipelines.flows import nightly

    summary: dict[str, Any] = nightly(home=str(home.path), export=export, force=force)
    return summary
