"""Roles as headers state them."""

from __future__ import annotations

import pytest

from metrics.roles import PAIRS, PEOPLE, Role, RoleError, parse_role, roles_in
from pipelines.catalog import load_catalog


@pytest.mark.parametrize(
    "text, role",
    [
        ("people", Role(PEOPLE, is_guard=True)),
        ("people of inside", Role(PEOPLE, is_guard=True, side="inside")),
        ("people in pairs", Role(PAIRS, is_guard=True)),
        ("people among person_count", Role(PEOPLE, of="person_count")),
        ("people apart", Role(PEOPLE)),
        ("people over cohort", Role(PEOPLE, is_guard=True, over=("cohort",))),
        ("pairs among a by b and c", Role(PAIRS, of="a", by=("b", "c"))),
        ("volume over panel_start and medium", Role("volume", over=("panel_start", "medium"))),
        ("share over tie_count", Role("share", of="tie_count")),
        ("interval of decay", Role("interval", of="decay")),
        ("lag of tie_count", Role("lag", of="tie_count")),
        ("calendar with metrics.x", Role("calendar", beside="metrics.x")),
        ("inside", Role("inside")),
    ],
)
def test_a_role_is_read_as_it_is_written(text: str, role: Role) -> None:
    assert parse_role(text) == role
    assert str(role) == text


@pytest.mark.parametrize(
    "text",
    ["", "peple", "people of", "people in team", "pairs of a", "share", "share of a", "share over a b", "lag over a", "inside with x",
     "words over a", "volume medium", "people among a b"],
)  # fmt: skip
def test_what_is_no_role_is_refused(text: str) -> None:
    with pytest.raises(RoleError):
        parse_role(text)


@pytest.mark.parametrize(
    "lines, why",
    [
        (["people | n"], "no role for m"),
        (["people | n, m, n"], "already"),
        (["people | n", "share over k | m"], "no column with a role"),
        (["people | n", "share over n | m, team"], "is a dimension"),
        (["people over week | n", "words | m"], "no dimension"),
        (["words | n", "share over n | m"], "counts nothing"),
        (["people | n", "interval of n | m"], "no estimate"),
        (["people n, m"], "`<role> | <columns>`"),
    ],
)
def test_a_header_says_one_role_of_each_column_and_names_only_what_is_there(lines: list[str], why: str) -> None:
    with pytest.raises(RoleError, match=why.replace("|", r"\|").replace("`", "`")):
        roles_in(lines, ["team", "n", "m"], ["team"])


def test_every_table_that_may_leave_says_what_each_column_is_and_every_row_is_guarded() -> None:
    for name, spec in load_catalog().items():
        if spec.is_restricted or not spec.roles:
            assert spec.is_restricted or spec.schema == "core" or len(spec.columns) == len(spec.grain), name
            continue
        roles = spec.roles.values()
        about_people = any(role.is_counted or role.kind in ("share", "estimate", "words") for role in roles)
        assert not about_people or any(role.is_guard or role.beside for role in roles), name
        assert parse_role(str(next(iter(roles)))) == next(iter(roles))
