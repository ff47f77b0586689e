"""The Slack export: layouts, faults and what each yields."""

from __future__ import annotations

import json
import random
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser
from connectors.records import Batch
from connectors.slack import archive
from connectors.slack.export import read
from connectors.slack.people import ANYWHERE

TEAM = "T0HOME"
CANARY = "CANARYXYLOPHONE"
Write = Callable[..., Path]


def rows(batches: Iterable[Batch], kind: str) -> list[dict[str, Any]]:
    return [row for batch in batches if kind in batch.records for row in batch.records[kind].to_pylist()]


def message(second: int, user: str = "U1", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "ts": f"{1_600_000_000 + second}.000100", "user": user, "text": CANARY, **fields}


def zipped(folder: Path, *, inside: str = "") -> Path:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archived:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archived.write(path, inside + path.relative_to(folder).as_posix())
    return target


@pytest.mark.oracle
def test_every_message_of_the_real_export_is_accounted_for(oracle_data: Path, pseudonyms: Pseudonymiser) -> None:
    batches = list(read(oracle_data / "slack_houston", pseudonyms))
    interactions, quarantine = rows(batches, "interaction"), rows(batches, "quarantine")
    assert len({row["interaction_key"] for row in interactions}) == len(interactions) == 1376
    assert Counter(row["reason"] for row in quarantine) == {"missing_sender": 6}  # file comments whose author was removed
    assert Counter(row["exclusion"] for row in interactions) == {None: 1025, "join_or_leave": 323, "system": 28}
    assert len({row["sender_key"] for row in interactions}) == 71
    assert len(rows(batches, "space")) == len({row["space_key"] for row in interactions}) == 16
    accounts = rows(batches, "account")
    assert len(accounts) == 71
    assert all(row["person_id"] is None for row in accounts)
    assert {row["sender_key"] for row in interactions} == {row["account_key"] for row in accounts}


def test_reading_again_yields_identical_batches(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    root = write_export({"general": {"2020-09-13": [message(1), message(2, "U9"), "broken", {"ts": "x"}]}})
    first, second = list(read(root, pseudonyms)), list(read(root, pseudonyms))
    assert [(a.stream, a.records, a.units_done) for a in first] == [(b.stream, b.records, b.units_done) for b in second]


@pytest.mark.parametrize("inside", ["", "My Workspace Export/"])
def test_zip_and_folder_are_equal(write_export: Write, pseudonyms: Pseudonymiser, inside: str) -> None:
    root = write_export({"general": {"2020-09-13": [message(1, reactions=[{"name": CANARY, "users": ["U2", "U3"], "count": 2}])]}})
    assert rows(read(root, pseudonyms), "interaction") == rows(read(zipped(root, inside=inside), pseudonyms), "interaction")


def test_full_layout_has_every_medium(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    root = write_export(
        {
            "general": {"2020-09-13": [message(1)]},
            "secret": {"2020-09-13": [message(2)]},
            "mpdm-u1--u2--u3-1": {"2020-09-14": [message(3)]},
            "D01ABCDEF": {"2020-09-15": [message(4, "U2")]},
        },
        lists={
            "channels.json": [{"id": "C1", "name": "general", "members": ["U1", "U2"]}],
            "groups.json": [{"id": "G1", "name": "secret", "members": ["U1"]}],
            "mpims.json": [{"id": "G2", "name": "mpdm-u1--u2--u3-1", "members": ["U1", "U2", "U3"]}],
            "dms.json": [{"id": "D01ABCDEF", "members": ["U1", "U2"]}],
        },
    )
    batches = list(read(root, pseudonyms))
    key = {name: pseudonyms.key("slack:account", f"{ANYWHERE}:{name}") for name in ("U1", "U2", "U3")}
    found = {row["medium"]: row for row in rows(batches, "interaction")}
    assert [p["account_key"] for p in found["slack_group_dm"]["participants"]] == [key["U2"], key["U3"]]
    assert found["slack_dm"]["participants"] == [{"account_key": key["U1"], "evidence": "addressed"}]
    assert found["slack_dm"]["recipient_count"] == 1
    assert found["slack_channel"]["participants"] == []
    spaces = {(row["kind"], row["is_private"]): row["member_count"] for row in rows(batches, "space")}
    assert spaces == {("channel", False): 2, ("channel", True): 1, ("group_dm", True): 3, ("dm", True): 2}
    statuses = {(row["medium"], row["status"]) for row in rows(batches, "coverage")}
    assert statuses == {
        ("slack_channel", "observed"),
        ("slack_group_dm", "observed"),
        ("slack_dm", "observed"),
        ("slack_huddle", "partial"),
    }


def test_standard_layout_says_what_is_missing(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    root = write_export({"general": {"2020-09-13": [message(1)], "2020-09-20": []}})
    coverage = rows(read(root, pseudonyms), "coverage")
    missing = [row for row in coverage if row["status"] == "missing"]
    assert Counter(row["medium"] for row in missing) == {"slack_dm": 1, "slack_group_dm": 1, "slack_channel": 1}
    assert {row["reason"] for row in missing} == {"not_in_export"}
    assert {(row["date_from"], row["date_to"]) for row in coverage} == {(date(2020, 9, 13), date(2020, 9, 20))}
    # a whole medium is never called a gap: the API may have it
    assert 0 not in {row["unit_key"] for row in missing}


def test_missing_lists_fall_back_on_folder_names(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    root = write_export(
        {
            "general": {"2020-09-13": [message(1)]},
            "mpdm-a--b--c-1": {"2020-09-13": [message(2)]},
            "D01ABCDEF": {"2020-09-13": [message(3, "U1"), message(4, "U2")]},
        },
        lists={},
    )
    batches = list(read(root, pseudonyms))
    found = rows(batches, "interaction")
    assert [row["medium"] for row in found] == ["slack_dm", "slack_dm", "slack_channel", "slack_group_dm"]
    # who is in the direct message is read from who writes in it
    assert [len(row["participants"]) for row in found] == [1, 1, 0, 0]
    assert {row["reason"] for row in rows(batches, "coverage") if row["status"] == "partial"} >= {"not_in_channel_list"}


def test_unknown_and_deleted_people_and_bots(write_export: Write, make_user: Any, pseudonyms: Pseudonymiser) -> None:
    users = [
        make_user("U1", deleted=True),
        make_user("U2", is_restricted=True, profile={"email": "guest@client.org"}),
        make_user("UB", is_bot=True, profile={"bot_id": "B1"}),
        make_user("U3", profile={}),
        make_user("U4", team_id="T0CLIENT", profile={}, is_stranger=True),
        make_user("U5", team_id="T0CLIENT", profile={"email": "x@example.com"}, is_stranger=True),
        "not a user",
        {"id": 5},
    ]
    days = {
        "general": {
            "2020-09-13": [
                message(1, "U7", user_team="T0CLIENT"),
                message(2, "UB"),
                message(3, "U8", text="<@U9>"),
                message(4, None, subtype="bot_message", bot_id="B7"),
            ]
        }
    }
    batches = list(read(write_export(days, users=users), pseudonyms, own_domains=frozenset({"example.com"})))
    by_key = {row["account_key"]: row for row in rows(batches, "account")}
    account = {
        name: by_key[pseudonyms.key("slack:account", f"{ANYWHERE}:{name}")]
        for name in ("U1", "U2", "UB", "U3", "U4", "U5", "U7", "U8", "U9", "B7")
    }
    assert len(by_key) == 10
    client = pseudonyms.domain_key("slack-team:T0CLIENT")
    assert account["U1"]["is_active"] is False
    assert account["U1"]["person_id"] == pseudonyms.person_id("u1@example.com")
    assert account["U2"]["is_guest"] is True
    assert account["U2"]["domain_key"] == pseudonyms.domain_key("client.org")
    assert account["UB"]["kind"] == "bot"
    assert account["U3"]["person_id"] is None
    assert (account["U4"]["domain_key"], account["U4"]["is_guest"]) == (client, True)
    assert account["U5"]["is_guest"] is False  # an own address counts for more than the workspace
    assert (account["U7"]["kind"], account["U7"]["domain_key"], account["U7"]["is_guest"]) == ("unknown", client, True)
    assert (account["U8"]["kind"], account["U8"]["domain_key"], account["U9"]["kind"]) == ("unknown", None, "unknown")
    assert account["B7"]["kind"] == "bot"
    assert [row["exclusion"] for row in rows(batches, "interaction")] == [
        None,
        None,
        None,
        "bot",
    ]  # a bot's account is for the warehouse to know
    assert [row["reason"] for row in rows(batches, "quarantine")] == ["malformed_user", "malformed_user"]


def test_organisation_wide_export_takes_every_workspace_as_its_own(tmp_path: Path, make_user: Any, pseudonyms: Pseudonymiser) -> None:
    enterprise = {"id": "W1", "enterprise_id": "E1", "teams": ["T1"]}
    root = tmp_path / "grid"
    (root / "general").mkdir(parents=True)
    (root / "org_users.json").write_text(
        json.dumps([make_user("U1", team_id="T1", enterprise_user=enterprise), make_user("U2", team_id="T2")])
    )
    (root / "channels.json").write_text(json.dumps([{"id": "C1", "name": "general"}]))
    (root / "general" / "2020-09-13.json").write_text(json.dumps([message(1), message(2, "W1", team="T2")]))
    batches = list(read(root, pseudonyms))
    assert {row["is_guest"] for row in rows(batches, "account")} == {False}
    # the organisation's id of a person is the same account
    assert {row["sender_key"] for row in rows(batches, "interaction")} == {pseudonyms.key("slack:account", f"{ANYWHERE}:U1")}


@pytest.mark.parametrize(
    "damage", [b"", b"[", b'[{"ts":', b"nonsense", b'{"a": 1}', b'[{"ts":"1.000001"} {"ts":"2.0"}]', b"\xff\xfe[", b"[" * 5000]
)
def test_broken_day_is_quarantined_and_the_others_read(write_export: Write, pseudonyms: Pseudonymiser, damage: bytes) -> None:
    root = write_export({"general": {"2020-09-12": [message(-9)], "2020-09-13": damage, "2020-09-14": [message(9)]}})
    batches = list(read(root, pseudonyms))
    assert len(rows(batches, "interaction")) == 2
    whole = [row for row in rows(batches, "quarantine") if row["observed_on"] == date(2020, 9, 13)]
    assert [row["reason"] in {"broken_json", "not_a_list"} for row in whole] == [True]
    assert ("partial", "broken_file", date(2020, 9, 13)) in [
        (row["status"], row["reason"], row["date_from"]) for row in rows(batches, "coverage")
    ]


def test_what_stands_before_the_break_is_kept(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    whole = json.dumps([message(second) for second in range(50)]).encode()
    root = write_export({"general": {"2020-09-13": whole[: len(whole) // 2]}})
    batches = list(read(root, pseudonyms))
    assert 20 <= len(rows(batches, "interaction")) <= 25
    assert [row["reason"] for row in rows(batches, "quarantine")] == ["broken_json"]


def test_a_byte_order_mark_and_lone_surrogates_are_read(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    text = json.dumps([message(1), message(2, text="\ud800")])
    root = write_export({"general": {"2020-09-13": b"\xef\xbb\xbf" + text.encode()}})
    assert len(rows(read(root, pseudonyms), "interaction")) == 2


def test_broken_user_list_is_quarantined(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    root = write_export({"general": {"2020-09-13": [message(1)]}}, lists={"users.json": b'[{"id": "U1"', "channels.json": []})
    batches = list(read(root, pseudonyms, team_id=TEAM))
    assert [row["reason"] for row in rows(batches, "quarantine")] == ["broken_json"]
    assert [row["kind"] for row in rows(batches, "account")] == ["unknown"]


def test_channels_that_share_a_name_lose_nothing_and_say_so(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    lists = {
        "channels.json": [{"id": "C1", "name": "meetup"}, {"id": "C3", "name": "meetup-"}],
        "groups.json": [{"id": "G2", "name": "meetup"}],
    }
    days = {"meetup": {"2020-09-13": [message(1)]}, "meetup-": {"2020-09-13": [message(1)]}}
    batches = list(read(write_export(days, lists=lists), pseudonyms))
    assert len({row["interaction_key"] for row in rows(batches, "interaction")}) == 2
    assert [row["reason"] for row in rows(batches, "coverage") if row["status"] == "partial" and row["medium"] == "slack_channel"] == [
        "ambiguous_folder"
    ]


def test_unicode_names_composed_or_not(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    lists = {"channels.json": [{"id": "C1", "name": "caf\u00e9"}, {"id": "C2", "name": "日本語"}]}
    root = write_export({"cafe\u0301": {"2020-09-13": [message(1)]}, "日本語": {"2020-09-13": [message(2)]}}, lists=lists)
    expected = {pseudonyms.key("slack:space", f"{ANYWHERE}:{channel}") for channel in ("C1", "C2")}
    assert {row["space_key"] for row in rows(read(root, pseudonyms), "interaction")} == expected
    assert {row["space_key"] for row in rows(read(zipped(root), pseudonyms), "interaction")} == expected


def test_names_in_utf_8_without_the_flag(tmp_path: Path, pseudonyms: Pseudonymiser) -> None:
    target = tmp_path / "old.zip"
    with zipfile.ZipFile(target, "w") as archived:
        archived.writestr("channels.json", json.dumps([{"id": "C1", "name": "caf\u00e9"}]))
        archived.writestr("caf\u00e9/2020-09-13.json", json.dumps([message(1)]))
    data = bytearray(target.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] &= ~0x08  # clear the flag that says UTF-8
            at = data.find(signature, at + 4)
    target.write_bytes(bytes(data))
    found = rows(read(target, pseudonyms, team_id=TEAM), "interaction")
    assert [row["space_key"] for row in found] == [pseudonyms.key("slack:space", f"{ANYWHERE}:C1")]


@pytest.mark.parametrize(
    "name", ["../outside/2020-09-13.json", "/etc/2020-09-13.json", "a/../../x.json", "..\\x.json", "C:/x/2020-09-13.json"]
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, pseudonyms: Pseudonymiser, name: str) -> None:
    target = tmp_path / "slip.zip"
    with zipfile.ZipFile(target, "w") as archived:
        archived.writestr("users.json", "[]")
        archived.writestr(name, "[]")
    with pytest.raises(UserError, match="leads out of it"):
        list(read(target, pseudonyms))


def test_links_are_refused(tmp_path: Path, write_export: Write, pseudonyms: Pseudonymiser) -> None:
    target = tmp_path / "link.zip"
    info = zipfile.ZipInfo("general/2020-09-13.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(target, "w") as archived:
        archived.writestr("users.json", "[]")
        archived.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="leads out of it"):
        list(read(target, pseudonyms))
    root = write_export({"general": {"2020-09-13": []}})
    (tmp_path / "elsewhere.json").write_text("[]")
    (root / "general" / "2020-09-14.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UserError, match="leads out of it"):
        list(read(root, pseudonyms))


def test_bombs_are_refused(tmp_path: Path, pseudonyms: Pseudonymiser) -> None:
    target = tmp_path / "bomb.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archived:
        archived.writestr("users.json", "[]")
        archived.writestr("general/2020-09-13.json", "[" + " " * 20_000_000 + "]")
    with pytest.raises(UserError, match="bomb"):
        list(read(target, pseudonyms))


@pytest.mark.parametrize("content", [b"no zip at all", b""])
def test_what_is_no_export_is_a_user_error(tmp_path: Path, pseudonyms: Pseudonymiser, content: bytes) -> None:
    path = tmp_path / "file.zip"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable ZIP"):
        list(read(path, pseudonyms))
    with pytest.raises(UserError, match="no file or folder"):
        list(read(tmp_path / "absent", pseudonyms))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither users"):
        list(read(tmp_path / "empty", pseudonyms))


def test_a_damaged_zip_entry_is_quarantined(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    root = write_export({"general": {"2020-09-13": [message(n) for n in range(200)], "2020-09-14": [message(90_000)]}})
    target = zipped(root)
    with zipfile.ZipFile(target) as archived:
        info = archived.getinfo("general/2020-09-13.json")
    data = bytearray(target.read_bytes())
    start = info.header_offset + 30 + len(info.filename) + 40
    data[start : start + 30] = bytes(random.Random(1).randbytes(30))
    target.write_bytes(data)
    batches = list(read(target, pseudonyms))
    assert "unreadable_file" in {row["reason"] for row in rows(batches, "quarantine")}
    assert date(2020, 9, 14) in {row["occurred_at"].date() for row in rows(batches, "interaction")}


def test_huge_days_are_streamed_in_batches(write_export: Write, pseudonyms: Pseudonymiser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "WHOLE_FILE_LIMIT", 1000)
    monkeypatch.setattr(archive, "_CHUNK", 4096)
    monkeypatch.setattr("connectors.slack.export.ROWS_A_BATCH", 100)
    root = write_export({"general": {"2020-09-13": [message(n, text="é" * (n % 37)) for n in range(1000)]}})
    batches = [batch for batch in read(root, pseudonyms) if batch.stream == "messages"]
    assert [batch.records["interaction"].num_rows for batch in batches] == [100] * 10 + [0]
    monkeypatch.undo()
    assert rows(read(root, pseudonyms), "interaction") == rows(batches, "interaction")
    assert batches[-1].units_done == batches[-1].units_total == 1


def test_a_record_too_long_to_hold_ends_the_file(write_export: Write, pseudonyms: Pseudonymiser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "WHOLE_FILE_LIMIT", 1000)
    monkeypatch.setattr(archive, "_CHUNK", 4096)
    monkeypatch.setattr(archive, "_ELEMENT_LIMIT", 20_000)
    root = write_export({"general": {"2020-09-13": [message(1), message(2, text="x" * 100_000), message(3)]}})
    batches = list(read(root, pseudonyms))
    assert len(rows(batches, "interaction")) == 1
    assert [row["reason"] for row in rows(batches, "quarantine")] == ["oversized_record"]


def test_the_opted_out_leave_no_trace_but_a_count(write_export: Write, pseudonyms: Pseudonymiser) -> None:
    root = write_export(
        {"general": {"2020-09-13": [message(1, "U1", text="<@U2>"), message(2, "U2", text="<@U1>"), message(3, "U2", text="<@U3>")]}}
    )
    hidden = pseudonyms.person_id("u1@example.com")
    batches = list(read(root, pseudonyms, opted_out=frozenset({str(hidden)})))
    found = rows(batches, "interaction")
    assert [row["exclusion"] for row in found] == ["opted_out", None, None]
    assert [row["participants"] for row in found][:2] == [[], []]
    assert [row["recipient_count"] for row in found] == [1, 1, 1]
    assert found[0]["sender_key"] is None
    assert pseudonyms.key("slack:account", f"{ANYWHERE}:U1") not in {row["account_key"] for row in rows(batches, "account")}
    assert hidden not in {row["person_id"] for row in rows(batches, "account")}


def test_content_never_leaves(write_export: Write, pseudonyms: Pseudonymiser, capfd: pytest.CaptureFixture[str]) -> None:
    rich = message(
        1,
        text=f"<@U2> {CANARY}",
        blocks=[{"type": "rich_text", "block_id": CANARY, "elements": [{"type": "text", "text": CANARY}]}],
        files=[{"name": CANARY}],
        attachments=[{"text": CANARY}],
        user_profile={"real_name": CANARY},
        reactions=[{"name": CANARY, "users": ["U3"]}],
    )
    broken = [{"ts": CANARY, "text": CANARY}, CANARY, {**rich, "subtype": CANARY}]
    batches = list(read(write_export({CANARY.lower(): {"2020-09-13": [rich, *broken]}}), pseudonyms))
    assert len(rows(batches, "quarantine")) == 3
    seen = repr([(b.cursors, {kind: table.to_pylist() for kind, table in b.records.items()}) for b in batches]) + "".join(
        capfd.readouterr()
    )
    assert CANARY not in seen
    assert CANARY.lower() not in seen
    assert "example.com" not in seen
    assert "U1" not in seen
