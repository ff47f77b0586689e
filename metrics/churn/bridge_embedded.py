# description: Whether anybody was in contact with both of a pair in the past before a cut: without, the pair is a bridge.
# grain: cut_date, person_a_key, person_b_key
# column: cut_date | date | The day on which the past ends; see bridge_pair.
# column: person_a_key | key | The person with the lesser key.
# column: person_b_key | key | The other person.
# column: is_embedded | flag | Whether the two have a contact in common.
# unique: cut_date, person_a_key, person_b_key
# not_null: cut_date, person_a_key, person_b_key, is_embedded
# caveat: Common contacts outside are not seen where the outside is not collected.
# reference: Granovetter (1973), The strength of weak ties, American Journal of Sociology 78 (local bridges).
# restricted: yes
"""Which pairs are bridges, a cut at a time."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from metrics.panels import integers, number_people
from metrics.shared_contacts import has_shared_contact

_TYPES = {"cut_date": pa.date32(), "person_a_key": pa.int64(), "person_b_key": pa.int64(), "is_embedded": pa.bool_()}


def bridge_embedded(bridge_pair: duckdb.DuckDBPyRelation) -> pa.Table:
    """One row for each pair of each cut; a cut is read at a time."""
    schema = pa.schema(list(_TYPES.items()))
    parts = [schema.empty_table()]
    for (day,) in bridge_pair.select("cut_date").distinct().order("cut_date").fetchall():
        table = bridge_pair.filter(f"cut_date = date '{day}'").select("person_a_key", "person_b_key").to_arrow_table()
        a, b = (integers(table, name) for name in ("person_a_key", "person_b_key"))
        people, (first, second) = number_people(a, b)
        columns = [pa.repeat(pa.scalar(day, pa.date32()), len(a)), a, b, has_shared_contact(first, second, len(people))]
        parts.append(pa.Table.from_arrays([pa.array(column) for column in columns], schema=schema))
    return pa.concat_tables(parts)
