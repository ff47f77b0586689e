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
"""Shared contacts of pairs, a cut at a time."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from metrics.panels import flags, floats, integers, number_people
from metrics.shared_contacts import shared_contacts

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
