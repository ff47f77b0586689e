"""Imports in any order: what is absent takes nothing back, one workspace lands on itself, the forgotten stay forgotten."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from slack_exports import GENERAL, NOW, OWN, Imports, P, imported, message, user, write

from connectors.errors import UserError
from connectors.records import Batch
from connectors.slack.export import read
from connectors.slack.state import BY_WORKSPACE, KEYS
from connectors.state import MemoryState

BARE = {"profile": {"real_name": "x"}}


def export(root: Path, day: int, users: list[Any] | None, *messages: dict[str, Any], **lists: Any) -> Path:
    """An export whose last day is `day` of November 2023."""
    files: dict[str, Any] = {**GENERAL, **{f"{name}.json": content for name, content in lists.items()}}
    if users is not None:
        files["users.json" if "org_users" not in lists else "other.json"] = users
    files[f"general/2023-11-{day}.json"] = list(messages) or [message(day, text="<@UB>")]
    return write(root / str(day), files)


def picture(found: Imports) -> dict[str, list[Any]]:
    found.build()
    tables = ("raw.account", "raw.space", "raw.interaction", "core.contact", "core.person", "core.account")
    return {name: found.warehouse.run(f"select * from {name} order by all") for name in tables}


def test_a_later_export_without_addresses_keeps_those_known(tmp_path: Path) -> None:
    first = export(tmp_path, 14, OWN)
    for number, fewer in enumerate([[user(each["id"], **BARE) for each in OWN], [{"id": "UA"}, {"id": "UB"}], None]):
        found = imported([first, export(tmp_path / str(number), 15, fewer)])
        for name in ("UA", "UB"):
            account = found.account(name)
            assert account["person_id"] == P.person_id(f"{name.lower()}@own.example")
            assert (account["kind"], account["is_active"], account["is_guest"]) == ("human", True, False)


def test_an_older_export_takes_nothing_back(tmp_path: Path) -> None:
    later = [user("UA", deleted=True), user("UB", profile={"email": "new@own.example"}), user("UC", is_restricted=True)]
    newer = export(
        tmp_path,
        20,
        later,
        message(1, text="<@UB>"),
        channels=[{"id": "C1", "name": "renamed", "is_archived": True}, {"id": "C1", "name": "general"}],
    )
    older = export(
        tmp_path,
        10,
        OWN,
        message(1, text="<@UC>"),
        message(2, "UC"),
        channels=[{"id": "C1", "name": "general", "is_archived": False, "members": ["UA"]}],
    )
    found = imported([newer, older])
    assert (found.account("UA")["is_active"], found.account("UC")["is_guest"]) == (False, True)
    assert found.account("UB")["person_id"] == P.person_id("new@own.example")
    # the message as it was edited, and the one that the newer export does not hold
    assert found.contacts() == [("UA", "UB", "slack_channel", "mentioned")]
    assert found.count() == 2
    assert picture(found) == picture(imported([older, newer]))


def test_any_order_of_exports_that_know_different_things_gives_the_same(tmp_path: Path) -> None:
    paths = [
        export(tmp_path, 11, None, message(1, "UX", text="<@UA>", team="T0CLIENT"), message(2, "UA", team="T0OWN")),
        export(tmp_path, 12, OWN[:2], message(3, "UB", text="<@UX>", bot_id="B1"), message(4, "UC", text="<@UA>")),
        export(tmp_path, 13, [user(name, None, **BARE) for name in ("UA", "UB", "UC")], message(5, "UX", team="T0CLIENT")),
    ]
    pictures = [picture(imported(order)) for order in itertools.permutations(paths)]
    for each in pictures[1:]:
        assert each == pictures[0]


def test_the_age_of_an_export_is_that_of_its_people_too(tmp_path: Path) -> None:
    # an export of an early stretch of days, made late
    late = export(tmp_path, 10, [user("UA", deleted=True, updated=NOW + 40 * 86_400)])
    found = imported([late, export(tmp_path, 20, OWN)])
    assert found.account("UA")["is_active"] is False


def test_an_account_that_is_only_met_never_hides_one_that_was_listed(tmp_path: Path) -> None:
    met = export(tmp_path, 15, OWN[:1], message(1, "UB", team="T0CLIENT"), message(2, "UBOT", text="<@UA>"))
    listed = export(tmp_path, 12, [*OWN, user("UBOT", is_bot=True)])
    for order in ([listed, met], [met, listed]):
        found = imported(order)
        assert (found.account("UB")["kind"], found.account("UBOT")["kind"], found.organisation("UB")) == ("human", "bot", "own")


@pytest.mark.parametrize("day", [10, 20])
def test_members_once_known_stay_known(tmp_path: Path, day: int) -> None:
    said = {"mpims.json": [{"id": "G0GROUP11", "name": "mpdm-x", "members": ["UA", "UB", "UC"]}], "G0GROUP11/2023-11-14.json": [message(1)]}
    whole = write(tmp_path / "a", {"users.json": OWN, **GENERAL, **said, f"general/2023-11-{day}.json": []})
    poor = write(tmp_path / "b", {"users.json": OWN, **said, "mpims.json": [{"id": "G0GROUP11", "name": "mpdm-x", "is_mpim": True}]})
    for order in ([whole, poor], [poor, whole]):
        assert len(imported(order).contacts()) == 2


# -- one workspace under several ids -----------------------------------------------------------------------------------------

ENTERPRISE = {"enterprise_id": "E1", "teams": ["T0OWN"]}
FORMS: dict[str, tuple[str, list[Any] | None]] = {
    "workspace": ("users.json", OWN),
    "organisation": ("org_users.json", [each | {"enterprise_user": {"id": each["id"], **ENTERPRISE}} for each in OWN]),
    "no id": ("users.json", [user(each["id"], None) for each in OWN]),
    "no people": ("none.json", None),
    "renamed ids": ("users.json", [each | {"team_id": "T0MOVED"} for each in OWN]),
}


@pytest.mark.parametrize("forms", list(itertools.permutations(FORMS, 2)))
def test_one_workspace_under_two_ids_lands_on_itself(tmp_path: Path, forms: tuple[str, str]) -> None:
    found = Imports()
    for form in forms:
        name, users = FORMS[form]
        found.add(
            write(tmp_path / form, {**GENERAL, name: users or [], "general/2023-11-14.json": [message(1, text="<@UB>", team="T0OWN")]})
        )
    assert (found.count(), found.contacts()) == (1, [("UA", "UB", "slack_channel", "mentioned")])
    assert found.organisation("UA") == "own"


def test_accounts_of_one_human_in_two_workspaces_are_one_person(tmp_path: Path) -> None:
    def local(name: str, team: str) -> dict[str, Any]:
        return user(name, team, **BARE) | {"enterprise_user": {"id": "W1", "enterprise_id": "E1", "teams": ["T0RED", "T0BLUE"]}}

    said = [message(1, "UA", text="<@UC>"), message(2, "UB", text="<@UC>"), message(3, "UC", text="<@W1>")]
    seen = []
    for number, people in enumerate(itertools.permutations([local("UA", "T0RED"), local("UB", "T0BLUE"), user("UC", "T0RED")])):
        found = imported(write(tmp_path / str(number), {"org_users.json": list(people), **GENERAL, "general/2023-11-14.json": said}))
        assert found.contacts() == [("UA", "UC", "slack_channel", "mentioned")] * 2 + [("UC", "UA", "slack_channel", "mentioned")]
        assert found.warehouse.value("select count(*) from core.person") == 2
        seen.append(picture(found))
    assert all(each == seen[0] for each in seen)


def test_a_home_of_an_older_release_keeps_its_keys(tmp_path: Path) -> None:
    state = MemoryState()
    state.apply(Batch("slack", "directory", cursors={KEYS: BY_WORKSPACE}))
    path = export(tmp_path, 14, OWN)
    found = {
        key
        for batch in read(path, P, state=state)
        if "account" in batch.records
        for key in batch.records["account"]["account_key"].to_pylist()
    }
    assert P.key("slack:account", "T0OWN:UA") in found
    with pytest.raises(UserError, match="--team-id"):
        list(read(export(tmp_path / "b", 14, None), P, state=state))


# -- the forgotten -----------------------------------------------------------------------------------------------------------


def forget(found: Imports, name: str) -> None:
    """Forget a person as `perdure forget` does, with what is stored of them."""
    account = found.account(name)
    ids = {account["person_id"], *account["alias_ids"]} - {None}
    found.warehouse.tombstones.add([str(account["account_key"]), *ids])
    found.warehouse.tombstones.erase({account["account_key"]}, ids)


@pytest.mark.parametrize("form", FORMS)
def test_who_was_forgotten_stays_forgotten_whatever_the_next_export_shows(tmp_path: Path, form: str) -> None:
    found = imported(export(tmp_path, 14, OWN, message(1, text="<@UB>"), message(2, "UB", text="<@UA>")))
    forget(found, "UA")
    name, users = FORMS[form]
    said = [message(86_400, text="<@UB>"), message(86_401, "UB", text="<@UA>", reactions=[{"users": ["UA"]}])]
    found.add(write(tmp_path / "later", {**GENERAL, name: users or [], "general/2023-11-15.json": said}))
    assert (found.contacts(), found.account("UA")) == ([], {})


@pytest.mark.parametrize("then", ["W1", "UB", "UA"])
def test_who_was_forgotten_is_known_by_the_organisations_id(tmp_path: Path, then: str) -> None:
    about = {"enterprise_user": {"id": "W1", "enterprise_id": "E1", "teams": []}}
    found = imported(export(tmp_path, 14, [user("UA", **BARE, **about), user("UC")], message(1, text="<@UC>")))
    forget(found, "UA")
    # under another account of the same human, or under the organisation's id itself
    users = [user("UC"), *([user("UB", **BARE, **about)] if then == "UB" else [])]
    found.add(export(tmp_path / "b", 15, users, message(86_400, then, text="<@UC>"), message(86_401, "UC", text=f"<@{then}>")))
    assert found.contacts() == []


def test_an_export_without_addresses_says_that_it_cannot_tell_who_was_forgotten(tmp_path: Path) -> None:
    found = imported(export(tmp_path, 14, OWN))
    assert "no_addresses" not in found.reasons()
    bare = export(tmp_path / "bare", 15, [user("UA", **BARE)])
    assert "no_addresses" not in imported(bare).reasons()
    forget(found, "UA")
    found.add(export(tmp_path / "whole", 15, OWN))
    assert "no_addresses" not in found.reasons()
    found.add(bare)
    assert "no_addresses" in found.reasons()
