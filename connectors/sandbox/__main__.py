"""`python -m connectors.sandbox` serves both services until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import date, datetime
from pathlib import Path

import orjson

from connectors.errors import UserError
from connectors.sandbox.faults import Faults
from connectors.sandbox.from_events import organisation_of
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.sandbox import Sandbox
from connectors.sandbox.world import World


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m connectors.sandbox", description="Slack and Microsoft Graph on this machine.")
    parser.add_argument("--people", type=int, default=200, help="how many people work in the organisation (default: 200)")
    parser.add_argument("--days", type=int, default=365, help="over how many days (default: 365)")
    parser.add_argument("--seed", type=int, default=1, help="from which everything random comes (default: 1)")
    parser.add_argument("--start", type=date.fromisoformat, default=World.start, help="the first day (default: %(default)s)")
    parser.add_argument("--now", type=datetime.fromisoformat, help="the sandbox's time, with zone (default: the end)")
    parser.add_argument("--events", type=Path, help="serve this events file in place of a synthetic organisation")
    parser.add_argument("--people-file", type=Path, help="the people file beside it")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (default: %(default)s)")
    parser.add_argument("--slack-port", type=int, default=0, help="port for Slack (default: any)")
    parser.add_argument("--graph-port", type=int, default=0, help="port for Graph (default: any)")
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of requests that go wrong (default: none)")
    parser.add_argument("--truth", type=Path, help="write what was planted to this JSON file")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(options))
    except KeyboardInterrupt:
        return 0
    except (UserError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _serve(options: argparse.Namespace) -> None:
    source: World | Organisation
    if options.events is not None:
        source = organisation_of(options.events, options.people_file)
    else:
        source = World(people=options.people, days=options.days, seed=options.seed, start=options.start)
    sandbox = Sandbox(
        source,
        Faults(rate=options.fault_rate, seed=options.seed),
        now=options.now,
        host=options.host,
        slack_port=options.slack_port,
        graph_port=options.graph_port,
    )
    if options.truth is not None:
        options.truth.write_bytes(sandbox.truth.to_json())
    async with sandbox:
        told = {
            "slack": sandbox.slack_settings(),
            "microsoft365": sandbox.graph_settings(),
            "begins": sandbox.organisation.begins,
            "ends": sandbox.organisation.ends,
        }
        # one line, so that a program that started this one can read it
        sys.stdout.write(orjson.dumps(told).decode() + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
