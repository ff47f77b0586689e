"""The people file: who is in which team, office and organisation, and from when to when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from connectors.errors import UserError
from connectors.events_file.accounts import Accounts
from connectors.events_file.layout import Layout, opened, plain
from connectors.events_file.recipients import CellError, people_in
from connectors.events_file.rows import Faults
from connectors.records import Batch, table

COLUMNS: Final = ("person", "team", "organisation", "manager", "office", "valid_from", "valid_to", "joined_on", "left_on")
HRIS: Final = {"personid": "person", "team": "team", "managerid": "manager", "location": "office", "startdate": "joined_on"}
"""The columns of orgnet's `hris.csv`, the one of other tools' people files that is read as it is."""
SHAPES: Final = {"people": (frozenset({"person"}),), "orgnet": (frozenset({"personid", "team", "startdate"}),)}
_DATES: Final = ("valid_from", "valid_to", "joined_on", "left_on")
_OF_THE_PLACE: Final = frozenset({"valid_from", "valid_to"})
# a people file without dates says what holds whenever it is read: a fixed day, so that a corrected file replaces the one before
_UNDATED: Final = date(1970, 1, 1)
_EXCEL_EPOCH: Final = date(1899, 12, 30)


def read_people(path: Path, accounts: Accounts, faults: Faults, *, encoding: str | None = None) -> Iterator[Batch]:
    """Yield memberships from the people file. Few rows, so plainly one by one.

    Raises:
        UserError: If the file cannot be read, lacks a column or has an unknown one.
    """
    layout = opened(path, SHAPES, encoding=encoding)
    names = _columns(layout)
    for line, piece in layout.pieces(names):
        places: list[dict[str, Any]] = []
        for number, row in enumerate(piece.rename_columns([names[name] for name in piece.column_names]).to_pylist()):
            place = _place(row, accounts, faults)
            if isinstance(place, str):
                faults.add(place, piece, np.arange(piece.num_rows) == number, line)
            else:
                places.append(place)
        yield Batch(accounts.source, "people", {"membership": table("membership", places)})


def _columns(layout: Layout) -> dict[str, str]:
    """Return the file's columns with what they are here."""
    if SHAPES["orgnet"][0] <= layout.columns.keys():
        return {name: meaning for name, meaning in HRIS.items() if name in layout.columns}
    known = {plain(name): name for name in COLUMNS}
    if "person" not in layout.columns:
        raise UserError(f"{layout.path.name}: lacks the column person; known are {', '.join(COLUMNS)}")
    if unknown := layout.columns.keys() - known.keys():
        raise UserError(
            f"{layout.path.name}: has {len(unknown)} unknown column(s); known are {', '.join(COLUMNS)}: drop the others, they are not read"
        )
    return {name: known[name] for name in layout.columns}


def _place(row: dict[str, Any], accounts: Accounts, faults: Faults) -> dict[str, Any] | str:
    """Return a membership record, or why the row makes none. A bad day of joining or leaving costs itself only."""
    try:
        person, manager = _person(row.get("person")), None
        if person is None:
            return "no_person"
    except CellError as error:
        return error.code
    try:
        manager = _person(row.get("manager"))
    except CellError:
        faults.fields["manager"] += 1
    days: dict[str, date | None] = {}
    for name in _DATES:
        try:
            days[name] = _day(row.get(name))
        except ValueError:
            if name in _OF_THE_PLACE:
                # a place of which it is not known when it held says nothing
                return "bad_date"
            faults.fields[name] += 1
    text = {name: str(row[name]).strip() or None for name in ("team", "office", "organisation") if row.get(name) is not None}
    return {
        "source": accounts.source,
        "account_key": accounts.key(person),
        "observed_on": _UNDATED,
        "manager_key": accounts.key(manager) if manager else None,
        **text,
        **days,
    }


def _person(value: Any) -> str | None:
    """Return the one person of a cell."""
    people = people_in("" if value is None else str(value), is_list=False)
    if len(people) > 1:
        raise CellError("several_persons")
    return people[0] if people else None


def _day(value: Any) -> date | None:
    """Return a day: ISO, with full stops (the day first), or as a spreadsheet counts days.

    Raises:
        ValueError: If it is none of these; `3/4/2026` may be the third or the fourth month.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, datetime | date):
        return date(value.year, value.month, value.day)
    text = str(value).strip()
    if text.isdigit() and 25_570 <= int(text) < 86_400:
        return _EXCEL_EPOCH + timedelta(days=int(text))
    parts = text.split(".")
    if len(parts) == 3 and len(parts[2]) == 4:
        return date(int(parts[2]), int(parts[1]), int(parts[0]))
    return date.fromisoformat(text[:10])


def organisations(batch: Batch) -> set[str]:
    """Return the organisations that a batch's memberships name."""
    if "membership" not in batch.records:
        return set()
    column: pa.ChunkedArray = batch.records["membership"].column("organisation")
    return {name for name in column.unique().to_pylist() if name}
