"""From message to contact: each rule of the design on a handful of rows, weights derived by hand."""

from __future__ import annotations

from typing import Any

import pytest
from worlds import batch, event, person
from worlds import core as built

from pipelines.warehouse import Warehouse

DAY = "2024-03-04T10:00"


def contacts(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.run(
        "select from_key, to_key, evidence, round(weight, 6) from core.contact order by occurred_at, from_key, to_key, evidence"
    )


def channel(when: str, sender: int, key: int, thread: int | None = None, mentions: tuple[int, ...] = (), **fields: Any) -> dict[str, Any]:
    row = event(when, sender, mentions, "slack_channel", "mentioned", interaction_key=key, space_key=7, **fields)
    return row | {"thread_key": thread}


def test_a_direct_message_reaches_the_other() -> None:
    assert contacts(built([event(DAY, 1, 2, "slack_dm")])) == [(1, 2, "addressed", 1)]


def test_a_group_message_reaches_each_other_member_by_an_equal_share() -> None:
    found = contacts(built([event(DAY, 1, [2, 3, 4], "slack_group_dm")]))
    assert found == [(1, 2, "addressed", 0.333333), (1, 3, "addressed", 0.333333), (1, 4, "addressed", 0.333333)]


def test_a_mention_in_a_direct_message_adds_nothing() -> None:
    row = event(DAY, 1, [2, 3], "slack_group_dm")
    row["participants"].append({"account_key": 3, "evidence": "mentioned"})
    assert contacts(built([row])) == [(1, 2, "addressed", 0.5), (1, 3, "addressed", 0.5)]


def test_a_channel_message_reaches_only_whom_it_mentions() -> None:
    assert contacts(built([channel(DAY, 1, 1)])) == []
    assert contacts(built([channel(DAY, 1, 1, mentions=(2, 3))])) == [(1, 2, "mentioned", 0.5), (1, 3, "mentioned", 0.5)]


def test_a_reply_reaches_the_root_author_and_the_latest_other_author() -> None:
    warehouse = built(
        [
            channel("2024-03-04T10:00", 1, 11),
            channel("2024-03-04T10:01", 2, 12, thread=11),
            channel("2024-03-04T10:02", 3, 13, thread=11),
            channel("2024-03-04T10:03", 3, 14, thread=11),
            channel("2024-03-04T10:04", 1, 15, thread=11),
        ]
    )
    assert contacts(warehouse) == [
        (2, 1, "replied", 1),
        (3, 1, "replied", 0.5),
        (3, 2, "replied", 0.5),
        (3, 1, "replied", 0.5),
        (3, 2, "replied", 0.5),
        (1, 3, "replied", 1),
    ]


def test_replied_and_mentioned_together_weigh_one() -> None:
    warehouse = built([channel("2024-03-04T10:00", 1, 11), channel("2024-03-04T10:01", 2, 12, thread=11, mentions=(1, 3, 4))])
    assert contacts(warehouse) == [(2, 1, "replied", 0.333333), (2, 3, "mentioned", 0.333333), (2, 4, "mentioned", 0.333333)]


def test_a_deleted_or_excluded_message_is_no_part_of_its_thread() -> None:
    warehouse = built(
        [
            channel("2024-03-04T10:00", 1, 11),
            channel("2024-03-04T10:01", 2, 12, thread=11, exclusion="deleted"),
            channel("2024-03-04T10:02", 3, 13, thread=11),
        ]
    )
    assert contacts(warehouse) == [(3, 1, "replied", 1)]


def test_a_reaction_reaches_the_author_and_weighs_a_tenth() -> None:
    row = channel(DAY, 1, 1)
    row["participants"] = [{"account_key": 2, "evidence": "reacted"}, {"account_key": 1, "evidence": "reacted"}]
    warehouse = built([row])
    assert contacts(warehouse) == [(2, 1, "reacted", 0.1)]
    assert warehouse.run("select ab_count, ba_count, ba_weight, reaction_count from core.pair_day") == [(0, 0, 0.1, 1)]


def test_a_copied_recipient_counts_half_and_a_mail_weighs_one() -> None:
    row = event(DAY, 1, [2, 3], "email")
    row["participants"] += [{"account_key": number, "evidence": "copied"} for number in (3, 4, 5)]
    # 2 and 3 addressed (1 each; being copied too adds nothing), 4 and 5 copied (a half each): three shares in all
    assert contacts(built([row])) == [
        (1, 2, "addressed", 0.333333),
        (1, 3, "addressed", 0.333333),
        (1, 4, "copied", 0.166667),
        (1, 5, "copied", 0.166667),
    ]


def test_a_mail_to_more_than_the_cap_is_kept_without_contact() -> None:
    warehouse = built([event(DAY, 1, list(range(2, 23)), "email"), event("2024-03-04T11:00", 1, list(range(2, 22)), "email")])
    assert warehouse.run("select exclusion, count(*) from core.interaction group by 1 order by 1") == [("over_cap", 1), (None, 1)]
    assert len(contacts(warehouse)) == 20


def test_a_meeting_puts_each_pair_together_once_without_direction() -> None:
    warehouse = built([event(DAY, 3, [1, 2], "meeting_online", minutes=30.0)])
    assert contacts(warehouse) == [(1, 2, "co_present", 0.5), (1, 3, "co_present", 0.5), (2, 3, "co_present", 0.5)]
    assert warehouse.run("select co_count, co_weight, minutes, ab_count + ba_count from core.pair_day") == [(1, 0.5, 30, 0)] * 3


def test_a_meeting_that_nobody_else_attended_makes_no_contact() -> None:
    assert contacts(built([event(DAY, 1, [], "meeting_online", minutes=30.0)])) == []


def test_a_standing_meeting_is_told_apart() -> None:
    space = [{"source": "test", "space_key": 9, "kind": "meeting_series", "is_standing": True}]
    warehouse = built(batch([event(DAY, 1, 2, "meeting_online", space_key=9)], space=space))
    assert warehouse.run("select standing_count, co_count from core.pair_day") == [(1, 1)]


@pytest.mark.parametrize("kind", ["bot", "app", "room", "shared_mailbox"])
def test_bots_rooms_and_shared_mailboxes_are_no_persons(kind: str) -> None:
    warehouse = built([event(DAY, 1, [2, 9], "slack_group_dm")], people=[person(9, kind=kind)])
    assert contacts(warehouse) == [(1, 2, "addressed", 1)]
    assert warehouse.value("select count(*) from core.person") == 2


def test_a_message_by_a_bot_is_excluded_by_name() -> None:
    warehouse = built([event(DAY, 9, 1, "slack_dm")], people=[person(9, kind="bot")])
    assert warehouse.run("select exclusion from core.interaction") == [("bot",)]
    assert contacts(warehouse) == []


def test_writing_to_oneself_is_no_contact() -> None:
    assert contacts(built([event(DAY, 1, [1, 2], "email")])) == [(1, 2, "addressed", 1)]


def test_two_accounts_of_one_person_are_one_end_of_a_contact() -> None:
    alias = f"{99:016x}{0:016x}"
    people = [person(1, alias_ids=[alias]), {"source": "test", "account_key": 5, "person_id": alias, "kind": "human"}, person(2)]
    warehouse = built([event(DAY, 1, 2), event("2024-03-04T11:00", 5, 2), event("2024-03-04T12:00", 1, 5)], people=people)
    assert contacts(warehouse) == [(1, 2, "addressed", 1), (1, 2, "addressed", 1)]
    assert warehouse.run("select account_count from core.person order by 1") == [(1,), (2,)]
