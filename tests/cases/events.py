"""An events case: `perdure import events` of `input.*`, with `people.*` where it is there, in a new home.

`expected.json` holds `rc`, `says` (each word in what the command says), and counts of what landed. A key that begins with `_`
is a remark. `options` are given to the command as they are; `settings` is text for perdure.toml.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from cases.homes import case_home, compared

COUNTS: Final = {
    "interactions": "select count(*) from raw.interaction",
    "addressed": "select coalesce(sum(len(participants)), 0) from raw.interaction",
    "accounts_with_address": "select count(*) from raw.account where person_id is not null",
    "accounts_without_address": "select count(*) from raw.account where person_id is null",
    "quarantined": "select count(*) from raw.quarantine",
}


def inputs(folder: Path) -> list[Path]:
    """Return the events files of a case."""
    return sorted(folder.glob("input.*"))


def judge(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Run the case and return what is wrong."""
    people = sorted(folder.glob("people.*"))
    with case_home() as home:
        home.add_settings(expected.get("settings", ""))
        beside = ["--people", people[0]] if people else []
        said = home.perdure("import", "events", inputs(folder)[0], *beside, *expected.get("options", []))
        found = {"rc": said.code} | {name: int(rows[0][0]) if (rows := home.rows(query)) else 0 for name, query in COUNTS.items()}
    wrong = [f"does not say {word!r}" for word in expected.get("says", []) if word.casefold() not in said.text.casefold()]
    for name, wanted in expected.items():
        if name in ("says", "options", "settings") or name.startswith("_"):
            continue
        wrong += compared(name, found.get(name), wanted)
    return [*wrong, f"it said: {' | '.join(said.text.strip().splitlines()[-3:])[:220]}"] if wrong else []
