"""What must not change a figure: names, order, how records come in, people who say nothing, how long a gap in collection was.

Each test builds every table of two worlds and compares all of them, row by row and column by column. Nothing is left out but what is
drawn at random, which depends on the order of the keys, and what the change must change; both are listed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from organisations import START, organisation
from worlds import person, tables

from connectors.records import SCHEMAS, Batch, table
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.catalog import load_catalog
from pipelines.declarations import Declarations
from pipelines.warehouse import Warehouse

CATALOG = {name: spec for name, spec in load_catalog().items() if spec.schema == "metrics"}
PEOPLE, DAYS = 30, 150
# a smaller world would say no more of a difference, and each costs two builds
SHORT = settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate])
LONG = settings(SHORT, max_examples=12, derandomize=False)

# drawn at random, or decided by the order of keys where people are equal: other names draw otherwise
DRAWN: Mapping[str, str] = {
    "org_panel_reciprocity": r"null|_z$|^rho_",
    "org_panel_structure": r"null|_z$|community",
    "team_pair_reliance": r"^null_top",
    "turnover_resilience": r"reach|null|lower|upper|component",
    "medium_escalation": r"null|_z$|z_score",
}


def world(seed: int, gap_days: int = 0) -> tuple[Batch, Declarations]:
    """A made-up organisation; with `gap_days`, the 24 days after the 70th are not collected, and what follows comes later."""
    made, declarations = organisation(people=PEOPLE, days=DAYS, seed=seed, small=None)
    if not gap_days:
        return made, declarations
    events = made.records["interaction"]
    day = pc.cast(pc.divide(pc.cast(events["occurred_at"], pa.int64()), 86_400_000_000), pa.int64()).to_numpy()
    first = int(np.datetime64(START, "D").astype(np.int64))
    kept = (day < first + 70) | (day >= first + 94)
    later = pa.array(np.where(day[kept] >= first + 94, (gap_days - 24) * 86_400_000_000, 0)).cast(pa.duration("us"))
    events = events.filter(pa.array(kept))
    events = events.set_column(
        events.schema.get_field_index("occurred_at"), SCHEMAS["interaction"].field("occurred_at"), pc.add(events["occurred_at"], later)
    )
    return replace(made, records={**made.records, "interaction": events}), declarations


@contextmanager
def figures(batches: list[Batch], declarations: Declarations, **parameters: Any) -> Iterator[dict[str, pd.DataFrame]]:
    """Every table of metrics, and the gaps, as frames."""
    with Warehouse(None) as warehouse:
        for batch in batches:
            warehouse.store(batch)
        build(warehouse, Parameters(**parameters), declarations, catalog=tables(None))
        names = {spec.name: name for name, spec in CATALOG.items()} | {"gap": "core.gap"}
        yield {short: warehouse.connection.sql(f"select * from {name}").df() for short, name in names.items()}


def compare(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame], ignored: Mapping[str, str] | None = None) -> None:
    """All tables are equal, but for the columns whose names match the table's pattern in `ignored` (`.*` for a table that must change)."""
    differing = {}
    for spec in CATALOG.values():
        pattern = (ignored or {}).get(spec.name)
        left, right = (_sorted(frames[spec.name], spec.unique[0] if spec.unique else spec.grain) for frames in (one, other))
        if pattern == ".*":
            continue
        columns = [name for name in left.columns if not (pattern and re.search(pattern, name))]
        try:
            pd.testing.assert_frame_equal(left[columns], right[columns], check_exact=False, rtol=1e-6, atol=1e-8)
        except AssertionError as error:
            differing[spec.name] = str(error)
    assert not differing, "\n".join(f"{name}: {text}" for name, text in differing.items())


def _sorted(frame: pd.DataFrame, keys: tuple[str, ...]) -> pd.DataFrame:
    listed = frame.copy()
    for name in listed.columns:
        if any(isinstance(value, np.ndarray) for value in listed[name]):
            listed[name] = [tuple(value) if isinstance(value, np.ndarray) else None for value in listed[name]]
    order = sorted(range(len(listed)), key=lambda row: tuple(str(listed[key].iloc[row]) for key in keys))
    return listed.iloc[order].reset_index(drop=True)


def parts(batch: Batch, of: Callable[[int], int], count: int) -> list[Batch]:
    """The batch in several, each interaction in the one that `of` its row says; accounts and memberships in each."""
    events = batch.records["interaction"]
    which = np.array([of(row) % count for row in range(events.num_rows)])
    return [replace(batch, records={**batch.records, "interaction": events.filter(pa.array(which == part))}) for part in range(count)]


def check_order(seed: int, shuffle: int) -> None:
    """The same records in another order, in three parts, the last part first and one part twice."""
    made, declarations = world(seed)
    random = np.random.default_rng(shuffle)
    events = made.records["interaction"]
    shuffled = replace(made, records={**made.records, "interaction": events.take(pa.array(random.permutation(events.num_rows)))})
    split = parts(shuffled, lambda row: row * 7 + shuffle, 3)
    with figures([made], declarations) as one, figures([split[2], split[0], split[1], split[0]], declarations) as other:
        compare(one, other)


def check_names(seed: int, shuffle: int) -> None:
    """Everyone under another pseudonym."""
    made, declarations = world(seed)
    random = np.random.default_rng(shuffle)
    old = sorted(made.records["account"]["account_key"].to_pylist())
    # names that are strange to the old ones: another order, other magnitudes
    new = {number: int(name) for number, name in zip(old, random.permutation(np.arange(len(old)) * 7_919 + 1_000), strict=True)}
    with figures([made], declarations) as one, figures([renamed(made, new)], declarations) as other:
        back = {name: number for number, name in new.items()}
        compare(one, {name: unnamed(frame, back) for name, frame in other.items()}, DRAWN)


def renamed(made: Batch, new: Mapping[int, int]) -> Batch:
    records = {}
    for kind, listed in made.records.items():
        rows = listed.to_pylist()
        for row in rows:
            for field in ("account_key", "sender_key", "manager_key"):
                if row.get(field) is not None:
                    row[field] = new[row[field]]
            for participant in row.get("participants") or ():
                participant["account_key"] = new[participant["account_key"]]
            if kind == "account":
                row["person_id"] = person(row["account_key"])["person_id"]
        records[kind] = table(kind, rows)
    return replace(made, records=records)


KEYS = (
    "person_key",
    "person_a_key",
    "person_b_key",
    "from_key",
    "to_key",
    "side_a_key",
    "side_b_key",
    "newcomer_key",
    "other_key",
    "manager_key",
)


def unnamed(frame: pd.DataFrame, back: Mapping[int, int]) -> pd.DataFrame:
    """The frame under the old names; a pair whose lesser and greater key have changed places has its sides changed too."""
    found = frame.copy()
    for name in set(KEYS) & set(found.columns):
        found[name] = found[name].map(lambda key: back[int(key)] if pd.notna(key) else key)
    if {"person_a_key", "person_b_key"} <= set(found.columns):
        is_turned = (found["person_a_key"] > found["person_b_key"]).fillna(False).to_numpy(dtype=bool)
        for name in found.columns:
            twin = re.sub(r"(^|_)a(?=_|b_|$)", r"\1b", name) if not name.startswith("ab_") else "ba_" + name[3:]
            if twin != name and twin in found.columns:
                held = found.loc[is_turned, name].copy()
                found.loc[is_turned, name] = found.loc[is_turned, twin].to_numpy()
                found.loc[is_turned, twin] = held.to_numpy()
    return found


def check_silent(seed: int, number: int) -> None:
    """One more person, who has an account and a team and no contact with anybody."""
    made, declarations = world(seed)
    silent = person(number, domain_key=7000)
    place = {"source": made.source, "account_key": number, "observed_on": START, "team": made.records["membership"]["team"][0].as_py()}
    more = Batch(made.source, "events", {"account": table("account", [silent]), "membership": table("membership", [place])})
    with figures([made], declarations) as one, figures([made, more], declarations) as other:
        # one more person whom nothing reaches, and one more member of a team that the charter names
        compare(one, other, {"knowledge_reach": r"person_count|ratio|median_days|source_number", "charter_status": r"^person_count"})


DATES = r"date|_at$|fitted_to|window_from|horizon_to"
# with another calendar after the gap, months and weeks cut otherwise
BY_CALENDAR = (
    "pair_panel", "pair_panel_balance", "pair_panel_media", "org_panel_reciprocity", "org_panel_churn", "org_panel_cross_team",
    "org_panel_structure", "person_panel_position", "team_pair_panel", "team_pair_contact", "team_pair_reliance", "medium_effort",
    "medium_multiplexity", "medium_persistence", "organisation_panel_tie", "person_contact_day", "observed_day", "observed_stretch",
    "team_week_outcome", "policy_effect", "policy_event_study", "tie_embedding", "knowledge_reach", "newcomer_tie", "newcomer_integration",
    "window_tie", "tie_definition_sensitivity", "coverage_panel",
)  # fmt: skip


def check_gap(seed: int) -> None:
    """A gap in collection of 56 days against one of 112: the same weekdays, the same days before and after."""
    (short, declarations), (long, _) = world(seed, 56), world(seed, 112)
    dated = {spec.name: DATES for spec in CATALOG.values()}
    # the ninety days before the latest ninety lie in the gap, which is said of both
    dated["turnover_resilience"] += "|person_count|tie_count|removed_count|source_number"
    with figures([short], declarations) as one, figures([long], declarations) as other:
        # a longer silence is more telling: of a rare medium it may be a gap where the shorter one is none
        assume(set(one["gap"]["medium"]) == set(other["gap"]["medium"]))
        compare(one, other, dated | dict.fromkeys(BY_CALENDAR, ".*"))


CHECKS = (
    pytest.param(check_order, st.tuples(st.integers(1, 10_000), st.integers(0, 10_000)), id="order_and_parts"),
    pytest.param(check_names, st.tuples(st.integers(1, 10_000), st.integers(0, 10_000)), id="names"),
    pytest.param(check_silent, st.tuples(st.integers(1, 10_000), st.integers(90_000, 99_999)), id="a_silent_person"),
    pytest.param(check_gap, st.tuples(st.integers(1, 10_000)), id="a_longer_gap"),
)


@pytest.mark.parametrize("check, arguments", CHECKS)
def test_nothing_changes_but_what_must(check: Callable[..., None], arguments: st.SearchStrategy[tuple[int, ...]]) -> None:
    SHORT(given(arguments)(lambda drawn: check(*drawn)))()


@pytest.mark.full
@pytest.mark.parametrize("check, arguments", CHECKS)
def test_nothing_changes_but_what_must_in_many_worlds(check: Callable[..., None], arguments: st.SearchStrategy[tuple[int, ...]]) -> None:
    LONG(given(arguments)(lambda drawn: check(*drawn)))()


def test_the_comparison_sees_a_difference() -> None:
    frames = {spec.name: pd.DataFrame({name: [1.0] for name in spec.grain}) for spec in CATALOG.values()}
    changed = frames | {"tie_hazard": frames["tie_hazard"] * 2}
    with pytest.raises(AssertionError, match="tie_hazard"):
        compare(frames, changed)
