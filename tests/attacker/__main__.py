"""`python -m attacker EXPORT_FOLDER [EARLIER_FOLDER ...] [--truth published.duckdb ...]`, with `tests` on the path.

Prints counts by technique and table: nothing that it finds out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from attacker import attack, counted
from attacker.elsewhere import more_told
from attacker.files import read_export
from attacker.judge import Truth, by_table, by_technique, judge, small_rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="attacker", description=__doc__)
    parser.add_argument("export", type=Path, help="the folder of an export")
    parser.add_argument("earlier", type=Path, nargs="*", help="folders of exports before it, the latest first")
    parser.add_argument("--truth", type=Path, nargs="+", help="the analysts' file that each export was made from, in the same order: judge")
    parser.add_argument("--seconds", type=float, default=60.0, help="processor time for linear programs")
    arguments = parser.parse_intermixed_args()
    folders = [arguments.export, *arguments.earlier]
    findings = attack(*folders, seconds=arguments.seconds)
    findings += [found for folder in folders for found in more_told(read_export(folder))]
    if arguments.truth is None:
        _print("bounded", {key: number for key, number in counted(findings).items() if not key[0].startswith("told")})
        return 0
    if len(arguments.truth) != len(folders):
        parser.error("--truth: name one file for each export")
    truths = {str(folder): Truth(path) for folder, path in zip(folders, arguments.truth, strict=True)}
    verdicts = judge(findings, truths)
    for kind in ("recovered", "guarded", "wrong", "lucky"):
        _print(kind, by_technique(verdicts, kind))
    rows = [row for folder in folders for row in small_rows(read_export(folder), truths[str(folder)])]
    _print("shown rows about one to four people", by_table(rows))
    return 0


def _print(title: str, counts: dict[tuple[str, str], int]) -> None:
    sys.stdout.write(f"{title}: {sum(counts.values())}\n")
    for (first, second), number in counts.items():
        sys.stdout.write(f"  {number:6}  {first}  {second}\n")


if __name__ == "__main__":
    sys.exit(main())
