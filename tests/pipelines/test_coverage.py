"""Statements of coverage: the last word on a day holds, and the same days leave the same rows however they were told."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.records import Batch, table
from pipelines.warehouse import Warehouse

SOURCE = "test"
FIRST = date(2024, 1, 1)
Said = tuple[str, str | None]

statements = st.lists(
    st.tuples(
        st.sampled_from([0, 7]),
        st.sampled_from(["email", None]),
        st.integers(0, 30),
        st.integers(0, 12),
        st.sampled_from([("observed", None), ("missing", "forbidden"), ("partial", "own_conversations_only"), ("missing", None)]),
    ),
    max_size=12,
)


def row(unit: int, medium: str | None, start: int, length: int, said: Said) -> dict[str, Any]:
    day = FIRST + timedelta(days=start)
    told = {"date_from": day, "date_to": day + timedelta(days=length), "status": said[0], "reason": said[1]}
    return {"source": SOURCE, "stream": "mail", "unit_key": unit, "medium": medium, **told}


def store(warehouse: Warehouse, rows: list[dict[str, Any]]) -> None:
    warehouse.store(Batch(SOURCE, "mail", {"coverage": table("coverage", rows)}))


def kept(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.run("select unit_key, medium, date_from, date_to, status, reason from raw.coverage order by all")


def days(rows: list[tuple[Any, ...]]) -> dict[tuple[Any, ...], Said]:
    found: dict[tuple[Any, ...], Said] = {}
    for unit, medium, first, last, status, reason in rows:
        for offset in range((last - first).days + 1):
            day = (unit, medium, first + timedelta(days=offset))
            assert day not in found, "a day is told twice"
            found[day] = (status, reason)
    return found


@settings(max_examples=60, deadline=None)
@given(told=statements, cuts=st.lists(st.integers(0, 12), max_size=3))
def test_the_last_word_on_each_day_is_kept_however_nights_tell_it(told: list[tuple[Any, ...]], cuts: list[int]) -> None:
    rows = [row(*one) for one in told]
    expected = {}
    for one in rows:
        for offset in range((one["date_to"] - one["date_from"]).days + 1):
            expected[one["unit_key"], one["medium"], one["date_from"] + timedelta(days=offset)] = (one["status"], one["reason"])
    with Warehouse(None) as once, Warehouse(None) as often:
        store(once, rows)
        for first, last in pairwise(sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})):
            store(often, rows[first:last])
            # a night that is killed and run again says the same again
            store(often, rows[first:last])
        assert days(kept(once)) == expected
        assert kept(once) == kept(often)


def test_stretches_that_adjoin_are_one_and_others_stay_apart() -> None:
    with Warehouse(None) as warehouse:
        for start, length in ((0, 2), (3, 1), (9, 0)):
            store(warehouse, [row(0, "email", start, length, ("observed", None))])
        assert [(first, last) for _, _, first, last, _, _ in kept(warehouse)] == [
            (date(2024, 1, 1), date(2024, 1, 5)),
            (date(2024, 1, 10), date(2024, 1, 10)),
        ]


def test_a_mailbox_that_is_read_at_last_makes_good_what_was_missing() -> None:
    with Warehouse(None) as warehouse:
        store(warehouse, [row(7, "email", 0, 5, ("missing", "forbidden"))])
        store(warehouse, [row(7, "email", 0, 9, ("missing", "forbidden"))])
        store(warehouse, [row(7, "email", 4, 8, ("observed", None))])
        assert [entry[2:] for entry in kept(warehouse)] == [
            (date(2024, 1, 1), date(2024, 1, 4), "missing", "forbidden"),
            (date(2024, 1, 5), date(2024, 1, 13), "observed", None),
        ]


def test_other_units_streams_and_media_keep_what_was_said_of_them() -> None:
    with Warehouse(None) as warehouse:
        for unit, medium in ((0, "email"), (0, None), (7, "email")):
            store(warehouse, [row(unit, medium, 0, 3, ("missing", "forbidden"))])
        store(warehouse, [row(0, "email", 0, 3, ("observed", None))])
        assert [(unit, medium, status) for unit, medium, _, _, status, _ in kept(warehouse)] == [
            (0, "email", "observed"),
            (0, None, "missing"),
            (7, "email", "missing"),
        ]
