"""From integers to the records that land."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from connectors.events_file.accounts import Accounts, Keys
from connectors.events_file.rows import Events
from connectors.records import EVIDENCE, INSTANT, MEDIA, PARTICIPANT, SCHEMAS, Batch

ROWS_A_BATCH: Final = 500_000


def _mixed(*columns: npt.NDArray[Any]) -> Keys:
    """Mix integer columns, at least one of them a keyed hash, into one 64-bit key (splitmix64's finaliser)."""
    state = np.zeros(len(columns[0]), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            state = (state ^ column.astype(np.int64).view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
    return state.view(np.int64)


def _occurrences(keys: Keys) -> Keys:
    """Return for each entry how many equal ones stand before it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(keys) else np.zeros(0, np.int64)
    counts = np.diff(np.append(starts, len(keys)))
    ranks = np.arange(len(keys)) - np.repeat(starts, counts)
    result = np.empty(len(keys), dtype=np.int64)
    result[order] = ranks
    return result


def batches(events: Events, source: str, accounts: Accounts) -> Iterator[Batch]:
    """Yield interactions, going forward in time."""
    if not len(events.at):
        return
    own = events.interaction_key == 0
    if own.any():
        # a row without an id is an interaction of its own, known by its content and its place among equal rows
        starts = np.flatnonzero(np.concatenate([[True], events.row[1:] != events.row[:-1]]))
        row_of = np.cumsum(np.concatenate([[True], events.row[1:] != events.row[:-1]])) - 1
        people = np.bitwise_xor.reduceat(_mixed(events.recipient), starts)
        namespace = np.full(len(starts), accounts.pseudonyms.key("events:source", source), dtype=np.int64)
        content = _mixed(namespace, events.sender[starts], people, events.at[starts], events.medium[starts], events.evidence[starts])
        events.interaction_key = np.where(own, _mixed(content, _occurrences(content))[row_of], events.interaction_key)
    order = np.lexsort((events.row, events.interaction_key, _first_time(events)))
    key = events.interaction_key[order]
    bounds = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    ends = np.append(bounds[1:], len(key))
    total = (len(bounds) - 1) // ROWS_A_BATCH + 1
    for number, first in enumerate(range(0, len(bounds), ROWS_A_BATCH)):
        last = min(first + ROWS_A_BATCH, len(bounds))
        chosen = order[bounds[first] : ends[last - 1]]
        records = _interactions(events, chosen, bounds[first:last] - bounds[first], source)
        yield Batch(source, "events", {"interaction": records}, units_done=number + 1, units_total=total)


def _first_time(events: Events) -> Keys:
    """Return for each entry the earliest time of its interaction, so that batches go forward in time."""
    _, place = np.unique(events.interaction_key, return_inverse=True)
    earliest = np.full(place.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, place, events.at)
    return earliest[place]


def _interactions(events: Events, chosen: Keys, starts: Keys, source: str) -> pa.Table:
    """Build the interaction records of the chosen entries, which are grouped by interaction at `starts`."""
    heads = chosen[starts]
    counts = np.diff(np.append(starts, len(chosen)))
    group = np.repeat(np.arange(len(starts)), counts)
    people, kinds = events.recipient[chosen], events.evidence[chosen]
    # whoever calls people together is in the meeting too
    host = kinds[starts] == EVIDENCE.index("co_present")
    people = np.concatenate([people, events.sender[heads][host]])
    kinds = np.concatenate([kinds, kinds[starts][host]])
    group = np.concatenate([group, np.flatnonzero(host)])
    parts = pd.DataFrame({"group": group, "person": people, "kind": kinds}).drop_duplicates().sort_values(["group", "person", "kind"])
    offsets = np.searchsorted(parts["group"].to_numpy(), np.arange(len(starts) + 1))
    participants = pa.StructArray.from_arrays(
        [pa.array(parts["person"].to_numpy()), pa.array(EVIDENCE).take(pa.array(parts["kind"].to_numpy()))], fields=list(PARTICIPANT)
    )
    lasting = pd.Series(events.minutes[chosen]).groupby(np.repeat(np.arange(len(starts)), counts)).max().to_numpy()
    columns = {
        "source": pa.array([source]).take(pa.array(np.zeros(len(starts), np.int8))),
        "interaction_key": pa.array(events.interaction_key[heads]),
        "occurred_at": pa.array(events.at[heads].astype("datetime64[us]")).cast(INSTANT),
        "medium": pa.array(MEDIA).take(pa.array(events.medium[heads])),
        "sender_key": pa.array(events.sender[heads]),
        "participants": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), participants),
        "recipient_count": pa.array(counts.astype(np.int32)),
        "minutes": pa.array(lasting, from_pandas=True),
    }
    schema = SCHEMAS["interaction"]
    return pa.Table.from_arrays([columns.get(f.name, pa.nulls(len(starts), f.type)) for f in schema], schema=schema)
