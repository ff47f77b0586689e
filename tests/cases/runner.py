"""From a folder to a verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import events, graph, slack_api, slack_export
from cases.judged import JUDGED, Judgement


@dataclass(frozen=True)
class Verdict:
    """What came of a case: it holds unless there is something that does not."""

    name: str
    wrong: list[str]
    otherwise: str = ""

    @property
    def holds(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        if self.wrong:
            return f"FAIL {self.name}: {'; '.join(self.wrong)}"
        return f"ok {self.name}" + (f" (judged otherwise: {self.otherwise})" if self.otherwise else "")


def is_case(folder: Path) -> bool:
    """Return whether a folder holds a case."""
    return (folder / "expected.json").is_file()


def run(folder: Path) -> Verdict:
    """Run one case, and say of whatever it raises that it failed: one bad case must not stop the others."""
    folder = folder.resolve()
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    judgement = JUDGED.get(folder.name, Judgement())
    try:
        wrong = _judge(folder, {**expected, **judgement.instead})
    except Exception as error:
        wrong = [f"{type(error).__name__}: {error}"]
    return Verdict(folder.name, [_short(line) for line in wrong], judgement.reason)


def _judge(folder: Path, expected: dict[str, Any]) -> list[str]:
    if (folder / "graph.json").is_file():
        return graph.judge(folder, expected)
    if events.inputs(folder):
        return events.judge(folder, expected)
    if "steps" in expected:
        return slack_export.judge(folder, expected)
    if "server" in expected:
        return slack_api.judge(folder, expected)
    return ["neither graph.json nor input.* is there, and expected.json has neither steps nor server: no kind of case that is known"]


def _short(line: str) -> str:
    joined = " ".join(line.split())
    return joined if len(joined) <= 400 else f"{joined[:397]}..."
