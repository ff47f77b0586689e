"""What sources state of themselves: whether threads are whole, and which accounts there are."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from worlds import batch, core, event, person, tables

from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.warehouse import Warehouse


def test_threads_are_as_whole_as_the_replies_that_are_stored() -> None:
    thread = {"medium": "slack_channel", "thread_key": 1}
    events = [
        event("2024-01-31T23:30", 1, reply_count=3, interaction_key=1, **thread),
        event("2024-02-01T09:00", 2, interaction_key=2, **thread),
        event("2024-03-01T09:00", 3, interaction_key=3, **thread),  # late, and counted with its thread
        event("2024-02-02T09:00", 2, interaction_key=4, exclusion="deleted", **thread),
        event("2024-02-05T09:00", 1, medium="slack_channel", reply_count=2, interaction_key=5, thread_key=5),  # both are missing
        event("2024-02-06T09:00", 1, medium="slack_channel", interaction_key=6),
        event("2024-02-07T09:00", 1, medium="slack_channel", reply_count=4, interaction_key=7, thread_key=7, exclusion="deleted"),
    ]
    rows = core(events).run("select month_start, thread_count, stated_reply_count, stored_reply_count, completeness_ratio "
                            "from core.thread_completeness order by 1")  # fmt: skip
    assert rows == [(date(2024, 1, 1), 1, 3, 2, 2 / 3), (date(2024, 2, 1), 1, 2, 0, 0.0)]
    # the month is the organisation's: half past eleven in the evening, UTC, is the next day in Tokyo
    (first, *_) = core(events, time_zone="Asia/Tokyo").run("select month_start from core.thread_completeness order by 1")
    assert first == (date(2024, 2, 1),)


@pytest.mark.parametrize("seed", range(4))
def test_threads_that_grow_night_by_night_are_counted_as_in_one_build(seed: int) -> None:
    random = np.random.default_rng(seed)
    told: list[dict[str, object]] = []
    for number, medium in enumerate(("slack_channel", "slack_dm", "slack_channel", "email"), start=1):
        root = {"medium": medium, "interaction_key": number * 100}
        replies = [
            event(f"2024-02-{day:02}", 2, interaction_key=number * 100 + day, medium=medium, thread_key=number * 100)
            for day in (number + 1, number + 9)
        ]
        # read first before anybody answered, then with a reply, then with all; the third is deleted in the end
        told += [event(f"2024-01-3{number % 2}", 1, **root)]
        told += [event(f"2024-01-3{number % 2}", 1, thread_key=number * 100, reply_count=count, **root) for count in (1, 2)]
        told += replies
        if number == 3:
            told += [event(f"2024-01-3{number % 2}", 1, thread_key=number * 100, reply_count=2, exclusion="deleted", **root)]
    # what is said of one message keeps its order, and what is said of different ones comes in any
    places = random.permutation(len(told))
    by_key: dict[object, list[dict[str, object]]] = {}
    for row in told:
        by_key.setdefault(row["interaction_key"], []).append(row)
    told = [by_key[told[place]["interaction_key"]].pop(0) for place in places]
    warehouse, names = Warehouse(None), ("core.thread_day", "core.thread_completeness")
    last: dict[object, dict[str, object]] = {}
    for night in np.array_split(np.array(told, dtype=object), 6):
        for row in night:
            warehouse.store(batch([row]))
            last[row["interaction_key"]] = row
        build(warehouse, Parameters(), catalog=tables(()))
        at_once = core(list(last.values()))
        for name in names:
            assert warehouse.run(f"select * from {name} order by all") == at_once.run(f"select * from {name} order by all")
    assert warehouse.run("select sum(thread_count), sum(stored_reply_count) from core.thread_completeness") == [(2, 4)]


def test_accounts_are_told_apart_and_counted() -> None:
    people = [
        person(1, is_active=True, is_licensed=True),
        person(2, is_active=True, is_licensed=True),
        person(3, is_active=False, is_licensed=False),
        person(4, is_guest=True),
        person(5, kind="bot"),
        person(6, kind="room"),
        person(7, kind="shared_mailbox", is_active=False),
        person(8, person_id=None),
    ]
    rows = core([event("2024-01-01", 1, 2)], people).run(
        "select kind, is_active, is_guest, is_licensed, has_address, account_count, person_count from core.account_kind order by all"
    )
    assert rows == [
        ("bot", None, False, None, True, 1, 0),
        ("human", False, False, False, True, 1, 1),
        ("human", True, False, True, True, 2, 2),
        ("human", None, False, None, False, 1, 1),
        ("human", None, True, None, True, 1, 1),
        ("room", None, False, None, True, 1, 0),
        ("shared_mailbox", False, False, None, True, 1, 0),
    ]
