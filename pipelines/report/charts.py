"""Drawings without a library: a few lines, one accent, the page's own colours in light and dark.

Positions on a strip are custom properties of plain elements, so that a strip is as wide as its place; curves, networks and
event studies are inline SVG in `currentColor`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
from markupsafe import Markup, escape

Point = tuple[float, float]
_LONGEST = 18
"""As many letters of a team's name as fit under its circle; the list beside the drawing has them all."""


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale from a domain to 0..1; what lies outside is held at the edge."""

    low: float
    high: float

    def __call__(self, value: float) -> float:
        """Where a value lies, from 0 to 1."""
        return min(max((value - self.low) / (self.high - self.low or 1.0), 0.0), 1.0)


def nice_scale(values: Sequence[float], *, zero: bool = True) -> Scale:
    """A scale that holds all values, from 0 where `zero` says so, to a round end."""
    low, high = min([*values, *([0.0] if zero else [])], default=0.0), max([*values, *([0.0] if zero else [])], default=1.0)
    span = (high - low) or 1.0
    step = 10 ** math.floor(math.log10(span))
    step = next(step * each for each in (0.1, 0.2, 0.5, 1, 2) if span / (step * each) <= 10)
    return Scale(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step)


def strip(
    scale: Scale,
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    *,
    mark: float | None = None,
    is_other: bool = False,
) -> Markup:
    """A dot with its interval on a line, and a tick where the reference lies; nothing to read out, since the numbers stand beside it."""
    parts = []
    if scale.low < 0 < scale.high:
        parts.append(f'<i class="zero" style="--x:{scale(0):.4f}"></i>')
    if low is not None or high is not None:
        ends = scale(low) if low is not None else 0.0, scale(high) if high is not None else 1.0
        parts.append(f'<i class="range" style="--x:{ends[0]:.4f};--w:{max(ends[1] - ends[0], 0):.4f}"></i>')
    if mark is not None:
        parts.append(f'<i class="mark" style="--x:{scale(mark):.4f}"></i>')
    if value is not None:
        parts.append(f'<i class="dot" style="--x:{scale(value):.4f}"></i>')
    return Markup('<span class="strip{}" aria-hidden="true">{}</span>').format(
        " other" if is_other else "",
        Markup("".join(parts)),  # noqa: S704 - numbers of ours
    )


def _steps(points: Sequence[Point]) -> list[Point]:
    """A right-continuous step line through points."""
    found: list[Point] = []
    for x, y in points:
        if found:
            found.append((x, found[-1][1]))
        found.append((x, y))
    return found


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def survival_curve(
    curve: Sequence[tuple[float, float, float | None, float | None]],
    reference: Sequence[Point],
    until: float,
    ticks: Sequence[float],
    label: str,
) -> Markup:
    """A survival curve with its band over a reference curve.

    Args:
        curve: (age, share, lower, upper), by age.
        reference: (age, share) of all ties.
        until: The last age that is drawn.
        ticks: Ages to mark.
        label: What a screen reader says.
    """
    width, height, left, bottom = 220.0, 136.0, 24.0, 20.0
    plot_width, plot_height = width - left - 6, height - bottom - 6

    def at(age: float, share: float) -> Point:
        return left + age / until * plot_width, 6 + (1 - share) * plot_height

    out = [f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">']
    for share in (0.0, 0.5, 1.0):
        (x0, y), (x1, _) = at(0, share), at(until, share)
        out.append(f'<path class="grid" d="M{_n(x0)} {_n(y)}H{_n(x1)}"/>')
        out.append(f'<text class="tick" data-axis="" x="{_n(left - 4)}" y="{_n(y + 3)}" text-anchor="end">{share * 100:.0f}</text>')
    for age in ticks:
        x, y = at(age, 0)
        side = "end" if age == until else "middle"
        out.append(f'<text class="tick" data-axis="" x="{_n(x)}" y="{_n(y + 13)}" text-anchor="{side}">{age:.0f}</text>')
    known = [(age, low, high) for age, _, low, high in curve if low is not None and high is not None and age <= until]
    if known:
        upper = _steps([at(age, high) for age, _, high in known])
        lower = _steps([at(age, low) for age, low, _ in known])
        out.append(f'<path class="band" d="{_path([*upper, *reversed(lower)])}Z"/>')
    if reference:
        out.append(f'<path class="reference" d="{_path(_steps([at(*p) for p in reference if p[0] <= until]))}"/>')
    if curve:
        out.append(f'<path class="curve" d="{_path(_steps([at(age, share) for age, share, _, _ in curve if age <= until]))}"/>')
    out.append("</svg>")
    return Markup("".join(out))  # noqa: S704 - numbers of ours, the label escaped


def event_study(
    points: Sequence[tuple[float, float, float | None, float | None]], label: str, ticks: Sequence[tuple[float, str]]
) -> Markup:
    """Estimates with intervals by period before and after a policy began; `ticks` are (value, text) on the vertical axis."""
    width, height, left, bottom = 420.0, 200.0, 46.0, 20.0
    plot_width, plot_height = width - left - 10, height - bottom - 10
    ends = [value for _, estimate, low, high in points for value in (estimate, low, high) if value is not None]
    scale = nice_scale(ends)
    xs = [x for x, *_ in points]
    first, last = min(xs), max(xs)

    def at(x: float, y: float) -> Point:
        return left + (x - first + 0.5) / (last - first + 1) * plot_width, 10 + (1 - scale(y)) * plot_height

    out = [f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">']
    for value, text in ticks:
        y = at(first, value)[1]
        out.append(f'<path class="{"axis" if value == 0 else "grid"}" d="M{_n(left)} {_n(y)}H{_n(width - 10)}"/>')
        out.append(f'<text class="tick" data-axis="" x="{_n(left - 6)}" y="{_n(y + 3)}" text-anchor="end">{escape(text)}</text>')
    boundary = at(-0.5, 0)[0]
    if first < 0 <= last:
        out.append(f'<path class="boundary" d="M{_n(boundary)} 10V{_n(10 + plot_height)}"/>')
    for x, estimate, low, high in points:
        px, py = at(x, estimate)
        side = "before" if x < 0 else "after"
        if low is not None and high is not None:
            out.append(f'<path class="whisker {side}" d="M{_n(px)} {_n(at(x, low)[1])}V{_n(at(x, high)[1])}"/>')
        out.append(f'<circle class="point {side}" cx="{_n(px)}" cy="{_n(py)}" r="4"/>')
        block = f"{x:+.0f}".replace("-", "\u2212")
        out.append(f'<text class="tick" data-axis="" x="{_n(px)}" y="{_n(height - 5)}" text-anchor="middle">{block}</text>')
    out.append("</svg>")
    return Markup("".join(out))  # noqa: S704 - numbers of ours, texts escaped


@dataclass(frozen=True, slots=True)
class Edge:
    """What binds two teams: how many times as many ties as chance would give, and whether that is clearly more or clearly less."""

    one: str
    other: str
    ratio: float
    look: str


def network(nodes: Sequence[tuple[str, float]], edges: Sequence[Edge], numbers: Mapping[str, int], label: str, *, seed: int = 7) -> Markup:
    """Teams as circles by size, and lines between them by how far their ties go beyond chance; teams that are bound lie close.

    Args:
        nodes: (team, people).
        edges: What to draw between them; `look` is more, even or less.
        numbers: Team -> its number in the list beside the drawing.
        label: What a screen reader says.
        seed: Of the layout, so that the same data give the same drawing.
    """
    width, height, margin = 420.0, 330.0, 36.0
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(sorted(team for team, _ in nodes))
    graph.add_weighted_edges_from(sorted((min(e.one, e.other), max(e.one, e.other), min(e.ratio, 8.0)) for e in edges))
    start = nx.circular_layout(graph)
    place = nx.spring_layout(graph, pos=start, seed=seed, iterations=120, k=2.2 / math.sqrt(max(len(graph), 1)), weight="weight")
    xs, ys = [p[0] for p in place.values()], [p[1] for p in place.values()]
    across, down = Scale(min(xs, default=0), max(xs, default=1)), Scale(min(ys, default=0), max(ys, default=1))
    at = {team: (margin + across(x) * (width - 2 * margin), 22 + down(y) * (height - 64)) for team, (x, y) in place.items()}
    largest = max((people for _, people in nodes), default=1) or 1
    heaviest = max((edge.ratio for edge in edges), default=1) or 1
    out = [f'<svg class="team-net" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">']
    for edge in sorted(edges, key=lambda edge: edge.ratio):
        (x0, y0), (x1, y1) = at[edge.one], at[edge.other]
        thickness = 0.8 + 4.2 * min(edge.ratio / heaviest, 1.0)
        out.append(f'<path class="edge {edge.look}" stroke-width="{thickness:.2f}" d="M{_n(x0)} {_n(y0)}L{_n(x1)} {_n(y1)}"/>')
    for team, people in sorted(nodes, key=lambda node: -node[1]):
        x, y = at[team]
        radius = 9 + 9 * math.sqrt(people / largest)
        out.append(f'<circle class="node" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>')
        out.append(f'<text class="number" data-axis="" x="{_n(x)}" y="{_n(y + 4)}" text-anchor="middle">{numbers[team]}</text>')
        name = team if len(team) <= _LONGEST else f"{team[: _LONGEST - 1]}\u2026"
        out.append(f'<text class="name" data-name="" x="{_n(x)}" y="{_n(y + radius + 12)}" text-anchor="middle">{escape(name)}</text>')
    out.append("</svg>")
    return Markup("".join(out))  # noqa: S704 - numbers of ours, names and label escaped


def flow(periods: Sequence[tuple[str, float | None, float | None]], scale: Scale, end: str, label: str) -> Markup:
    """Bars up for what came, bars down for what went, a pair a period; a period without figures is left open.

    Args:
        periods: (name, what came, what went).
        scale: Of both.
        end: What the longest bar there could be stands for, in words.
        label: What a screen reader says.
    """
    out = [f'<div class="flow" role="img" aria-label="{escape(label)}"><em data-axis="">{escape(end)}</em>']
    for name, came, went in periods:
        if came is None or went is None:
            bars = '<i class="up none"></i><i class="down none"></i>'
        else:
            bars = f'<i class="up" style="--h:{scale(came):.3f}"></i><i class="down" style="--h:{scale(went):.3f}"></i>'
        out.append(f'<span>{bars}<b data-axis="">{escape(name)}</b></span>')
    out.append("</div>")
    return Markup("".join(out))  # noqa: S704 - numbers of ours, texts escaped


def matrix(
    teams: Sequence[str], values: Mapping[tuple[str, str], float | None], withheld: frozenset[tuple[str, str]], label: str
) -> Markup:
    """Observed over expected for each pair of teams as shades: darker above chance, an outline below half of it, withheld hatched."""
    size = len(teams)
    out = [f'<div class="matrix" role="img" aria-label="{escape(label)}" style="--n:{size}"><span></span>']
    out += [f'<span class="col" data-axis="">{number}</span>' for number in range(1, size + 1)]
    for number, team in enumerate(teams, start=1):
        out.append(f'<span class="row"><span data-axis="">{number}</span> <b data-name="">{escape(team)}</b></span>')
        for other in teams:
            pair = (min(team, other), max(team, other))
            if pair in withheld:
                out.append('<i class="hatch"></i>')
            elif (value := values.get(pair)) is None:
                out.append("<i></i>")
            else:
                out.append(f'<i class="l{level(value)}"></i>')
    out.append("</div>")
    return Markup("".join(out))  # noqa: S704 - numbers of ours, names escaped


LEVELS: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
"""Where the shades of the matrix begin."""


def level(value: float) -> int:
    """The shade of an observed/expected ratio: 0 (under half of chance) to 4 (over four times)."""
    return sum(value >= edge for edge in LEVELS)


def coverage_strip(days: Sequence[str], label: str) -> Markup:
    """One mark a stretch of days with the same status, as wide as it is long."""
    out = [f'<span class="coverage" role="img" aria-label="{escape(label)}">']
    start = 0
    for position in range(1, len(days) + 1):
        if position == len(days) or days[position] != days[start]:
            share = (position - start) / len(days)
            out.append(f'<i class="{escape(days[start])}" style="--w:{share:.5f}"></i>')
            start = position
    out.append("</span>")
    return Markup("".join(out))  # noqa: S704 - numbers of ours, codes escaped
