"""A synthetic organisation as an events file and a people file, as `connectors.events_file` reads them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.records import EVIDENCE, MEDIA
from connectors.sandbox import log as l
from connectors.sandbox.log import PROOF
from connectors.sandbox.organisation import Organisation

PEOPLE_COLUMNS: Final = ("person", "team", "organisation", "manager", "office", "valid_from", "valid_to", "joined_on", "left_on")
_SILENT: Final = (l.CHATTER, l.BOT, l.JOIN, l.CANCELLED, l.ALL_DAY, l.FREE, l.ALL_HANDS, l.DRAFT)


def events_table(organisation: Organisation) -> pa.Table:
    """Return all contacts as the columns of an events file.

    One row an interaction and kind of evidence: at, sender, recipients (a list), interaction_id, medium, evidence, minutes.
    Replies in threads are given as mentions, since a file has no threads. What makes no contact is left out.
    """
    log = organisation.log
    owner = log.owner()
    proof = np.where(log.proof == PROOF["replied"], PROOF["mentioned"], log.proof)
    keep = ~np.isin(log.what[owner], _SILENT) & (proof != PROOF["declined"]) & (log.sender[owner] >= 0)
    author = log.sender[log.reaction_event]
    reacts = (author >= 0) & (author != log.reaction_who) & (log.reaction_at < int(organisation.ends.timestamp()) * 1_000_000)
    event = np.concatenate([owner[keep], log.reaction_event[reacts]])
    who = np.concatenate([log.who[keep], log.reaction_who[reacts]])
    proof = np.concatenate([proof[keep], np.full(int(reacts.sum()), PROOF["reacted"])])
    order = np.lexsort((who, proof, event))
    event, who, proof = event[order], who[order], proof[order]
    fresh = np.ones(len(event), dtype=bool)
    fresh[1:] = (event[1:] != event[:-1]) | (proof[1:] != proof[:-1])
    heads = np.flatnonzero(fresh)
    row = event[heads]
    addresses = pa.array([person.address for person in organisation.people])
    offsets = pa.array(np.append(heads, len(event)).astype(np.int32))
    minutes = log.minutes[row]
    return pa.table(
        {
            "at": pa.array(log.at[row]).cast(pa.timestamp("us", tz="UTC")),
            "sender": addresses.take(pa.array(log.sender[row])),
            "recipients": pa.ListArray.from_arrays(offsets, addresses.take(pa.array(who))),
            "interaction_id": pa.array(row).cast(pa.string()),
            "medium": pa.array(MEDIA).take(pa.array(log.medium[row])),
            "evidence": pa.array(EVIDENCE).take(pa.array(proof[heads])),
            "minutes": pa.array(minutes, mask=np.isnan(minutes)),
        }
    )


def people_rows(organisation: Organisation) -> list[dict[str, str]]:
    """Return the rows of a people file: one a person and place."""
    people = organisation.people
    rows = []
    for person in people:
        about = {
            "person": person.address,
            "organisation": person.organisation,
            "office": person.office or "",
            "joined_on": person.joined_on.isoformat() if person.joined_on else "",
            "left_on": person.left_on.isoformat() if person.left_on else "",
        }
        if not person.places:
            rows.append({**dict.fromkeys(PEOPLE_COLUMNS, ""), **about})
        for place in person.places:
            rows.append(
                {
                    **about,
                    "team": place.team,
                    "manager": people[place.manager].address if place.manager is not None else "",
                    "valid_from": place.valid_from.isoformat(),
                    "valid_to": place.valid_to.isoformat() if place.valid_to else "",
                }
            )
    return rows


def write_events(organisation: Organisation, folder: Path) -> tuple[Path, Path]:
    """Write `events.parquet` and `people.csv` into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    events, people = folder / "events.parquet", folder / "people.csv"
    pq.write_table(events_table(organisation), events)
    with people.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, PEOPLE_COLUMNS)
        writer.writeheader()
        writer.writerows(people_rows(organisation))
    return events, people
