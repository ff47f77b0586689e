"""A Parquet or CSV file of interactions from any other tool, and a file of people beside it.

Events: columns `at` (time with zone, UTC without one, or seconds since 1970), `sender`, and `recipient` (one) or
`recipients` (a list; in CSV separated by semicolons); optional `interaction_id` (rows that share it are one interaction),
`medium` (default `email`), `evidence` (default `addressed`, `co_present` for meetings) and `minutes`. A sender or recipient
is an e-mail address or any other id; addresses join people across sources.

People: columns `person`, `team`, `organisation`; optional `manager`, `office`, `valid_from`, `valid_to`, `joined_on`, `left_on`.

Without `interaction_id` every row is an interaction, known by its content and by how many equal rows stand before it, so
that importing a file again changes nothing. It misleads where a file is split between equal rows: those become one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from connectors.errors import UserError
from connectors.parquet_columns import readable
from connectors.pseudonyms import Pseudonymiser, normalise_address
from connectors.records import EVIDENCE, INSTANT, MEDIA, PARTICIPANT, SCHEMAS, Batch, table

ROWS_A_BATCH: Final = 500_000
MEETING_MEDIA: Final = frozenset({"slack_huddle", "meeting_online", "meeting_in_person", "meeting_hybrid", "meeting_unknown"})
_EVENT_COLUMNS: Final = ("at", "sender", "recipient", "recipients", "interaction_id", "medium", "evidence", "minutes")
_PEOPLE_COLUMNS: Final = ("person", "team", "organisation", "manager", "office", "valid_from", "valid_to", "joined_on", "left_on")
_EARLIEST: Final = np.datetime64("1970-01-02", "us")
_LATEST: Final = np.datetime64("2199-12-31", "us")
# a people file without dates says what holds whenever it is read: a fixed day, so that a corrected file replaces the one before
_UNDATED: Final = date(1970, 1, 1)

Keys = npt.NDArray[np.int64]


def read(path: Path, pseudonyms: Pseudonymiser, *, source: str = "events", people: Path | None = None) -> Iterator[Batch]:
    """Read an events file, and the people file beside it, as batches for the warehouse.

    Args:
        path: Parquet (`.parquet`) or CSV (`.csv`, also `.csv.gz`).
        pseudonyms: The organisation's pseudonyms.
        source: The name under which the events are kept; give each tool its own.
        people: The people file, if there is one.

    Raises:
        UserError: If the file cannot be read, lacks a column, has an unknown one, or (Parquet) one of a wrong type.
    """
    # a row without an id is known by the keys of its people: they must be those of the day on which it was first read
    for batch in _read(path, pseudonyms.before_rotation(), source, people):
        yield pseudonyms.after_rotation(batch)


def _read(path: Path, pseudonyms: Pseudonymiser, source: str, people: Path | None) -> Iterator[Batch]:
    accounts = _Accounts(source, pseudonyms)
    if people is not None:
        yield from _read_people(people, accounts)
    faults = _Faults(source, pseudonyms)
    parts = [_integers(chunk, accounts, faults) for chunk in _chunks(path, _EVENT_COLUMNS, ("at", "sender"))]
    yield Batch(source, "people", {"account": accounts.table()})
    if parts:
        yield from _batches(_Events.concatenated(parts), source, accounts)
    if faults.rows:
        yield Batch(source, "events", {"quarantine": table("quarantine", faults.rows)})


# -- accounts -----------------------------------------------------------------------------------------------------------


class _Accounts:
    """Every id that was met, with its pseudonym; hashed once each."""

    def __init__(self, source: str, pseudonyms: Pseudonymiser) -> None:
        self.source = source
        self.pseudonyms = pseudonyms
        self._records: dict[int, dict[str, Any]] = {}
        self._keys: dict[str, int] = {}

    def key(self, identifier: str) -> int:
        """Return the account key of an address or id."""
        found = self._keys.get(identifier)
        if found is None:
            found = self._keys[identifier] = self._add(identifier.strip())
        return found

    def _add(self, identifier: str) -> int:
        person_id = self.pseudonyms.person_id(identifier)
        record: dict[str, Any] = {"source": self.source, "person_id": person_id}
        if person_id is None:
            key = self.pseudonyms.key(f"events:{self.source}:account", identifier, remember=False)
            record |= {"account_key": key, "kind": "human"}
        else:
            key = self.pseudonyms.key("address", str(normalise_address(identifier)), remember=False)
            record |= {"account_key": key, "kind": "unknown", "domain_key": self.pseudonyms.domain_key(identifier)}
        self._records[key] = record
        return key

    def keys(self, values: pa.ChunkedArray | pa.Array) -> Keys:
        """Return the keys of a column of ids, hashing each different id once; 0 where empty."""
        encoded = pc.dictionary_encode(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)
        lookup = np.array([0 if _blank(value) else self.key(value) for value in encoded.dictionary.to_pylist()] or [0], dtype=np.int64)
        indices = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        return np.where(indices >= 0, lookup[indices], 0).astype(np.int64)

    def table(self) -> pa.Table:
        """Return the account records."""
        return table("account", self._records.values())


def _blank(value: str | None) -> bool:
    return value is None or not value.strip()


# -- reading ------------------------------------------------------------------------------------------------------------


def _chunks(path: Path, known: tuple[str, ...], required: tuple[str, ...]) -> Iterator[pa.Table]:
    """Yield the file in bounded pieces; every text column as text, so that one bad value does not spoil a file."""
    if not path.is_file():
        raise UserError(f"{path.name}: no such file")
    try:
        if path.name.endswith(".parquet"):
            with pq.ParquetFile(path) as parquet:
                _verify(path, parquet.schema_arrow.names, known, required)
                rows_before = 0
                for piece in parquet.iter_batches(ROWS_A_BATCH):
                    yield readable(path.name, pa.Table.from_batches([piece]), rows_before)
                    rows_before += piece.num_rows
            return
        with pa.input_stream(str(path)) as stream:
            header = pcsv.open_csv(stream).schema.names
        _verify(path, header, known, required)
        options = pcsv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True)
        with pa.input_stream(str(path)) as stream, pcsv.open_csv(stream, convert_options=options) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        # an Arrow message may quote a line of the file
        raise UserError(
            f"{path.name}: cannot be read as {'Parquet' if path.suffix == '.parquet' else 'CSV'} ({type(error).__name__})"
        ) from None


def _verify(path: Path, names: list[str], known: tuple[str, ...], required: tuple[str, ...]) -> None:
    if missing := set(required) - set(names):
        raise UserError(f"{path.name}: lacks the column {', '.join(sorted(missing))}; it needs {', '.join(required)}")
    if unknown := set(names) - set(known):
        raise UserError(
            f"{path.name}: has {len(unknown)} unknown column(s); known are {', '.join(known)}: drop the others, they are not read"
        )
    if required == ("at", "sender") and not {"recipient", "recipients"} & set(names):
        raise UserError(f"{path.name}: lacks the column recipient (or a list, recipients)")


def _times(values: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    """Return UTC microseconds; NaT where a value is no time between 1970 and 2200."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        moments = values.cast(pa.timestamp("us", tz=kind.tz), safe=False).to_numpy()
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        moments = _from_seconds(values.cast(pa.float64()).to_numpy())
    else:
        text = values.cast(pa.string()).to_pandas()
        seconds = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
        stamps = pd.to_datetime(text.where(np.isnan(seconds)), errors="coerce", utc=True, format="ISO8601")
        parsed = stamps.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
        moments = np.where(np.isnan(seconds), parsed, _from_seconds(seconds))
    moments = moments.astype("datetime64[us]")
    return np.where((moments >= _EARLIEST) & (moments < _LATEST), moments, np.datetime64("NaT", "us"))


def _from_seconds(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.datetime64]:
    bad = ~np.isfinite(seconds) | (np.abs(seconds) > 1e11)
    micros = np.round(np.where(bad, 0, seconds) * 1e6).astype(np.int64)
    return np.where(bad, np.datetime64("NaT", "us"), micros.astype("datetime64[us]"))


# -- events as integers -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Events:
    """One row a recipient, as integers: nothing of the file's text is left."""

    interaction_key: Keys  # 0 where the file gives none
    at: Keys  # UTC microseconds
    sender: Keys
    recipient: Keys  # 0 where there is none
    row: Keys  # rows of the file that a recipient list was spread from share it
    medium: npt.NDArray[np.int8]
    evidence: npt.NDArray[np.int8]
    minutes: npt.NDArray[np.float64]

    @classmethod
    def concatenated(cls, parts: list[_Events]) -> _Events:
        """Join parts; rows keep apart by counting on."""
        start = 0
        for part in parts:
            part.row += start
            start = int(part.row[-1]) + 1 if len(part.row) else start
        joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        return cls(**joined)


@dataclass(slots=True)
class _Faults:
    source: str
    pseudonyms: Pseudonymiser
    rows: list[dict[str, Any]] = field(default_factory=list)
    _seen: Counter[int] = field(default_factory=Counter)

    def add(self, reason: str, chunk: pa.Table, bad: npt.NDArray[np.bool_]) -> None:
        """Count the marked rows under a reason; a row is known by a keyed hash of its values and its place among equal ones."""
        purpose = f"events:{self.source}:row"
        for row in _told(chunk.filter(pa.array(bad))):
            content = self.pseudonyms.key(purpose, repr(sorted(row.items())), remember=False)
            key = self.pseudonyms.key(purpose, f"{content}:{self._seen[content]}", remember=False)
            self._seen[content] += 1
            self.rows.append({"source": self.source, "stream": "events", "record_key": key, "reason": reason})


def _told(rows: pa.Table) -> list[dict[str, Any]]:
    """Return rows as Python values; a moment that no calendar of Python's holds as the number that it is."""
    try:
        return rows.to_pylist()  # type: ignore[no-any-return]
    except (ValueError, OverflowError):
        plain = {name: rows[name].cast(pa.int64()) if pa.types.is_timestamp(rows[name].type) else rows[name] for name in rows.column_names}
        return pa.table(plain).to_pylist()  # type: ignore[no-any-return]


def _integers(chunk: pa.Table, accounts: _Accounts, faults: _Faults) -> _Events:
    """Turn a piece of the file into integers; rows that make no sense go to quarantine."""
    moments = _times(chunk["at"])
    senders = accounts.keys(chunk["sender"].cast(pa.string()))
    media = _coded(chunk, "medium", MEDIA, "email")
    kinds = _coded(chunk, "evidence", EVIDENCE, None)
    meeting = np.isin(media, [MEDIA.index(name) for name in MEETING_MEDIA])
    default = np.where(meeting, EVIDENCE.index("co_present"), EVIDENCE.index("addressed"))
    kinds = np.where(kinds == -1, default, kinds).astype(np.int8)
    minutes = _minutes(chunk)
    lists, recipients = _recipients(chunk, accounts)
    reached = np.zeros(chunk.num_rows, dtype=bool)
    reached[lists[recipients != 0]] = True
    good = np.ones(chunk.num_rows, dtype=bool)
    checks: tuple[tuple[str, npt.NDArray[np.bool_]], ...] = (
        ("bad_time", np.isnat(moments)),
        ("no_sender", senders == 0),
        ("no_recipient", ~reached),
        ("unknown_medium", media < 0),
        ("unknown_evidence", kinds < 0),
        ("bad_minutes", np.isnan(minutes) & _stated(chunk, "minutes")),
    )
    for reason, bad in checks:
        if (bad & good).any():
            faults.add(reason, chunk, bad & good)
            good &= ~bad
    keys = np.zeros(chunk.num_rows, dtype=np.int64)
    if "interaction_id" in chunk.column_names:
        encoded = pc.dictionary_encode(chunk["interaction_id"].cast(pa.string()).combine_chunks())
        purpose = f"events:{accounts.source}:interaction"
        hashed = [accounts.pseudonyms.key(purpose, value, remember=False) for value in encoded.dictionary.to_pylist()]
        indices = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        keys = np.where(indices >= 0, np.array(hashed or [0], dtype=np.int64)[indices], 0)
    kept = good[lists] & (recipients != 0)
    rows = lists[kept]
    return _Events(
        interaction_key=keys[rows],
        at=moments.astype(np.int64)[rows],
        sender=senders[rows],
        recipient=recipients[kept],
        row=rows.astype(np.int64),
        medium=media[rows].astype(np.int8),
        evidence=kinds[rows],
        minutes=minutes[rows],
    )


def _recipients(chunk: pa.Table, accounts: _Accounts) -> tuple[npt.NDArray[np.int64], Keys]:
    """Return, one entry a recipient, the row it stands in and its key."""
    rows = np.arange(chunk.num_rows)
    if "recipients" not in chunk.column_names:
        return rows, accounts.keys(chunk["recipient"].cast(pa.string()))
    column = chunk["recipients"].combine_chunks()
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        column = pc.split_pattern(pc.fill_null(column.cast(pa.string()), ""), ";")
    parents = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
    keys = accounts.keys(pc.list_flatten(column).cast(pa.string()))
    if "recipient" in chunk.column_names:
        parents = np.concatenate([parents, rows])
        keys = np.concatenate([keys, accounts.keys(chunk["recipient"].cast(pa.string()))])
        order = np.argsort(parents, kind="stable")
        parents, keys = parents[order], keys[order]
    return parents.astype(np.int64), keys


def _coded(chunk: pa.Table, name: str, words: tuple[str, ...], default: str | None) -> npt.NDArray[np.int64]:
    """Return each value's place among the known words; -2 for an unknown one, the default's (or -1) where empty."""
    empty = words.index(default) if default else -1
    if name not in chunk.column_names:
        return np.full(chunk.num_rows, empty, dtype=np.int64)
    values = chunk[name].cast(pa.string())
    found = pc.fill_null(pc.index_in(values, value_set=pa.array(words)), -2).to_numpy()
    return np.where(_stated(chunk, name), found, empty)


def _stated(chunk: pa.Table, name: str) -> npt.NDArray[np.bool_]:
    if name not in chunk.column_names:
        return np.zeros(chunk.num_rows, dtype=bool)
    text = pc.utf8_trim_whitespace(chunk[name].cast(pa.string()))
    stated: npt.NDArray[np.bool_] = pc.fill_null(pc.not_equal(text, ""), fill_value=False).to_numpy()
    return stated


def _minutes(chunk: pa.Table) -> npt.NDArray[np.float64]:
    if "minutes" not in chunk.column_names:
        return np.full(chunk.num_rows, np.nan)
    values = pd.to_numeric(chunk["minutes"].to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
    return np.where((values >= 0) & (values < 60 * 24 * 31), values, np.nan)


# -- integers as records ------------------------------------------------------------------------------------------------


def _mixed(*columns: npt.NDArray[Any]) -> Keys:
    """Mix integer columns, at least one of them a keyed hash, into one 64-bit key (splitmix64's finaliser)."""
    state = np.zeros(len(columns[0]), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            state = (state ^ column.astype(np.int64).view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
    return state.view(np.int64)


def _occurrences(keys: Keys) -> Keys:
    """Return for each entry how many equal ones stand before it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(keys) else np.zeros(0, np.int64)
    counts = np.diff(np.append(starts, len(keys)))
    ranks = np.arange(len(keys)) - np.repeat(starts, counts)
    result = np.empty(len(keys), dtype=np.int64)
    result[order] = ranks
    return result


def _batches(events: _Events, source: str, accounts: _Accounts) -> Iterator[Batch]:
    if not len(events.at):
        return
    own = events.interaction_key == 0
    if own.any():
        # a row without an id is an interaction of its own, known by its content and its place among equal rows
        starts = np.flatnonzero(np.concatenate([[True], events.row[1:] != events.row[:-1]]))
        row_of = np.cumsum(np.concatenate([[True], events.row[1:] != events.row[:-1]])) - 1
        people = np.bitwise_xor.reduceat(_mixed(events.recipient), starts)
        namespace = np.full(len(starts), accounts.pseudonyms.key("events:source", source), dtype=np.int64)
        content = _mixed(namespace, events.sender[starts], people, events.at[starts], events.medium[starts], events.evidence[starts])
        events.interaction_key = np.where(own, _mixed(content, _occurrences(content))[row_of], events.interaction_key)
    order = np.lexsort((events.row, events.interaction_key, _first_time(events)))
    key = events.interaction_key[order]
    bounds = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    ends = np.append(bounds[1:], len(key))
    total = (len(bounds) - 1) // ROWS_A_BATCH + 1
    for number, first in enumerate(range(0, len(bounds), ROWS_A_BATCH)):
        last = min(first + ROWS_A_BATCH, len(bounds))
        chosen = order[bounds[first] : ends[last - 1]]
        records = _interactions(events, chosen, bounds[first:last] - bounds[first], source)
        yield Batch(source, "events", {"interaction": records}, units_done=number + 1, units_total=total)


def _first_time(events: _Events) -> Keys:
    """Return for each entry the earliest time of its interaction, so that batches go forward in time."""
    _, place = np.unique(events.interaction_key, return_inverse=True)
    earliest = np.full(place.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, place, events.at)
    return earliest[place]


def _interactions(events: _Events, chosen: Keys, starts: Keys, source: str) -> pa.Table:
    """Build the interaction records of the chosen entries, which are grouped by interaction at `starts`."""
    heads = chosen[starts]
    counts = np.diff(np.append(starts, len(chosen)))
    group = np.repeat(np.arange(len(starts)), counts)
    people, kinds = events.recipient[chosen], events.evidence[chosen]
    # whoever calls people together is in the meeting too
    host = kinds[starts] == EVIDENCE.index("co_present")
    people = np.concatenate([people, events.sender[heads][host]])
    kinds = np.concatenate([kinds, kinds[starts][host]])
    group = np.concatenate([group, np.flatnonzero(host)])
    parts = pd.DataFrame({"group": group, "person": people, "kind": kinds}).drop_duplicates().sort_values(["group", "person", "kind"])
    offsets = np.searchsorted(parts["group"].to_numpy(), np.arange(len(starts) + 1))
    participants = pa.StructArray.from_arrays(
        [pa.array(parts["person"].to_numpy()), pa.array(EVIDENCE).take(pa.array(parts["kind"].to_numpy()))], fields=list(PARTICIPANT)
    )
    lasting = pd.Series(events.minutes[chosen]).groupby(np.repeat(np.arange(len(starts)), counts)).max().to_numpy()
    columns = {
        "source": pa.array([source]).take(pa.array(np.zeros(len(starts), np.int8))),
        "interaction_key": pa.array(events.interaction_key[heads]),
        "occurred_at": pa.array(events.at[heads].astype("datetime64[us]")).cast(INSTANT),
        "medium": pa.array(MEDIA).take(pa.array(events.medium[heads])),
        "sender_key": pa.array(events.sender[heads]),
        "participants": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), participants),
        "recipient_count": pa.array(counts.astype(np.int32)),
        "minutes": pa.array(lasting, from_pandas=True),
    }
    schema = SCHEMAS["interaction"]
    return pa.Table.from_arrays([columns.get(f.name, pa.nulls(len(starts), f.type)) for f in schema], schema=schema)


# -- people -------------------------------------------------------------------------------------------------------------


def _read_people(path: Path, accounts: _Accounts) -> Iterator[Batch]:
    """Yield memberships from the people file. Few rows, so plainly one by one."""
    for chunk in _chunks(path, _PEOPLE_COLUMNS, ("person",)):
        places: list[dict[str, Any]] = []
        faults = _Faults(accounts.source, accounts.pseudonyms)
        for number, row in enumerate(chunk.to_pylist()):
            place = _place(row, accounts)
            if isinstance(place, str):
                faults.add(place, chunk, np.arange(chunk.num_rows) == number)
            else:
                places.append(place)
        yield Batch(
            accounts.source,
            "people",
            {"membership": table("membership", places), "account": accounts.table(), "quarantine": table("quarantine", faults.rows)},
        )


def _place(row: dict[str, Any], accounts: _Accounts) -> dict[str, Any] | str:
    """Return a membership record, or why the row makes none."""
    text: Callable[[str], str | None] = lambda name: (str(row[name]).strip() or None) if row.get(name) is not None else None  # noqa: E731
    person = text("person")
    if person is None:
        return "no_person"
    try:
        days = {name: _day(row.get(name)) for name in ("valid_from", "valid_to", "joined_on", "left_on")}
    except ValueError:
        return "bad_date"
    manager = text("manager")
    return {
        "source": accounts.source,
        "account_key": accounts.key(person),
        "observed_on": _UNDATED,
        "team": text("team"),
        "office": text("office"),
        "organisation": text("organisation"),
        "manager_key": accounts.key(manager) if manager else None,
        **days,
    }


def _day(value: Any) -> date | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return date.fromisoformat(str(value)[:10])
