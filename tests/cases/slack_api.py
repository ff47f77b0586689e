"""A Slack API case: `perdure sync slack` of an imitation on loopback (`cases.slack_server`), then built and compared.

Beside what an export case may expect: `ends_within_seconds`, `refused_requests_at_most` (answers of 429),
`requests_must_include` (each `METHOD of VALUE`), `panels` (a number, or `more than N`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from cases.homes import CaseHome, case_home
from cases.slack_export import differences, slack_names
from cases.slack_server import Witness, served

_LONGEST: Final = 300


def judge(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Run the case and return what is wrong."""
    longest = expected.get("ends_within_seconds", _LONGEST)
    with (
        tempfile.TemporaryDirectory() as beside,
        case_home() as home,
        served(folder, expected["server"].get("scenario", ""), Path(beside)) as witness,
    ):
        settings = (folder / "perdure.toml").read_text(encoding="utf-8") if (folder / "perdure.toml").exists() else "[slack]"
        home.add_settings(f'{settings}\nbase_url = "{witness.base_url}"\n' + ("" if "token" in settings else 'token = "xoxb-invented"'))
        began = time.monotonic()
        try:
            code, said = _sync(home, longest)
        except subprocess.TimeoutExpired:
            return [f"did not end within {longest} seconds ({len(witness.requests)} requests)"]
        wrong = [f"sync ended with {code}: {said[-200:]}"] if code not in (0, 2, 3) else []
        wrong += _requests(witness, expected) + _panels(home, expected)
        if time.monotonic() - began > longest:
            wrong.append(f"took longer than {longest} seconds")
        texts = json.dumps(witness.requests).encode(), (folder / "expected.json").read_bytes(), *_scenario(folder)
        return wrong + differences(home, expected, slack_names(home, iter(texts)))


def _sync(home: CaseHome, longest: float) -> tuple[int, str]:
    """Run the command in a process of its own, which can be ended when it hangs."""
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(home.path), "--quiet", "sync", "slack"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=longest, check=False)
    return done.returncode, done.stdout + done.stderr


def _scenario(folder: Path) -> list[bytes]:
    return [
        path.read_bytes() for path in (folder / "slack.json", folder / "api_server.py", folder.parent / "api_server.py") if path.is_file()
    ]


def _requests(witness: Witness, expected: dict[str, Any]) -> list[str]:
    wrong = []
    refused = witness.count(429)
    if refused > expected.get("refused_requests_at_most", refused):
        wrong.append(f"{refused} requests were refused, more than {expected['refused_requests_at_most']}")
    for wanted in expected.get("requests_must_include", []):
        method, _, value = wanted.partition(" of ")
        if not witness.asked(method, value):
            wrong.append(f"never asked for {wanted}")
    return wrong


def _panels(home: CaseHome, expected: dict[str, Any]) -> list[str]:
    if "panels" not in expected:
        return []
    home.perdure("build")
    rows = home.rows("select count(*) from core.panel")
    found, wanted = rows[0][0] if rows else 0, str(expected["panels"])
    holds = found > int(wanted.removeprefix("more than ")) if wanted.startswith("more than ") else found == int(wanted)
    return [] if holds else [f"panels: {found}, not {wanted}"]
