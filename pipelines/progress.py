"""Progress for people who wait: bars on a terminal, plain lines elsewhere, nothing when asked to be quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_QUIET_SECONDS: Final = 5.0


class Reporter(Protocol):
    """Where stages say how far they are."""

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Say that `done` of `total` units of a stage are done; None where the total is unknown."""

    def say(self, line: str) -> None:
        """Say a line that stays."""


class Silent:
    """Says nothing."""

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Say nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""


class Plain:
    """One line when a stage begins, when it ends, and every few seconds between."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Print a line, unless one was printed for the stage a moment ago."""
        now = time.monotonic()
        ended = total is not None and done >= total
        if ended or stage not in self._said or now - self._said[stage] >= _QUIET_SECONDS:
            self._said[stage] = now
            of = f"/{total}" if total is not None else ""
            sys.stderr.write(f"{stage}: {done}{of}{' ' + detail if detail else ''}\n")

    def say(self, line: str) -> None:
        """Print the line."""
        sys.stderr.write(line + "\n")


class Bars:
    """A bar a stage, by rich."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", style="dim"),
            console=console,
        )
        self._tasks: dict[str, int] = {}

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Move the stage's bar."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, detail=detail)
        self._progress.update(self._tasks[stage], completed=done, total=total, detail=detail)  # type: ignore[arg-type]

    def say(self, line: str) -> None:
        """Print the line above the bars."""
        self._console.print(line, highlight=False, markup=False)

    @contextmanager
    def shown(self) -> Iterator[Bars]:
        """Show the bars while the block runs."""
        with self._progress:
            yield self


_current: list[Reporter] = [Silent()]


def reporter() -> Reporter:
    """Return where progress goes in this process; flows and tasks cannot be handed it as a parameter."""
    return _current[-1]


@contextmanager
def reporting(*, quiet: bool) -> Iterator[Reporter]:
    """Report progress while the block runs: bars on a terminal, lines elsewhere, nothing if `quiet`."""
    console = Console(stderr=True)
    if quiet:
        chosen: Reporter = Silent()
    elif console.is_terminal:
        chosen = Bars(console)
    else:
        chosen = Plain()
    _current.append(chosen)
    try:
        if isinstance(chosen, Bars):
            with chosen.shown():
                yield chosen
        else:
            yield chosen
    finally:
        _current.pop()
