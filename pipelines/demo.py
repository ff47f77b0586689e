"""The whole way on a made-up organisation: a local Slack and Microsoft Graph, the vendors' own kits, the nightly flow."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any, Final

from connectors.errors import UserError
from pipelines.home import Home
from pipelines.initialise import initialise
from pipelines.progress import reporter

MARK: Final = "# Settings of `perdure demo`: a made-up organisation."
_CHARTER: Final = """\
# Which relationships matter (read by `perdure build`; the report shows how each is doing).
[[relationships]]
key = "sales_support"
name = "Sales and Support"
between = ["Sales", "Support"]
minimum_ties = 5
contact_within_days = 14

[[relationships]]
key = "engineering_design"
name = "Engineering and Design"
between = ["Engineering", "Design"]
minimum_ties = 8
contact_within_days = 14

[[relationships]]
key = "newcomers_operations"
name = "Newcomers and Operations"
between = ["newcomers", "Operations"]
minimum_ties = 3
contact_within_days = 30
"""


def run_demo(home: Home, *, people: int, days: int, seed: int, nightly: Callable[[], dict[str, Any]]) -> list[str]:
    """Make up an organisation, serve it on loopback, run a night on it, and return the lines that say where everything is.

    Args:
        home: An empty home, or one that an earlier demo filled.
        people: How many people it has.
        days: Over how many days, the last of which is yesterday.
        seed: Seed of everything random in it.
        nightly: Runs the nightly flow and returns its summary.

    Raises:
        UserError: If the home holds something else: made-up people must not mix with real ones.
    """
    if home.settings_file.exists() and not home.settings_file.read_text(encoding="utf-8").startswith(MARK):
        raise UserError("demo: this home holds something else; name an empty one with --home")
    initialise(home)
    reporter().say(f"Making up {people:,} people over {days:,} days, and serving them as Slack and Microsoft 365 on this machine ...")
    # the last day is whole: the night that reads it comes after it
    start = datetime.now(UTC).date() - timedelta(days=days)
    with _sandbox(people, days, seed, start) as served:
        home.settings_file.write_text(f"{MARK}\n{_toml(served['settings'])}", encoding="utf-8")
        (home.path / "charter.toml").write_text(_CHARTER, encoding="utf-8")
        with _environment(served["environment"]):
            summary = nightly()
    read = sum(part["read"] for part in summary["sync"])
    return [
        f"Read {read:,} messages, meetings and calls; figures are as of {summary['build']['as_of']}.",
        *(f"Report: {page}" for page in sorted((home.exports / "latest").glob("report.*.html"))),
        f"Analysts' file: {home.published}",
        "Three questions to try:",
        *(f"  perdure sql --home {home.path} {json.dumps(query)}" for query in _QUERIES),
    ]


_QUERIES: Final = (
    "select medium, started_tie_count, kept_90_ratio, lower_kept_90_ratio, upper_kept_90_ratio from metrics.medium_scorecard",
    "select level, half_life_weeks, lower_weeks, upper_weeks, reason from metrics.tie_half_life where grouping = 'medium_mix'",
    "select table_name, question from metrics.catalog where question is not null",
)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables while the block runs: credentials of the sandbox have no business in a settings file."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _sandbox(people: int, days: int, seed: int, start: date) -> Iterator[dict[str, Any]]:
    """Serve the organisation from a process of its own, so that serving and reading do not wait for each other."""
    # spawn: a forked copy of threads and open files would be a copy of trouble
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_serve, args=(there, people, days, seed, start), daemon=True)
    server.start()
    there.close()
    try:
        yield here.recv()
    except EOFError:
        raise UserError("demo: the sandbox did not start; is loopback open to this user?") from None
    finally:
        here.close()
        server.join(timeout=10)
        if server.is_alive():
            server.terminate()


def _serve(pipe: Connection, people: int, days: int, seed: int, start: date) -> None:
    from connectors.sandbox import Sandbox, World

    async def serve() -> None:
        async with Sandbox(World(people=people, days=days, seed=seed, start=start)) as sandbox:
            services = {"SLACK": sandbox.slack_settings(), "MICROSOFT365": sandbox.graph_settings() | {"teams_page_size": 500}}
            environment = {f"PERDURE_{name}__{key.upper()}": str(value) for name, given in services.items() for key, value in given.items()}
            pipe.send({"settings": sandbox.organisation.settings(), "environment": environment})
            while not await asyncio.to_thread(pipe.poll, 1.0):
                pass

    with suppress(EOFError, OSError, KeyboardInterrupt):
        asyncio.run(serve())


def _toml(settings: Mapping[str, Any]) -> str:
    """Return settings as TOML: sections of plain values, and lists of sections."""
    lines = ['charter = "charter.toml"']
    for name, section in settings.items():
        for part in section if isinstance(section, list) else [section]:
            lines += ["", f"[[{name}]]" if isinstance(section, list) else f"[{name}]"]
            lines += [f"{key} = {_value(value)}" for key, value in part.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(part) for part in value) + "]"
    return json.dumps(value)
