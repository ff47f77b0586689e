"""What sources state of themselves: whether threads are whole, and which accounts there are."""

from __future__ import annotations

from datetime import date

from worlds import core, event, person


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
