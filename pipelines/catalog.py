"""The catalogue: every core and metric table, read from its own file.

The folder is the registry. A table is one file, `metrics/<family>/<table>.sql` or `.py`; its name is the file's name, its
schema is `core` in the folder `core` and `metrics` elsewhere, and its documentation is the comment that opens the file.
Files that start with an underscore are helpers. What a table reads is inferred: from DuckDB's own parser for SQL, from
the parameter names for Python.
"""

from __future__ import annotations

import ast
import graphlib
import hashlib
import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb

import metrics
from connectors.records import EVIDENCE, MEDIA
from metrics.roles import Role, RoleError, roles_in

ORGANISATION_KINDS: Final = ("own", "client", "supplier", "partner", "public_body", "unknown")


def _enum(words: Iterable[str]) -> str:
    """The type of a closed list of words, in alphabetical order, so that they sort and compare as the words themselves."""
    return f"enum({', '.join(repr(word) for word in sorted(words))})"


UNIT_TYPES: Final[Mapping[str, str]] = {
    "key": "bigint",
    "id": "uuid",
    "text": "varchar",
    "medium": _enum((*MEDIA, "any")),
    "evidence": _enum(EVIDENCE),
    "kind": _enum(ORGANISATION_KINDS),
    "texts": "varchar[]",
    "keys": "bigint[]",
    "numbers": "bigint[]",
    "date": "date",
    "timestamp": "timestamp",
    "count": "bigint",
    "days": "double",
    "hours": "double",
    "minutes": "double",
    "weeks": "double",
    "ratio": "double",
    "weight": "double",
    "score": "double",
    "percent": "double",
    "index": "double",
    "z": "double",
    "log_odds": "double",
    "per_100_hours": "double",
    "flag": "boolean",
}
"""The units a column may have, and the DuckDB type each is stored as: documentation that decides the type cannot drift."""

_ONE: Final = ("description", "question", "grain", "restricted", "rebuild", "whole_time", "partition", "joins")
_MANY: Final = ("role", "column", "unique", "not_null", "assert", "caveat", "reference", "uses")
_REBUILDS: Final = ("full", "panel", "pair", "day")
PARTITIONS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "thread": (("source", "thread_key", "interaction_key"), ("interaction_key", "from_key", "to_key")),
    "pair": (("person_a_key", "person_b_key"), ("from_key", "to_key")),
}
"""By what a table can be cut into parts that are computed apart, and the columns of which a table that is cut so has some."""

SUPPLIED: Final = frozenset(
    {
        "parameters",
        "touched_panel",
        "touched_panel_day",
        "touched_pair",
        "changed_pair",
        "pair_total_before",
        "touched_day",
        "touched_quarter",
    }
)
"""What the build hands to a table beside other tables."""


class CatalogError(Exception):
    """A table's file breaks a rule of the catalogue; the message names the file."""


@dataclass(frozen=True, slots=True)
class Column:
    """A documented column: its name, its unit (which decides its type) and what it says."""

    name: str
    unit: str
    description: str

    @property
    def type(self) -> str:
        """The DuckDB type the column is stored as."""
        return UNIT_TYPES[self.unit]

    @property
    def plain_type(self) -> str:
        """The type outside the warehouse, where words of a closed list are text."""
        return "varchar" if self.type.startswith("enum(") else self.type


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table: where it comes from, what it says, what it must satisfy and what it reads."""

    schema: str
    name: str
    family: str
    path: Path
    body: str
    description: str
    columns: tuple[Column, ...]
    question: str = ""
    grain: tuple[str, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    unique: tuple[tuple[str, ...], ...] = ()
    not_null: tuple[str, ...] = ()
    asserts: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    is_restricted: bool = False
    rebuild: str = "full"
    is_whole_time_by_pair: bool = False
    partition: str = ""
    is_as_written: bool = False
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reads: frozenset[str] = field(default_factory=frozenset)

    @property
    def full_name(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def is_python(self) -> bool:
        """Whether the table is computed by a Python function."""
        return self.path.suffix == ".py"

    @property
    def function(self) -> Callable[..., Any]:
        """The pure function of a Python table."""
        module = importlib.import_module(f"metrics.{self.family}.{self.name}")
        found: Callable[..., Any] | None = getattr(module, self.name, None)
        if found is None:
            raise CatalogError(f"{self.path}: no function named {self.name}")
        return found


def parse_header(text: str, path: Path) -> tuple[dict[str, list[str]], str]:
    """Split a table's file into its header (key -> values) and its body.

    Raises:
        CatalogError: On a line that is not `key: value`, an unknown key (with the nearest known one) or a repeated one.
    """
    mark = "--" if path.suffix == ".sql" else "#"
    header: dict[str, list[str]] = {}
    lines = text.splitlines()
    used = 0
    for used, line in enumerate(lines):  # the first line that is no comment starts the body
        if not line.startswith(mark):
            break
        content = line.removeprefix(mark)
        if content.startswith("   ") and header:
            values = header[next(reversed(header))]
            values[-1] = f"{values[-1]} {content.strip()}"
            continue
        key, separator, value = content.partition(":")
        key = key.strip()
        if not separator:
            raise CatalogError(f"{path}:{used + 1}: the header holds only `key: value` lines and continuations indented by three spaces")
        if key not in _ONE + _MANY:
            near = get_close_matches(key, _ONE + _MANY, n=1)
            raise CatalogError(f"{path}:{used + 1}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if key in _ONE and key in header:
            raise CatalogError(f"{path}:{used + 1}: {key!r} stands twice")
        # dict order follows the last key seen, so that a continuation belongs to the line above it
        values = header.pop(key, [])
        header[key] = [*values, value.strip()]
    return header, "\n".join(lines[used:])


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _column(value: str, path: Path) -> Column:
    parts = [part.strip() for part in value.split("|", 2)]
    if len(parts) != 3 or not all(parts):
        raise CatalogError(f"{path}: a column is `name | unit | description`, not {value!r}")
    if parts[1] not in UNIT_TYPES:
        near = get_close_matches(parts[1], UNIT_TYPES, n=1)
        raise CatalogError(f"{path}: unknown unit {parts[1]!r} of {parts[0]}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return Column(*parts)


def _roles(header: Mapping[str, list[str]], columns: Sequence[str], path: Path) -> dict[str, Role]:
    """What each column is to disclosure control; a metric that may leave states it, a core table leaves only if it does."""
    grain = _names(header.get("grain", [""])[0])
    may_leave = path.parent.name != "core" and header.get("restricted", ["no"])[0] == "no"
    try:
        found = roles_in(header.get("role", []), columns, grain)
    except RoleError as error:
        raise CatalogError(f"{path}: {error}") from None
    if may_leave and (missing := [name for name in columns if name not in grain and name not in found]):
        raise CatalogError(f"{path}: no role for {', '.join(missing)}; state it, or mark the table `restricted: yes`")
    return found


def _used(value: str, path: Path) -> tuple[str, tuple[str, ...]]:
    name, separator, columns = value.partition("|")
    if path.suffix != ".py" or not separator:
        raise CatalogError(f"{path}: uses is `table | columns`, of a table in Python that needs no others of a large table")
    return name.strip(), _names(columns)


def _tables_in(node: Any, aliases: frozenset[str] = frozenset()) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            name, schema = node["table_name"], node["schema_name"]
            if schema or name not in aliases:
                yield f"{schema}.{name}" if schema else name
        ctes = (node.get("cte_map") or {}).get("map") or [] if isinstance(node.get("cte_map"), dict) else []
        inner = aliases | {entry["key"] for entry in ctes}
        for value in node.values():
            yield from _tables_in(value, inner)
    elif isinstance(node, list):
        for value in node:
            yield from _tables_in(value, aliases)


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that only parses: opening one a table would take most of the time of loading the catalogue."""
    return duckdb.connect()


def tables_read_by(sql: str, path: Path) -> frozenset[str]:
    """Return the tables that one `select` statement reads, by DuckDB's own parser; names of its CTEs are left out.

    Raises:
        CatalogError: If the statement does not parse or is not a single select.
    """
    parsed = json.loads(_parser().execute("select json_serialize_sql($1)", [sql]).fetchall()[0][0])
    if parsed.get("error"):
        raise CatalogError(f"{path}: {parsed.get('error_message', 'does not parse')}")
    if len(parsed["statements"]) != 1:
        raise CatalogError(f"{path}: exactly one select statement, not {len(parsed['statements'])}")
    return frozenset(_tables_in(parsed["statements"][0]["node"]))


def read_spec(path: Path) -> TableSpec:
    """Read one table's file, apart from what it reads (`load_catalog` adds that).

    Raises:
        CatalogError: If the header breaks a rule.
    """
    header, body = parse_header(path.read_text(encoding="utf-8"), path)
    family = path.parent.name
    for key in ("description", "column"):
        if not header.get(key):
            raise CatalogError(f"{path}: the header lacks {key!r}")
    columns = tuple(_column(value, path) for value in header["column"])
    names = [column.name for column in columns]
    if len(set(names)) != len(names):
        raise CatalogError(f"{path}: a column is documented twice")
    restricted = header.get("restricted", ["no"])[0]
    rebuild = header.get("rebuild", ["full"])[0]
    partition = header.get("partition", [""])[0]
    if header.get("joins", ["as written"]) != ["as written"]:
        raise CatalogError(f"{path}: joins are `as written`, or left to DuckDB when nothing is said")
    if restricted not in ("yes", "no"):
        raise CatalogError(f"{path}: restricted is yes or no")
    if rebuild not in _REBUILDS:
        raise CatalogError(f"{path}: rebuild is one of {', '.join(_REBUILDS)}")
    if partition and (partition not in PARTITIONS or path.suffix != ".sql"):
        raise CatalogError(f"{path}: partition is one of {', '.join(PARTITIONS)}, and of a table in SQL")
    if partition and not any(set(keys) <= set(names) for keys in PARTITIONS[partition]):
        raise CatalogError(f"{path}: a table partitioned by {partition} has the columns {' or '.join(map(str, PARTITIONS[partition]))}")
    if rebuild == "panel" and not {"panel_kind", "panel_start"} <= set(names):
        raise CatalogError(f"{path}: a table rebuilt by panel has the columns panel_kind and panel_start")
    if rebuild == "pair" and not {"person_a_key", "person_b_key", "medium"} <= set(names):
        raise CatalogError(f"{path}: a table rebuilt by pair has the columns person_a_key, person_b_key and medium")
    is_by_pair = rebuild == "panel" and {"person_a_key", "person_b_key"} <= set(names)
    if header.get("whole_time", ["pair"]) != ["pair"] or ("whole_time" in header and not is_by_pair):
        raise CatalogError(f"{path}: whole_time is pair, of a table rebuilt by panel with the columns person_a_key and person_b_key")
    if rebuild == "day" and "date" not in names:
        raise CatalogError(f"{path}: a table rebuilt by day has the column date")
    spec = TableSpec(
        schema="core" if family == "core" else "metrics",
        name=path.stem,
        family=family,
        path=path,
        body=body,
        description=header["description"][0],
        columns=columns,
        question=header.get("question", [""])[0],
        grain=_names(header.get("grain", [""])[0]),
        roles=_roles(header, names, path),
        unique=tuple(_names(value) for value in header.get("unique", [])),
        not_null=tuple(name for value in header.get("not_null", []) for name in _names(value)),
        asserts=tuple(header.get("assert", [])),
        caveats=tuple(header.get("caveat", [])),
        references=tuple(header.get("reference", [])),
        is_restricted=restricted == "yes",
        rebuild=rebuild,
        is_whole_time_by_pair="whole_time" in header,
        partition=partition,
        is_as_written=bool(header.get("joins")),
        uses=dict(_used(value, path) for value in header.get("uses", [])),
    )
    mentioned = {*spec.grain, *spec.not_null, *(name for group in spec.unique for name in group)}
    if unknown := mentioned - set(names):
        raise CatalogError(f"{path}: {', '.join(sorted(unknown))} in grain, unique or not_null is no documented column")
    return spec


def load_catalog(folder: Path | None = None) -> dict[str, TableSpec]:
    """Read every table under `folder` (the installed `metrics` package by default), each after the tables it reads.

    Returns:
        Full name -> specification, in build order; ties are broken by name, so the order is always the same.

    Raises:
        CatalogError: On a header fault, a name used twice, a table that is not there, or a circle.
    """
    return dict(_load(folder or Path(metrics.__file__).parent))


@cache
def _load(folder: Path) -> Mapping[str, TableSpec]:
    found: dict[str, TableSpec] = {}
    by_name: dict[str, str] = {}
    for path in sorted(folder.glob("*/*")):
        if path.suffix not in (".sql", ".py") or path.name.startswith("_"):
            continue
        spec = read_spec(path)
        if spec.name in by_name:
            raise CatalogError(f"{path}: a table named {spec.name} exists already")
        by_name[spec.name] = spec.full_name
        found[spec.full_name] = spec
    complete = {name: _with_reads(spec, by_name) for name, spec in found.items()}
    order = graphlib.TopologicalSorter({name: {read for read in spec.reads if read in complete} for name, spec in sorted(complete.items())})
    try:
        order.prepare()
    except graphlib.CycleError as error:
        raise CatalogError(f"tables read each other in a circle: {' -> '.join(error.args[1])}") from None
    ordered: dict[str, TableSpec] = {}
    while order.is_active():
        ready = sorted(order.get_ready())
        for name in ready:
            ordered[name] = complete[name]
        order.done(*ready)
    return ordered


def _parameters(spec: TableSpec) -> set[str]:
    """Return a Python table's parameter names from its source: importing it would load statistics libraries for seconds."""
    for node in ast.parse(spec.body).body:
        if isinstance(node, ast.FunctionDef) and node.name == spec.name:
            return {argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    raise CatalogError(f"{spec.path}: no function named {spec.name}")


def _with_reads(spec: TableSpec, by_name: Mapping[str, str]) -> TableSpec:
    if spec.is_python:
        names = _parameters(spec) - SUPPLIED
        if unknown := names - by_name.keys():
            raise CatalogError(f"{spec.path}: parameter {', '.join(sorted(unknown))} is no table")
        if unknown := spec.uses.keys() - names:
            raise CatalogError(f"{spec.path}: uses {', '.join(sorted(unknown))}, which is no parameter")
        reads = frozenset(by_name[name] for name in names)
    else:
        reads = frozenset(read for read in tables_read_by(spec.body, spec.path) if read not in SUPPLIED)
        for read in reads:
            if not read.startswith("raw.") and read not in by_name.values():
                raise CatalogError(f"{spec.path}: reads {read}, which is no table (write core.x or metrics.x)")
        if spec.schema == "metrics" and any(read.startswith("raw.") for read in reads):
            raise CatalogError(f"{spec.path}: a metric reads core and metrics tables, never raw")
    return replace(spec, reads=reads)


def fingerprint(specs: Sequence[TableSpec], *others: object) -> str:
    """Return a hash of definitions and settings that tells whether figures must be computed again."""
    digest = hashlib.sha256()
    for spec in specs:
        digest.update(spec.path.read_bytes())
    if any(spec.is_python for spec in specs):
        # helpers are shared between families: any of them may have changed what a Python table computes
        folder = Path(metrics.__file__).parent
        for helper in sorted([*folder.glob("[a-z]*.py"), *folder.glob("*/_[a-z]*.py")]):
            digest.update(helper.read_bytes())
    digest.update(json.dumps([str(other) for other in others]).encode())
    return digest.hexdigest()
