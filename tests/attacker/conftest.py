"""Each world is made, attacked and judged once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from attacker import attack
from attacker.files import Export, read_export
from attacker.finding import Finding
from attacker.judge import Judgement, SmallRow, Truth, judge, small_rows
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


def _is_old(exports: Mapping[str, Export], folder: str, found: SmallRow | Finding) -> bool:
    """Whether a row stands as an earlier export told it, of enough people then: it tells nobody that one of them was erased since."""
    earlier = list(exports)[list(exports).index(folder) + 1 :]
    key = tuple(found.row.values())
    now = exports[folder].sheets[found.table].rows.get(key)
    before = [exports[each].sheets[found.table].rows.get(key) for each in earlier if found.table in exports[each].sheets]
    return now is not None and now in before


def attacked(told: Told, seconds: float) -> Judgement:
    """Attack a world's exports and judge what was found."""
    findings = attack(*told.folders, seconds=seconds)
    truths = {folder: Truth(path) for folder, path in told.truths.items()}
    exports = {str(folder): read_export(folder) for folder in told.folders}
    rows = [row for folder, export in exports.items() for row in small_rows(export, truths[folder]) if not _is_old(exports, folder, row)]
    verdicts = [
        verdict
        for verdict in judge(findings, truths)
        if not (verdict.finding.technique.startswith("told") and _is_old(exports, verdict.finding.export, verdict.finding))
    ]
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
