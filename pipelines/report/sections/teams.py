"""The map of teams: ties observed over expected, as a matrix and as a drawing of teams, never of persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Figure, Heading, Points, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import Edge, matrix, network, nice_scale, strip
from pipelines.report.sections.shared import change, heads, line, missing, not_shown, notes

PAIRS: Final = "metrics.team_pair_panel"
CROSS: Final = "metrics.org_panel_cross_team"
RELIANCE: Final = "metrics.team_pair_reliance"
RATIO: Final = ("density_ratio", "density_ratio_low", "density_ratio_high")
SHARE: Final = ("cross_team_share", "cross_team_share_low", "cross_team_share_high")
MOST_TEAMS: Final = 20
MOST_NAMED: Final = 3
CLOSEST: Final = 2
"""To how many of the teams that it is closest to a team is joined in the drawing."""


def teams(view: View) -> Section:
    """Whether ties cross teams, between which teams they do, and which bridges hang on few."""
    words = view.words
    blocks: list[Block] = []
    _crossing(view, blocks)
    _media(view, blocks)
    rows = _rows(view)
    named: list[Markup] = []
    if rows and view.has(PAIRS, *RATIO, "team_a_person_count", "team_b_person_count", "tie_count"):
        named = _map(view, rows, blocks)
    elif blocks:
        blocks += missing(view, "teams", PAIRS).blocks
    else:
        return missing(view, "teams", PAIRS)
    hanging = _reliance(view, blocks)
    return Section("teams", words("teams.title"), blocks, words("teams.question"), hanging or (named[0] if named else None))


def _crossing(view: View, blocks: list[Block]) -> None:
    """One sentence on all media together."""
    rows = view.now(CROSS, medium="any")
    if not rows or not view.has(CROSS, *SHARE, "cross_team_share_null", "tie_count"):
        return
    row, before = rows[0], view.before(CROSS, medium="any")
    if row.number(SHARE[0]) is None:
        said = view.words("teams.cross_unknown", why=view.cell(row, SHARE[0], "percent"))
    else:
        said = view.words(
            "teams.cross_said",
            share=view.interval(row, *SHARE, "percent"),
            n=view.cell(row, "tie_count", "count"),
            null=view.cell(row, "cross_team_share_null", "percent"),
            change=change(view, row, before[0] if before else None, *SHARE),
        )
    blocks.append(Text(said, "lead"))


def _media(view: View, blocks: list[Block]) -> None:
    """The same by medium, as strips."""
    rows = view.now(CROSS)
    if not rows or not view.has(CROSS, *SHARE, "cross_team_share_null", "tie_count", "ei_beyond_null"):
        return
    rows = sorted(rows, key=lambda row: (row["medium"] == "any", -(row.number("tie_count") or 0)))
    known = [row for row in rows if row.number(SHARE[0]) is not None and row.number("cross_team_share_null") is not None]
    if not known:
        return  # the sentence before has said why
    left = not_shown(
        view,
        [row for row in rows if row not in known],
        lambda row: view.medium(row["medium"]),
        lambda row: row.get("reason") or "too_few",
    )
    scale = nice_scale(
        [value for row in known for column in (*SHARE, "cross_team_share_null") if (value := row.number(column)) is not None]
    )
    blocks.append(
        Table(
            view.words("teams.cross_caption", period=view.period(rows[0]["panel_start"])),
            heads(view, "teams", "medium", "ties", "strip", "share", "null", "beyond", strips={"strip": (scale, "percent")}),
            [
                (
                    view.medium(row["medium"]),
                    view.cell(row, "tie_count", "count"),
                    strip(
                        scale, *(row.number(c) for c in SHARE), mark=row.number("cross_team_share_null"), is_other=row["medium"] == "any"
                    ),
                    view.interval(row, *SHARE, "percent"),
                    view.cell(row, "cross_team_share_null", "percent"),
                    view.cell(row, "ei_beyond_null"),
                )
                for row in known
            ],
            view.words("teams.cross_note"),
        )
    )
    blocks += notes(left)


def _rows(view: View) -> list[Row]:
    """The latest period, or the whole time where most of the latest is withheld because few people are in it."""
    rows = view.now(PAIRS)
    shown = [row for row in rows if not row.is_withheld]
    whole = view.rows(PAIRS, panel_kind="all")
    return whole if (whole and len(shown) * 2 < len(rows)) or not rows else rows


def _sizes(rows: Sequence[Row]) -> dict[str, tuple[float, Row, str]]:
    """Team -> (people, a row and a column that say so), of teams whose size is shown anywhere."""
    found: dict[str, tuple[float, Row, str]] = {}
    for row in rows:
        for side in ("a", "b"):
            column = f"team_{side}_person_count"
            people = row.number(column)
            if people is not None:
                found.setdefault(row[f"team_{side}"], (people, row, column))
    return found


def _map(view: View, rows: Sequence[Row], blocks: list[Block]) -> list[Markup]:
    """The matrix and the drawing; returns the sentences about pairs that stand out."""
    words = view.words
    sizes = _sizes(rows)
    unknown = {row[side] for row in rows for side in ("team_a", "team_b")} - sizes.keys()
    order = sorted(sizes, key=lambda team: (-sizes[team][0], team))[:MOST_TEAMS]
    order += sorted(unknown)[: max(MOST_TEAMS - len(order), 0)]
    chosen = set(order)
    inside = [row for row in rows if row["team_a"] in chosen and row["team_b"] in chosen]
    pairs = {_pair(row): row.number(RATIO[0]) for row in inside}
    withheld = frozenset(_pair(row) for row in inside if row.is_withheld)
    numbers = {team: number for number, team in enumerate(order, start=1)}
    start = inside[0]["panel_start"] if inside else None
    is_whole = bool(inside) and inside[0]["panel_kind"] == "all"
    period = words("teams.whole") if is_whole or start is None else view.period(start)
    blocks.append(Heading(words("teams.map_title")))
    named = _named(view, inside)
    if named:
        blocks.append(Points(named))
    twin = _twin(view, inside, numbers)
    body = Markup("{}{}").format(matrix(order, pairs, withheld, str(words("teams.matrix_alt"))), _key(view))
    note = notes([words("left_out.hatched", n=view.setting(view.release.policy.minimum_group_size))]) if withheld else []
    blocks += [Figure(body, words("teams.matrix_caption", period=period), twin), *note]
    nodes = [(team, sizes[team][0]) for team in order if team in sizes]
    edges = _edges(inside, {team for team, _ in nodes})
    if not edges:
        blocks.append(Text(words("teams.no_edges")))
        return named
    drawn = Markup('<div class="network">{}</div><ul class="legend">{}</ul>').format(
        network(nodes, edges, numbers, str(words("teams.network_alt"))),
        Markup("").join(
            Markup('<li><b data-axis="">{}</b>{} <span class=ci>{}</span></li>').format(
                numbers[team], _name(team), words("teams.people", n=view.cell(sizes[team][1], sizes[team][2], "count"))
            )
            for team, _ in nodes
        ),
    )
    blocks.append(Figure(drawn, words("teams.network_caption", period=period), twin))
    return named


def _edges(rows: Sequence[Row], teams: set[str]) -> list[Edge]:
    """Between each team and the few it is closest to, and wherever ties are clearly more than chance would give."""
    between = [
        row
        for row in rows
        if row["team_a"] != row["team_b"] and {row["team_a"], row["team_b"]} <= teams and (row.number(RATIO[0]) or 0.0) > 0
    ]
    between.sort(key=lambda row: -(row.number(RATIO[0]) or 0.0))
    taken: dict[str, int] = {}
    edges = []
    for row in between:
        low, high = row.number(RATIO[1]), row.number(RATIO[2])
        look = "more" if low is not None and low > 1 else "less" if high is not None and high < 1 else "even"
        if look != "more" and min(taken.get(row[side], 0) for side in ("team_a", "team_b")) >= CLOSEST:
            continue
        edges.append(Edge(row["team_a"], row["team_b"], row.number(RATIO[0]) or 0.0, look))
        for side in ("team_a", "team_b"):
            taken[row[side]] = taken.get(row[side], 0) + 1
    return edges


def _pair(row: Row) -> tuple[str, str]:
    return min(row["team_a"], row["team_b"]), max(row["team_a"], row["team_b"])


def _name(team: str) -> Markup:
    """A team's name: its digits are a name, not a figure."""
    return Markup('<span data-name="">{}</span>').format(team)


def _named(view: View, rows: Sequence[Row]) -> list[Markup]:
    """The pairs of teams furthest above and below what their sizes explain, where that is no chance."""
    words = view.words
    between = [row for row in rows if row["team_a"] != row["team_b"] and row.number(RATIO[0]) is not None and not row.hides("tie_count")]
    above = sorted((row for row in between if (row.number(RATIO[1]) or 0.0) > 1), key=lambda row: -(row.number(RATIO[0]) or 0.0))
    high = (row.number(RATIO[2]) for row in between)
    below = sorted(
        (row for row, upper in zip(between, high, strict=True) if upper is not None and upper < 1),
        key=lambda row: row.number(RATIO[0]) or 0.0,
    )
    return [
        words(
            key,
            a=_name(row["team_a"]),
            b=_name(row["team_b"]),
            ties=view.cell(row, "tie_count", "count"),
            ratio=view.interval(row, *RATIO, "times"),
        )
        for key, found in (("teams.above", above), ("teams.below", below))
        for row in found[:MOST_NAMED]
    ]


def _twin(view: View, rows: Sequence[Row], numbers: Mapping[str, int]) -> Table:
    rows = sorted(rows, key=lambda row: (numbers[row["team_a"]], numbers[row["team_b"]]))
    return Table(
        view.words("teams.twin"),
        heads(view, "teams", "pair", "ties", "expected", "ratio", "mutual"),
        [
            line(
                view,
                row,
                _name(row["team_a"])
                if row["team_a"] == row["team_b"]
                else Markup("{} &ndash; {}").format(_name(row["team_a"]), _name(row["team_b"])),
                view.cell(row, "tie_count", "count"),
                view.cell(row, "expected_tie_count_dyad"),
                view.interval(row, *RATIO, "times"),
                view.cell(row, "mutual_share", "percent"),
            )
            for row in rows
        ],
    )


def _key(view: View) -> Markup:
    entries = [(f"l{level}", f"teams.key_{level}") for level in range(5)] + [("hatch", "teams.key_withheld"), ("", "teams.key_none")]
    return Markup('<ul class="key" data-axis="">{}</ul>').format(
        Markup("").join(Markup('<li><i class="{}"></i>{}</li>').format(look, view.words(key)) for look, key in entries)
    )


def _reliance(view: View, blocks: list[Block]) -> Markup | None:
    """Pairs of teams whose contact hangs on one or two people; the first of them is what the opening paragraph says."""
    words = view.words
    if not view.has(RELIANCE, "is_hanging_on_one", "is_hanging_on_two", "pair_count", "person_count"):
        return None
    rows = view.now(RELIANCE) or view.rows(RELIANCE, panel_kind="all")
    hanging = [row for row in rows if row.get("is_hanging_on_two")]
    hanging.sort(key=lambda row: (not row.get("is_hanging_on_one"), -(row.number("pair_count") or 0.0)))
    blocks.append(Heading(words("teams.reliance_title")))
    if not hanging:
        blocks.append(Text(words("teams.reliance_none")))
        return None
    said = [
        words(
            "teams.reliance_one" if row.get("is_hanging_on_one") else "teams.reliance_two",
            a=_name(row["team_a"]),
            b=_name(row["team_b"]),
            people=view.cell(row, "person_count", "count"),
        )
        for row in hanging[: 2 * MOST_NAMED]
    ]
    blocks += [Points(said), Text(words("teams.reliance_note"), "note")]
    return said[0]
