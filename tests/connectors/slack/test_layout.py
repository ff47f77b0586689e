"""Where exports lie: in one folder or many, of an organisation or a workspace, written by Slack or by another tool."""

from __future__ import annotations

import codecs
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
from slack_exports import DAY, GENERAL, OWN, imported, message, user, write

from connectors.errors import UserError

SAID = [message(1, text="<@UB>")]
AB = ("UA", "UB", "slack_channel", "mentioned")


def jsonl(values: list[Any]) -> bytes:
    return b"\n".join(json.dumps(value).encode() for value in values) + b"\n"


# -- an organisation's export --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["teams/red", "Teams/Red", "acme/teams/red", "teams/red and blue"])
def test_what_only_one_workspace_has_is_read_from_its_folder(tmp_path: Path, folder: str) -> None:
    top = folder.partition("eams/")[0][:-1]
    files = {
        f"{top}org_users.json": OWN,
        f"{top}channels.json": [{"id": "C0", "name": "all"}],
        f"{top}all/{DAY}": [message(9, "UB", text="<@UC>")],
        f"{folder}/channels.json": [{"id": "C1", "name": "general"}],
        f"{folder}/dms.json": [{"id": "D0DIRECT1", "members": ["UA", "UC"]}],
        f"{folder}/mpims.json": [{"id": "G1", "name": "mpdm-ua--ub--uc-1", "members": ["UA", "UB", "UC"]}],
        f"{folder}/general/{DAY}": SAID,
        f"{folder}/D0DIRECT1/{DAY}": [message(2)],
        f"{folder}/mpdm-ua--ub--uc-1/{DAY}": [message(3)],
    }
    found = imported(write(tmp_path, files))
    assert found.count() == 4
    assert found.contacts() == sorted(
        [
            ("UB", "UC", "slack_channel", "mentioned"),
            AB,
            ("UA", "UC", "slack_dm", "addressed"),
            ("UA", "UB", "slack_group_dm", "addressed"),
            ("UA", "UC", "slack_group_dm", "addressed"),
        ]
    )
    assert not found.reasons() & {"not_in_channel_list", "members_unknown"}


def test_channels_of_one_name_in_two_workspaces_are_two(tmp_path: Path) -> None:
    files: dict[str, Any] = {"org_users.json": OWN}
    for team, channel in (("red", "C1"), ("blue", "C2")):
        files[f"teams/{team}/channels.json"] = [{"id": channel, "name": "general"}]
        files[f"teams/{team}/general/{DAY}"] = SAID
    found = imported(write(tmp_path, files))
    assert found.count() == found.warehouse.value("select count(distinct space_key) from raw.interaction") == 2
    assert "ambiguous_folder" not in found.reasons()


def test_a_folder_of_a_workspace_may_be_listed_by_the_organisation_only(tmp_path: Path) -> None:
    files = {"org_users.json": OWN, **GENERAL, "teams/red/users.json": OWN, f"teams/red/general/{DAY}": SAID}
    found = imported(write(tmp_path, files))
    assert (found.contacts(), found.reasons() & {"not_in_channel_list"}) == ([AB], set())


def test_a_channel_called_teams_is_a_channel(tmp_path: Path) -> None:
    files = {"users.json": OWN, "channels.json": [{"id": "C1", "name": "teams"}], f"teams/{DAY}": SAID}
    assert imported(write(tmp_path, files)).contacts() == [AB]


def test_workspaces_without_any_list_above_them_are_one_organisation(tmp_path: Path) -> None:
    files: dict[str, Any] = {}
    for team, people in (("red", ["UA", "UB"]), ("blue", ["UC", "UD"])):
        files[f"teams/{team}/users.json"] = [user(name, f"T0{team.upper()}", is_owner=True) for name in people]
        files[f"teams/{team}/channels.json"] = [{"id": f"C{team}", "name": "general"}]
        files[f"teams/{team}/general/{DAY}"] = [message(len(team), people[0], text=f"<@{people[1]}>")]
    found = imported(write(tmp_path, files))
    assert found.count() == 2


# -- several exports -----------------------------------------------------------------------------------------------------


def two(tmp_path: Path) -> dict[str, Any]:
    return {
        "acme 2022/users.json": OWN[:2],
        "acme 2022/channels.json": [{"id": "C1", "name": "general"}],
        "acme 2022/general/2022-11-14.json": [message(-31_536_000, text="<@UB>")],
        "acme 2023/users.json": OWN,
        "acme 2023/channels.json": [{"id": "C1", "name": "general-2"}],
        f"acme 2023/general-2/{DAY}": [message(1, "UC", text="<@UA>")],
    }


@pytest.mark.parametrize("form", ["folders", "deeper", "one zip", "zips", "a zip and a folder"])
def test_exports_that_lie_beside_each_other_are_all_read(tmp_path: Path, form: str) -> None:
    files = two(tmp_path)
    root = tmp_path / "all"
    if form in ("zips", "a zip and a folder"):
        root.mkdir()
        for year in ("2022", "2023"):
            if form == "zips" or year == "2022":
                with zipfile.ZipFile(root / f"acme {year}.zip", "w") as archive:
                    for name, content in files.items():
                        if year in name.partition("/")[0]:
                            archive.writestr(name.partition("/")[2], json.dumps(content))
            else:
                write(root, {name: content for name, content in files.items() if "acme 2023" in name})
    else:
        write(root, {f"backup/{name}" if form == "deeper" else name: content for name, content in files.items()})
    if form == "one zip":
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for path in root.rglob("*.json"):
                archive.write(path, path.relative_to(root).as_posix())
        root = tmp_path / "all.zip"
    found = imported(root)
    assert found.contacts() == [AB, ("UC", "UA", "slack_channel", "mentioned")]
    assert found.warehouse.value("select count(distinct space_key) from raw.interaction") == 1
    done = [batch.units_done for batch in found.batches]
    assert (done, done[-1]) == (sorted(done), 2)
    assert {batch.units_total for batch in found.batches} == {2}


def test_what_each_export_covers_is_stated_of_its_own_days(tmp_path: Path) -> None:
    files = two(tmp_path)
    files["acme 2023/dms.json"] = []
    found = imported(write(tmp_path, files))
    observed = found.warehouse.run("select medium, date_from::varchar from raw.coverage where status = 'observed' order by all")
    assert observed == [("slack_channel", "2022-11-14"), ("slack_channel", "2023-11-14"), ("slack_dm", "2023-11-14")]


def test_files_of_days_that_lie_nowhere_are_named(tmp_path: Path) -> None:
    files = {
        "users.json": OWN,
        **GENERAL,
        f"general/{DAY}": SAID,
        "2023-11-15.json": SAID,
        "general/2023-11-16 (1).json": SAID,
        "general/2023-13-45.json": SAID,
        "general/canvas_in_the_conversation.json": {"a": 1},
        "__uploads/F1/2023-11-17.json": {"what": "somebody attached"},
        "__MACOSX/general/2023-11-14.json": b"\0",
    }
    found = imported(write(tmp_path, files))
    assert (found.count(), found.quarantined()) == (1, ["no_conversation_folder"] * 3)


def test_a_folder_of_days_alone_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither users"):
        imported(write(tmp_path, {DAY: SAID}))


# -- lists as other tools write them --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "users",
    [
        {"ok": True, "members": OWN, "response_metadata": {"next_cursor": ""}},
        {"users": OWN},
        [None, *OWN, None],
        {"ok": True, "members": [None, *OWN]},
        {each["id"]: each for each in OWN},
        jsonl(OWN),
        jsonl([OWN[:1], OWN[1:]]),
        jsonl([{"ok": True, "members": OWN[:2]}, {"ok": True, "members": OWN[2:]}]),
        codecs.BOM_UTF8 + json.dumps(OWN).encode(),
        codecs.BOM_UTF8 + jsonl(OWN),
        json.dumps(OWN).encode("utf-16"),
        codecs.BOM_UTF16_BE + json.dumps(OWN).encode("utf-16-be"),
        "\r\n".join(json.dumps(each, indent=1) for each in OWN).encode(),
    ],
)
def test_lists_are_read_in_every_form(tmp_path: Path, users: Any) -> None:
    found = imported(write(tmp_path, {"users.json": users, **GENERAL, f"general/{DAY}": SAID}))
    assert found.quarantined() == []
    assert [found.account(name)["kind"] for name in ("UA", "UB", "UC")] == ["human"] * 3


@pytest.mark.parametrize(
    "day", [{"ok": True, "messages": [*SAID, message(2)], "has_more": False}, jsonl([*SAID, message(2)]), [*SAID, message(2)]]
)
def test_days_are_read_in_every_form(tmp_path: Path, day: Any) -> None:
    found = imported(write(tmp_path, {"users.json": OWN, **GENERAL, f"general/{DAY}": day}))
    assert (found.count(), found.quarantined()) == (2, [])


@pytest.mark.parametrize("limit", [8_000_000, 100])
def test_a_spoilt_line_costs_itself(tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.slack.archive.WHOLE_FILE_LIMIT", limit)
    lines = jsonl([message(n) for n in range(9)]).splitlines()
    lines[4] = b'{"ts": "17000'
    found = imported(write(tmp_path, {"users.json": OWN, **GENERAL, f"general/{DAY}": b"\n".join(lines)}))
    assert (found.count(), found.quarantined()) == (8, ["broken_json"])


def test_large_files_of_every_form_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.slack.archive.WHOLE_FILE_LIMIT", 100)
    chance = random.Random(5)
    for number, form in enumerate((json.dumps, lambda said: json.dumps({"messages": said}), lambda said: jsonl(said).decode())):
        monkeypatch.setattr("connectors.slack.archive._CHUNK", chance.randint(3, 200))
        said = [message(n, text="é😀" * (n % 7)) for n in range(40)]
        root = write(tmp_path / str(number), {"users.json": OWN, **GENERAL, f"general/{DAY}": form(said).encode()})
        assert imported(root).count() == 40


# -- made on Windows ------------------------------------------------------------------------------------------------------


def zipped(path: Path, files: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    "names",
    [
        ("users.json", "channels.json", f"general\\{DAY}"),
        ("acme\\users.json", "acme\\channels.json", f"acme\\general\\{DAY}"),
        (".\\users.json", ".\\channels.json", f".\\general\\{DAY}"),
        ("Users.JSON", "CHANNELS.json", "General\\2023-11-14.JSON"),
        ("acme/users.json", "acme\\channels.json", f"acme/general\\{DAY}"),
    ],
)
def test_zips_of_windows_are_read(tmp_path: Path, names: tuple[str, str, str]) -> None:
    bom = codecs.BOM_UTF8
    contents = (bom + json.dumps(OWN).encode(), GENERAL["channels.json"], bom + json.dumps(SAID).encode())
    found = imported(zipped(tmp_path / "a.zip", {"folder\\": b"", **dict(zip(names, contents, strict=True))}))
    assert (found.contacts(), found.quarantined()) == ([AB], [])
    assert "not_in_channel_list" not in found.reasons()


@pytest.mark.parametrize("name", ["..\\x\\2023-11-14.json", "\\\\server\\share\\2023-11-14.json", "C:\\x\\2023-11-14.json", "\\x\\a.json"])
def test_paths_that_lead_out_are_refused_in_either_form(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="leads out of it"):
        imported(zipped(tmp_path / "a.zip", {"users.json": OWN, name: SAID}))


# -- canvases and files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["FC:F0CANVAS1:Plan: A/B".replace("/", "-"), "FC_F0CANVAS1_Plan", "fc-f0canvas1-plan"])
@pytest.mark.parametrize("is_listed", [True, False])
def test_comments_on_a_canvas_are_of_a_known_kind(tmp_path: Path, folder: str, is_listed: bool) -> None:
    files: dict[str, Any] = {"users.json": OWN, **GENERAL, f"general/{DAY}": SAID}
    if is_listed:
        files["file_conversations.json"] = [{"id": "C0CANVAS", "name": "FC:F0CANVAS1:Plan: A-B" if "A-B" in folder else folder.upper()}]
    files[f"{folder}/{DAY}"] = [
        message(5, "USLACKBOT", subtype="document_comment_root", thread_ts=message(5)["ts"], reply_count=1),
        message(6, "UB", text="<@UA>", thread_ts=message(5)["ts"], parent_user_id="USLACKBOT"),
        message(7, subtype="document_unfurl"),
    ]
    found = imported(write(tmp_path, files))
    assert (found.quarantined(), "not_in_channel_list" in found.reasons()) == ([], False)
    assert found.contacts() == [AB, ("UB", "UA", "slack_channel", "mentioned")]
    assert dict(found.warehouse.run("select exclusion, count(*) from raw.interaction group by 1")) == {None: 2, "system": 2}
