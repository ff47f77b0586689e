"""A table's own checks, as its file states them: what must not be empty, what must be true of each row, what must not repeat."""

from __future__ import annotations

from pipelines.build_errors import CheckFailedError
from pipelines.catalog import TableSpec
from pipelines.warehouse import Warehouse


def check(warehouse: Warehouse, spec: TableSpec, where: str) -> None:
    """Run a table's checks on the rows that were just written.

    Args:
        warehouse: The private file.
        spec: The table.
        where: The SQL condition of those rows.

    Raises:
        CheckFailedError: If rows break a check; the message names each with the number of rows.
    """
    conditions = {f"not_null: {name}": f"{name} is not null" for name in spec.not_null}
    conditions |= {f"assert: {each}": f"coalesce({each}, true)" for each in spec.asserts}
    broken: list[str] = []
    # all at once first: it is much cheaper to learn that nothing is wrong than what is
    if conditions and _count(warehouse, spec, f"{where} and ({' or '.join(f'not ({condition})' for condition in conditions.values())})"):
        for label, condition in conditions.items():
            if count := _count(warehouse, spec, f"{where} and not ({condition})"):
                broken.append(f"{label} ({count} rows)")
    for names in spec.unique:
        columns = ", ".join(names)
        rows = f"from {spec.full_name} where {where}"
        # by hash first: one integer a row is much cheaper to compare than its columns
        if not warehouse.value(f"select count(*) from (select 1 {rows} group by hash({columns}) having count(*) > 1) as r"):
            continue
        repeated = warehouse.value(f"select count(*) from (select 1 {rows} group by {columns} having count(*) > 1) as r")
        if repeated:
            broken.append(f"unique: {columns} ({repeated} repeated)")
    if broken:
        raise CheckFailedError(f"{spec.full_name} breaks its own checks: {'; '.join(broken)}. It was not written; see {spec.path.name}")


def _count(warehouse: Warehouse, spec: TableSpec, where: str) -> int:
    count: int = warehouse.value(f"select count(*) from {spec.full_name} where {where}")
    return count
