"""What each column of a table that may leave is to disclosure control: stated in the table's header, never guessed from a name.

A header says it in lines `role: <role> | <columns>`; columns of the grain are dimensions and need none. The roles:

- `people [of SIDE]`: how many people a row is about, or how many there are on one side of it. The row leaves only if there are enough
  on every side. `people in pairs`: so many pairs, where nobody counted the people in them.
- `people among COLUMN`: some of those people. `people apart`: others than those whom the row is about.
- `pairs`, `pairs among COLUMN`: pairs of people: ties, arcs, couples, spells, observations of pairs.
- `volume`: what people did: contacts, messages, hours, days at risk.
- `share over COLUMN`: a share of so many people, pairs or things.
- `estimate over COLUMN`: any other figure computed from so many.
- `interval of COLUMN`: an end of the interval of a share or an estimate.
- `lag of COLUMN`: that column in the period before.
- `words`: a word or a flag that the row's figures decide.
- `calendar`: dates and counts of days and periods. `design`: what was set, declared or drawn, and counts of teams and media.
- `inside`: never leaves, as it is about the busiest few; it is for analysts alone.

`words`, `calendar` and `design` may add `with TABLE` where nobody counted people: a row leaves only if that table tells of the whole
time of the same (of the dimensions that both have), else not even its dimensions do.

`people`, `pairs` and `volume` may add `over DIMENSION and DIMENSION` where the total row of a dimension is exactly the sum of its parts,
and `by COLUMN and COLUMN` where fewer people than the row's have a part in it: then those people guard it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PEOPLE: Final = "people"
PAIRS: Final = "pairs"
VOLUME: Final = "volume"
SHARE: Final = "share"
ESTIMATE: Final = "estimate"
INTERVAL: Final = "interval"
LAG: Final = "lag"
WORDS: Final = "words"
CALENDAR: Final = "calendar"
DESIGN: Final = "design"
INSIDE: Final = "inside"

_PLAIN: Final = frozenset({WORDS, CALENDAR, DESIGN, INSIDE})
_LINK: Final = {SHARE: "over", ESTIMATE: "over", INTERVAL: "of", LAG: "of"}
_COUNTED: Final = frozenset({PEOPLE, PAIRS, VOLUME})


class RoleError(Exception):
    """A header's role breaks a rule; the message says which."""


@dataclass(frozen=True, slots=True)
class Role:
    """What one column is to disclosure control.

    Attributes:
        kind: One of the kinds above.
        is_guard: Whether it says how many people (or pairs) the row is about.
        side: Which side of the row those people are on; empty where there is one.
        of: The column that a share or an estimate rests on, that an interval belongs to, that a lag repeats, or that it is some of.
        over: Dimensions over which its total is exactly the sum of its parts.
        by: Columns that count the people who have a part in it, where those are fewer than the row's.
        beside: The table that decides whether its row leaves.
    """

    kind: str
    is_guard: bool = False
    side: str = ""
    of: str = ""
    over: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    beside: str = ""

    def __str__(self) -> str:
        words = [self.kind]
        if self.is_guard and self.kind == PAIRS:
            words = [PEOPLE, "in", PAIRS]
        elif self.kind == PEOPLE and not (self.is_guard or self.of or self.by):
            words.append("apart")
        if self.side:
            words += ["of", self.side]
        if self.beside:
            words += ["with", self.beside]
        if self.of:
            words += [_LINK.get(self.kind, "among"), self.of]
        for word, names in (("over", self.over), ("by", self.by)):
            words += [word, " and ".join(names)] if names else []
        return " ".join(words)

    @property
    def is_counted(self) -> bool:
        """Whether it is a count of people or pairs, or a volume: what adds up."""
        return self.kind in _COUNTED

    @property
    def mentions(self) -> tuple[str, ...]:
        """The columns that it names."""
        return (*((self.of,) if self.of else ()), *self.by)


def parse_role(text: str) -> Role:
    """Read a role as a header states it.

    Raises:
        RoleError: If it is none.
    """
    words = text.split()
    kind, rest = (words[0], words[1:]) if words else ("", [])
    if kind in _PLAIN and not rest:
        return Role(kind)
    if kind in _PLAIN - {INSIDE} and len(rest) == 2 and rest[0] == "with":
        return Role(kind, beside=rest[1])
    if kind in _LINK and len(rest) == 2 and rest[0] == _LINK[kind]:
        return Role(kind, of=rest[1])
    if text == f"{PEOPLE} apart":
        return Role(PEOPLE)
    if kind not in _COUNTED:
        raise RoleError(f"{text!r} is no role")
    stated: dict[str, list[str]] = {}
    word = ""
    for each in rest:
        if each in ("of", "in", "among", "over", "by") and (not stated or each in ("over", "by")) and each not in stated:
            word = each
            stated[word] = []
        elif word and each != "and":
            stated[word].append(each)
        elif not word:
            raise RoleError(f"{text!r} is no role")
    for word, names in stated.items():
        if not names or (word in ("of", "in", "among") and len(names) != 1):
            raise RoleError(f"{text!r} is no role: {word} wants a name")
    if "in" in stated and (kind != PEOPLE or stated["in"] != [PAIRS]):
        raise RoleError(f"{text!r} is no role: only people are counted in pairs")
    if "of" in stated and kind != PEOPLE:
        raise RoleError(f"{text!r} is no role: only people have sides")
    return Role(
        kind=PAIRS if "in" in stated else kind,
        is_guard=kind == PEOPLE and "among" not in stated and "by" not in stated,
        side=stated.get("of", [""])[0],
        of=stated.get("among", [""])[0],
        over=tuple(stated.get("over", ())),
        by=tuple(stated.get("by", ())),
    )


def roles_in(lines: Sequence[str], columns: Sequence[str], grain: Sequence[str]) -> dict[str, Role]:
    """Read a header's `role` lines and check them against its columns.

    Args:
        lines: The values of its `role` lines, `<role> | <columns>`.
        columns: Its documented columns.
        grain: Its dimensions, which need no role.

    Returns:
        Column -> role; empty where the header states none, for a table that never leaves.

    Raises:
        RoleError: If a line is no role, a column has none or two, or a role names a column that is not there or cannot be what it says.
    """
    found: dict[str, Role] = {}
    for line in lines:
        text, separator, listed = line.partition("|")
        names = [part.strip() for part in listed.split(",") if part.strip()]
        if not separator or not names:
            raise RoleError(f"a role is `<role> | <columns>`, not {line!r}")
        role = parse_role(text.strip())
        for name in names:
            if name in found or name in grain or name not in columns:
                raise RoleError(f"role {text.strip()!r}: {name} has one already, is a dimension or is no column")
            found[name] = role
    if not lines:
        return {}
    if missing := [name for name in columns if name not in grain and name not in found]:
        raise RoleError(f"no role for {', '.join(missing)}")
    for name, role in found.items():
        for other in role.mentions:
            if other not in found:
                raise RoleError(f"the role of {name} names {other}, which is no column with a role")
        if unknown := [dimension for dimension in role.over if dimension not in grain]:
            raise RoleError(f"the role of {name} adds up over {', '.join(unknown)}, which is no dimension")
        if role.kind in (SHARE, ESTIMATE) and not found[role.of].is_counted and found[role.of].kind != LAG:
            raise RoleError(f"the role of {name} rests on {role.of}, which counts nothing")
        if role.kind == INTERVAL and found[role.of].kind not in (SHARE, ESTIMATE):
            raise RoleError(f"the role of {name} is an interval of {role.of}, which is no estimate")
        if role.kind == LAG and not found[role.of].is_counted:
            raise RoleError(f"the role of {name} repeats {role.of}, which counts nothing")
    return found


def guards_in(roles: Mapping[str, Role]) -> tuple[str, ...]:
    """The columns that say how many people a row is about."""
    return tuple(name for name, role in roles.items() if role.is_guard)
