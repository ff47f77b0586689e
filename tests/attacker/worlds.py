"""Organisations to attack, collected, built, published and exported by the project's own commands.

Each is a file of events and a file of people, as a customer would hand them over. Nothing here knows how the disclosure
control works: only that `perdure export` writes a folder.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np

from pipelines import cli

START = date(2025, 1, 6)
KEY = "5a" * 32
OUTSIDE = (("acme", "Acme", "client"), ("sole", "Sole trader", "supplier"), ("city", "City council", "public_body"))


@dataclass
class Organisation:
    """Who is where from when to when, what passed between whom, and what is declared."""

    people: list[dict[str, str]] = field(default_factory=list)
    events: list[tuple[datetime, str, str, str, float | None]] = field(default_factory=list)
    charter: Sequence[tuple[str, str, str, int, int]] = ()
    policies: Sequence[tuple[str, date, tuple[str, ...]]] = ()
    last: date = START + timedelta(days=240)

    def place(self, name: str, team: str, start: date | None = None, end: date | None = None, joined: date | None = None) -> None:
        """Put a person into a team."""
        dates = {"valid_from": start, "valid_to": end, "joined_on": joined}
        self.people.append({"person": name, "team": team} | {key: str(day) if day else "" for key, day in dates.items()})


@dataclass(frozen=True)
class Place:
    """A home and what its exports are called.

    Attributes:
        home: The home's folder.
        truth: The analysts' file.
    """

    home: Path

    @property
    def truth(self) -> Path:
        return self.home / "analytics.duckdb"

    def run(self, *words: str) -> None:
        """Run one of the project's commands on this home."""
        cli._global.update(home=None, quiet=True)
        code = cli.run(lambda: cli.app([*words, "--home", str(self.home)], standalone_mode=True))
        assert code in (0, 3), f"perdure {words[0]}: exit code {code}"

    def write(self, organisation: Organisation) -> None:
        """Write the settings, and the files to import."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "key").write_text(KEY + "\n", encoding="utf-8")
        (self.home / "key").chmod(0o600)
        (self.home / "perdure.toml").write_text(_settings(organisation), encoding="utf-8")
        (self.home / "charter.toml").write_text(_charter(organisation.charter), encoding="utf-8")
        with (self.home.parent / "people.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["person", "team", "valid_from", "valid_to", "joined_on"])
            writer.writeheader()
            writer.writerows(organisation.people)

    def load(self, organisation: Organisation, until: date | None = None) -> None:
        """Import what was said up to a day."""
        path = self.home.parent / "events.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["at", "sender", "recipient", "medium", "minutes"])
            for at, sender, recipient, medium, minutes in sorted(organisation.events, key=lambda row: row[:4]):
                if until is None or at.date() <= until:
                    writer.writerow([at.isoformat(), sender, recipient, medium, "" if minutes is None else minutes])
        self.run("import", "events", str(path), "--people", str(self.home.parent / "people.csv"))

    def export(self, name: str | None = None) -> Path:
        """Build, publish and export; return the export's folder. `name` gives another --output folder."""
        self.run("build")
        self.run("publish")
        folder = self.home / "exports" if name is None else self.home.parent / name
        self.run("export", *(() if name is None else ("--output", str(folder))))
        return (folder / "latest").resolve()


def _settings(organisation: Organisation) -> str:
    lines = ['charter = "charter.toml"', "[organisation]", 'name = "Harbour & Hill"', 'domains = ["own.example"]']
    for key, name, kind in OUTSIDE:
        lines += ["[[organisations]]", f'key = "{key}"', f'name = "{name}"', f'kind = "{kind}"', f'domains = ["{key}.example"]']
    for name, day, teams in organisation.policies:
        listed = ", ".join(f'"{team}"' for team in teams)
        lines += ["[[policies]]", f'key = "{name}"', f'name = "{name}"', f"starts_on = {day}", f"teams = [{listed}]"]
    return "\n".join(lines) + "\n"


def _charter(relationships: Iterable[tuple[str, str, str, int, int]]) -> str:
    lines = []
    for key, first, second, ties, days in relationships:
        lines += ["[[relationships]]", f'key = "{key}"', f'name = "{key}"', f'between = ["{first}", "{second}"]']
        lines += [f"minimum_ties = {ties}", f"contact_within_days = {days}"]
    return "\n".join(lines) + "\n"


MEDIA = ("email", "slack_dm", "teams_chat", "meeting_online", "meeting_in_person")


def company(
    sizes: Mapping[str, int],
    seed: int = 1,
    days: int = 240,
    outside: Mapping[str, int] | None = None,
    newcomers: Sequence[tuple[str, int]] = (),
    phone_pair: bool = False,
    leave: Mapping[str, Sequence[int]] | None = None,
    charter: Sequence[tuple[str, str, str, int, int]] = (),
    policies: Sequence[tuple[str, date, tuple[str, ...]]] = (),
) -> Organisation:
    """Relationships that begin and end, mostly within teams.

    Args:
        sizes: Team -> how many people it has from the start.
        seed: Seed of everything random.
        days: How many days there are.
        outside: Organisation -> how many of its people are in contact with it.
        newcomers: (team, day) of each person who joins later.
        phone_pair: Whether two people, and nobody else, phone.
        leave: Team -> the days on which one of its people moves to the largest team.
        charter: (key, party, party, ties wanted, days) of each declared relationship.
        policies: (key, day, teams) of each policy.
    """
    random = np.random.default_rng(seed)
    made = Organisation(charter=charter, policies=policies, last=START + timedelta(days=days - 1))
    present: dict[str, tuple[int, str]] = {}
    largest = max(sizes, key=lambda team: sizes[team])
    for team, size in sizes.items():
        going = list((leave or {}).get(team, ()))
        for number in range(size):
            name = f"{team.lower().replace(' ', '.')}.{number}@own.example"
            moves = START + timedelta(days=going[number]) if number < len(going) else None
            made.place(name, team, START - timedelta(days=400) if moves else None, moves)
            if moves:
                made.place(name, largest, moves)
            present[name] = (0, team)
    for number, (team, day) in enumerate(newcomers):
        name = f"new.{number}@own.example"
        made.place(name, team, joined=START + timedelta(days=day))
        present[name] = (day, team)
    for key, size in (outside or {}).items():
        present |= {f"contact.{number}@{key}.example": (0, key) for number in range(size)}
    for first, second in combinations(present, 2):
        _talk(made, random, (first, second), max(present[first][0], present[second][0]), days, _closeness(present, first, second))
    if phone_pair:
        pair = [name for name, (_, team) in present.items() if team == largest][:2]
        for day in range(3, days, 5):
            made.events.append((_moment(random, day), *(pair if day % 2 else pair[::-1]), "call", 5.0 + day % 30))
    return made


def _closeness(present: Mapping[str, tuple[int, str]], first: str, second: str) -> float:
    """How many spells of contact a pair is to have in the whole time."""
    if not first.endswith("own.example") and not second.endswith("own.example"):
        return 0.0
    if present[first][1] == present[second][1]:
        return 0.8
    return 0.2 if first.endswith("own.example") and second.endswith("own.example") else 0.25


def _talk(made: Organisation, random: np.random.Generator, pair: tuple[str, str], begin: int, days: int, spells: float) -> None:
    medium = str(random.choice(MEDIA, p=[0.35, 0.25, 0.15, 0.15, 0.1]))
    for _ in range(random.poisson(spells)):
        day = float(random.integers(begin, days)) if begin < days else days
        end = day + random.exponential(70)
        while day < min(end, days):
            used = medium if random.random() < 0.85 else str(random.choice(MEDIA))
            sender, other = pair if random.random() < 0.55 else pair[::-1]
            minutes = float(random.choice([15, 30, 45, 60])) if used.startswith("meeting") else None
            made.events.append((_moment(random, int(day)), sender, other, used, minutes))
            day += random.exponential(6) + 0.5


def _moment(random: np.random.Generator, day: int) -> datetime:
    return datetime(START.year, START.month, START.day, 9, tzinfo=UTC) + timedelta(days=day, minutes=int(random.integers(480)))


PARTIES = (
    ("alone_sales", "Alone", "Sales", 1, 30),
    ("quartet_design", "Quartet", "Design", 3, 30),
    ("sales_sole", "Sales", "sole", 2, 30),
    ("design_acme", "Design", "acme", 3, 30),
    ("newcomers_sales", "newcomers", "Sales", 2, 30),
)


def small(seed: int = 1, days: int = 240) -> Organisation:
    """Teams of one to four and larger ones, a sole supplier, two who phone, cohorts of one, a charter of small parties."""
    return company(
        {"Alone": 1, "Duo": 2, "Trio": 3, "Quartet": 4, "Five": 5, "Design": 7, "Sales": 12},
        seed,
        days,
        outside={"acme": 6, "sole": 1, "city": 2},
        newcomers=(("Sales", 40), ("Design", 100), ("Sales", 160)),
        phone_pair=True,
        charter=PARTIES,
        policies=(("quiet", START + timedelta(days=120), ("Alone", "Design")),),
    )


def hidden_few(seed: int = 2) -> Organisation:
    """Teams of six and more, and in them few: a sole supplier, two who phone, one newcomer a month, a team that shrinks to two."""
    return company(
        {"Advice": 7, "Design": 8, "Finance": 6, "Sales": 14, "Support": 9},
        seed,
        outside={"acme": 8, "sole": 1},
        newcomers=tuple((("Sales", "Design", "Advice")[number % 3], 20 + 30 * number) for number in range(6)),
        phone_pair=True,
        leave={"Support": (40, 70, 100, 130, 160, 190, 220)},
        charter=(("sales_sole", "Sales", "sole", 2, 30), ("support_acme", "Support", "acme", 2, 30)),
    )


def at_random(seed: int) -> Organisation:
    """An organisation of which only the seed knows the sizes, the partners, the newcomers, the charter and the policy."""
    random = np.random.default_rng(seed)
    names = ("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Maple")[: int(random.integers(3, 9))]
    sizes = {name: int(random.choice([1, 2, 3, 4, 5, 6, 8, 11])) for name in names} | {"Oak": int(random.integers(5, 14))}
    outside = {key: int(random.choice([1, 2, 3, 5, 7])) for key, _, _ in OUTSIDE if random.random() < 0.8}
    days = int(random.integers(90, 200))
    first, second = random.choice([*sizes, *outside], 2, replace=False)
    return company(
        sizes,
        seed,
        days,
        outside=outside,
        newcomers=tuple((str(random.choice(names)), int(random.integers(10, days))) for _ in range(int(random.integers(0, 5)))),
        phone_pair=bool(random.random() < 0.5),
        leave={name: sorted(random.integers(20, days, size // 2).tolist()) for name, size in sizes.items() if random.random() < 0.2},
        charter=(("some", str(first), str(second), 2, 30),) if first in sizes or second in sizes else (),
        policies=(("quiet", START + timedelta(days=days // 2), (names[0],)),) if random.random() < 0.6 else (),
    )


@dataclass(frozen=True)
class Told:
    """Exports of one home, the latest first, and the analysts' file that each was made from."""

    exports: tuple[tuple[Path, Path], ...]

    @property
    def folders(self) -> list[Path]:
        return [folder for folder, _ in self.exports]

    @property
    def truths(self) -> dict[str, Path]:
        return {str(folder): truth for folder, truth in self.exports}


def one_export(organisation: Organisation, place: Path) -> Told:
    """Collect, build, publish and export once."""
    home = Place(place / "home")
    home.write(organisation)
    home.load(organisation)
    return Told(((home.export(), home.truth),))


def _kept(home: Place, number: int) -> Path:
    """Keep the analysts' file of an export: the next publication replaces it."""
    return Path(shutil.copy(home.truth, home.home.parent / f"truth{number}.duckdb"))


def a_week_apart(organisation: Organisation, place: Path) -> Told:
    """Two exports, each into a folder of its own: in the last week of a month, and a week later, when it is over."""
    home = Place(place / "home")
    home.write(organisation)
    told = []
    for number, day in enumerate((date(2025, 5, 26), date(2025, 6, 2))):
        home.load(organisation, until=day)
        told.append((home.export(f"out{number}"), _kept(home, number)))
    return Told(tuple(reversed(told)))


def around_an_erasure(organisation: Organisation, place: Path, who: str) -> Told:
    """One export before, and one after a person is forgotten."""
    home = Place(place / "home")
    home.write(organisation)
    home.load(organisation)
    before = home.export("before"), _kept(home, 0)
    home.run("forget", who, "--yes")
    return Told(((home.export("after"), _kept(home, 1)), before))


def the_demo(place: Path, people: int = 60, days: int = 150) -> Told:
    """`perdure demo`, smaller than by default."""
    home = Place(place / "home")
    # in a process of its own: the demo serves its services from another, which begins as this one did
    command = [sys.executable, "-m", "pipelines.cli", "demo", "--people", str(people), "--days", str(days), "--home", str(home.home)]
    subprocess.run(command, check=True, capture_output=True)
    return Told((((home.home / "exports" / "latest").resolve(), home.truth),))
