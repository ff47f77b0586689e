"""A Slack export case: exports imported in the order of `steps` by the command, then built and compared.

A step holds `import` (a folder or ZIP beside expected.json), perhaps `forget` (an address, erased before that import) and
`options` for the command. Accounts are known by their Slack id: the key of each id that any file mentions is made again.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cases.homes import CaseHome, Said, case_home, compared
from pipelines.keys import load_pseudonymiser

_ID = re.compile(rb"\b[TUWEB][A-Z0-9]{6,}\b")


def judge(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Run the case and return what is wrong."""
    with case_home() as home:
        if (folder / "perdure.toml").exists():
            home.add_settings((folder / "perdure.toml").read_text(encoding="utf-8"))
        said = Said(0, "")
        for step in expected["steps"]:
            if "forget" in step:
                home.perdure("forget", step["forget"], "--yes")
            said = home.perdure("import", "slack-export", folder / step["import"], *step.get("options", []))
            if said.code not in (0, 3):
                break
        if said.code == expected.get("or_exit"):
            return []
        if said.code not in (0, 3):
            return compared("exit", said.code, expected.get("exit", 0)) and [f"exit {said.code}: {said.text[-200:]}"]
        wrong = compared("exit", said.code, expected["exit"]) if "exit" in expected else []
        return wrong + differences(home, expected, slack_names(home, _bytes(folder)))


def differences(home: CaseHome, expected: dict[str, Any], names: dict[int, str]) -> list[str]:
    """Build, and return where what was built is not what is expected."""
    built = home.perdure("build")
    wrong = [f"build: {built.text[-200:]}"] if built.code else []
    status = home.status()
    people: dict[int, set[str]] = {}
    for account, person in home.rows("select account_key, person_key from core.account"):
        people.setdefault(person, set()).add(names.get(account, "?"))
    if isinstance(expected.get("contacts"), list):
        found = Counter(
            ("/".join(sorted(people.get(one, {"?"}))), "/".join(sorted(people.get(other, {"?"}))), medium, evidence)
            for one, other, medium, evidence in home.rows("select from_key, to_key, medium, evidence from core.contact")
        )
        wanted = Counter(tuple(contact) for contact in expected["contacts"])
        if found != wanted:
            wrong.append(f"contacts: missing {list((wanted - found).elements())}, not wanted {list((found - wanted).elements())}")
    elif "contacts" in expected:
        wrong += compared("contacts", home.rows("select count(*) from core.contact")[0][0], expected["contacts"])
    if "contacts_by_weight" in expected:
        weight = home.rows("select round(coalesce(sum(weight), 0), 6) from core.contact")[0][0]
        wrong += compared("contacts_by_weight", weight, expected["contacts_by_weight"])
    for name in ("excluded", "quarantined", "read_count"):
        if expected.get(name) is not None:
            wrong += compared(name, status.get(name), expected[name])
    if "persons" in expected:
        wrong += compared("persons", home.rows("select count(*) from core.person")[0][0], expected["persons"])
    covered = {reason for (reason,) in home.rows("select distinct reason from raw.coverage")}
    wrong += [f"coverage says {reason}" for reason in expected.get("coverage_not", []) if reason in covered]
    return wrong + _accounts(home, expected, names)


def _accounts(home: CaseHome, expected: dict[str, Any], names: dict[int, str]) -> list[str]:
    """Compare what is known of single accounts; one that is not there is `absent`."""
    columns = ("organisations", "kinds", "active")
    query = "select account_key, organisation_key, kind, is_active, is_guest, has_address from core.account"
    rows = {names.get(key, "?"): rest for key, *rest in home.rows(query)}
    wrong = []
    for place, column in enumerate(columns):
        for account, wanted in expected.get(column, {}).items():
            wrong += compared(f"{column} of {account}", rows[account][place] if account in rows else "absent", wanted)
    if "guests" in expected:
        wrong += compared("guests", sorted(name for name, row in rows.items() if row[3]), sorted(expected["guests"]))
    if "addresses" in expected:
        wrong += compared("accounts with an address", sum(row[4] for row in rows.values()), expected["addresses"])
    return wrong


def slack_names(home: CaseHome, texts: Iterator[bytes]) -> dict[int, str]:
    """Return account keys with the Slack ids behind them, of every id in the texts, in every workspace that they name."""
    ids = {found.decode() for text in texts for found in _ID.findall(text)}
    pseudonyms = load_pseudonymiser(home.path / "key")
    teams = [*(name for name in ids if name[0] in "TE"), "export"]
    return {pseudonyms.key("slack:account", f"{team}:{name}", remember=False): name for team in teams for name in ids}


def _bytes(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                yield from (archive.read(entry) for entry in archive.infolist())
        elif path.is_file():
            yield path.read_bytes()
