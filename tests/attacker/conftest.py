"""Each world is made, attacked and judged once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from attacker import attack
from attacker.files import read_export
from attacker.judge import Judgement, Truth, judge, small_rows
from attacker.worlds import KEY, Told, a_week_apart, around_an_erasure, at_random, hidden_few, one_export, small, the_demo

RANDOM = int(os.environ.get("ATTACKER_WORLDS", "5"))
"""How many organisations are made up at random in the ordinary run."""
FULL = 200

MAKERS: dict[str, Callable[[Path], Told]] = {
    "small": lambda place: one_export(small(), place),
    "hidden_few": lambda place: one_export(hidden_few(), place),
    "a_week_apart": lambda place: a_week_apart(small(3, days=160), place),
    "erasure": lambda place: around_an_erasure(small(4, days=160), place, "sales.3@own.example"),
    "demo": the_demo,
} | {f"random_{seed}": (lambda place, seed=seed: one_export(at_random(seed), place)) for seed in range(1, FULL + 1)}  # type: ignore[misc]

SHORT = ["small", "hidden_few", "a_week_apart", "erasure", *(f"random_{seed}" for seed in range(1, RANDOM + 1))]
LONG = [name for name in MAKERS if name not in SHORT]


def attacked(told: Told, seconds: float) -> Judgement:
    """Attack a world's exports and judge what was found."""
    findings = attack(*told.folders, seconds=seconds)
    truths = {folder: Truth(path) for folder, path in told.truths.items()}
    rows = [row for folder in told.folders for row in small_rows(read_export(folder), truths[str(folder)])]
    verdicts = judge(findings, truths)
    for truth in truths.values():
        truth.close()
    return Judgement(verdicts, rows, told.folders)


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Judgement]:
    """Return what came of the attack on a world, by its name."""
    found: dict[str, Judgement] = {}

    def of(name: str) -> Judgement:
        if name not in found:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PERDURE_KEY", KEY)
                found[name] = attacked(MAKERS[name](tmp_path_factory.mktemp(name)), 2.0 if name in SHORT else 20.0)
        return found[name]

    return of
