"""The command: one line a folder, and 1 if any failed."""

from __future__ import annotations

import sys
from pathlib import Path

from cases.runner import is_case, run


def main(arguments: list[str]) -> int:
    """Run the folders and return how the command ends: 0 all right, 1 some failed, 2 there was nothing to run."""
    folders = [Path(name) for name in arguments if is_case(Path(name))]
    if not folders:
        print("usage: python -m cases FOLDER...  (a case is a folder with expected.json)", file=sys.stderr)  # noqa: T201
        return 2
    failed = 0
    for folder in folders:
        verdict = run(folder)
        failed += not verdict.holds
        print(verdict, flush=True)  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
