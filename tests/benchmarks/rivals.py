"""The same figures as a user would get them instead: pandas with networkx, written the usual way, and polars for the heavy sums.

Both are handed the messages already flat (one row a message, one row a recipient), which saves them the dearest step. They cover
messages and meetings; threads, reactions, caps and aliases, which perdure also looks after, do not occur in the compared world.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import networkx as nx
import numpy as np
import pandas as pd

from metrics.reciprocity._null import CONTACT_BUDGET, LEAST_DRAWS

TIE_ACTIVE_DAYS = 3
NULL_DRAWS = 40
HALF_LIFE_DAYS = 60.0


def flattened(warehouse_path: Path, folder: Path) -> None:
    """Write messages, recipients and teams of a warehouse as Parquet, for the rivals to start from."""
    with duckdb.connect(str(warehouse_path), read_only=True) as connection:
        for name, sql in {
            "message": "select interaction_key as id, occurred_at, medium, sender_key as sender, minutes from raw.interaction",
            "recipient": "select interaction_key as id, unnest(participants, recursive := true) from raw.interaction",
            "team": "select account_key as person, team from raw.membership",
        }.items():
            connection.execute(f"copy ({sql}) to '{folder / name}.parquet'")


def by_pandas(folder: Path) -> dict[str, Any]:
    """Pairs by day, monthly ties, reciprocity and cross-team share by networkx, and strength."""
    message, recipient, team = (pd.read_parquet(folder / f"{name}.parquet") for name in ("message", "recipient", "team"))
    message["date"] = message["occurred_at"].dt.normalize()
    rows = recipient.merge(message[["id", "date", "medium", "sender"]], on="id")
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
    met = met.assign(size=met.groupby("id")["account_key"].transform("size"))
    pairs = met.merge(met[["id", "account_key"]], on="id", suffixes=("", "_other"))
    pairs = pairs[pairs["account_key"] < pairs["account_key_other"]]
    pairs = pairs.assign(a=pairs["account_key"], b=pairs["account_key_other"], co_count=1, co_weight=1.0 / (pairs["size"] - 1))
    columns = ["ab_count", "ba_count", "ab_weight", "ba_weight", "co_count", "co_weight"]
    contact = pd.concat([sent, pairs])[["a", "b", "date", "medium", *columns]].fillna(0)
    pair_day = contact.groupby(["a", "b", "date", "medium"], as_index=False)[columns].sum()

    pair_day["month"] = pair_day["date"].dt.to_period("M").dt.start_time
    month = pair_day.groupby(["month", "a", "b"], as_index=False)[columns].sum()
    days = pair_day.drop_duplicates(["month", "a", "b", "date"]).groupby(["month", "a", "b"]).size().rename("active_days")
    month = month.merge(days, on=["month", "a", "b"])
    month["is_tie"] = (month["active_days"] >= TIE_ACTIVE_DAYS) | ((month["ab_count"] > 0) & (month["ba_count"] > 0))
    teams = dict(zip(team["person"], team["team"], strict=True))
    sent["month"] = sent["date"].dt.to_period("M").dt.start_time
    sent_in = {start: (part["sender"].to_numpy(), part["account_key"].to_numpy()) for start, part in sent.groupby("month")}
    reciprocity, null, crossing = {}, {}, {}
    for start, part in month.groupby("month"):
        arcs = nx.DiGraph()
        arcs.add_weighted_edges_from(part.loc[part["ab_count"] > 0, ["a", "b", "ab_weight"]].itertuples(index=False))
        arcs.add_weighted_edges_from(part.loc[part["ba_count"] > 0, ["b", "a", "ba_weight"]].itertuples(index=False))
        reciprocity[start.date()] = nx.overall_reciprocity(arcs)
        # no reciprocity without its null: the same senders, and recipients shuffled among them, as often as perdure does
        sender, recipient = sent_in[start]
        drawn = []
        for seed in range(max(min(NULL_DRAWS, CONTACT_BUDGET // len(sender)), LEAST_DRAWS)):
            chance = nx.DiGraph()
            chance.add_edges_from(zip(sender, np.random.default_rng(seed).permutation(recipient), strict=True))
            chance.remove_edges_from(list(nx.selfloop_edges(chance)))
            drawn.append(nx.overall_reciprocity(chance))
        null[start.date()] = float(np.mean(drawn))
        ties = nx.from_pandas_edgelist(part[part["is_tie"]], "a", "b")
        nx.set_node_attributes(ties, teams, "team")
        known = [(ties.nodes[a].get("team"), ties.nodes[b].get("team")) for a, b in ties.edges]
        known = [(one, other) for one, other in known if one is not None and other is not None]
        crossing[start.date()] = sum(one != other for one, other in known) / len(known)
    last = pair_day["date"].max()
    active = pair_day.drop_duplicates(["a", "b", "date"])
    decay = 2.0 ** (-(last - active["date"]).dt.days / HALF_LIFE_DAYS)
    strength = decay.groupby([active["a"], active["b"]]).sum()
    return {"pair_day": pair_day, "reciprocity": reciprocity, "null": null, "crossing": crossing, "strength": strength}


def by_polars(folder: Path) -> Any:
    """Pairs by day only: the heaviest sum."""
    import polars as pl

    message, recipient = (pl.scan_parquet(folder / f"{name}.parquet") for name in ("message", "recipient"))
    rows = recipient.join(message.select("id", "medium", "sender", pl.col("occurred_at").dt.date().alias("date")), on="id")
    sent = rows.filter((pl.col("evidence") != "co_present") & (pl.col("account_key") != pl.col("sender")))
    share = pl.when(pl.col("evidence") == "copied").then(0.5).otherwise(1.0)
    forth = pl.col("sender") < pl.col("account_key")
    sent = sent.with_columns(weight=share / share.sum().over("id")).select(
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
    )
    met = rows.filter(pl.col("evidence") == "co_present").with_columns(size=pl.len().over("id"))
    pairs = met.join(met.select("id", pl.col("account_key").alias("b")), on="id").filter(pl.col("account_key") < pl.col("b"))
    pairs = pairs.select(
        pl.col("account_key").alias("a"),
        "b",
        "date",
        "medium",
        *(pl.lit(0, pl.Int64).alias(name) for name in ("ab_count", "ba_count")),
        *(pl.lit(0.0).alias(name) for name in ("ab_weight", "ba_weight")),
        pl.lit(1, pl.Int64).alias("co_count"),
        (1.0 / (pl.col("size").cast(pl.Int64) - 1)).alias("co_weight"),
    )
    return pl.concat([sent, pairs]).group_by("a", "b", "date", "medium").sum().collect().to_arrow()


def differences(warehouse_path: Path, found: dict[str, Any], polars_rows: Any) -> list[str]:
    """In what the rivals' results differ from the built tables; nothing where they are equal."""
    wrong = []
    with duckdb.connect(str(warehouse_path), read_only=True) as connection:
        for name, rows in (("pandas", found["pair_day"]), ("polars", polars_rows)):
            connection.register("rival", rows)
            columns = ("ab_count", "ba_count", "co_count", "ab_weight", "ba_weight", "co_weight")
            same = " and ".join(f"abs(p.{column} - r.{column}) < 1e-8" for column in columns)
            joined = (
                "core.pair_day as p full join rival as r on r.a = p.person_a_key and r.b = p.person_b_key "
                "and r.date::date = p.date and r.medium = p.medium"
            )
            off = connection.execute(f"select count(*) from {joined} where not coalesce({same}, false)").fetchall()[0][0]
            if off:
                wrong.append(f"{name}: {off} rows of pair_day")
        for what, table, column in (("reciprocity", "reciprocity", "r"), ("crossing", "cross_team", "cross_team_share")):
            ours = dict(
                connection.execute(
                    f"select panel_start, {column} from metrics.org_panel_{table} where panel_kind = 'month' and medium = 'any'"
                ).fetchall()
            )
            if ours.keys() != found[what].keys() or any(abs(ours[start] - found[what][start]) > 1e-9 for start in ours):
                wrong.append(what)
        expected = dict(
            connection.execute(
                "select panel_start, r_null from metrics.org_panel_reciprocity where panel_kind = 'month' and medium = 'any'"
            ).fetchall()
        )
        # of random draws only the mean is compared
        if any(abs(found["null"][start] - expected[start]) > 0.02 for start in expected):
            wrong.append("null of reciprocity")
        strength = found["strength"].rename_axis(["a", "b"]).rename("score").reset_index()
        connection.register("rival", strength)
        off = connection.execute(
            "select count(*) from metrics.pair_strength as p full join rival as r on r.a = p.person_a_key and r.b = p.person_b_key "
            "where not coalesce(abs(p.decay_score - r.score) < 1e-6, false)"
        ).fetchall()[0][0]
        if off:
            wrong.append(f"strength: {off} pairs")
    return wrong
