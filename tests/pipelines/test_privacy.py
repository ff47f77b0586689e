"""Erasure and access: after `forget`, no row and no byte names the person, nothing later brings them back, and every metric builds."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from worlds import tables

from connectors.opted_out import OptedOut, tombstone
from connectors.pseudonyms import Pseudonymiser
from connectors.records import Batch
from connectors.records import table as records
from connectors.sandbox import World
from connectors.sandbox.sandbox import Sandbox
from pipelines import cli, night, privacy, sync
from pipelines.catalog import load_catalog
from pipelines.cli import app, run
from pipelines.home import Home
from pipelines.settings import Settings
from pipelines.sync import open_warehouse
from pipelines.tombstones import person_key
from pipelines.warehouse import Warehouse

ANN, ALIAS = "ann@firm.example", "ann.before@firm.example"
SECRET = bytes.fromhex("5a" * 32)
P = Pseudonymiser(SECRET)
ANN_ACCOUNT = P.key("microsoft365:account", "object-1")
BOB_ACCOUNT = P.key("microsoft365:account", "object-2")


def account(key: int, address: str, *aliases: str) -> dict[str, Any]:
    return {
        "source": "microsoft365",
        "account_key": key,
        "person_id": P.person_id(address),
        "alias_ids": [P.person_id(alias) for alias in aliases],
        "kind": "human",
    }


def mail(number: int, sender: int, *recipients: int, medium: str = "email", evidence: str = "addressed", **fields: Any) -> dict[str, Any]:
    return {
        "source": "microsoft365",
        "interaction_key": P.key("microsoft365:mail", str(number)),
        "occurred_at": datetime(2024, 2, 1 + number % 25, 9, tzinfo=UTC),
        "medium": medium,
        "sender_key": sender,
        "participants": [{"account_key": key, "evidence": evidence} for key in recipients],
        "recipient_count": len(recipients),
        **fields,
    }


def tenant() -> Batch:
    carol = P.key("microsoft365:account", "object-3")
    registry = {str(ANN_ACCOUNT): [P.person_id(ANN), [P.person_id(ALIAS)], None, "human", True, False, True, True, ["A", None, None, None, None]],  # noqa: E501
                str(BOB_ACCOUNT): [P.person_id("bob@firm.example"), [], None, "human", True, False, True, True, ["A", None, ANN_ACCOUNT, None, None]]}  # fmt: skip  # noqa: E501
    present = {"1": [1, 2, 3, 4, [ANN_ACCOUNT, BOB_ACCOUNT], False, ANN_ACCOUNT]}
    place = {"source": "microsoft365", "observed_on": date(2024, 2, 1), "team": "A"}
    return Batch(
        "microsoft365",
        "mail",
        {
            "account": records("account", [account(ANN_ACCOUNT, ANN, ALIAS), account(BOB_ACCOUNT, "bob@firm.example"), account(carol, "carol@firm.example")]),  # noqa: E501
            "membership": records("membership", [{**place, "account_key": ANN_ACCOUNT}, {**place, "account_key": BOB_ACCOUNT, "manager_key": ANN_ACCOUNT}]),  # noqa: E501
            "interaction": records(
                "interaction",
                [mail(number, ANN_ACCOUNT, BOB_ACCOUNT, carol) for number in range(20)]
                + [mail(100 + number, BOB_ACCOUNT, ANN_ACCOUNT, carol) for number in range(20)]
                + [mail(200 + number, ANN_ACCOUNT, ANN_ACCOUNT, BOB_ACCOUNT, carol, medium="meeting_online", evidence="co_present", minutes=30.0)  # noqa: E501
                   for number in range(5)],
            ),
            "coverage": records("coverage", [{"source": "microsoft365", "stream": "mail", "unit_key": ANN_ACCOUNT, "medium": "email",
                                            "date_from": date(2024, 2, 1), "date_to": date(2024, 2, 2), "status": "missing", "reason": "forbidden"}]),  # noqa: E501
        },
        {
            "accounts:1": json.dumps(registry),
            "attendance:2024-02-01": json.dumps(present),
            f"mail:{ANN_ACCOUNT}": "2024-02-25T00:00:00Z",
            f"mail:{BOB_ACCOUNT}": "2024-02-25T00:00:00Z",
            f"account:{ANN_ACCOUNT}": f"2024-02-01|{P.person_id(ANN)}",
        },
    )  # fmt: skip


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Core tables and one metric: quick. One test builds them all."""
    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", lambda: tables(["pair_panel"]))


@pytest.fixture
def home(few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("PERDURE_KEY", SECRET.hex())
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home").create()
    write_events(tmp_path)
    sync.import_events(home, Settings(), tmp_path / "events.csv", people=tmp_path / "people.csv")
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.store(tenant())
    return home


def write_events(folder: Path) -> None:
    people = [ALIAS, *(f"p{number}@firm.example" for number in range(6))]
    lines = [f"2024-0{month}-{day:02}T10:00,{people[day % 7]},{people[(day * month) % 6]}" for month in (1, 2, 3) for day in range(1, 28)]
    (folder / "events.csv").write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
    (folder / "people.csv").write_text("\n".join(["person,team", *(f"{name},team {name[1]}" for name in people)]), encoding="utf-8")


def ids() -> list[str]:
    return [name for name in (P.person_id(ANN), P.person_id(ALIAS)) if name]


def account_keys() -> list[int]:
    return [ANN_ACCOUNT, P.key("address", ANN), P.key("address", ALIAS)]


def bytes_naming(folder: Path) -> list[str]:
    keys = [*account_keys(), *(person_key(name) for name in ids())]
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(needle in path.read_bytes() for needle in privacy.traces(keys, ids()))
    ]


def call(*words: str) -> int:
    cli._global.update(home=None, quiet=False)
    return run(lambda: app(list(words), standalone_mode=True))


def test_after_forget_no_row_and_no_byte_names_the_person_and_everything_builds(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    night.build_stage(home, settings)
    night.publish_stage(home, settings)
    # a panel from before the retention period is never computed again: only deletion takes the person out of it
    with open_warehouse(home, settings) as warehouse:
        low, high = sorted([person_key(min(ids())), person_key(P.person_id("bob@firm.example") or "")])
        kept = "panel_kind, panel_start, person_a_key, person_b_key, medium"
        warehouse.run(f"insert into metrics.pair_panel ({kept}) values ('month', date '2015-01-01', $1, $2, 'any')", [low, high])
        warehouse.run("insert into metrics.pair_panel (panel_kind, panel_start, person_a_key, person_b_key, medium) values ('month', date '2015-01-01', 1, 2, 'any')")  # fmt: skip  # noqa: E501
        warehouse.remember("retained from", "2023-01-01")
    (home.path / "analytics.duckdb.next").write_bytes(home.published.read_bytes())
    assert {"warehouse.duckdb", "analytics.duckdb", "analytics.duckdb.next"} <= set(bytes_naming(home.path)), "the search would find them"

    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", load_catalog)
    done = privacy.forget(home, settings, f" {ANN.upper()} ")

    assert done.accounts == 2  # the directory's, and the alias's in the events file
    assert done.rows["raw.interaction"] > 45
    assert done.removed == ["analytics.duckdb.next"]
    assert bytes_naming(home.path) == []
    with open_warehouse(home, settings) as warehouse:
        assert warehouse.memo("build") == "finished"
        assert warehouse.value("select count(*) from metrics.pair_panel where panel_start = date '2015-01-01'") == 1
        # the messages are still counted, and connect nobody
        assert warehouse.run(
            "select count(*), count(sender_key) from raw.interaction where exclusion = 'opted_out' and source = 'microsoft365'"
        ) == [(20, 0)]
        # what the others did without the person stays: Bob's mails to Carol, and the meetings of both
        assert warehouse.run(
            "select medium, count(*) from core.contact where interaction_key in (select interaction_key from raw.interaction "
            "where source = 'microsoft365') group by 1 order by 1"
        ) == [("email", 20), ("meeting_online", 5)]
        assert json.loads(warehouse.state("microsoft365").cursor("accounts:1") or "") == {
            str(BOB_ACCOUNT): [P.person_id("bob@firm.example"), [], None, "human", True, False, True, True, ["A", None, None, None, None]]
        }
        assert json.loads(warehouse.state("microsoft365").cursor("attendance:2024-02-01") or "") == {
            "1": [1, 2, 3, 4, [BOB_ACCOUNT], False, None]
        }
        assert set(warehouse.state("microsoft365").cursors("")) == {"accounts:1", "attendance:2024-02-01", f"mail:{BOB_ACCOUNT}"}
        assert warehouse.value("select count(*) from raw.coverage where unit_key <> 0") == 0
    with duckdb.connect(str(home.published), read_only=True) as reader:
        assert reader.execute("select count(*) > 0 from core.person").fetchall() == [(True,)]


def test_what_is_older_than_the_retention_period_is_gone_from_the_files_bytes(home: Home, tmp_path: Path) -> None:
    settings, today = Settings(), datetime.now(UTC)
    recent = [f"{today - timedelta(days=day):%Y-%m-%dT10:00},p1@firm.example,p{day % 4 + 2}@firm.example" for day in range(1, 30)]
    (tmp_path / "recent.csv").write_text("\n".join(["at,sender,recipient", *recent]), encoding="utf-8")
    sync.import_events(home, settings, tmp_path / "recent.csv")
    night.build_stage(home, settings)
    night.publish_stage(home, settings)
    panels = "select * from metrics.pair_panel where panel_kind <> 'all' and panel_start < date '2025-01-01' order by all"
    with open_warehouse(home, settings) as warehouse:
        old, kept = (
            [
                key.to_bytes(8, "little", signed=True)
                for (key,) in warehouse.run(f"select interaction_key from raw.interaction where occurred_at {test}")
            ]
            for test in ("< timestamp '2025-01-01'", ">= timestamp '2025-01-01'")
        )
        before = warehouse.run(panels)
    assert len(before) > 50
    assert all(key in home.warehouse.read_bytes() and key in home.published.read_bytes() for key in old), "the search would find them"
    deleted = night.retention_stage(home, settings, yes=True)
    night.build_stage(home, settings)
    night.publish_stage(home, settings)
    assert (deleted["raw.interaction"], len(kept)) == (len(old), 29)
    assert deleted["core.contact"] > 100
    for path in home.path.rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        assert not any(key in held for key in old), path.name
    assert all(key in home.warehouse.read_bytes() for key in kept)
    with open_warehouse(home, settings) as warehouse:
        assert warehouse.run(panels) == before, "panels stay"


def test_what_lands_later_does_not_bring_the_person_back(home: Home, tmp_path: Path) -> None:
    settings = Settings()
    night.build_stage(home, settings)
    privacy.forget(home, settings, ANN)
    write_events(tmp_path)
    sync.import_events(home, settings, tmp_path / "events.csv", people=tmp_path / "people.csv")
    with open_warehouse(home, settings) as warehouse:
        warehouse.store(tenant())
        # a source that knows them only by the alias, under an account that nobody knew of
        fresh = P.key("slack:account", "T1:U1")
        warehouse.store(Batch("slack", "messages", {"account": records("account", [{**account(fresh, ALIAS), "source": "slack"}])}))
        warehouse.store(
            Batch("slack", "messages", {"interaction": records("interaction", [{**mail(900, fresh, BOB_ACCOUNT), "source": "slack"}])})
        )
        assert warehouse.run("select sender_key, participants, exclusion from raw.interaction where source = 'slack'") == [
            (None, [], "opted_out")
        ]
    night.build_stage(home, settings)
    night.publish_stage(home, settings)
    assert bytes_naming(home.path) == []


def test_an_account_that_turns_out_to_be_theirs_is_taken_out_with_what_it_left(home: Home) -> None:
    with open_warehouse(home, Settings()) as warehouse:
        unknown = P.key("slack:account", "T1:U2")
        nameless = {**account(unknown, ""), "source": "slack"}
        said = {**mail(901, unknown, BOB_ACCOUNT), "source": "slack"}
        warehouse.store(
            Batch("slack", "messages", {"account": records("account", [nameless]), "interaction": records("interaction", [said])})
        )
    privacy.forget(home, Settings(), ANN)
    with open_warehouse(home, Settings()) as warehouse:
        assert warehouse.value("select sender_key from raw.interaction where source = 'slack'") == unknown
        learnt = {**account(unknown, "third@firm.example", ANN), "source": "slack"}
        warehouse.store(Batch("slack", "directory", {"account": records("account", [learnt])}))
        assert warehouse.run("select sender_key, exclusion from raw.interaction where source = 'slack'") == [(None, "opted_out")]
        assert warehouse.value("select count(*) from raw.account where source = 'slack'") == 0
        assert warehouse.tombstones.covers(P.person_id("third@firm.example"))
        assert warehouse.value("select count(*) > 0 from raw.touched_day") is True


def test_forgetting_again_and_forgetting_someone_unknown_change_nothing_else(home: Home) -> None:
    settings = Settings()
    privacy.forget(home, settings, ANN)
    again = privacy.forget(home, settings, ALIAS)
    assert (again.accounts, again.rows) == (0, {})
    with open_warehouse(home, settings) as warehouse:
        before = warehouse.run("select bit_xor(hash(t)) from raw.interaction as t")
    privacy.forget(home, settings, "nobody@firm.example")
    with open_warehouse(home, settings) as warehouse:
        assert warehouse.run("select bit_xor(hash(t)) from raw.interaction as t") == before
        assert warehouse.tombstones.covers(P.person_id("nobody@firm.example"))


def test_erasure_is_one_transaction(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(home)

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("pipelines.tombstones.Tombstones._erase_figures", broken)
    with pytest.raises(RuntimeError):
        privacy.forget(home, Settings(), ANN)
    assert state(home) == before


def state(home: Home) -> list[tuple[Any, ...]]:
    with open_warehouse(home, Settings()) as warehouse:
        return [
            row
            for name in ("account", "interaction", "membership", "cursor", "coverage", "tombstone")
            for row in warehouse.run(f"select count(*), bit_xor(hash(t)) from raw.{name} as t")
        ]


def test_about_counts_and_names_nobody_else(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{ALIAS}\n"))
    night.build_stage(home, Settings())
    capsys.readouterr()
    assert call("about", "-") == 0
    text = capsys.readouterr().out
    told = json.loads(text)
    assert (told["is_held"], told["is_forgotten"], len(told["accounts"])) == (True, False, 2)
    by_medium = {(row["source"], row["medium"]): row for row in told["interactions"]}
    mails, meetings = by_medium["microsoft365", "email"], by_medium["microsoft365", "meeting_online"]
    assert (mails["sent_or_organised"], mails["took_part"], mails["first_day"], mails["last_day"]) == (20, 20, "2024-02-01", "2024-02-20")
    assert (meetings["sent_or_organised"], meetings["took_part"]) == (5, 5)
    assert {row["month"] for row in told["interactions_by_month"]} == {"2024-01", "2024-02", "2024-03"}
    assert told["rows_by_table"]["core.person"] == 1
    for other in (BOB_ACCOUNT, P.key("microsoft365:account", "object-3"), person_key(P.person_id("bob@firm.example") or "")):
        assert str(other) not in text
    assert "bob" not in text
    assert "ann" not in text.replace("channel", "")


def test_the_commands_ask_before_they_erase(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert call("forget", ANN) == 2
    assert "give --yes" in capsys.readouterr().err
    assert call("forget", "no address", "--yes") == 2
    assert "give an e-mail address" in capsys.readouterr().err
    assert call("--quiet", "forget", ANN, "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["accounts"] == 2
    with open_warehouse(home, Settings()) as warehouse:
        assert ("forget", "done") in warehouse.run("select command, outcome from raw.run")


def test_a_person_without_an_address_is_forgotten_by_person_id(home: Home) -> None:
    with open_warehouse(home, Settings()) as warehouse:
        nameless = P.key("slack:account", "T1:U2")
        said = {**mail(901, nameless, BOB_ACCOUNT), "source": "slack"}
        warehouse.store(
            Batch(
                "slack",
                "m",
                {
                    "account": records("account", [{**account(nameless, ""), "source": "slack"}]),
                    "interaction": records("interaction", [said]),
                },
            )
        )
    night.build_stage(home, Settings())
    with open_warehouse(home, Settings()) as warehouse:
        (person_id,) = [str(name) for (name,) in warehouse.run("select person_id from core.account where source = 'slack'")]
    assert privacy.forget(home, Settings(), person_id).accounts == 1
    with open_warehouse(home, Settings()) as warehouse:
        assert warehouse.run("select sender_key, exclusion from raw.interaction where source = 'slack'") == [(None, "opted_out")]


def test_tombstones_tell_nothing_and_are_what_sql_hashes() -> None:
    warehouse = Warehouse(None)
    warehouse.tombstones.add(["12345"])
    assert (
        warehouse.value("select tombstone from raw.tombstone")
        == tombstone("12345")
        == warehouse.value("select sha256('perdure tombstone 12345')")
    )
    assert "12345" in OptedOut([tombstone("12345")])
    assert "12345" in OptedOut(["12345"])
    assert "12346" not in OptedOut([tombstone("12345")])
    assert not OptedOut([])


def test_connectors_are_told_whom_to_leave_out(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    privacy.forget(home, Settings(), ANN)
    settings = Settings(slack={"token": "xoxb-1", "opted_out": {"7"}})  # type: ignore[arg-type]
    told: list[frozenset[str]] = []

    class Connector:
        @staticmethod
        async def fetch(chosen: Any, *_: object) -> Any:
            told.append(chosen.opted_out)
            for batch in ():
                yield batch

    monkeypatch.setattr("pipelines.sync._connector", lambda _: Connector)
    sync.sync_source(home, settings, "slack")
    assert {"7", tombstone(P.person_id(ANN) or ""), tombstone(str(ANN_ACCOUNT))} <= told[0]


def test_both_services_read_on_without_a_forgotten_person(few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year's reading, the erasure, and nights after it: no row, no byte and no cursor holds any of the person's keys."""
    monkeypatch.setenv("PERDURE_KEY", SECRET.hex())
    home = Home(tmp_path / "home").create()
    with Sandbox(World(people=15, days=30, seed=2)) as served:
        ends = served.organisation.ends
        settings = Settings(
            slack=served.slack_settings(),  # type: ignore[arg-type]
            microsoft365={**served.graph_settings(), "retry_seconds": 0.01},  # type: ignore[arg-type]
        )
        served.now = ends - timedelta(days=6)
        for source in ("slack", "microsoft365"):
            sync.sync_source(home, settings, source, until=served.now)
        with open_warehouse(home, settings) as warehouse:
            # whoever is in most interactions of Slack and in the other directory too
            ((key, person_id),) = warehouse.run(
                "select a.account_key, a.person_id from raw.account as a join raw.interaction as i on i.sender_key = a.account_key "
                "where a.source = 'slack' and a.person_id in (select person_id from raw.account where source = 'microsoft365') "
                "group by all order by count(*) desc, 1 limit 1"
            )
            who = privacy.identify(warehouse, P, person_id)
        needles = privacy.traces([*who.account_keys, *(person_key(name) for name in who.person_ids)], who.person_ids)
        done = privacy.forget(home, settings, person_id)
        assert done.accounts >= 2
        for day in (3, 0):
            served.now = ends - timedelta(days=day)
            for source in ("slack", "microsoft365"):
                sync.sync_source(home, settings, source, until=served.now)
    night.build_stage(home, settings)
    night.publish_stage(home, settings)
    with open_warehouse(home, settings) as warehouse:
        assert (
            warehouse.value(
                "select count(*) from raw.interaction where occurred_at > $1", [(ends - timedelta(days=3)).replace(tzinfo=None)]
            )
            > 0
        )
        assert warehouse.value("select count(*) from raw.interaction where exclusion = 'opted_out'") > 0
        for _, name, value in warehouse.run("select source, name, value from raw.cursor"):
            assert str(key) not in name + value, name.partition(":")[0]
            assert person_id not in name + value, name.partition(":")[0]
    for path in home.path.rglob("*"):
        if path.is_file():
            assert not any(needle in path.read_bytes() for needle in needles), path.name
