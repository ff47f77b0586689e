"""The command that runs the full suite and writes its figures."""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from planted.figures import FIGURES, LEAST_COVERED, MOST_CALLED, ROOT, called, covered, run, written


def main() -> int:
    """Run seeds, write the figures, and return 1 if any misses what must hold."""
    parser = argparse.ArgumentParser(prog="python -m planted", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--processes", type=int, default=2, help="how many run side by side")
    parser.add_argument("--kept", type=Path, default=None, help="file of verdicts, by default one for this state of the code")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="where to write the figures")
    given = parser.parse_args()
    seeds = []
    for seed in run(range(given.first, given.first + given.seeds), given.processes, given.kept):
        seeds.append(seed)
        print(f"seed {seed.number}: {seed.seconds:.1f} s, {len(seeds)} of {given.seeds}", file=sys.stderr, flush=True)  # noqa: T201
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    command = f"python -m planted --seeds {given.seeds}" + (f" --first {given.first}" if given.first != 1 else "")
    page = written(sorted(seeds, key=lambda seed: seed.number), command, commit, f"{datetime.now(UTC):%d %B %Y}")
    given.figures.write_text(page, encoding="utf-8")
    missed = [f"{share.name}: {share.share:.3f} held" for share in covered(seeds, by_level=False) if share.share < LEAST_COVERED]
    missed += [f"{share.name}: {share.share:.3f} called" for share in called(seeds, by_level=False) if share.share > MOST_CALLED]
    for line in missed:
        print(line, file=sys.stderr)  # noqa: T201
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
