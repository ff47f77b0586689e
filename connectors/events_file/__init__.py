"""A file of interactions from any other tool, and a file of people beside it.

Events: columns `at`, `sender`, and `recipient` (one) or `recipients` (a list); optional `interaction_id` (rows that share it are
one interaction), `medium` (default `email`), `evidence` (default `addressed`, `co_present` for meetings) and `minutes`. A sender
or recipient is an e-mail address or any other id; addresses join people across sources. Exports of some tools are read as they
are (`connectors.events_file.formats`).

What is certain is read: any separator, case of the header, encoding that says itself, way to write times and lists of people
(`times`, `recipients`). What is not is refused with column, line, value and mend, and so is a file of which nothing can be used.
Times later than now are put in quarantine.

People: columns `person`, `team`, `organisation`; optional `manager`, `office`, `valid_from`, `valid_to`, `joined_on`, `left_on`.

Without `interaction_id` every row is an interaction, known by its content and by how many equal rows stand before it, so
that importing a file again changes nothing. It misleads where a file is split between equal rows: those become one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from connectors.errors import UserError
from connectors.events_file.accounts import Accounts
from connectors.events_file.exports import Context
from connectors.events_file.formats import FORMATS, Format, detected
from connectors.events_file.landed import batches
from connectors.events_file.layout import SEPARATORS, Layout, opened, plain
from connectors.events_file.people import organisations, read_people
from connectors.events_file.rows import Events, Faults, integers, refuse_wrong_types, told
from connectors.events_file.times import Reading, Survey, moments
from connectors.pseudonyms import Pseudonymiser
from connectors.records import MEDIA, Batch, table

__all__ = ["COLUMNS", "FORMATS", "Options", "organisations", "read"]

COLUMNS: Final = ("at", "sender", "recipient", "recipients", "interaction_id", "medium", "evidence", "minutes")
_SHAPES: Final = (
    *(frozenset({"at", "sender", to}) for to in ("recipient", "recipients")),
    *(telling for known in FORMATS.values() for telling in known.telling),
)
_ORDERS: Final = ("day-first", "month-first")


@dataclass(frozen=True, slots=True)
class Options:
    """What whoever imports a file may say of it, where the file does not say it itself.

    Attributes:
        format: The name of an export's format; by default the header tells.
        time_zone: The IANA name of the zone of times that name none.
        home_zone: The organisation's zone, where settings state it: that of times as a country or a spreadsheet writes them.
        date_order: `day-first` or `month-first`.
        encoding: The encoding of a CSV file.
        medium: The medium of rows that name none.
    """

    format: str | None = None
    time_zone: str | None = None
    home_zone: str | None = None
    date_order: str | None = None
    encoding: str | None = None
    medium: str | None = None

    def reading(self) -> Reading:
        """Return how times that leave something open are to be taken, as far as it was said.

        Raises:
            UserError: If the zone or the order is none.
        """
        if self.date_order not in (None, *_ORDERS):
            raise UserError(f"--date-order: is {' or '.join(_ORDERS)}")
        if self.medium not in (None, *MEDIA):
            raise UserError(f"--medium: no such medium; known are {', '.join(MEDIA)}")
        local = self.time_zone or self.home_zone
        try:
            return Reading(ZoneInfo(self.time_zone or "UTC"), ZoneInfo(local) if local else None, self.date_order)
        except (KeyError, ValueError, OSError):
            raise UserError("--time-zone: no such time zone; use an IANA name such as Europe/Paris, or UTC") from None


@dataclass(slots=True)
class _File:
    """An events file as the columns that are known here, whatever it is."""

    path: Path
    options: Options
    notes: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    medium: str = "email"

    def pieces(self) -> tuple[list[tuple[int, pa.Table]] | Iterator[tuple[int, pa.Table]], Reading]:
        """Return the file in pieces with the line that each begins in, and how its times are to be read."""
        layout = opened(self.path, {"events": _SHAPES}, encoding=self.options.encoding)
        given = self.options.reading()
        if layout.encoding and layout.separator != ",":
            self.notes.append(f"cells are separated by {SEPARATORS.get(layout.separator, layout.separator)}s")
        name = self.options.format or (None if {"at", "sender"} <= layout.columns.keys() else detected(layout))
        if name is not None and name not in FORMATS:
            raise UserError(f"--format: no such format; known are {', '.join(FORMATS)}")
        if name is None:
            return self._plain(layout, given)
        self.notes.append(f"read as {name}")
        return self._exported(layout, name, FORMATS[name], given)

    def _plain(self, layout: Layout, given: Reading) -> tuple[Iterator[tuple[int, pa.Table]], Reading]:
        known = _verified(layout)
        self.names = {name: layout.names[layout.columns[name]].strip() for name in known}
        survey = Survey(self.path.name, self.names["at"])
        for line, piece in layout.pieces(["at"]):
            refuse_wrong_types(self.path, piece)
            survey.add(piece["at"], line)
        self._tell_crooked(layout)
        return layout.pieces(known), survey.reading(given)

    def _exported(self, layout: Layout, name: str, known: Format, given: Reading) -> tuple[list[tuple[int, pa.Table]], Reading]:
        roles = known.columns(layout, name)
        pieces = [piece for _, piece in layout.pieces(dict.fromkeys(roles.values()))]
        self._tell_crooked(layout)
        self.medium = known.medium
        self.names = {role: layout.names[layout.columns[alias]].strip() for role, alias in roles.items()}
        whole = pa.concat_tables(pieces) if pieces else pa.table({alias: pa.array([], pa.string()) for alias in roles.values()})
        frame = pd.DataFrame({role: whole[alias].cast(pa.string()).to_pandas() for role, alias in roles.items()})
        first = layout.header_line + 1
        times = [role for role in ("at", "join", "start", "logged_at") if role in roles]
        column = self.names[times[0]] if times else "time"
        reading = self._convention(known, given, frame[times].to_csv() + str(layout.before))
        if "at" in roles:
            # rows that are left out tell the order of day and month all the same
            survey = Survey(self.path.name, column)
            survey.add(whole[roles["at"]], first)
            reading = survey.reading(reading)
        context = Context(layout.before, lambda values: _when(values, reading, Survey(self.path.name, column), first))
        rows = pa.Table.from_pandas(known.rows(frame, context), preserve_index=False) if len(frame) else pa.table({})
        self.notes += [f"{count:,} rows were left out: {reason}" for reason, count in sorted(context.left_out.items()) if count]
        self.notes += context.notes
        if not rows.num_rows:
            return [], reading
        return [(first, rows.rename_columns([plain(column) for column in rows.column_names]))], reading

    def _tell_crooked(self, layout: Layout) -> None:
        if layout.crooked:
            self.notes.append(f"{layout.crooked:,} rows were left out: they have more or fewer cells than the header")

    def _convention(self, known: Format, given: Reading, written: str) -> Reading:
        """Return how an export's times are to be read: as its tool writes them, unless something else was said."""
        fallback = known.order if given.order is None and re.search(r"\d\s*[AP]M\b", written) else None
        if fallback:
            self.notes.append(
                f"where no row tells the order of day and month, it is {fallback}, as the tool writes; --date-order changes it"
            )
        zone = ZoneInfo(self.options.time_zone or known.time_zone or self.options.home_zone or "UTC")
        if known.time_zone is None and self.options.time_zone is None:
            self.notes.append(f"its times name no time zone and are taken as {zone.key}'s; --time-zone names another")
        return Reading(zone, zone, given.order, fallback)


def read(
    path: Path,
    pseudonyms: Pseudonymiser,
    *,
    source: str = "events",
    people: Path | None = None,
    options: Options | None = None,
    now: datetime | None = None,
    notes: list[str] | None = None,
) -> Iterator[Batch]:
    """Read an events file, and the people file beside it, as batches for the warehouse.

    Args:
        path: Parquet (`.parquet`) or CSV (`.csv`, also `.csv.gz`).
        pseudonyms: The organisation's pseudonyms.
        source: The name under which the events are kept; give each tool its own.
        people: The people file, if there is one.
        options: What is said of the file.
        now: The moment after which a time cannot be; by default the clock's.
        notes: What is to be told of how it was read is added here; nobody is named.

    Raises:
        UserError: If a file cannot be read for certain, or nothing of it can be used.
    """
    # a row without an id is known by the keys of its people: they must be those of the day on which it was first read
    told_here: list[str] = [] if notes is None else notes
    for batch in _read(path, pseudonyms.before_rotation(), source, people, options or Options(), now or datetime.now(UTC), told_here):
        yield pseudonyms.after_rotation(batch)


def _read(
    path: Path, pseudonyms: Pseudonymiser, source: str, people: Path | None, options: Options, now: datetime, notes: list[str]
) -> Iterator[Batch]:
    accounts = Accounts(source, pseudonyms)
    faults = Faults(accounts)
    # everything is read before anything is handed over: a file that is refused leaves nothing behind
    places = list(read_people(people, accounts, faults, encoding=options.encoding)) if people is not None else []
    file = _File(path, options, notes)
    pieces, reading = file.pieces()
    parts: list[Events] = []
    wrong = Faults(accounts)
    for line, piece in pieces:
        refuse_wrong_types(path, piece)
        parts.append(integers(piece, line, accounts, wrong, reading, now, options.medium or file.medium))
    if not any(len(part.at) for part in parts):
        raise UserError(f"{path.name}: {'; '.join([told(wrong, file.names), *notes])}")
    notes += [f"{count:,} values of {name} could not be read and were left out" for name, count in _lost(faults, wrong) if count]
    yield from places
    yield Batch(source, "people", {"account": accounts.table()})
    yield from batches(Events.concatenated(parts), source, accounts)
    if rows := [*faults.rows, *wrong.rows]:
        yield Batch(source, "events", {"quarantine": table("quarantine", rows)})


def _lost(*faults: Faults) -> list[tuple[str, int]]:
    return sorted((name, count) for found in faults for name, count in found.fields.items())


def _verified(layout: Layout) -> list[str]:
    """Return the columns of a plain events file.

    Raises:
        UserError: If it lacks one, or has one that is not known.
    """
    known = {plain(name) for name in COLUMNS}
    name = layout.path.name
    if missing := [column for column in ("at", "sender") if column not in layout.columns]:
        raise UserError(
            f"{name}: lacks the column {', '.join(missing)}; it needs at, sender and recipient (or recipients). "
            f"Read as they are: {', '.join(FORMATS)} (--format)"
        )
    if unknown := layout.columns.keys() - known:
        raise UserError(f"{name}: has {len(unknown)} unknown column(s); known are {', '.join(COLUMNS)}: drop the others, they are not read")
    if not {"recipient", "recipients"} & layout.columns.keys():
        raise UserError(f"{name}: lacks the column recipient (or a list, recipients)")
    return list(layout.columns)


def _when(values: pd.Series[Any], reading: Reading, survey: Survey, first: int) -> pd.Series[Any]:
    """Return a column of an export's times as instants; NaT where one is none."""
    column = pa.chunked_array([pa.array(values.astype(object).where(values != "", None), pa.string())])
    survey.add(column, first)
    return pd.Series(pd.DatetimeIndex(moments(column, survey.reading(reading))).tz_localize("UTC"), index=values.index)
