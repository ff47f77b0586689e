"""The allow-list is what data protection officers read: it holds no free text, and nothing passes it by."""

from __future__ import annotations

import pyarrow as pa
import pytest

from connectors.records import NATURAL_KEYS, SCHEMAS, Batch, table
from connectors.state import MemoryState

FORBIDDEN = ("text", "subject", "body", "title", "name", "address", "email", "location", "topic", "file")


def test_no_field_can_hold_what_someone_wrote_or_is_called() -> None:
    for kind, schema in SCHEMAS.items():
        for field in schema:
            assert not any(word in field.name.split("_") for word in FORBIDDEN), f"{kind}.{field.name}"


def test_every_field_has_its_sentence() -> None:
    for schema in SCHEMAS.values():
        for field in schema:
            sentence = (field.metadata or {}).get(b"description", b"").decode()
            assert sentence.endswith(".")
            assert len(sentence) > 15


def test_a_field_that_is_not_listed_is_refused() -> None:
    with pytest.raises(KeyError, match="allow-list"):
        table("account", [{"source": "slack", "account_key": 1, "kind": "human", "real_name": "Ann"}])


def test_a_batch_takes_only_tables_of_the_listed_schema() -> None:
    with pytest.raises(ValueError, match="allow-listed schema"):
        Batch("slack", "users", {"account": pa.table({"source": ["slack"], "text": ["secret"]})})


def test_natural_keys_are_fields() -> None:
    for kind, names in NATURAL_KEYS.items():
        assert set(names) <= set(SCHEMAS[kind].names)


def test_the_memory_state_forgets_empty_cursors_and_deleted_interactions() -> None:
    state = MemoryState()
    state.apply(Batch("slack", "messages", cursors={"a": "1", "b": "2"}))
    state.apply(Batch("slack", "messages", cursors={"a": ""}))
    assert state.cursor("a") is None
    assert state.cursors("b") == {"b": "2"}
