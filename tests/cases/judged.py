"""Expectations that we judge otherwise than the folder does, each with the reason; the README of the case allows them or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Judgement:
    """What is expected instead, key by key, and why."""

    instead: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


JUDGED: Final[Mapping[str, Judgement]] = {
    "events-semicolons": Judgement(
        {"rc": 0, "interactions": 1, "addressed": 1, "accounts_with_address": 2},
        "its README says refuse or read; the header leaves no doubt, so it is read, and the command says which separator it found",
    ),
    "one_person_two_workspaces_no_mail": Judgement(
        {"contacts_by_weight": 3.0},
        "three messages that mention one person each weigh 3 however many people they are; the shared runner does not compare this key",
    ),
}
