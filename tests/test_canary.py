"""Content never lands and people are never named: every byte that the whole way writes is searched for planted words."""

from __future__ import annotations

import itertools
import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import cli
from pipelines.cli import app, run

PEOPLE = {
    "U001": "ann.canaryson",
    "U002": "bob.canaryson",
    "U003": "cleo.canaryson",
    "U004": "dan.canaryson",
    "U005": "eve.canaryson",
    "U006": "fay.canaryson",
}
WORDS = (f"canary{number:05}sang" for number in itertools.count())


def word() -> str:
    return f"the {next(WORDS)} loudly"


def user(key: str, name: str) -> dict[str, Any]:
    profile = {
        field: word() for field in ("title", "phone", "status_text", "real_name", "display_name", "first_name", "last_name", "skype")
    }
    return {
        "id": key,
        "team_id": "T1",
        "name": name,
        "real_name": word(),
        "profile": profile | {"email": f"{name}@canaryfirm.example"},
        "is_bot": False,
    }


def message(sender: str, ts: int, **fields: Any) -> dict[str, Any]:
    blocks = [
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": word()}, {"type": "user", "user_id": "U003"}]}
            ],
        }
    ]
    return {
        "type": "message",
        "user": sender,
        "ts": f"{ts}.000100",
        "text": f"{word()} <@U002>",
        "blocks": blocks,
        "attachments": [{"fallback": word(), "title": word(), "text": word()}],
        "files": [{"id": "F1", "name": word(), "title": word(), "preview": word(), "url_private": f"https://x.example/{word()}"}],
        "user_profile": {"real_name": word(), "image_72": word()},
        "reactions": [{"name": next(WORDS), "users": ["U004"], "count": 1}],
        "metadata": {"event_type": word(), "event_payload": {"note": word()}},
        "edited": {"user": sender, "ts": f"{ts + 5}.000000"},
        **fields,
    }


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.zip"
    people = list(PEOPLE)
    channel = {"id": "C1", "name": next(WORDS), "members": people, "topic": {"value": word()}, "purpose": {"value": word()}}
    broken = {"type": "message", "ts": word(), "text": word(), "user": word()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("users.json", json.dumps([user(key, name) for key, name in PEOPLE.items()]))
        archive.writestr("channels.json", json.dumps([channel]))
        archive.writestr("dms.json", json.dumps([{"id": "D1", "members": people[:2]}]))
        archive.writestr("mpims.json", json.dumps([{"id": "G1", "name": "mpdm-" + "--".join(PEOPLE.values()), "members": people}]))
        for place in (channel["name"], "D1", "mpdm-" + "--".join(PEOPLE.values())):
            for day in range(1, 28):
                start = 1_709_200_000 + day * 86_400
                rows = [message(people[(day + number) % 6], start + 60 * number) for number in range(6)]
                rows.append(message(people[day % 6], start + 999, thread_ts=rows[0]["ts"], parent_user_id=rows[0]["user"]))
                archive.writestr(f"{place}/2024-03-{day:02}.json", json.dumps([*rows, broken] if day % 5 == 0 else rows))
        archive.writestr(f"{channel['name']}/2024-03-30.json", "[" + json.dumps(message("U001", 1_711_800_000))[:-40])
    return path


@pytest.fixture
def noisy() -> Iterator[list[str]]:
    """Everything that is logged at DEBUG by anyone."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage() + str(record.exc_info))

    root, handler = logging.getLogger(), Keep()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def test_no_word_no_name_and_no_address_is_written_anywhere(
    export: Path, noisy: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("PERDURE_HOME", str(home))
    # two domains: a build wants to know which is the own one
    monkeypatch.setenv("PERDURE_ORGANISATION__DOMAINS", '["canaryfirm.example"]')
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    events = tmp_path / "events.csv"
    events.write_text(
        "at,sender,recipient\n2024-03-05,ann.canaryson@canaryfirm.example,gil.canaryson@canaryclient.example\nsoon,hal.canaryson,b\n"
    )
    cli._global.update(home=None, quiet=False)
    codes = {words[0]: run(lambda words=words: app(list(words), standalone_mode=True)) for words in (  # type: ignore[misc]
        ("import", "slack-export", str(export)), ("import", "events", str(events)), ("build",), ("publish",), ("export",), ("status",),
    )}  # fmt: skip
    assert codes["build"] == codes["publish"] == codes["export"] == codes["status"] == 0
    seen = capfd.readouterr()
    places = {path: path.read_bytes() for folder in (home, tmp_path / "scratch") for path in folder.rglob("*") if path.is_file()}
    assert len(places) > 10
    told = {"output": (seen.out + seen.err).encode(), "log": "\n".join(noisy).encode()}
    key = (home / "key").read_bytes().strip()
    for place, held in {**places, **told}.items():
        assert b"canary" not in held.lower(), place
        assert place == home / "key" or key not in held, place
        assert b"U001" not in held, place


def test_the_words_would_be_found(export: Path) -> None:
    with zipfile.ZipFile(export) as archive:
        assert sum(archive.read(name).count(b"canary") for name in archive.namelist()) > 1_000
