"""Exports written in a few lines, and what becomes of them: imported, built, and read back by Slack's ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from worlds import tables

from connectors.pseudonyms import Pseudonymiser
from connectors.records import Batch
from connectors.slack.export import read
from connectors.slack.people import ANYWHERE
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.warehouse import Warehouse

P = Pseudonymiser(b"0123456789abcdef0123456789abcdef")
IDS = [f"U{letter}" for letter in "ABCDEFG"] + ["UX", "UY", "UBOT", "USLACKBOT", "W1", "W2", "B1"]
NOW = 1_700_000_000


def user(name: str, /, team: str | None = "T0OWN", **fields: Any) -> dict[str, Any]:
    profile = {"email": f"{name.lower()}@own.example"}
    return {
        "id": name,
        "name": name.lower(),
        "deleted": False,
        "is_bot": False,
        "profile": profile,
        **({"team_id": team} if team else {}),
        **fields,
    }


def message(second: int, sender: str | None = "UA", text: str = "words", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "ts": f"{NOW + second}.000100", "user": sender, "text": text, **fields}


def stamp(second: int) -> str:
    return f"{NOW + second}.000100"


def write(root: Path, files: Mapping[str, Any]) -> Path:
    """Write files by path; what is not bytes as JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return root


class Imports:
    """A warehouse in memory into which exports are imported one after the other."""

    def __init__(self) -> None:
        self.warehouse = Warehouse(None)
        self.batches: list[Batch] = []
        self.is_built = False

    def add(self, path: Path, **options: Any) -> Imports:
        marks = self.warehouse.tombstones.marks
        for batch in read(path, P, state=self.warehouse.state("slack"), **{"opted_out": marks, **options}):
            self.batches.append(batch)
            self.warehouse.store(batch)
        self.is_built = False
        return self

    def build(self) -> Imports:
        """Build core tables, if something was imported since."""
        if not self.is_built:
            build(self.warehouse, Parameters(), catalog=tables(()))
            self.is_built = True
        return self

    def reasons(self) -> set[str]:
        return {reason for (reason,) in self.warehouse.run("select reason from raw.coverage where status <> 'observed'")}

    def quarantined(self) -> list[str]:
        return [reason for (reason,) in self.warehouse.run("select reason from raw.quarantine order by 1")]

    def count(self) -> int:
        return int(self.warehouse.value("select count(*) from raw.interaction"))

    def account(self, name: str) -> dict[str, Any]:
        key = P.key("slack:account", f"{ANYWHERE}:{name}")
        table = self.warehouse.arrow(f"select * from raw.account where account_key = {key}")
        return table.to_pylist()[0] if table.num_rows else {}

    def organisation(self, name: str) -> str | None:
        key = P.key("slack:account", f"{ANYWHERE}:{name}")
        self.build()
        found: str | None = self.warehouse.value("select organisation_key from core.account where account_key = $1", [key])
        return found

    def contacts(self) -> list[tuple[str, str, str, str]]:
        """From, to, medium and evidence of each contact, by Slack's id."""
        self.build()
        ids = {P.key("slack:account", f"{ANYWHERE}:{name}"): name for name in IDS}
        who: dict[int, str] = {}
        for account, person in self.warehouse.run(
            "select account_key, person_key from core.account where person_key is not null order by 1"
        ):
            who[person] = min(ids.get(account, "?"), who.get(person, "~"))
        rows = self.warehouse.run("select from_key, to_key, medium, evidence from core.contact")
        return sorted((who[a], who[b], medium, evidence) for a, b, medium, evidence in rows)


def imported(path: Path | Iterable[Path], **options: Any) -> Imports:
    """Import one export, or several in order."""
    into = Imports()
    for each in [path] if isinstance(path, Path) else path:
        into.add(each, **options)
    return into


GENERAL = {"channels.json": [{"id": "C1", "name": "general"}]}
OWN = [user("UA"), user("UB"), user("UC")]
DAY = "2023-11-14.json"
