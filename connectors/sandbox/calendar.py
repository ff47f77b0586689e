"""Working days, holidays, holidays taken, and local times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from connectors.sandbox.names import OFFICES
from connectors.sandbox.people import Flags, Floats, Ints, Roster
from connectors.sandbox.world import World

MINUTE: Final = 60_000_000
DAY: Final = 1440 * MINUTE
_OPENS: Final = 480.0
_CLOSES: Final = 1062.0
_COMPANY_HOLIDAYS: Final = ((1, 1), (5, 1), (12, 24), (12, 25), (12, 26), (12, 31))
_OFFICE_HOLIDAYS: Final = (((10, 3), (11, 9)), ((4, 25), (6, 10), (12, 8)), ((3, 25), (10, 28)), ((6, 24), (7, 1), (10, 13)))


@dataclass(slots=True)
class Calendar:
    """Days of a world.

    Attributes:
        epoch: The first day's midnight UTC, microseconds since 1970.
        weekday: Weekday of each day, Monday 0.
        workdays: Days on which the organisation works.
        absent: Person by day: on holiday, or at a site that is closed.
        offset: Office by day: minutes that local time is ahead of UTC.
        months: Month number of each day, counted from the first.
    """

    epoch: int
    weekday: Ints
    workdays: Ints
    absent: Flags
    offset: Ints
    months: Ints

    @classmethod
    def of(cls, world: World, roster: Roster, rng: np.random.Generator) -> Calendar:
        """Make the calendar of a world."""
        days = [world.start + timedelta(days=number) for number in range(world.days)]
        weekday = np.array([day.weekday() for day in days])
        closed = np.array([(day.month, day.day) in _COMPANY_HOLIDAYS for day in days])
        workdays = np.flatnonzero((weekday < 5) & ~closed)
        offset = np.empty((len(OFFICES), world.days), dtype=np.int64)
        for number, office in enumerate(OFFICES):
            zone = ZoneInfo(office.time_zone)
            for place, day in enumerate(days):
                ahead = datetime(day.year, day.month, day.day, 12, tzinfo=zone).utcoffset()
                offset[number, place] = int(ahead.total_seconds() // 60) if ahead else 0
        absent = np.zeros((len(roster.team), world.days), dtype=bool)
        for number, holidays in enumerate(_OFFICE_HOLIDAYS):
            where = np.array([(day.month, day.day) in holidays for day in days])
            absent[np.ix_(np.flatnonzero(roster.office == number), np.flatnonzero(where))] = True
        # two holidays of a fortnight or so a year
        takes = rng.poisson(2.0 * world.days / 365, len(roster.team))
        who = np.repeat(np.arange(len(roster.team)), takes)
        begin = rng.integers(-10, world.days, len(who))
        length = rng.integers(5, 15, len(who))
        for step in range(15):
            on = (begin + step >= 0) & (begin + step < world.days) & (step < length)
            absent[who[on], begin[on] + step] = True
        start = datetime(world.start.year, world.start.month, world.start.day)  # noqa: DTZ001
        epoch = int((start - datetime(1970, 1, 1)).total_seconds()) * 1_000_000  # noqa: DTZ001
        months = np.array([(day.year - world.start.year) * 12 + day.month - world.start.month for day in days])
        return cls(epoch, weekday, workdays, absent, offset, months)

    def moment(self, day: Ints, minute: Floats, office: Ints) -> Ints:
        """Return microseconds since 1970 of local times (minutes after midnight) at offices."""
        local = self.epoch + day * DAY + (minute * MINUTE).astype(np.int64)
        return local - self.offset[office, day] * MINUTE

    def shared(self, minute: Floats, day: Ints, office: Ints, other: Ints) -> Floats:
        """Return minutes of local days at one office, squeezed into those hours at which another works as well."""
        ahead = (self.offset[office, day] - self.offset[other, day]).astype(np.float64)
        low, high = _OPENS + np.maximum(ahead, 0), _CLOSES + np.minimum(ahead, 0)
        squeezed: Floats = np.where(ahead == 0, minute, low + (minute - _OPENS) / (_CLOSES - _OPENS) * (high - low))
        return squeezed

    def day_of(self, at: Ints) -> Ints:
        """Return the UTC day of moments, counted from the first day."""
        return (at - self.epoch) // DAY


def working_minutes(count: int, rng: np.random.Generator) -> Floats:
    """Draw minutes of local days at which people write: mornings and afternoons."""
    morning = rng.random(count) < 0.55
    hour = np.where(morning, rng.normal(10.3, 1.0, count), rng.normal(14.8, 1.3, count))
    minutes: Floats = np.clip(hour, 8.0, 17.6) * 60 + rng.uniform(0, 6, count)
    return minutes


def meeting_minutes(count: int, rng: np.random.Generator) -> Floats:
    """Draw quarter hours of local days at which meetings begin."""
    quarters: Floats = rng.integers(36, 66, count).astype(np.float64) * 15.0
    return quarters
