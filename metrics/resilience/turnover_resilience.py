# description: How much of the network holds together, and how much of it knowledge can still cross, after people leave: those who really
#   left, as
#   many at random, and those with the most ties or the most passing through them.
# question: If people leave, does the organisation stay connected?
# grain: removal, scenario
# role: people | person_count
# role: people of leavers | removed_count
# role: pairs | tie_count
# role: calendar | date_from, date_to
# role: design | reach_source_number
# role: share over person_count | component_ratio
# role: estimate over person_count | component_null_ratio, reach_ratio, reach_null_ratio
# role: interval of component_ratio | component_lower_ratio, component_upper_ratio
# role: interval of component_null_ratio | component_null_lower_ratio, component_null_upper_ratio
# role: interval of reach_ratio | reach_lower_ratio, reach_upper_ratio
# role: words | reason
# column: removal | text | none (nobody), leavers (who really left in the last `silence_days` days), random, degree (most ties first) or
#   betweenness
#   (most shortest paths through them first).
# column: scenario | text | Which share leaves: 0, 5, 10 or 20 per cent; real for the real leavers.
# column: date_from | date | First day of the network.
# column: date_to | date | Last day of the network.
# column: person_count | count | People in the network before anyone leaves.
# column: tie_count | count | Ties among them.
# column: removed_count | count | How many leave.
# column: component_ratio | ratio | Share of those who stay that is in the largest connected part; mean over draws for random.
# column: component_lower_ratio | ratio | Lower bound over the draws; empty where nothing is drawn.
# column: component_upper_ratio | ratio | Upper bound.
# column: component_null_ratio | ratio | The same if as many leave at random: the figure to compare with.
# column: component_null_lower_ratio | ratio | Lower bound over the draws.
# column: component_null_upper_ratio | ratio | Upper bound.
# column: reach_ratio | ratio | Of all couples of people who stay, the share in which what one knows could reach the other within the
#   period, along
#   contacts in the order of their days, one hop a day.
# column: reach_lower_ratio | ratio | Lower bound over the draws; empty where nothing is drawn.
# column: reach_upper_ratio | ratio | Upper bound.
# column: reach_null_ratio | ratio | The same if as many leave at random.
# column: reach_source_number | count | From how many people reach was followed: all, or a sample where there are more than 256.
# column: reason | text | Why the shares are empty: not_observed (gap in the period), too_few (fewer than ten people) or no_leavers.
# unique: removal, scenario
# not_null: removal, scenario, date_from, date_to
# assert: component_ratio between 0 and 1 and reach_ratio between 0 and 1
# assert: component_lower_ratio <= component_upper_ratio and reach_lower_ratio <= reach_upper_ratio
# assert: (component_ratio is null) = (reason is not null)
# caveat: The network is taken as it was: nobody takes over the contacts of those who leave, as people in truth do.
# caveat: Who leaves is known only where a source states it.
# caveat: Random removal hardly breaks a dense network; the drop under targeted removal says how much hangs on few.
# caveat: Among more than 2,000 people the paths through someone are counted from a sample of 256 people.
# caveat: It is about the structure, never about who should stay.
# reference: Albert, Jeong, Barabasi (2000), Error and attack tolerance of complex networks, Nature 406, 378-382.
# reference: Holme (2005), Network reachability of real-world contact sequences, Phys. Rev. E 71, 046119.
"""Resilience of the network to turnover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import duckdb
import igraph
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from metrics.parameters import Parameters
from metrics.resilience._reach import ContactDays, reached_share

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

PERCENTS: Final = (5, 10, 20)
MINIMUM_PEOPLE: Final = 10
REACH_SOURCES: Final = 256
REACH_DRAWS: Final = 10
BETWEENNESS_EXACT: Final = 2000
"""With more people than this betweenness counts shortest paths from the sampled sources of reach only."""

COLUMNS: Final = (
    "removal", "scenario", "date_from", "date_to", "person_count", "tie_count", "removed_count",
    "component_ratio", "component_lower_ratio", "component_upper_ratio",
    "component_null_ratio", "component_null_lower_ratio", "component_null_upper_ratio",
    "reach_ratio", "reach_lower_ratio", "reach_upper_ratio", "reach_null_ratio", "reach_source_number", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class _Network:
    """Ties and contacts among numbered people in one period."""

    date_from: date
    date_to: date
    people: Ints
    a: Ints
    b: Ints
    contacts: ContactDays
    sources: Ints

    @property
    def size(self) -> int:
        return len(self.people)

    def component(self, is_removed: Flags) -> float:
        return largest_component_share(self.a, self.b, is_removed)

    def reach(self, is_removed: Flags) -> float | None:
        left = self.size - int(is_removed.sum())
        return reached_share(self.contacts.without(is_removed), left, self.sources[~is_removed[self.sources]])


@dataclass(frozen=True, slots=True)
class _Null:
    """What random removal of as many people does."""

    component: tuple[float, float, float]
    reach: tuple[float, float, float]


def turnover_resilience(
    window_tie: pa.Table, person_contact_day: duckdb.DuckDBPyRelation, person: pa.Table, parameters: Parameters
) -> pd.DataFrame:
    """Connectedness and reach after removals.

    Args:
        window_tie: Ties of the present and of the period before.
        person_contact_day: Who could pass on to whom on which day.
        person: Who left when.
        parameters: `null_draws`, `confidence` and `seed` are used.

    Returns:
        One row for each removal and scenario; see the header of this file.
    """
    rows: list[dict[str, Any]] = []
    ties = window_tie.to_pandas()
    people = person.select(["person_key", "left_on"]).to_pandas()
    for period in ("present", "before"):
        part = ties[ties["period"] == period]
        if part.empty:
            continue
        network = _network(part, person_contact_day, np.random.default_rng([parameters.seed, period == "before"]))
        rows += list(_present(network, part, parameters) if period == "present" else _before(network, part, people, parameters))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _network(ties: pd.DataFrame, contact_days: duckdb.DuckDBPyRelation, rng: np.random.Generator) -> _Network:
    first, last = (pd.Timestamp(ties[name].iloc[0]).date() for name in ("date_from", "date_to"))
    known = ties.dropna(subset=["person_a_key"]).sort_values(["person_a_key", "person_b_key"])
    a, b = (known[name].to_numpy(dtype=np.int64) for name in ("person_a_key", "person_b_key"))
    people = np.unique(np.concatenate([a, b]))
    first_day, last_day = (int(np.datetime64(day, "D").astype(np.int64)) for day in (first, last))
    contacts = ContactDays.read(contact_days, first_day, last_day, people)
    sources = np.sort(rng.choice(len(people), min(REACH_SOURCES, len(people)), replace=False)).astype(np.int64)
    return _Network(first, last, people, np.searchsorted(people, a), np.searchsorted(people, b), contacts, sources)


def _head(network: _Network, removal: str, scenario: str, removed: int) -> dict[str, Any]:
    return {
        "removal": removal, "scenario": scenario, "date_from": network.date_from, "date_to": network.date_to, "person_count": network.size,
        "tie_count": len(network.a), "removed_count": removed, "reach_source_number": len(network.sources),
    }  # fmt: skip


def _present(network: _Network, ties: pd.DataFrame, parameters: Parameters) -> Iterator[dict[str, Any]]:
    reason = _reason(network, ties)
    scenarios = [(removal, percent) for removal in ("random", "degree", "betweenness") for percent in PERCENTS]
    if reason:
        for removal, percent in [("none", 0), *scenarios]:
            yield _head(network, removal, str(percent), round(network.size * percent / 100)) | {"reason": reason}
        return
    nobody = np.zeros(network.size, dtype=bool)
    yield _head(network, "none", "0", 0) | {"component_ratio": network.component(nobody), "reach_ratio": network.reach(nobody)}
    order = {"degree": _by_degree(network), "betweenness": _by_betweenness(network)}
    nulls = {percent: _random(network, round(network.size * percent / 100), parameters) for percent in PERCENTS}
    for removal, percent in scenarios:
        count = round(network.size * percent / 100)
        row = _head(network, removal, str(percent), count)
        if removal == "random":
            yield row | _spread("component", nulls[percent].component) | _spread("reach", nulls[percent].reach) | _beside(nulls[percent])
        else:
            removed = nobody.copy()
            removed[order[removal][:count]] = True
            shares = {"component_ratio": network.component(removed), "reach_ratio": network.reach(removed)}
            yield row | shares | _beside(nulls[percent])


def _before(network: _Network, ties: pd.DataFrame, people: pd.DataFrame, parameters: Parameters) -> Iterator[dict[str, Any]]:
    left_on = pd.to_datetime(people["left_on"])
    end = pd.Timestamp(network.date_to)
    after = (left_on > end) & (left_on <= end + pd.Timedelta(days=parameters.silence_days))
    removed = np.isin(network.people, people.loc[after, "person_key"].to_numpy(dtype=np.int64))
    row = _head(network, "leavers", "real", int(removed.sum()))
    reason = _reason(network, ties) or (None if removed.any() else "no_leavers")
    if reason:
        yield row | {"reason": reason}
        return
    shares = {"component_ratio": network.component(removed), "reach_ratio": network.reach(removed)}
    yield row | shares | _beside(_random(network, int(removed.sum()), parameters))


def _reason(network: _Network, ties: pd.DataFrame) -> str | None:
    if not bool(ties["is_observed"].iloc[0]):
        return "not_observed"
    return "too_few" if network.size < MINIMUM_PEOPLE else None


def _spread(name: str, triple: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((f"{name}_ratio", f"{name}_lower_ratio", f"{name}_upper_ratio"), triple, strict=True))


def _beside(null: _Null) -> dict[str, float]:
    names = ("component_null_ratio", "component_null_lower_ratio", "component_null_upper_ratio")
    return dict(zip(names, null.component, strict=True)) | {"reach_null_ratio": null.reach[0]}


def _random(network: _Network, count: int, parameters: Parameters) -> _Null:
    rng = np.random.default_rng([parameters.seed, count])
    components, reaches = [], []
    for draw in range(parameters.null_draws):
        removed = np.zeros(network.size, dtype=bool)
        removed[rng.choice(network.size, count, replace=False)] = True
        components.append(network.component(removed))
        if draw < REACH_DRAWS and (reach := network.reach(removed)) is not None:
            reaches.append(reach)
    tail = (1 - parameters.confidence) / 2

    def triple(drawn: list[float]) -> tuple[float, float, float]:
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return float(np.mean(drawn)), float(low), float(high)

    return _Null(triple(components), triple(reaches))


def _by_degree(network: _Network) -> Ints:
    degree = np.bincount(np.concatenate([network.a, network.b]), minlength=network.size)
    return np.lexsort((network.people, -degree))


def _by_betweenness(network: _Network) -> Ints:
    graph = igraph.Graph(n=network.size, edges=np.stack([network.a, network.b], axis=1))
    sources = None if network.size <= BETWEENNESS_EXACT else network.sources.tolist()
    return np.lexsort((network.people, -np.round(np.asarray(graph.betweenness(directed=False, sources=sources)), 6)))


def largest_component_share(a: Ints, b: Ints, is_removed: Flags) -> float:
    """Share of the people who stay that is in the largest connected part of what stays; 0 where nobody stays."""
    keep = ~(is_removed[a] | is_removed[b])
    size = len(is_removed)
    matrix = sparse.coo_array((np.ones(int(keep.sum()), dtype=np.int8), (a[keep], b[keep])), shape=(size, size)).tocsr()
    labels = csgraph.connected_components(matrix, directed=False)[1]
    counted = np.bincount(labels[~is_removed], minlength=1)
    stay = size - int(is_removed.sum())
    return float(counted.max() / stay) if stay else 0.0
