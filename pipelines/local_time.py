"""The organisation's days, mostly in SQL: instants are naive UTC timestamps, days are those of its time zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta


def local_date(column: str) -> str:
    """Return the SQL of the organisation's day of a naive UTC timestamp; the zone is the named parameter `time_zone`."""
    return f"cast(({column} at time zone 'UTC') at time zone $time_zone as date)"


def quarter_hour(column: str) -> str:
    """Return the SQL of the number of the quarter of an hour of a naive UTC timestamp.

    Time zones differ from UTC by whole quarters, so that every moment of a quarter falls on the same local day: asking for the day
    once a quarter, not once a row, saves most of a scan's time.
    """
    return f"epoch_us({column}) // 900_000_000"


def days_of_quarters(counts: str) -> str:
    """Return the SQL of dates and counts from the SQL of quarters of an hour and counts (columns quarter, n)."""
    return f"select {local_date('make_timestamp(quarter * 900_000_000)')} as date, sum(n)::bigint as n from ({counts}) as q group by all"


def instants_around(first: date, last: date) -> tuple[datetime, datetime]:
    """Return instants between which local days lie: each within a day of the same UTC day on either side."""
    midnight = datetime.min.time()
    return datetime.combine(first, midnight) - timedelta(days=1), datetime.combine(last, midnight) + timedelta(days=2)
