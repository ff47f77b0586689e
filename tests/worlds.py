"""Small worlds for tests: events written as rows, stored and built in a warehouse in memory."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.records import INSTANT, PARTICIPANT, SCHEMAS, Batch, table
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.catalog import TableSpec, load_catalog
from pipelines.declarations import Declarations
from pipelines.warehouse import Warehouse

SOURCE = "test"
MEETINGS = ("slack_huddle", "meeting_online", "meeting_in_person", "meeting_hybrid", "meeting_unknown")


def person(number: int, **fields: Any) -> dict[str, Any]:
    """An account record of a person whose person_key and account_key are `number`."""
    return {"source": SOURCE, "account_key": number, "person_id": f"{number:016x}{0:016x}", "kind": "human", **fields}


def event(
    when: str | date | datetime,
    sender: int | None,
    recipients: int | Sequence[int] = (),
    medium: str = "email",
    evidence: str | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """An interaction record. Meetings put everyone together (sender included); anything else addresses the recipients."""
    moment = datetime.fromisoformat(str(when)) if not isinstance(when, datetime) else when
    people = [recipients] if isinstance(recipients, int) else list(recipients)
    kind = evidence or ("co_present" if medium in MEETINGS else "addressed")
    if kind == "co_present" and sender is not None and sender not in people:
        people = [sender, *people]
    return {
        "source": SOURCE,
        "occurred_at": moment if moment.tzinfo else moment.replace(tzinfo=UTC),
        "medium": medium,
        "sender_key": sender,
        "participants": [{"account_key": number, "evidence": kind} for number in people],
        "recipient_count": len(people),
        **fields,
    }


def batch(
    events: Iterable[Mapping[str, Any]], people: Iterable[Mapping[str, Any]] = (), teams: Mapping[int, str] | None = None, **others: Any
) -> Batch:
    """A batch of events; everyone who appears gets an account, and the team that `teams` gives."""
    rows = [{"interaction_key": number, **row} for number, row in enumerate(events, start=1)]
    known = {row["account_key"]: dict(row) for row in people}
    seen = {row["sender_key"] for row in rows if row["sender_key"] is not None}
    seen |= {part["account_key"] for row in rows for part in row["participants"]}
    accounts = [known.get(number) or person(number) for number in sorted(seen | set(known))]
    memberships = [
        {"source": SOURCE, "account_key": number, "observed_on": date(2000, 1, 1), "team": team} for number, team in (teams or {}).items()
    ]
    records = {
        "account": table("account", accounts),
        "membership": table("membership", memberships),
        "interaction": table("interaction", rows),
    }
    return Batch(SOURCE, "events", {**records, **{kind: table(kind, listed) for kind, listed in others.items()}})


def built(
    events: Iterable[Mapping[str, Any]] | Batch,
    people: Iterable[Mapping[str, Any]] = (),
    teams: Mapping[int, str] | None = None,
    declarations: Declarations | None = None,
    as_of: date | None = None,
    only: Iterable[str] | None = None,
    **parameters: Any,
) -> Warehouse:
    """A warehouse in memory with the events stored and the tables built.

    Without `only`, every table is built; with it, the core tables and the metrics named (without schema) with all that they read.
    """
    warehouse = Warehouse(None)
    warehouse.store(events if isinstance(events, Batch) else batch(events, people, teams))
    build(warehouse, Parameters(**parameters), declarations, as_of=as_of, catalog=tables(only))
    return warehouse


def core(*arguments: Any, **options: Any) -> Warehouse:
    """A warehouse in memory with core tables only: quicker."""
    return built(*arguments, only=(), **options)


def tables(only: Iterable[str] | None = None) -> dict[str, TableSpec]:
    """The catalogue, cut down to core tables and the named metrics with all that they read."""
    catalog = load_catalog()
    if only is None:
        return catalog
    kept = {name for name, spec in catalog.items() if spec.schema == "core"}
    waiting = [f"metrics.{name}" for name in only]
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept.add(name)
            waiting += [read for read in catalog[name].reads if read in catalog]
    return {name: spec for name, spec in catalog.items() if name in kept}


def edge_events(
    seconds: Any, senders: Any, recipients: Any, medium: str = "email", evidence: str = "addressed", start: str = "2020-01-01"
) -> Batch:
    """A batch from arrays of an edge list: seconds since `start`, sender and recipient numbers. Built as columns, for big data."""
    count = len(senders)
    moments = np.datetime64(start, "us") + np.asarray(seconds).astype("timedelta64[s]").astype("timedelta64[us]")
    parts = pa.StructArray.from_arrays(
        [pa.array(np.asarray(recipients, dtype=np.int64)), pa.array([evidence] * count)], fields=list(PARTICIPANT)
    )
    columns = {
        "source": pa.array([SOURCE] * count),
        "interaction_key": pa.array(np.arange(1, count + 1)),
        "occurred_at": pa.array(moments).cast(INSTANT),
        "medium": pa.array([medium] * count),
        "sender_key": pa.array(np.asarray(senders, dtype=np.int64)),
        "participants": pa.ListArray.from_arrays(pa.array(np.arange(count + 1), pa.int32()), parts),
        "recipient_count": pa.array(np.ones(count, np.int32)),
    }
    schema = SCHEMAS["interaction"]
    interactions = pa.Table.from_arrays([columns.get(f.name, pa.nulls(count, f.type)) for f in schema], schema=schema)
    people = np.unique(np.concatenate([np.asarray(senders), np.asarray(recipients)]))
    return Batch(SOURCE, "events", {"account": table("account", [person(int(number)) for number in people]), "interaction": interactions})


def eu_core(folder: Path) -> Batch:
    """EU-core temporal e-mail: 332,334 events among 986 people, seconds from 0; day 0 is 2020-01-01 here."""
    with gzip.open(folder / "eu_core" / "email-Eu-core-temporal.txt.gz") as file:
        edges = np.loadtxt(file, dtype=np.int64)
    return edge_events(edges[:, 2], edges[:, 0] + 1, edges[:, 1] + 1)


def college(folder: Path) -> Batch:
    """CollegeMsg: 59,835 private messages among 1,899 students."""
    with gzip.open(folder / "collegemsg" / "CollegeMsg.txt.gz") as file:
        edges = np.loadtxt(file, dtype=np.int64)
    return edge_events(edges[:, 2], edges[:, 0], edges[:, 1], medium="slack_dm", start="1970-01-01")


def days(start: str, *offsets: int) -> list[datetime]:
    """Noon UTC of the days at `offsets` from `start`."""
    first = datetime.fromisoformat(start).replace(hour=12, tzinfo=UTC)
    return [first + timedelta(days=offset) for offset in offsets]
