"""How many people a row is about, counted anew from contacts, memberships and people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import duckdb
import numpy as np

from attacker.files import TOTALS, Value

MEDIA = re.compile(r"^(slack_|teams_|meeting_|email$|call$)")
_PEOPLE = re.compile(r"person|people|member|side_[ab]_number|removed_count|excluded_count|stated_count|carriers")
_GROUPS = re.compile(r"^(internal_|external_|team_[ab]_|from_|to_)?(person_count|member_count)$|^side_[ab]_number$|^member_count$")
Span = tuple[date, date]

_CONTACTS = """
select c.date, c.medium, c.from_key, c.to_key, a.team, b.team, p.is_internal, q.is_internal, p.kind, q.kind,
    p.organisation_key, q.organisation_key
from core.contact as c
join core.person as p on p.person_key = c.from_key
join core.person as q on q.person_key = c.to_key
left join core.membership as a on a.person_key = c.from_key and c.date >= a.valid_from and c.date < a.valid_to
left join core.membership as b on b.person_key = c.to_key and c.date >= b.valid_from and c.date < b.valid_to
where c.evidence <> 'reacted'
order by c.date
"""


def is_of_people(column: str) -> bool:
    """Whether a figure counts people."""
    return bool(_PEOPLE.search(column)) and not re.search(r"hours|minutes|ratio$|share$|reach_source", column)


class Recount:
    """Counts people by what the dimensions of a row say: two teams, own people and a client, a medium, a day, a cohort."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.why = ""
        self._rows: dict[tuple[Any, ...], tuple[int, str]] = {}

    def people(self, table: str, named: Mapping[str, Value], row: Mapping[str, Any], span: Span | None = None) -> int:
        """Return how many people a row is about, on its smallest side; 0 for nobody. `why` then says by what it is small.

        With a span of days, only what passed in it counts.
        """
        key = (table, *named.values(), *(span or ()))
        if key not in self._rows:
            sides = [(number, why) for number, why in self._sides(named, row, span or self._span(named)) if number > 0]
            self._rows[key] = min(sides, default=(0, ""))
        number, self.why = self._rows[key]
        return number

    @property
    def end(self) -> date:
        """The day after the last that was built."""
        return self._whole[1]

    def _sides(self, named: Mapping[str, Value], row: Mapping[str, Any], span: Span) -> Iterator[tuple[int, str]]:
        media = sorted({str(value) for name, value in named.items() if ("medium" in name or name == "label") and MEDIA.match(str(value))})
        teams = [
            str(value) for name, value in named.items() if "team" in name.split("_") and value is not None and str(value) not in TOTALS
        ]
        if "relationship_key" in named and "party_a" in row:
            yield from self._relationship(row)
        elif "cohort" in named:
            if re.fullmatch(r"\d{4}-\d{2}", str(named["cohort"])):
                yield sum(day.strftime("%Y-%m") == named["cohort"] for day in self._joined), "cohort"
        elif "from_team" in named and len(teams) == 2:
            # how far what one team knows reaches the other, through anybody: about all of both, in contact or not
            yield from ((self._members(team, span), "reach of a team") for team in teams)
        elif len(teams) == 2:
            yield from ((number, "team with team") for number in self._two_teams(teams, span))
        elif teams:
            yield self._members(teams[0], span), "team"
        elif "external_organisation" in named or "external_kind" in named:
            yield from ((number, "own with outside") for number in self._outside(named, span))
        elif media:
            yield min(self._of_medium(medium, span) for medium in media), "medium" if len(media) == 1 else "two media"
        for name, value in row.items():
            # what the table itself counts, exactly, where the row has no contacts to count
            if _GROUPS.match(name) and isinstance(value, int | float):
                yield int(value), "its own count"

    # -- periods -------------------------------------------------------------------------------------------------------

    def _span(self, named: Mapping[str, Value]) -> Span:
        if "panel_start" in named and "panel_kind" in named:
            return self._panels.get((str(named["panel_kind"]), str(named["panel_start"])), self._whole)
        for name, length in (("week_start", 7), ("date", 1)):
            if named.get(name):
                start = date.fromisoformat(str(named[name]))
                return start, start + timedelta(days=length)
        return self._whole

    @cached_property
    def _panels(self) -> dict[tuple[str, str], Span]:
        rows = self.connection.execute("select panel_kind, panel_start, panel_end from core.panel").fetchall()
        return {(kind, start.isoformat()): (start, end) for kind, start, end in rows}

    @cached_property
    def _whole(self) -> Span:
        first, last = self.connection.execute("select min(date), max(date) from core.contact").fetchall()[0]
        return first or date(2000, 1, 1), (last or date(2000, 1, 1)) + timedelta(days=1)

    # -- people --------------------------------------------------------------------------------------------------------

    @cached_property
    def _contacts(self) -> dict[str, np.ndarray]:
        """Every contact in both directions, in order of days: who (one) with whom (other), and where each was on that day."""
        rows = self.connection.execute(_CONTACTS).fetchall()
        columns = list(zip(*rows, strict=True)) or [()] * 12
        day, medium, *sides = (np.array(each, dtype=object) for each in columns)
        days = np.array([each.toordinal() for each in day], dtype=np.int64)
        both = {"day": np.repeat(days, 2), "medium": np.repeat(medium, 2)}
        for place, name in enumerate(("key", "team", "internal", "kind", "organisation")):
            one, other = sides[2 * place], sides[2 * place + 1]
            both[f"one_{name}"] = np.stack([one, other], axis=1).ravel()
            both[f"other_{name}"] = np.stack([other, one], axis=1).ravel()
        return both

    def _in(self, span: Span) -> slice:
        low, high = np.searchsorted(self._contacts["day"], [span[0].toordinal(), span[1].toordinal()])
        return slice(int(low), int(high))

    def _of_medium(self, medium: str, span: Span) -> int:
        found, within = self._contacts, self._in(span)
        return len(set(found["one_key"][within][found["medium"][within] == medium]))

    @cached_property
    def _joined(self) -> list[date]:
        return [
            day
            for (day,) in self.connection.execute(
                "select joined_on from core.person where is_internal and joined_on is not null"
            ).fetchall()
        ]

    @cached_property
    def _places(self) -> list[tuple[int, str, date, date]]:
        return self.connection.execute(
            "select person_key, team, valid_from, valid_to from core.membership where team is not null"
        ).fetchall()

    @cached_property
    def _outsiders(self) -> dict[str, int]:
        query = "select organisation_key, count(*) from core.person where not is_internal group by organisation_key"
        return dict(self.connection.execute(query).fetchall())

    def _members(self, team: str, span: Span) -> int:
        return len({key for key, its, start, end in self._places if its == team and start < span[1] and end > span[0]})

    def _two_teams(self, teams: list[str], span: Span) -> Iterator[int]:
        """The members of both, and the people of each in contact with the other."""
        # what a row says of a team of one, it says of that one
        yield from (self._members(team, span) for team in teams)
        found, within = self._contacts, self._in(span)
        for one, other in (teams, teams[::-1]):
            yield len(set(found["one_key"][within][(found["one_team"][within] == one) & (found["other_team"][within] == other)]))

    def _outside(self, named: Mapping[str, Value], span: Span) -> Iterator[int]:
        """Own people in contact with outside people, and those."""
        found, within = self._contacts, self._in(span)
        chosen = (found["one_internal"][within] == True) & (found["other_internal"][within] == False)  # noqa: E712
        for dimension, column in (("external_kind", "other_kind"), ("external_organisation", "other_organisation")):
            wanted = str(named.get(dimension, "any"))
            if wanted not in TOTALS:
                chosen &= found[column][within] == wanted
        yield len(set(found["one_key"][within][chosen]))
        yield len(set(found["other_key"][within][chosen]))

    def _relationship(self, row: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
        end = date.fromisoformat(str(row["as_of_date"])) + timedelta(days=1) if row.get("as_of_date") else self.end
        start = end - timedelta(days=int(row.get("window_days") or 90))
        for name in ("party_a", "party_b"):
            party = str(row[name])
            if self._members(party, (start, end)):
                yield self._members(party, (end - timedelta(days=1), end)) or self._members(party, (start, end)), "party"
            elif party == "newcomers":
                yield sum(start <= day < end for day in self._joined), "party"
            else:
                yield self._outsiders.get(party, 0), "party"
