"""Questions put to the published file, and to nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from connectors.errors import UserError


def run_query(published: Path, query: str) -> pa.Table:
    """Run one statement on the published file and return its result.

    The file is opened read-only and the statement can reach no other file, network or extension.

    Raises:
        UserError: If nothing is published, the statement fails, or it is more than one statement.
    """
    if not published.exists():
        raise UserError("sql: nothing is published yet; run `perdure build` and `perdure publish` first")
    try:
        opened = duckdb.connect(str(published), read_only=True, config={"enable_external_access": False, "lock_configuration": True})
    except duckdb.Error:
        raise UserError(f"sql: {published.name} cannot be read; run `perdure publish`, which replaces it") from None
    with opened as connection:
        try:
            if len(connection.extract_statements(query)) != 1:
                raise UserError("sql: one statement at a time")
            return connection.sql(query).to_arrow_table()
        except AttributeError:
            raise UserError("sql: the statement returns no rows; the published file is read-only") from None
        except duckdb.Error as error:
            raise UserError(f"sql: {error}") from None
