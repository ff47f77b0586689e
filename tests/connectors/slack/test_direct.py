"""Direct messages of exports: what they are by their own word, who is in them, and whom they reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from slack_exports import DAY, OWN, Imports, imported, message, user, write

GROUP = [("UA", "UB", "slack_group_dm", "addressed"), ("UA", "UC", "slack_group_dm", "addressed")]


def said(root: Path, lists: dict[str, Any], folder: str, *messages: dict[str, Any], users: list[Any] | None = None) -> Imports:
    return imported(write(root, {"users.json": users or OWN, **lists, f"{folder}/{DAY}": list(messages) or [message(1)]}))


@pytest.mark.parametrize("name", ["groups.json", "channels.json", "mpims.json", "dms.json"])
@pytest.mark.parametrize("flags", [{"is_mpim": True}, {"is_mpim": True, "is_group": True, "is_im": False}, {}])
def test_a_group_direct_message_is_one_wherever_it_is_listed(tmp_path: Path, name: str, flags: dict[str, bool]) -> None:
    about = {"id": "G1", "name": "mpdm-ua--ub--uc-1", "members": ["UA", "UB", "UC"], **flags}
    assert said(tmp_path, {name: [about]}, "mpdm-ua--ub--uc-1").contacts() == GROUP


@pytest.mark.parametrize("name", ["groups.json", "channels.json", "mpims.json", "dms.json"])
def test_a_direct_message_is_one_wherever_it_is_listed(tmp_path: Path, name: str) -> None:
    about = {"id": "D0DIRECT1", "members": ["UA", "UB"], "is_im": True}
    assert said(tmp_path, {name: [about]}, "D0DIRECT1").contacts() == [("UA", "UB", "slack_dm", "addressed")]


@pytest.mark.parametrize("name", ["mpims.json", "dms.json"])
def test_a_channel_is_one_wherever_it_is_listed(tmp_path: Path, name: str) -> None:
    about = {"id": "C1", "name": "general", "members": ["UA", "UB", "UC"], "is_channel": True, "is_im": False, "is_mpim": False}
    found = said(tmp_path, {name: [about]}, "general", message(1, text="<@UB>"))
    assert found.contacts() == [("UA", "UB", "slack_channel", "mentioned")]


@pytest.mark.parametrize("members", [None, [], "absent", [None], [5]])
def test_members_that_no_list_names_are_those_of_the_name(tmp_path: Path, members: Any) -> None:
    about = {"id": "G1", "name": "mpdm-ann--bob.b--cle-o-12", "is_mpim": True, "num_members": 0, "members": members}
    if members == "absent":
        del about["members"]
    people = [user("UA", name="ann"), user("UB", name="Bob.B"), user("UC", name="cle-o"), user("UD", name="bob.b", deleted=True)]
    found = said(tmp_path, {"mpims.json": [about]}, "mpdm-ann--bob.b--cle-o-12", users=people)
    assert (found.contacts(), "members_unknown" in found.reasons()) == (GROUP, False)
    assert found.warehouse.value("select member_count from raw.space") == 3


def test_a_group_that_no_list_names_is_known_by_its_folder(tmp_path: Path) -> None:
    found = said(tmp_path, {}, "mpdm-ua--ub--uc-1")
    assert (found.contacts(), found.reasons() & {"members_unknown", "not_in_channel_list"}) == (GROUP, {"not_in_channel_list"})


@pytest.mark.parametrize("users", [[user("UA"), user("UB")], [*OWN, user("UD", name="uc")]])
def test_a_handle_that_nobody_or_more_than_one_bears_is_said(tmp_path: Path, users: list[Any]) -> None:
    about = {"id": "G1", "name": "mpdm-ua--ub--uc-1", "members": None}
    found = said(tmp_path, {"mpims.json": [about]}, "mpdm-ua--ub--uc-1", users=users)
    assert (found.contacts(), "members_unknown" in found.reasons()) == (GROUP[:1], True)


def test_a_list_that_names_the_other_only_is_understood(tmp_path: Path) -> None:
    lists = {"dms.json": [{"id": "D0DIRECT1", "user": "UB", "is_im": True}, {"id": "D0DIRECT2", "user": "UC", "members": None}]}
    files = {
        "users.json": OWN,
        **lists,
        f"D0DIRECT1/{DAY}": [message(1), message(2, "UB")],
        # only the other wrote here: who owns the export shows elsewhere
        f"D0DIRECT2/{DAY}": [message(3, "UC")],
    }
    found = imported(write(tmp_path, files))
    assert found.contacts() == [
        ("UA", "UB", "slack_dm", "addressed"),
        ("UB", "UA", "slack_dm", "addressed"),
        ("UC", "UA", "slack_dm", "addressed"),
    ]
    assert "members_unknown" not in found.reasons()


def test_an_owner_whom_nothing_shows_is_unknown_and_said(tmp_path: Path) -> None:
    found = said(tmp_path, {"dms.json": [{"id": "D0DIRECT2", "user": "UC"}]}, "D0DIRECT2", message(3, "UC"))
    assert (found.contacts(), "members_unknown" in found.reasons()) == ([], True)


def test_a_list_that_names_one_member_and_a_writer_who_is_another(tmp_path: Path) -> None:
    found = said(tmp_path, {"dms.json": [{"id": "D0DIRECT1", "members": ["UB"]}]}, "D0DIRECT1")
    assert found.contacts() == [("UA", "UB", "slack_dm", "addressed")]


@pytest.mark.parametrize(
    "about",
    [{"members": ["UA"]}, {"members": ["UA", "UA"]}, {"members": [], "user": "UA"}, {"members": None}, {"members": ["UA"], "user": "UA"}],
)
@pytest.mark.parametrize(
    "said_there", [{"text": "<@UB> <@UC>"}, {"text": "<!subteam^S1>"}, {"blocks": [{"type": "user", "user_id": "UB"}]}]
)
def test_a_note_to_oneself_reaches_nobody_whoever_it_names(tmp_path: Path, about: dict[str, Any], said_there: dict[str, Any]) -> None:
    found = said(tmp_path, {"dms.json": [{"id": "D0SELF0001", **about}]}, "D0SELF0001", message(1, **said_there))
    assert (found.count(), found.contacts()) == (1, [])


@pytest.mark.parametrize("bot", [user("UBOT", is_bot=True), user("USLACKBOT"), user("UBOT", is_bot=True, is_workflow_bot=True)])
def test_a_note_to_a_bot_reaches_nobody_whoever_it_names(tmp_path: Path, bot: dict[str, Any]) -> None:
    lists = {"dms.json": [{"id": "D0DIRECT1", "members": ["UA", bot["id"]]}]}
    found = said(tmp_path, lists, "D0DIRECT1", message(1, text="<@UB>"), message(2, bot["id"], text="<@UC>"), users=[*OWN, bot])
    assert (found.count(), found.contacts()) == (2, [])


def test_a_mention_of_somebody_who_is_not_in_it_does_not_reach_them(tmp_path: Path) -> None:
    lists = {"dms.json": [{"id": "D0DIRECT1", "members": ["UA", "UB"]}]}
    assert said(tmp_path, lists, "D0DIRECT1", message(1, text="<@UC>")).contacts() == [("UA", "UB", "slack_dm", "addressed")]
