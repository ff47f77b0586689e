"""The attacker's own reasoning, on exports written by hand: what follows must be found, and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attacker import Finding, attack
from attacker.shares import METHODS
from attacker.system import System

KINDS = {"name": "string", "withheld": "string", "month": "date", "group": "string"}


def export(folder: Path, rows: Sequence[Mapping[str, Any]], **properties: Mapping[str, Any]) -> Path:
    """Write an export of one table."""
    (folder / "csv").mkdir(parents=True)
    names = [*rows[0]]
    kinds = {name: KINDS.get(name) or ("integer" if name.endswith("_count") else "number") for name in names}
    lines = [",".join("" if row[name] is None else str(row[name]) for name in names) for row in rows]
    (folder / "csv" / "t.csv").write_text("\n".join([",".join(names), *lines]) + "\n", encoding="utf-8")
    fields = [{"name": name, "type": kinds[name], **properties.get(name, {})} for name in names]
    resource = {"path": "csv/t.csv", "format": "csv", "schema": {"fields": fields}}
    package = {"description": "counts are rounded to 5.", "resources": [resource]}
    (folder / "datapackage.json").write_text(json.dumps(package), encoding="utf-8")
    return folder


def of(findings: Sequence[Finding], column: str, **row: str) -> Finding:
    """Return the one finding about a figure."""
    found = [each for each in findings if each.column == column and row.items() <= each.row.items()]
    assert len(found) == 1, found
    return found[0]


def nearest(value: float) -> int:
    return 5 * round(value / 5)


def test_a_linear_program_finds_what_no_single_relation_gives() -> None:
    system = System()
    a, b, c, d = (system.add(name, 0.0, math.inf, is_whole=False) for name in "abcd")
    rule = system.rule("sum", 1.0)
    for parts, total in (((a, b), 10.0), ((c, d), 7.0), ((a, c), 5.0), ((a, d), 9.0)):
        rule.equal([(part, 1.0) for part in parts], total)
    system.solve()
    system.programs([a], seconds=5.0)
    low, high, technique = system.bounds(a)
    assert abs(low - 3.5) < 1e-3
    assert abs(high - 3.5) < 1e-3
    assert technique == "linear program"


def test_of_two_rules_that_contradict_each_other_the_weaker_goes() -> None:
    system = System()
    a = system.add("a", 0.0, 10.0, is_whole=True)
    system.rule("weak", 1.0).bounds.append((a, 8.0, 10.0))
    system.rule("strong", 2.0).bounds.append((a, 0.0, 3.0))
    system.solve()
    assert system.bounds(a)[:2] == (0.0, 3.0)
    assert [rule.technique for rule in system.dropped] == ["weak"]


def medium_rows(hours: Mapping[str, Sequence[float]], hidden: str) -> list[dict[str, Any]]:
    rows = []
    for place in range(len(next(iter(hours.values())))):
        each = {name: listed[place] for name, listed in hours.items()}
        for name, value in {"any": sum(each.values()), **each}.items():
            is_hidden = name == hidden
            month = f"2026-0{place + 1}-01"
            rows.append(
                {
                    "month": month,
                    "name": name,
                    "contact_hours": None if is_hidden else round(value, 1),
                    "withheld": "x" if is_hidden else None,
                }
            )
    return rows


def test_what_all_media_have_more_than_the_others_is_the_withheld_ones(tmp_path: Path) -> None:
    hours = {"mail": [40.2, 51.7, 48.1], "chat": [22.4, 30.3, 19.9], "call": [4.3, 6.1, 5.2]}
    found = of(attack(export(tmp_path, medium_rows(hours, "call"))), "contact_hours", month="2026-02-01", name="call")
    assert found.is_withheld
    assert found.technique == "magnitude by subtraction"
    assert 5.8 < found.low <= 6.1 <= found.high < 6.4


def test_two_withheld_media_shield_each_other(tmp_path: Path) -> None:
    hours = {"mail": [40.2, 51.7, 48.1], "chat": [22.4, 30.3, 19.9], "call": [4.3, 6.1, 5.2]}
    rows = medium_rows(hours, "call")
    for row in rows:
        if row["name"] == "chat":
            row |= {"contact_hours": None, "withheld": "x"}
    found = of(attack(export(tmp_path, rows)), "contact_hours", month="2026-02-01", name="call")
    assert found.high - found.low > 30


def share_rows(random: np.random.Generator, *, of_the_told: bool) -> list[dict[str, Any]]:
    rows = []
    for place in range(30):
        whole = int(random.integers(5, 60))
        part = int(random.binomial(whole, 0.4))
        told = (nearest(part), nearest(whole))
        share = told[0] / told[1] if of_the_told else part / whole
        rows.append({"name": f"g{place}", "pair_count": told[1], "kept_count": told[0], "kept_ratio": round(share, 2)} | {"withheld": None})
    return rows


def test_a_share_of_exact_counts_bounds_them_and_one_of_told_counts_does_not(tmp_path: Path) -> None:
    exact = attack(export(tmp_path / "exact", share_rows(np.random.default_rng(1), of_the_told=False)))
    told = attack(export(tmp_path / "told", share_rows(np.random.default_rng(1), of_the_told=True)))
    assert any(each.technique == "share times denominator" for each in exact)
    assert all(each.technique == "told" for each in told)


def test_an_interval_gives_the_number_that_it_rests_on(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    rows, exact = [], {}
    for place in range(30):
        whole = int(random.integers(10, 60))
        part = int(random.integers(1, whole))
        low, high = METHODS[0](np.array([float(part)]), np.array([float(whole)]))
        exact[f"g{place}"] = whole
        rows.append(
            {"name": f"g{place}", "pair_count": nearest(whole), "held_ratio": round(part / whole, 2)}
            | {"held_low_ratio": round(float(low[0]), 2), "held_high_ratio": round(float(high[0]), 2), "withheld": None}
        )
    findings = attack(export(tmp_path, rows))
    found = {name: of(findings, "pair_count", name=name) for name in exact}
    assert all(each.low <= exact[name] <= each.high for name, each in found.items())
    assert sum(each.low == each.high for each in found.values()) > 15


def test_what_is_withheld_stands_as_the_figure_of_the_month_before(tmp_path: Path) -> None:
    counts = [40, 25, 55, 30, 45, 60, 35, 20]
    rows = [
        {
            "group": "g",
            "month": f"2026-0{place + 1}-01",
            "tie_count": None if place == 2 else count,
            "previous_tie_count": counts[place - 1] if place else None,
            "withheld": "x" if place == 2 else None,
        }
        for place, count in enumerate(counts)
    ]
    rows += [{**row, "group": "h"} for row in rows]
    found = of(attack(export(tmp_path, rows)), "tie_count", group="g", month="2026-03-01")
    assert (found.low, found.high, found.technique) == (53.0, 57.0, "lag")


def test_a_field_that_says_which_columns_it_is_made_of_is_believed(tmp_path: Path) -> None:
    rows = [
        {"name": f"g{place}", "a_count": 5 * place, "b_count": 50, "part": round((5 * place + 1) / 49, 2), "withheld": None}
        for place in range(4)
    ]
    stated = {"part": {"role": {"kind": "share", "numerator": "a_count", "denominator": "b_count"}, "unit": "ratio"}}
    assert any(each.technique == "share times denominator" for each in attack(export(tmp_path, rows, **stated)))


def test_what_one_export_told_another_withholds_in_vain(tmp_path: Path) -> None:
    rows = [
        {"month": f"2026-0{place}-01", "name": name, "x_hours": round(10.2 * place, 1), "withheld": None}
        for place in range(1, 6)
        for name in ("p", "q")
    ]
    before = export(tmp_path / "before", rows)
    later = [{**row, **({"x_hours": None, "withheld": "x"} if row["month"] == "2026-02-01" and row["name"] == "p" else {})} for row in rows]
    after = export(tmp_path / "after", later)
    found = [each for each in attack(after, before) if each.export == str(after) and each.row == {"month": "2026-02-01", "name": "p"}]
    assert [(round(each.low, 2), round(each.high, 2), each.technique) for each in found] == [(20.35, 20.45, "told in another export")]


def test_a_person_who_is_erased_is_the_difference_of_two_exports(tmp_path: Path) -> None:
    rows = [
        {"month": f"2026-0{place}-01", "name": name, "x_hours": round(30.1 * place, 1), "withheld": None}
        for place in range(1, 6)
        for name in ("p", "q")
    ]
    before = export(tmp_path / "before", rows)
    after = export(tmp_path / "after", [{**row, "x_hours": round(row["x_hours"] - 2.4, 1)} for row in rows])
    found = [each for each in attack(after, before) if each.technique == "difference of exports"]
    assert len(found) == len(rows)
    assert all(each.low <= 2.4 <= each.high and each.high - each.low < 0.5 for each in found)
