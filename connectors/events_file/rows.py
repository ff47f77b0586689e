"""Rows of an events file as integers: after this nothing of the file's text is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import UserError
from connectors.events_file.accounts import Accounts, Keys
from connectors.events_file.recipients import CellError, people_in
from connectors.events_file.times import Reading, is_text, moments, shown
from connectors.records import EVIDENCE, MEDIA

MEETING_MEDIA: Final = frozenset({"slack_huddle", "meeting_online", "meeting_in_person", "meeting_hybrid", "meeting_unknown"})
_CLOCK: Final = r"^(\d{1,2}):(\d{2}):(\d{2})$"
_LONGEST_MINUTES: Final = 60 * 24 * 31


@dataclass(slots=True)
class Events:
    """One row a recipient, as integers."""

    interaction_key: Keys  # 0 where the file gives none
    at: Keys  # UTC microseconds
    sender: Keys
    recipient: Keys
    row: Keys  # rows of the file that a recipient list was spread from share it
    medium: npt.NDArray[np.int8]
    evidence: npt.NDArray[np.int8]
    minutes: npt.NDArray[np.float64]

    @classmethod
    def concatenated(cls, parts: list[Events]) -> Events:
        """Join parts; rows keep apart by counting on."""
        start = 0
        for part in parts:
            part.row += start
            start = int(part.row[-1]) + 1 if len(part.row) else start
        joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        return cls(**joined)


@dataclass(slots=True)
class Faults:
    """What was wrong: rows that make no interaction, and single fields that are lost while their row is kept."""

    accounts: Accounts
    rows: list[dict[str, Any]] = field(default_factory=list)
    fields: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[int, str]] = field(default_factory=dict)
    _seen: Counter[int] = field(default_factory=Counter)

    def add(self, reason: str, piece: pa.Table, bad: npt.NDArray[np.bool_], line: int = 0, column: str = "") -> None:
        """Put the marked rows in quarantine; a row is known by a keyed hash of its values and its place among equal ones."""
        if reason not in self.first:
            place = int(np.argmax(bad))
            self.first[reason] = line + place, str(piece[column][place].as_py() or "") if column else ""
        purpose = f"events:{self.accounts.source}:row"
        pseudonyms = self.accounts.pseudonyms
        for row in piece.filter(pa.array(bad)).to_pylist():
            content = pseudonyms.key(purpose, repr(sorted(row.items())), remember=False)
            key = pseudonyms.key(purpose, f"{content}:{self._seen[content]}", remember=False)
            self._seen[content] += 1
            self.rows.append({"source": self.accounts.source, "stream": "events", "record_key": key, "reason": reason})


def refuse_wrong_types(path: Path, piece: pa.Table) -> None:
    """Refuse a Parquet file with a column of a type that cannot hold what it should.

    Raises:
        UserError: If there is one; the message names the column, its type and the row.
    """
    for name, kind in zip(piece.column_names, piece.schema.types, strict=True):
        if (wanted := _wanted(name, kind)) is not None:
            raise UserError(f"{path.name}: column {name}, row 1 on, is of type {kind}; it should be {wanted}")


def _wanted(name: str, kind: pa.DataType) -> str | None:
    """Return what a column should hold, if its type is another."""
    is_id = is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    if name == "at":
        good = is_number or is_text(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind)
        return None if good else "a time (timestamp, text, or a number of seconds since 1970)"
    if name == "recipients" and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return _wanted("recipient", kind.value_type) and "a list of texts"
    if name == "minutes":
        return None if is_number or is_text(kind) else "a number"
    return None if is_id else "text"


def integers(
    piece: pa.Table, line: int, accounts: Accounts, faults: Faults, reading: Reading, now: datetime, medium: str = "email"
) -> Events:
    """Turn a piece of the file into integers; rows that make no sense go to quarantine.

    A row needs a time, a sender, somebody it reached and a medium that is known. A bad `evidence` or `minutes` costs only itself.
    """
    at = moments(piece["at"], reading)
    senders, bad_senders = _senders(piece, accounts)
    media = _coded(piece, "medium", MEDIA, medium)
    kinds = _coded(piece, "evidence", EVIDENCE, None)
    stated = _minutes(piece)
    faults.fields["evidence"] += int((kinds == -2).sum())
    faults.fields["minutes"] += int((np.isnan(stated) & _stated(piece, "minutes")).sum())
    meeting = np.isin(media, [MEDIA.index(name) for name in MEETING_MEDIA])
    default = np.where(meeting, EVIDENCE.index("co_present"), EVIDENCE.index("addressed"))
    kinds = np.where(kinds < 0, default, kinds)
    rows, recipients, bad_cells = _recipients(piece, accounts)
    reached = np.zeros(piece.num_rows, dtype=bool)
    reached[rows] = True
    good = np.ones(piece.num_rows, dtype=bool)
    checks: list[tuple[str, npt.NDArray[np.bool_], str]] = [
        ("bad_time", np.isnat(at), "at"),
        ("in_future", at > np.datetime64(now.replace(tzinfo=None), "us"), "at"),
        *((code, bad, "") for code, bad in bad_senders.items()),
        ("no_sender", senders == 0, ""),
        *((code, bad & ~reached, "") for code, bad in bad_cells.items()),
        ("no_recipient", ~reached, ""),
        ("unknown_medium", media < 0, ""),
    ]
    for reason, bad, column in checks:
        if (bad & good).any():
            faults.add(reason, piece, bad & good, line, column)
            good &= ~bad
    kept = good[rows]
    rows = rows[kept]
    return Events(
        interaction_key=_interaction_keys(piece, accounts)[rows],
        at=at.astype(np.int64)[rows],
        sender=senders[rows],
        recipient=recipients[kept],
        row=rows.astype(np.int64),
        medium=media[rows].astype(np.int8),
        evidence=kinds[rows].astype(np.int8),
        minutes=stated[rows],
    )


def told(faults: Faults, names: Mapping[str, str]) -> str:
    """Return why nothing could be used, from the most frequent fault of the rows, with its first line and the mend."""
    counts = Counter(row["reason"] for row in faults.rows)
    if not counts:
        return "holds no row that could be read"
    reason, count = counts.most_common(1)[0]
    line, value = faults.first[reason]
    column = names.get("at", "at")
    said = {
        "bad_time": f"column {column}, line {line}: {shown(value)} is no time that is known; write times as 2026-03-01T09:00:00Z "
        "(without zone 2026-03-01T09:00:00, which is UTC), or as seconds since 1970",
        "in_future": f"column {column}, line {line}: {shown(value)} is later than now; see to the clock, the time zone, day and month",
        "no_sender": f"line {line} has no sender",
        "no_recipient": f"line {line} has no recipient",
        "bad_address": f"line {line} holds an @ in what is no address; write addresses, separated by semicolons",
        "unclear_recipients": f"line {line} names recipients in a way that is not certain; separate them by semicolons",
        "unknown_medium": f"line {line} has a medium that is not known; known are {', '.join(MEDIA)}",
    }.get(reason, f"line {line}: {reason}")
    return f"of {sum(counts.values()):,} rows none could be used, {count:,} of them for this: {said}"


# -- columns ------------------------------------------------------------------------------------------------------------


def _texts(piece: pa.Table, name: str) -> pa.ChunkedArray:
    return piece[name].cast(pa.string())


def _dictionary(values: pa.ChunkedArray | pa.Array) -> tuple[list[str | None], npt.NDArray[np.int64]]:
    """Return a column's different values and, row by row, which it is; -1 where there is none."""
    encoded = pc.dictionary_encode(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)
    indices = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary.to_pylist(), indices


def _cells(values: list[str | None], accounts: Accounts, *, is_list: bool) -> tuple[list[list[int]], dict[str, list[bool]]]:
    """Return for each different cell the keys of its people, and which cells are bad, by code."""
    keys: list[list[int]] = []
    bad: dict[str, list[bool]] = {}
    for place, value in enumerate(values):
        found: list[int] = []
        try:
            found = [accounts.key(person) for person in people_in(value or "", is_list=is_list)]
        except CellError as error:
            bad.setdefault(error.code, [False] * len(values))[place] = True
        keys.append(found)
    return keys, bad


def _spread(marks: dict[str, list[bool]], indices: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.bool_]]:
    return {code: np.append(np.array(bad, dtype=bool), False)[indices] for code, bad in marks.items()}


def _senders(piece: pa.Table, accounts: Accounts) -> tuple[Keys, dict[str, npt.NDArray[np.bool_]]]:
    """Return each row's sender, 0 where there is none; more than one is no sender that is known."""
    values, indices = _dictionary(_texts(piece, "sender"))
    keys, bad = _cells(values, accounts, is_list=False)
    several = [len(found) > 1 for found in keys]
    if any(several):
        bad["several_senders"] = several
    lookup = np.array([found[0] if len(found) == 1 else 0 for found in keys] + [0], dtype=np.int64)
    return lookup[indices], _spread(bad, indices)


def _recipients(piece: pa.Table, accounts: Accounts) -> tuple[npt.NDArray[np.int64], Keys, dict[str, npt.NDArray[np.bool_]]]:
    """Return, one entry a recipient, the row it stands in and its key; and the rows with a bad cell, by code."""
    rows: list[npt.NDArray[np.int64]] = []
    keys: list[Keys] = []
    marks: dict[str, npt.NDArray[np.bool_]] = {}
    for name in ("recipients", "recipient"):
        if name not in piece.column_names:
            continue
        parents, column = np.arange(piece.num_rows), piece[name].combine_chunks()
        is_nested = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        if is_nested:
            parents = pc.list_parent_indices(column).to_numpy(zero_copy_only=False).astype(np.int64)
            column = pc.list_flatten(column)
        values, indices = _dictionary(column.cast(pa.string()))
        found, bad = _cells(values, accounts, is_list=name == "recipients" and not is_nested)
        sizes = np.array([len(people) for people in found] + [0], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
        flat = np.array([key for people in found for key in people] or [0], dtype=np.int64)
        counts = sizes[indices]
        inside = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        rows.append(np.repeat(parents, counts))
        keys.append(flat[np.repeat(starts[indices], counts) + inside] if counts.sum() else np.zeros(0, np.int64))
        for code, cells in _spread(bad, indices).items():
            marked = marks.setdefault(code, np.zeros(piece.num_rows, dtype=bool))
            marked[parents[cells]] = True
    parents, people = np.concatenate(rows), np.concatenate(keys)
    order = np.argsort(parents, kind="stable")
    return parents[order], people[order], marks


def _interaction_keys(piece: pa.Table, accounts: Accounts) -> Keys:
    if "interactionid" not in piece.column_names:
        return np.zeros(piece.num_rows, dtype=np.int64)
    values, indices = _dictionary(_texts(piece, "interactionid"))
    purpose = f"events:{accounts.source}:interaction"
    hashed = [accounts.pseudonyms.key(purpose, value, remember=False) if value else 0 for value in values]
    return np.array([*hashed, 0], dtype=np.int64)[indices]


def _coded(piece: pa.Table, name: str, words: tuple[str, ...], default: str | None) -> npt.NDArray[np.int64]:
    """Return each value's place among the known words; -2 for an unknown one, the default's (or -1) where empty."""
    empty = words.index(default) if default else -1
    if name not in piece.column_names:
        return np.full(piece.num_rows, empty, dtype=np.int64)
    values = pc.utf8_lower(pc.utf8_trim_whitespace(_texts(piece, name)))
    found = pc.fill_null(pc.index_in(values, value_set=pa.array(words)), -2).to_numpy()
    return np.where(_stated(piece, name), found, empty)


def _stated(piece: pa.Table, name: str) -> npt.NDArray[np.bool_]:
    if name not in piece.column_names:
        return np.zeros(piece.num_rows, dtype=bool)
    text = pc.utf8_trim_whitespace(_texts(piece, name))
    stated: npt.NDArray[np.bool_] = pc.fill_null(pc.not_equal(text, ""), fill_value=False).to_numpy()
    return stated


def _minutes(piece: pa.Table) -> npt.NDArray[np.float64]:
    """Return minutes, given as a number (a decimal comma is one) or as hours:minutes:seconds; else unknown."""
    if "minutes" not in piece.column_names:
        return np.full(piece.num_rows, np.nan)
    if not is_text(piece["minutes"].type):
        values = piece["minutes"].cast(pa.float64()).to_numpy(zero_copy_only=False)
    else:
        text = _texts(piece, "minutes").to_pandas().str.strip()
        values = pd.to_numeric(text.str.replace(",", ".", regex=False), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        clock = text.str.extract(_CLOCK).astype(float).to_numpy(dtype=np.float64)
        values = np.where(np.isnan(values), clock @ np.array([60.0, 1.0, 1 / 60]), values)
    return np.where((values >= 0) & (values < _LONGEST_MINUTES), values, np.nan)
