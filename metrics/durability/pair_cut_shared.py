# description: With how many people both of a pair were in contact in the window before a cut, and how alive those contacts were.
# grain: cut_number, person_a_key, person_b_key
# column: cut_number | count | The cut; see prediction_cut.
# column: person_a_key | key | The person with the lesser key.
# column: person_b_key | key | The other person.
# column: shared_count | count | People with whom both were in contact in the window.
# column: shared_score | score | Sum over those people of the lesser of the two day-decay scores: how alive the shared contacts are.
# unique: cut_number, person_a_key, person_b_key
# not_null: cut_number, person_a_key, person_b_key, shared_count, shared_score
# assert: shared_count >= 0 and shared_score >= 0
# caveat: Pairs that predictions look at only: all of today, a sample of each past cut.
# restricted: yes
"""Shared contacts of pairs, counted along adjacency lists: a join of pairs with pairs would hold all their steps at once."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from metrics.panels import Floats, Integers, flags, floats, integers, number_people

_TYPES = {
    "cut_number": pa.int64(), "person_a_key": pa.int64(), "person_b_key": pa.int64(), "shared_count": pa.int64(),
    "shared_score": pa.float64(),
}  # fmt: skip


def pair_cut_shared(pair_cut: duckdb.DuckDBPyRelation, prediction_cut: pa.Table) -> pa.Table:
    """One row for each kept pair of each cut; a cut is read at a time."""
    schema = pa.schema(list(_TYPES.items()))
    parts = [schema.empty_table()]
    for number in sorted(prediction_cut["cut_number"].to_pylist()):
        table = (
            pair_cut.filter(f"cut_number = {int(number)}")
            .select("person_a_key", "person_b_key", "decay_score", "is_kept")
            .order("person_a_key, person_b_key")
            .to_arrow_table()
        )
        kept = flags(table, "is_kept")
        a, b = (integers(table, name) for name in ("person_a_key", "person_b_key"))
        people, (first, second) = number_people(a, b)
        count, score = shared_contacts(first, second, floats(table, "decay_score"), len(people), kept.nonzero()[0])
        columns = [np.full(len(count), number), a[kept], b[kept], count, np.round(score, 9)]
        parts.append(pa.Table.from_arrays([pa.array(column) for column in columns], schema=schema))
    return pa.concat_tables(parts)


def shared_contacts(first: Integers, second: Integers, score: Floats, people: int, wanted: Integers) -> tuple[Integers, Floats]:
    """Of each wanted pair, how many people both are in contact with, and the sum over them of the lesser of the two scores.

    From the less connected of the two to their contacts, and on to the other: never more steps than there are triangles to find.

    Args:
        first: One person of each pair in contact, numbered from 0; no pair twice.
        second: The other person.
        score: Each pair's score, above 0.
        people: How many people there are.
        wanted: Which of the pairs to count for.
    """
    count, total = np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted))
    ends, others = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.argsort(ends, kind="stable")
    others, scores = others[order], np.tile(score, 2)[order]
    degree = np.bincount(ends, minlength=people)
    starts = np.cumsum(degree) - degree
    is_first_near = degree[first[wanted]] <= degree[second[wanted]]
    near = np.where(is_first_near, first[wanted], second[wanted])
    far = np.where(is_first_near, second[wanted], first[wanted])
    by_far = np.argsort(far, kind="stable")
    of_far = np.zeros(people)
    for rows in np.split(by_far, np.flatnonzero(np.diff(far[by_far])) + 1):
        if not len(rows):
            continue
        own = slice(starts[far[rows[0]]], starts[far[rows[0]]] + degree[far[rows[0]]])
        of_far[others[own]] = scores[own]
        steps = degree[near[rows]]
        begins = np.cumsum(steps) - steps
        place = np.arange(steps.sum()) + np.repeat(starts[near[rows]] - begins, steps)
        lesser = np.minimum(of_far[others[place]], scores[place])
        count[rows] = np.add.reduceat(lesser > 0, begins, dtype=np.int64)
        total[rows] = np.add.reduceat(lesser, begins)
        of_far[others[own]] = 0
    return count, total
