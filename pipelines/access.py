"""What is held of a person, from the published file: for whoever asks while another command writes to the private one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import duckdb

from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser, normalise_address
from pipelines.home import Home
from pipelines.keys import load_pseudonymiser
from pipelines.settings import Settings
from pipelines.status import kept_fingerprint
from pipelines.writer_lock import WriterLockedError

_PERSON_ID: Final = re.compile(r"[0-9a-f]{32}")


def asked_for(pseudonyms: Pseudonymiser, asked: str) -> tuple[set[int], set[str]]:
    """Return the account keys and the person ids that an address, or a `person_id`, is known by without looking anything up.

    Raises:
        UserError: If it is neither.
    """
    normal = normalise_address(asked)
    plain = asked.strip().lower().replace("-", "")
    if normal is not None:
        found = pseudonyms.person_id(normal)
        return {pseudonyms.key("address", normal)}, {found} if found else set()
    if _PERSON_ID.fullmatch(plain):
        return set(), {plain}
    raise UserError("the address is none; give an e-mail address, or the person_id of core.person")


def dashed(ids: Iterable[str]) -> list[str]:
    """Return person ids as core tables show them."""
    return [f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}" for name in sorted(ids)]


def about_as_published(home: Home, settings: Settings, asked: str, locked: WriterLockedError) -> dict[str, Any]:
    """Return what the published file holds of a person. Nobody else is named; what cannot be known from it is None.

    Raises:
        UserError: If what was asked for is no address and no person_id, the key is another, or nothing is published.
    """
    pseudonyms = load_pseudonymiser(home.key_file, secret_block=settings.privacy.key_block)
    if kept_fingerprint(home) not in (None, pseudonyms.fingerprint()):
        raise UserError("key: the data was stored under another key; restore that key, or start with an empty home")
    keys, ids = asked_for(pseudonyms, asked)
    if not home.published.exists():
        raise UserError(f"about: nothing is published yet, and {str(locked).removeprefix('warehouse: ')}") from None
    with duckdb.connect(str(home.published), read_only=True, config={"enable_external_access": False}) as published:

        def rows(sql: str, *values: object) -> list[dict[str, Any]]:
            cursor = published.execute(sql, list(values))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        ((as_of, built_at),) = published.execute("select as_of, built_at from metrics.about").fetchall()
        people = [
            row["person_key"]
            for row in rows(
                "select distinct person_key from core.account where person_key is not null and (list_contains($1::bigint[], account_key) "
                "or list_contains($2::varchar[], cast(person_id as varchar)))",
                sorted(keys),
                dashed(ids),
            )
        ]
        accounts = rows(
            "select source, kind, is_active, is_guest, is_licensed, has_address from core.account "
            "where list_contains($1::bigint[], person_key) order by all",
            people,
        )
        return {
            "from": f"{home.published.name}, published {built_at:%Y-%m-%d %H:%M} UTC, as of {as_of}; ask again later for what came since: "
            + str(locked).removeprefix("warehouse: "),
            # an address that is only another name of an account is known to the private file alone
            "is_held": True if accounts else None,
            "is_forgotten": None,
            "accounts": accounts,
            "memberships": rows(
                "select team, office, valid_from, valid_to, manager_key is not null as has_manager from core.membership "
                "where list_contains($1::bigint[], person_key) order by all",
                people,
            ),
            "rows_by_table": _rows_by_table(published, people),
            "kept_for_days": settings.privacy.retention_days,
        }


def _rows_by_table(published: duckdb.DuckDBPyConnection, people: list[int]) -> dict[str, int]:
    """Return how many rows of each table name one of these people, in any column that holds people's keys."""
    columns = published.execute(
        "select schema_name || '.' || table_name, column_name from duckdb_columns() where not internal and data_type = 'BIGINT' "
        "and contains(column_name, 'key') and schema_name in ('core', 'metrics') order by all"
    ).fetchall()
    tests: dict[str, list[str]] = {}
    for table, column in columns:
        tests.setdefault(table, []).append(f'coalesce(list_contains($1::bigint[], "{column}"), false)')
    counts = {
        table: published.execute(f"select count(*) from {table} where {' or '.join(found)}", [people]).fetchall()[0][0]
        for table, found in tests.items()
    }
    return {table: count for table, count in counts.items() if count}
