"""Every public case that is here, and the runner itself on cases that hold and cases that do not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cases.__main__ import main
from cases.graph import differences
from cases.runner import is_case, run

FOLDER = Path(os.environ.get("PERDURE_CASES", Path(__file__).resolve().parents[2].parent / "shared" / "cases"))
CASES = sorted(path.parent for path in FOLDER.glob("*/*/expected.json"))


@pytest.mark.skipif(not CASES, reason="no public cases here: put them in ../shared/cases or set PERDURE_CASES")
@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_a_public_case_holds(folder: Path) -> None:
    verdict = run(folder)
    assert verdict.holds, str(verdict)


def case(folder: Path, expected: dict[str, Any], **files: str) -> Path:
    folder.mkdir()
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text, encoding="utf-8")
    return folder


EVENTS = "at,sender,recipient\n2026-03-01T09:00:00Z,ann@own.example,bob@own.example\n"


def test_each_case_has_a_line_and_one_that_fails_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = case(tmp_path / "right", {"rc": 0, "interactions": 1, "_why": "a remark"}, input_csv=EVENTS)
    wrong = case(tmp_path / "wrong", {"rc": 0, "interactions": 2, "says": ["no such word"]}, input_csv=EVENTS)
    assert main([str(right)]) == 0
    assert main([str(wrong), str(right), str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[2] == "ok right"
    assert lines[1].startswith("FAIL wrong: does not say 'no such word'; interactions: 1, not 2")


def test_nothing_to_run_is_no_success(tmp_path: Path) -> None:
    assert not is_case(tmp_path)
    assert main([str(tmp_path)]) == 2


def test_a_case_of_no_known_kind_fails(tmp_path: Path) -> None:
    assert "no kind of case" in str(run(case(tmp_path / "strange", {"rc": 0})))


def test_a_broken_case_fails_alone(tmp_path: Path) -> None:
    assert not run(case(tmp_path / "broken", {}, graph_json="{")).holds


def test_options_and_settings_of_a_case_reach_the_command(tmp_path: Path) -> None:
    expected = {"rc": 2, "says": ["no_such_setting"], "settings": "no_such_setting = 1"}
    assert run(case(tmp_path / "settings", expected, input_csv=EVENTS)).holds
    assert run(case(tmp_path / "options", {"rc": 2, "options": ["--no-such-option"]}, input_csv=EVENTS)).holds


SLACK = {
    "auth.test": {"team_id": "T0ONE0001", "user_id": "U0BOT0000", "bot_id": "B0BOT0001"},
    "team.info": {"team": {"id": "T0ONE0001"}},
    "users.list": {"members": [{"id": name, "team_id": "T0ONE0001", "profile": {}} for name in ("U0AAA0001", "U0BBB0002")]},
    "usergroups.list": {"usergroups": []},
    "conversations.members": {"members": ["U0AAA0001"]},
    "conversations.history": {"messages": [{"type": "message", "user": "U0AAA0001", "text": "<@U0BBB0002> invented", "ts": "{ts+10}"}]},
}


def slack(**more: Any) -> str:
    channels = [{"id": "C0GEN0001", "name": "general", "is_channel": True, "is_member": True}]
    answers = [
        *more.get("first", []),
        {"method": "conversations.list", "when": {"types": "public_channel"}, "body": {"channels": channels}},
        {"method": "conversations.list", "body": {"channels": []}},
        *({"method": method, "body": body} for method, body in SLACK.items()),
    ]
    return json.dumps({"answers": answers})


def test_a_slack_case_may_hold_its_server_as_data(tmp_path: Path) -> None:
    contact = ["U0AAA0001", "U0BBB0002", "slack_channel", "mentioned"]
    asked = ["conversations.history of C0GEN0001"]
    expected: dict[str, Any] = {"server": {}, "contacts": [contact], "requests_must_include": asked, "panels": "more than 0"}
    assert run(case(tmp_path / "holds", expected, slack_json=slack())).wrong == []
    refused = {"method": "conversations.history", "times": 2, "status": 429, "headers": {"Retry-After": "0"}, "body": {}}
    given = case(tmp_path / "refused", {**expected, "refused_requests_at_most": 1}, slack_json=slack(first=[refused]))
    assert any("refused" in line for line in run(given).wrong)
    missed = {**expected, "contacts": [contact, contact], "requests_must_include": ["conversations.history of C0OTHER01"]}
    wrong = run(case(tmp_path / "missed", missed, slack_json=slack())).wrong
    assert len(wrong) == 2


def test_a_slack_case_without_server_fails(tmp_path: Path) -> None:
    assert "neither slack.json nor api_server.py" in str(run(case(tmp_path / "alone", {"server": {"scenario": "x"}})))


def test_what_is_expected_of_a_tenant_is_compared_field_by_field() -> None:
    found = {"error": None, "interactions": [{"to": {"a": "addressed"}, "count": 1}], "quarantine": [("mail", "bad")]}
    assert differences({"error": None, "interactions": [{"count": 1, "_so": "remark"}], "quarantine": [["mail", "bad"]]}, found) == []
    assert differences({"interactions": "*"}, found) == []
    assert differences({"interactions": [{"to": {}}]}, found) == [".interactions[0].to: {'a': 'addressed'}, not {}"]
    assert differences({"interactions": []}, found)
    assert differences({"persons": 3}, found) == [".persons: is not there"]
