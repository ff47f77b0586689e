from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines.progress import Bars, Plain, Silent, reporter, reporting


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_say_how_far_how_fast_and_how_long_still(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    plain = Plain(clock)
    plain.update("slack messages", 0, 1000, "0 interactions", 0)
    clock.now += 2
    plain.update("slack messages", 50, 1000, "1,000 interactions", 1000)  # too soon after the line before
    clock.now += 8
    plain.update("slack messages", 100, 1000, "5,000 interactions", 5000)
    clock.now += 5000
    for _ in range(3):  # the end is said once
        plain.update("slack messages", 1000, 1000, "9,000 interactions", 9000)
    assert capsys.readouterr().err.splitlines() == [
        "slack messages: 0/1,000, 0 interactions",
        "slack messages: 100/1,000, 5,000 interactions, 500 a second, 1 min 30 s left",
        "slack messages: 1,000/1,000, 9,000 interactions, 2 a second",
    ]


def test_what_was_done_before_is_no_speed_of_this_run(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    plain = Plain(clock)
    plain.update("microsoft365 backfill", 90, 100)
    clock.now += 10
    plain.update("microsoft365 backfill", 91, 100)
    clock.now += 3590
    plain.update("microsoft365 backfill", 92, 100)
    assert capsys.readouterr().err.splitlines() == [
        "microsoft365 backfill: 90/100",
        "microsoft365 backfill: 91/100, 1 min 30 s left",
        "microsoft365 backfill: 92/100, 4 h 0 min left",
    ]


def test_each_stage_has_its_own_pace_and_an_unknown_total_no_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    plain = Plain(clock)
    plain.update("slack directory", 0, None)
    clock.now += 60
    plain.update("slack messages", 0, 10, count=0)
    plain.update("slack directory", 3, None, count=600)
    assert capsys.readouterr().err.splitlines()[1:] == ["slack messages: 0/10", "slack directory: 3, 10 a second"]


def test_bars_show_stage_rate_and_time_left() -> None:
    clock, screen = Clock(), io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160)
    bars = Bars(console, clock)
    with bars.shown():
        bars.update("slack messages", 0, 10, "0 interactions", 0)
        clock.now += 4
        bars.update("slack messages", 5, 10, "800 interactions", 800)
        bars.say("a line that stays [with brackets]")
    shown = screen.getvalue()
    assert "slack messages" in shown
    assert "800 interactions, 200 a second" in shown
    assert "5/10" in shown
    assert "a line that stays [with brackets]" in shown


def test_quiet_says_nothing_and_progress_ends_with_its_block(capsys: pytest.CaptureFixture[str]) -> None:
    before = reporter()
    with reporting(quiet=True) as chosen:
        assert isinstance(chosen, Silent)
        assert reporter() is chosen
        chosen.update("x", 1, 2)
        chosen.say("y")
    with reporting(quiet=False) as chosen:
        assert isinstance(chosen, Plain)
    assert reporter() is before
    assert capsys.readouterr().err == ""
