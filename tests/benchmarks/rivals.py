"""The same figures as a user would get them instead: pandas with networkx, written the usual way, and polars for the heavy sums.

Both are handed the messages already flat (one row a message, one row a recipient), which saves them the dearest step. They cover
messages and meetings; threads, reactions, caps and aliases, which perdure also looks after, do not occur in the compared world. They
write no table, check nothing and draw no interval.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import networkx as nx
import numpy as np
import pandas as pd
from benchmarks.rival_null import expected_reciprocity

from metrics.parameters import Parameters
from metrics.reciprocity._null import CONTACT_BUDGET

PARAMETERS = Parameters()
HALF_LIVES = {
    "decay_score": PARAMETERS.half_life_days,
    "decay_short_score": PARAMETERS.short_half_life_days,
    "decay_long_score": PARAMETERS.long_half_life_days,
}
_DIRECT = ["ab_direct_weight", "ba_direct_weight", "co_direct_weight"]
_SUMMED = ["ab_count", "ba_count", "ab_weight", "ba_weight", "co_count", "co_weight", *_DIRECT, "direct_count"]
_PAIR = ["a", "b"]
_ROUNDED = 1e-6
"""By what sums of seventh parts may fall short of whole numbers."""

Figures = dict[tuple[Any, ...], dict[str, float]]


def flattened(warehouse_path: Path, folder: Path) -> None:
    """Write messages, recipients and teams of a warehouse as Parquet, for the rivals to start from."""
    with duckdb.connect(str(warehouse_path), read_only=True) as connection:
        for name, sql in {
            "message": "select interaction_key as id, occurred_at, medium, sender_key as sender, recipient_count as reach "
            "from raw.interaction",
            "recipient": "select interaction_key as id, unnest(participants, recursive := true) from raw.interaction",
            "team": "select account_key as person, team from raw.membership",
        }.items():
            connection.execute(f"copy ({sql}) to '{folder / name}.parquet'")


def by_pandas(folder: Path, parameters: Parameters = PARAMETERS) -> dict[str, Any]:
    """Pairs by day, ties by month, whole time and medium, reciprocity and cross-team share with their nulls by networkx, and strength."""
    message, recipient, team = (pd.read_parquet(folder / f"{name}.parquet") for name in ("message", "recipient", "team"))
    message["date"] = message["occurred_at"].dt.normalize()
    rows = recipient.merge(message[["id", "date", "medium", "sender", "reach"]], on="id")
    met = rows[rows["evidence"] == "co_present"]
    sent = rows[(rows["evidence"] != "co_present") & (rows["account_key"] != rows["sender"])].copy()
    sent["share"] = 1.0
    sent.loc[sent["evidence"] == "copied", "share"] = 0.5
    sent["weight"] = sent["share"] / sent.groupby("id")["share"].transform("sum")
    sent["a"] = sent[["sender", "account_key"]].min(axis=1)
    sent["b"] = sent[["sender", "account_key"]].max(axis=1)
    forth = sent["sender"] == sent["a"]
    sent["ab_count"], sent["ba_count"] = forth.astype(int), (~forth).astype(int)
    sent["ab_weight"], sent["ba_weight"] = sent["weight"].where(forth, 0.0), sent["weight"].where(~forth, 0.0)
    is_direct = sent["reach"] <= parameters.direct_size
    direct = sent["weight"].mask(is_direct, 1.0)
    sent["ab_direct_weight"], sent["ba_direct_weight"], sent["direct_count"] = (
        direct.where(forth, 0.0),
        direct.mask(forth, 0.0),
        is_direct.astype(int),
    )
    met = met.assign(size=met.groupby("id")["account_key"].transform("size"))
    pairs = met.merge(met[["id", "account_key"]], on="id", suffixes=("", "_other"))
    pairs = pairs[pairs["account_key"] < pairs["account_key_other"]]
    pairs = pairs.assign(a=pairs["account_key"], b=pairs["account_key_other"], co_count=1, co_weight=1.0 / (pairs["size"] - 1))
    is_direct = pairs["size"] - 1 <= parameters.direct_size
    pairs = pairs.assign(co_direct_weight=pairs["co_weight"].mask(is_direct, 1.0), direct_count=is_direct.astype(int))
    contact = pd.concat([sent, pairs])[[*_PAIR, "date", "medium", *_SUMMED]].fillna(0)
    pair_day = contact.groupby([*_PAIR, "date", "medium"], as_index=False)[_SUMMED].sum()

    panel = pd.concat([_panel(pair_day, kind, parameters) for kind in ("month", "all")])
    teams = dict(zip(team["person"], team["team"], strict=True))
    reciprocity: Figures = {}
    crossing: Figures = {}
    contacts = _contacts(sent)
    drawing = 0.0
    for key, part in panel.groupby(["kind", "start", "medium"]):
        if key in contacts:
            reciprocity[key] = _reciprocity(part)
            began = time.perf_counter()
            reciprocity[key] |= _drawn_reciprocity(*contacts[key]) | _expected_reciprocity(*contacts[key], parameters)
            drawing += time.perf_counter() - began
        crossing[key] = _crossing(part, teams)
    age = (pair_day["date"].max() - pair_day["date"]).dt.days
    scores = pd.DataFrame({name: 2.0 ** (-age / half_life) for name, half_life in HALF_LIVES.items()})
    active = pd.concat([pair_day[[*_PAIR, "date"]], scores], axis=1).drop_duplicates([*_PAIR, "date"])
    strength = active.groupby(_PAIR, as_index=False)[list(HALF_LIVES)].sum()
    return {
        "pair_day": pair_day,
        "panel": panel,
        "reciprocity": reciprocity,
        "crossing": crossing,
        "strength": strength,
        "null_seconds": drawing,
    }


def _start(rows: pd.DataFrame, kind: str) -> pd.Series:
    """The first day of the panel in which each row lies."""
    if kind == "month":
        return rows["date"].dt.to_period("M").dt.start_time
    return pd.Series(rows["date"].min(), rows.index)


def _panel(pair_day: pd.DataFrame, kind: str, parameters: Parameters) -> pd.DataFrame:
    """Ties of each month, or of the whole time, by medium and over all."""
    keys = ["start", *_PAIR]
    rows = pair_day.assign(start=_start(pair_day, kind))
    # all media of a day are one day
    days = rows.groupby([*keys, "date"], as_index=False)[_SUMMED].sum().assign(medium="any")
    rows = pd.concat([rows, days])
    # a day of large groups alone is a part of a day in touch
    rows = rows.assign(active_days=1, touch=rows[_DIRECT].sum(axis=1).clip(upper=1.0))
    panel = rows.groupby([*keys, "medium"], as_index=False)[[*_SUMMED, "active_days", "touch"]].sum().assign(kind=kind)
    forth, back, met = (panel[name] + _ROUNDED for name in _DIRECT)
    panel["direct_days"] = (panel["touch"] + _ROUNDED).astype(int)
    panel["is_mutual"] = (forth >= 1) & (back >= 1)
    # two meetings, a message and a meeting, or a message and its answer: what meetings do not stand for must have come as a message
    missing = (1 - forth).clip(lower=0) + (1 - back).clip(lower=0)
    panel["is_tie"] = (panel["direct_days"] >= parameters.tie_active_days) | (missing <= met)
    panel["is_group_tie"] = panel["is_tie"] & (panel["direct_count"] == 0)
    return panel


def _contacts(sent: pd.DataFrame) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Senders, recipients and weights of the messages of each panel and medium."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for kind in ("month", "all"):
        for start, part in sent.assign(start=_start(sent, kind)).groupby("start"):
            for medium, rows in [("any", part), *part.groupby("medium")]:
                found[kind, start, medium] = tuple(rows[name].to_numpy() for name in ("sender", "account_key", "weight"))
    return found


def _reciprocity(part: pd.DataFrame) -> dict[str, float]:
    arcs = nx.DiGraph()
    arcs.add_weighted_edges_from(part.loc[part["ab_count"] > 0, ["a", "b", "ab_weight"]].itertuples(index=False))
    arcs.add_weighted_edges_from(part.loc[part["ba_count"] > 0, ["b", "a", "ba_weight"]].itertuples(index=False))
    return {"r": nx.overall_reciprocity(arcs), "r_w": _weighted_reciprocity(arcs)}


def _expected_reciprocity(sender: Any, recipient: Any, weight: Any, parameters: Parameters) -> dict[str, float]:
    """Reciprocity of networks in which everybody has as many partners, and sends and receives as much, as they do."""
    people, numbers = np.unique(np.concatenate([sender, recipient]), return_inverse=True)
    tail, head = np.split(numbers, 2)
    alone, group = np.zeros((2, len(people), len(people)))
    # what reaches one person alone has weight 1
    is_group = weight < 1 - 1e-9
    np.add.at(alone, (tail[~is_group], head[~is_group]), 1.0)
    np.add.at(group, (tail[is_group], head[is_group]), weight[is_group])
    pair_count = np.triu((alone + group + alone.T + group.T) > 0).sum()
    if pair_count < parameters.minimum_pairs or not alone.any():
        return {}
    arcs = nx.from_numpy_array(alone + group, create_using=nx.DiGraph)
    r_null, r_w_null = expected_reciprocity(alone, group)
    beyond = {
        "rho_degree": (nx.overall_reciprocity(arcs) - r_null) / (1 - r_null),
        "rho_w": (_weighted_reciprocity(arcs) - r_w_null) / (1 - r_w_null),
    }
    return {"r_null": r_null, "r_w_null": r_w_null, **beyond}


def _drawn_reciprocity(sender: Any, recipient: Any, weight: Any) -> dict[str, float]:
    """Reciprocity of networks of the same senders with recipients shuffled among them: the older null, of strengths alone.

    They are drawn as often as perdure draws them, and once where it turns to samples of people.
    """
    drawn = []
    for seed in range(max(min(PARAMETERS.null_draws, CONTACT_BUDGET // len(sender)), 1)):
        shuffled = pd.DataFrame({"u": sender, "v": np.random.default_rng(seed).permutation(recipient), "weight": weight})
        shuffled = shuffled[shuffled["u"] != shuffled["v"]].groupby(["u", "v"], as_index=False)["weight"].sum()
        chance = nx.from_pandas_edgelist(shuffled, "u", "v", "weight", create_using=nx.DiGraph)
        drawn.append((nx.overall_reciprocity(chance), _weighted_reciprocity(chance)))
    r_null, r_w_null = np.mean(drawn, axis=0)
    # how far two means of so many draws lie apart by chance, hardly ever farther: much, where a period has ten messages
    r_apart, r_w_apart = 4 * np.std(drawn, axis=0) * np.sqrt(2 / len(drawn))
    return {
        "r_strength_null": r_null,
        "r_w_strength_null": r_w_null,
        "r_strength_null_apart": r_apart,
        "r_w_strength_null_apart": r_w_apart,
    }


def _weighted_reciprocity(arcs: nx.DiGraph) -> float:
    returned = sum(min(weight, arcs[b][a]["weight"]) for a, b, weight in arcs.edges(data="weight") if arcs.has_edge(b, a))
    return float(returned / arcs.size(weight="weight"))


def _crossing(part: pd.DataFrame, teams: dict[int, str]) -> dict[str, float]:
    """Share of ties between teams, E-I, and what E-I would be if the same teams were dealt to the same people at random."""
    ties = nx.from_pandas_edgelist(part[part["is_tie"]], "a", "b")
    nx.set_node_attributes(ties, teams, "team")
    ties.remove_nodes_from([person for person, team in ties.nodes(data="team") if team is None])
    ties.remove_nodes_from(list(nx.isolates(ties)))
    if not ties.number_of_edges():
        return {}
    share = sum(ties.nodes[a]["team"] != ties.nodes[b]["team"] for a, b in ties.edges) / ties.number_of_edges()
    people = ties.number_of_nodes()
    within = sum(size * (size - 1) for size in Counter(team for _, team in ties.nodes(data="team")).values()) / (people * (people - 1))
    return {"cross_team_share": share, "ei": 2 * share - 1, "ei_null": 1 - 2 * within}


def by_polars(folder: Path, parameters: Parameters = PARAMETERS) -> Any:
    """Pairs by day only: the heaviest sum."""
    import polars as pl

    message, recipient = (pl.scan_parquet(folder / f"{name}.parquet") for name in ("message", "recipient"))
    rows = recipient.join(message.select("id", "medium", "sender", "reach", pl.col("occurred_at").dt.date().alias("date")), on="id")
    sent = rows.filter((pl.col("evidence") != "co_present") & (pl.col("account_key") != pl.col("sender")))
    share = pl.when(pl.col("evidence") == "copied").then(0.5).otherwise(1.0)
    forth = pl.col("sender") < pl.col("account_key")
    is_direct = pl.col("reach") <= parameters.direct_size
    sent = sent.with_columns(weight=share / share.sum().over("id"))
    sent = sent.with_columns(direct=pl.when(is_direct).then(1.0).otherwise("weight")).select(
        pl.min_horizontal("sender", "account_key").alias("a"),
        pl.max_horizontal("sender", "account_key").alias("b"),
        "date",
        "medium",
        forth.cast(pl.Int64).alias("ab_count"),
        (~forth).cast(pl.Int64).alias("ba_count"),
        pl.when(forth).then("weight").otherwise(0.0).alias("ab_weight"),
        pl.when(~forth).then("weight").otherwise(0.0).alias("ba_weight"),
        pl.lit(0, pl.Int64).alias("co_count"),
        pl.lit(0.0).alias("co_weight"),
        pl.when(forth).then("direct").otherwise(0.0).alias("ab_direct_weight"),
        pl.when(~forth).then("direct").otherwise(0.0).alias("ba_direct_weight"),
        pl.lit(0.0).alias("co_direct_weight"),
        is_direct.cast(pl.Int64).alias("direct_count"),
    )
    met = rows.filter(pl.col("evidence") == "co_present").with_columns(size=pl.len().over("id"))
    pairs = met.join(met.select("id", pl.col("account_key").alias("b")), on="id").filter(pl.col("account_key") < pl.col("b"))
    others = pl.col("size").cast(pl.Int64) - 1
    is_direct = others <= parameters.direct_size
    pairs = pairs.select(
        pl.col("account_key").alias("a"),
        "b",
        "date",
        "medium",
        *(pl.lit(0, pl.Int64).alias(name) for name in ("ab_count", "ba_count")),
        *(pl.lit(0.0).alias(name) for name in ("ab_weight", "ba_weight")),
        pl.lit(1, pl.Int64).alias("co_count"),
        (1.0 / others).alias("co_weight"),
        *(pl.lit(0.0).alias(name) for name in ("ab_direct_weight", "ba_direct_weight")),
        pl.when(is_direct).then(1.0).otherwise(1.0 / others).alias("co_direct_weight"),
        is_direct.cast(pl.Int64).alias("direct_count"),
    )
    return pl.concat([sent, pairs]).group_by("a", "b", "date", "medium").sum().collect().to_arrow()


def differences(warehouse_path: Path, found: dict[str, Any], polars_rows: Any) -> list[str]:
    """In what the rivals' results differ from the built tables; nothing where they are equal."""
    wrong = []
    summed = dict.fromkeys(_SUMMED, 1e-08)
    with duckdb.connect(str(warehouse_path), read_only=True) as connection:

        def compare(name: str, table: str, rows: Any, keys: dict[str, str], values: dict[str, float]) -> None:
            connection.register("rival", rows)
            same = " and ".join(f"abs(p.{value}::double - r.{value}::double) < {margin}" for value, margin in values.items())
            joined = f"{table} as p full join rival as r on " + " and ".join(f"p.{ours} = {theirs}" for ours, theirs in keys.items())
            off = connection.execute(f"select count(*) from {joined} where not coalesce({same}, false)").fetchall()[0][0]
            if off:
                wrong.append(f"{name}: {off} rows of {table}")

        pair = {"person_a_key": "r.a", "person_b_key": "r.b"}
        for name, rows in (("pandas", found["pair_day"]), ("polars", polars_rows)):
            compare(name, "core.pair_day", rows, {**pair, "date": "r.date::date", "medium": "r.medium"}, summed)
        # perdure's days are rounded to nine digits, of which a panel sums up to 365
        rounded = dict.fromkeys(_SUMMED, 1e-6)
        whole = dict.fromkeys(("active_days", "direct_days", "is_mutual", "is_tie", "is_group_tie"), 0.5)
        panel = {"panel_kind": "r.kind", "panel_start": "r.start::date", "medium": "r.medium"}
        compare("pandas", "metrics.pair_panel", found["panel"], {**pair, **panel}, {**rounded, **whole})
        compare("pandas", "metrics.pair_strength", found["strength"], pair, dict.fromkeys(HALF_LIVES, 1e-6))
        # of random draws only the mean is compared; perdure shares an arc's weight evenly among its messages, the rival does not
        margins = {
            "r": 1e-9,
            "r_w": 1e-9,
            # solved by both, each to its own precision
            **dict.fromkeys(("r_null", "r_w_null", "rho_degree", "rho_w"), 1e-6),
            "r_strength_null": 0.02,
            "r_w_strength_null": 0.03,
            "cross_team_share": 1e-9,
            "ei": 1e-9,
            "ei_null": 1e-9,
        }
        for table, figures in (("org_panel_reciprocity", found["reciprocity"]), ("org_panel_cross_team", found["crossing"])):
            names = [name for name in margins if any(name in each for each in figures.values())]
            for kind, start, medium, *values in connection.execute(
                f"select panel_kind, panel_start, medium, {', '.join(names)} from metrics.{table}"
            ).fetchall():
                theirs = figures.get((kind, pd.Timestamp(start), medium), {})
                # small panels have no null here
                known = [(n, value) for n, value in zip(names, values, strict=True) if value is not None]
                off = [n for n, value in known if not abs(value - theirs.get(n, np.nan)) <= max(margins[n], theirs.get(f"{n}_apart", 0))]
                wrong += [f"{name} of {table}, {kind} {start} {medium}" for name in off]
    return wrong
