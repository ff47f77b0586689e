"""A home in which it is not known who is inside stops with the mend, and one in which it is known does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.errors import UserError
from pipelines import sync
from pipelines.home import Home
from pipelines.initialise import initialise
from pipelines.night import build_stage
from pipelines.settings import Settings

TWO_DOMAINS = "ann@own.example,zoe@out.example"
ONE_DOMAIN = "ann@own.example,bob@own.example"
NO_DOMAIN = "e17,e42"


def build(folder: Path, pair: str, people: str = "", **organisation: object) -> None:
    home = Home(folder / "home")
    initialise(home)
    events = folder / "events.csv"
    events.write_text(f"at,sender,recipient\n2026-03-01T09:00:00Z,{pair}\n", encoding="utf-8")
    beside = None
    if people:
        beside = folder / "people.csv"
        beside.write_text(f"person,team,organisation\n{people}\n", encoding="utf-8")
    settings = Settings.model_validate({"organisation": organisation})
    sync.import_events(home, settings, events, people=beside)
    build_stage(home, settings)


@pytest.mark.parametrize(
    "pair, people, organisation, said",
    [
        (TWO_DOMAINS, "", {}, "everybody is inside, people of 2 e-mail domains"),
        (TWO_DOMAINS, "", {"domains": ["other.example"]}, "none of 2 persons is inside"),
        (NO_DOMAIN, "e17,Sales,Acme\ne42,Sales,Acme", {}, "none of 2 persons is inside"),
    ],
    ids=["everybody by default", "a domain that nobody has", "an organisation that nobody declared"],
)
def test_a_home_that_does_not_know_who_is_inside_stops(
    tmp_path: Path, pair: str, people: str, organisation: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said) as stopped:
        build(tmp_path, pair, people, **organisation)
    assert "[organisation] domains" in str(stopped.value)


@pytest.mark.parametrize(
    "pair, people, organisation",
    [
        (ONE_DOMAIN, "", {}),
        (NO_DOMAIN, "", {}),
        (ONE_DOMAIN, "", {"domains": ["own.example"]}),
        (TWO_DOMAINS, "", {"domains": ["own.example", "out.example"]}),
        (TWO_DOMAINS, "", {"domains": ["own.example"]}),
        (TWO_DOMAINS, "ann@own.example,Sales,own\nzoe@out.example,Sales,own", {}),
    ],
)
def test_a_home_that_knows_who_is_inside_is_built(tmp_path: Path, pair: str, people: str, organisation: dict[str, object]) -> None:
    build(tmp_path, pair, people, **organisation)


def test_an_organisation_that_nobody_declared_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    initialise(home)
    (tmp_path / "events.csv").write_text(f"at,sender,recipient\n2026-03-01T09:00:00Z,{TWO_DOMAINS}\n", encoding="utf-8")
    (tmp_path / "people.csv").write_text(
        "person,organisation\nann@own.example,own\nzoe@out.example,Globex\nyan@out.example,Initech\n", encoding="utf-8"
    )
    settings = Settings.model_validate({"organisations": [{"key": "initech", "name": "Initech", "kind": "client"}]})
    report = sync.import_events(home, settings, tmp_path / "events.csv", people=tmp_path / "people.csv")
    assert [note.split(",")[0] for note in report.notes] == ["the people file names the organisation Globex"]
    assert "[[organisations]]" in report.notes[0]
