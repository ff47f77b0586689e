"""Whose export it is and who is a colleague in it: shown for certain, or unknown and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from slack_exports import DAY, GENERAL, OWN, Imports, imported, message, user, write

CLIENTS = [user(name, "T0CLIENT", profile={"email": f"{name.lower()}@client.example"}) for name in ("UC", "UD", "UE", "UF", "UG")]
SAID = [message(1, text="<@UC>", team="T0OWN"), message(2, "UC", text="<@UB>", team="T0CLIENT", user_team="T0CLIENT")]


def organisations(users: list[Any] | None, channels: list[Any] | None = None, said: list[Any] | None = None, **options: Any) -> Imports:
    root = Path(options.pop("root"))
    files: dict[str, Any] = {"channels.json": channels or GENERAL["channels.json"], f"general/{DAY}": SAID if said is None else said}
    if users is not None:
        files["users.json"] = users
    return imported(write(root, files), **options)


@pytest.mark.parametrize(
    "shown",
    [
        "is_stranger",
        "is_restricted",
        "is_ultra_restricted",
        "owner",
        "admin",
        "primary owner",
        "slackbot",
        "home",
        "internal",
        "general",
        "creator",
        "given",
        "domain",
    ],
)
def test_strangers_may_outnumber_and_have_no_say(tmp_path: Path, shown: str) -> None:
    ours, theirs = [user("UA"), user("UB")], [dict(each) for each in CLIENTS]
    channel: dict[str, Any] = {"id": "C1", "name": "general", "creator": "UX"}
    options: dict[str, Any] = {}
    if shown.startswith("is_"):
        theirs = [each | {shown: True} for each in theirs]
    elif shown in ("owner", "admin", "primary owner"):
        ours[0] |= {f"is_{shown.replace(' ', '_')}": True}
    elif shown == "slackbot":
        ours.append(user("USLACKBOT", is_bot=False))
    elif shown == "home":
        channel |= {"context_team_id": "T0OWN"}
    elif shown == "internal":
        channel |= {"is_ext_shared": True, "internal_team_ids": ["T0OWN"], "connected_team_ids": ["T0CLIENT"]}
    elif shown == "general":
        channel |= {"is_general": True, "members": ["UA", "UB"]}
    elif shown == "creator":
        channel |= {"creator": "UB"}
    elif shown == "given":
        options["team_id"] = "T0OWN"
    else:
        options["own_domains"] = frozenset({"own.example"})
    found = organisations([*theirs, *ours], [channel], root=tmp_path, **options)
    assert [found.organisation(name) for name in ("UA", "UB", "UC", "UG")] == ["own", "own", "unknown", "unknown"]
    assert [found.account(name)["is_guest"] for name in ("UA", "UC")] == [False, True]
    assert "own_workspace_unknown" not in found.reasons()


@pytest.mark.parametrize("ours", [1, 2, 7])
def test_without_anything_that_shows_it_nobody_is_a_colleague_and_it_is_said(tmp_path: Path, ours: int) -> None:
    # however many there are of either
    people = [user(f"UA{n}") for n in range(ours)] + [user("UA"), user("UB"), *CLIENTS]
    found = organisations(people, root=tmp_path)
    assert {found.organisation(name) for name in ("UA", "UB", "UC", "UD")} == {"unknown"}
    assert found.account("UA")["is_guest"] is None
    assert "own_workspace_unknown" in found.reasons()
    # said afterwards, it holds
    found.add(tmp_path, team_id="T0OWN")
    assert [found.organisation(name) for name in ("UA", "UB", "UC")] == ["own", "own", "unknown"]


@pytest.mark.parametrize("field", ["team", "user_team", "source_team", "profile"])
def test_without_a_list_of_people_messages_say_it_if_they_all_say_the_same(tmp_path: Path, field: str) -> None:
    about = {"user_profile": {"team": "T0OWN"}} if field == "profile" else {field: "T0OWN"}
    found = organisations(None, said=[message(1, text="<@UB> <@UC>", **about), message(2, "UB", **about)], root=tmp_path)
    assert [found.organisation(name) for name in ("UA", "UB", "UC")] == ["own"] * 3
    assert found.account("UA")["is_guest"] is False


def test_without_a_list_of_people_two_workspaces_are_too_many(tmp_path: Path) -> None:
    said = [message(n, "UA", team="T0OWN", text="<@UX>") for n in range(20)] + [message(30, "UC", team="T0CLIENT")]
    found = organisations(None, said=said, root=tmp_path)
    assert {found.organisation(name) for name in ("UA", "UC", "UX")} == {"unknown"}
    assert "own_workspace_unknown" in found.reasons()
    given = organisations(None, said=said, root=tmp_path, team_id="T0OWN")
    # whom nothing shows to be of the own workspace is no colleague either
    assert [given.organisation(name) for name in ("UA", "UC", "UX")] == ["own", "unknown", "unknown"]
    assert given.account("UC")["is_guest"] is True


def test_guests_without_a_list_of_people_are_guests(tmp_path: Path) -> None:
    profile = {"team": "T0OWN", "is_restricted": True}
    found = organisations(None, said=[message(1, team="T0OWN"), message(2, "UB", team="T0OWN", user_profile=profile)], root=tmp_path)
    assert (found.organisation("UA"), found.organisation("UB")) == ("own", "unknown")


def test_old_exports_that_name_no_workspace_are_the_own_ones(tmp_path: Path) -> None:
    people = [user("UA", None), user("UB", None), user("UC", None, is_stranger=True)]
    found = organisations(people, said=[message(1, text="<@UB>"), message(2, "UX", text="<@UA>")], root=tmp_path)
    # who is in no list of those who belong there is unknown
    assert [found.organisation(name) for name in ("UA", "UB", "UC", "UX")] == ["own", "own", "unknown", "unknown"]
    bare = organisations(None, said=[message(1, text="<@UB>")], root=tmp_path / "bare")
    assert bare.organisation("UA") == "own"


def test_an_organisation_is_all_its_workspaces(tmp_path: Path) -> None:
    enterprise = {"enterprise_id": "E1", "teams": ["T0OWN", "T0SISTER"]}
    people = [
        user("UA", enterprise_user={"id": "UA", **enterprise}),
        user("UB", "T0SISTER"),
        *(
            each | {"is_stranger": True, "enterprise_user": {"id": each["id"], "enterprise_id": "E2", "teams": ["T0CLIENT"]}}
            for each in CLIENTS
        ),
    ]
    found = organisations(people, said=[*SAID, message(5, "UX", team="E1"), message(6, "UY", team="E2")], root=tmp_path)
    names = ("UA", "UB", "UC", "UX", "UY")
    assert [found.organisation(name) for name in names] == ["own", "own", "unknown", "own", "unknown"]


@pytest.mark.parametrize("flag", ["is_restricted", "is_ultra_restricted", "is_stranger"])
def test_own_domains_make_a_colleague_of_a_guest(tmp_path: Path, flag: str) -> None:
    people = [user("UA"), user("UB", **{flag: True}), user("UC", **{flag: True}, profile={"email": "c@client.example"})]
    found = organisations(people, root=tmp_path, own_domains=frozenset({"OWN.example."}))
    assert [found.organisation(name) for name in ("UA", "UB", "UC")] == ["own", "own", "unknown"]
    assert [found.account(name)["is_guest"] for name in ("UA", "UB", "UC")] == [False, False, True]


# -- what an app posts -----------------------------------------------------------------------------------------------------

APP = {"bot_id": "B1", "bot_profile": {"id": "B1", "app_id": "A1"}}


@pytest.mark.parametrize("marks", [APP, {"bot_id": "B1"}, {"bot_profile": {"id": "B1"}}, {**APP, "subtype": "file_share"}])
def test_what_a_person_posts_through_an_app_is_the_persons(tmp_path: Path, marks: dict[str, Any]) -> None:
    reply = message(2, "UB", thread_ts=message(1)["ts"])
    found = organisations(OWN, said=[message(1, text="<@UC>", **marks), reply], root=tmp_path)
    assert found.contacts() == [("UA", "UC", "slack_channel", "mentioned"), ("UB", "UA", "slack_channel", "replied")]
    assert found.account("UA")["kind"] == "human"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("marks", [APP, {**APP, "subtype": "bot_message"}, {"bot_profile": {"is_workflow_bot": True}}])
def test_a_post_of_an_app_makes_no_bot_of_an_outside_person(tmp_path: Path, marks: dict[str, Any], order: tuple[int, ...]) -> None:
    said = [message(n, "UX", text="<@UA>", team="T0CLIENT", **(marks if n == order[0] else {})) for n in range(3)]
    found = organisations(OWN, said=said, root=tmp_path)
    assert found.contacts() == [("UX", "UA", "slack_channel", "mentioned")] * 2
    assert (found.account("UX")["kind"], found.organisation("UX")) == ("unknown", "unknown")


@pytest.mark.parametrize(
    "marks",
    [
        {"bot_profile": {"id": "B1", "is_workflow_bot": True}},
        {"subtype": "bot_message", "bot_id": "B1"},
        {"user": "UBOT"},
        {"user": "UBOT", **APP},
        {"user": "USLACKBOT"},
        {"user": None, "bot_id": "B1"},
    ],
)
def test_what_a_bot_or_a_workflow_posts_is_nobodys(tmp_path: Path, marks: dict[str, Any]) -> None:
    said = [{**message(1, text="<@UC>"), **marks}, message(2, "UB", thread_ts=message(1)["ts"], parent_user_id=marks.get("user") or "B1")]
    found = organisations([*OWN, user("UBOT", is_bot=True)], said=said, root=tmp_path)
    assert found.contacts() == []
    assert dict(found.warehouse.run("select exclusion, count(*) from core.interaction group by 1")) == {None: 1, "bot": 1}


def test_a_person_learnt_later_gets_their_messages_back(tmp_path: Path) -> None:
    said = [message(1, text="<@UB>", **APP)]
    found = organisations(None, said=said, root=tmp_path / "first")
    assert found.contacts() == []
    found.add(write(tmp_path / "second", {"users.json": OWN}))
    assert found.contacts() == [("UA", "UB", "slack_channel", "mentioned")]


# -- threads whose first message is not there ----------------------------------------------------------------------------


def replies(*senders: str, **about: Any) -> list[dict[str, Any]]:
    return [message(10 + n, name, thread_ts=message(0)["ts"], parent_user_id="UA", **about) for n, name in enumerate(senders)]


def test_a_reply_reaches_the_author_of_a_first_message_that_is_outside(tmp_path: Path) -> None:
    found = organisations(OWN, said=replies("UB", "UC", "UA"), root=tmp_path)
    replied = [(a, b) for a, b, _, evidence in found.contacts() if evidence == "replied"]
    assert replied == [("UA", "UC"), ("UB", "UA"), ("UC", "UA"), ("UC", "UB")]


@pytest.mark.parametrize("root_first", [True, False])
def test_a_first_message_that_is_imported_later_says_the_same(tmp_path: Path, root_first: bool) -> None:
    part = {
        "root": write(tmp_path / "a", {"users.json": OWN, **GENERAL, f"general/{DAY}": [message(0)]}),
        "replies": write(tmp_path / "b", {"users.json": OWN, **GENERAL, f"general/{DAY}": replies("UB", "UC")}),
    }
    found = Imports()
    for name in ("root", "replies") if root_first else ("replies", "root"):
        found.add(part[name]).build()
    assert [(a, b) for a, b, _, _ in found.contacts()] == [("UB", "UA"), ("UC", "UA"), ("UC", "UB")]
    assert found.warehouse.value("select sum(weight) from core.contact") == 2


@pytest.mark.parametrize("root", [{"subtype": "tombstone", "user": "USLACKBOT"}, {"subtype": "channel_topic"}])
def test_a_first_message_that_counts_for_nobody_is_not_got_round(tmp_path: Path, root: dict[str, Any]) -> None:
    found = organisations(OWN, said=[{**message(0), **root}, *replies("UB")], root=tmp_path)
    assert found.contacts() == []


def test_the_parent_of_a_direct_message_or_oneself_adds_nothing(tmp_path: Path) -> None:
    files = {"users.json": OWN, "dms.json": [{"id": "D0DIRECT1", "members": ["UB", "UC"]}], f"D0DIRECT1/{DAY}": replies("UB")}
    assert imported(write(tmp_path / "a", files)).contacts() == [("UB", "UC", "slack_dm", "addressed")]
    assert organisations(OWN, said=replies("UA"), root=tmp_path / "b").contacts() == []
