"""Progress for people who wait: bars on a terminal, plain lines elsewhere, nothing when asked to be quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_QUIET_SECONDS: Final = 5.0
_SETTLED_SECONDS: Final = 1.0
"""A rate is told once a stage has lasted so long: what the first moment says is no rate."""


class Reporter(Protocol):
    """Where stages say how far they are."""

    def update(self, stage: str, done: int, total: int | None, detail: str = "", count: int | None = None) -> None:
        """Say how far a stage is.

        Args:
            stage: Its name.
            done: How many of its units (conversations, mailboxes, tables) are done.
            total: How many there are; None while unknown.
            detail: What else there is to say.
            count: How many things the stage has handled so far, where that says more of its speed than units do.
        """

    def say(self, line: str) -> None:
        """Say a line that stays."""


class Silent:
    """Says nothing."""

    def update(self, stage: str, done: int, total: int | None, detail: str = "", count: int | None = None) -> None:
        """Say nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""


@dataclass(slots=True)
class _Pace:
    """How fast one stage goes, from its first update on: what was done before it began (a run that goes on) is no merit of it."""

    began: float
    done: int
    count: int

    def rate(self, now: float, count: int) -> str:
        """Return how many things a second, in words; nothing while that is not known."""
        lasted = now - self.began
        return f"{(count - self.count) / lasted:,.0f} a second" if lasted >= _SETTLED_SECONDS and count > self.count else ""

    def left(self, now: float, done: int, total: int | None) -> str:
        """Return how long the rest will take at this pace, in words; nothing while that is not known."""
        lasted = now - self.began
        if total is None or done >= total or done <= self.done or lasted < _SETTLED_SECONDS:
            return ""
        seconds = round(lasted * (total - done) / (done - self.done))
        hours, rest = divmod(seconds, 3600)
        return f"{hours} h {rest // 60} min left" if hours else f"{rest // 60} min {rest % 60} s left" if rest >= 60 else f"{rest} s left"


class Plain:
    """One line when a stage begins, when it ends, and every few seconds between, with rate and time left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, bool]] = {}
        self._paces: dict[str, _Pace] = {}

    def update(self, stage: str, done: int, total: int | None, detail: str = "", count: int | None = None) -> None:
        """Print a line, unless one was printed for the stage a moment ago."""
        now = self._clock()
        pace = self._paces.setdefault(stage, _Pace(now, done, count or 0))
        ended = total is not None and done >= total
        said_at, had_ended = self._said.get(stage, (-_QUIET_SECONDS, False))
        if now - said_at >= _QUIET_SECONDS or (ended and not had_ended):
            self._said[stage] = now, ended
            of = f"/{total:,}" if total is not None else ""
            told = [f"{done:,}{of}", detail, "" if count is None else pace.rate(now, count), pace.left(now, done, total)]
            sys.stderr.write(f"{stage}: {', '.join(part for part in told if part)}\n")

    def say(self, line: str) -> None:
        """Print the line."""
        sys.stderr.write(line + "\n")


class Bars:
    """A bar a stage, by rich."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
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
        self._clock = clock
        self._tasks: dict[str, int] = {}
        self._paces: dict[str, _Pace] = {}

    def update(self, stage: str, done: int, total: int | None, detail: str = "", count: int | None = None) -> None:
        """Move the stage's bar."""
        now = self._clock()
        pace = self._paces.setdefault(stage, _Pace(now, done, count or 0))
        rate = "" if count is None else pace.rate(now, count)
        told = ", ".join(part for part in (detail, rate) if part)
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, detail=told)
        self._progress.update(self._tasks[stage], completed=done, total=total, detail=told)  # type: ignore[arg-type]

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
