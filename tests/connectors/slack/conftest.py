"""Fixtures of the Slack connector's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.pseudonyms import Pseudonymiser

TEAM = "T0HOME"
CANARY = "CANARYXYLOPHONE"


@pytest.fixture
def pseudonyms() -> Pseudonymiser:
    return Pseudonymiser(b"0123456789abcdef0123456789abcdef")


@pytest.fixture
def make_user() -> Callable[..., dict[str, Any]]:
    def user(name: str, **fields: Any) -> dict[str, Any]:
        profile = {"email": f"{name.lower()}@example.com", "real_name": CANARY, "title": CANARY}
        return {"id": name, "team_id": TEAM, "deleted": False, "is_bot": False, "name": CANARY, "profile": profile, **fields}

    return user


@pytest.fixture
def write_export(tmp_path: Path, make_user: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """Write an export folder: lists by file name, days by folder and date; three people by default."""

    def write(
        days: dict[str, dict[str, Any]], *, lists: dict[str, list[dict[str, Any]]] | None = None, users: list[Any] | None = None
    ) -> Path:
        root = tmp_path / "export"
        root.mkdir()
        people = [make_user("U1"), make_user("U2"), make_user("U3")] if users is None else users
        named = {"channels.json": [{"id": "C1", "name": "general"}]} if lists is None else lists
        files: dict[str, Any] = {"users.json": people, **named}
        for folder, by_day in days.items():
            for day, messages in by_day.items():
                files[f"{folder}/{day}.json"] = messages
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(json.dumps(content), encoding="utf-8")
        return root

    return write
