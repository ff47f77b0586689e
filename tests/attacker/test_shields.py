"""Each shield of the disclosure control by itself: with all of them nothing is found, without that one something is.

Where the organisation `small` does not show what a shield is for, a table written by hand does. Its dimensions are a week and a site, so
that the judge counts the people of a row by the row's own counts.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from releases import published_file, spec

from attacker import attack
from attacker.files import read_export
from attacker.judge import Judgement, Truth, Verdict, judge, small_rows
from attacker.shares import METHODS
from metrics.disclosure import DisclosurePolicy, _control, _protect
from metrics.roles import LAG
from pipelines.catalog import TableSpec
from pipelines.exports import release, told
from pipelines.exports.csv_files import write_csv
from pipelines.exports.datapackage import write_datapackage

# the package names the function as the module is named
release_module = importlib.import_module("pipelines.exports.release")
Tables = Sequence[tuple[TableSpec, Sequence[Sequence[Any]]]]
Shield = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Case:
    """Published files of one home, the latest last."""

    truths: tuple[Path, ...]

    def verdict(self, place: Path, without: Shield | None = None) -> Judgement:
        """Export each in turn, with all shields or without one; attack the exports and judge."""
        shutil.rmtree(place, ignore_errors=True)
        folders = []
        with pytest.MonkeyPatch.context() as patch:
            if without is not None:
                without(patch)
            for number, truth in enumerate(self.truths):
                allowed = release(truth, DisclosurePolicy(), place / "told")
                folder = place / str(number)
                folder.mkdir(parents=True)
                write_datapackage(allowed, folder, write_csv(allowed, folder / "csv"))
                folders.insert(0, folder)
        findings = attack(*folders, seconds=0.3)
        truths = {str(folder): Truth(truth) for folder, truth in zip(folders, reversed(self.truths), strict=True)}
        verdicts = judge(findings, truths)
        # by the latest truth: what is small now
        rows = [row for folder in folders for row in small_rows(read_export(folder), truths[str(folders[0])])]
        for truth in truths.values():
            truth.close()
        return Judgement(verdicts, rows, folders)


def by_hand(place: Path, *tables: tuple[TableSpec, Sequence[Sequence[Any]]]) -> Case:
    """One published file of some tables."""
    return Case((published_file(place / "analytics.duckdb", tables),))


def week(number: int) -> date:
    return date(2026, 1, 5) + timedelta(days=7 * number)


def table(name: str, columns: str, *roles: str) -> TableSpec:
    return spec(name, "week_start site", f"week_start:date site:text {columns}", roles=roles)


def found(case: Case, place: Path, without: Shield, **where: str) -> list[Verdict]:
    """Return what is recovered without a shield, where nothing is with all."""
    assert not case.verdict(place).recovered()
    return case.verdict(place, without).recovered(**where)


# -- the shields, each taken away by itself ---------------------------------------------------------------------------


def no_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "_small_rows", lambda rows, *_: np.zeros(rows.num_rows, np.bool_))


def no_few(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "rounded", lambda values, base, *_: np.floor(values / base + 0.5) * base)


def no_rounding(patch: pytest.MonkeyPatch) -> None:
    rounded = _control.rounded
    patch.setattr(_control, "rounded", lambda values, *others: np.where(np.isnan(rounded(values, *others)), np.nan, values))


def no_preferred(patch: pytest.MonkeyPatch) -> None:
    preferred = _control.preferred
    patch.setattr(_control, "preferred", lambda values: np.where(np.isnan(preferred(values)), np.nan, values))


def no_steps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "share", lambda values, *_: np.round(values, 2))


def no_snapping(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "share", lambda values, on, step, small: np.round(np.round(values / step) * step, 6))


def no_outward(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "outward", lambda values, step, *, is_low: np.round(values, 2))


def no_told_lag(patch: pytest.MonkeyPatch) -> None:
    count = _control._Shaped.count

    def exact(shaped: Any, *others: Any) -> None:
        count(shaped, *others)
        shaped._told |= {name: shaped._exact[name] for name, role in shaped._roles.columns.items() if role.kind == LAG}

    patch.setattr(_control._Shaped, "count", exact)
    patch.setattr(told, "_with_lags", lambda rows, *_: rows)


def no_by(patch: pytest.MonkeyPatch) -> None:
    roles_of = _control.roles_of

    def without(documented: Any) -> Any:
        roles = roles_of(documented)
        return replace(roles, columns={name: replace(role, by=()) for name, role in roles.columns.items()})

    patch.setattr(_control, "roles_of", without)


def no_withheld_elsewhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "_withheld", lambda cells, *_: np.zeros(len(cells.keys), np.bool_))


def no_repeated(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_control, "repeated", lambda *_: {})


def no_program(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_protect, "too_narrow", lambda *_: np.array([], np.int64))


def no_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release_module, "as_told", lambda fresh, *_: dict(fresh))


def no_closing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(told, "_OPEN", "whole")


# -- in an organisation -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def an_organisation(judged: Callable[[str], Judgement]) -> Case:
    """The world `small`, of which nothing is recovered with all shields."""
    with_all = judged("small")
    assert not with_all.recovered()
    assert not with_all.rows
    return Case((with_all.folders[0].parent.parent / "analytics.duckdb",))


def test_without_the_least_number_of_people_rows_about_few_are_shown(an_organisation: Case, tmp_path: Path) -> None:
    without = an_organisation.verdict(tmp_path / "out", no_rows)
    assert {"team with team", "two media", "party"} <= {row.why for row in without.rows}
    assert without.recovered("told")


def test_without_preferred_numbers_hours_of_few_are_all_less_the_others(an_organisation: Case, tmp_path: Path) -> None:
    assert an_organisation.verdict(tmp_path / "out", no_preferred).recovered("magnitude by subtraction", table="medium_effort")
