"""Robots' addresses are told from people's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.automatic import Automatic, is_automatic

ROBOTS = [
    "noreply",
    "no-reply",
    "no_reply",
    "no.reply",
    "noreply7",
    "noreply-de",
    "nicht-antworten",
    "donotreply",
    "do-not-reply",
    "do_not_reply",
    "do.not.reply",
    "shop-no-reply",
    "service.noreply",
    "accountsnoreply",
    "ne-pas-repondre",
    "mailer-daemon",
    "mailerdaemon",
    "postmaster",
    "hostmaster",
    "bounce",
    "bounces",
    "bounce-12345",
    "bounces.7",
    "srs0=ab=cd=x",
    "prvs=12ab=ann",
    "notifications",
    "notification",
    "notify",
    "jira-notifications",
    "team.alerts",
    "alerts",
    "weekly-newsletter",
    "newsletter",
    "users-request",
    "users-owner",
    "owner-users",
    "users-bounces",
    "auto-reply",
    "autoreply",
    "auto-confirm",
    "automated",
    "calendar",
    "calendar-notification",
    "listserv",
    "majordomo",
    "mailman",
    "root",
    "cron",
    "nobody",
    "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e",
    "systemmailbox{1f05a927}",
    "unsubscribe",
    "daemon",
]
PEOPLE = [
    "ann",
    "bob.owner",
    "noah.request",
    "nora.reply",
    "noel",
    "noreen",
    "reply",
    "support",
    "info",
    "sales",
    "office",
    "calendar.smith",
    "root.smith",
    "anna.nobody",
    "daemon.hall",
    "newsom",
    "alertson",
    "postma",
    "bouncer.bob",
    "autumn",
    "lister",
    "notis.a",
    "mailand",
    "rooty",
    "o'reply",
]


@pytest.mark.parametrize("local", ROBOTS)
def test_a_robot_is_known_by_its_address(local: str) -> None:
    assert is_automatic(f"{local}@shop.example")
    assert Automatic().covers(f"'{local.upper()}@Shop.Example'")


@pytest.mark.parametrize("local", PEOPLE)
def test_a_person_is_not_taken_for_one(local: str) -> None:
    assert not is_automatic(f"{local}@shop.example")


@pytest.mark.parametrize("address", ["users@lists.own.example", "x@googlegroups.com", "c_12@group.calendar.google.com", "a@own.groups.io"])
def test_lists_and_calendars_are_known_by_their_hosts(address: str) -> None:
    assert is_automatic(address)


def test_settings_add_robots_and_take_people_back() -> None:
    found = Automatic(["jira@*", "*@news.example", "!notify@small.example", " "])
    assert found.covers("JIRA@own.example")
    assert found.covers("someone@news.example")
    assert not found.covers("someone@news.example.org")
    assert not found.covers("jiras@own.example")
    assert not found.covers("notify@small.example")
    assert found.covers("notify@large.example")
    assert not found.covers("no address")


@given(st.text(max_size=40))
def test_any_text_is_taken(text: str) -> None:
    assert Automatic([text]).covers(text) in (True, False)
