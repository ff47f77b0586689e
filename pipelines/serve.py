"""Every schedule in one process, for small installations: `perdure serve`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

from connectors.errors import UserError
from pipelines.home import Home
from pipelines.prefect_environment import prepare
from pipelines.progress import reporter
from pipelines.settings import Settings

SCHEDULES: Final = {"nightly": "15 2 * * *", "weekly-export": "0 6 * * 1", "monthly-retention": "0 4 1 * *"}
"""Deployment -> cron, in the organisation's time zone; `prefect.yaml` has the same."""
_START_SECONDS: Final = 180


def deployments(home: Home, settings: Settings) -> list[Any]:
    """Return the three deployments with their schedules."""
    from prefect.schedules import Cron

    from pipelines import flows

    found = {"nightly": flows.nightly, "weekly-export": flows.weekly_export, "monthly-retention": flows.monthly_retention}
    return [
        found[name].to_deployment(  # type: ignore[attr-defined]
            name, schedules=[Cron(cron, timezone=settings.measure.time_zone)], parameters={"home": str(home.path)}, tags=["perdure"]
        )
        for name, cron in SCHEDULES.items()
    ]


def run(home: Home, settings: Settings, port: int) -> None:
    """Serve the schedules until interrupted; with a Prefect server on loopback, unless PREFECT_API_URL names one.

    Raises:
        UserError: If the server does not start.
    """
    prepare(home)
    with _server(port):
        from prefect import serve

        limit_tasks()
        reporter().say(f"Serving {', '.join(SCHEDULES)} ({settings.measure.time_zone}); {os.environ['PREFECT_API_URL']}. Ctrl-C ends it.")
        serve(*deployments(home, settings), limit=1)


def limit_tasks() -> None:
    """Let each source and stage run once at a time on the server, whichever flow it belongs to (README has the command line's way)."""
    from prefect.client.orchestration import get_client

    from pipelines.flows import LIMITED

    with get_client(sync_client=True) as client:
        for name in LIMITED:
            client.create_concurrency_limit(tag=f"perdure-{name}", concurrency_limit=1)


@contextmanager
def _server(port: int) -> Iterator[None]:
    if "PREFECT_API_URL" in os.environ:
        yield
        return
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  (our own arguments)
    url = f"http://127.0.0.1:{port}/api"
    try:
        _wait(child, url, port)
        os.environ["PREFECT_API_URL"] = url
        yield
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        child.terminate()
        child.wait(timeout=30)


def _wait(child: subprocess.Popen[bytes], url: str, port: int) -> None:
    ends = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends and child.poll() is None:
        try:
            with urlopen(f"{url}/health", timeout=2):  # noqa: S310  (loopback)
                return
        except (URLError, OSError):
            time.sleep(0.5)
    raise UserError(f"serve: Prefect's server did not start; is port {port} taken? Choose another with --port, or set PREFECT_API_URL")
