"""Many seeds' verdicts, run side by side and kept, and the table of how often intervals held and nulls were called."""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import stats

from planted.verdicts import Cover, Null, Verdict, verdicts

ROOT: Final = Path(__file__).resolve().parents[2]
FIGURES: Final = Path(__file__).parent / "FIGURES.md"
LEAST_COVERED: Final = 0.90
MOST_CALLED: Final = 0.07
"""What has to hold for every quantity and every family of nulls, over 200 seeds."""


@dataclass(frozen=True)
class Seed:
    """What was found for one seed, and the CPU seconds that it took."""

    number: int
    seconds: float
    found: tuple[Verdict, ...]


@dataclass(frozen=True)
class Share:
    """How often something held over verdicts.

    Attributes:
        name: The quantity or family.
        level: The level; empty for all together.
        seeds: In how many seeds there was a verdict.
        count: Verdicts.
        hits: How many of them hold (or, of nulls, were called).
        truth: Mean truth.
        estimate: Mean estimate, where there is one.
        reach: Median half-width of bounded intervals.
    """

    name: str
    level: str
    seeds: int
    count: int
    hits: int
    truth: float | None = None
    estimate: float | None = None
    reach: float | None = None

    @property
    def share(self) -> float:
        """Hits over verdicts."""
        return self.hits / self.count

    def wilson(self, confidence: float = 0.95) -> tuple[float, float]:
        """Wilson's interval of the share. Verdicts of one seed count as independent: of several levels it is too narrow."""
        z = float(stats.norm.ppf((1 + confidence) / 2))
        middle, shrink = self.share + z * z / (2 * self.count), 1 + z * z / self.count
        half = z * math.sqrt(self.share * (1 - self.share) / self.count + z * z / (4 * self.count**2))
        return (middle - half) / shrink, (middle + half) / shrink


def fingerprint() -> str:
    """Short name of the code that verdicts depend on."""
    digest = hashlib.sha256()
    folders = ("connectors/sandbox", "metrics", "tests/planted")
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".sql")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def kept_file() -> Path:
    """Where verdicts of this state of the code are kept, so that a run which was stopped goes on."""
    return Path(tempfile.gettempdir()) / f"perdure-planted-{fingerprint()}.jsonl"


def one_seed(number: int) -> Seed:
    """Judge one seed."""
    begun = time.process_time()
    found = tuple(verdicts(number))
    return Seed(number, time.process_time() - begun, found)


def run(numbers: Iterable[int], processes: int = 1, file: Path | None = None) -> Iterator[Seed]:
    """Judge many seeds, in any order; those that are kept already are read."""
    file = file or kept_file()
    wanted = set(numbers)
    for seed in _kept(file):
        if seed.number in wanted:
            wanted.remove(seed.number)
            yield seed
    # small matrices, many processes: threads of the linear algebra would only wait for each other
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # spawn: the engine's threads do not survive a fork
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool, file.open("a", encoding="utf-8") as kept:
        for done in as_completed([pool.submit(one_seed, number) for number in sorted(wanted)]):
            seed = done.result()
            kept.write(_written(seed))
            kept.flush()
            yield seed


def _written(seed: Seed) -> str:
    return json.dumps([seed.number, seed.seconds, [[type(verdict).__name__, asdict(verdict)] for verdict in seed.found]]) + "\n"


def _kept(file: Path) -> Iterator[Seed]:
    kinds: dict[str, Any] = {"Cover": Cover, "Null": Null}
    # the last line may be half written
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else ():
        if line.endswith("\n"):
            number, seconds, found = json.loads(line)
            yield Seed(number, seconds, tuple(kinds[kind](**fields) for kind, fields in found))


def covered(seeds: Iterable[Seed], *, by_level: bool) -> list[Share]:
    """How often intervals held the truth, by quantity or by quantity and level."""
    groups: dict[tuple[str, str], list[tuple[int, Cover]]] = defaultdict(list)
    for seed in seeds:
        for verdict in seed.found:
            if isinstance(verdict, Cover):
                groups[verdict.quantity, verdict.level if by_level else ""].append((seed.number, verdict))
    return [_share(name, level, members) for (name, level), members in sorted(groups.items())]


def _share(name: str, level: str, members: list[tuple[int, Cover]]) -> Share:
    of_all = [verdict for _, verdict in members]
    estimates = [verdict.estimate for verdict in of_all if verdict.estimate is not None]
    reaches = [(verdict.high - verdict.low) / 2 for verdict in of_all if math.isfinite(verdict.high)]
    return Share(
        name,
        level,
        len({number for number, _ in members}),
        len(of_all),
        sum(verdict.holds for verdict in of_all),
        float(np.mean([verdict.truth for verdict in of_all])),
        float(np.mean(estimates)) if estimates else None,
        float(np.median(reaches)) if reaches else None,
    )


def called(seeds: Iterable[Seed], *, by_level: bool) -> list[Share]:
    """How often an effect that is not there was called significant, by family or by family and level."""
    groups: dict[tuple[str, str], list[tuple[int, bool]]] = defaultdict(list)
    for seed in seeds:
        for verdict in seed.found:
            if isinstance(verdict, Null):
                groups[verdict.family, verdict.level if by_level else ""].append((seed.number, verdict.is_called))
    return [
        Share(name, level, len({number for number, _ in members}), len(members), sum(is_called for _, is_called in members))
        for (name, level), members in sorted(groups.items())
    ]


def written(seeds: list[Seed], command: str, commit: str, day: str) -> str:
    """The figures as a page."""
    seconds = sum(seed.seconds for seed in seeds)
    run_as = f"`{command}`, commit {commit}, {day}: {len(seeds)} seeds"
    by_level = [
        f"{_row(share, share.level)} {_number(share.truth)} | {_number(share.estimate)} | {_number(share.reach)} |"
        for share in covered(seeds, by_level=True)
    ]
    lines = [
        "# Planted truths: how often the published intervals hold them",
        "",
        f"{run_as}, {seconds / len(seeds):.1f} s of CPU each ({seconds / 60:.0f} min in all).",
        "",
        "Three organisations of 160 people over 350 days a seed (`society.py`), from the sandbox through messages to built tables;",
        "truths are defined in `truths.py`. Intervals are the tables' own, at 95%. What must hold for every quantity: at least 90% of",
        "them hold the truth, and of effects that are not there at most 7% are called significant. Wilson intervals (95%) take verdicts",
        "for independent.",
        "",
        "## Quantities",
        "",
        "| Quantity | Seeds | Intervals | Hold | Share | Wilson |",
        "|---|--:|--:|--:|--:|---|",
        *(_row(share, "") for share in covered(seeds, by_level=False)),
        "",
        "## Effects that are not there",
        "",
        "| Family | Seeds | Tests | Called | Share | Wilson |",
        "|---|--:|--:|--:|--:|---|",
        *(_row(share, "") for share in called(seeds, by_level=False)),
        "",
        "## Quantities by level",
        "",
        "Truth and estimate are means over the intervals, the reach is the median half-width of those that are bounded on both sides.",
        "Where a half-life is often not reached, the mean estimate is of those organisations only in which it was, and so too low; the",
        "intervals are of all.",
        "",
        "| Quantity | Level | Seeds | Hold | Share | Wilson | Truth | Estimate | Reach |",
        "|---|---|--:|--:|--:|---|--:|--:|--:|",
        *by_level,
        "",
        "## Effects that are not there, by level",
        "",
        "| Family | Level | Seeds | Called | Share | Wilson |",
        "|---|---|--:|--:|--:|---|",
        *(_row(share, share.level) for share in called(seeds, by_level=True)),
    ]
    return "\n".join(lines) + "\n"


def _row(share: Share, level: str) -> str:
    low, high = share.wilson()
    counts = f"{share.hits}" if level else f"{share.count} | {share.hits}"
    return f"| {share.name} |{f' {level} |' if level else ''} {share.seeds} | {counts} | {share.share:.3f} | {low:.3f} to {high:.3f} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
