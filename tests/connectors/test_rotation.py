"""Rotation of pseudonyms: one to one, turned back by its key alone, and the same in records as in single keys."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from connectors.opted_out import OptedOut, tombstone
from connectors.pseudonyms import Pseudonymiser
from connectors.records import Batch, table
from connectors.rotation import Rotation

FIRST, SECOND, THIRD = (bytes([number]) * 32 for number in (1, 2, 3))
ANN = "ann@firm.example"


def test_a_rotation_is_one_to_one_and_turned_back_by_its_own_key_only() -> None:
    rotation, other = Rotation(SECOND), Rotation(THIRD)
    keys = [*np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 2_000).tolist(), *range(-50, 50), 2**63 - 1, -(2**63)]
    new = [rotation.key(key) for key in keys]
    assert len(set(new)) == len(set(keys))
    assert [rotation.earlier_key(key) for key in new] == keys
    assert all(-(2**63) <= key < 2**63 for key in new)
    assert [key for key, was in zip(new, keys, strict=True) if key == was] == [0], "0 names nothing and stays"
    assert sum(other.key(key) == rotation.key(key) for key in keys) == 1
    # half of the bits change, whichever bit was turned over
    flips = [(rotation.key(5) ^ rotation.key(5 ^ (1 << bit))).bit_count() for bit in range(60)]
    assert 24 < np.mean(flips) < 40


def test_a_person_id_keeps_its_leading_half_as_the_key_that_tables_join_by() -> None:
    rotation, pseudonyms = Rotation(SECOND), Pseudonymiser(FIRST)
    for number in range(200):
        before = pseudonyms.person_id(f"p{number}@firm.example") or ""
        after = rotation.person_id(before)
        assert rotation.earlier_person_id(after) == before
        assert pseudonyms.person_key(after) == rotation.key(pseudonyms.person_key(before))
        assert after[16:] != before[16:]


def test_a_chain_gives_an_address_what_each_rotation_made_of_it() -> None:
    first, chain = Pseudonymiser(FIRST), Pseudonymiser(FIRST, [SECOND, THIRD])
    then, now = Rotation(SECOND), Rotation(THIRD)
    person_id, key = first.person_id(ANN) or "", first.key("slack:account", "T1:U1")
    assert chain.person_id(ANN) == now.person_id(then.person_id(person_id))
    assert chain.key("slack:account", "T1:U1") == chain.key("slack:account", "T1:U1", remember=False) == now.key(then.key(key))
    assert chain.earlier(chain.person_id(ANN) or "") == (then.person_id(person_id), person_id)
    assert chain.earlier(str(now.key(then.key(key)))) == (str(then.key(key)), str(key))
    assert chain.earlier("mail") == chain.earlier("2024-02-01") == chain.earlier("9" * 19) == first.earlier(person_id) == ()
    assert len({p.fingerprint() for p in (first, Pseudonymiser(FIRST, [SECOND]), Pseudonymiser(SECOND), chain)}) == 4
    assert chain.before_rotation().person_id(ANN) == person_id
    assert chain.before_rotation().fingerprint() == first.fingerprint()


def test_a_batch_is_rotated_field_by_field() -> None:
    first, chain = Pseudonymiser(FIRST), Pseudonymiser(FIRST, [SECOND])

    def made(pseudonyms: Pseudonymiser) -> Batch:
        ann, bob = (pseudonyms.key("address", name) for name in (ANN, "bob@firm.example"))
        row = {
            "source": "x",
            "interaction_key": pseudonyms.key("m", "1"),
            "occurred_at": datetime(2024, 1, 1, tzinfo=UTC),
            "medium": "email",
        }
        lists = [[{"account_key": bob, "evidence": "addressed"}], [], None, [{"account_key": ann, "evidence": "copied"}] * 2]
        people = [
            {
                "source": "x",
                "account_key": ann,
                "person_id": pseudonyms.person_id(ANN),
                "alias_ids": [pseudonyms.person_id("a@b.example")],
                "kind": "human",
            },
            {"source": "x", "account_key": bob, "alias_ids": [], "kind": "human"},
            {"source": "x", "account_key": 0, "kind": "human", "domain_key": pseudonyms.domain_key(ANN)},
        ]
        return Batch("x", "s", {
            "interaction": table("interaction", [{**row, "sender_key": ann, "participants": part, "recipient_count": 7} for part in lists]),
            "account": table("account", people),
        })  # fmt: skip

    assert chain.after_rotation(made(chain.before_rotation())) == made(chain)
    assert first.after_rotation(made(first)) == made(first)
    sliced = {kind: rows.slice(1, 2) for kind, rows in made(first).records.items()}
    assert chain.after_rotation(Batch("x", "s", sliced)).records["interaction"] == made(chain).records["interaction"].slice(1, 2)
    assert isinstance(chain.after_rotation(made(first)).records["account"], pa.Table)


def test_lists_and_tombstones_from_before_a_rotation_still_hold() -> None:
    first, chain = Pseudonymiser(FIRST), Pseudonymiser(FIRST, [SECOND, THIRD])
    before, now = first.person_id(ANN) or "", chain.person_id(ANN) or ""
    for listed in (before, tombstone(before), now, Pseudonymiser(FIRST, [SECOND]).person_id(ANN) or ""):
        assert now in OptedOut([listed], chain.earlier)
    assert (chain.person_id("bob@firm.example") or "") not in OptedOut([before], chain.earlier)


@pytest.mark.parametrize("held", [Rotation(SECOND), Pseudonymiser(FIRST, [SECOND])])
def test_it_shows_no_key(held: object) -> None:
    assert SECOND.hex() not in repr(held)
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(held)
