"""Times as people, spreadsheets and programs write them, as UTC microseconds.

What says itself what it means is read: ISO 8601 (UTC without a zone), RFC 2822, and numbers, which are seconds, milliseconds,
microseconds or nanoseconds since 1970 by their size. What a country or a spreadsheet writes (`3/1/2026 9:00 AM`, `01.03.2026
09:00`, the days of Excel) has no zone, and slashes do not say which number is the day: the zone must be stated, and the order too
unless a row of the file tells it (a 13th is no month). Nothing is guessed: an hour's or a month's error would be invisible.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import UserError

Moments = npt.NDArray[np.datetime64]

EARLIEST: Final = np.datetime64("1970-01-02", "us")
LATEST: Final = np.datetime64("2199-12-31", "us")
WANTED: Final = "2026-03-01T09:00:00Z"
_NEVER: Final = np.datetime64("NaT", "us")
_UNITS: Final = ((7.26e9, 1e6), (7.26e12, 1e3), (7.26e15, 1.0), (7.26e18, 1e-3))
"""Up to which number it is seconds, milli-, micro- or nanoseconds: each ends in the year 2200; and how many microseconds one is."""
_EXCEL: Final = (25_570, 86_400)
"""Days since 1899-12-30, from 1970 on: as seconds they would be the first of January 1970."""
_EXCEL_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001  (a wall clock's)

_CLOCK: Final = (
    r"(?:(?:,|T|\s|\bat\b|\bum\b)*(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?(?:\s*Uhr)?)?"
    r"\s*(?P<zone>Z|UTC?|GMT|[ECMP][SD]T|(?:UTC|GMT)?[+-]\d{2}:?\d{2}(?:\s*\([A-Za-z ]+\))?)?"
)
_MONTH: Final = r"(?P<name>[A-Za-z]{3,9})\.?"
_WEEKDAY: Final = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?"
_WAYS: Final = tuple(
    re.compile(rf"{_WEEKDAY}{way}{_CLOCK}")
    for way in (
        r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})",
        r"(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second_>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})",
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[-\s.]+{_MONTH}[-\s,]+(?P<year>\d{{4}})",
        rf"{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})",
    )
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_HOURS_OF: Final = {"E": -5, "C": -6, "M": -7, "P": -8}
_PLAIN: Final = r"^\s*(\d{4}-\d{2}-\d{2}([T ]|$)|\d{8,}(\.\d*)?\s*$)"
"""What is surely ISO 8601 or a number of seconds."""
_HAS_ZONE: Final = re.compile(r"(?:Z|z|[+-]\d{2}(?::?\d{2})?)\s*$")
_LOOKS_LIKE_A_TIME: Final = re.compile(r"[0-9A-Za-z :.,/+()-]{1,40}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How times without a zone, or without an order of day and month, are to be taken.

    Attributes:
        zone: The zone of ISO times that name none.
        local: The zone of a country's or spreadsheet's times; None while nobody has said it.
        order: `day-first` or `month-first`; None where it is not known.
        fallback: The order where neither anybody nor the file says one, known from the tool that wrote it.
    """

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    local: ZoneInfo | None = None
    order: str | None = None
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class _Written:
    """A time as it is written, before it is known in which zone and, for slashes, in which order."""

    year: int
    month: int  # or the first number
    day: int  # or the second
    clock: timedelta
    offset: timedelta | None
    is_ordered: bool
    is_local: bool = True  # a country's way of writing, unlike the year first


def shown(value: str) -> str:
    """Return a value for a message, if it is a time or near one: what stands in a wrong column may be a name or an address."""
    text = value.strip()
    near = _LOOKS_LIKE_A_TIME.fullmatch(text) and sum(c.isdigit() for c in text) * 3 >= len(text)
    return f"`{text}`" if near else f"a text of {len(text)} characters"


def _written(text: str) -> _Written | None:
    """Return a time in words or in a country's order; None if it is none."""
    for way in _WAYS:
        found = way.fullmatch(text)
        if found is not None:
            return _of(found.groupdict())
    return None


def _of(parts: dict[str, Any]) -> _Written | None:
    clock = _clock(parts)
    year = int(parts["year"]) + (2000 if len(parts["year"]) == 2 else 0)
    if clock is None:
        return None
    if parts.get("name"):
        month = _month(parts["name"])
        return None if month is None else _Written(year, month, int(parts["day"]), clock, _offset(parts["zone"]), True)
    if parts.get("month"):
        return _Written(year, int(parts["month"]), int(parts["day"]), clock, _offset(parts["zone"]), True, False)
    first, second = int(parts["first"]), int(parts["second_"])
    if parts["mark"] == ".":
        # nobody writes the month first with full stops
        return _Written(year, second, first, clock, _offset(parts["zone"]), True)
    return _Written(year, first, second, clock, _offset(parts["zone"]), False)


def _clock(parts: dict[str, Any]) -> timedelta | None:
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if parts["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if parts["half"] in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    micros = int(f"{parts['fraction'] or 0:0<6}"[:6])
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micros)


def _month(name: str) -> int | None:
    text = name.casefold()
    for names in (_MONTHS, _FULL_MONTHS):
        if text in names:
            return names.index(text) + 1
    return 9 if text == "sept" else None


def _offset(zone: str | None) -> timedelta | None:
    if zone is None:
        return None
    if zone[0] in _HOURS_OF and zone.endswith(("ST", "DT")):
        return timedelta(hours=_HOURS_OF[zone[0]] + zone.endswith("DT"))
    found = re.search(r"([+-])(\d{2}):?(\d{2})", zone)
    if found is None:
        return timedelta()
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return ahead if found[1] == "+" else -ahead


def _instant(written: _Written, reading: Reading) -> np.datetime64:
    month, day = written.month, written.day
    if not written.is_ordered and reading.order != "month-first":
        month, day = day, month
    try:
        # the zone's own hour where it is stated; of an hour that comes twice, the first
        wall = datetime(written.year, month, day) + written.clock  # noqa: DTZ001
        zone = (reading.local if written.is_local else None) or reading.zone
        moment = wall - written.offset if written.offset is not None else wall.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return _NEVER
    return np.datetime64(moment, "us")


class Survey:
    """What a file's times, all of them, say about how they are written; asked before they are read."""

    def __init__(self, file: str, column: str) -> None:
        self.file = file
        self.column = column
        self.local: tuple[int, str] | None = None
        self.unordered: tuple[int, str] | None = None
        self.day_first: tuple[int, str] | None = None
        self.month_first: tuple[int, str] | None = None

    def add(self, values: pa.ChunkedArray, first_line: int) -> None:
        """Look at a piece of the column."""
        if not is_text(values.type):
            return
        texts = values.cast(pa.string())
        # nine files of ten: nothing in them is a question
        open_rows = np.flatnonzero(~pc.fill_null(pc.match_substring_regex(texts, _PLAIN), fill_value=True).to_numpy(zero_copy_only=False))
        if not len(open_rows):
            return
        text = texts.take(pa.array(open_rows)).to_pandas().str.strip()
        numbers = _of_numbers(text)
        left = np.isnan(numbers) & np.isnat(_of_iso(text.where(np.isnan(numbers)), Reading()))
        for place, number in zip(open_rows, numbers, strict=True):
            if _EXCEL[0] <= number < _EXCEL[1] and self.local is None:
                self.local = first_line + int(place), str(texts[int(place)])
        for place in np.flatnonzero(left):
            if isinstance(value := text.iloc[place], str) and (written := _written(value)) is not None:
                self._note(written, (first_line + int(open_rows[place]), value))

    def _note(self, written: _Written, where: tuple[int, str]) -> None:
        if written.offset is None and written.is_local:
            self.local = self.local or where
        if written.is_ordered:
            return
        self.unordered = self.unordered or where
        if written.month > 12:
            self.day_first = self.day_first or where
        if written.day > 12:
            self.month_first = self.month_first or where

    def reading(self, given: Reading) -> Reading:
        """Return how the times are to be read, with what the file itself tells.

        Raises:
            UserError: If it cannot be told for certain; the message says what to add.
        """
        order = given.order
        if self.unordered is not None:
            if self.day_first and self.month_first:
                raise UserError(
                    f"{self._at(self.day_first)} has the day first and line {self.month_first[0]} the month; write all times as {WANTED}"
                )
            told = "day-first" if self.day_first else "month-first" if self.month_first else None
            if told and order and told != order:
                raise UserError(f"{self._at(self.day_first or self.month_first or self.unordered)} is {told}; leave --date-order out")
            order = told or order or given.fallback
            if order is None:
                raise UserError(
                    f"{self._at(self.unordered)} may be day and month or month and day, and no row of the file tells; "
                    f"add --date-order day-first or --date-order month-first, or write times as {WANTED}"
                )
        if self.local is not None and given.local is None:
            raise UserError(
                f"{self._at(self.local)} says no time zone, as a country or a spreadsheet writes times; add --time-zone "
                f"(such as America/New_York, or UTC), or write times as {WANTED} (2026-03-01T09:00:00 is UTC)"
            )
        return Reading(given.zone, given.local, order)

    def _at(self, where: tuple[int, str]) -> str:
        return f"{self.file}: column {self.column}, line {where[0]}: {shown(where[1])}"


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column holds texts."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def moments(values: pa.ChunkedArray, reading: Reading) -> Moments:
    """Return UTC microseconds; NaT where a value is no time between 1970 and 2200."""
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        found = values.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False).to_numpy()
        if getattr(kind, "tz", None) is None:
            found = _localised(found.astype("datetime64[us]"), reading.zone)
    elif is_text(kind):
        found = _of_text(values.cast(pa.string()), reading)
    else:
        found = _of_size(values.cast(pa.float64()).to_numpy(zero_copy_only=False), reading)
    found = found.astype("datetime64[us]")
    return np.where((found >= EARLIEST) & (found < LATEST), found, _NEVER)


def _of_text(values: pa.ChunkedArray, reading: Reading) -> Moments:
    text = values.to_pandas().str.strip()
    has_numbers = not pc.all(pc.match_substring_regex(values, r"^\s*\d{4}-")).as_py()
    numbers = _of_numbers(text) if has_numbers else np.full(len(text), np.nan)
    is_number = ~np.isnan(numbers)
    found = _of_iso(text.where(~is_number) if has_numbers else text, reading)
    found = np.where(is_number, _of_size(numbers, reading), found) if has_numbers else found
    for place in np.flatnonzero(np.isnat(found) & ~is_number):
        value = text.iloc[place]
        if isinstance(value, str) and (written := _written(value)) is not None and (written.is_ordered or reading.order is not None):
            found[place] = _instant(written, reading)
    return found


def _of_numbers(text: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """Return the numbers among texts, NaN for the others; a decimal comma is one."""
    return pd.to_numeric(text.str.replace(",", ".", regex=False), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _of_size(numbers: npt.NDArray[np.float64], reading: Reading) -> Moments:
    """Return the moments of numbers, each of the unit that its size tells."""
    good = np.isfinite(numbers) & (numbers >= 0) & (numbers < _UNITS[-1][0])
    factor = np.select([numbers < bound for bound, _ in _UNITS], [unit for _, unit in _UNITS], 0.0)
    micros = np.round(np.where(good, numbers * factor, 0)).astype(np.int64)
    found = np.where(good, micros.astype("datetime64[us]"), _NEVER)
    excel = (numbers >= _EXCEL[0]) & (numbers < _EXCEL[1])
    if excel.any() and reading.local is not None:
        days = np.round(np.where(excel, numbers, 0) * 86_400e3).astype("timedelta64[ms]")
        found = np.where(excel, _localised(np.datetime64(_EXCEL_EPOCH, "us") + days, reading.local), found)
    return found


def _of_iso(text: pd.Series[Any], reading: Reading) -> Moments:
    stamps = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    found: Moments = stamps.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    if reading.zone.key == "UTC":
        return found
    has_zone = text.str.contains(_HAS_ZONE, na=False).to_numpy(dtype=bool) & (text.str.len() > 11).to_numpy(dtype=bool, na_value=False)
    return np.where(has_zone, found, _localised(found, reading.zone))


def _localised(walls: Moments, zone: ZoneInfo) -> Moments:
    """Return wall-clock times of a zone as UTC; of an hour that comes twice the first, of one that is skipped the next."""
    if zone.key == "UTC":
        return walls
    index = pd.DatetimeIndex(walls).tz_localize(zone, ambiguous=np.ones(len(walls), dtype=bool), nonexistent="shift_forward")
    return index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
